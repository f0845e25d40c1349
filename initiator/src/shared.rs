//! One fabric for several hosts: the paths of one subsystem share sockets, rings and registrations, so
//! that a command's memory is known by whichever path the command takes.

use crate::any::AnyFabric;
use memory::{Access, Mr, Region, RegistryFull};
use netstack::fabric::{ConnectParams, Fabric, FabricEvent, FabricLimits, Full, QpHandle, Work};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What all shares look at.
struct Hub {
    fabric: AnyFabric,
    /// Whose connection it is.
    owners: BTreeMap<u32, usize>,
    /// Events that their owners did not take yet.
    inboxes: Vec<VecDeque<FabricEvent>>,
    arrived: Vec<FabricEvent>,
}

/// One host's share. All of them are used by one thread: the lock is never waited for.
pub struct Share {
    hub: Arc<Mutex<Hub>>,
    number: usize,
    /// Readable when the fabric has something. `None`: it must be polled.
    fd: Option<OwnedFd>,
}

/// `count` shares of `fabric`.
#[must_use]
pub fn split(fabric: AnyFabric, count: usize) -> Vec<Share> {
    // A descriptor of RDMA may change when a peer comes by shared memory: those are polled.
    let is_steady = matches!(fabric, AnyFabric::Tcp(_));
    let fd = |fabric: &AnyFabric| {
        let fd = fabric.fd().filter(|_| is_steady);
        fd.and_then(|fd| fd.try_clone_to_owned().ok())
    };
    let fds: Vec<_> = (0..count).map(|_| fd(&fabric)).collect();
    let inboxes = (0..count).map(|_| VecDeque::new()).collect();
    let hub = Hub { fabric, owners: BTreeMap::new(), inboxes, arrived: Vec::new() };
    let hub = Arc::new(Mutex::new(hub));
    let share = |(number, fd)| Share { hub: Arc::clone(&hub), number, fd };
    fds.into_iter().enumerate().map(share).collect()
}

impl Hub {
    fn poll(&mut self, now: Instant) {
        let mut arrived = std::mem::take(&mut self.arrived);
        self.fabric.poll(now, &mut arrived);
        for event in arrived.drain(..) {
            let (qp, is_last) = match &event {
                FabricEvent::Recv { qp, .. }
                | FabricEvent::Done { qp, .. }
                | FabricEvent::Established { qp, .. }
                | FabricEvent::ConnectRequest { qp, .. } => (*qp, false),
                FabricEvent::Rejected { qp, .. } | FabricEvent::Disconnected { qp, .. } => {
                    (*qp, true)
                }
            };
            // What nobody owns, the first one refuses.
            let owner = self.owners.get(&qp.0).copied().unwrap_or(0);
            if is_last {
                self.owners.remove(&qp.0);
            }
            if let Some(inbox) = self.inboxes.get_mut(owner) {
                inbox.push_back(event);
            }
        }
        self.arrived = arrived;
    }
}

impl Share {
    /// By which way octets go.
    #[must_use]
    pub fn way(&self) -> &'static str {
        self.hub().fabric.way()
    }
    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn has_mail(&self) -> bool {
        self.hub().inboxes.iter().any(|inbox| !inbox.is_empty())
    }
}

impl Fabric for Share {
    fn limits(&self) -> FabricLimits {
        self.hub().fabric.limits()
    }
    fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        self.hub().fabric.register(region, access)
    }
    fn deregister(&mut self, mr: &Mr) {
        self.hub().fabric.deregister(mr);
    }
    fn in_capsule_bytes(&self, qp: QpHandle) -> u32 {
        self.hub().fabric.in_capsule_bytes(qp)
    }
    fn admin_in_capsule_bytes(&self) -> u32 {
        self.hub().fabric.admin_in_capsule_bytes()
    }
    fn may_elide_responses(&self) -> bool {
        self.hub().fabric.may_elide_responses()
    }
    fn listen(&mut self, port: u16) {
        self.hub().fabric.listen(port);
    }
    fn connect(&mut self, now: Instant, to: SocketAddr, params: ConnectParams) -> QpHandle {
        let mut hub = self.hub();
        let qp = hub.fabric.connect(now, to, params);
        hub.owners.insert(qp.0, self.number);
        qp
    }
    fn accept(&mut self, now: Instant, qp: QpHandle, params: ConnectParams) {
        self.hub().fabric.accept(now, qp, params);
    }
    fn reject(&mut self, now: Instant, qp: QpHandle, private: &[u8]) {
        self.hub().fabric.reject(now, qp, private);
    }
    fn disconnect(&mut self, now: Instant, qp: QpHandle) {
        self.hub().fabric.disconnect(now, qp);
    }
    fn post(&mut self, qp: QpHandle, work: Work) -> Result<(), Full<Work>> {
        self.hub().fabric.post(qp, work)
    }
    fn poll(&mut self, now: Instant, out: &mut Vec<FabricEvent>) {
        let mut hub = self.hub();
        hub.poll(now);
        out.extend(hub.inboxes.get_mut(self.number).into_iter().flat_map(|it| it.drain(..)));
    }
    fn flush(&mut self, now: Instant) {
        self.hub().fabric.flush(now);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.hub().fabric.poll_timeout()
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }
    fn has_pending(&self) -> bool {
        self.has_mail() || self.hub().fabric.has_pending()
    }
    fn may_sleep(&self) -> bool {
        !self.has_mail() && self.hub().fabric.may_sleep()
    }
    fn activity(&self) -> u64 {
        self.hub().fabric.activity()
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.hub().fabric.counters(report);
    }
}
