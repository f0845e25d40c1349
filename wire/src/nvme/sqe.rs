//! Submission queue entry: one command, 64 octets.
//!
//! Source: NVMe Base 2.0, "Submission queue entry - common command format".

use super::{AdminOpcode, Cid, FabricsType, IoOpcode, Nsid, Sgl};
use crate::octets::{Bits, Le16, Le32, Le64, Raw, U8, layout};

layout! {
    /// Submission queue entry. `cdwNN` are read by the commands ([`super::Rw`],
    /// [`super::IdentifyCmd`], …).
    #[derive(Copy)]
    Sqe[64] {
        /// See [`AdminOpcode`], [`IoOpcode`].
        opcode set_opcode: u8 as U8, 0;
        /// 0 = not fused.
        fuse set_fuse: u8 as Bits<U8, 0, 2>, 1;
        /// How data is described: 0 = PRP, 1 = SGL (fabrics), 2 = SGL with metadata segment.
        psdt set_psdt: u8 as Bits<U8, 6, 2>, 1;
        /// Command id.
        cid_raw set_cid_raw: u16 as Le16, 2;
        /// Namespace id; in a Fabrics command the type is its first octet.
        nsid_raw set_nsid_raw: u32 as Le32, 4;
        /// Command dword 2.
        cdw2 set_cdw2: u32 as Le32, 8;
        /// Command dword 3.
        cdw3 set_cdw3: u32 as Le32, 12;
        /// Metadata pointer.
        metadata_pointer set_metadata_pointer: u64 as Le64, 16;
        /// Data pointer; see [`Sqe::sgl`].
        data_pointer set_data_pointer: [u8; 16] as Raw, 24;
        /// Command dword 10.
        cdw10 set_cdw10: u32 as Le32, 40;
        /// Command dword 11.
        cdw11 set_cdw11: u32 as Le32, 44;
        /// Command dword 12.
        cdw12 set_cdw12: u32 as Le32, 48;
        /// Command dword 13.
        cdw13 set_cdw13: u32 as Le32, 52;
        /// Command dword 14.
        cdw14 set_cdw14: u32 as Le32, 56;
        /// Command dword 15.
        cdw15 set_cdw15: u32 as Le32, 60;
    }
}

impl Sqe {
    /// A command whose data, if any, is described by an SGL, as fabrics demand.
    #[must_use]
    pub fn new(opcode: u8, cid: Cid, nsid: Nsid) -> Self {
        let mut sqe = Self::zeroed();
        sqe.set_opcode(opcode).set_psdt(1).set_cid(cid).set_nsid(nsid);
        sqe
    }

    /// Command id.
    #[inline]
    #[must_use]
    pub fn cid(&self) -> Cid {
        Cid(self.cid_raw())
    }

    /// Writes [`Self::cid`].
    #[inline]
    pub fn set_cid(&mut self, cid: Cid) -> &mut Self {
        self.set_cid_raw(cid.0)
    }

    /// Namespace id.
    #[inline]
    #[must_use]
    pub fn nsid(&self) -> Nsid {
        Nsid(self.nsid_raw())
    }

    /// Writes [`Self::nsid`].
    #[inline]
    pub fn set_nsid(&mut self, nsid: Nsid) -> &mut Self {
        self.set_nsid_raw(nsid.0)
    }

    /// The data pointer as an SGL descriptor.
    #[inline]
    #[must_use]
    pub fn sgl(&self) -> Sgl {
        Sgl::decode(&self.data_pointer())
    }

    /// Writes [`Self::sgl`].
    #[inline]
    pub fn set_sgl(&mut self, sgl: Sgl) -> &mut Self {
        self.set_data_pointer(sgl.encode())
    }

    /// `None` for opcodes without a name.
    #[inline]
    #[must_use]
    pub fn admin_opcode(&self) -> Option<AdminOpcode> {
        AdminOpcode::from_octet(self.opcode())
    }

    /// `None` for opcodes without a name.
    #[inline]
    #[must_use]
    pub fn io_opcode(&self) -> Option<IoOpcode> {
        IoOpcode::from_octet(self.opcode())
    }

    /// The type of a Fabrics command (opcode `0x7f`); `None` for others and unknown types.
    #[inline]
    #[must_use]
    pub fn fabrics_type(&self) -> Option<FabricsType> {
        let is_fabrics = self.opcode() == AdminOpcode::Fabrics.octet();
        is_fabrics.then(|| FabricsType::from_octet(self.octets[4])).flatten()
    }

    /// Writes [`Self::fabrics_type`]'s octet (and leaves the other three of the dword).
    pub fn set_fabrics_type(&mut self, fabrics_type: FabricsType) -> &mut Self {
        self.octets[4] = fabrics_type.octet();
        self
    }
}
