//! How a connection begins: ICReq and ICResp, then the Connect command, from which the controller's
//! consumer hears what NVMe/RDMA's private data would have told.
//!
//! Source: NVMe TCP Transport Specification 1.0, "NVMe/TCP Connection Establishment"; NVMe RDMA
//! Transport Specification 1.0, "RDMA_CM_REQUEST private data".

use super::controller::{C2H_DATA_MAX, Controller};
use super::host::Host;
use super::{Machine, Side, Stage};
use crate::fabric::{ConnectParams, FabricEvent, QpHandle};
use crate::nvme_tcp::{Shared, Stop};
use std::net::SocketAddr;
use wire::cm::{NvmeRejStatus, NvmeRejectPrivate, NvmeRequestPrivate};
use wire::fabrics::{ConnectCmd, ConnectFault};
use wire::nvme::{Cqe, FabricsType, QueueId, Sqe, Status};
use wire::nvme_tcp::{Framing, IcReq, IcResp, PFV, Pdu};

/// Commands outstanding whose data is fetched: each has its own tag.
pub(crate) const READ_DEPTH: u8 = 128;
/// Octets of data of one C2HData that a host takes: a command's data bounds it anyway.
const C2H_DATA_TAKEN: u32 = 1 << 30;
/// Entries that are assumed of a queue whose first command is not Connect: it is only to be refused.
const ENTRIES_UNKNOWN: u16 = 31;

impl Machine {
    /// The side that the kernel accepted, on `port`.
    pub(crate) fn controller(qp: QpHandle, peer: SocketAddr, port: u16) -> Machine {
        let side = Side::Controller(Controller::default());
        Machine::new(qp, Stage::Greeting, side, peer, port)
    }
    /// The side that the kernel connects to `to`.
    pub(crate) fn host(
        qp: QpHandle,
        to: SocketAddr,
        params: &ConnectParams,
        shared: &Shared,
    ) -> Machine {
        let config = &shared.config;
        let asked = IcReq {
            pfv: PFV,
            hpda: 0,
            header_digest: config.header_digest,
            data_digest: config.data_digest,
            maxr2t: config.maxr2t,
        };
        let side = Side::Host(Host::new(asked));
        let mut machine = Machine::new(qp, Stage::Connecting, side, to, to.port());
        machine.outbox.header(&Pdu::IcReq(asked), &Framing::PLAIN, 0);
        machine.take_depths(params);
        machine
    }
    fn take_depths(&mut self, params: &ConnectParams) {
        self.depth = params.send_depth as usize;
        self.receives_max = params.recv_depth as usize;
    }
    /// The kernel has connected it.
    pub(crate) fn handle_connected(&mut self) {
        if self.stage == Stage::Connecting {
            self.stage = Stage::Greeting;
        }
    }

    /// Controller: the host's wishes.
    pub(super) fn greet(&mut self, asked: &IcReq, shared: &mut Shared) -> Result<(), Stop> {
        asked.check().map_err(Stop::Fault)?;
        let config = &shared.config;
        let given = IcResp {
            pfv: PFV,
            cpda: 0,
            header_digest: asked.header_digest && config.header_digest,
            data_digest: asked.data_digest && config.data_digest,
            max_h2c_data: config.max_h2c_data,
        };
        self.outbox.header(&Pdu::IcResp(given), &Framing::PLAIN, 0);
        let IcResp { header_digest, data_digest, max_h2c_data, cpda, .. } = given;
        // Capsules and H2CData have bounds of their own.
        let data_max = max_h2c_data.max(config.in_capsule_bytes);
        self.framer.set_framing(Framing { header_digest, data_digest, pda: cpda, data_max });
        let (pda, data_max) = (asked.hpda, C2H_DATA_MAX);
        self.framing = Framing { header_digest, data_digest, pda, data_max };
        self.stage = Stage::Expecting;
        Ok(())
    }
    /// Host: the controller's answer.
    pub(super) fn open_host(&mut self, given: &IcResp, shared: &mut Shared) -> Result<(), Stop> {
        let Side::Host(host) = &self.side else { return Ok(()) };
        given.check(&host.asked).map_err(Stop::Fault)?;
        let IcResp { header_digest, data_digest, max_h2c_data, cpda, .. } = *given;
        let (pda, data_max) = (host.asked.hpda, C2H_DATA_TAKEN);
        self.framer.set_framing(Framing { header_digest, data_digest, pda, data_max });
        self.framing = Framing { header_digest, data_digest, pda: cpda, data_max: max_h2c_data };
        self.open(shared);
        Ok(())
    }
    fn open(&mut self, shared: &mut Shared) {
        self.stage = Stage::Open;
        let (qp, read_depth) = (self.qp, READ_DEPTH);
        shared.events.push(FabricEvent::Established { qp, private: Vec::new(), read_depth });
    }

    /// Controller: the first command, which waits until the consumer has accepted the connection.
    pub(super) fn request(&mut self, sqe: &Sqe, shared: &mut Shared) {
        self.stage = Stage::Requested;
        let is_connect = sqe.fabrics_type() == Some(FabricsType::Connect);
        let connect = ConnectCmd::decode(sqe);
        let (qid, last_entry) = if is_connect {
            (connect.queue.0, connect.sq_size.raw())
        } else {
            (0, ENTRIES_UNKNOWN)
        };
        let mut private = NvmeRequestPrivate::zeroed();
        private
            .set_queue_id(qid)
            .set_host_receive_queue_size(last_entry.saturating_add(1))
            .set_host_send_queue_size(last_entry);
        let (qp, from, port, read_depth) = (self.qp, self.peer, self.port, READ_DEPTH);
        let private = private.as_octets().to_vec();
        shared.events.push(FabricEvent::ConnectRequest { qp, from, port, private, read_depth });
    }
    /// Controller: the consumer takes it. The first command follows with the next [`Machine::resume`].
    pub(crate) fn accept(&mut self, params: &ConnectParams, shared: &mut Shared) {
        if self.stage == Stage::Requested {
            self.take_depths(params);
            self.open(shared);
        }
    }
    /// Controller: the consumer does not. The Connect command gets the answer that says so.
    pub(crate) fn reject(&mut self, private: &[u8], shared: &mut Shared) {
        let Some((_, Pdu::CapsuleCmd(sqe))) = self.waiting.take() else { return };
        let status = NvmeRejectPrivate::decode(private).map(|it| NvmeRejStatus(it.status_code()));
        let fault = match status {
            Some(NvmeRejStatus::INVALID_QUEUE_ID) => Some(ConnectFault::QUEUE_ID),
            Some(
                NvmeRejStatus::INVALID_SEND_QUEUE_SIZE | NvmeRejStatus::INVALID_RECEIVE_QUEUE_SIZE,
            ) => Some(ConnectFault::SQ_SIZE),
            _ => None,
        };
        let status = match fault {
            Some(_) => Status::CONNECT_INVALID_PARAMETERS,
            None => Status::CONNECT_CONTROLLER_BUSY,
        };
        let mut cqe = Cqe::new(sqe.cid(), QueueId(0), 0, status);
        cqe.set_dw0(fault.map_or(0, ConnectFault::dword));
        self.outbox.header(&Pdu::CapsuleResp(cqe), &self.framing, 0);
        self.finish(None, shared);
    }
}
