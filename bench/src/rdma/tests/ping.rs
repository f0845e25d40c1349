//! rping's protocol, both sides ours.

use super::super::ping::{PORT, PingClient, PingParams, PingServer, PingServerParams};
use super::{Wire, run, to};
use netstack::endpoint::Mode;

fn server(is_verbose: bool) -> PingServer {
    PingServer::new(PingServerParams { port: PORT, is_persistent: false, is_verbose })
}

fn client(count: u64, bytes: u32) -> PingClient {
    let (validates, is_verbose) = (true, false);
    PingClient::new(PingParams { to: to(PORT), count, bytes, validates, is_verbose })
}

/// Goal: every octet comes back as it was sent, in both wire modes, for the shortest data, data of
/// one packet and of many.
#[test]
fn data_comes_back() {
    for mode in [Mode::Roce, Mode::Native] {
        for bytes in [26, 64, 1024, 1025, 65_535] {
            let (server, client) = run(server(false), client(20, bytes), Wire::good(mode));
            assert_eq!((server.outcome, client.outcome), (Some(Ok(())), Some(Ok(()))), "{bytes}");
            let report = client.tool.report();
            assert_eq!((report.pings, server.tool.pings()), (20, 20));
            assert_eq!(report.wire == "native", mode == Mode::Native);
            assert!(report.min_us > 0.0 && report.max_us >= report.p50_us);
        }
    }
}

/// Goal: nothing of it depends on a wire without loss.
#[test]
fn data_comes_back_under_loss() {
    for mode in [Mode::Roce, Mode::Native] {
        for seed in 0..6 {
            let wire = Wire { drop_ppm: 20_000, seed, ..Wire::good(mode) };
            let (server, client) = run(server(false), client(50, 4000), wire);
            assert_eq!(client.outcome, Some(Ok(())), "seed {seed} {mode:?}");
            // The last "go ahead" may be what is lost when the client has left.
            assert!(server.tool.pings() == 50, "seed {seed} {mode:?}: {:?}", server.outcome);
        }
    }
}

/// Goal: `-v` shows what the client sent, as rping's server does.
#[test]
fn a_verbose_server_tells_the_data() {
    let (server, _) = run(server(true), client(2, 64), Wire::good(Mode::Native));
    let told = server.notes.join("\n");
    assert!(told.contains("server ping data: rdma-ping-0: ABC"), "{told}");
    assert!(told.contains("rdma-ping-1: BCD") && told.contains("after 2 pings"), "{told}");
}

/// Goal: a user who interrupts gets an orderly end on both sides, whatever was under way.
#[test]
fn an_interrupted_client_leaves_in_order() {
    for turns in [1, 5, 40, 401, 1003] {
        let wire = Wire { interrupt_at: Some(turns), ..Wire::good(Mode::Native) };
        let persistent = PingServer::new(PingServerParams {
            port: PORT,
            is_persistent: true,
            is_verbose: false,
        });
        let (mut near, mut far) = super::sides(persistent, client(0, 64), wire);
        super::advance(&mut near, &mut far, wire, 2000);
        assert_eq!(far.outcome, Some(Ok(())), "{turns}");
        assert_eq!(near.outcome, None, "a persistent server stays");
        assert_eq!(near.nic.endpoint_mut().qp_count(), 0, "{turns}: {:?}", near.notes);
    }
}

/// Goal: where nobody listens, the user is told so in bounded time.
#[test]
fn nobody_there() {
    let elsewhere =
        PingServer::new(PingServerParams { port: 1, is_persistent: true, is_verbose: false });
    let wire = Wire::good(Mode::Native);
    let (mut near, mut far) = super::sides(elsewhere, client(1, 64), wire);
    super::advance(&mut near, &mut far, wire, 100_000);
    let why = far.outcome.unwrap().unwrap_err().to_string();
    assert!(why.contains("nobody listens"), "{why}");
}
