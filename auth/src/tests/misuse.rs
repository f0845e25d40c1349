//! Peers that misbehave: replays, order, truncation, silence.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;
use wire::fabrics::auth::{AuthMessage, Challenge, IdList, Negotiate, Offer, Reply, Success1};

fn octets(message: &AuthMessage<'_>) -> Vec<u8> {
    message.encode(&mut [0; MESSAGE_BYTES_MAX]).to_vec()
}
fn negotiate(hashes: &[u8], groups: &[u8], concatenation: u8) -> Vec<u8> {
    let ids = |ids: &[u8]| IdList::new(ids.iter().copied());
    let offer = Some(Offer { hashes: ids(hashes), groups: ids(groups) });
    octets(&AuthMessage::Negotiate(Negotiate { transaction: 0x0506, concatenation, offer }))
}
fn receive(controller: &mut ControllerSide) -> (Option<Received>, Vec<u8>) {
    let mut octets = Vec::new();
    (controller.handle_receive(MESSAGE_BYTES_MAX, &mut octets), octets)
}
fn failed(reason: FailureReason) -> Option<Received> {
    Some(Received::Failed(reason))
}
fn target() -> ControllerSide {
    controller(Credentials { controller: Some(secret(LONG)), ..Credentials::new(secret(PLAIN)) })
}
fn first(start: &(HostSide, Step)) -> Vec<u8> {
    let Step::Send(octets) = &start.1 else { panic!("{:?}", start.1) };
    octets.clone()
}

/// Goal: offers without anything that we would speak are refused by name.
#[test]
fn useless_offers_are_refused() {
    for (message, reason) in [
        (negotiate(&[9], &[0], 0), FailureReason::HashNotUsable),
        (negotiate(&[1], &[9], 0), FailureReason::GroupNotUsable),
        (negotiate(&[1], &[0], 1), FailureReason::ConcatenationMismatch),
        (negotiate(&[], &[], 0), FailureReason::HashNotUsable),
    ] {
        let mut target = target();
        assert!(matches!(send(&mut target, &message), Sent::Taken));
        assert_eq!(receive(&mut target).0, failed(reason));
        // It goes on failing, with the first reason.
        assert!(matches!(send(&mut target, &message), Sent::Taken));
        assert_eq!(receive(&mut target).0, failed(reason));
    }
    // What is configured is not negotiable.
    let wanted = Credentials { hash: Some(HashId::Sha512), ..Credentials::new(secret(PLAIN)) };
    let mut target = controller(wanted);
    send(&mut target, &negotiate(&[1, 2], &[0], 0));
    assert_eq!(receive(&mut target).0, failed(FailureReason::HashNotUsable));
}

/// Goal: messages out of order, of other transactions, or twice, end the conversation; nothing of them
/// authenticates.
#[test]
fn order_is_kept() {
    let start = || host(HostKeys { host: secret(PLAIN), controller: None });
    // Asked before anything was said.
    assert_eq!(receive(&mut target()).0, failed(FailureReason::IncorrectMessage));
    // Two Negotiates; Success2 at once; a Reply to no Challenge.
    let reply = Reply {
        transaction: 0x0506,
        sequence: 0,
        response: &[0; 32],
        challenge: None,
        dh_value: &[],
    };
    let reply = octets(&AuthMessage::Reply(reply));
    let success2 = octets(&AuthMessage::Success2 { transaction: 0x0506 });
    for second in [first(&start()), success2.clone(), reply] {
        let mut target = target();
        send(&mut target, &first(&start()));
        send(&mut target, &second);
        assert_eq!(receive(&mut target).0, failed(FailureReason::IncorrectMessage));
        assert!(!target.is_authenticated());
    }
    let mut target = target();
    send(&mut target, &first(&start()));
    send(&mut target, &octets(&AuthMessage::Success2 { transaction: 1 }));
    assert_eq!(receive(&mut target).0, failed(FailureReason::IncorrectPayload));
}

/// Goal: an overheard Reply is worth nothing later, on the same connection or another.
#[test]
fn replays_are_found() {
    let (mut honest, step) = host(HostKeys { host: secret(PLAIN), controller: None });
    let Step::Send(hello) = step else { panic!("{step:?}") };
    let mut target = target();
    // Its challenges differ from conversation to conversation.
    let mut random = dice(9);
    target.handle_send(now(), &hello, &mut random);
    honest.handle_sent();
    let challenge = receive(&mut target).1;
    let Step::Send(reply) = honest.handle_received(&challenge, &mut dice(1)) else { panic!() };
    target.handle_send(now(), &reply, &mut random);
    assert_eq!(receive(&mut target).0, Some(Received::Authenticated));
    target.handle_send(now(), &hello, &mut random);
    assert_ne!(receive(&mut target).1, challenge);
    target.handle_send(now(), &reply, &mut random);
    assert_eq!(receive(&mut target).0, failed(FailureReason::Failed));
}

/// Goal: a host cannot have its own challenge answered by sending it back as its question, and a
/// controller cannot do without an answer.
#[test]
fn reflection_and_silence_prove_nothing() {
    let (mut honest, step) = host(HostKeys { host: secret(PLAIN), controller: Some(secret(LONG)) });
    let Step::Send(hello) = step else { panic!("{step:?}") };
    let mut target = target();
    send(&mut target, &hello);
    honest.handle_sent();
    let challenge = receive(&mut target).1;
    let Step::Send(reply) = honest.handle_received(&challenge, &mut dice(1)) else { panic!() };
    honest.handle_sent();
    let success = Success1 { transaction: 0x0506, digest_bytes: 32, response: None };
    let success = octets(&AuthMessage::Success1(success));
    assert!(matches!(honest.handle_received(&success, &mut dice(1)), Step::Send(_)));
    assert!(matches!(honest.handle_sent(), Step::Failed(HostAuthError::Unproved)));

    let mut reflected = reply;
    reflected[48..80].copy_from_slice(&challenge[16..48]);
    send(&mut target, &reflected);
    assert_eq!(receive(&mut target).0, failed(FailureReason::Failed));
}

/// Goal: values of a group that are none, or missing, are refused on both sides.
#[test]
fn values_of_groups_are_checked() {
    let wanted = Credentials { group: Some(DhGroup::Ffdhe2048), ..Credentials::new(secret(PLAIN)) };
    for value in [&[][..], &[0; 256], &[0xff; 256], &[2; 384]] {
        let mut target = controller(wanted.clone());
        send(&mut target, &negotiate(&[1], &[1], 0));
        receive(&mut target);
        let response = [0; 32];
        send(
            &mut target,
            &octets(&AuthMessage::Reply(Reply {
                transaction: 0x0506,
                sequence: 0,
                response: &response,
                challenge: None,
                dh_value: value,
            })),
        );
        assert_eq!(receive(&mut target).0, failed(FailureReason::IncorrectPayload));
    }
    for (value, group, hash) in [(&[][..], 1, 1), (&[0; 256], 0, 1), (&[], 9, 1), (&[], 0, 9)] {
        let (mut honest, _) = host(HostKeys { host: secret(PLAIN), controller: None });
        honest.handle_sent();
        let challenge = Challenge {
            transaction: 0x0506,
            hash,
            group,
            sequence: 1,
            challenge: &[1; 32],
            dh_value: value,
        };
        let step =
            honest.handle_received(&octets(&AuthMessage::Challenge(challenge)), &mut dice(1));
        assert!(matches!(step, Step::Send(_)), "Failure2");
        assert!(matches!(honest.handle_sent(), Step::Failed(HostAuthError::Protocol(_))));
    }
}

/// Goal: a host that stops has a deadline, which new messages do not move; too little room changes
/// nothing; a second command while one is computed is told to wait.
#[test]
fn a_host_that_stops_is_given_up() {
    let wanted = Credentials { group: Some(DhGroup::Ffdhe2048), ..Credentials::new(secret(PLAIN)) };
    let mut target = controller(wanted);
    let deadline = target.deadline().unwrap();
    let later = now() + Duration::from_secs(20);
    let sent = target.handle_send(later, &negotiate(&[1], &[1], 0), &mut dice(2));
    let Sent::Compute(job) = sent else { panic!("{sent:?}") };
    let again = target.handle_send(later, &negotiate(&[1], &[1], 0), &mut dice(2));
    assert!(matches!(again, Sent::Busy));
    target.handle_agreed(job.compute());
    assert_eq!(target.deadline(), Some(deadline));
    let mut out = Vec::new();
    assert_eq!(target.handle_receive(303, &mut out), None);
    assert_eq!(target.handle_receive(304, &mut out), Some(Received::Next));
    assert_eq!(out.len(), 16 + 32 + 256);

    // Also one that was authenticated, whatever it begins with.
    let mut target = controller(Credentials::new(secret(PLAIN)));
    converse(&mut target, host(HostKeys { host: secret(PLAIN), controller: None }));
    assert_eq!(target.deadline(), None);
    target.handle_send(later, &[], &mut dice(2));
    assert!(target.deadline().is_some_and(|deadline| deadline > later));
    assert_eq!(receive(&mut target).0, failed(FailureReason::IncorrectPayload));
}

proptest! {
    /// Goal: a conversation cut or changed anywhere never panics, and never authenticates.
    #[test]
    fn damaged_replies_do_not_pass(at in 0_usize..100, flip in 1_u8.., cut in any::<bool>()) {
        let (mut honest, step) = host(HostKeys { host: secret(PLAIN), controller: Some(secret(LONG)) });
        let Step::Send(hello) = step else { panic!() };
        let mut target = target();
        send(&mut target, &hello);
        honest.handle_sent();
        let challenge = receive(&mut target).1;
        let Step::Send(mut reply) = honest.handle_received(&challenge, &mut dice(1)) else { panic!() };
        let at = at % reply.len();
        // Octets that are reserved, and the host's own challenge and its number, may be anything.
        let matters = cut || !matches!(at, 2..=3 | 7..=9 | 12..=15 | 48..);
        if cut { reply.truncate(at) } else { reply[at] ^= flip }
        send(&mut target, &reply);
        let given = receive(&mut target).0;
        if matters {
            prop_assert!(matches!(given, Some(Received::Failed(_))), "{:?}", given);
        }
        prop_assert!(!target.is_authenticated() || !matters);
    }

    /// Goal: nonsense in any order neither panics nor authenticates.
    #[test]
    fn nonsense_does_nothing(messages in vec((0_u8..2, prop_oneof![0_u8..6, 0xf0_u8..0xf2], vec(any::<u8>(), 0..200)), 1..8)) {
        let mut target = target();
        let (mut honest, _) = host(HostKeys { host: secret(PLAIN), controller: Some(secret(LONG)) });
        for (kind, id, body) in messages {
            let message = [&[kind, id, 0, 0, 6, 5][..], &body].concat();
            send(&mut target, &message);
            receive(&mut target);
            honest.handle_sent();
            let step = honest.handle_received(&message, &mut dice(1));
            let done = matches!(step, Step::Done { .. });
            prop_assert!(!done);
        }
        prop_assert!(!target.is_authenticated());
    }
}
