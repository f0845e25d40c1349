//! Service id resolution, for datagram services: enough to refuse it politely.
//!
//! Source: IBTA 1.4, "SIDR_REQ" and "SIDR_REP".

use super::BODY_LEN;
use crate::octets::{Be16, Be24, Be32, Be64, Raw, U8, layout};

layout! {
    /// SIDR_REQ: which datagram queue pair serves this service?
    SidrReq[BODY_LEN] {
        /// Comes back in the reply.
        request_id set_request_id: u32 as Be32, 0;
        /// Partition.
        pkey set_pkey: u16 as Be16, 4;
        /// See [`super::ServiceId`].
        service_id set_service_id: u64 as Be64, 8;
        /// For the consumer.
        private_data set_private_data: [u8; 216] as Raw, 16;
    }
}

layout! {
    /// SIDR_REP: the answer.
    SidrRep[BODY_LEN] {
        /// From the request.
        request_id set_request_id: u32 as Be32, 0;
        /// 0 = valid, 1 = service id not supported, 2 = rejected by its provider.
        status set_status: u8 as U8, 4;
        /// Octets of `info` that mean something.
        info_len set_info_len: u8 as U8, 5;
        /// The queue pair, 24 bits.
        qpn set_qpn: u32 as Be24, 8;
        /// From the request.
        service_id set_service_id: u64 as Be64, 12;
        /// Its queue key.
        qkey set_qkey: u32 as Be32, 20;
        /// Additional information.
        info set_info: [u8; 72] as Raw, 24;
        /// For the consumer.
        private_data set_private_data: [u8; 136] as Raw, 96;
    }
}
