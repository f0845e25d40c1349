//! REQ: request for communication.
//!
//! Source: IBTA 1.4, "REQ - request for communication".

use super::BODY_LEN;
use crate::octets::{Be16, Be24, Be32, Be64, Bits, Raw, U8, layout};

/// What the requester wants to talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceId(pub u64);

impl ServiceId {
    /// RDMA-CM port space "TCP" (prefix `0x0106`): how NVMe over RDMA names its port.
    #[must_use]
    pub const fn tcp_port(port: u16) -> Self {
        Self(0x0000_0000_0106_0000 | port as u64)
    }

    /// The port, when this is of the TCP port space.
    #[must_use]
    pub fn port(self) -> Option<u16> {
        u16::try_from(self.0 ^ Self::tcp_port(0).0).ok()
    }
}

/// Transport service type of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportType {
    /// Reliable connection: the only one of NVMe over RDMA.
    Rc,
    /// Another code, 1 to 3.
    Other(u8),
}

/// Path MTU in payload octets, as the 4-bit code of CM and verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PathMtu {
    /// 256 octets.
    Octets256 = 1,
    /// 512 octets.
    Octets512 = 2,
    /// 1,024 octets.
    Octets1024 = 3,
    /// 2,048 octets.
    Octets2048 = 4,
    /// 4,096 octets.
    Octets4096 = 5,
}

impl PathMtu {
    /// `None` for codes outside 1 to 5.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Octets256),
            2 => Some(Self::Octets512),
            3 => Some(Self::Octets1024),
            4 => Some(Self::Octets2048),
            5 => Some(Self::Octets4096),
            _ => None,
        }
    }

    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Payload octets of a full packet.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        128 << (self as u32)
    }

    /// The largest path MTU whose packets fit an Ethernet MTU; 80 octets are left for headers, as
    /// `rdma_rxe` does. `None` below 336.
    #[must_use]
    pub const fn from_eth_mtu(eth_mtu_bytes: u32) -> Option<Self> {
        match eth_mtu_bytes.saturating_sub(80) {
            0..256 => None,
            256..512 => Some(Self::Octets256),
            512..1024 => Some(Self::Octets512),
            1024..2048 => Some(Self::Octets1024),
            2048..4096 => Some(Self::Octets2048),
            4096.. => Some(Self::Octets4096),
        }
    }
}

layout! {
    /// REQ: asks for a connection, says where answers go and what the requester can do.
    ///
    /// `starting_psn` is the first PSN that its sender expects to *receive*.
    Req[BODY_LEN] {
        /// The requester's id of this connection.
        local_comm_id set_local_comm_id: u32 as Be32, 0;
        /// See [`ServiceId`].
        service_id_raw set_service_id_raw: u64 as Be64, 8;
        /// The requester's adapter.
        local_ca_guid set_local_ca_guid: u64 as Be64, 16;
        /// For datagrams; 0.
        local_qkey set_local_qkey: u32 as Be32, 28;
        /// The requester's queue pair, 24 bits.
        local_qpn set_local_qpn: u32 as Be24, 32;
        /// READs and atomics that the requester can answer at once.
        responder_resources set_responder_resources: u8 as U8, 35;
        /// For RD; 0.
        local_eecn set_local_eecn: u32 as Be24, 36;
        /// READs and atomics that the requester will have outstanding.
        initiator_depth set_initiator_depth: u8 as U8, 39;
        /// For RD; 0.
        remote_eecn set_remote_eecn: u32 as Be24, 40;
        /// How long the requester waits for an answer: 4.096 µs × 2^this.
        remote_cm_timeout set_remote_cm_timeout: u8 as Bits<U8, 3, 5>, 43;
        /// Transport service type code; 0 = RC.
        transport_code set_transport_code: u8 as Bits<U8, 1, 2>, 43;
        /// End-to-end flow control is used.
        flow_control set_flow_control: bool as Bits<U8, 0, 1>, 43;
        /// First PSN that the requester expects, 24 bits.
        starting_psn set_starting_psn: u32 as Be24, 44;
        /// How soon the requester answers: 4.096 µs × 2^this.
        local_cm_timeout set_local_cm_timeout: u8 as Bits<U8, 3, 5>, 47;
        /// Transport retries, 0 to 7.
        retry_count set_retry_count: u8 as Bits<U8, 0, 3>, 47;
        /// Partition.
        pkey set_pkey: u16 as Be16, 48;
        /// See [`PathMtu`].
        path_mtu_code set_path_mtu_code: u8 as Bits<U8, 4, 4>, 50;
        /// For RD.
        rdc_exists set_rdc_exists: bool as Bits<U8, 3, 1>, 50;
        /// Retries after RNR NAK; 7 = for ever.
        rnr_retry_count set_rnr_retry_count: u8 as Bits<U8, 0, 3>, 50;
        /// How often a CM message is sent again.
        max_cm_retries set_max_cm_retries: u8 as Bits<U8, 4, 4>, 51;
        /// The requester's QP takes from a shared receive queue.
        srq set_srq: bool as Bits<U8, 3, 1>, 51;
        /// Extended transport type.
        extended_transport set_extended_transport: u8 as Bits<U8, 0, 3>, 51;
        /// `0xffff` on RoCE.
        primary_local_lid set_primary_local_lid: u16 as Be16, 52;
        /// `0xffff` on RoCE.
        primary_remote_lid set_primary_remote_lid: u16 as Be16, 54;
        /// Requester's GID; `::ffff:a.b.c.d` for IPv4.
        primary_local_gid set_primary_local_gid: [u8; 16] as Raw, 56;
        /// Responder's GID.
        primary_remote_gid set_primary_remote_gid: [u8; 16] as Raw, 72;
        /// Flow label, 20 bits.
        primary_flow_label set_primary_flow_label: u32 as Bits<Be32, 12, 20>, 88;
        /// Packet rate code.
        primary_packet_rate set_primary_packet_rate: u32 as Bits<Be32, 0, 6>, 88;
        /// Traffic class.
        primary_traffic_class set_primary_traffic_class: u8 as U8, 92;
        /// Hop limit.
        primary_hop_limit set_primary_hop_limit: u8 as U8, 93;
        /// Service level.
        primary_sl set_primary_sl: u8 as Bits<U8, 4, 4>, 94;
        /// Both ends are in one subnet.
        primary_subnet_local set_primary_subnet_local: bool as Bits<U8, 3, 1>, 94;
        /// Local ACK timeout: 4.096 µs × 2^this.
        primary_ack_timeout set_primary_ack_timeout: u8 as Bits<U8, 3, 5>, 95;
        /// The alternate path, laid out like the primary; unused on RoCE.
        alternate_path set_alternate_path: [u8; 44] as Raw, 96;
        /// For the consumer; the RDMA CM puts [`super::IpHeader`] first.
        private_data set_private_data: [u8; 92] as Raw, 140;
    }
}

impl Req {
    /// What the requester wants to talk to.
    #[must_use]
    pub fn service_id(&self) -> ServiceId {
        ServiceId(self.service_id_raw())
    }

    /// Writes [`Self::service_id`].
    pub fn set_service_id(&mut self, service_id: ServiceId) -> &mut Self {
        self.set_service_id_raw(service_id.0)
    }

    /// `None` when the code is not a path MTU.
    #[must_use]
    pub fn path_mtu(&self) -> Option<PathMtu> {
        PathMtu::from_code(self.path_mtu_code())
    }

    /// Writes [`Self::path_mtu`].
    pub fn set_path_mtu(&mut self, path_mtu: PathMtu) -> &mut Self {
        self.set_path_mtu_code(path_mtu.code())
    }

    /// Transport service type.
    #[must_use]
    pub fn transport(&self) -> TransportType {
        match self.transport_code() {
            0 => TransportType::Rc,
            other => TransportType::Other(other),
        }
    }
}
