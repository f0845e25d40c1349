//! Conversations of which a key for TLS is made.
//!
//! Known answers with Python: `psk = hmac.new(hash(shared), c1 + c2, hash)`, the digest and the key as in
//! `tls_keys`, with `psk` in the place of the retained one.

use super::*;
use crate::response::Question;
use crate::tls::of_generated;

fn for_channel(keys: HostKeys) -> (HostSide, Step) {
    HostSide::start_for_channel(Arc::new(keys), names(), 0x0506)
}
fn keys(controller: Option<&str>) -> HostKeys {
    HostKeys { host: secret(PLAIN), controller: controller.map(secret) }
}
fn credentials(hash: Option<HashId>, group: Option<DhGroup>) -> Credentials {
    Credentials { hash, group, controller: Some(secret(LONG)), ..Credentials::new(secret(PLAIN)) }
}

/// Goal: the key is what any other implementation derives.
#[test]
fn generated_keys_are_right() {
    let shared: Vec<u8> = (0..=255).collect();
    for (hash, digest, expected) in [
        (
            HashId::Sha256,
            "NVMe1G01 nqn.2014-08.org.example:host nqn.2026-11.org.example:disk 4l5fk2UdSN5ISL8ZEKI8abTHzqs5W6JULYwLCwwjSG8=",
            "997f392a19e264a13809d197b91236f9e38c687777659270867683bab4fd2c1d",
        ),
        (
            HashId::Sha384,
            "NVMe1G02 nqn.2014-08.org.example:host nqn.2026-11.org.example:disk GM4kqyN00kk7fLBPo16Qq5XgnJo3gEng5EcbbfKDFxJR0rfXaZgKZipWkZjiQFYq",
            "adedcbfc7dfbae437f5d241d74075d09cccf59225246661b29cd2bd25ac2617b9daa442bc0d16c91231d743d4d9a6818",
        ),
    ] {
        let (challenge, own) = (vec![1; hash.digest_bytes()], vec![2; hash.digest_bytes()]);
        let question = Question {
            hash,
            challenge: &challenge,
            shared: Some(&shared),
            sequence: 1,
            transaction: 2,
            concatenation: 2,
        };
        let psk = of_generated(hash, &question.generated_psk(&own).unwrap(), &names()).unwrap();
        assert_eq!(psk.identity, digest);
        let octets: String = psk.secret.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(octets, expected);
        assert_eq!(tls_parties(&psk.identity), Some((HOST, SUBSYSTEM)));
        assert!(is_generated(&psk.identity));
    }
    assert!(!is_generated("NVMe1R01 a b c") && !is_generated("NVMe1G03 a b c"));
}

/// Goal: both sides make the same key, in both directions or one; it is there once, and only when the
/// conversation ended well; another conversation makes another.
#[test]
fn both_sides_make_the_same_key() {
    for (hash, group) in
        [(HashId::Sha256, DhGroup::Ffdhe2048), (HashId::Sha384, DhGroup::Ffdhe3072)]
    {
        for proof in [None, Some(LONG)] {
            let wanted = credentials(Some(hash), Some(group));
            let mut controller = controller(wanted).with_concatenation(true);
            let mut made = Vec::new();
            for seed in [1, 7] {
                assert!(controller.take_generated().is_none(), "not yet");
                let psk = talk(&mut controller, for_channel(keys(proof)), seed).unwrap().unwrap();
                let other = controller.take_generated().unwrap();
                assert_eq!((&psk.identity, &psk.secret), (&other.identity, &other.secret));
                assert_eq!((psk.hash, controller.take_generated().is_none()), (hash, true));
                made.push(psk.identity);
            }
            assert_ne!(made[0], made[1]);
        }
    }
}

/// Goal: no key without leave, without a group, with a hash that TLS has not, or of a conversation that
/// fails; a host that asks for none gets none.
#[test]
fn keys_are_refused() {
    let refused = |reason| Err(HostAuthError::Refused(reason));
    let outcome = |may, wanted: Credentials, start| {
        let mut controller = controller(wanted).with_concatenation(may);
        let end = talk(&mut controller, start, 1).map(|psk| psk.is_some());
        assert!(controller.take_generated().is_none(), "{end:?}");
        end
    };
    let group = Some(DhGroup::Ffdhe2048);
    let (mismatch, hash) = (FailureReason::ConcatenationMismatch, FailureReason::HashNotUsable);
    let end = outcome(false, credentials(None, group), for_channel(keys(None)));
    assert_eq!(end, refused(mismatch));
    let sha512 = credentials(Some(HashId::Sha512), group);
    assert_eq!(outcome(true, sha512, for_channel(keys(None))), refused(hash));
    let null = credentials(None, Some(DhGroup::Null));
    let end = outcome(true, null, for_channel(keys(None)));
    assert_eq!(end, refused(FailureReason::GroupNotUsable));
    let wrong = HostKeys { host: secret(BOUND), controller: None };
    let end = outcome(true, credentials(None, group), for_channel(wrong));
    assert_eq!(end, refused(FailureReason::Failed));
    let unproved = outcome(true, credentials(None, group), for_channel(keys(Some(PLAIN))));
    assert_eq!(unproved, Err(HostAuthError::Unproved));
    let plain = outcome(true, credentials(None, group), host(keys(None)));
    assert_eq!(plain, Ok(false));
}

/// Lets them talk, the host with dice of `seed`; the key that it has then.
fn talk(
    controller: &mut ControllerSide,
    start: (HostSide, Step),
    seed: u8,
) -> Result<Option<TlsPsk>, HostAuthError> {
    let (mut host, mut step) = start;
    let mut dice = dice(seed);
    loop {
        step = match step {
            Step::Send(octets) => {
                send(controller, &octets);
                host.handle_sent()
            }
            Step::Receive => {
                let mut octets = Vec::new();
                controller.handle_receive(MESSAGE_BYTES_MAX, &mut octets);
                host.handle_received(&octets, &mut dice)
            }
            Step::Compute(job) => host.handle_agreed(job.compute()),
            Step::Done { generated, .. } => return Ok(generated),
            Step::Failed(why) => return Err(why),
        }
    }
}
