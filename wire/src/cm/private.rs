//! What consumers put into CM private data: the RDMA CM's address header and NVMe's queue
//! parameters.
//!
//! Source: IBTA annex A11 (RDMA IP CM service), NVMe RDMA Transport 1.0, "Connection
//! establishment".

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::octets::{Be16, Bits, Le16, Raw, U8, layout};

layout! {
    /// First 36 octets of a REQ's private data: who calls, by IP address.
    IpHeader[36] {
        /// Version: 0.
        version set_version: u8 as U8, 0;
        /// 4 or 6.
        ip_version set_ip_version: u8 as Bits<U8, 4, 4>, 1;
        /// The caller's port.
        source_port set_source_port: u16 as Be16, 2;
        /// Source address; IPv4 in the last four octets.
        source_raw set_source_raw: [u8; 16] as Raw, 4;
        /// Destination address.
        destination_raw set_destination_raw: [u8; 16] as Raw, 20;
    }
}

impl IpHeader {
    /// The header of a call. Panics when the addresses are of different families.
    #[must_use]
    pub fn new(source: IpAddr, source_port: u16, destination: IpAddr) -> Self {
        assert!(source.is_ipv4() == destination.is_ipv4(), "addresses of one family");
        let mut header = Self::zeroed();
        header
            .set_ip_version(if source.is_ipv4() { 4 } else { 6 })
            .set_source_port(source_port)
            .set_source_raw(octets_of(source))
            .set_destination_raw(octets_of(destination));
        header
    }

    /// Who calls. `None` when the IP version is neither 4 nor 6.
    #[must_use]
    pub fn source(&self) -> Option<IpAddr> {
        self.address(self.source_raw())
    }

    /// Who is called.
    #[must_use]
    pub fn destination(&self) -> Option<IpAddr> {
        self.address(self.destination_raw())
    }

    fn address(&self, raw: [u8; 16]) -> Option<IpAddr> {
        match self.ip_version() {
            4 => raw.last_chunk::<4>().map(|v4| IpAddr::V4(Ipv4Addr::from(*v4))),
            6 => Some(IpAddr::V6(Ipv6Addr::from(raw))),
            _ => None,
        }
    }
}

fn octets_of(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => {
            let mut raw = [0; 16];
            raw[12..].copy_from_slice(&v4.octets());
            raw
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

layout! {
    /// NVMe over RDMA, in the REQ after [`IpHeader`].
    NvmeRequestPrivate[32] {
        /// Format: 0.
        record_format set_record_format: u16 as Le16, 0;
        /// Queue id: 0 = admin.
        queue_id set_queue_id: u16 as Le16, 2;
        /// The host's receive queue: how many responses it can hold.
        host_receive_queue_size set_host_receive_queue_size: u16 as Le16, 4;
        /// The host's send queue, zero-based: how many commands it may have outstanding.
        host_send_queue_size set_host_send_queue_size: u16 as Le16, 6;
        /// Controller, for I/O queues of newer hosts; else 0.
        controller_id set_controller_id: u16 as Le16, 8;
    }
}

layout! {
    /// NVMe over RDMA, in the REP.
    NvmeReplyPrivate[32] {
        /// Format: 0.
        record_format set_record_format: u16 as Le16, 0;
        /// The controller's receive queue.
        controller_receive_queue_size set_controller_receive_queue_size: u16 as Le16, 2;
    }
}

layout! {
    /// NVMe over RDMA, in the REJ with reason "consumer".
    NvmeRejectPrivate[4] {
        /// Format: 0.
        record_format set_record_format: u16 as Le16, 0;
        /// See [`NvmeRejStatus`].
        status_code set_status_code: u16 as Le16, 2;
    }
}

/// Why an NVMe controller refuses a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NvmeRejStatus(pub u16);

impl NvmeRejStatus {
    /// Private data of the wrong length.
    pub const INVALID_LENGTH: Self = Self(1);
    /// Unknown record format.
    pub const INVALID_RECORD_FORMAT: Self = Self(2);
    /// Queue id out of range.
    pub const INVALID_QUEUE_ID: Self = Self(3);
    /// Send queue size out of range.
    pub const INVALID_SEND_QUEUE_SIZE: Self = Self(4);
    /// Receive queue size out of range.
    pub const INVALID_RECEIVE_QUEUE_SIZE: Self = Self(5);
    /// No resources.
    pub const NO_RESOURCES: Self = Self(6);
    /// Responder resources out of range.
    pub const INVALID_IRD: Self = Self(7);
    /// Initiator depth out of range.
    pub const INVALID_ORD: Self = Self(8);
    /// Controller id unknown.
    pub const INVALID_CONTROLLER_ID: Self = Self(9);
}
