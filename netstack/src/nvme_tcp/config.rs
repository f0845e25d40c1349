//! What a fabric offers and asks for.

use std::net::IpAddr;
use std::time::Duration;

/// Choices of a fabric over NVMe/TCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcpConfig {
    /// Connections leave from here, and come here.
    pub local: IpAddr,
    /// Host: ask for header digests. Controller: grant them.
    pub header_digest: bool,
    /// Host: ask for data digests. Controller: grant them.
    pub data_digest: bool,
    /// Controller: octets of in-capsule data that a command may bring: a multiple of 16.
    pub in_capsule_bytes: u32,
    /// Controller: octets of data of one H2CData (MAXH2CDATA): a multiple of four, at least 4,096.
    pub max_h2c_data: u32,
    /// Host: R2Ts outstanding of one command, zero-based (MAXR2T).
    pub maxr2t: u32,
    /// A connection that is not made, and whose first command has not come, by then ends.
    pub handshake: Duration,
    /// A PDU, or a record of TLS, that was begun and is not whole after this long ends the connection,
    /// at the latest after twice as long.
    pub patience: Duration,
}

impl TcpConfig {
    /// A controller's: digests when the host wants them, 16 KiB in a capsule.
    #[must_use]
    pub fn controller(local: IpAddr) -> TcpConfig {
        TcpConfig {
            local,
            header_digest: true,
            data_digest: true,
            in_capsule_bytes: 16 << 10,
            max_h2c_data: 1 << 20,
            maxr2t: 15,
            handshake: Duration::from_secs(10),
            patience: Duration::from_secs(30),
        }
    }
    /// A host's: no digests.
    #[must_use]
    pub fn host(local: IpAddr) -> TcpConfig {
        let controller = TcpConfig::controller(local);
        TcpConfig { header_digest: false, data_digest: false, ..controller }
    }
}
