use super::super::Gather;
use super::*;
use memory::Sge;

const PORT: u16 = 4420;

struct End {
    fabric: Loopback,
    region: Region,
    mr: Mr,
}

impl End {
    fn new(fabric: Loopback) -> End {
        let mut fabric = fabric;
        let region = Region::allocate(64 << 10).unwrap();
        let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE | Access::REMOTE_READ;
        let mr = fabric.register(&region, access).unwrap();
        End { fabric, region, mr }
    }
    fn sge(&self, offset: u64, length: u32) -> Sge {
        Sge { addr: self.mr.addr + offset, length, lkey: self.mr.lkey }
    }
    fn remote(&self, offset: u64) -> Remote {
        Remote { addr: self.mr.addr + offset, rkey: self.mr.rkey }
    }
    fn post(&mut self, qp: QpHandle, token: u64, op: WorkOp, local: Sge) {
        let work = Work { token, op, local: Gather::one(local), signaled: true };
        self.fabric.post(qp, work).unwrap();
    }
    fn events(&mut self) -> Vec<FabricEvent> {
        let mut events = Vec::new();
        self.fabric.poll(Instant::now(), &mut events);
        events
    }
}

fn addr(host: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, host], 4791))
}

fn params(private: &[u8]) -> ConnectParams {
    ConnectParams { private: private.to_vec(), send_depth: 2, recv_depth: 2, read_depth: 4 }
}

fn ends() -> (End, End) {
    let client = Loopback::new(addr(1));
    let mut server = client.join(addr(2));
    server.listen(PORT);
    (End::new(client), End::new(server))
}

fn service() -> SocketAddr {
    SocketAddr::new(addr(2).ip(), PORT)
}

fn connected() -> (End, QpHandle, End, QpHandle) {
    let (mut client, mut server) = ends();
    let a = client.fabric.connect(Instant::now(), service(), params(b"ask"));
    let events = server.events();
    let [FabricEvent::ConnectRequest { qp: b, private, port: PORT, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(private, b"ask");
    server.fabric.accept(Instant::now(), *b, params(b"yes"));
    let private = b"yes".to_vec();
    assert_eq!(client.events(), [FabricEvent::Established { qp: a, private, read_depth: 4 }]);
    assert_eq!(server.events().len(), 1);
    (client, a, server, *b)
}

/// A message waits for its receive; then both sides hear of it and the octets are there.
#[test]
fn sends_wait_for_receives() {
    let (mut client, a, mut server, b) = connected();
    client.region.write(0, b"capsule");
    let from = client.sge(0, 7);
    client.post(a, 1, WorkOp::Send { invalidate: None }, from);
    assert!(client.events().is_empty() && server.events().is_empty());
    let to = server.sge(100, 64);
    server.post(b, 2, WorkOp::Recv, to);
    let received = FabricEvent::Recv { qp: b, token: 2, len: 7, invalidated: None };
    assert_eq!(server.events(), [received]);
    let done = FabricEvent::Done { qp: a, token: 1, status: WcStatus::Success };
    assert_eq!(client.events(), [done]);
    let mut octets = [0; 7];
    server.region.read(100, &mut octets);
    assert_eq!(&octets, b"capsule");
}

/// READ and WRITE move octets in posting order; a key that was invalidated by a message opens
/// nothing any more, and its use ends the connection on both sides, last event last.
#[test]
fn remote_memory_and_invalidation() {
    let (mut client, a, mut server, b) = connected();
    client.region.write(0, b"data");
    let (remote, there) = (client.remote(0), client.remote(1000));
    let local = server.sge(0, 4);
    server.post(b, 1, WorkOp::RdmaRead(remote), local);
    server.post(b, 2, WorkOp::RdmaWrite(there), local);
    assert_eq!(server.events().len(), 2);
    let mut octets = [0; 4];
    client.region.read(1000, &mut octets);
    assert_eq!(&octets, b"data");
    // Receives lie in a registration of their own: the invalidated one opens nothing locally.
    let region = Region::allocate(4096).unwrap();
    let landing = client.fabric.register(&region, Access::LOCAL_WRITE).unwrap();
    let receive = Sge { addr: landing.addr, length: 64, lkey: landing.lkey };
    client.post(a, 3, WorkOp::Recv, receive);
    let key = client.mr.rkey;
    server.post(b, 4, WorkOp::Send { invalidate: Some(key) }, local);
    assert_eq!(server.events().len(), 1);
    let received = FabricEvent::Recv { qp: a, token: 3, len: 4, invalidated: Some(key) };
    assert_eq!(client.events(), [received]);
    server.post(b, 5, WorkOp::RdmaWrite(there), local);
    let events = server.events();
    let refused = FabricEvent::Done { qp: b, token: 5, status: WcStatus::RemAccessErr };
    assert_eq!(events[0], refused);
    assert!(
        matches!(events.last(), Some(FabricEvent::Disconnected { qp, .. }) if *qp == b),
        "{events:?}"
    );
    assert!(
        matches!(client.events().last(), Some(FabricEvent::Disconnected { qp, .. }) if *qp == a)
    );
}

/// A queue takes what it was made for, gives the rest back, and flushes before the end.
#[test]
fn full_queues_and_flush() {
    let (mut client, a, mut server, _) = connected();
    let sge = client.sge(0, 8);
    client.post(a, 1, WorkOp::Recv, sge);
    client.post(a, 2, WorkOp::Recv, sge);
    let third = Work { token: 3, op: WorkOp::Recv, local: Gather::one(sge), signaled: true };
    assert_eq!(client.fabric.post(a, third), Err(Full(third)));
    client.fabric.disconnect(Instant::now(), a);
    let status = WcStatus::WrFlushErr;
    let flushed = |token| FabricEvent::Done { qp: a, token, status };
    let end = FabricEvent::Disconnected { qp: a, reason: DisconnectReason::Local };
    assert_eq!(client.events(), [flushed(1), flushed(2), end]);
    let events = server.events();
    let by_peer = DisconnectReason::Peer;
    assert!(
        matches!(events[..], [FabricEvent::Disconnected { reason, .. }] if reason == by_peer),
        "{events:?}"
    );
    assert!(client.fabric.post(a, third).is_ok(), "dropped silently");
    assert!(client.events().is_empty());
}

/// Refusals carry their reason: nobody listens (8), or the application's own words (28).
#[test]
fn refusals() {
    let (mut client, mut server) = ends();
    let nobody = SocketAddr::new(addr(2).ip(), 1);
    client.fabric.connect(Instant::now(), nobody, params(b""));
    assert!(matches!(client.events()[..], [FabricEvent::Rejected { reason: 8, .. }]));
    client.fabric.connect(Instant::now(), service(), params(b""));
    let Some(FabricEvent::ConnectRequest { qp, .. }) = server.events().pop() else { panic!() };
    server.fabric.reject(Instant::now(), qp, b"no");
    let events = client.events();
    let [FabricEvent::Rejected { reason: 28, private, .. }] = &events[..] else { panic!() };
    assert_eq!(private, b"no");
}
