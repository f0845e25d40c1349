use super::client::Pacing;
use super::*;
use crate::load::Observer;
use dpa::nic::Nic;
use dpa::rx::Placer;
use initiator::{PollMode, Waiter};
use memory::Region;
use netstack::endpoint::EndpointConfig;
use netstack::link::{Link, UdpLink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

struct Deaf;
impl Observer for Deaf {}

fn work(connections: u32, block_bytes: u32) -> Work {
    let serves = true;
    Work { block_bytes, connections, depth: 16, recv_depth: 8, serves, landing_blocks: 64 }
}

fn nic<O: dpa::engine::Offload>(local: &str, placer: Placer<O>) -> Nic<UdpLink, O> {
    let link = UdpLink::bind(local.parse().unwrap()).unwrap();
    let path_mtu_bytes = link.caps().path_mtu_bytes;
    let config = EndpointConfig { seed: 3, path_mtu_bytes, ..EndpointConfig::default() };
    Nic::with_placer(link, config, placer)
}

/// Serves until told to stop; what was served, and how much of it the NIC summed.
fn serve(local: &'static str, work: Work, by_nic: bool, stop: Arc<AtomicBool>) -> (u64, u64) {
    let store = Region::allocate(4 << 20).unwrap();
    let index = Index::build(Region::allocate(1 << 20).unwrap());
    let blocks = store.len() / work.block_bytes as usize;
    let sums = Sums::new(blocks);
    let handler = SumBlocks::new(sums.clone(), store.addr(), work.block_bytes);
    let nic = nic(local, Placer::new(handler, Vec::new()));
    let mut server = Server::new(nic, work, store, Some(index), by_nic.then_some(sums)).unwrap();
    while !stop.load(Ordering::Relaxed) {
        server.turn(Instant::now());
    }
    server.served()
}

fn run(ports: [&'static str; 2], work: Work, by_nic: bool, spoil: bool) -> ((u64, u64), u64, u64) {
    let stop = Arc::new(AtomicBool::new(false));
    let server = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || serve(ports[0], work, by_nic, stop))
    };
    let to =
        std::net::SocketAddr::new(ports[0].parse::<std::net::SocketAddr>().unwrap().ip(), PORT);
    let mut client = loop {
        // The server's thread may not listen yet.
        match Client::connect(nic(ports[1], Placer::<dpa::engine::NoOffload>::default()), work, to)
        {
            Ok(client) => break client,
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::TimedOut, "{error}"),
        }
    };
    if spoil {
        client.spoil();
    }
    let (ramp, time) = (Duration::from_millis(20), Duration::from_millis(200));
    let pacing = Pacing { ramp, time, waiter: Waiter::new(PollMode::Busy).yielding() };
    let outcome = client.run(pacing, &mut Deaf).unwrap();
    stop.store(true, Ordering::Relaxed);
    (server.join().unwrap(), outcome.blocks, outcome.refused)
}

/// Goal: every block is stored with the CRC that it was sent with, whether the NIC sums it or the
/// application, in one packet or in several, over one connection or many.
#[test]
fn good_blocks_are_stored() {
    for (by_nic, block_bytes, connections) in
        [(true, 4096, 1), (false, 4096, 3), (true, 16_384, 2), (false, 16_384, 1)]
    {
        let ports = ["127.0.9.11:4791", "127.0.9.12:0"];
        let ((served, bad), blocks, refused) =
            run(ports, work(connections, block_bytes), by_nic, false);
        assert!(blocks > 10 && served >= blocks, "{served} {blocks}");
        assert_eq!((bad, refused), (0, 0), "by_nic {by_nic}, {block_bytes} octets");
    }
}

/// Goal: a block that is not what its CRC says is refused, and told so, in both ways.
#[test]
fn spoilt_blocks_are_refused() {
    for by_nic in [true, false] {
        let ports = ["127.0.9.13:4791", "127.0.9.14:0"];
        let ((_, bad), _, refused) = run(ports, work(1, 4096), by_nic, true);
        assert!(bad > 0 && refused > 0, "by_nic {by_nic}");
    }
}

/// Goal: the NIC's sums are used when blocks came in order, and only then.
#[test]
fn sums_are_of_whole_blocks() {
    use dpa::engine::{Grant, Offload, PACKET_STEPS, Piece};
    let sums = Sums::new(2);
    let mut handler = SumBlocks::new(sums.clone(), 1000, 256);
    let octets: Vec<u8> = (0..=255).collect();
    let mut piece = |at, payload: &[u8]| {
        let piece = Piece { qp: verbs::QpNum::default(), at, payload };
        handler.on_packet(&piece, &mut Grant::new(PACKET_STEPS, &[])).unwrap();
    };
    piece(1000, &octets[..100]);
    piece(1100, &octets[100..]);
    assert_eq!(sums.take(0, 256), Some(crc32c::crc32c(&octets)));
    assert_eq!(sums.take(0, 256), None, "taken once");
    piece(1256, &octets[..100]);
    piece(1400, &octets[144..]);
    assert_eq!(sums.take(1, 256), None, "a gap");
    piece(10, &octets);
    piece(9999, &octets);
    assert_eq!((sums.take(0, 256), sums.take(1, 256)), (None, None), "elsewhere");
}

/// Goal: a walk stays inside, whatever the memory says, and equal keys walk alike.
#[test]
fn walks_stay_inside() {
    let memory = Region::allocate(64 << 10).unwrap();
    let index = Index::build(memory.clone());
    let mut keys = [1, 2, 1];
    index.walk(&mut keys);
    assert!(keys[0] == keys[2] && keys.iter().all(|&key| key < 1024));
    memory.fill(0, memory.len(), 0xff);
    index.walk(&mut keys);
    assert_eq!(keys, [1023; 3]);
}
