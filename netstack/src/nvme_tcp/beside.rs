//! NVMe/TCP beside another fabric, in one thread: a target that serves both.

use super::TcpFabric;
use crate::fabric::{
    ConnectParams, Fabric, FabricEvent, FabricLimits, Full, Landed, Psk, QpHandle, Security, Work,
};
use memory::{Access, DmaBuf, Mr, Region, RegistryFull};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// `fabric`, and NVMe/TCP beside it. The keys are `fabric`'s, known to both.
pub struct Beside<F: Fabric> {
    fabric: F,
    tcp: TcpFabric,
    /// Readable when either has something. `None`: `fabric` has nothing to sleep on. Its descriptor is
    /// always the same one.
    either: Option<OwnedFd>,
}

impl<F: Fabric> Beside<F> {
    /// Handles of `fabric` are below 2^31.
    ///
    /// Errors: no descriptors left.
    pub fn new(fabric: F, tcp: TcpFabric) -> io::Result<Beside<F>> {
        let either = match (fabric.fd(), tcp.fd()) {
            (Some(first), Some(second)) => {
                let either = epoll::create(CreateFlags::CLOEXEC)?;
                for fd in [first, second] {
                    epoll::add(&either, fd, EventData::new_u64(0), EventFlags::IN)?;
                }
                Some(either)
            }
            _ => None,
        };
        Ok(Beside { fabric, tcp, either })
    }
    /// The fabric beside.
    pub fn fabric(&self) -> &F {
        &self.fabric
    }
}

impl<F: Fabric> Fabric for Beside<F> {
    fn limits(&self) -> FabricLimits {
        let (one, other) = (self.fabric.limits(), self.tcp.limits());
        FabricLimits {
            name: one.name,
            max_message_bytes: one.max_message_bytes.min(other.max_message_bytes),
            read_depth_max: one.read_depth_max.min(other.read_depth_max),
        }
    }
    fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        let mr = self.fabric.register(region, access)?;
        self.tcp.adopt(region, &mr);
        Ok(mr)
    }
    fn deregister(&mut self, mr: &Mr) {
        self.fabric.deregister(mr);
        self.tcp.release(mr);
    }
    fn in_capsule_bytes(&self, qp: QpHandle) -> u32 {
        if TcpFabric::is_own(qp) {
            self.tcp.in_capsule_bytes(qp)
        } else {
            self.fabric.in_capsule_bytes(qp)
        }
    }
    fn keyed_sgls(&self, qp: QpHandle) -> bool {
        !TcpFabric::is_own(qp) && self.fabric.keyed_sgls(qp)
    }
    fn lands_whole_packets(&self, qp: QpHandle) -> bool {
        !TcpFabric::is_own(qp) && self.fabric.lands_whole_packets(qp)
    }
    fn hold_back(&mut self, mr: &Mr) {
        self.fabric.hold_back(mr);
        self.tcp.hold_back(mr);
    }
    fn copy_landed(&mut self, from: &Landed<'_>, into: &mut DmaBuf) -> u64 {
        if self.tcp.copy_held(from, into) {
            return 0;
        }
        // Of the other, or in its place already.
        self.tcp.settle_landed();
        self.fabric.copy_landed(from, into)
    }
    fn settle_landed(&mut self) {
        self.fabric.settle_landed();
        self.tcp.settle_landed();
    }
    fn listen(&mut self, port: u16) {
        self.fabric.listen(port);
        self.tcp.listen(port);
    }
    fn secure_listener(
        &mut self,
        trtype: &str,
        address: SocketAddr,
        security: Security,
    ) -> io::Result<()> {
        match trtype {
            "tcp" => self.tcp.secure_listener(trtype, address, security),
            _ => self.fabric.secure_listener(trtype, address, security),
        }
    }
    fn set_psk(&mut self, identity: &str, psk: Option<Psk>) {
        self.tcp.set_psk(identity, psk);
    }
    fn identity_of(&self, qp: QpHandle) -> Option<&str> {
        if TcpFabric::is_own(qp) { self.tcp.identity_of(qp) } else { None }
    }
    fn path_of(&self, qp: QpHandle) -> (&'static str, Option<IpAddr>) {
        if TcpFabric::is_own(qp) { self.tcp.path_of(qp) } else { self.fabric.path_of(qp) }
    }
    fn open_listener(&mut self, trtype: &str, address: SocketAddr) -> io::Result<()> {
        match trtype {
            "tcp" => self.tcp.open_listener(trtype, address),
            _ => self.fabric.open_listener(trtype, address),
        }
    }
    fn close_listener(&mut self, trtype: &str, address: SocketAddr) -> io::Result<()> {
        match trtype {
            "tcp" => self.tcp.close_listener(trtype, address),
            _ => self.fabric.close_listener(trtype, address),
        }
    }
    fn connect(&mut self, now: Instant, to: SocketAddr, params: ConnectParams) -> QpHandle {
        self.fabric.connect(now, to, params)
    }
    fn accept(&mut self, now: Instant, qp: QpHandle, params: ConnectParams) {
        if TcpFabric::is_own(qp) {
            self.tcp.accept(now, qp, params);
        } else {
            self.fabric.accept(now, qp, params);
        }
    }
    fn reject(&mut self, now: Instant, qp: QpHandle, private: &[u8]) {
        if TcpFabric::is_own(qp) {
            self.tcp.reject(now, qp, private);
        } else {
            self.fabric.reject(now, qp, private);
        }
    }
    fn disconnect(&mut self, now: Instant, qp: QpHandle) {
        if TcpFabric::is_own(qp) {
            self.tcp.disconnect(now, qp);
        } else {
            self.fabric.disconnect(now, qp);
        }
    }
    #[inline]
    fn post(&mut self, qp: QpHandle, work: Work) -> Result<(), Full<Work>> {
        if TcpFabric::is_own(qp) { self.tcp.post(qp, work) } else { self.fabric.post(qp, work) }
    }
    fn poll(&mut self, now: Instant, out: &mut Vec<FabricEvent>) {
        self.fabric.poll(now, out);
        self.tcp.poll(now, out);
    }
    fn flush(&mut self, now: Instant) {
        self.fabric.flush(now);
        self.tcp.flush(now);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        [self.fabric.poll_timeout(), self.tcp.poll_timeout()].into_iter().flatten().min()
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        // It may have to be asked before every sleep.
        self.fabric.fd()?;
        self.either.as_ref().map(AsFd::as_fd)
    }
    fn is_parting(&self) -> bool {
        self.fabric.is_parting() || self.tcp.is_parting()
    }
    fn has_pending(&self) -> bool {
        self.fabric.has_pending() || self.tcp.has_pending()
    }
    fn may_sleep(&self) -> bool {
        // Both, so that both arrange to be woken.
        let (one, other) = (self.fabric.may_sleep(), self.tcp.may_sleep());
        one && other
    }
    fn activity(&self) -> u64 {
        self.fabric.activity().wrapping_add(self.tcp.activity())
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        let mut sums = BTreeMap::<_, u64>::new();
        let mut add = |name, count| *sums.entry(name).or_default() += count;
        self.fabric.counters(&mut add);
        self.tcp.counters(&mut add);
        sums.into_iter().for_each(|(name, count)| report(name, count));
    }
}
