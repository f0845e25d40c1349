use super::*;

const NQN: &str = "nqn.2026-01.io.flexblk:a";

fn model() -> Model {
    let mut model = Model::default();
    let mut subsystem = Subsystem::default();
    subsystem.namespaces.insert(1, Namespace::new("mem:1MiB"));
    model.subsystems.insert(NQN.into(), subsystem);
    model
}

fn disk(uri: &str) -> Box<words::Namespace> {
    Box::new(words::Namespace { uri: uri.into(), ..words::Namespace::default() })
}

/// Goal: the only subsystem need not be named; with none or several, the reason says what to do.
#[test]
fn the_only_subsystem_is_meant() {
    let add = |nqn: Option<&str>| Edit::AddNamespace {
        nqn: nqn.map(str::to_owned),
        namespace: disk("mem:2MiB"),
    };
    let next = add(None).apply(&model()).unwrap();
    assert_eq!(next.subsystems[NQN].namespaces[&2], Namespace::new("mem:2MiB"));
    let why = add(None).apply(&Model::default()).unwrap_err();
    assert!(why.contains("flexblk subsystem add"), "{why}");
    let mut several = model();
    several.subsystems.insert("nqn.2026-01.io.flexblk:b".into(), Subsystem::default());
    let why = add(None).apply(&several).unwrap_err();
    assert!(why.contains("-n") && why.contains(NQN), "{why}");
    assert!(add(Some(NQN)).apply(&several).is_ok());
    let why = add(Some("nqn.x")).apply(&model()).unwrap_err();
    assert!(why.contains(NQN), "{why}");
}

/// Goal: a list of hosts begins with the first that is added and ends with "any".
#[test]
fn lists_of_hosts() {
    let nqn = || None;
    let hosts = |model: &Model| model.subsystems[NQN].hosts.clone();
    let (add, remove) = (
        |host: &str| Edit::AddHost { nqn: nqn(), host: host.into() },
        |host: &str| Edit::RemoveHost { nqn: nqn(), host: host.into() },
    );
    assert!(remove("a").apply(&model()).is_err(), "any host may connect");
    let one = add("a").apply(&model()).unwrap();
    assert_eq!(hosts(&one), HostList::only(["a"]));
    let none = remove("a").apply(&one).unwrap();
    assert_eq!(hosts(&none), HostList::only([]));
    assert!(remove("a").apply(&none).is_err());
    assert_eq!(hosts(&add("any").apply(&one).unwrap()), HostList::Any);
    assert_eq!(hosts(&remove("any").apply(&model()).unwrap()), HostList::only([]));
}

/// Goal: what is said of a namespace changes, what is not stays; numbers are used once.
#[test]
fn namespaces_are_changed() {
    let set = Edit::SetNamespace {
        nqn: None,
        nsid: 1,
        read_only: Some(true),
        ana_group: None,
        hosts: Some(vec!["h".into()]),
    };
    let next = set.apply(&model()).unwrap();
    let namespace = &next.subsystems[NQN].namespaces[&1];
    assert_eq!((namespace.read_only, namespace.ana_group), (true, 1));
    assert_eq!(namespace.hosts, HostList::only(["h"]));
    let missing = Edit::RemoveNamespace { nqn: None, nsid: 7 }.apply(&model()).unwrap_err();
    assert!(missing.contains("namespace list"), "{missing}");
    let taken = words::Namespace { nsid: Some(1), ..*disk("mem:1MiB") };
    let taken = Edit::AddNamespace { nqn: None, namespace: Box::new(taken) };
    assert!(taken.apply(&model()).is_err());
    let resize = Edit::ResizeNamespace { nqn: None, nsid: 1, octets: Some(8192) };
    assert_eq!(resize.apply(&model()).unwrap().subsystems[NQN].namespaces[&1].size, Some(8192));
}

/// Goal: the state of a group at all listeners replaces that at single ones.
#[test]
fn states_of_groups() {
    let set = |portid, state| Edit::SetAna {
        nqn: None,
        group: words::AnaGroup { grpid: 2, portid, state },
    };
    let at_one = set(Some(1), words::Ana::Inaccessible).apply(&model()).unwrap();
    assert_eq!(at_one.subsystems[NQN].ana[&2].ports.len(), 1);
    let everywhere = set(None, words::Ana::Optimized).apply(&at_one).unwrap();
    assert!(everywhere.subsystems[NQN].ana.is_empty());
}

/// Goal: hosts that may connect are limited, one by one; a host that may connect no more leaves no
/// limit behind, which a file would take for leave to come.
#[test]
fn hosts_are_limited() {
    let limit = |host: &str, rw_ios_per_sec| Edit::SetHostLimit {
        nqn: None,
        host: host.into(),
        limit: Limit { rw_ios_per_sec, ..Limit::default() },
    };
    let add = |host: &str| Edit::AddHost { nqn: None, host: host.into() };
    let limited = |model: &Model| -> Vec<(String, u32)> {
        let limits = model.subsystems[NQN].host_limits.iter();
        limits.map(|(host, limit)| (host.clone(), limit.rw_ios_per_sec)).collect()
    };
    let one = limit("nqn.a", 5).apply(&model()).unwrap();
    assert_eq!(limited(&one), [("nqn.a".into(), 5)], "any host may connect");
    assert_eq!(limited(&limit("nqn.a", 0).apply(&one).unwrap()), []);
    let other = add("nqn.b").apply(&one).unwrap();
    assert_eq!(limited(&other), [], "the host was let go");
    let both = add("nqn.a").apply(&other).and_then(|it| limit("nqn.a", 7).apply(&it)).unwrap();
    assert_eq!(limited(&both), [("nqn.a".into(), 7)]);
    let gone = Edit::RemoveHost { nqn: None, host: "nqn.a".into() }.apply(&both).unwrap();
    assert_eq!(limited(&gone), []);
    for (host, why) in [("nqn.c", "not allowed"), ("any", "namespaces")] {
        let refused = limit(host, 1).apply(&both).unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}
