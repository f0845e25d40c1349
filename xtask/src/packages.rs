//! `setup`, first half: Debian packages that the build, the demo and the tests need.

use std::process::Command;

use crate::shell::{Outcome, read, run, say};

/// Package, and what it is for.
const WANTED: [(&str, &str); 10] = [
    ("gcc", "linker, and the C shim of the fio plug-in"),
    ("libc6-dev", "C headers for the shim"),
    ("make", "fio's configure script"),
    ("dpkg-dev", "unpacks fio's source package"),
    ("fio", "the load generator"),
    ("nbdkit", "the yardstick of the performance table"),
    ("valgrind", "instructions and cache misses of `flexblk compare --work`"),
    ("tshark", "reads our packet captures independently"),
    ("iproute2", "network namespaces in the end-to-end tests"),
    ("procps", "process figures in the end-to-end tests"),
];

/// The same, of the tests in guests alone.
const WANTED_FOR_GUESTS: [(&str, &str); 12] = [
    ("qemu-system-x86", "emulates the guests"),
    ("busybox-static", "the guests' shell"),
    ("cpio", "packs the guests' file system"),
    ("kmod", "finds what kernel modules need"),
    ("nvme-cli", "the NVMe-oF host's tool in the guests"),
    ("rdmacm-utils", "rping in the guests"),
    ("perftest", "the bandwidth tests of verbs in the guests"),
    ("ibverbs-providers", "soft-RoCE for programs of the guests"),
    ("libssl-dev", "handshakes of TLS for the guests' kernel"),
    ("e2fsprogs", "file systems in the guests"),
    ("xfsprogs", "file systems in the guests"),
    ("xz-utils", "unpacks kernel modules"),
];

/// Installs what is missing, as root or through sudo; does nothing when all is there.
pub(crate) fn install_missing() -> Outcome {
    install_those(&WANTED)
}

/// The same, of what the tests in guests need.
pub(crate) fn install_guests() -> Outcome {
    install_those(&WANTED_FOR_GUESTS)
}

fn install_those(wanted: &[(&'static str, &str)]) -> Outcome {
    let missing = missing(wanted)?;
    if missing.is_empty() {
        say("packages: all present");
        return Ok(());
    }
    let reason = |name: &&str| wanted.iter().find(|(n, _)| n == name).map_or("", |(_, why)| why);
    for name in &missing {
        say(&format!("packages: {name} is missing ({})", reason(name)));
    }
    // The lists are refreshed only when the install does not work with those that are there.
    if install(&missing).is_err() {
        say("packages: refreshing the package lists");
        run(apt_get()?.args(["--quiet", "update"]))?;
        install(&missing)?;
    }
    Ok(())
}

fn missing(wanted: &[(&'static str, &str)]) -> Outcome<Vec<&'static str>> {
    let names = wanted.iter().map(|(name, _)| *name);
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${Package} ${db:Status-Status}\\n"]).args(names);
    // A name that dpkg has never heard of makes the whole query fail: what it printed counts.
    let output = query.output().map_err(|error| {
        let all = wanted.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ");
        format!("this setup knows Debian's packages only (dpkg-query: {error}); install: {all}")
    })?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let present = |name: &str| printed.lines().any(|line| line == format!("{name} installed"));
    Ok(wanted.iter().map(|(name, _)| *name).filter(|name| !present(name)).collect())
}

fn install(names: &[&str]) -> Outcome {
    let mut command = apt_get()?;
    command.args(["--quiet", "--yes", "--no-install-recommends", "install"]).args(names);
    say(&format!("packages: {}", crate::shell::line(&command)));
    run(&mut command)
}

/// `apt-get` that asks nothing, as root.
fn apt_get() -> Outcome<Command> {
    let is_root = read(Command::new("id").arg("-u"))?.trim() == "0";
    let words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    command.args(if is_root { &words[1..] } else { &words[..] });
    Ok(command)
}
