//! What an application and its engine say to each other, as it goes over the socket.

use dpa::pipe::{Call, Reply};
use memory::{Access, Lkey, Mr, Region, RegistryFull, Rkey};
use netstack::fabric::{ConnectParams, DisconnectReason, FabricEvent, FabricLimits, QpHandle};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Mutex;
use verbs::WcStatus;

/// Keys, address, length and rights of a registration.
pub(super) type WireMr = (u32, u32, u64, u64, u32);
/// Private data, then the depths of sends, receives and READs.
type WireParams = (Vec<u8>, u32, u32, u8);

/// [`Call`].
#[derive(Serialize, Deserialize)]
pub(super) enum WireCall {
    /// A descriptor comes with it. `streaming`: see [`Region::streaming`].
    Register {
        len: usize,
        addr: u64,
        streaming: bool,
        access: u32,
    },
    Deregister(WireMr),
    Listen(u16),
    Connect(SocketAddr, WireParams),
    Accept(u32, WireParams),
    Reject(u32, Vec<u8>),
    Disconnect(u32),
    Counters,
    Stop,
}

/// [`Reply`].
#[derive(Serialize, Deserialize)]
pub(super) enum WireReply {
    Ready {
        max_message_bytes: u32,
        read_depth_max: u8,
    },
    /// The engine could not even begin.
    Failed(String),
    Registered(Result<WireMr, usize>),
    Connecting(u32),
    Counters(Vec<(String, u64)>),
}

/// The events that no descriptor holds.
#[derive(Serialize, Deserialize)]
pub(super) enum WireNote {
    ConnectRequest { qp: u32, from: SocketAddr, port: u16, private: Vec<u8>, read_depth: u8 },
    Established { qp: u32, private: Vec<u8>, read_depth: u8 },
    Rejected { qp: u32, reason: u16, private: Vec<u8> },
    Disconnected { qp: u32, reason: u32 },
}

fn params(params: ConnectParams) -> WireParams {
    (params.private, params.send_depth, params.recv_depth, params.read_depth)
}

fn from_params((private, send_depth, recv_depth, read_depth): WireParams) -> ConnectParams {
    ConnectParams { private, send_depth, recv_depth, read_depth }
}

fn wire_mr(mr: &Mr) -> WireMr {
    (mr.lkey.0, mr.rkey.0, mr.addr, mr.length, mr.access.bits())
}

fn mr((lkey, rkey, addr, length, access): WireMr) -> Mr {
    Mr { lkey: Lkey(lkey), rkey: Rkey(rkey), addr, length, access: Access::from_bits(access) }
}

/// A call as it is sent, and the memory that goes with it. Errors: memory that no other process can
/// map.
pub(super) fn wire_call(call: Call) -> io::Result<(WireCall, Option<Region>)> {
    let call = match call {
        Call::Register(region, access) => {
            if region.shared_fd().is_none() {
                return Err(io::Error::other("memory that the engine cannot map"));
            }
            let (len, addr, streaming) = (region.len(), region.addr(), region.is_streaming());
            let call = WireCall::Register { len, addr, streaming, access: access.bits() };
            return Ok((call, Some(region)));
        }
        Call::Deregister(mr) => WireCall::Deregister(wire_mr(&mr)),
        Call::Listen(port) => WireCall::Listen(port),
        Call::Connect(to, asked) => WireCall::Connect(to, params(asked)),
        Call::Accept(qp, asked) => WireCall::Accept(qp.0, params(asked)),
        Call::Reject(qp, private) => WireCall::Reject(qp.0, private),
        Call::Disconnect(qp) => WireCall::Disconnect(qp.0),
        Call::Counters => WireCall::Counters,
        Call::Stop => WireCall::Stop,
    };
    Ok((call, None))
}

/// The descriptor of a region that [`wire_call`] let through.
pub(super) fn descriptor(region: &Region) -> Option<BorrowedFd<'_>> {
    region.shared_fd()
}

/// A call as the engine carries it out: memory is mapped. Errors: memory that cannot be.
pub(super) fn call(wire: WireCall, fds: Vec<OwnedFd>) -> io::Result<Call> {
    Ok(match wire {
        WireCall::Register { len, addr, streaming, access } => {
            let fd = fds.into_iter().next().ok_or(io::ErrorKind::InvalidData)?;
            let region = Region::map_shared(fd, len)?.named(addr);
            let region = if streaming { region.streaming() } else { region };
            Call::Register(region, Access::from_bits(access))
        }
        WireCall::Deregister(wire) => Call::Deregister(mr(wire)),
        WireCall::Listen(port) => Call::Listen(port),
        WireCall::Connect(to, asked) => Call::Connect(to, from_params(asked)),
        WireCall::Accept(qp, asked) => Call::Accept(QpHandle(qp), from_params(asked)),
        WireCall::Reject(qp, private) => Call::Reject(QpHandle(qp), private),
        WireCall::Disconnect(qp) => Call::Disconnect(QpHandle(qp)),
        WireCall::Counters => Call::Counters,
        WireCall::Stop => Call::Stop,
    })
}

pub(super) fn wire_reply(reply: Reply) -> WireReply {
    match reply {
        Reply::Ready(FabricLimits { max_message_bytes, read_depth_max, .. }) => {
            WireReply::Ready { max_message_bytes, read_depth_max }
        }
        Reply::Registered(outcome) => {
            WireReply::Registered(outcome.map(|mr| wire_mr(&mr)).map_err(|full| full.0))
        }
        Reply::Connecting(qp) => WireReply::Connecting(qp.0),
        Reply::Counters(all) => {
            WireReply::Counters(all.into_iter().map(|(name, n)| (name.to_owned(), n)).collect())
        }
    }
}

/// Errors: why the engine could not begin.
pub(super) fn reply(wire: WireReply) -> io::Result<Reply> {
    Ok(match wire {
        WireReply::Ready { max_message_bytes, read_depth_max } => {
            Reply::Ready(FabricLimits { name: "rdma", max_message_bytes, read_depth_max })
        }
        WireReply::Failed(why) => return Err(io::Error::other(why)),
        WireReply::Registered(outcome) => Reply::Registered(outcome.map(mr).map_err(RegistryFull)),
        WireReply::Connecting(qp) => Reply::Connecting(QpHandle(qp)),
        WireReply::Counters(all) => {
            Reply::Counters(all.into_iter().map(|(name, n)| (interned(name), n)).collect())
        }
    })
}

/// A name that lasts. There are a few dozen names of counters, so what is never freed is bounded.
fn interned(name: String) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = names.get(name.as_str()) {
        return known;
    }
    let lasting: &'static str = Box::leak(name.into_boxed_str());
    names.insert(lasting);
    lasting
}

/// `None`: an event that a descriptor holds.
pub(super) fn wire_note(event: &FabricEvent) -> Option<WireNote> {
    Some(match event {
        FabricEvent::ConnectRequest { qp, from, port, private, read_depth } => {
            let (from, port, private) = (*from, *port, private.clone());
            WireNote::ConnectRequest { qp: qp.0, from, port, private, read_depth: *read_depth }
        }
        FabricEvent::Established { qp, private, read_depth } => {
            WireNote::Established { qp: qp.0, private: private.clone(), read_depth: *read_depth }
        }
        FabricEvent::Rejected { qp, reason, private } => {
            WireNote::Rejected { qp: qp.0, reason: *reason, private: private.clone() }
        }
        FabricEvent::Disconnected { qp, reason } => {
            WireNote::Disconnected { qp: qp.0, reason: reason_number(*reason) }
        }
        FabricEvent::Recv { .. } | FabricEvent::Done { .. } => return None,
    })
}

pub(super) fn note(wire: WireNote) -> FabricEvent {
    match wire {
        WireNote::ConnectRequest { qp, from, port, private, read_depth } => {
            FabricEvent::ConnectRequest { qp: QpHandle(qp), from, port, private, read_depth }
        }
        WireNote::Established { qp, private, read_depth } => {
            FabricEvent::Established { qp: QpHandle(qp), private, read_depth }
        }
        WireNote::Rejected { qp, reason, private } => {
            FabricEvent::Rejected { qp: QpHandle(qp), reason, private }
        }
        WireNote::Disconnected { qp, reason } => {
            FabricEvent::Disconnected { qp: QpHandle(qp), reason: reason_of(reason) }
        }
    }
}

/// Above the statuses' numbers.
const ERROR: u32 = 1 << 8;

fn reason_number(reason: DisconnectReason) -> u32 {
    match reason {
        DisconnectReason::Peer => 0,
        DisconnectReason::Local => 1,
        DisconnectReason::Timeout => 2,
        DisconnectReason::Error(status) => ERROR | status as u32,
        // There is no TLS over what this carries.
        DisconnectReason::Insecure(_) => ERROR | WcStatus::RemInvReqErr as u32,
    }
}

fn reason_of(number: u32) -> DisconnectReason {
    match number {
        0 => DisconnectReason::Peer,
        1 => DisconnectReason::Local,
        2 => DisconnectReason::Timeout,
        error => DisconnectReason::Error(WcStatus::from_number(error & !ERROR)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is told arrives as it was told.
    #[test]
    fn events_survive() {
        let qp = QpHandle(7);
        let from = "127.0.0.1:4791".parse().unwrap();
        let private = vec![1, 2, 3];
        let ended = |reason| FabricEvent::Disconnected { qp, reason };
        for event in [
            FabricEvent::ConnectRequest {
                qp,
                from,
                port: 9,
                private: private.clone(),
                read_depth: 2,
            },
            FabricEvent::Established { qp, private: private.clone(), read_depth: 3 },
            FabricEvent::Rejected { qp, reason: 28, private },
            ended(DisconnectReason::Peer),
            ended(DisconnectReason::Local),
            ended(DisconnectReason::Timeout),
            ended(DisconnectReason::Error(WcStatus::RetryExcErr)),
        ] {
            let text = serde_json::to_string(&wire_note(&event).unwrap()).unwrap();
            assert_eq!(note(serde_json::from_str(&text).unwrap()), event);
        }
    }

    /// Goal: memory that only this process has is refused before anything is sent.
    #[test]
    fn private_memory_is_refused() {
        let region = Region::allocate(4096).unwrap();
        assert!(wire_call(Call::Register(region, Access::LOCAL_READ)).is_err());
        let region = Region::allocate_shared(4096).unwrap();
        assert!(wire_call(Call::Register(region, Access::LOCAL_READ)).is_ok());
    }
}
