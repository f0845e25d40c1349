//! Work and events as 64-octet descriptors.

use super::ring::Descriptor;
use memory::{Lkey, Rkey, Sge};
use netstack::fabric::{FabricEvent, Gather, QpHandle, Work, WorkOp};
use verbs::{Remote, WcStatus};

const KIND_CONTROL: u64 = 0;
const KIND_SEND: u64 = 1;
const KIND_SEND_INVALIDATE: u64 = 2;
const KIND_WRITE: u64 = 3;
const KIND_READ: u64 = 4;
const KIND_RECV: u64 = 5;
const KIND_RECV_INVALIDATED: u64 = 6;
const KIND_DONE: u64 = 7;
const SIGNALED: u64 = 1 << 8;

/// From host to NIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Request {
    /// Work for a connection.
    Post(QpHandle, Work),
    /// The side channel holds the next call.
    Control,
}

/// From NIC to host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Notice {
    /// `Recv` or `Done`.
    Event(FabricEvent),
    /// The side channel holds the next event.
    Control,
}

impl Request {
    /// Word by word: token; element addresses; element lengths and keys; remote address; remote or
    /// invalidated key and connection; kind and flags.
    pub(super) fn encode(&self) -> Descriptor {
        let Request::Post(qp, work) = self else { return Descriptor([KIND_CONTROL; 8]) };
        let (kind, remote) = match work.op {
            WorkOp::Send { invalidate: None } => (KIND_SEND, Remote::default()),
            WorkOp::Send { invalidate: Some(rkey) } => {
                (KIND_SEND_INVALIDATE, Remote { addr: 0, rkey })
            }
            WorkOp::RdmaWrite(remote) => (KIND_WRITE, remote),
            WorkOp::RdmaRead(remote) => (KIND_READ, remote),
            WorkOp::Recv => (KIND_RECV, Remote::default()),
        };
        let mut elements = work.local.iter();
        let (first, second) =
            (elements.next().unwrap_or_default(), elements.next().unwrap_or_default());
        Descriptor([
            work.token,
            first.addr,
            second.addr,
            pair(first.length, first.lkey.0),
            pair(second.length, second.lkey.0),
            remote.addr,
            pair(remote.rkey.0, qp.0),
            kind | if work.signaled { SIGNALED } else { 0 },
        ])
    }

    pub(super) fn decode(descriptor: &Descriptor) -> Request {
        let [token, addr0, addr1, element0, element1, remote_addr, keys, kind] = descriptor.0;
        let sge = |addr, element| {
            let (length, lkey) = split(element);
            Sge { addr, length, lkey: Lkey(lkey) }
        };
        let (rkey, qp) = split(keys);
        let remote = Remote { addr: remote_addr, rkey: Rkey(rkey) };
        let op = match kind & 0xff {
            KIND_SEND => WorkOp::Send { invalidate: None },
            KIND_SEND_INVALIDATE => WorkOp::Send { invalidate: Some(remote.rkey) },
            KIND_WRITE => WorkOp::RdmaWrite(remote),
            KIND_READ => WorkOp::RdmaRead(remote),
            KIND_RECV => WorkOp::Recv,
            _ => return Request::Control,
        };
        let local = Gather::two(sge(addr0, element0), sge(addr1, element1));
        let signaled = kind & SIGNALED != 0;
        Request::Post(QpHandle(qp), Work { token, op, local, signaled })
    }
}

impl Notice {
    /// What fits a descriptor does; the rest goes by the side channel.
    pub(super) fn encode(&self) -> Descriptor {
        let Notice::Event(event) = self else { return Descriptor([KIND_CONTROL; 8]) };
        match *event {
            FabricEvent::Recv { qp, token, len, invalidated } => {
                let (kind, rkey) = match invalidated {
                    None => (KIND_RECV, 0),
                    Some(rkey) => (KIND_RECV_INVALIDATED, rkey.0),
                };
                Descriptor([token, pair(len, qp.0), u64::from(rkey), 0, 0, 0, 0, kind])
            }
            FabricEvent::Done { qp, token, status } => {
                Descriptor([token, pair(status as u32, qp.0), 0, 0, 0, 0, 0, KIND_DONE])
            }
            FabricEvent::ConnectRequest { .. }
            | FabricEvent::Established { .. }
            | FabricEvent::Rejected { .. }
            | FabricEvent::Disconnected { .. } => Descriptor([KIND_CONTROL; 8]),
        }
    }

    pub(super) fn decode(descriptor: &Descriptor) -> Notice {
        let [token, word, rkey, .., kind] = descriptor.0;
        let (value, qp) = split(word);
        let qp = QpHandle(qp);
        let invalidated = (kind & 0xff == KIND_RECV_INVALIDATED).then(|| Rkey(split(rkey).0));
        match kind & 0xff {
            KIND_RECV | KIND_RECV_INVALIDATED => {
                Notice::Event(FabricEvent::Recv { qp, token, len: value, invalidated })
            }
            KIND_DONE => {
                Notice::Event(FabricEvent::Done { qp, token, status: WcStatus::from_number(value) })
            }
            _ => Notice::Control,
        }
    }
}

fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

fn split(word: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = word.to_le_bytes();
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sge(addr: u64) -> Sge {
        Sge { addr, length: 4096, lkey: Lkey(0x1234_5600) }
    }

    /// Goal: every kind of work crosses unchanged.
    #[test]
    fn work_survives() {
        let remote = Remote { addr: u64::MAX, rkey: Rkey(u32::MAX) };
        for op in [
            WorkOp::Send { invalidate: None },
            WorkOp::Send { invalidate: Some(Rkey(7)) },
            WorkOp::RdmaWrite(remote),
            WorkOp::RdmaRead(remote),
            WorkOp::Recv,
        ] {
            for (local, signaled) in
                [(Gather::one(sge(1)), true), (Gather::two(sge(u64::MAX), sge(2)), false)]
            {
                let work = Work { token: u64::MAX, op, local, signaled };
                let request = Request::Post(QpHandle(u32::MAX), work);
                assert_eq!(Request::decode(&request.encode()), request);
            }
        }
        assert_eq!(Request::decode(&Request::Control.encode()), Request::Control);
    }

    /// Goal: completions cross unchanged, every status; what carries private data does not.
    #[test]
    fn events_survive() {
        let qp = QpHandle(9);
        for number in 0..32 {
            let status = WcStatus::from_number(number);
            let done = Notice::Event(FabricEvent::Done { qp, token: 1 << 63, status });
            assert_eq!(Notice::decode(&done.encode()), done);
        }
        for invalidated in [None, Some(Rkey(0)), Some(Rkey(u32::MAX))] {
            let recv = FabricEvent::Recv { qp, token: 3, len: u32::MAX, invalidated };
            let recv = Notice::Event(recv);
            assert_eq!(Notice::decode(&recv.encode()), recv);
        }
        let rejected = FabricEvent::Rejected { qp, reason: 8, private: vec![1] };
        assert_eq!(Notice::decode(&Notice::Event(rejected).encode()), Notice::Control);
    }
}
