//! Socket addresses as the kernel lays them out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Octets of `sockaddr_in6`, the longer of the two.
pub(super) const NAME_BYTES: usize = 28;

/// A `sockaddr_in` or `sockaddr_in6`, octet by octet: family in host order, port and address in
/// network order. Source: Linux `ip(7)`, `ipv6(7)`, "Address Format".
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Name {
    octets: [u8; NAME_BYTES],
}

impl Name {
    pub(super) const EMPTY: Name = Name { octets: [0; NAME_BYTES] };

    /// Sets the address; returns the octets that count.
    pub(super) fn set(&mut self, addr: SocketAddr) -> u32 {
        let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let family = u16::try_from(family).unwrap_or(0);
        self.octets[0..2].copy_from_slice(&family.to_ne_bytes());
        self.octets[2..4].copy_from_slice(&addr.port().to_be_bytes());
        match addr {
            SocketAddr::V4(v4) => {
                self.octets[4..8].copy_from_slice(&v4.ip().octets());
                self.octets[8..16].fill(0);
                16
            }
            SocketAddr::V6(v6) => {
                self.octets[4..8].copy_from_slice(&v6.flowinfo().to_be_bytes());
                self.octets[8..24].copy_from_slice(&v6.ip().octets());
                self.octets[24..28].copy_from_slice(&v6.scope_id().to_ne_bytes());
                28
            }
        }
    }

    /// The address that the kernel wrote. `None`: another family.
    pub(super) fn get(&self) -> Option<SocketAddr> {
        let [f0, f1, p0, p1, a, b, c, d, rest @ ..] = self.octets;
        let family = i32::from(u16::from_ne_bytes([f0, f1]));
        let port = u16::from_be_bytes([p0, p1]);
        if family == libc::AF_INET {
            return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port));
        }
        if family != libc::AF_INET6 {
            return None;
        }
        let (ip, scope) = rest.split_first_chunk::<16>()?;
        let scope = u32::from_ne_bytes(*scope.first_chunk::<4>()?);
        // The flow label is the packet's, not the peer's: left out, so that addresses compare.
        Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(*ip), port, 0, scope)))
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.octets.as_mut_ptr().cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is sent to is what comes back, for both families.
    #[test]
    fn addresses_survive() {
        for text in ["127.0.0.2:4791", "[fe80::1%3]:4791", "[::1]:5"] {
            let addr: SocketAddr = text.parse().unwrap();
            let mut name = Name::EMPTY;
            let len = name.set(addr);
            assert_eq!(len, if addr.is_ipv4() { 16 } else { 28 });
            assert_eq!(name.get(), Some(addr));
        }
        assert_eq!(Name::EMPTY.get(), None);
    }
}
