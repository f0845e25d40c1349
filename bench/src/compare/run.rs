//! Runs samples: starts a server and a client over one stack, and takes what they found out.

use super::child::{ChildReport, ChildSpec, ChildWork};
use super::figures;
use super::page::{Handle, Page, Phase};
use super::record::Sample;
use super::scenarios::{Placement, Plan, StackPlan};
use crate::block_server::Index;
use memory::Region;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Octets of the disk and of the index: far more than a second-level cache.
const DISK_BYTES: usize = 512 << 20;
const INDEX_BYTES: usize = 512 << 20;
/// A sample that takes this much longer than its time is stuck.
const PATIENCE: Duration = Duration::from_secs(45);
/// Between two looks whether a process has ended after its last word.
const LOOK: Duration = Duration::from_millis(2);

/// How samples are taken.
#[derive(Clone, Debug)]
pub struct Times {
    /// Seconds that are not measured, before.
    pub ramp_seconds: f64,
    /// Seconds that are.
    pub seconds: f64,
}

/// How one run is taken.
pub(super) struct Take<'a> {
    /// Makes the offsets.
    pub round: u32,
    /// How long.
    pub times: Times,
    /// See [`ChildSpec::under`].
    pub under: &'a [String],
    /// Its processes are given up then.
    pub until: Instant,
}

/// Takes samples.
pub struct Runner {
    /// This program: its `compare-child` and `compare-engine` are the processes.
    program: PathBuf,
    /// Processors of server and client.
    pub cpus: [usize; 2],
    times: Times,
    disk: Region,
    index: Option<Region>,
}

impl Runner {
    /// Fills the memory that all stacks use in turn.
    ///
    /// Errors: memory.
    pub fn new(program: PathBuf, cpus: [usize; 2], times: Times) -> io::Result<Runner> {
        let disk = Region::allocate_shared(DISK_BYTES)?;
        disk.settle_on_huge_pages();
        let mut piece = vec![0; 1 << 20];
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for offset in (0..DISK_BYTES).step_by(piece.len()) {
            for word in piece.chunks_exact_mut(8) {
                // xorshift64: incompressible enough.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                word.copy_from_slice(&random.to_le_bytes());
            }
            disk.write(offset, &piece);
        }
        Ok(Runner { program, cpus, times, disk, index: None })
    }

    /// The disk is on huge pages: as all memory that is made in the same way.
    #[must_use]
    pub fn huge_pages(&self) -> bool {
        super::machine::is_on_huge_pages(self.disk.addr())
    }

    /// One sample. Errors: a process that fails, in its own words, or is stuck.
    pub fn sample(&mut self, plan: &Plan, stack: &StackPlan, round: u32) -> io::Result<Sample> {
        let times = self.times.clone();
        let until =
            Instant::now() + PATIENCE + Duration::from_secs_f64(times.ramp_seconds + times.seconds);
        let take = Take { round, times, under: &[], until };
        let (server, client) = self.both(plan, stack, take)?;
        Ok(figures::sample(round, stack.spec.kind, plan.io_bytes(), &server, &client))
    }

    /// Server's and client's report of one run.
    ///
    /// Errors: a process that fails, in its own words; one that is not through in time.
    pub(super) fn both(
        &mut self,
        plan: &Plan,
        stack: &StackPlan,
        take: Take<'_>,
    ) -> io::Result<(ChildReport, ChildReport)> {
        let (page, until) = (Page::create()?, take.until);
        let spec = self.spec(plan, stack, take, &page)?;
        let [server_cpu, client_cpu] = self.cpus;
        let (server_app, engines) = match stack.placement {
            Placement::Beside => (server_cpu, [None; 2]),
            Placement::Compacting => (client_cpu, [Some(server_cpu); 2]),
        };
        let mut server = self.start("server", &spec, server_app, engines[0])?;
        server.expect("ready", until)?;
        let mut client = self.start("client", &spec, client_cpu, engines[1])?;
        let client = client.report(until)?;
        page.set(Phase::End);
        let server = server.report(until)?;
        Ok((server, client))
    }

    fn spec(
        &mut self,
        plan: &Plan,
        stack: &StackPlan,
        take: Take<'_>,
        page: &Page,
    ) -> io::Result<ChildSpec> {
        let index = match plan.work {
            ChildWork::BlockServer(work) if work.serves => Some(self.index()?),
            ChildWork::BlockServer(_) | ChildWork::Blocks { .. } => None,
        };
        Ok(ChildSpec {
            stack: stack.spec,
            work: plan.work,
            page: page.handle()?,
            disk: Handle::of(&self.disk)?,
            index,
            server: address(1),
            client: address(2),
            ramp_seconds: take.times.ramp_seconds,
            seconds: take.times.seconds,
            seed: u64::from(take.round) + 1,
            under: take.under.to_vec(),
        })
    }

    fn index(&mut self) -> io::Result<Handle> {
        if self.index.is_none() {
            let memory = Region::allocate_shared(INDEX_BYTES)?;
            memory.settle_on_huge_pages();
            let _ = Index::build(memory.clone());
            self.index = Some(memory);
        }
        Handle::of(self.index.as_ref().ok_or(io::ErrorKind::OutOfMemory)?)
    }

    fn start(
        &self,
        role: &str,
        spec: &ChildSpec,
        cpu: usize,
        engine_cpu: Option<usize>,
    ) -> io::Result<Process> {
        let mut command = ChildSpec::command(&spec.under, &self.program);
        command.args(["compare-child", role, &serde_json::to_string(spec)?]);
        command.args(["--cpu", &cpu.to_string()]);
        if let Some(cpu) = engine_cpu {
            command.args(["--engine-cpu", &cpu.to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Process::new(role, command.spawn()?)
    }
}

/// A loopback address of this process' own, so that two comparisons do not take each other's.
fn address(host: u8) -> IpAddr {
    let [low, high, ..] = std::process::id().to_le_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 128 | high, low, host))
}

/// A process whose lines are read as they come. It does not outlive this.
struct Process {
    role: String,
    child: Child,
    lines: Receiver<String>,
    begin: Instant,
}

impl Process {
    fn new(role: &str, mut child: Child) -> io::Result<Process> {
        let (tell, lines) = channel();
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens any more: the process was given up.
                let _ = tell.send(line);
            }
        });
        Ok(Process { role: role.into(), child, lines, begin: Instant::now() })
    }
    fn line(&mut self, until: Instant) -> io::Result<String> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(self.stuck()),
            Err(RecvTimeoutError::Disconnected) => Err(self.why()),
        }
    }
    fn expect(&mut self, word: &str, until: Instant) -> io::Result<()> {
        let line = self.line(until)?;
        if line == word { Ok(()) } else { Err(io::Error::other(line)) }
    }
    fn report(&mut self, until: Instant) -> io::Result<ChildReport> {
        let line = self.line(until)?;
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() > until => return Err(self.stuck()),
                None => std::thread::sleep(LOOK),
            }
        };
        if status.success() { Ok(serde_json::from_str(&line)?) } else { Err(self.why()) }
    }
    fn stuck(&self) -> io::Error {
        let seconds = self.begin.elapsed().as_secs_f64();
        io::Error::other(format!(
            "the {} was not through after {seconds:.0} s, given up",
            self.role
        ))
    }
    fn why(&mut self) -> io::Error {
        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            // Whatever could be read is better than nothing.
            let _ = stderr.take(4096).read_to_string(&mut said);
        }
        io::Error::other(format!("the {} failed: {}", self.role, said.trim()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
