//! Marks of a congested queue on real sockets, from ECT(0) to the sender's rate.

use super::*;
use memory::Registry;
use netstack::endpoint::CcKind;
use netstack::link::{InjectLink, LinkCaps, SharedPort};
use std::io;

/// ECN field of a packet that may be marked, and of one that is. Source: RFC 3168, section 5.
const ECT_0: u8 = 2;
const CE: u8 = 3;

/// A link behind a router whose queue is always too long: whatever may be marked is marked.
struct Congested<L> {
    inner: L,
    arriving: RxRing,
    waiting: Vec<(Vec<u8>, SocketAddr, u8)>,
}

impl<L: Link> Congested<L> {
    fn new(inner: L) -> Congested<L> {
        Congested { inner, arriving: RxRing::new(4, 1 << 16), waiting: Vec::new() }
    }
}

impl<L: Link> Link for Congested<L> {
    fn caps(&self) -> &LinkCaps {
        self.inner.caps()
    }
    fn rx_burst(&mut self, ring: &mut RxRing) -> io::Result<usize> {
        self.inner.rx_burst(&mut self.arriving)?;
        for packet in self.arriving.packets() {
            let ecn = if packet.ecn == ECT_0 { CE } else { packet.ecn };
            self.waiting.push((self.arriving.octets(packet).to_vec(), packet.from, ecn));
        }
        self.arriving.recycle();
        let room = self.waiting.len().min(ring.free_slots() as usize);
        let mut added = 0;
        for (octets, from, ecn) in self.waiting.drain(..room) {
            let slot = ring.free_slots_mut().next().unwrap();
            slot[..octets.len()].copy_from_slice(&octets);
            added += ring.fill(octets.len(), octets.len(), from, ecn);
        }
        Ok(added)
    }
    fn tx_burst(&mut self, batch: &mut TxBatch, memory: &Registry) -> io::Result<usize> {
        self.inner.tx_burst(batch, memory)
    }
    fn set_ecn_capable(&mut self, capable: bool) {
        self.inner.set_ecn_capable(capable);
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.inner.counters(report);
    }
}

/// A host with `cc` on `link` writes to a target and reads from it; counters of both.
fn counted<L: Link>(
    link: L,
    at: &str,
    cc: CcKind,
    mode: Mode,
) -> (HashMap<&'static str, u64>, HashMap<&'static str, u64>) {
    let config = |seed, cc| EndpointConfig { cc, ..config(seed, mode) };
    let router = Congested::new(UdpLink::bind(addr(at)).unwrap());
    let target = Nic::new(router, config(2, CcKind::default()));
    let (host, target) = scenario(Nic::new(link, config(1, cc)), target, addr(at));
    (host.counters(), target.counters())
}

/// Goal: `dcqcn` on every link that a host may have sends what can be marked, the target tells of the marks,
/// and the host hears of it; whatever does not give way sends nothing that a router would mark.
#[test]
fn marks_are_answered_on_every_link() {
    let own = |number: u8| addr(&format!("127.0.1.4{number}:4791"));
    let links: [fn(SocketAddr) -> Box<dyn Link>; 4] = [
        |own| Box::new(UdpLink::bind(own).unwrap()),
        |own| Box::new(SharedPort::join(own).unwrap()),
        |own| Box::new(InjectLink::new(UdpLink::bind(own).unwrap(), &[], 1, Instant::now)),
        |own| Box::new(PcapLink::new(UdpLink::bind(own).unwrap(), io::sink()).unwrap()),
    ];
    for (number, link) in (1..).zip(links) {
        for cc in CcKind::NAMES.map(|name| CcKind::named(name).unwrap()) {
            let (host, target) = counted(link(own(number)), "127.0.1.40:4791", cc, Mode::Roce);
            let seen = (target["qp.ecn_marks_in"], target["qp.cnps_out"], host["qp.cnps_in"]);
            if cc == CcKind::Dcqcn {
                assert!(seen.0 > 0 && seen.1 > 0 && seen.2 > 0, "link {number}: {seen:?}");
                assert!(seen.1 <= seen.0, "link {number}: more notifications than marks: {seen:?}");
            } else {
                assert_eq!(seen, (0, 0, 0), "link {number}, {}", cc.name());
            }
        }
    }
}

/// Goal: in native mode, too, marks arrive; acknowledgements tell of them, so that nobody is notified beside.
#[test]
fn marks_arrive_in_native_mode() {
    for cc in CcKind::NAMES.map(|name| CcKind::named(name).unwrap()) {
        let link = UdpLink::bind(addr("127.0.1.47:4791")).unwrap();
        let (host, target) = counted(link, "127.0.1.48:4791", cc, Mode::Native);
        assert_eq!(target["qp.ecn_marks_in"] > 0, cc == CcKind::Dcqcn, "{}", cc.name());
        assert_eq!((target["qp.cnps_out"], host["qp.cnps_in"]), (0, 0), "{}", cc.name());
    }
}

/// Goal: threads on one port have one socket: what one of them sends may be marked only while all of them
/// give way to marks.
#[test]
fn one_port_is_marked_when_all_on_it_give_way() {
    let own = addr("127.0.1.45:4791");
    let marks =
        |link| counted(link, "127.0.1.46:4791", CcKind::Dcqcn, Mode::Roce).1["qp.ecn_marks_in"];
    let join = || SharedPort::join(own).unwrap();
    let mut other = join();
    other.set_ecn_capable(false);
    assert_eq!(marks(join()), 0, "the other thread takes no notice of marks");
    other.set_ecn_capable(true);
    assert!(marks(join()) > 0, "both give way");
    drop(other);
    assert!(marks(join()) > 0, "alone");
}
