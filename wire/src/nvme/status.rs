//! Status of a completion: an outcome is data, not an error.
//!
//! Source: NVMe Base 2.0, "Status field definition"; Fabrics and NVM command set for their values.

use crate::octets::{bits, with_bits};

/// Status type, code, and what the host may do about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status {
    /// Status code type, 3 bits.
    pub sct: u8,
    /// Status code.
    pub sc: u8,
    /// Command retry delay, 2 bits: which of the controller's three delays.
    pub crd: u8,
    /// More about it is in the error log.
    pub more: bool,
    /// Do not retry: it will fail again.
    pub dnr: bool,
}

macro_rules! statuses {
    ($($name:ident = $sct:literal $sc:literal $word:literal;)*) => {
        impl Status {
            $(#[doc = concat!($word, ".")] pub const $name: Self = Self::new($sct, $sc);)*

            /// In words; "unknown status" for values outside the tables. A command-specific code
            /// of Fabrics shares its value with one of the NVM command set: this says Fabrics'.
            #[must_use]
            #[allow(unreachable_patterns, reason = "Fabrics and NVM share 0x180 to 0x183")]
            pub const fn as_str(self) -> &'static str {
                match (self.sct, self.sc) {
                    $(($sct, $sc) => $word,)*
                    _ => "unknown status",
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0 0x00 "Successful completion";
    INVALID_OPCODE = 0 0x01 "Invalid command opcode";
    INVALID_FIELD = 0 0x02 "Invalid field in command";
    CID_CONFLICT = 0 0x03 "Command id conflict";
    DATA_TRANSFER_ERROR = 0 0x04 "Data transfer error";
    ABORTED_POWER_LOSS = 0 0x05 "Commands aborted due to power loss notification";
    INTERNAL_ERROR = 0 0x06 "Internal error";
    ABORT_REQUESTED = 0 0x07 "Command abort requested";
    ABORTED_SQ_DELETION = 0 0x08 "Command aborted due to SQ deletion";
    ABORTED_FAILED_FUSED = 0 0x09 "Command aborted due to failed fused command";
    ABORTED_MISSING_FUSED = 0 0x0a "Command aborted due to missing fused command";
    INVALID_NAMESPACE = 0 0x0b "Invalid namespace or format";
    COMMAND_SEQUENCE = 0 0x0c "Command sequence error";
    SGL_INVALID_SEGMENT = 0 0x0d "Invalid SGL segment descriptor";
    SGL_INVALID_COUNT = 0 0x0e "Invalid number of SGL descriptors";
    SGL_DATA_LENGTH = 0 0x0f "Data SGL length invalid";
    SGL_METADATA_LENGTH = 0 0x10 "Metadata SGL length invalid";
    SGL_TYPE = 0 0x11 "SGL descriptor type invalid";
    CMB_INVALID_USE = 0 0x12 "Invalid use of controller memory buffer";
    PRP_OFFSET = 0 0x13 "PRP offset invalid";
    ATOMIC_WRITE_UNIT = 0 0x14 "Atomic write unit exceeded";
    OPERATION_DENIED = 0 0x15 "Operation denied";
    SGL_OFFSET = 0 0x16 "SGL offset invalid";
    HOST_ID_INCONSISTENT = 0 0x18 "Host identifier inconsistent format";
    KEEP_ALIVE_EXPIRED = 0 0x19 "Keep alive timer expired";
    KEEP_ALIVE_INVALID = 0 0x1a "Keep alive timeout invalid";
    ABORTED_PREEMPT = 0 0x1b "Command aborted due to preempt and abort";
    SANITIZE_FAILED = 0 0x1c "Sanitize failed";
    SANITIZE_IN_PROGRESS = 0 0x1d "Sanitize in progress";
    SGL_GRANULARITY = 0 0x1e "SGL data block granularity invalid";
    CMB_QUEUE = 0 0x1f "Command not supported for queue in CMB";
    WRITE_PROTECTED = 0 0x20 "Namespace is write protected";
    COMMAND_INTERRUPTED = 0 0x21 "Command interrupted";
    TRANSIENT_TRANSPORT = 0 0x22 "Transient transport error";
    LOCKDOWN = 0 0x23 "Command prohibited by command and feature lockdown";
    MEDIA_NOT_READY = 0 0x24 "Admin command media not ready";
    LBA_OUT_OF_RANGE = 0 0x80 "LBA out of range";
    CAPACITY_EXCEEDED = 0 0x81 "Capacity exceeded";
    NAMESPACE_NOT_READY = 0 0x82 "Namespace not ready";
    RESERVATION_CONFLICT = 0 0x83 "Reservation conflict";
    FORMAT_IN_PROGRESS = 0 0x84 "Format in progress";

    CQ_INVALID = 1 0x00 "Completion queue invalid";
    INVALID_QUEUE_ID = 1 0x01 "Invalid queue identifier";
    INVALID_QUEUE_SIZE = 1 0x02 "Invalid queue size";
    ABORT_LIMIT = 1 0x03 "Abort command limit exceeded";
    AER_LIMIT = 1 0x05 "Asynchronous event request limit exceeded";
    INVALID_FIRMWARE_SLOT = 1 0x06 "Invalid firmware slot";
    INVALID_FIRMWARE_IMAGE = 1 0x07 "Invalid firmware image";
    INVALID_INTERRUPT_VECTOR = 1 0x08 "Invalid interrupt vector";
    INVALID_LOG_PAGE = 1 0x09 "Invalid log page";
    INVALID_FORMAT = 1 0x0a "Invalid format";
    FIRMWARE_NEEDS_RESET = 1 0x0b "Firmware activation requires conventional reset";
    INVALID_QUEUE_DELETION = 1 0x0c "Invalid queue deletion";
    FEATURE_NOT_SAVEABLE = 1 0x0d "Feature identifier not saveable";
    FEATURE_NOT_CHANGEABLE = 1 0x0e "Feature not changeable";
    FEATURE_NOT_NAMESPACE = 1 0x0f "Feature not namespace specific";
    FIRMWARE_NEEDS_SUBSYSTEM_RESET = 1 0x10 "Firmware activation requires NVM subsystem reset";
    FIRMWARE_NEEDS_CONTROLLER_RESET = 1 0x11 "Firmware activation requires controller reset";
    FIRMWARE_MAX_TIME = 1 0x12 "Firmware activation requires maximum time violation";
    FIRMWARE_PROHIBITED = 1 0x13 "Firmware activation prohibited";
    OVERLAPPING_RANGE = 1 0x14 "Overlapping range";
    NAMESPACE_CAPACITY = 1 0x15 "Namespace insufficient capacity";
    NAMESPACE_ID_UNAVAILABLE = 1 0x16 "Namespace identifier unavailable";
    NAMESPACE_ATTACHED = 1 0x18 "Namespace already attached";
    NAMESPACE_PRIVATE = 1 0x19 "Namespace is private";
    NAMESPACE_NOT_ATTACHED = 1 0x1a "Namespace not attached";
    THIN_NOT_SUPPORTED = 1 0x1b "Thin provisioning not supported";
    CONTROLLER_LIST_INVALID = 1 0x1c "Controller list invalid";
    SELF_TEST_IN_PROGRESS = 1 0x1d "Device self-test in progress";
    BOOT_PARTITION_PROTECTED = 1 0x1e "Boot partition write prohibited";
    INVALID_CONTROLLER_ID = 1 0x1f "Invalid controller identifier";
    INVALID_SECONDARY_STATE = 1 0x20 "Invalid secondary controller state";
    INVALID_RESOURCE_COUNT = 1 0x21 "Invalid number of controller resources";
    INVALID_RESOURCE_ID = 1 0x22 "Invalid resource identifier";
    SANITIZE_PROHIBITED = 1 0x23 "Sanitize prohibited while PMR is enabled";
    ANA_GROUP_INVALID = 1 0x24 "ANA group identifier invalid";
    ANA_ATTACH_FAILED = 1 0x25 "ANA attach failed";
    COMMAND_SET_REJECTED = 1 0x2b "I/O command set combination rejected";
    INVALID_COMMAND_SET = 1 0x2c "Invalid I/O command set";
    CONNECT_INCOMPATIBLE_FORMAT = 1 0x80 "Connect incompatible format";
    CONNECT_CONTROLLER_BUSY = 1 0x81 "Connect controller busy";
    CONNECT_INVALID_PARAMETERS = 1 0x82 "Connect invalid parameters";
    CONNECT_RESTART_DISCOVERY = 1 0x83 "Connect restart discovery";
    CONNECT_INVALID_HOST = 1 0x84 "Connect invalid host";
    INVALID_QUEUE_TYPE = 1 0x85 "Invalid queue type";
    DISCOVER_RESTART = 1 0x90 "Discover restart";
    AUTHENTICATION_REQUIRED = 1 0x91 "Authentication required";
    CONFLICTING_ATTRIBUTES = 1 0x80 "Conflicting attributes";
    INVALID_PROTECTION_INFO = 1 0x81 "Invalid protection information";
    READ_ONLY_RANGE = 1 0x82 "Attempted write to read only range";
    COMMAND_SIZE_LIMIT = 1 0x83 "Command size limit exceeded";

    WRITE_FAULT = 2 0x80 "Write fault";
    UNRECOVERED_READ = 2 0x81 "Unrecovered read error";
    GUARD_CHECK = 2 0x82 "End-to-end guard check error";
    APPLICATION_TAG_CHECK = 2 0x83 "End-to-end application tag check error";
    REFERENCE_TAG_CHECK = 2 0x84 "End-to-end reference tag check error";
    COMPARE_FAILURE = 2 0x85 "Compare failure";
    ACCESS_DENIED = 2 0x86 "Access denied";
    DEALLOCATED = 2 0x87 "Deallocated or unwritten logical block";
    STORAGE_TAG_CHECK = 2 0x88 "End-to-end storage tag check error";

    PATH_INTERNAL = 3 0x00 "Internal path error";
    ANA_PERSISTENT_LOSS = 3 0x01 "Asymmetric access persistent loss";
    ANA_INACCESSIBLE = 3 0x02 "Asymmetric access inaccessible";
    ANA_TRANSITION = 3 0x03 "Asymmetric access transition";
    CONTROLLER_PATHING = 3 0x60 "Controller pathing error";
    HOST_PATHING = 3 0x70 "Host pathing error";
    ABORTED_BY_HOST = 3 0x71 "Command aborted by host";
}

impl Status {
    /// A status that may be retried.
    #[must_use]
    pub const fn new(sct: u8, sc: u8) -> Self {
        Self { sct, sc, crd: 0, more: false, dnr: false }
    }

    /// The same, not to be retried.
    #[must_use]
    pub const fn do_not_retry(self) -> Self {
        Self { dnr: true, ..self }
    }

    /// The same, with more in the error log.
    #[must_use]
    pub const fn with_more(self) -> Self {
        Self { more: true, ..self }
    }

    /// The command did what it was asked.
    #[inline]
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.sct == 0 && self.sc == 0
    }

    /// The same status type and code, whatever the other bits.
    #[inline]
    #[must_use]
    pub const fn is(self, other: Self) -> bool {
        self.sct == other.sct && self.sc == other.sc
    }

    /// Reads the last 16 bits of a completion; bit 0, the phase, is not part of it.
    #[inline]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "fields of at most eight bits")]
    pub const fn from_word(word: u16) -> Self {
        let word = word as u64;
        Self {
            sc: bits(word, 1, 8) as u8,
            sct: bits(word, 9, 3) as u8,
            crd: bits(word, 12, 2) as u8,
            more: bits(word, 14, 1) != 0,
            dnr: bits(word, 15, 1) != 0,
        }
    }

    /// The last 16 bits of a completion, phase 0.
    #[inline]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "sixteen bits are set")]
    pub const fn word(self) -> u16 {
        let word = with_bits(0, 1, 8, self.sc as u64);
        let word = with_bits(word, 9, 3, self.sct as u64);
        let word = with_bits(word, 12, 2, self.crd as u64);
        let word = with_bits(word, 14, 1, self.more as u64);
        with_bits(word, 15, 1, self.dnr as u64) as u16
    }
}

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} (sct {:x}h sc {:02x}h", self.as_str(), self.sct, self.sc)?;
        f.write_str(if self.dnr { ", do not retry)" } else { ")" })
    }
}

impl core::fmt::Debug for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
