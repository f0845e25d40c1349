use super::*;
use crate::config::{check, ids, mean, model::Model};
use proptest::prelude::*;

const SAVED: &str = r#"{
  "hosts": [{"nqn": "nqn.2014-08.org.nvmexpress:uuid:aa", "dhchap_key": "DHHC-1:00:x:"}],
  "ports": [
    {
      "addr": {"adrfam": "ipv4", "traddr": "192.0.2.1", "treq": "not specified",
               "trsvcid": "4420", "trtype": "tcp"},
      "ana_groups": [{"ana": {"state": "optimized"}, "grpid": 1},
                     {"ana": {"state": "inaccessible"}, "grpid": 2}],
      "param": {"inline_data_size": "16384", "pi_enable": "0"},
      "portid": 1,
      "referrals": [{"name": "other", "addr": {"traddr": "192.0.2.9"}}],
      "subsystems": ["nqn.2026-01.org.example:a"]
    },
    {"addr": {"adrfam": "fc", "traddr": "nn-0x1:pn-0x1", "trtype": "fc"}, "portid": 2,
     "subsystems": []}
  ],
  "subsystems": [
    {
      "allowed_hosts": ["nqn.2014-08.org.nvmexpress:uuid:aa"],
      "attr": {"allow_any_host": "0", "serial": "S1", "version": "1.3", "pi_enable": "1"},
      "namespaces": [
        {"device": {"nguid": "00000000-0000-0000-0000-000000000000", "path": "/srv/a?b.img",
                    "uuid": "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
         "enable": 1, "nsid": 3, "ana_grpid": 2},
        {"device": {"path": "/dev/nvme1n1"}, "enable": 0, "nsid": 4}
      ],
      "nqn": "nqn.2026-01.org.example:a"
    },
    {"attr": {"allow_any_host": "1"}, "namespaces": [], "nqn": "nqn.2026-01.org.example:b"}
  ]
}"#;

/// Goal: what can be said is said, with the same numbers and identifiers, and is a configuration that
/// passes every check; all the rest is named.
#[test]
fn a_saved_configuration_is_imported() {
    let imported = import(SAVED).unwrap();
    let text = imported.file.text();
    for line in [
        "portid = 1",
        "trtype = \"tcp\"",
        "traddr = \"192.0.2.1\"",
        "trsvcid = 4420",
        "serial = \"S1\"",
        "allowed_hosts = [\"nqn.2014-08.org.nvmexpress:uuid:aa\"]",
        "nsid = 3",
        "uri = \"file:/srv/a%3Fb.img?block=512\"",
        "uuid = \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
        "ana_group = 2",
        "state = \"inaccessible\"",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    let mut model = mean::wanted(&imported.file, &Model::default()).unwrap();
    check::whole(&model).unwrap();
    ids::complete(&mut model, 1).unwrap();
    let left_out = imported.left_out.join("\n");
    for named in [
        "inline_data_size",
        "pi_enable",
        "referral",
        "dhchap_secret: ",
        "\"fc\"",
        "nn-0x1:pn-0x1",
        "/dev/nvme1n1 is not enabled",
        "nqn.2026-01.org.example:b is not at port 1",
        "block size",
    ] {
        assert!(left_out.contains(named), "{named} is not named in\n{left_out}");
    }
    for known in ["version", "treq", "nguid", "serial"] {
        assert!(!left_out.contains(known), "{known} is named in\n{left_out}");
    }
}

/// Goal: files that are something else are refused or give nothing, and never panic.
#[test]
fn other_files_are_refused() {
    for bad in ["", "[]", "7", "{", "nonsense"] {
        assert!(import(bad).is_err(), "{bad}");
    }
    let odd = r#"{"ports": 7, "subsystems": [1, {"nqn": []}, {"nqn": "x", "namespaces": [[]]}],
                  "more": {"x": 1}}"#;
    let imported = import(odd).unwrap();
    assert_eq!(imported.file.subsystems.len(), 1);
    assert!(imported.left_out.len() >= 5, "{:?}", imported.left_out);
    assert_eq!(import("{}").unwrap(), Imported { file: File::default(), left_out: Vec::new() });
}

/// Any JSON that has nvmetcli's names in it.
fn json() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "ports",
        "subsystems",
        "addr",
        "trtype",
        "traddr",
        "trsvcid",
        "portid",
        "nqn",
        "attr",
        "namespaces",
        "device",
        "path",
        "uuid",
        "nsid",
        "ana_groups",
        "ana",
        "state",
        "hosts",
        "allowed_hosts",
        "allow_any_host",
        "referrals",
        "enable",
        "other",
    ]);
    let text = prop::sample::select(vec!["", "0", "1", "tcp", "192.0.2.1", "4420", "-", "\u{fc}"]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        let fields = prop::collection::btree_map(name.clone(), inner.clone(), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

/// Texts and numbers of a value, as they would be named.
fn leaves(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| leaves(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| leaves(value, into)),
        Value::Number(number) => into.push(number.to_string()),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

proptest! {
    /// Goal: whatever stands in the file, it is read without a panic, what comes out is a file that
    /// can be read again, and no number of more than five digits (which nothing here can have) is
    /// dropped without a word.
    #[test]
    fn nothing_is_dropped_silently(value in json()) {
        let Ok(imported) = import(&value.to_string()) else { return Ok(()) };
        prop_assert_eq!(File::parse(&imported.file.text()).unwrap(), imported.file.clone());
        let said = imported.left_out.join(" ") + &imported.file.text();
        let mut numbers = Vec::new();
        leaves(&value, &mut numbers);
        for number in numbers.iter().filter(|number| number.len() > 11) {
            prop_assert!(said.contains(number.as_str()), "{} is dropped in {}", number, said);
        }
    }
}

const SECRET: &str = "DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:";

/// Goal: secrets go to the subsystems that list their hosts, in both spellings, and ports that speak
/// TLS do; what the kernel takes by itself is not said, and no secret is told as left out.
#[test]
fn secrets_and_tls_are_imported() {
    let saved = format!(
        r#"{{
        "hosts": [
          {{"nqn": "nqn.x:a", "dhchap": {{"key": "{SECRET}", "ctrl_key": "", "hash": "hmac(sha384)", "dhgroup": "null"}}}},
          {{"nqn": "nqn.x:b", "dhchap_key": "{SECRET}", "dhchap_ctrl_key": "{SECRET}",
            "dhchap_hash": "hmac(sha256)", "dhchap_dhgroup": "ffdhe2048"}},
          {{"nqn": "nqn.x:c", "dhchap": {{"key": "", "ctrl_key": "", "hash": "hmac(sha256)", "dhgroup": "null"}}}},
          {{"nqn": "nqn.x:d", "dhchap_key": "{}"}}],
        "ports": [
          {{"portid": 1, "addr": {{"trtype": "tcp", "traddr": "192.0.2.1", "tsas": "tls1.3", "treq": "required"}}}},
          {{"portid": 2, "addr": {{"trtype": "tcp", "traddr": "192.0.2.2", "tsas": "tls1.3", "treq": "not required"}}}},
          {{"portid": 3, "addr": {{"trtype": "tcp", "traddr": "192.0.2.3", "tsas": "tls1.3"}}}},
          {{"portid": 4, "addr": {{"trtype": "tcp", "traddr": "192.0.2.4", "tsas": "none", "treq": "not specified"}}}},
          {{"portid": 5, "addr": {{"trtype": "rdma", "traddr": "192.0.2.5", "tsas": "connected", "treq": "required"}}}}],
        "subsystems": [
          {{"nqn": "nqn.2026-01.io.x:s", "attr": {{"allow_any_host": "0"}},
            "allowed_hosts": ["nqn.x:a", "nqn.x:b", "nqn.x:c", "nqn.x:d"]}},
          {{"nqn": "nqn.2026-01.io.x:any", "attr": {{"allow_any_host": "1"}}}}]}}"#,
        SECRET.replace("AAEC", "AAED")
    );
    let imported = import(&saved).unwrap();
    let tls: Vec<Tls> = imported.file.listeners.iter().map(|listener| listener.tls).collect();
    assert_eq!(tls, [Tls::Required, Tls::Optional, Tls::Required, Tls::Off, Tls::Off]);
    let model = mean::wanted(&imported.file, &Model::default()).unwrap();
    let subsystem = &model.subsystems["nqn.2026-01.io.x:s"];
    let hosts = ["nqn.x:a", "nqn.x:b", "nqn.x:c", "nqn.x:d"];
    assert_eq!(subsystem.hosts, target::HostList::only(hosts));
    let said = |host: &str| {
        let keys = &subsystem.keyring[host];
        let ctrl = keys.dhchap_ctrl_secret.is_some();
        (keys.dhchap_secret.is_some(), ctrl, keys.dhchap_hash.clone(), keys.dhchap_dhgroup.clone())
    };
    assert_eq!(said("nqn.x:a"), (true, false, Some("hmac(sha384)".into()), None));
    assert_eq!(said("nqn.x:b"), (true, true, None, Some("ffdhe2048".into())));
    assert_eq!(subsystem.keyring.len(), 2);
    assert!(model.subsystems["nqn.2026-01.io.x:any"].keyring.is_empty());
    let left_out = imported.left_out.join("\n");
    for named in ["nqn.x:d: dhchap_secret", "keyring", "connected", "required"] {
        assert!(left_out.contains(named), "{named} is not named in\n{left_out}");
    }
    assert!(!left_out.contains("AwQFBg"), "a secret is told:\n{left_out}");
    assert_eq!(left_out.matches("192.0.2.4").count(), 0, "{left_out}");
}
