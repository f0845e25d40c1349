//! Two hosts with a cable: network namespaces and a veth pair, for tests. Needs root and `ip`.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Room for a path MTU of 4,096 and all that is beside it.
const DEVICE_MTU: &str = "4300";

/// They end with it.
pub(crate) struct TwoHosts {
    names: [String; 2],
}

impl TwoHosts {
    /// `None`, and the reason on standard error: this test may not make any.
    pub(crate) fn new() -> Option<TwoHosts> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = |host| format!("flexblk-{}-{number}-{host}", std::process::id());
        let hosts = TwoHosts { names: [name(0), name(1)] };
        let [a, b] = [hosts.names[0].as_str(), hosts.names[1].as_str()];
        let made = ip(&["netns", "add", a])
            && ip(&["netns", "add", b])
            && ip(&["-n", a, "link", "add", "v", "type", "veth", "peer", "name", "v", "netns", b])
            && (0..2).all(|host| hosts.set_up(host))
            && hosts.names.iter().all(|name| is_up(name));
        if !made {
            eprintln!("skipped: network namespaces need root and the program ip (iproute2)");
        }
        made.then_some(hosts)
    }

    fn set_up(&self, host: usize) -> bool {
        let name = self.names[host].as_str();
        let [v4, v6] = addresses(host).map(|addr| addr.ip().to_string());
        ip(&["-n", name, "addr", "add", &format!("{v4}/24"), "dev", "v"])
            && ip(&["-n", name, "addr", "add", &format!("{v6}/64"), "dev", "v", "nodad"])
            && ip(&["-n", name, "link", "set", "v", "mtu", DEVICE_MTU, "up"])
    }

    /// What `open` gives on one of the hosts, of which it is told the addresses. Sockets stay where they
    /// were made.
    pub(crate) fn within<R: Send + 'static>(
        &self,
        host: usize,
        open: impl FnOnce([SocketAddr; 2]) -> R + Send + 'static,
    ) -> R {
        let place = File::open(format!("/run/netns/{}", self.names[host])).unwrap();
        let inside = move || {
            move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            open(addresses(host))
        };
        std::thread::spawn(inside).join().unwrap()
    }
}

impl Drop for TwoHosts {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| {
            ip(&["netns", "delete", name]);
        });
    }
}

/// IPv4 and IPv6, with RoCEv2's port.
fn addresses(host: usize) -> [SocketAddr; 2] {
    [format!("10.77.0.{}:4791", host + 1), format!("[fd77::{}]:4791", host + 1)]
        .map(|addr| addr.parse().unwrap())
}

/// The kernel connects a device to its queue some time after both ends are up.
fn is_up(name: &str) -> bool {
    let look = || Command::new("ip").args(["-n", name, "link", "show", "v"]).output();
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        if look().is_ok_and(|seen| String::from_utf8_lossy(&seen.stdout).contains("state UP")) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn ip(words: &[&str]) -> bool {
    let output = Command::new("ip").args(words).output();
    output.is_ok_and(|output| output.status.success())
}
