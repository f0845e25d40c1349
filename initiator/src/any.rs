//! Any fabric that a host can have, behind one type: which one, the user says at run time.

use crate::shared::Share;
use crate::udp::AnyLink;
use dpa::nic::Nic;
use memory::{Access, DmaBuf, Mr, Region, RegistryFull};
use netstack::fabric::{
    ConnectParams, Fabric, FabricEvent, FabricLimits, Full, Landed, Psk, QpHandle, Work,
};
use netstack::nvme_tcp::TcpFabric;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Instant;

/// One fabric.
pub enum AnyFabric {
    /// RoCEv2 or native, over UDP or shared memory.
    Rdma(Box<Nic<AnyLink>>),
    /// NVMe/TCP.
    Tcp(Box<TcpFabric>),
    /// One path's share of either.
    Shared(Box<Share>),
}

impl AnyFabric {
    /// By which way octets go: "udp", "shm", "tcp".
    #[must_use]
    pub fn way(&self) -> &'static str {
        match self {
            AnyFabric::Rdma(nic) => nic.link().name(),
            AnyFabric::Tcp(_) => "tcp",
            AnyFabric::Shared(share) => share.way(),
        }
    }
}

/// The same call on whichever it is.
macro_rules! each {
    ($self:expr, $fabric:ident => $call:expr) => {
        match $self {
            AnyFabric::Rdma($fabric) => $call,
            AnyFabric::Tcp($fabric) => $call,
            AnyFabric::Shared($fabric) => $call,
        }
    };
}

impl Fabric for AnyFabric {
    fn limits(&self) -> FabricLimits {
        each!(self, fabric => fabric.limits())
    }
    fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        each!(self, fabric => fabric.register(region, access))
    }
    fn deregister(&mut self, mr: &Mr) {
        each!(self, fabric => fabric.deregister(mr));
    }
    fn in_capsule_bytes(&self, qp: QpHandle) -> u32 {
        each!(self, fabric => fabric.in_capsule_bytes(qp))
    }
    fn admin_in_capsule_bytes(&self) -> u32 {
        each!(self, fabric => fabric.admin_in_capsule_bytes())
    }
    fn may_elide_responses(&self) -> bool {
        each!(self, fabric => fabric.may_elide_responses())
    }
    fn set_own_psks(&mut self, psks: Vec<Psk>) {
        each!(self, fabric => fabric.set_own_psks(psks));
    }
    fn lands_whole_packets(&self, qp: QpHandle) -> bool {
        each!(self, fabric => fabric.lands_whole_packets(qp))
    }
    fn hold_back(&mut self, mr: &Mr) {
        each!(self, fabric => fabric.hold_back(mr));
    }
    fn copy_landed(&mut self, from: &Landed<'_>, into: &mut DmaBuf) -> u64 {
        each!(self, fabric => fabric.copy_landed(from, into))
    }
    fn settle_landed(&mut self) {
        each!(self, fabric => fabric.settle_landed());
    }
    fn listen(&mut self, port: u16) {
        each!(self, fabric => fabric.listen(port));
    }
    fn connect(&mut self, now: Instant, to: SocketAddr, params: ConnectParams) -> QpHandle {
        each!(self, fabric => fabric.connect(now, to, params))
    }
    fn accept(&mut self, now: Instant, qp: QpHandle, params: ConnectParams) {
        each!(self, fabric => fabric.accept(now, qp, params));
    }
    fn reject(&mut self, now: Instant, qp: QpHandle, private: &[u8]) {
        each!(self, fabric => fabric.reject(now, qp, private));
    }
    fn disconnect(&mut self, now: Instant, qp: QpHandle) {
        each!(self, fabric => fabric.disconnect(now, qp));
    }
    #[inline]
    fn post(&mut self, qp: QpHandle, work: Work) -> Result<(), Full<Work>> {
        each!(self, fabric => fabric.post(qp, work))
    }
    #[inline]
    fn poll(&mut self, now: Instant, out: &mut Vec<FabricEvent>) {
        each!(self, fabric => fabric.poll(now, out));
    }
    #[inline]
    fn flush(&mut self, now: Instant) {
        each!(self, fabric => fabric.flush(now));
    }
    fn poll_timeout(&self) -> Option<Instant> {
        each!(self, fabric => fabric.poll_timeout())
    }
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        each!(self, fabric => fabric.fd())
    }
    fn has_pending(&self) -> bool {
        each!(self, fabric => fabric.has_pending())
    }
    fn may_sleep(&self) -> bool {
        each!(self, fabric => fabric.may_sleep())
    }
    fn activity(&self) -> u64 {
        each!(self, fabric => fabric.activity())
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        each!(self, fabric => fabric.counters(report));
    }
}
