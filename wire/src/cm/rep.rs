//! REP: reply to a request for communication.
//!
//! Source: IBTA 1.4, "REP - reply to request for communication".

use super::BODY_LEN;
use crate::octets::{Be24, Be32, Be64, Bits, Raw, U8, layout};

layout! {
    /// REP: accepts a connection.
    ///
    /// `starting_psn` is the first PSN that its sender expects to *receive*: the requester's first
    /// request carries it.
    Rep[BODY_LEN] {
        /// The replier's id of this connection.
        local_comm_id set_local_comm_id: u32 as Be32, 0;
        /// The requester's id, from the REQ.
        remote_comm_id set_remote_comm_id: u32 as Be32, 4;
        /// For datagrams; 0.
        local_qkey set_local_qkey: u32 as Be32, 8;
        /// The replier's queue pair, 24 bits.
        local_qpn set_local_qpn: u32 as Be24, 12;
        /// For RD; 0.
        local_eecn set_local_eecn: u32 as Be24, 16;
        /// First PSN that the replier expects, 24 bits.
        starting_psn set_starting_psn: u32 as Be24, 20;
        /// READs and atomics that the replier can answer at once.
        responder_resources set_responder_resources: u8 as U8, 24;
        /// READs and atomics that the replier will have outstanding.
        initiator_depth set_initiator_depth: u8 as U8, 25;
        /// How long the replier may take to acknowledge: 4.096 µs × 2^this.
        target_ack_delay set_target_ack_delay: u8 as Bits<U8, 3, 5>, 26;
        /// Answer to an alternate path: 1 = not supported, as `rdma_rxe` says.
        failover_accepted set_failover_accepted: u8 as Bits<U8, 1, 2>, 26;
        /// End-to-end flow control is used.
        flow_control set_flow_control: bool as Bits<U8, 0, 1>, 26;
        /// Retries after RNR NAK; 7 = for ever.
        rnr_retry_count set_rnr_retry_count: u8 as Bits<U8, 5, 3>, 27;
        /// The replier's QP takes from a shared receive queue.
        srq set_srq: bool as Bits<U8, 4, 1>, 27;
        /// The replier's adapter.
        local_ca_guid set_local_ca_guid: u64 as Be64, 28;
        /// For the consumer.
        private_data set_private_data: [u8; 196] as Raw, 36;
    }
}
