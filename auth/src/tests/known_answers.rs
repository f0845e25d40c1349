//! Against values that were computed elsewhere.
//!
//! With Python: `hmac.new(key, c + struct.pack('<IHB', s, t, 0) + role + own + b'\0' + other, hash)`,
//! where `key` is the secret's, or `hmac.new(key, own + b'NVMe-over-Fabrics', 'sha256')` of it, and `c`
//! the challenge, or `hmac.new(hash(shared), c, hash)`; powers with `pow(base, exponent, p)`. The
//! primes are those in `openssl genpkey -algorithm DH -pkeyopt group:ffdheN -outform DER`. Secrets are
//! those of `nvme gen-dhchap-key`.

use super::*;
use crate::group::{EXPONENT_BYTES, field, prime};
use crate::response::Question;
use std::fmt::Write;

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}
fn sha256(octets: &[u8]) -> String {
    hex(crate::digest::hash(HashId::Sha256, octets).octets())
}

/// Goal: the primes are the published ones.
#[test]
fn primes_are_those_of_rfc_7919() {
    for (group, digest) in [
        (DhGroup::Ffdhe2048, "9cd3b7f336872f46c09428d1bbc19877a4d440512cda8d1c1cf0cd6e33698966"),
        (DhGroup::Ffdhe3072, "0eaf67db3a839156d5013494a5318a772b5697d270d721f37f092efc69ea5a17"),
        (DhGroup::Ffdhe4096, "4648414224ac881b3d0dc59b466f96d06a558278776807797ecf1f66ff397b3e"),
        (DhGroup::Ffdhe6144, "227ac9066b3ddd9e193670cda2388fa884f65ba0cf98b742d1fe77a6687c79c7"),
        (DhGroup::Ffdhe8192, "770b14efaf6f049929c523113b3fa99a8d11dab1b18af3609590122075d19833"),
    ] {
        let prime = prime(group);
        assert_eq!(prime.len(), group.value_bytes());
        assert!(hex(&prime).starts_with("ffffffffffffffffadf85458a2bb4a9aafdc5620273d3cf1"));
        assert_eq!(sha256(&prime), digest, "{}", group.as_str());
    }
}

/// Goal: powers are right at both ends of the sizes, and useless values of a peer are refused.
#[test]
fn powers_are_right() {
    let mut exponent = [0; EXPONENT_BYTES];
    (1..).zip(&mut exponent).for_each(|(n, octet)| *octet = n);
    for (group, public, shared) in [
        (
            DhGroup::Ffdhe2048,
            "1908b0773912e53f8b481d76c9723f551e22e7edcee9e562bf0cc763a9ce3958",
            "984b1979765bcee3a833f895c0b120399e46058b2e6538259a53f1c7d1900ebf",
        ),
        (
            DhGroup::Ffdhe8192,
            "b2f1e92b44e0a45ee7b23938bfd9be352a84ab3878fa0afae756e3c4f6999e9e",
            "b03d5fc5aa799c8c26e87b6f44d30a6381f4ef7282061636695eed3860eb14f7",
        ),
    ] {
        let field = field(group).unwrap();
        assert_eq!(sha256(&field.public(&exponent)), public);
        let bytes = group.value_bytes();
        let small = |n: u8| [vec![0; bytes - 1], vec![n]].concat();
        assert_eq!(sha256(&field.shared(&small(5), &exponent).unwrap()), shared);
        let mut last = prime(group);
        last[bytes - 1] -= 1;
        for bad in [small(0), small(1), last, prime(group), vec![0xff; bytes], vec![2; bytes - 1]] {
            assert!(field.shared(&bad, &exponent).is_none());
        }
    }
    assert!(field(DhGroup::Null).is_none());
}

/// Goal: responses are what any other implementation computes.
#[test]
fn responses_are_right() {
    let shared = [7; 256];
    for (hash, host, with_group, controller) in [
        (
            HashId::Sha256,
            "e6372a10b20908d616404e74e10db6062eb63c80f3a73c4ef5d16b9dc4f59e02",
            "97526b46403ebaf95cb6f82bfcdf4d31b7fed3d7266693b215025287028ef1d9",
            "b6f76a5c2f67655b4608d88324710eae391f28580bb2a51e9024c04238d2c46a",
        ),
        (
            HashId::Sha384,
            "596ed28e7ed4495f2980571c4310d1db5ae9288b9e885b4951f6ec03b3e2c3191cf69946b154b36e4c7adbd4763e2b42",
            "ab7ffc9248f5b51df645f61050c9d632da14381ba3ce0b750ee4b06b939530c0bc9d874895e08815fc19434235defdad",
            "e5ddb52b3b42bc9d9a659ebead7260d66b81002580d5287e8ce8dfdd6d505b07bf812ff5c50f1821950bab3bbc373b00",
        ),
        (
            HashId::Sha512,
            "9754b15a41c66fdb7d773ef13571d2ac6949a23ec2f7ef82b15bcbe646b92f278086fb3e707a76a777b04d15a647c627beb78d5f55dcccec1b58aa69de16e540",
            "cc450f9d15aa0ba252f0614f543e294bf2ce7db5a53f668d1a5a24bb90d1ac1e3722b0c1f095398fdd38105ea00ae73b1030ebc977e3d3e0fbb45ee8bfcf9ff8",
            "b35a74853cac3110ea16866d4791ba17a98a2351c2014d343fa8aa73413e0f22765dbb4fd5ba4be21f78f5c091f9261e53df4d0d7858b012b429bec452ce99b1",
        ),
    ] {
        let challenge = vec![0xc0 + hash.octet(); hash.digest_bytes()];
        let plain = Question {
            hash,
            challenge: &challenge,
            shared: None,
            sequence: 0x0102_0304,
            transaction: 0x0506,
            concatenation: 0,
        };
        let grouped = Question { shared: Some(&shared), ..plain };
        assert_eq!(hex(plain.host_response(&secret(PLAIN), &names()).octets()), host);
        assert_eq!(hex(grouped.host_response(&secret(BOUND), &names()).octets()), with_group);
        assert_eq!(hex(plain.controller_response(&secret(BOUND), &names()).octets()), controller);
    }
}

/// Goal: secrets are read and written as nvme-cli does, and each mistake is told.
#[test]
fn secrets_are_those_of_nvme_cli() {
    let material: Vec<u8> = (0..32).collect();
    let plain = Secret::generate(&material, None, "").unwrap();
    assert_eq!(plain.text().as_str(), PLAIN);
    let bound = Secret::generate(&material, Some(HashId::Sha256), "nqn.2014-08.org.example:h");
    let expected = "DHHC-1:01:FhXoXPF+ovGxR4N4qNveH5uIlAXP+Z95qQ3v1D/lb+OvFjzD:";
    assert_eq!(bound.unwrap().text().as_str(), expected);
    for text in [PLAIN, BOUND, LONG, expected] {
        assert_eq!(secret(text).text().as_str(), text);
        assert!(!format!("{:?}", secret(text)).contains("AAEC"), "a secret is not shown");
    }
    for (text, error) in [
        ("", SecretError::Form),
        ("DHHC-1:00:AAEC", SecretError::Form),
        ("NVMeTLSkey-1:01:AAEC:", SecretError::Form),
        ("DHHC-1:04:AAEC:", SecretError::Transform),
        ("DHHC-1:00:AA!C:", SecretError::Base64),
        ("DHHC-1:00::", SecretError::KeyLength(0)),
        ("DHHC-1:00:AAECAwQFBgc=:", SecretError::KeyLength(4)),
        (&PLAIN.replace("DHHC-1:00", "DHHC-1:02"), SecretError::KeyLength(32)),
        (&PLAIN.replace("AAEC", "AAED"), SecretError::Crc),
    ] {
        assert_eq!(text.parse::<Secret>(), Err(error), "{text}");
    }
    assert_eq!(Secret::generate(&[0; 33], None, ""), Err(SecretError::KeyLength(33)));
}
