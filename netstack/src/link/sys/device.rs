//! The device that owns an address: its MTU, and what frames need to know of it.

use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

use rustix::net::{AddressFamily, SocketType};

/// MTU in octets of the device whose address or prefix contains `local` (127.0.0.2 belongs to the
/// loopback device through its /8). `None`: no device has it.
///
/// Errors: what `getifaddrs` says.
pub(crate) fn mtu_of(local: IpAddr) -> io::Result<Option<u32>> {
    let devices = Devices::list()?;
    let Some(node) = devices.nodes().find(|node| owns(node, local)) else { return Ok(None) };
    mtu_by_name(name(node))
}

/// A device that carries Ethernet frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ethernet {
    /// Number by which the kernel knows it.
    pub(crate) index: i32,
    /// Its address: zeros of the loopback device.
    pub(crate) mac: [u8; 6],
}

/// The device that owns `local`, if it carries Ethernet frames. `None`: there is none, or its links
/// have other addresses than Ethernet's.
///
/// Errors: what `getifaddrs` says.
pub(crate) fn ethernet_of(local: IpAddr) -> io::Result<Option<Ethernet>> {
    let devices = Devices::list()?;
    let Some(owner) = devices.nodes().find(|node| owns(node, local)) else { return Ok(None) };
    let mut same = devices.nodes().filter(|node| name(node) == name(owner));
    Ok(same.find_map(|node| ethernet(node.ifa_addr)))
}

/// The list of addresses, which the kernel's library made.
struct Devices(*mut libc::ifaddrs);

impl Devices {
    fn list() -> io::Result<Devices> {
        let mut head: *mut libc::ifaddrs = std::ptr::null_mut();
        // SAFETY: `head` receives a list that is freed when this is dropped.
        match unsafe { libc::getifaddrs(&raw mut head) } {
            0 => Ok(Devices(head)),
            _ => Err(io::Error::last_os_error()),
        }
    }
    fn nodes(&self) -> impl Iterator<Item = &libc::ifaddrs> {
        // SAFETY: null, or a node of the list, which lives as long as `self`.
        let first = unsafe { self.0.as_ref() };
        // SAFETY: as above.
        std::iter::successors(first, |node| unsafe { node.ifa_next.as_ref() })
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        // SAFETY: the list that getifaddrs made, freed once; no reference to it is left.
        unsafe { libc::freeifaddrs(self.0) };
    }
}

fn name(node: &libc::ifaddrs) -> &CStr {
    // SAFETY: a NUL-terminated string of the same list as the node.
    unsafe { CStr::from_ptr(node.ifa_name) }
}

/// Index and address of a device, if that is what the node tells.
fn ethernet(addr: *const libc::sockaddr) -> Option<Ethernet> {
    if addr.is_null() {
        return None;
    }
    // SAFETY: a sockaddr of the ifaddrs list; its family says how long it is.
    if i32::from(unsafe { (*addr).sa_family }) != libc::AF_PACKET {
        return None;
    }
    // SAFETY: AF_PACKET says that this is a sockaddr_ll.
    let link = unsafe { addr.cast::<libc::sockaddr_ll>().read_unaligned() };
    let is_framed = matches!(link.sll_hatype, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK);
    let mac = *link.sll_addr.first_chunk::<6>()?;
    (is_framed && link.sll_halen == 6).then_some(Ethernet { index: link.sll_ifindex, mac })
}

/// Asked of a socket, for a process may see another network than /sys shows. `None`: no such device any more.
fn mtu_by_name(name: &CStr) -> io::Result<Option<u32>> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: a structure of integers, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let bytes = name.to_bytes_with_nul();
    if bytes.len() > request.ifr_name.len() {
        return Ok(None);
    }
    for (to, from) in request.ifr_name.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    // SAFETY: the kernel reads the name, which ends with NUL, and writes the MTU into the same structure.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) } != 0 {
        let why = io::Error::last_os_error();
        return if why.raw_os_error() == Some(libc::ENODEV) { Ok(None) } else { Err(why) };
    }
    // SAFETY: the member that SIOCGIFMTU writes.
    Ok(u32::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok())
}

fn owns(node: &libc::ifaddrs, local: IpAddr) -> bool {
    let loopback = node.ifa_flags & libc::IFF_LOOPBACK.cast_unsigned() != 0;
    match (ip(node.ifa_addr), ip(node.ifa_netmask), local) {
        (Some(IpAddr::V4(addr)), Some(IpAddr::V4(mask)), IpAddr::V4(local)) => {
            // Only the loopback device answers for a whole prefix.
            addr == local || loopback && (addr.to_bits() ^ local.to_bits()) & mask.to_bits() == 0
        }
        (Some(addr), _, local) => addr == local,
        (None, ..) => false,
    }
}

fn ip(addr: *const libc::sockaddr) -> Option<IpAddr> {
    if addr.is_null() {
        return None;
    }
    // SAFETY: a sockaddr of the ifaddrs list; its family says how long it is.
    let family = i32::from(unsafe { (*addr).sa_family });
    if family == libc::AF_INET {
        // SAFETY: AF_INET says that this is a sockaddr_in.
        let v4 = unsafe { addr.cast::<libc::sockaddr_in>().read_unaligned() };
        return Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr))));
    }
    if family == libc::AF_INET6 {
        // SAFETY: AF_INET6 says that this is a sockaddr_in6.
        let v6 = unsafe { addr.cast::<libc::sockaddr_in6>().read_unaligned() };
        return Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: any address of 127/8 finds the loopback device, and an address of nobody finds none.
    #[test]
    fn loopback_prefix_is_found() {
        let lo = mtu_of("127.0.0.1".parse().unwrap()).unwrap();
        assert!(lo.is_some_and(|mtu| mtu >= 1500));
        assert_eq!(mtu_of("127.9.8.7".parse().unwrap()).unwrap(), lo);
        assert_eq!(mtu_of("192.0.2.77".parse().unwrap()).unwrap(), None);
        let framed = ethernet_of("127.9.8.7".parse().unwrap()).unwrap().unwrap();
        assert_eq!(framed.mac, [0; 6]);
        assert!(framed.index > 0);
        assert_eq!(ethernet_of("192.0.2.77".parse().unwrap()).unwrap(), None);
    }
}
