//! Configuration: `words` (what is written), `model` (what is meant), `mean` and `write` (there and
//! back), `check` (whether it can be had), and here what `flexblk serve` starts with.

pub(crate) mod check;
pub(crate) mod ids;
pub(crate) mod limit;
pub(crate) mod mean;
pub(crate) mod model;
pub(crate) mod nvmetcli;
pub(crate) mod referrals;
pub(crate) mod tls;
pub(crate) mod words;
pub(crate) mod write;

use crate::args::{DEFAULT_NQN, Offer, Poll, Serve, Transport};
use crate::failure::Failure;
use model::{Listener, Model, Namespace, Subsystem};
use netstack::link::inject::Rule;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use words::File;

/// Where nothing is said: all that can be had.
const ALL_TRANSPORTS: [Transport; 2] = [Transport::Rdma, Transport::Tcp];

/// What `serve` starts with: everything checked, nothing left out.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What is exported, and where.
    pub model: Model,
    /// Somebody said which transports: one that cannot be had is a reason to fail.
    pub transports_are_asked: bool,
    /// UDP port of the transport.
    pub udp_port: u16,
    /// How to wait.
    pub poll: Poll,
    /// CPU to run on.
    pub cpu: Option<usize>,
    /// Record every packet.
    pub pcap: Option<PathBuf>,
    /// What is done to which packets, for tests. Of the command line alone.
    pub inject: Vec<Rule>,
    /// How hosts reach it.
    pub link: Offer,
    /// What of the file is no part of the model: kept where the model is kept.
    pub fixed: File,
}

impl Plan {
    /// From the command line and the files that it names. The command line wins over a file, and
    /// what was kept in `--state` over what `--config` and the command line export.
    pub(crate) fn new(args: &Serve) -> Result<Plan, Failure> {
        let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let kept = args.state.as_deref().map(read_kept).transpose()?.flatten();
        let is_kept = kept.is_some();
        let file = kept.unwrap_or(file);
        let mut subsystems =
            mean::subsystems(&file.subsystems, &Model::default()).map_err(Failure::misuse)?;
        if !is_kept && !args.namespaces.is_empty() {
            let (nqn, subsystem) = of_command_line(args);
            if subsystems.insert(nqn.clone(), subsystem).is_some() {
                return Err(Failure::misuse(format_args!("subsystem {nqn:?} exists already")));
            }
        }
        let is_empty = subsystems.values().all(|subsystem| subsystem.namespaces.is_empty());
        if is_empty && args.control.is_none() && args.state.is_none() {
            return Err(Failure::misuse("nothing to export: name a disk, such as mem:1GiB"));
        }
        let (listeners, transports_are_asked) = listeners(args, &file).map_err(Failure::misuse)?;
        if !args.inject.is_empty() && listeners.values().all(|it| it.trtype != Transport::Rdma) {
            return Err(Failure::misuse("--inject hits packets of RDMA: add -t rdma"));
        }
        let referrals = referrals::meant(&file.referrals);
        let mut model = Model { listeners, referrals, subsystems };
        check::whole(&model).map_err(Failure::misuse)?;
        ids::complete(&mut model, seed()).map_err(Failure::misuse)?;
        Ok(Plan {
            model,
            transports_are_asked,
            udp_port: args.udp_port,
            poll: args.poll.or(file.poll).unwrap_or_default(),
            cpu: args.cpu.or(file.cpu),
            pcap: args.pcap.clone().or(file.pcap.clone()),
            inject: args.inject.clone(),
            link: args.link.or(file.link).unwrap_or_default(),
            fixed: File {
                poll: file.poll,
                cpu: file.cpu,
                pcap: file.pcap,
                link: file.link,
                ..File::default()
            },
        })
    }
    /// Listeners of a transport.
    pub(crate) fn listeners(&self, trtype: Transport) -> impl Iterator<Item = &Listener> {
        self.model.listeners.values().filter(move |listener| listener.trtype == trtype)
    }
}

/// What makes serial numbers and identifiers.
pub(crate) fn seed() -> u64 {
    target::Config::default().seed
}

fn of_command_line(args: &Serve) -> (String, Subsystem) {
    let nqn = args.subnqn.clone().unwrap_or_else(|| DEFAULT_NQN.into());
    let namespaces = (1..).zip(args.namespaces.iter().map(|uri| Namespace::new(uri)));
    (nqn, Subsystem { namespaces: namespaces.collect(), ..Subsystem::default() })
}

/// The listeners, and whether somebody said which transports.
fn listeners(
    args: &Serve,
    file: &File,
) -> Result<(std::collections::BTreeMap<u16, Listener>, bool), String> {
    let none = Model::default();
    let is_given = args.traddr.is_some() || args.trsvcid.is_some() || !args.transport.is_empty();
    let has_list = !file.listeners.is_empty();
    if has_list && !is_given {
        let listeners = mean::listeners_of(file, &[], &none)?;
        return Ok((listeners.unwrap_or_default(), true));
    }
    // One address for all transports, each part of it from the nearest who says it.
    let given = File {
        traddr: args.traddr.or(file.traddr).or(Some(std::net::Ipv4Addr::LOCALHOST.into())),
        trsvcid: args.trsvcid.or(file.trsvcid),
        transport: unique(if args.transport.is_empty() {
            &file.transport
        } else {
            &args.transport
        }),
        ..File::default()
    };
    let is_asked = !given.transport.is_empty();
    let listeners = mean::listeners_of(&given, &ALL_TRANSPORTS, &none)?;
    Ok((listeners.unwrap_or_default(), is_asked))
}

fn unique(transports: &[Transport]) -> Vec<Transport> {
    let mut unique = Vec::new();
    for transport in transports {
        if !unique.contains(transport) {
            unique.push(*transport);
        }
    }
    unique
}

/// Parses a configuration file.
pub(crate) fn read(path: &Path) -> Result<File, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| Failure::new(format!("{shown}: {e}")))?;
    File::parse(&text).map_err(|why| Failure::misuse(format_args!("{shown}: {why}")))
}

/// The same of a file that need not be there yet.
fn read_kept(path: &Path) -> Result<Option<File>, Failure> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Ok(found) if found.len() == 0 => Ok(None),
        _ => read(path).map(Some),
    }
}

#[cfg(test)]
mod tests {
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
        let of =
            |model: &Model| model.subsystems["nqn.2026-01.io.flexblk:a"].namespaces[&3].clone();
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
            (
                "nqn = 'nqn.2026-01.io.a'\n[[subsystem.namespace]]\nnsid = 1025\nuri='mem:1MiB'",
                "1024",
            ),
            (
                "nqn = 'nqn.2026-01.io.a'\n[[subsystem.namespace]]\nuri='mem:1MiB'\nsize='5'",
                "blocks",
            ),
            ("nqn = 'nqn.2026-01.io.a'\n[[subsystem.namespace]]\nuri='disk'", "no disk"),
            ("nqn = 'nqn.2026-01.io.a'\n[[subsystem.namespace]]\nuri='mem:1MiB'\nuuid='1'", "uuid"),
            (
                "nqn = 'nqn.2026-01.io.a'\n[[subsystem.ana_group]]\ngrpid=1\nportid=9\nstate='change'",
                "listener 9",
            ),
            ("nqn = 'nqn.2026-01.io.a'\n[[subsystem.ana_group]]\ngrpid=129\nstate='change'", "128"),
            (
                "nqn = 'nqn.2026-01.io.a'\n[[subsystem.host]]\nnqn='nqn.h'\nlimit={rw_iops=1}",
                "rw_iops",
            ),
            (
                "nqn = 'nqn.2026-01.io.a'\n[[subsystem.host]]\nnqn=''\nlimit={rw_ios_per_sec=1}",
                "host",
            ),
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
}
