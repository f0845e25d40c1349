//! The loopback fabric, with a look at what the target posts, and acknowledgements that can be late.

use crate::queue::{WorkKind, parse_token};
use memory::{Access, Mr, Region, RegistryFull};
use netstack::fabric::loopback::Loopback;
use netstack::fabric::{
    ConnectParams, Fabric, FabricEvent, FabricLimits, Full, Psk, QpHandle, Security, Work, WorkOp,
};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
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
    /// What is known of TLS, which is not spoken: names of keys, with which hosts come now, and with which
    /// connections were made.
    pub(super) psks: BTreeSet<String>,
    pub(super) comes_with: Option<String>,
    pub(super) came_with: BTreeMap<u32, String>,
}

impl Watched {
    pub(super) fn new(fabric: Loopback, watch: Rc<Watch>) -> Watched {
        let (psks, came_with) = (BTreeSet::new(), BTreeMap::new());
        Watched { fabric, watch, psks, comes_with: None, came_with }
    }
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
        if let Some(identity) = &self.comes_with {
            self.came_with.insert(qp.0, identity.clone());
        }
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
        for event in &out[first..] {
            if let FabricEvent::Disconnected { qp, .. } = event {
                self.came_with.remove(&qp.0);
            }
        }
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
    fn secure_listener(&mut self, trtype: &str, _: SocketAddr, it: Security) -> io::Result<()> {
        let is_had = trtype == "tcp" || it == Security::None;
        if is_had { Ok(()) } else { Err(io::ErrorKind::Unsupported.into()) }
    }
    fn set_psk(&mut self, identity: &str, psk: Option<Psk>) {
        match psk {
            Some(_) => drop(self.psks.insert(identity.to_owned())),
            None => drop(self.psks.remove(identity)),
        }
    }
    fn identity_of(&self, qp: QpHandle) -> Option<&str> {
        self.came_with.get(&qp.0).map(String::as_str)
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
