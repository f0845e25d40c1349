//! Discovery log (page 70h): a header of 1,024 octets, then entries of 1,024 octets.

use super::{Nqn, NqnError};
use crate::nvme::identify::{ascii_field, trim_field};
use crate::nvme::opcode::codes;
use crate::octets::{Bits, Le16, Le64, Raw, U8, layout};

codes! {
    /// Transport type.
    TransportKind {
        Rdma = 1 "rdma",
        FibreChannel = 2 "fc",
        Tcp = 3 "tcp",
        Loop = 254 "loop",
    }
}

codes! {
    /// Address family.
    AddressFamily {
        Ipv4 = 1 "ipv4",
        Ipv6 = 2 "ipv6",
        InfiniBand = 3 "ib",
        FibreChannel = 4 "fc",
        Loop = 254 "loop",
    }
}

codes! {
    /// What an entry leads to.
    SubsystemType {
        Referral = 1 "referral",
        Nvm = 2 "nvme",
        CurrentDiscovery = 3 "discovery",
    }
}

codes! {
    /// Is a secure channel needed?
    Treq {
        NotSpecified = 0 "not_specified",
        Required = 1 "required",
        NotRequired = 2 "not_required",
    }
}

layout! {
    /// First in the page.
    DiscoveryHeader[1024] {
        /// Changes whenever the log does.
        generation set_generation: u64 as Le64, 0;
        /// Entries that follow.
        record_count set_record_count: u64 as Le64, 8;
        /// Format: 0.
        record_format set_record_format: u16 as Le16, 16;
    }
}

layout! {
    /// One way to a subsystem.
    DiscoveryEntry[1024] {
        /// See [`TransportKind`].
        trtype set_trtype: u8 as U8, 0;
        /// See [`AddressFamily`].
        adrfam set_adrfam: u8 as U8, 1;
        /// See [`SubsystemType`].
        subtype set_subtype: u8 as U8, 2;
        /// See [`Treq`].
        treq set_treq: u8 as Bits<U8, 0, 2>, 3;
        /// Submission queue flow control may be switched off.
        flow_control_optional set_flow_control_optional: bool as Bits<U8, 2, 1>, 3;
        /// Port of the subsystem.
        portid set_portid: u16 as Le16, 4;
        /// `0xffff` = dynamic controllers.
        cntlid set_cntlid: u16 as Le16, 6;
        /// Largest admin submission queue, at least 32.
        asqsz set_asqsz: u16 as Le16, 8;
        /// Flags: bit 1 = this discovery controller sends events.
        eflags set_eflags: u16 as Le16, 10;
        /// Service, ASCII: for IP the port number.
        trsvcid_raw set_trsvcid_raw: [u8; 32] as Raw, 32;
        /// Subsystem NQN, zero padded.
        subnqn_raw set_subnqn_raw: [u8; 256] as Raw, 256;
        /// Address, ASCII.
        traddr_raw set_traddr_raw: [u8; 256] as Raw, 512;
        /// Transport specific.
        tsas set_tsas: [u8; 256] as Raw, 768;
    }
}

layout! {
    /// Transport specific address of RDMA.
    RdmaAddress[256] {
        /// 1 = connected.
        qp_type set_qp_type: u8 as U8, 0;
        /// Provider: 1 = none, 2 = InfiniBand, 3 = RoCE, 4 = RoCEv2, 5 = iWARP.
        provider set_provider: u8 as U8, 1;
        /// Connection management: 1 = RDMA CM.
        connection set_connection: u8 as U8, 2;
        /// Partition.
        pkey set_pkey: u16 as Le16, 8;
    }
}

impl DiscoveryEntry {
    /// Service. `None` when it is not text.
    #[must_use]
    pub fn trsvcid(&self) -> Option<&str> {
        trim_field(&self.octets[32..64])
    }

    /// Writes [`Self::trsvcid`], cut off at 32 and padded with spaces.
    pub fn set_trsvcid(&mut self, trsvcid: &str) -> &mut Self {
        self.set_trsvcid_raw(ascii_field(trsvcid))
    }

    /// Address. `None` when it is not text.
    #[must_use]
    pub fn traddr(&self) -> Option<&str> {
        trim_field(&self.octets[512..768])
    }

    /// Writes [`Self::traddr`], cut off at 256 and padded with spaces.
    pub fn set_traddr(&mut self, traddr: &str) -> &mut Self {
        self.set_traddr_raw(ascii_field(traddr))
    }

    /// Errors: the peer's fault.
    pub fn subnqn(&self) -> Result<Nqn, NqnError> {
        Nqn::from_field(&self.subnqn_raw())
    }

    /// Writes [`Self::subnqn`].
    pub fn set_subnqn(&mut self, subnqn: &Nqn) -> &mut Self {
        self.set_subnqn_raw(subnqn.field())
    }
}
