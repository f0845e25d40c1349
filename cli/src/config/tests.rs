//! What `serve` starts with, and what it refuses.

use super::*;
use clap::Parser;

fn serve(words: &[&str]) -> Serve {
    let cli = crate::args::Cli::try_parse_from(["flexblk", "serve"].iter().chain(words));
    let crate::args::Command::Serve(serve) = cli.unwrap().command else {
        panic!("not parsed as serve");
    };
    serve
}

/// Goal: every example under configs/ means something.
#[test]
fn shipped_configurations_parse() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "toml") {
            Plan::new(&serve(&["--config", path.to_str().unwrap()])).unwrap();
            seen += 1;
        }
    }
    assert!(seen > 0, "no configuration found");
}

/// Goal: the example of the documentation has every word, and means something.
#[test]
fn the_documented_example_parses() {
    let page = include_str!("../../../docs/configuration.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let file = File::parse(example.unwrap()).unwrap();
    let mut model = mean::wanted(&file, &Model::default()).unwrap();
    check::whole(&model).unwrap();
    ids::complete(&mut model, seed()).unwrap();
    assert_eq!((model.listeners.len(), model.namespaces().count()), (1, 1));
    assert!(File::parse(&example.unwrap().replace("grpid", "group")).is_err());
}

/// Goal: what a running target calls its own stays where a file leaves it out: numbers and
/// identifiers; and namespaces of one URI keep theirs when one of them goes.
#[test]
fn what_is_left_out_stays() {
    let text = "[[subsystem]]\nnqn = 'nqn.2026-01.io.flexblk:a'\n\
                [[subsystem.namespace]]\nuri = 'mem:1MiB'\n\
                [[subsystem.namespace]]\nuri = 'mem:1MiB'\n\
                [[subsystem.namespace]]\nuri = 'mem:2MiB'\n";
    let file = File::parse(text).unwrap();
    let mut running = mean::wanted(&file, &Model::default()).unwrap();
    ids::complete(&mut running, seed()).unwrap();
    let mut again = mean::wanted(&file, &running).unwrap();
    ids::complete(&mut again, seed()).unwrap();
    assert_eq!(again, running);
    let mut fewer = file.clone();
    fewer.subsystems[0].namespaces.remove(0);
    fewer.subsystems[0].namespaces.remove(0);
    let only = mean::wanted(&fewer, &running).unwrap();
    let of = |model: &Model| model.subsystems["nqn.2026-01.io.flexblk:a"].namespaces[&3].clone();
    assert_eq!((only.namespaces().count(), of(&only)), (1, of(&running)));
    let all: std::collections::BTreeSet<_> =
        running.namespaces().map(|(_, _, namespace)| namespace.ids.uuid).collect();
    assert_eq!(all.len(), 3, "an identifier was given twice");
}

/// Goal: what cannot be is refused before anything is touched, with the place.
#[test]
fn nonsense_is_refused() {
    for (text, word) in [
        ("nqn = 'x'", "nqn"),
        ("nqn = 'nqn.2014-08.org.nvmexpress.discovery'", "discovery"),
        ("nqn = 'nqn.2026-01.io.a'\nserial = '123456789012345678901'", "serial"),
        ("nqn = 'nqn.2026-01.io.a'\nallow_any_host = true\nallowed_hosts = ['h']", "allow"),
        ("nqn = 'nqn.2026-01.io.a'\n[[subsystem.namespace]]\nnsid = 1025\nuri='mem:1MiB'", "1024"),
        ("nqn = 'nqn.2026-01.io.a'\n[[subsystem.namespace]]\nuri='mem:1MiB'\nsize='5'", "blocks"),
        ("nqn = 'nqn.2026-01.io.a'\n[[subsystem.namespace]]\nuri='disk'", "no disk"),
        ("nqn = 'nqn.2026-01.io.a'\n[[subsystem.namespace]]\nuri='mem:1MiB'\nuuid='1'", "uuid"),
        (
            "nqn = 'nqn.2026-01.io.a'\n[[subsystem.ana_group]]\ngrpid=1\nportid=9\nstate='change'",
            "listener 9",
        ),
        ("nqn = 'nqn.2026-01.io.a'\n[[subsystem.ana_group]]\ngrpid=129\nstate='change'", "128"),
        ("nqn = 'nqn.2026-01.io.a'\n[[subsystem.host]]\nnqn='nqn.h'\nlimit={rw_iops=1}", "rw_iops"),
        ("nqn = 'nqn.2026-01.io.a'\n[[subsystem.host]]\nnqn=''\nlimit={rw_ios_per_sec=1}", "host"),
    ] {
        let why = File::parse(&format!("[[subsystem]]\n{text}\n"))
            .and_then(|file| mean::wanted(&file, &Model::default()))
            .and_then(|model| check::whole(&model))
            .unwrap_err();
        assert!(why.contains(word), "{text}: {why}");
    }
}

/// Goal: the command line wins over the file, and a typo in the file is refused.
#[test]
fn command_line_wins_and_typos_are_refused() {
    let dir = std::env::temp_dir().join(format!("flexblk-config-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("a.toml");
    std::fs::write(&path, "trsvcid = 1\npoll = \"busy\"\n").unwrap();
    let name = path.to_str().unwrap();
    let plan = Plan::new(&serve(&["--config", name, "-s", "2", "mem:1MiB"])).unwrap();
    let ports: Vec<u16> = plan.model.listeners.values().map(|l| l.address.port()).collect();
    assert_eq!((ports, plan.poll), (vec![2, 2], Poll::Busy));
    std::fs::write(&path, "trsvcidd = 1\n").unwrap();
    let error = Plan::new(&serve(&["--config", name])).unwrap_err().to_string();
    assert!(error.contains("trsvcidd"), "{error}");
    std::fs::remove_dir_all(&dir).unwrap();
}

/// Goal: congestion control is taken from the file, and from the command line above it; what is kept in
/// the state has it; a wrong name is answered with the right ones, on either way.
#[test]
fn congestion_control_is_chosen() {
    let dir = std::env::temp_dir().join(format!("flexblk-cc-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("a.toml");
    let name = path.to_str().unwrap();
    let planned = |words: &[&str]| Plan::new(&serve(&[words, &["mem:1MiB"]].concat())).unwrap();
    assert_eq!(planned(&[]).cc, Cc::Fixed);
    std::fs::write(&path, "cc = \"dcqcn\"\n").unwrap();
    let of_file = planned(&["--config", name]);
    assert_eq!((of_file.cc, of_file.fixed.cc), (Cc::Dcqcn, Some(Cc::Dcqcn)));
    assert_eq!(planned(&["--cc", "dcqcn"]).cc, of_file.cc);
    assert_eq!(planned(&["--config", name, "--cc", "swift"]).cc, Cc::Swift);
    std::fs::write(&path, "cc = \"reno\"\n").unwrap();
    let of_file = Plan::new(&serve(&["--config", name])).unwrap_err().to_string();
    std::fs::remove_dir_all(&dir).unwrap();
    let typed = crate::args::Cli::try_parse_from(["flexblk", "serve", "--cc", "reno", "mem:1MiB"]);
    let typed = typed.unwrap_err().to_string();
    for right in ["fixed", "swift", "dcqcn"] {
        assert!(of_file.contains(right) && typed.contains(right), "{of_file}\n{typed}");
    }
    let why = Plan::new(&serve(&["-t", "tcp", "--cc", "swift", "mem:1MiB"])).unwrap_err();
    assert!(why.to_string().contains("add -t rdma"), "{why}");
}
