//! The NIC as a fabric: work to work requests, completions to events.

use super::Nic;
use crate::engine::{Message, Offload};
use memory::{Access, DmaBuf, Mr, Region, RegistryFull, Stage};
use netstack::endpoint::ConnEvent;
use netstack::fabric::{
    ConnectParams, Fabric, FabricEvent, FabricLimits, Full, Landed, QpHandle, Work, WorkOp,
    no_transport,
};
use netstack::link::Link;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;
use verbs::{PostError, QpNum, RecvWr, SendOp, SendWr, Wc, WcOpcode, WcStatus, WrFlags};

/// Longest message of one RDMA WRITE or READ. Source: IBTA 1.4, "RETH", DMA length.
const MESSAGE_BYTES_MAX: u32 = 1 << 31;
/// Elements up to this length are prefetched when they are queued; the kernel's gather reads longer
/// ones fast enough by itself.
const PREFETCH_BYTES_MAX: u32 = 16 << 10;

impl<L: Link, O: Offload> Fabric for Nic<L, O> {
    fn limits(&self) -> FabricLimits {
        FabricLimits {
            name: "rdma",
            max_message_bytes: MESSAGE_BYTES_MAX,
            read_depth_max: self.read_depth_max,
        }
    }
    fn register(&mut self, region: &Region, access: Access) -> Result<Mr, RegistryFull> {
        self.endpoint.memory().register(region, access)
    }
    fn deregister(&mut self, mr: &Mr) {
        // Unknown keys are ignored by contract.
        let _ = self.endpoint.memory().deregister(mr.lkey);
    }
    fn hold_back(&mut self, mr: &Mr) {
        // An unknown key holds nothing back.
        let _ = self.endpoint.memory().hold_back(mr.lkey);
    }
    fn copy_landed(&mut self, from: &Landed<'_>, into: &mut DmaBuf) -> u64 {
        let addr = from.region.addr() + from.offset as u64;
        if self.placer.place_held(&self.ring, addr, from.len as u64, into) {
            return 0;
        }
        self.settle();
        into.place_from(from.region, from.offset, from.len);
        from.len as u64
    }
    fn settle_landed(&mut self) {
        self.settle();
    }
    fn listen(&mut self, port: u16) {
        self.endpoint.listen(port);
    }
    fn open_listener(&mut self, trtype: &str, address: SocketAddr) -> io::Result<()> {
        let local = self.link.caps().local.ip();
        if trtype != "rdma" {
            return Err(no_transport(trtype));
        }
        if address.ip() != local {
            let why =
                format!("RDMA is served at {local} alone: give all its listeners that traddr");
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        self.endpoint.listen(address.port());
        Ok(())
    }
    fn close_listener(&mut self, _trtype: &str, address: SocketAddr) -> io::Result<()> {
        self.endpoint.unlisten(address.port());
        Ok(())
    }
    fn connect(&mut self, now: Instant, to: SocketAddr, params: ConnectParams) -> QpHandle {
        QpHandle(self.endpoint.connect(now, to, params).get())
    }
    fn accept(&mut self, now: Instant, qp: QpHandle, params: ConnectParams) {
        self.endpoint.accept(now, QpNum::new(qp.0), params);
    }
    fn reject(&mut self, now: Instant, qp: QpHandle, private: &[u8]) {
        self.endpoint.reject(now, QpNum::new(qp.0), private);
    }
    fn disconnect(&mut self, now: Instant, qp: QpHandle) {
        self.endpoint.disconnect(now, QpNum::new(qp.0));
    }

    fn post(&mut self, qp: QpHandle, work: Work) -> Result<(), Full<Work>> {
        let qpn = QpNum::new(qp.0);
        let (wr_id, sges) = (work.token, work.local.to_list());
        let outcome = match send_op(work.op) {
            None => self.endpoint.post_recv(qpn, RecvWr { wr_id, sges }),
            Some(op) => {
                self.prefetch(&work);
                let flags = WrFlags { signaled: work.signaled, ..WrFlags::default() };
                self.endpoint.post_send(qpn, SendWr { wr_id, op, sges, flags })
            }
        };
        match outcome {
            // A connection that is gone takes work silently: its end was told.
            Ok(()) | Err(PostError::NoSuchQp) => Ok(()),
            Err(PostError::Full) => Err(Full(work)),
            Err(PostError::WrongState | PostError::Malformed) => {
                let status = WcStatus::LocQpOpErr;
                self.events.push(FabricEvent::Done { qp, token: work.token, status });
                Ok(())
            }
        }
    }

    fn poll(&mut self, now: Instant, out: &mut Vec<FabricEvent>) {
        self.receive(now);
        self.run_timers(now);
        // The endpoint's order: what opened, then completions, then what ended.
        self.tell_connections(out);
        out.append(&mut self.events);
        while let Some(wc) = self.endpoint.next_wc() {
            if is_arrival(&wc) {
                let message = Message { qp: wc.qp, wr_id: wc.wr_id, len: wc.byte_len };
                self.placer.message(&message);
            }
            out.push(event(&wc));
        }
        self.tell_connections(out);
    }

    fn flush(&mut self, now: Instant) {
        self.transmit(now);
    }
    fn poll_timeout(&self) -> Option<Instant> {
        [self.endpoint.poll_timeout(), self.pace.next()].into_iter().flatten().min()
    }
    fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.link.fd()
    }
    fn has_pending(&self) -> bool {
        !self.events.is_empty() || self.endpoint.has_pending()
    }
    fn activity(&self) -> u64 {
        self.packets
    }
    fn counters(&self, report: &mut dyn FnMut(&'static str, u64)) {
        self.link.counters(report);
        self.endpoint.counters(report);
        let placed = self.placer.counters();
        report("dpa.placed_bytes", placed.placed_bytes);
        report("dpa.placed_pieces", placed.placed_pieces);
        report("dpa.handler_faults", placed.handler_faults);
        report("nic.link_errors", self.link_errors);
    }
}

impl<L: Link, O: Offload> Nic<L, O> {
    fn tell_connections(&mut self, out: &mut Vec<FabricEvent>) {
        while let Some(event) = self.endpoint.poll_event() {
            out.push(connection_event(event));
        }
    }

    /// Fetches payload lines that the link will gather at the next flush.
    #[inline]
    fn prefetch(&self, work: &Work) {
        for sge in work.local.iter().filter(|sge| sge.length <= PREFETCH_BYTES_MAX) {
            let Ok(span) = self.endpoint.memory_ref().local(sge, Access::LOCAL_READ) else {
                continue;
            };
            match work.op {
                WorkOp::RdmaWrite(_) => span.prefetch_stage(Stage::Queued),
                WorkOp::Send { .. } => span.prefetch(),
                WorkOp::RdmaRead(_) | WorkOp::Recv => {}
            }
        }
    }
}

fn send_op(op: WorkOp) -> Option<SendOp> {
    match op {
        WorkOp::Send { invalidate: None } => Some(SendOp::Send),
        WorkOp::Send { invalidate: Some(rkey) } => Some(SendOp::SendWithInv(rkey)),
        WorkOp::RdmaWrite(remote) => Some(SendOp::RdmaWrite(remote)),
        WorkOp::RdmaRead(remote) => Some(SendOp::RdmaRead(remote)),
        WorkOp::Recv => None,
    }
}

fn is_recv(wc: &Wc) -> bool {
    matches!(wc.opcode, WcOpcode::Recv | WcOpcode::RecvRdmaWithImm)
}

/// Octets came with it.
fn is_arrival(wc: &Wc) -> bool {
    wc.status == WcStatus::Success && (is_recv(wc) || wc.opcode == WcOpcode::RdmaRead)
}

fn event(wc: &Wc) -> FabricEvent {
    let (qp, token) = (QpHandle(wc.qp.get()), wc.wr_id);
    if is_recv(wc) && wc.status == WcStatus::Success {
        return FabricEvent::Recv { qp, token, len: wc.byte_len, invalidated: wc.invalidated };
    }
    FabricEvent::Done { qp, token, status: wc.status }
}

fn connection_event(event: ConnEvent) -> FabricEvent {
    match event {
        ConnEvent::ConnectRequest { qp, from, port, private, read_depth } => {
            let qp = QpHandle(qp.get());
            FabricEvent::ConnectRequest { qp, from, port, private, read_depth }
        }
        ConnEvent::Established { qp, private, read_depth, .. } => {
            FabricEvent::Established { qp: QpHandle(qp.get()), private, read_depth }
        }
        ConnEvent::Rejected { qp, reason, private } => {
            FabricEvent::Rejected { qp: QpHandle(qp.get()), reason, private }
        }
        ConnEvent::Disconnected { qp, reason } => {
            FabricEvent::Disconnected { qp: QpHandle(qp.get()), reason }
        }
    }
}
