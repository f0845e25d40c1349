//! TLS over real sockets: both sides of ours against each other, and against peers that misbehave.

use super::sockets::{
    End, accept, dial, host, ic_req, is_closed, next_pdu, raw, run, send_connect, target,
};
use crate::fabric::{DisconnectReason, Fabric, FabricEvent, Psk, PskHash, QpHandle, Security};
use crate::nvme_tcp::tls::{ALERT_UNKNOWN, ALERT_WRONG_KEY, TlsFault};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::nvme_tcp::PduKind;
use zeroize::Zeroizing;

pub(super) const IDENTITY: &str = "NVMe0R01 nqn.h nqn.s";

pub(super) fn psk(identity: &str, octet: u8, hash: PskHash) -> Psk {
    let bytes = if hash == PskHash::Sha256 { 32 } else { 48 };
    let secret = Arc::new(Zeroizing::new(vec![octet; bytes]));
    Psk { identity: identity.into(), secret, hash }
}
/// A target that speaks TLS with hosts that have key 1.
pub(super) fn secured(number: u8, security: Security) -> (End, SocketAddr) {
    let (mut target, to) = target(number);
    target.fabric.secure_listener("tcp", to, security).unwrap();
    target.fabric.set_psk(IDENTITY, Some(psk(IDENTITY, 1, PskHash::Sha256)));
    (target, to)
}
pub(super) fn with_keys(psks: Vec<Psk>) -> End {
    let mut host = host();
    host.fabric.set_host_psks(psks);
    host
}
fn count(end: &End, wanted: &str) -> u64 {
    let mut found = 0;
    end.fabric.counters(&mut |name, count| found += if name == wanted { count } else { 0 });
    found
}
/// Until the host hears how it went; then that.
fn outcome(target: &mut End, host: &mut End, qp: QpHandle) -> FabricEvent {
    let is_it = |event: &&FabricEvent| match event {
        FabricEvent::Established { qp: it, .. } | FabricEvent::Disconnected { qp: it, .. } => {
            *it == qp
        }
        _ => false,
    };
    run(&mut [target, host], |ends| ends[1].events.iter().any(|event| is_it(&event)));
    host.events.iter().find(is_it).cloned().unwrap()
}
fn insecure(fault: TlsFault) -> DisconnectReason {
    DisconnectReason::Insecure(fault.words())
}

/// Goal: with the same key a connection is made and carries capsules, its host is known by the name of
/// the key; with both hashes, and where the host has a key that the target does not know beside it.
#[test]
fn the_same_key_connects() {
    for (number, hash) in [(120, PskHash::Sha256), (121, PskHash::Sha384)] {
        let (mut target, to) = secured(number, Security::Required);
        target.fabric.set_psk(IDENTITY, Some(psk(IDENTITY, 1, hash)));
        let mut host = with_keys(vec![psk("NVMe1R01 other", 9, hash), psk(IDENTITY, 1, hash)]);
        let qp = dial(&mut host, to, 1);
        let event = outcome(&mut target, &mut host, qp);
        assert!(matches!(event, FabricEvent::Established { .. }), "{event:?}");
        send_connect(&mut host, qp, 1, 31);
        run(&mut [&mut target, &mut host], |ends| !ends[0].requests().is_empty());
        let at = target.requests()[0];
        assert_eq!(target.fabric.identity_of(at), Some(IDENTITY));
        accept(&mut target, at);
        let received = |event: &FabricEvent| matches!(event, FabricEvent::Recv { .. });
        run(&mut [&mut target, &mut host], |ends| ends[0].events.iter().any(received));
        assert_eq!((count(&target, "tls.handshakes"), count(&target, "tls.failures")), (1, 0));
        assert!(count(&target, "tls.copied_bytes") > 0);
        host.fabric.disconnect(host.now, qp);
        let gone = FabricEvent::Disconnected { qp: at, reason: DisconnectReason::Peer };
        run(&mut [&mut target, &mut host], |ends| ends[0].events.contains(&gone));
    }
}

/// Goal: another key, or none that is known, is refused; both sides know which of the two it was.
#[test]
fn other_keys_are_refused() {
    let (mut target, to) = secured(122, Security::Optional);
    for (psk, alert) in [
        (psk(IDENTITY, 2, PskHash::Sha256), ALERT_WRONG_KEY),
        (psk("NVMe0R01 nqn.h nqn.other", 1, PskHash::Sha256), ALERT_UNKNOWN),
    ] {
        let failures = count(&target, "tls.failures");
        let mut host = with_keys(vec![psk]);
        let qp = dial(&mut host, to, 1);
        let told = outcome(&mut target, &mut host, qp);
        let reason = insecure(TlsFault::Alert(alert));
        assert_eq!(told, FabricEvent::Disconnected { qp, reason });
        run(&mut [&mut target, &mut host], |ends| ends[0].fabric.connections.is_empty());
        assert_eq!(count(&target, "tls.failures"), failures + 1);
    }
    target.fabric.set_psk(IDENTITY, None);
    let mut host = with_keys(vec![psk(IDENTITY, 1, PskHash::Sha256)]);
    let qp = dial(&mut host, to, 1);
    let told = outcome(&mut target, &mut host, qp);
    assert!(matches!(told, FabricEvent::Disconnected { .. }), "a key that was taken away");
    assert!(target.events.is_empty(), "the consumer never heard of them");
}

/// Goal: a listener that merely offers TLS serves a host without it, as it came; one that demands it
/// does not, and counts that.
#[test]
fn plain_hosts_are_served_where_they_may_be() {
    for (number, security) in [(123, Security::Optional), (124, Security::Required)] {
        let (mut target, to) = secured(number, security);
        let mut plain = host();
        let qp = dial(&mut plain, to, 1);
        let told = outcome(&mut target, &mut plain, qp);
        if security == Security::Required {
            assert!(matches!(told, FabricEvent::Disconnected { .. }), "{told:?}");
            assert_eq!(count(&target, "tls.refused_plain"), 1);
            continue;
        }
        send_connect(&mut plain, qp, 1, 31);
        run(&mut [&mut target, &mut plain], |ends| !ends[0].requests().is_empty());
        assert_eq!(target.fabric.identity_of(target.requests()[0]), None);
        assert_eq!(count(&target, "tls.copied_bytes"), 0, "it costs nothing");
    }
}

/// Goal: a host that wants TLS does not go on without it at a target that has none.
#[test]
fn a_host_with_a_key_does_not_go_on_without() {
    let (mut target, to) = target(125);
    let mut host = with_keys(vec![psk(IDENTITY, 1, PskHash::Sha256)]);
    let qp = dial(&mut host, to, 1);
    let FabricEvent::Disconnected { reason: DisconnectReason::Insecure(_), .. } =
        outcome(&mut target, &mut host, qp)
    else {
        panic!("{:?}", host.events)
    };
}

/// Goal: half a handshake is gone after its time, nonsense at once, and neither holds up a good host.
#[test]
fn half_a_handshake_is_let_go() {
    let (mut target, to) = secured(126, Security::Required);
    let mut peers = [raw(to), raw(to), raw(to)];
    peers[0].write_all(&[22, 3, 1, 1, 0, 1, 0, 0, 252]).unwrap();
    peers[2].write_all(&[22, 3, 1, 0, 5, 2, 0, 0, 1, 0]).unwrap();
    assert!(is_closed(&mut peers[2], &mut target), "no first message");
    let mut host = with_keys(vec![psk(IDENTITY, 1, PskHash::Sha256)]);
    let qp = dial(&mut host, to, 1);
    let told = outcome(&mut target, &mut host, qp);
    assert!(matches!(told, FabricEvent::Established { .. }), "{told:?}");
    target.now += Duration::from_secs(11);
    assert!(is_closed(&mut peers[0], &mut target) && is_closed(&mut peers[1], &mut target));
    assert!(target.events.is_empty() && count(&target, "tls.failures") == 2);
}

/// Goal: octets that are changed on their way end the connection, and nothing of them is believed.
#[test]
fn changed_records_end_the_connection() {
    let (mut target, to) = secured(127, Security::Required);
    // A middle that changes the last octet of what the host sends from its third record on.
    let middle = std::net::TcpListener::bind("127.0.78.128:0").unwrap();
    let near = middle.local_addr().unwrap();
    let mut host = with_keys(vec![psk(IDENTITY, 1, PskHash::Sha256)]);
    let qp = dial(&mut host, near, 1);
    let (mut left, _) = middle.accept().unwrap();
    let mut right = raw(to);
    left.set_nonblocking(true).unwrap();
    right.set_nonblocking(true).unwrap();
    let mut is_established = false;
    for _ in 0..200_000 {
        host.turn();
        target.turn();
        pump(&mut left, &mut right, is_established);
        pump(&mut right, &mut left, false);
        let established = |event: &FabricEvent| matches!(event, FabricEvent::Established { .. });
        if !is_established && host.events.iter().any(established) {
            is_established = true;
            send_connect(&mut host, qp, 1, 31);
        }
        if is_established && target.fabric.connections.is_empty() {
            assert_eq!(count(&target, "tls.failures"), 1);
            assert!(target.requests().is_empty());
            return;
        }
    }
    panic!("it never ended");
}
pub(super) fn pump(from: &mut std::net::TcpStream, to: &mut std::net::TcpStream, change: bool) {
    let mut octets = [0; 4096];
    if let Ok(count) = std::io::Read::read(from, &mut octets) {
        if change && count > 0 {
            octets[count - 1] ^= 1;
        }
        // The other end may be gone.
        let _ = to.write_all(&octets[..count]);
    }
}

/// Goal: a plain host's ICReq still gets its answer at a listener that offers TLS, an octet at a time too.
#[test]
fn the_first_octet_tells() {
    let (mut target, to) = secured(129, Security::Optional);
    let mut slow = raw(to);
    target.turn();
    for octet in ic_req() {
        slow.write_all(&[octet]).unwrap();
        target.turn();
    }
    assert_eq!(next_pdu(&mut slow, &mut target)[0], PduKind::IcResp.octet());
}
