//! What a packet is, by its first octets: for whoever picks packets out (fault injection, filters,
//! statistics). Both wire modes have the same words.

use super::native::{self, NativeFlags};
use super::{Bth, Deth, Opcode, Operation, Position, Syndrome};
use crate::cm::Attribute;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        /// What a packet is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum PacketKind { $($(#[$doc])* $name,)* }

        impl PacketKind {
            /// Every kind, in the order of their numbers: fewer than 64.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word for options and reports: `send-first`, `read-response-last`, `cm-req`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

kinds! {
    /// First packet of a SEND of several.
    SendFirst = "send-first";
    /// Neither first nor last of a SEND.
    SendMiddle = "send-middle";
    /// Last packet of a SEND of several.
    SendLast = "send-last";
    /// A SEND in one packet.
    SendOnly = "send-only";
    /// First packet of an RDMA WRITE of several.
    WriteFirst = "write-first";
    /// Neither first nor last of an RDMA WRITE.
    WriteMiddle = "write-middle";
    /// Last packet of an RDMA WRITE of several; in native mode perhaps with a SEND in its header.
    WriteLast = "write-last";
    /// An RDMA WRITE in one packet.
    WriteOnly = "write-only";
    /// RDMA READ request.
    ReadRequest = "read-request";
    /// First packet of an RDMA READ's response of several.
    ReadResponseFirst = "read-response-first";
    /// Neither first nor last of an RDMA READ's response.
    ReadResponseMiddle = "read-response-middle";
    /// Last packet of an RDMA READ's response of several.
    ReadResponseLast = "read-response-last";
    /// An RDMA READ's response in one packet.
    ReadResponseOnly = "read-response-only";
    /// Compare and swap, or fetch and add.
    AtomicRequest = "atomic-request";
    /// The result of an atomic.
    AtomicResponse = "atomic-response";
    /// Acknowledgement without bad news.
    Ack = "ack";
    /// Negative acknowledgement: a gap, or a refusal.
    Nak = "nak";
    /// Receiver not ready.
    RnrNak = "rnr-nak";
    /// The native mode's question where the peer stands.
    Probe = "probe";
    /// Congestion notification packet.
    Cnp = "cnp";
    /// CM: request for communication.
    CmReq = "cm-req";
    /// CM: "I am working on it".
    CmMra = "cm-mra";
    /// CM: reject.
    CmRej = "cm-rej";
    /// CM: reply.
    CmRep = "cm-rep";
    /// CM: ready to use.
    CmRtu = "cm-rtu";
    /// CM: disconnect request.
    CmDreq = "cm-dreq";
    /// CM: disconnect reply.
    CmDrep = "cm-drep";
    /// Another datagram of a management class.
    CmOther = "cm-other";
    /// Anything else that has a BTH with a known opcode.
    Other = "other";
}

impl PacketKind {
    /// Octets of a packet, from its BTH on, that suffice to tell its kind.
    pub const HEAD_LEN: usize = 38;

    /// The kind of the packet that begins with `head`; `None` when it is none of this stack's.
    /// Octets that are not there count as unknown, never as a fault.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        let opcode = Opcode::from_octet(*head.first()?)?;
        let rest = head.get(Bth::LEN..)?;
        Some(match opcode.operation() {
            Operation::Native => of_native(opcode, rest),
            Operation::Acknowledge => acknowledgement(rest.first().copied()),
            Operation::DatagramSend => {
                let attribute = rest.get(Deth::LEN..).and_then(Attribute::of_mad);
                attribute.map_or(Self::CmOther, of_management)
            }
            Operation::Send => by_position(SEND, opcode.position()),
            Operation::RdmaWrite => by_position(WRITE, opcode.position()),
            Operation::RdmaReadResponse => by_position(READ_RESPONSE, opcode.position()),
            Operation::RdmaReadRequest => Self::ReadRequest,
            Operation::CompareSwap | Operation::FetchAdd => Self::AtomicRequest,
            Operation::AtomicAcknowledge => Self::AtomicResponse,
            Operation::CongestionNotification => Self::Cnp,
            Operation::Flush | Operation::AtomicWrite => Self::Other,
        })
    }
}

/// Kinds of one operation: first, middle, last, only.
type Places = [PacketKind; 4];

const SEND: Places =
    [PacketKind::SendFirst, PacketKind::SendMiddle, PacketKind::SendLast, PacketKind::SendOnly];
const WRITE: Places =
    [PacketKind::WriteFirst, PacketKind::WriteMiddle, PacketKind::WriteLast, PacketKind::WriteOnly];
const READ_RESPONSE: Places = [
    PacketKind::ReadResponseFirst,
    PacketKind::ReadResponseMiddle,
    PacketKind::ReadResponseLast,
    PacketKind::ReadResponseOnly,
];

const fn by_position(places: Places, position: Position) -> PacketKind {
    let [first, middle, last, only] = places;
    match position {
        Position::First => first,
        Position::Middle => middle,
        Position::Last => last,
        Position::Only => only,
    }
}

/// The native mode's operations. An acknowledgement is not among them: its syndrome decides.
const NATIVE: [(Opcode, Places); 7] = [
    (Opcode::NativeSend, SEND),
    (Opcode::NativeWrite, WRITE),
    (Opcode::NativeReadResponse, READ_RESPONSE),
    (Opcode::NativeReadRequest, [PacketKind::ReadRequest; 4]),
    (Opcode::NativeAtomicRequest, [PacketKind::AtomicRequest; 4]),
    (Opcode::NativeAtomicResponse, [PacketKind::AtomicResponse; 4]),
    (Opcode::NativeProbe, [PacketKind::Probe; 4]),
];

/// The opcode says which operation, a flag octet or a syndrome the rest.
fn of_native(opcode: Opcode, rest: &[u8]) -> PacketKind {
    let (flags, syndrome) = native::flags_and_syndrome(rest).unzip();
    let known = NATIVE.iter().find(|(of, _)| *of == opcode);
    let Some((_, places)) = known else { return acknowledgement(syndrome) };
    let is = |flag| flags.is_some_and(|flags: NativeFlags| flags.contains(flag));
    let position = match (is(NativeFlags::FIRST), is(NativeFlags::LAST)) {
        (true, true) => Position::Only,
        (true, false) => Position::First,
        (false, true) => Position::Last,
        (false, false) => Position::Middle,
    };
    by_position(*places, position)
}

fn acknowledgement(syndrome: Option<u8>) -> PacketKind {
    match syndrome.map(Syndrome::from_octet) {
        Some(Syndrome::Ack { .. }) => PacketKind::Ack,
        Some(Syndrome::RnrNak(_)) => PacketKind::RnrNak,
        Some(Syndrome::Nak(_)) => PacketKind::Nak,
        Some(Syndrome::Reserved(_)) | None => PacketKind::Other,
    }
}

const fn of_management(attribute: Attribute) -> PacketKind {
    match attribute {
        Attribute::Req => PacketKind::CmReq,
        Attribute::Mra => PacketKind::CmMra,
        Attribute::Rej => PacketKind::CmRej,
        Attribute::Rep => PacketKind::CmRep,
        Attribute::Rtu => PacketKind::CmRtu,
        Attribute::Dreq => PacketKind::CmDreq,
        Attribute::Drep => PacketKind::CmDrep,
        Attribute::SidrReq | Attribute::SidrRep => PacketKind::CmOther,
    }
}

#[cfg(test)]
#[path = "kind_tests.rs"]
mod tests;
