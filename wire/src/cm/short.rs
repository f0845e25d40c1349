//! The shorter messages: MRA, REJ, RTU, DREQ, DREP.
//!
//! Source: IBTA 1.4, chapter "Communication management", one section for each.

use super::{BODY_LEN, RejReason};
use crate::octets::{Be16, Be24, Be32, Bits, Raw, U8, layout};

layout! {
    /// MRA: received, an answer takes longer. The kernel sends it to duplicates.
    Mra[BODY_LEN] {
        /// The sender's id of this connection.
        local_comm_id set_local_comm_id: u32 as Be32, 0;
        /// The receiver's id.
        remote_comm_id set_remote_comm_id: u32 as Be32, 4;
        /// What was received: 0 = REQ, 1 = REP, 2 = LAP.
        message set_message: u8 as Bits<U8, 6, 2>, 8;
        /// Give it this long: 4.096 µs × 2^this.
        service_timeout set_service_timeout: u8 as Bits<U8, 3, 5>, 9;
        /// For the consumer.
        private_data set_private_data: [u8; 222] as Raw, 10;
    }
}

layout! {
    /// REJ: refuses a connection.
    Rej[BODY_LEN] {
        /// The sender's id of this connection; 0 when it has none.
        local_comm_id set_local_comm_id: u32 as Be32, 0;
        /// The receiver's id.
        remote_comm_id set_remote_comm_id: u32 as Be32, 4;
        /// What is refused: 0 = REQ, 1 = REP, 2 = no message (a timeout, say).
        message set_message: u8 as Bits<U8, 6, 2>, 8;
        /// Octets of `info` that mean something.
        info_len set_info_len: u8 as Bits<U8, 1, 7>, 9;
        /// See [`RejReason`].
        reason_code set_reason_code: u16 as Be16, 10;
        /// Additional reject information.
        info set_info: [u8; 72] as Raw, 12;
        /// For the consumer.
        private_data set_private_data: [u8; 148] as Raw, 84;
    }
}

impl Rej {
    /// Why.
    #[must_use]
    pub fn reason(&self) -> RejReason {
        RejReason(self.reason_code())
    }

    /// Writes [`Self::reason`].
    pub fn set_reason(&mut self, reason: RejReason) -> &mut Self {
        self.set_reason_code(reason.0)
    }
}

layout! {
    /// RTU: the requester has seen the REP.
    Rtu[BODY_LEN] {
        /// The sender's id of this connection.
        local_comm_id set_local_comm_id: u32 as Be32, 0;
        /// The receiver's id.
        remote_comm_id set_remote_comm_id: u32 as Be32, 4;
        /// For the consumer.
        private_data set_private_data: [u8; 224] as Raw, 8;
    }
}

layout! {
    /// DREQ: ends a connection.
    Dreq[BODY_LEN] {
        /// The sender's id of this connection.
        local_comm_id set_local_comm_id: u32 as Be32, 0;
        /// The receiver's id.
        remote_comm_id set_remote_comm_id: u32 as Be32, 4;
        /// The receiver's queue pair, 24 bits.
        remote_qpn set_remote_qpn: u32 as Be24, 8;
        /// For the consumer.
        private_data set_private_data: [u8; 220] as Raw, 12;
    }
}

layout! {
    /// DREP: the connection has ended.
    Drep[BODY_LEN] {
        /// The sender's id of this connection.
        local_comm_id set_local_comm_id: u32 as Be32, 0;
        /// The receiver's id.
        remote_comm_id set_remote_comm_id: u32 as Be32, 4;
        /// For the consumer.
        private_data set_private_data: [u8; 224] as Raw, 8;
    }
}
