//! RoCEv2 packets (what goes into a UDP datagram to port 4791) and the native mode's packets.
//!
//! Source: IBTA 1.4 volume 1, "Packet layers" and annexes A17 (RoCEv2), A19 (memory placement).

mod aeth;
mod bth;
mod circle;
mod ext;
mod header;
mod header_set;
mod icrc;
mod kind;
pub mod native;
mod opcode;
mod packet;

pub use aeth::{Aeth, NakCode, RnrTimer, Syndrome};
pub use bth::{Bth, PKey, QKey, QpNum};
pub use circle::{Msn, Psn};
pub use ext::{AtomicEth, Deth, ExtHeaders, Feth, Ieth, ImmDt, Reth};
pub use header::{Header, HeaderBuf, TrailerBuf, pad_count};
pub use icrc::{ICRC_LEN, Icrc, IcrcIp, UdpPorts};
pub use kind::PacketKind;
pub use opcode::{Opcode, Operation, Position};
pub use packet::{Packet, ParseError};

/// The UDP destination port of RoCEv2.
pub const UDP_PORT: u16 = 4791;

#[cfg(test)]
#[path = "properties_tests.rs"]
mod properties_tests;
