//! Command opcodes.
//!
//! Source: NVMe Base 2.0, "Admin command set", "Fabrics command set"; NVM Command Set 1.0.

macro_rules! codes {
    ($(#[$meta:meta])* $enum:ident { $($name:ident = $code:literal $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $enum { $(#[doc = concat!("\"", $word, "\".")] $name = $code,)* }

        impl $enum {
            /// Every one, in the order of the octet.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// `None` for octets without a name.
            #[inline]
            #[must_use]
            pub const fn from_octet(octet: u8) -> Option<Self> {
                match octet {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The octet on the wire.
            #[inline]
            #[must_use]
            pub const fn octet(self) -> u8 {
                self as u8
            }

            /// Its name, for logs and counters.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// Opcodes of the admin queue.
    AdminOpcode {
        DeleteSubmissionQueue = 0x00 "delete_sq",
        CreateSubmissionQueue = 0x01 "create_sq",
        GetLogPage = 0x02 "get_log_page",
        DeleteCompletionQueue = 0x04 "delete_cq",
        CreateCompletionQueue = 0x05 "create_cq",
        Identify = 0x06 "identify",
        Abort = 0x08 "abort",
        SetFeatures = 0x09 "set_features",
        GetFeatures = 0x0a "get_features",
        AsyncEventRequest = 0x0c "async_event_request",
        NamespaceManagement = 0x0d "namespace_management",
        FirmwareCommit = 0x10 "firmware_commit",
        FirmwareDownload = 0x11 "firmware_download",
        DeviceSelfTest = 0x14 "device_self_test",
        NamespaceAttachment = 0x15 "namespace_attachment",
        KeepAlive = 0x18 "keep_alive",
        DirectiveSend = 0x19 "directive_send",
        DirectiveReceive = 0x1a "directive_receive",
        VirtualizationManagement = 0x1c "virtualization_management",
        NvmeMiSend = 0x1d "nvme_mi_send",
        NvmeMiReceive = 0x1e "nvme_mi_receive",
        CapacityManagement = 0x20 "capacity_management",
        Lockdown = 0x24 "lockdown",
        DoorbellBufferConfig = 0x7c "doorbell_buffer_config",
        Fabrics = 0x7f "fabrics",
        FormatNvm = 0x80 "format_nvm",
        SecuritySend = 0x81 "security_send",
        SecurityReceive = 0x82 "security_receive",
        Sanitize = 0x84 "sanitize",
        GetLbaStatus = 0x86 "get_lba_status",
    }
}

codes! {
    /// Opcodes of an I/O queue, NVM command set.
    IoOpcode {
        Flush = 0x00 "flush",
        Write = 0x01 "write",
        Read = 0x02 "read",
        WriteUncorrectable = 0x04 "write_uncorrectable",
        Compare = 0x05 "compare",
        WriteZeroes = 0x08 "write_zeroes",
        DatasetManagement = 0x09 "dataset_management",
        Verify = 0x0c "verify",
        ReservationRegister = 0x0d "reservation_register",
        ReservationReport = 0x0e "reservation_report",
        ReservationAcquire = 0x11 "reservation_acquire",
        ReservationRelease = 0x15 "reservation_release",
        Copy = 0x19 "copy",
        Fabrics = 0x7f "fabrics",
    }
}

codes! {
    /// Types of a Fabrics command (opcode `0x7f`).
    FabricsType {
        PropertySet = 0x00 "property_set",
        Connect = 0x01 "connect",
        PropertyGet = 0x04 "property_get",
        AuthenticationSend = 0x05 "authentication_send",
        AuthenticationReceive = 0x06 "authentication_receive",
        Disconnect = 0x08 "disconnect",
    }
}
