//! Keys for TLS against known answers.
//!
//! Identities: published by libnvme 1.15 (`test/psk.c`). TLS PSKs: computed with Python's `hmac` from the
//! text of the standard and RFC 8446; with an intermediate value in libnvme's answers, since a digest
//! is made with the retained PSK.

use crate::{HashId, TlsKey, TlsKeyError, tls_parties};

const HOST: &str = "nqn.psk-test-host";
const SUBSYSTEM: &str = "nqn.psk-test-subsys";
const KEY: &str = "VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:";
const LONG_KEY: &str = "VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwP/w0S89ELi3W2LxIcLXVsDn8kXZQ==:";

/// TLS PSKs of identity versions 1 and 0.
const SECRETS_256: [&str; 2] = [
    "8fc3c0badfd4c0c66fa3ca33aadd0314f85536cc9bc47338b60f3e6e563786ca",
    "05c6503551ad136e6ee32e6eeb3f6d500b69701d84ec71e328f65c7f51566f68",
];
const SECRETS_384: [&str; 2] = [
    "a2b2f943f479fc682555cec89857c80ed004ce92f32a973d5764155bb7e36b17a85368a0666d250afac9282dda2e62ca",
    "f42ba63824cdfe421914c582921f85b5b5b7e2d4df084caeedc9be20b212e8bb0fe8a23e9d59a1c8fc6449da4970a78d",
];
/// The first, of version 0, when the configured PSK is the retained one.
const SECRET_UNBOUND: &str = "ec85300ba827726bd3bc4fc07f3a34aec5fe7c8ccac05fefc2f021c74e0df9ef";

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Goal: what nvme-cli prints is read, and printed the same.
#[test]
fn the_interchange_format_is_read_and_written() {
    for (digits, rest, bytes) in [("00", KEY, 32), ("01", KEY, 32), ("02", LONG_KEY, 48)] {
        let text = format!("NVMeTLSkey-1:{digits}:{rest}");
        let key: TlsKey = text.parse().unwrap();
        assert_eq!((key.text().as_str(), key.key_bytes()), (text.as_str(), bytes));
        assert!(!format!("{key:?} {:?}", key.psks(HOST, SUBSYSTEM)).contains("VRLb"));
    }
}

/// Goal: what was damaged, or is something else, is refused with the reason.
#[test]
fn damaged_keys_are_refused() {
    for (text, why) in [
        (format!("DHHC-1:01:{KEY}"), TlsKeyError::Form),
        (format!("NVMeTLSkey-2:01:{KEY}"), TlsKeyError::Form),
        ("NVMeTLSkey-1:01:AAEC".into(), TlsKeyError::Form),
        (format!("NVMeTLSkey-1:03:{KEY}"), TlsKeyError::Transform),
        (format!("NVMeTLSkey-1:02:{KEY}"), TlsKeyError::KeyLength(32)),
        (format!("NVMeTLSkey-1:01:{LONG_KEY}"), TlsKeyError::KeyLength(48)),
        ("NVMeTLSkey-1:01:AAEC:".into(), TlsKeyError::KeyLength(0)),
        (format!("NVMeTLSkey-1:01:{}", KEY.replace('V', "W")), TlsKeyError::Crc),
        (format!("NVMeTLSkey-1:01:{}", KEY.replace('V', "*")), TlsKeyError::Base64),
    ] {
        assert_eq!(text.parse::<TlsKey>(), Err(why), "{text}");
    }
}

/// Goal: identities and keys are those that other implementations of the standard make.
#[test]
fn identities_and_keys_are_the_standard_ones() {
    for (digits, rest, digest, secrets) in [
        ("01", KEY, "iSbjiStwJ/1TrTvDlt2fjFmzvsytOJelidNnA+X5lEU=", SECRETS_256),
        (
            "02",
            LONG_KEY,
            "QhW2+Rp6RzHlNtCslyRxMnwJ11tKKhz8JCAQpQ+XUD8f9td1VeH5h53yz2wKJG1a",
            SECRETS_384,
        ),
    ] {
        let key: TlsKey = format!("NVMeTLSkey-1:{digits}:{rest}").parse().unwrap();
        let [first, second] = &key.psks(HOST, SUBSYSTEM)[..] else { panic!("two versions") };
        assert_eq!(first.identity, format!("NVMe1R{digits} {HOST} {SUBSYSTEM} {digest}"));
        assert_eq!(second.identity, format!("NVMe0R{digits} {HOST} {SUBSYSTEM}"));
        assert_eq!([hex(&first.secret), hex(&second.secret)], secrets);
        assert_eq!(tls_parties(&first.identity), Some((HOST, SUBSYSTEM)));
        assert_eq!(tls_parties(&second.identity), Some((HOST, SUBSYSTEM)));
    }
}

/// Goal: without a hash the key is not bound to the host, and its length chooses the hash.
#[test]
fn a_key_without_hash_is_retained_as_it_is() {
    let key: TlsKey = format!("NVMeTLSkey-1:00:{KEY}").parse().unwrap();
    let psks = key.psks(HOST, SUBSYSTEM);
    assert_eq!((psks[1].hash, hex(&psks[1].secret).as_str()), (HashId::Sha256, SECRET_UNBOUND));
    let long: TlsKey = format!("NVMeTLSkey-1:00:{LONG_KEY}").parse().unwrap();
    assert_eq!(long.psks(HOST, SUBSYSTEM)[0].hash, HashId::Sha384);
    assert!(TlsKey::new(&[0; 64], None).is_err());
    assert!(TlsKey::new(&[0; 64], Some(HashId::Sha512)).is_err());
}

/// Goal: names of any length that NVMe allows make an identity, and none panics.
#[test]
fn long_names_leave_version_0_out() {
    let key = TlsKey::new(&[7; 48], Some(HashId::Sha384)).unwrap();
    let longest = "n".repeat(223);
    assert_eq!(key.psks(&longest, &longest).len(), 1);
    assert_eq!(key.psks(&longest, &longest[..22]).len(), 2, "255 octets of identity");
    assert_eq!(key.psks(&longest, &longest[..23]).len(), 1, "256 octets of identity");
    for identity in ["", "NVMe1R01", "NVMe1R01 a", "NVMe2R01 a b", "host"] {
        assert_eq!(tls_parties(identity), None);
    }
}
