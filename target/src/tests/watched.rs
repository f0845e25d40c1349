//! The loopback fabric, with a look at what the target posts, and acknowledgements that can be late.

use crate::queue::{WorkKind, parse_token};
use memory::{Access, Mr, Region, RegistryFull};
use netstack::fabric::loopback::Loopback;
use netstack::fabric::{
    ConnectParams, Fabric, FabricEvent, FabricLimits, Full, QpHandle, Work, WorkOp,
};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

/// What the test sees and decides.
#[derive(Default)]
pub(super) struct Watch {
    /// READs outstanding, and the most that ever were.
    reads: Cell<(u32, u32)>,
    /// The target hears of no finished send while this is set.
    pub(super) late_acks: Cell<bool>,
    late: RefCell<Vec<FabricEvent>>,
}

impl Watch {
    pub(super) fn most_reads(&self) -> u32 {
        self.reads.get().1
    }
}

pub(super) struct Watched {
    pub(super) fabric: Loopback,
    pub(super) watch: Rc<Watch>,
}

impl Fabric for Watched {
    fn limits(&self) -> FabricLimits {
        self.fabric.limits()
    }
    fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        self.fabric.register(region, access)
    }
    fn deregister(&mut self, mr: &Mr) {
        self.fabric.deregister(mr);
    }
    fn listen(&mut self, port: u16) {
        self.fabric.listen(port);
    }
    fn connect(&mut self, now: Instant, to: SocketAddr, params: ConnectParams) -> QpHandle {
        self.fabric.connect(now, to, params)
    }
    fn accept(&mut self, now: Instant, qp: QpHandle, params: ConnectParams) {
        self.fabric.accept(now, qp, params);
    }
    fn reject(&mut self, now: Instant, qp: QpHandle, private: &[u8]) {
        self.fabric.reject(now, qp, private);
    }
    fn disconnect(&mut self, now: Instant, qp: QpHandle) {
        self.fabric.disconnect(now, qp);
    }
    fn post(&mut self, qp: QpHandle, work: Work) -> Result<(), Full<Work>> {
        self.fabric.post(qp, work)?;
        if matches!(work.op, WorkOp::RdmaRead(_)) {
            let (now, most) = self.watch.reads.get();
            self.watch.reads.set((now + 1, most.max(now + 1)));
        }
        Ok(())
    }
    fn poll(&mut self, now: Instant, out: &mut Vec<FabricEvent>) {
        if !self.watch.late_acks.get() {
            out.append(&mut self.watch.late.borrow_mut());
        }
        let first = out.len();
        self.fabric.poll(now, out);
        let kind = |event: &FabricEvent| {
            let FabricEvent::Done { token, .. } = event else { return None };
            Some(parse_token(*token).0)
        };
        let landed =
            out[first..].iter().filter(|event| kind(event) == Some(WorkKind::Read)).count();
        let (reads, most) = self.watch.reads.get();
        self.watch.reads.set((reads - landed as u32, most));
        if self.watch.late_acks.get() {
            let late = out.extract_if(first.., |event| kind(event) == Some(WorkKind::Send));
            self.watch.late.borrow_mut().extend(late);
        }
    }
    fn flush(&mut self, now: Instant) {
        self.fabric.flush(now);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.fabric.poll_timeout()
    }
    fn has_pending(&self) -> bool {
        self.fabric.has_pending()
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.fabric.counters(report);
    }
}
