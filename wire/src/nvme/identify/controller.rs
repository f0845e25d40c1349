//! Identify Controller (CNS 01h).

use super::IDENTIFY_LEN;
use crate::nvme::{ControllerId, ZeroBased};
use crate::octets::{Bits, Le16, Le32, Le128, Raw, U8, layout};

layout! {
    /// What a controller is and can do. Names are those of the specification.
    IdentifyController[IDENTIFY_LEN] {
        /// PCI vendor.
        vid set_vid: u16 as Le16, 0;
        /// PCI subsystem vendor.
        ssvid set_ssvid: u16 as Le16, 2;
        /// Serial number, ASCII: [`super::ascii_field`].
        sn set_sn: [u8; 20] as Raw, 4;
        /// Model number, ASCII.
        mn set_mn: [u8; 40] as Raw, 24;
        /// Firmware revision, ASCII.
        fr set_fr: [u8; 8] as Raw, 64;
        /// Recommended arbitration burst, power of two.
        rab set_rab: u8 as U8, 72;
        /// IEEE OUI.
        ieee set_ieee: [u8; 3] as Raw, 73;
        /// Multi-path capabilities: bit 1 = several controllers, bit 3 = ANA.
        cmic set_cmic: u8 as U8, 76;
        /// Most data of a command: 2^this units of the smallest page (4 KiB here); 0 = no limit.
        mdts set_mdts: u8 as U8, 77;
        /// Controller id.
        cntlid_raw set_cntlid_raw: u16 as Le16, 78;
        /// Version of NVMe, as VS.
        ver set_ver: u32 as Le32, 80;
        /// RTD3 resume latency, µs.
        rtd3r set_rtd3r: u32 as Le32, 84;
        /// RTD3 entry latency, µs.
        rtd3e set_rtd3e: u32 as Le32, 88;
        /// Asynchronous events: bit 8 = namespace attribute, bit 11 = ANA, bit 31 = discovery.
        oaes set_oaes: u32 as Le32, 92;
        /// Controller attributes: bit 0 = 128-bit host id, bit 6 = traffic based keep alive.
        ctratt set_ctratt: u32 as Le32, 96;
        /// 1 = I/O, 2 = discovery, 3 = administrative.
        cntrltype set_cntrltype: u8 as U8, 111;
        /// FRU GUID.
        fguid set_fguid: [u8; 16] as Raw, 112;
        /// Command retry delay 1, in 100 ms.
        crdt1 set_crdt1: u16 as Le16, 128;
        /// Command retry delay 2.
        crdt2 set_crdt2: u16 as Le16, 130;
        /// Command retry delay 3.
        crdt3 set_crdt3: u16 as Le16, 132;
        /// Optional admin commands.
        oacs set_oacs: u16 as Le16, 256;
        /// Abort command limit, zero-based.
        acl set_acl: u8 as U8, 258;
        /// Asynchronous event request limit, zero-based.
        aerl set_aerl: u8 as U8, 259;
        /// Firmware updates; bit 0 = slot 1 read only, bits 3-1 = slots.
        frmw set_frmw: u8 as U8, 260;
        /// Log page attributes: bit 0 = SMART per namespace, 1 = effects, 2 = extended data (offset
        /// and length), 5 = supported log pages.
        lpa set_lpa: u8 as U8, 261;
        /// Error log entries, zero-based.
        elpe set_elpe: u8 as U8, 262;
        /// Power states, zero-based.
        npss set_npss: u8 as U8, 263;
        /// Admin vendor specific command configuration.
        avscc set_avscc: u8 as U8, 264;
        /// Warning temperature, kelvin.
        wctemp set_wctemp: u16 as Le16, 266;
        /// Critical temperature, kelvin.
        cctemp set_cctemp: u16 as Le16, 268;
        /// Total capacity, octets.
        tnvmcap set_tnvmcap: u128 as Le128, 280;
        /// Unallocated capacity, octets.
        unvmcap set_unvmcap: u128 as Le128, 296;
        /// Granularity of the keep alive timer, in 100 ms; 0 = no keep alive.
        kas set_kas: u16 as Le16, 320;
        /// ANA transition time, s.
        anatt set_anatt: u8 as U8, 342;
        /// ANA capabilities.
        anacap set_anacap: u8 as U8, 343;
        /// Largest ANA group id.
        anagrpmax set_anagrpmax: u32 as Le32, 344;
        /// Number of ANA groups.
        nanagrpid set_nanagrpid: u32 as Le32, 348;
        /// Submission queue entry size: log2 of the least that is required.
        sqes_min set_sqes_min: u8 as Bits<U8, 0, 4>, 512;
        /// Log2 of the most that is possible.
        sqes_max set_sqes_max: u8 as Bits<U8, 4, 4>, 512;
        /// Completion queue entry size: log2 of the least that is required.
        cqes_min set_cqes_min: u8 as Bits<U8, 0, 4>, 513;
        /// Log2 of the most that is possible.
        cqes_max set_cqes_max: u8 as Bits<U8, 4, 4>, 513;
        /// Most commands that a host may have outstanding on a queue.
        maxcmd set_maxcmd: u16 as Le16, 514;
        /// Largest namespace id.
        nn set_nn: u32 as Le32, 516;
        /// Optional NVM commands: bit 0 = compare, 1 = write uncorrectable, 2 = dataset management,
        /// 3 = write zeroes, 4 = save/select of features, 5 = reservations, 6 = timestamp,
        /// 7 = verify, 8 = copy.
        oncs set_oncs: u16 as Le16, 520;
        /// Fused operations.
        fuses set_fuses: u16 as Le16, 522;
        /// Format NVM attributes.
        fna set_fna: u8 as U8, 524;
        /// Volatile write cache: bit 0 = present, bits 2-1 = 3 when Flush may name all namespaces.
        vwc set_vwc: u8 as U8, 525;
        /// Atomic write unit, zero-based blocks.
        awun set_awun: u16 as Le16, 526;
        /// Atomic write unit at power failure, zero-based blocks.
        awupf set_awupf: u16 as Le16, 528;
        /// NVM vendor specific command configuration.
        nvscc set_nvscc: u8 as U8, 530;
        /// Namespace write protection.
        nwpc set_nwpc: u8 as U8, 531;
        /// Atomic compare and write unit, zero-based blocks.
        acwu set_acwu: u16 as Le16, 532;
        /// Copy descriptor formats.
        cdfs set_cdfs: u16 as Le16, 534;
        /// SGL support: bits 1-0 = supported, 2 = keyed, 20 = address is an offset (in capsule),
        /// 21 = transport SGL.
        sgls set_sgls: u32 as Le32, 536;
        /// Most namespaces; 0 = `nn`.
        mnan set_mnan: u32 as Le32, 540;
        /// Subsystem NQN, zero padded.
        subnqn set_subnqn: [u8; 256] as Raw, 768;
        /// Command capsule size in 16 octets: 4 + in-capsule data.
        ioccsz set_ioccsz: u32 as Le32, 1792;
        /// Response capsule size in 16 octets: 1.
        iorcsz set_iorcsz: u32 as Le32, 1796;
        /// Offset of in-capsule data in 16 octets: 0.
        icdoff set_icdoff: u16 as Le16, 1800;
        /// Fabrics controller attributes: bit 0 = 1 for a static controller.
        fcatt set_fcatt: u8 as U8, 1802;
        /// Most SGL data block descriptors in a capsule; 0 = no limit.
        msdbd set_msdbd: u8 as U8, 1803;
        /// Optional fabrics commands: bit 0 = disconnect.
        ofcs set_ofcs: u16 as Le16, 1804;
        /// Power state 0: most power, in centiwatts.
        ps0_max_power set_ps0_max_power: u16 as Le16, 2048;
    }
}

impl IdentifyController {
    /// SGLs are supported.
    pub const SGLS_SUPPORTED: u32 = 1;
    /// SGLs: keyed data blocks.
    pub const SGLS_KEYED: u32 = 1 << 2;
    /// SGLs: the address of a data block may be an offset, that is data in the capsule.
    pub const SGLS_OFFSET: u32 = 1 << 20;
    /// SGLs: Transport SGL Data Blocks, whose data the transport moves by its own means.
    pub const SGLS_TRANSPORT: u32 = 1 << 21;

    /// Controller id.
    #[must_use]
    pub fn cntlid(&self) -> ControllerId {
        ControllerId(self.cntlid_raw())
    }

    /// Writes [`Self::cntlid`].
    pub fn set_cntlid(&mut self, cntlid: ControllerId) -> &mut Self {
        self.set_cntlid_raw(cntlid.0)
    }

    /// Asynchronous event requests that may be outstanding.
    #[must_use]
    pub fn aer_count(&self) -> u16 {
        ZeroBased::<u8>::from_raw(self.aerl()).count()
    }

    /// Octets of data that fit an I/O command capsule; 0 when the field is too small.
    #[must_use]
    pub fn in_capsule_bytes(&self) -> u64 {
        (u64::from(self.ioccsz()) * 16).saturating_sub(64)
    }

    /// Writes [`Self::in_capsule_bytes`], rounded down to 16.
    pub fn set_in_capsule_bytes(&mut self, in_capsule_bytes: u32) -> &mut Self {
        self.set_ioccsz(4 + in_capsule_bytes / 16)
    }

    /// Most octets of data of one command; `None` = no limit.
    #[must_use]
    pub fn mdts_bytes(&self) -> Option<u64> {
        match self.mdts() {
            0 => None,
            log2 => 4096_u64.checked_shl(u32::from(log2)).filter(|bytes| *bytes >= 4096),
        }
    }
}
