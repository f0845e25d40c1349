//! What users write, and what they mistype.

use super::*;

/// Goal: both spellings mean the same.
#[test]
fn words_and_uri_agree() {
    let words: TargetSpec =
        "trtype=RDMA adrfam=IPv4 traddr=127.0.0.1 trsvcid=4421 subnqn=nqn.2026-11.x:a ns=2 mode=roce link=shm"
            .parse()
            .unwrap();
    let uri: TargetSpec =
        "nvme-rdma://127.0.0.1:4421/nqn.2026-11.x:a/2?mode=roce&link=shm".parse().unwrap();
    assert_eq!(words, uri);
    assert_eq!((words.nsid, words.trsvcid, words.mode), (2, 4421, WireMode::Roce));
    assert_eq!(words.link, LinkChoice::Shm);
}

/// Goal: congestion control is named in both spellings, and left to the endpoint where nothing is said.
#[test]
fn congestion_control_is_named() {
    for name in CcKind::NAMES {
        let words: TargetSpec = format!("traddr=1.2.3.4 cc={name}").parse().unwrap();
        assert_eq!(words, format!("nvme-rdma://1.2.3.4/?cc={name}").parse().unwrap());
        assert_eq!(words.cc, CcKind::named(name));
    }
    let unsaid: TargetSpec = "traddr=1.2.3.4".parse().unwrap();
    assert_eq!(unsaid.cc, None);
}

/// Goal: TCP is named by a word or a scheme, with its digests.
#[test]
fn tcp_is_spoken() {
    let words: TargetSpec =
        "transport=tcp traddr=127.0.0.1 subnqn=nqn.x hdgst=on ddgst=off".parse().unwrap();
    let uri: TargetSpec = "nvme-tcp://127.0.0.1/nqn.x?hdgst=on".parse().unwrap();
    assert_eq!(words, uri);
    assert_eq!(words.transport, Transport::Tcp);
    assert!(words.header_digest && !words.data_digest);
}

/// Goal: secrets are read in both spellings, and never told again.
#[test]
fn secrets_are_read_and_not_told() {
    let secret = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";
    let words = format!("traddr=1.2.3.4 dhchap_secret={secret} dhchap_ctrl_secret={secret}");
    let uri = format!("nvme-rdma://1.2.3.4/?dhchap_secret={secret}&dhchap_ctrl_secret={secret}");
    let spec: TargetSpec = words.parse().unwrap();
    assert_eq!(spec, uri.parse().unwrap());
    assert!(spec.keys().unwrap().controller.is_some());
    assert!(!format!("{spec:?}").contains("AAEC"));
    for bad in [format!("{words} x=y"), words.replace("+KfiaR", "+KfiaS"), uri + "&x"] {
        let error = bad.parse::<TargetSpec>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("AAEC"), "{error}");
    }
    let alone = format!("traddr=1.2.3.4 dhchap_ctrl_secret={secret}").parse::<TargetSpec>();
    assert!(alone.unwrap_err().to_string().contains("needs dhchap_secret="));
    assert_eq!(without_secrets("a=1 dhchap_secret=xyz b=2"), "a=1 dhchap_secret=… b=2");
}

/// Goal: a TLS key is read for TCP, and never told again.
#[test]
fn tls_keys_are_read_and_not_told() {
    let key = "NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:";
    let words = format!("trtype=tcp traddr=1.2.3.4 tls_key={key}");
    let spec: TargetSpec = words.parse().unwrap();
    assert!(spec.tls_key.is_some() && !format!("{spec:?}").contains("VRLb"));
    for bad in [format!("{words} x=y"), words.replace("VRLb", "VRLa"), words.replace("tcp", "rdma")]
    {
        let error = bad.parse::<TargetSpec>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("VRL"), "{error}");
    }
    let made: TargetSpec = "trtype=tcp traddr=1.2.3.4 concat=on".parse().unwrap();
    assert!(made.concat && !spec.concat);
    let both = "tls_key=a dhchap_secret=b tls_key=c d=e";
    assert_eq!(without_secrets(both), "tls_key=… dhchap_secret=… tls_key=… d=e");
}

/// Goal: IPv6 addresses keep their colons, and the port defaults to NVMe's.
#[test]
fn ipv6_and_defaults() {
    let spec: TargetSpec = "nvme-rdma://[::1]/nqn.x".parse().unwrap();
    assert_eq!(spec.traddr, "::1".parse::<IpAddr>().unwrap());
    assert_eq!((spec.trsvcid, spec.nsid, spec.subnqn.as_deref()), (4420, 1, Some("nqn.x")));
}

/// Goal: every mistake is named, none panics.
#[test]
fn mistakes_are_named() {
    for (text, problem) in [
        ("traddr", "not KEY=VALUE"),
        ("trsvcid=4420", "traddr= is missing"),
        ("traddr=host", "not an IP address"),
        ("traddr=1.2.3.4 trsvcid=99999", "not a port"),
        ("traddr=1.2.3.4 ns=0", "not a namespace id"),
        ("traddr=1.2.3.4 trtype=fc", "rdma or tcp"),
        ("traddr=1.2.3.4 trtype=tcp hdgst=yes", "on or off"),
        ("traddr=1.2.3.4 link=tcp", "auto, udp, shm or raw"),
        ("traddr=1.2.3.4 cc=reno", "one of fixed, swift, dcqcn"),
        ("traddr=1.2.3.4 trtype=tcp cc=swift", "cc= is for trtype=rdma"),
        ("traddr=1.2.3.4 colour=red", "not known"),
        ("traddr=1.2.3.4 path=1.2.3:4420", "not an IP address"),
        ("http://1.2.3.4/", "not spoken"),
        ("nvme-rdma://1.2.3.4:x/", "not a port"),
    ] {
        let error = text.parse::<TargetSpec>().unwrap_err().to_string();
        assert!(error.contains(problem), "{text}: {error}");
    }
}
