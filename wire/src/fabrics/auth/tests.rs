//! Messages by their octets, and any octets at all.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::nvme::{Cid, FabricsType};

fn octets(message: &AuthMessage<'_>) -> Vec<u8> {
    message.encode(&mut [0; MESSAGE_BYTES_MAX]).to_vec()
}

/// Goal: the commands say what Linux's host and target check.
#[test]
fn commands_lie_as_specified() {
    let send = AuthCmd::new(72).send(Cid(3));
    assert_eq!(send.as_octets()[..5], [0x7f, 0x40, 3, 0, 5]);
    assert_eq!(send.as_octets()[40..48], [0, 1, 1, 0xe9, 72, 0, 0, 0]);
    assert_eq!(AuthCmd::decode(&send), AuthCmd::new(72));
    let receive = AuthCmd::new(4096).receive(Cid(4));
    assert_eq!(receive.fabrics_type(), Some(FabricsType::AuthenticationReceive));
    assert_eq!(AuthCmd::decode(&receive).length, 4096);
}

/// Goal: each message has its fields where the specification puts them.
#[test]
fn messages_lie_as_specified() {
    let offer = Offer { hashes: IdList::new([1, 2, 3]), groups: IdList::new([0, 5]) };
    let negotiate = Negotiate { transaction: 0x1234, concatenation: 0, offer: Some(offer) };
    let sent = octets(&AuthMessage::Negotiate(negotiate));
    assert_eq!(sent.len(), 72);
    assert_eq!(sent[..16], [0, 0, 0, 0, 0x34, 0x12, 0, 1, 1, 0, 3, 2, 1, 2, 3, 0]);
    assert_eq!(sent[42..45], [0, 5, 0], "groups begin 30 octets behind hashes");

    let (c1, dh) = ([0xc1; 48], [0xd4; 256]);
    let challenge = Challenge {
        transaction: 7,
        hash: 2,
        group: 1,
        sequence: 0x0102_0304,
        challenge: &c1,
        dh_value: &dh,
    };
    let sent = octets(&AuthMessage::Challenge(challenge));
    assert_eq!(sent[..16], [1, 1, 0, 0, 7, 0, 48, 0, 2, 1, 0, 1, 4, 3, 2, 1]);
    assert_eq!((sent.len(), sent[63], sent[64]), (16 + 48 + 256, 0xc1, 0xd4));

    let response = [0xaa; 32];
    let reply =
        Reply { transaction: 7, sequence: 9, response: &response, challenge: None, dh_value: &[] };
    let sent = octets(&AuthMessage::Reply(reply));
    assert_eq!(sent[..16], [1, 2, 0, 0, 7, 0, 32, 0, 0, 0, 0, 0, 9, 0, 0, 0]);
    assert_eq!(sent.len(), 16 + 64, "room for a challenge is there without one");

    let success = Success1 { transaction: 7, digest_bytes: 32, response: Some(&response) };
    let sent = octets(&AuthMessage::Success1(success));
    assert_eq!(sent[..16], [1, 3, 0, 0, 7, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    let failure = Failure { transaction: 7, reason: FailureReason::HashNotUsable.octet() };
    assert_eq!(octets(&AuthMessage::Failure1(failure)), [0, 0xf1, 0, 0, 7, 0, 1, 4]);
    assert_eq!(octets(&AuthMessage::Failure2(failure)), [0, 0xf0, 0, 0, 7, 0, 1, 4]);
    let success2 = octets(&AuthMessage::Success2 { transaction: 7 });
    assert_eq!((success2.len(), &success2[..6]), (16, &[1, 4, 0, 0, 7, 0][..]));
}

/// Goal: lengths that cannot be are named, and never read past.
#[test]
fn impossible_lengths_are_refused() {
    let payload = Err(FailureReason::IncorrectPayload);
    let message = Err(FailureReason::IncorrectMessage);
    assert_eq!(AuthMessage::decode(&[]), payload);
    assert_eq!(AuthMessage::decode(&[1, 9, 0, 0, 0, 0, 0, 0]), message);
    assert_eq!(AuthMessage::decode(&[2, 0, 0, 0, 0, 0, 0, 0]), message);
    let mut negotiate = [0; 72];
    assert_eq!(AuthMessage::decode(&negotiate), payload, "no protocol");
    negotiate[7] = 2;
    assert_eq!(AuthMessage::decode(&negotiate), payload, "the second one is missing");
    (negotiate[7], negotiate[8], negotiate[10]) = (1, 1, 31);
    assert_eq!(AuthMessage::decode(&negotiate), payload, "31 hashes in 30 places");
    let mut reply = [0; 1200];
    (reply[0], reply[1], reply[6]) = (1, 2, 33);
    assert_eq!(AuthMessage::decode(&reply), payload, "no hash is that long");
    (reply[6], reply[10], reply[11]) = (32, 1, 4);
    assert_eq!(AuthMessage::decode(&reply), payload, "no group is that large");
    (reply[10], reply[11]) = (0, 4);
    assert!(AuthMessage::decode(&reply[..16 + 64 + 1024]).is_ok());
    assert_eq!(AuthMessage::decode(&reply[..16 + 64 + 1023]), payload);
}

/// Goal: a host that offers other protocols only is understood, and written as that.
#[test]
fn offers_of_other_protocols_are_none() {
    let mut sent = [0; 72];
    (sent[7], sent[8]) = (1, 77);
    let message = AuthMessage::decode(&sent).unwrap();
    assert!(matches!(&message, AuthMessage::Negotiate(Negotiate { offer: None, .. })));
    assert_eq!(AuthMessage::decode(&octets(&message)), Ok(message));
}

proptest! {
    /// Goal: no octets panic, and what was understood is written as it was.
    #[test]
    fn any_octets_are_read_or_refused(
        kind in 0_u8..3, id in prop_oneof![0_u8..6, 0xef_u8..=0xf2], body in vec(any::<u8>(), 0..1400),
        digest in prop_oneof![Just(32_u8), Just(48), Just(64), any::<u8>()], dh in 0_u16..1100,
    ) {
        let mut sent = [&[kind, id][..], &body].concat();
        if sent.len() > 12 {
            sent[6] = digest;
            sent[10..12].copy_from_slice(&dh.to_le_bytes());
        }
        if let Ok(message) = AuthMessage::decode(&sent) {
            let again = octets(&message);
            prop_assert_eq!(AuthMessage::decode(&again), Ok(message));
        }
    }

    /// Goal: a message cut anywhere is refused, one with octets behind it is not.
    #[test]
    fn lengths_are_exact(cut in 0_usize..400, digest in vec(any::<u8>(), 32), dh in vec(any::<u8>(), 256)) {
        let reply = AuthMessage::Reply(Reply {
            transaction: 1, sequence: 2, response: &digest, challenge: Some(&digest), dh_value: &dh,
        });
        let mut sent = octets(&reply);
        let len = sent.len();
        sent.extend([0xee; 100]);
        let read = AuthMessage::decode(&sent[..cut.min(sent.len())]);
        prop_assert_eq!(read.is_ok(), cut >= len);
    }
}
