//! perftest's protocol, both sides ours.

use super::super::bw::{BwClient, BwParams, BwServer, BwServerParams, Goal, PORT, Verb};
use super::{CLIENT, SERVER, Wire, run, to};
use netstack::endpoint::Mode;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const VERBS: [Verb; 5] = [Verb::Send, Verb::Write, Verb::Read, Verb::FetchAdd, Verb::CompareSwap];

fn ip(text: &str) -> IpAddr {
    text.parse::<SocketAddr>().unwrap().ip()
}

pub(super) fn server(verb: Verb, bytes: u32) -> BwServer {
    let (port, address, path_mtu_bytes) = (PORT, ip(SERVER), 1024);
    let (receives, outs) = (64, 16);
    BwServer::new(BwServerParams { verb, bytes, port, address, path_mtu_bytes, receives, outs })
}

pub(super) fn client(verb: Verb, bytes: u32, goal: Goal) -> BwClient {
    let (to, address, path_mtu_bytes) = (to(PORT), ip(CLIENT), 1024);
    let (depth, outs) = (32, 16);
    BwClient::new(BwParams { verb, bytes, to, address, path_mtu_bytes, goal, depth, outs })
}

/// Goal: each verb, messages of a part of a packet and of many, in both wire modes: all are done, and
/// both sides tell of the same.
#[test]
fn every_verb_comes_to_its_end() {
    for mode in [Mode::Roce, Mode::Native] {
        for (verb, bytes) in VERBS.into_iter().flat_map(|verb| [(verb, 1), (verb, 5000)]) {
            let goal = Goal::Iterations(101);
            let (server, client) =
                run(server(verb, bytes), client(verb, bytes, goal), Wire::good(mode));
            let what = format!("{verb:?} {bytes} {mode:?}");
            assert_eq!((server.outcome, client.outcome), (Some(Ok(())), Some(Ok(()))), "{what}");
            let (here, there) = (client.tool.report().unwrap(), server.tool.report().unwrap());
            let due = if verb.is_atomic() { 8 } else { u64::from(bytes) };
            assert_eq!((here.iterations, here.bytes), (101, due), "{what}");
            assert_eq!((there.iterations, there.bytes), (101, due), "{what}");
            assert_eq!(there.measured == "here", verb == Verb::Send);
            if verb != Verb::Send {
                assert_eq!(there.bw_average_mib_per_s, here.bw_average_mib_per_s, "{what}");
            }
            assert!(here.msg_rate_mpps > 0.0 && there.msg_rate_mpps > 0.0);
            assert_eq!((here.wire, there.wire), (there.wire, here.wire));
            assert_eq!(here.wire == "native", mode == Mode::Native);
        }
    }
}

/// Goal: the same under loss: no verb's test hangs or stops short.
#[test]
fn every_verb_under_loss() {
    for (seed, verb) in (0..).zip(VERBS) {
        for mode in [Mode::Roce, Mode::Native] {
            let wire = Wire { drop_ppm: 10_000, seed, ..Wire::good(mode) };
            let goal = Goal::Iterations(200);
            let (server, client) = run(server(verb, 3000), client(verb, 3000, goal), wire);
            assert_eq!((server.outcome, client.outcome), (Some(Ok(())), Some(Ok(()))), "{verb:?}");
            assert_eq!(client.tool.report().unwrap().iterations, 200);
        }
    }
}

/// Goal: fetch-and-add adds once for each message, no more under loss, where requests are repeated.
#[test]
fn each_atomic_is_done_once() {
    for mode in [Mode::Roce, Mode::Native] {
        let wire = Wire { drop_ppm: 20_000, ..Wire::good(mode) };
        let verb = Verb::FetchAdd;
        let (server, client) = run(server(verb, 8), client(verb, 8, Goal::Iterations(300)), wire);
        assert_eq!(client.outcome, Some(Ok(())));
        assert_eq!(server.tool.first_word(), 300);
    }
}

/// Goal: a test of a stated time ends in that time, with everything done that was begun.
#[test]
fn a_test_ends_with_its_time() {
    for verb in VERBS {
        let goal = Goal::Time(Duration::from_millis(20));
        let (_, client) = run(server(verb, 64), client(verb, 64, goal), Wire::good(Mode::Native));
        assert_eq!(client.outcome, Some(Ok(())), "{verb:?}");
        let report = client.tool.report().unwrap();
        let seconds = super::super::float(report.iterations) / (report.msg_rate_mpps * 1e6);
        assert!((0.02..0.03).contains(&seconds), "{verb:?}: {seconds} s");
    }
}

/// Goal: a server of SEND tells what arrived, not what there was room for.
#[test]
fn a_server_tells_what_arrived() {
    let goal = Goal::Iterations(100);
    let (verb, wire) = (Verb::Send, Wire::good(Mode::Roce));
    let (server, client) = run(server(verb, 5000), client(verb, 1000, goal), wire);
    let (here, there) = (client.tool.report().unwrap(), server.tool.report().unwrap());
    assert_eq!((there.bytes, there.iterations), (1000, 100));
    let ratio = there.bw_average_mib_per_s / here.bw_average_mib_per_s;
    assert!((0.5..2.0).contains(&ratio), "{here:?} {there:?}");
}
