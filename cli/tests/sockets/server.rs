//! The target as a process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const NQN: &str = "nqn.2026-11.io.flexblk:sockets";

pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    folder: PathBuf,
}

/// What the process holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Holds {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) mappings: usize,
}

impl Server {
    /// Serves 16 MiB of memory at `address`, by both fabrics, and waits until it listens.
    pub(crate) fn start(address: &str) -> Server {
        let folder = std::env::temp_dir().join(format!("flexblk-{}-{address}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_flexblk"))
            .args(["serve", "-t", "rdma,tcp", "-a", address, "-n", NQN, "--control"])
            .arg(folder.join("control"))
            .arg("mem:16MiB")
            .stdout(Stdio::piped())
            .stderr(fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listens = lines.find(|line| line.as_ref().unwrap().starts_with("listening"));
        assert!(listens.is_some(), "it does not listen: {:?}", fs::read(folder.join("log")));
        thread::spawn(move || lines.count());
        let server = Server { child, address: address.into(), folder };
        // What the first question opens stays, but for its connection, which ends soon after the answer.
        server.connections();
        server.settle();
        server
    }
    /// Waits until two looks, one after the other, find as many descriptors.
    fn settle(&self) {
        let mut before = usize::MAX;
        while before != self.holds().descriptors {
            before = self.holds().descriptors;
            thread::sleep(Duration::from_millis(50));
        }
    }
    pub(crate) fn holds(&self) -> Holds {
        let at = format!("/proc/{}", self.child.id());
        let status = fs::read_to_string(format!("{at}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let resident = resident.trim().trim_end_matches(" kB").parse().unwrap();
        let descriptors = fs::read_dir(format!("{at}/fd")).unwrap().count();
        let mappings = fs::read_to_string(format!("{at}/maps")).unwrap().lines().count();
        Holds { resident_kib: resident, descriptors, mappings }
    }
    /// What a `flexblk` command of these arguments prints.
    pub(crate) fn ask(&self, first: &[&str], then: &[&str]) -> String {
        let program = env!("CARGO_BIN_EXE_flexblk");
        let output = Command::new(program).args(first).args(then).output().unwrap();
        assert!(output.status.success(), "{first:?} {then:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
    /// The same of a command about the running target.
    pub(crate) fn control(&self, words: &[&str]) -> String {
        let control = self.folder.join("control");
        self.ask(words, &["--control", control.to_str().unwrap()])
    }
    /// Connections that the target knows of.
    fn connections(&self) -> String {
        let list = self.control(&["connection", "list", "-o", "json"]);
        list.split_whitespace().collect()
    }
    /// Waits until the target knows of no connection, and holds no more descriptors than `base`.
    pub(crate) fn await_none(&self, base: Holds) {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let (list, holds) = (self.connections(), self.holds());
            if list == r#"{"connections":[]}"# && holds.descriptors <= base.descriptors {
                return;
            }
            assert!(Instant::now() < until, "something is left: {list} {holds:?}, {base:?} before");
            thread::sleep(Duration::from_millis(100));
        }
    }
    /// Waits until the target holds `count` descriptors more than `base`.
    pub(crate) fn await_descriptors(&self, base: Holds, count: usize) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.holds().descriptors < base.descriptors + count {
            assert!(
                Instant::now() < until,
                "{:?} instead of {count} more than {base:?}",
                self.holds()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
