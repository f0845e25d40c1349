use super::*;
use clap::Parser;
use initiator::TargetSpec;

const NQN: &str = "nqn.2026-01.io.flexblk:a";

fn port() -> Port {
    let words = [
        "flexblk",
        "connect-all",
        "-t",
        "tcp",
        "-a",
        "192.0.2.1",
        "-q",
        "nqn.h",
        "-w",
        "192.0.2.7",
        "--cc",
        "dcqcn",
    ];
    let parsed = crate::args::Cli::try_parse_from(words).unwrap();
    let crate::args::Command::ConnectAll(port) = parsed.command else { panic!("another verb") };
    port
}
fn path(transport: Transport, host: u8, reached: Result<&[u32], &str>) -> Path {
    let info = |nsid: &u32| NamespaceInfo {
        nsid: *nsid,
        block_bytes: 512,
        block_count: 2048,
        max_transfer_bytes: 1 << 20,
    };
    let reached = reached.map(|nsids| nsids.iter().map(info).collect());
    let address = SocketAddr::from(([192, 0, 2, host], 4420));
    Path { transport, address, reached: reached.map_err(str::to_owned) }
}
fn subsystem() -> Subsystem {
    let paths = vec![
        path(Transport::Rdma, 1, Ok(&[1])),
        path(Transport::Tcp, 1, Ok(&[1, 2])),
        path(Transport::Tcp, 2, Err("connection refused")),
        path(Transport::Tcp, 3, Ok(&[1])),
    ];
    Subsystem { nqn: NQN.into(), paths }
}

/// Goal: each namespace is told with one string for each transport, of the paths that lead to it and
/// of no other, that the other verbs read.
#[test]
fn namespaces_are_told_with_their_paths() {
    let told = subsystem();
    let namespaces = told.namespaces(&port());
    let targets: Vec<(u32, Vec<&str>)> = namespaces
        .iter()
        .map(|(nsid, (_, targets))| (*nsid, targets.iter().map(String::as_str).collect()))
        .collect();
    let of = |words: &str, then: &str| {
        format!("{words}subnqn={NQN} hostnqn=nqn.h hostaddr=192.0.2.7 {then}")
    };
    let rdma = of("trtype=rdma traddr=192.0.2.1 trsvcid=4420 ", "cc=dcqcn ns=1");
    let tcp = of("trtype=tcp traddr=192.0.2.1 trsvcid=4420 path=192.0.2.3:4420 ", "ns=1");
    let second = of("trtype=tcp traddr=192.0.2.1 trsvcid=4420 ", "ns=2");
    let mut first = vec![rdma.as_str(), tcp.as_str()];
    first.sort_unstable();
    let mut found = targets[0].1.clone();
    found.sort_unstable();
    assert_eq!((targets[0].0, found), (1, first));
    assert_eq!(targets[1], (2, vec![second.as_str()]));
    for target in targets.iter().flat_map(|(_, targets)| targets) {
        target.parse::<TargetSpec>().unwrap();
    }
    let text = told.text(&port());
    for said in
        ["trsvcid=4420: connected", "192.0.2.2 trsvcid=4420: connection refused", "1048576 B"]
    {
        assert!(text.contains(said), "{said} is missing in\n{text}");
    }
    let json = told.json(&port());
    assert_eq!(json["paths"][2]["connected"], false);
    assert_eq!(json["namespaces"][1]["nsid"], 2);
}

/// Goal: whatever was not reached is a failure with its reason; all that was, is none.
#[test]
fn what_is_not_reached_is_a_failure() {
    let why = outcome(&Found::default(), &[subsystem()]).unwrap_err().to_string();
    assert!(why.contains("1 of 4 paths") && why.contains("connection refused"), "{why}");
    let good = Subsystem { nqn: NQN.into(), paths: vec![path(Transport::Tcp, 1, Ok(&[]))] };
    outcome(&Found::default(), std::slice::from_ref(&good)).unwrap();
    let mut found = Found::default();
    found.unreached.push("192.0.2.9".into());
    let why = outcome(&found, &[good]).unwrap_err().to_string();
    assert!(why.contains("1 referrals") && why.contains("192.0.2.9"), "{why}");
    let why = outcome(&Found::default(), &[]).unwrap_err().to_string();
    assert!(why.contains("no subsystem"), "{why}");
}
