//! Several threads of a process on one UDP port.

use super::*;
use netstack::link::SharedPort;

/// Goal: three threads with a target each, all from one address and port as RoCEv2 has it, in both wire
/// modes: none loses or gets an octet of another, whoever takes packets from the socket.
#[test]
fn three_threads_on_one_port() {
    for mode in MODES {
        let own = addr("127.0.1.21:4791");
        let threads: Vec<_> = (0..3_u64)
            .map(|number| {
                std::thread::spawn(move || {
                    let at = addr(&format!("127.0.1.3{number}:4791"));
                    let target = Nic::new(UdpLink::bind(at).unwrap(), config(50 + number, mode));
                    let host = Nic::new(SharedPort::join(own).unwrap(), config(60 + number, mode));
                    let (host, _) = scenario(host, target, at);
                    host.counters()["link.inbox_dropped"]
                })
            })
            .collect();
        let dropped: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(dropped, 0, "{mode:?}");
    }
}
