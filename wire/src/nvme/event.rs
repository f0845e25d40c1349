//! Asynchronous events: what an Asynchronous Event Request completes with.
//!
//! Source: NVMe Base 2.0, "Asynchronous event request command".

/// An event, as dword 0 of the completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AsyncEvent {
    /// Type, 3 bits: 0 = error, 1 = SMART, 2 = notice, 6 = I/O command set, 7 = vendor.
    pub kind: u8,
    /// What happened.
    pub info: u8,
    /// Log page that tells more and, when read, lets the next event of the type come.
    pub log_page: u8,
}

impl AsyncEvent {
    /// A namespace's attributes changed, or it came or went.
    pub const NAMESPACE_CHANGED: Self = Self { kind: 2, info: 0x00, log_page: 0x04 };
    /// An asymmetric access state changed.
    pub const ANA_CHANGED: Self = Self { kind: 2, info: 0x03, log_page: 0x0c };
    /// A reservation notification waits in its log.
    pub const RESERVATION_LOG: Self = Self { kind: 6, info: 0x00, log_page: 0x80 };
    /// The discovery log changed.
    pub const DISCOVERY_CHANGED: Self = Self { kind: 2, info: 0xf0, log_page: 0x70 };

    /// Reads dword 0.
    #[must_use]
    pub const fn from_dword(dword: u32) -> Self {
        let [kind, info, log_page, _] = dword.to_le_bytes();
        Self { kind: kind & 7, info, log_page }
    }

    /// Dword 0.
    #[must_use]
    pub const fn dword(self) -> u32 {
        u32::from_le_bytes([self.kind & 7, self.info, self.log_page, 0])
    }
}
