//! The commands that the host sends, ready but for identifier and data pointer.

use crate::contract::Timers;
use crate::io::{IoOp, NamespaceInfo};
use std::time::Duration;
use wire::cm::NvmeRequestPrivate;
use wire::fabrics::{
    Cap, Cc, ConnectCmd, ConnectData, Csts, Nqn, NqnError, Property, PropertyGetCmd,
    PropertySetCmd, PropertySize,
};
use wire::nvme::identify::{Cns, IdentifyController, IdentifyNamespace};
use wire::nvme::{
    AbortCmd, AdminOpcode, Cid, ControllerId, DsmCmd, DsmRange, FeatureCmd, FeatureId,
    GetLogPageCmd, IdentifyCmd, IoOpcode, Lba, Nsid, QueueCount, QueueId, Rw, Sqe, ZeroBased,
};

/// CM reason: nobody listens on that port.
pub const REASON_NO_LISTENER: u16 = 8;
/// Identifiers are given when a command gets its slot.
const NO_CID: Cid = Cid(0);
/// Octets of a submission queue entry and a completion queue entry, as CC wants them (log2).
const SQE_SHIFT: u8 = 6;
const CQE_SHIFT: u8 = 4;

/// What a Connect says.
pub(crate) struct ConnectOptions<'a> {
    pub(crate) qid: u16,
    pub(crate) depth: u16,
    pub(crate) keep_alive: Duration,
    pub(crate) cntlid: u16,
    pub(crate) subnqn: &'a str,
    pub(crate) hostnqn: &'a str,
    pub(crate) hostid: [u8; 16],
    /// The host does not want to hear of the submission queue's head.
    pub(crate) no_flow_control: bool,
}

/// Consumer private data of a connection request: queue and its sizes.
/// Source: NVMe/RDMA Transport, "RDMA_CM_REQUEST private data".
pub(crate) fn connect_private(qid: u16, depth: u16, cntlid: u16) -> Vec<u8> {
    let mut private = NvmeRequestPrivate::zeroed();
    private
        .set_queue_id(qid)
        .set_host_receive_queue_size(depth + 1)
        .set_host_send_queue_size(depth)
        .set_controller_id(if qid == 0 { 0 } else { cntlid });
    private.as_octets().to_vec()
}

/// Connect. Its data is [`connect_data`].
pub(crate) fn connect(options: &ConnectOptions<'_>) -> Sqe {
    let keep_alive = if options.qid == 0 { options.keep_alive } else { Duration::ZERO };
    ConnectCmd {
        record_format: 0,
        queue: QueueId(options.qid),
        // Zero-based: a queue of depth + 1 entries has room for depth commands.
        sq_size: ZeroBased::<u16>::from_raw(options.depth),
        attributes: if options.no_flow_control { ConnectCmd::NO_FLOW_CONTROL } else { 0 },
        keep_alive_ms: u32::try_from(keep_alive.as_millis()).unwrap_or(u32::MAX),
    }
    .command(NO_CID)
}

/// The 1,024 octets that go with a Connect.
///
/// Errors: an NQN that is none, the user's fault.
pub(crate) fn connect_data(options: &ConnectOptions<'_>) -> Result<ConnectData, NqnError> {
    let (subsystem, host) = (Nqn::lenient(options.subnqn)?, Nqn::lenient(options.hostnqn)?);
    Ok(ConnectData::new(options.hostid, ControllerId(options.cntlid), &subsystem, &host))
}

/// Property Get of CAP.
pub(crate) fn property_get_cap() -> Sqe {
    property_get(Property::Cap, PropertySize::Eight)
}
/// Commands that may be outstanding on an I/O queue by CAP.MQES: its entries, of which one stays empty.
pub(crate) fn queue_depth_max(cap: u64) -> u16 {
    Cap::from_word(cap).mqes().max(1)
}
/// Property Get of CSTS.
pub(crate) fn property_get_csts() -> Sqe {
    property_get(Property::Csts, PropertySize::Four)
}
fn property_get(property: Property, size: PropertySize) -> Sqe {
    PropertyGetCmd { size, offset: property as u32 }.command(NO_CID)
}
/// Property Set of CC: enable, NVM command set, entry sizes.
pub(crate) fn enable() -> Sqe {
    let mut cc = Cc::zeroed();
    cc.set_enable(true).set_iosqes(SQE_SHIFT).set_iocqes(CQE_SHIFT);
    let (size, offset) = (PropertySize::Four, Property::Cc as u32);
    PropertySetCmd { size, offset, value: u64::from(cc.word()) }.command(NO_CID)
}
/// CSTS says ready.
pub(crate) fn is_ready(csts: u64) -> bool {
    #[expect(clippy::cast_possible_truncation, reason = "a register of four octets")]
    Csts::from_word(csts as u32).ready()
}

fn identify(cns: Cns, nsid: Nsid) -> Sqe {
    IdentifyCmd { cns: cns.octet(), ..IdentifyCmd::default() }.command(NO_CID, nsid)
}
/// Identify Controller; 4,096 octets come back.
#[must_use]
pub fn identify_controller() -> Sqe {
    identify(Cns::Controller, Nsid::NONE)
}
/// Identify Namespace; 4,096 octets come back.
#[must_use]
pub fn identify_namespace(nsid: u32) -> Sqe {
    identify(Cns::Namespace, Nsid(nsid))
}
/// Active namespaces from 1 on; 4,096 octets come back.
#[must_use]
pub fn identify_active_namespaces() -> Sqe {
    identify(Cns::ActiveNamespaces, Nsid::NONE)
}
/// Get Log Page of `length` octets (a multiple of 4) from `offset`.
#[must_use]
pub fn get_log_page(lid: u8, nsid: u32, offset: u64, length: u32) -> Sqe {
    let dwords = ZeroBased::<u32>::from_raw((length / 4).saturating_sub(1));
    GetLogPageCmd { lid, dwords, offset, ..GetLogPageCmd::default() }.command(NO_CID, Nsid(nsid))
}

/// Set Features, Number of Queues.
pub(crate) fn set_queue_count(count: u16) -> Sqe {
    let count = ZeroBased::<u16>::from_raw(count.saturating_sub(1));
    let value = QueueCount { submission: count, completion: count }.dword();
    FeatureCmd::set(FeatureId::NUMBER_OF_QUEUES, value, NO_CID, Nsid::NONE)
}
/// What the answer to it grants.
pub(crate) fn granted_queues(result: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "dword 0 of the result")]
    let granted = QueueCount::from_dword(result as u32);
    usize::from(granted.submission.raw().min(granted.completion.raw())) + 1
}
/// Set Features, Asynchronous Event Configuration: these events are wanted.
pub(crate) fn set_events(bits: u32) -> Sqe {
    FeatureCmd::set(FeatureId::ASYNC_EVENT, bits, NO_CID, Nsid::NONE)
}
/// Keep Alive.
pub(crate) fn keep_alive() -> Sqe {
    Sqe::new(AdminOpcode::KeepAlive.octet(), NO_CID, Nsid::NONE)
}
/// Asynchronous Event Request.
pub(crate) fn async_event() -> Sqe {
    Sqe::new(AdminOpcode::AsyncEventRequest.octet(), NO_CID, Nsid::NONE)
}
pub(crate) fn is_async_event(sqe: &Sqe) -> bool {
    sqe.opcode() == AdminOpcode::AsyncEventRequest.octet()
}
/// Abort of command `cid` on queue `qid`.
pub(crate) fn abort(qid: u16, cid: u16) -> Sqe {
    AbortCmd { queue: QueueId(qid), cid: Cid(cid) }.command(NO_CID)
}

/// Flush.
pub(crate) fn flush(nsid: u32) -> Sqe {
    Sqe::new(IoOpcode::Flush.octet(), NO_CID, Nsid(nsid))
}
/// A command on a range of blocks. Panics on Flush and on more than 65,536 blocks.
pub(crate) fn nvm(op: IoOp, nsid: u32, slba: u64, blocks: u32) -> Sqe {
    let mut rw = Rw::new(Lba(slba), blocks).expect("1 to 65,536 blocks");
    let opcode = match op {
        IoOp::Read => IoOpcode::Read,
        IoOp::Write => IoOpcode::Write,
        IoOp::WriteDurable => {
            rw.fua = true;
            IoOpcode::Write
        }
        IoOp::WriteZeroes => IoOpcode::WriteZeroes,
        IoOp::Compare => IoOpcode::Compare,
        IoOp::Verify => IoOpcode::Verify,
        IoOp::Flush => unreachable!("Flush has no range"),
    };
    rw.command(opcode, NO_CID, Nsid(nsid))
}
/// Dataset Management, deallocate: its data is `ranges` [`dsm_range`]s.
pub(crate) fn deallocate(nsid: u32, ranges: u8) -> Sqe {
    let ranges = ZeroBased::<u8>::from_raw(ranges.saturating_sub(1));
    DsmCmd { ranges, deallocate: true, integral_write: false, integral_read: false }
        .command(NO_CID, Nsid(nsid))
}
/// One range descriptor of a Dataset Management command.
#[must_use]
pub fn dsm_range(slba: u64, blocks: u32) -> [u8; 16] {
    *DsmRange::new(Lba(slba), blocks).as_octets()
}

/// Largest command in octets; `None`: no bound. `page_shift` is CAP.MPSMIN's.
pub(crate) fn max_transfer_bytes(identify: &[u8; 4096]) -> Option<u32> {
    let bytes = IdentifyController::from_octets(*identify).mdts_bytes()?;
    Some(u32::try_from(bytes).unwrap_or(u32::MAX))
}
/// Octets of data that fit into an I/O command capsule.
pub(crate) fn in_capsule_bytes(identify: &[u8; 4096]) -> u32 {
    let bytes = IdentifyController::from_octets(*identify).in_capsule_bytes();
    u32::try_from(bytes).unwrap_or(0)
}
/// What an Identify Namespace structure says; `None`: no such namespace, or a format that is none.
#[must_use]
pub fn namespace_info(nsid: u32, octets: &[u8], max_transfer: u32) -> Option<NamespaceInfo> {
    let namespace = IdentifyNamespace::decode(octets)?;
    let block_bytes = namespace.current_format()?.block_bytes()?;
    let block_count = namespace.nsze();
    let max_transfer_bytes = max_transfer / block_bytes * block_bytes;
    (block_count > 0).then_some(NamespaceInfo {
        nsid,
        block_bytes,
        block_count,
        max_transfer_bytes,
    })
}

/// The host's timers fit each other.
///
/// Errors: which do not, for people.
pub fn check_timers(timers: &Timers) -> Result<(), String> {
    if timers.fast_io_fail > timers.ctrl_loss {
        return Err("fast_io_fail must not be longer than ctrl_loss".into());
    }
    Ok(())
}
