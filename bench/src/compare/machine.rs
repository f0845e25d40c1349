//! What a comparison runs on, as the kernel describes it.

use super::record::Machine;
use std::fs;

/// The machine. What cannot be read is left empty.
#[must_use]
pub fn describe() -> Machine {
    let cpuinfo = read("/proc/cpuinfo");
    let value = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let memory_kib = read("/proc/meminfo")
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse::<u64>().ok())
        .unwrap_or(0);
    let flags = value("flags").unwrap_or_default();
    Machine {
        cpu: value("model name").unwrap_or_default(),
        cpus: u32::try_from(cpuinfo.matches("\nprocessor").count() + 1).unwrap_or(0),
        memory_bytes: memory_kib << 10,
        l2_bytes: cache_bytes(2),
        llc_bytes: cache_bytes(3),
        kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        is_virtual: flags.split(' ').any(|flag| flag == "hypervisor"),
        flexblk: env!("CARGO_PKG_VERSION").into(),
    }
}

/// Whether a mapping of this process that begins at `addr` is on huge pages, all of it.
pub(super) fn is_on_huge_pages(addr: u64) -> bool {
    let smaps = read("/proc/self/smaps");
    let start = format!("{addr:x}-");
    let lines = smaps.lines().skip_while(|line| !line.starts_with(&start));
    let mut kib = lines.filter_map(|line| {
        let (name, rest) = line.split_once(':')?;
        let amount = rest.split_whitespace().next()?.parse::<u64>().ok()?;
        (name == "Size" || name == "ShmemPmdMapped").then_some(amount)
    });
    let (size, huge) = (kib.next(), kib.next());
    size.is_some() && size == huge
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Octets of the first processor's cache of this level.
fn cache_bytes(level: u32) -> u64 {
    let folders = (0..8).map(|index| format!("/sys/devices/system/cpu/cpu0/cache/index{index}"));
    for folder in folders {
        if read(&format!("{folder}/level")).trim() == level.to_string() {
            let size = read(&format!("{folder}/size"));
            let kib = size.trim().strip_suffix('K').and_then(|kib| kib.parse::<u64>().ok());
            return kib.unwrap_or(0) << 10;
        }
    }
    0
}
