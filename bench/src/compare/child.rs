//! The processes of one sample: a server and a client, each over the stack that it is told.

use super::meter::{self, Counts, TurnMeter};
use super::page::{Handle, Page, Phase};
use crate::block_server;
use crate::load::{Counters, Observer, Stage, Workload};
use crate::stack::StackSpec;
use initiator::{PollMode, Waiter};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// What a process is told, as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChildSpec {
    /// Its stack.
    pub stack: StackSpec,
    /// What to do.
    pub work: ChildWork,
    /// The page of this sample.
    pub page: Handle,
    /// The blocks, the same memory for every stack.
    pub disk: Handle,
    /// The block server's index.
    pub index: Option<Handle>,
    /// Address of the server.
    pub server: IpAddr,
    /// Address of the client.
    pub client: IpAddr,
    /// Seconds that are not measured, before.
    pub ramp_seconds: f64,
    /// Seconds that are.
    pub seconds: f64,
    /// Makes the offsets.
    pub seed: u64,
    /// Words before a program's name that count what it does; its engine is started with them too.
    pub under: Vec<String>,
}

/// What to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum ChildWork {
    /// NVMe commands on a disk in memory.
    Blocks {
        /// Reads and writes.
        workload: Workload,
        /// Octets of one.
        io_bytes: u32,
        /// At once.
        depth: u16,
    },
    /// The block server.
    BlockServer(block_server::Work),
}

/// What a process found out, as JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ChildReport {
    /// I/Os done in the measured time (client).
    pub ios: u64,
    /// I/Os done from the first to the last (client).
    pub ios_ever: u64,
    /// Seconds measured (client).
    pub seconds: f64,
    /// Microseconds at 0, 1, … 100 percent, and at 99.9 (client).
    pub latency_percentiles: Vec<f64>,
    /// I/Os that failed.
    pub errors: u64,
    /// Growth of counters in the measured time.
    pub counters: Counts,
}

/// Watches an application: its turns, and what changed between the phases.
pub struct Watch {
    page: Page,
    leads: bool,
    turns: TurnMeter,
    before: Counts,
    grown: Counts,
    phase: Phase,
}

impl Watch {
    /// `leads`: it says when a phase begins; otherwise it follows the page.
    #[must_use]
    pub fn new(page: Page, leads: bool) -> Watch {
        let (turns, phase) = (TurnMeter::default(), Phase::Ramp);
        Watch { page, leads, turns, before: Counts::new(), grown: Counts::new(), phase }
    }
    /// Counts a turn of a follower, and follows. The phase now.
    #[inline]
    pub fn follow(
        &mut self,
        (from, to, did_work): (Instant, Instant, bool),
        counters: Counters<'_>,
    ) -> Phase {
        self.turns.turn(from, to, did_work);
        let phase = self.page.phase();
        if phase != self.phase {
            self.enter(phase, counters);
        }
        phase
    }
    /// Growth of counters while it was measured.
    #[must_use]
    pub fn into_counts(self) -> Counts {
        self.grown
    }

    fn enter(&mut self, phase: Phase, counters: Counters<'_>) {
        self.phase = phase;
        match phase {
            Phase::Measuring => {
                self.before = self.snapshot(counters);
                if self.leads {
                    self.page.set(phase);
                }
            }
            Phase::Over => {
                if self.leads {
                    self.page.set(phase);
                }
                self.grown = meter::growth(&self.before, &self.snapshot(counters));
            }
            Phase::Ramp | Phase::End => {}
        }
    }

    fn snapshot(&self, counters: Counters<'_>) -> Counts {
        let mut counts = Counts::new();
        counters(&mut |name, count| {
            counts.insert(name.to_owned(), meter::float(count));
        });
        self.turns.count(&mut counts);
        meter::count_process(std::process::id(), "app", &mut counts);
        if self.leads {
            meter::count_softirq(&mut counts);
        }
        counts
    }
}

impl Observer for Watch {
    fn stage(&mut self, stage: Stage, counters: Counters<'_>) {
        match stage {
            Stage::Ramp => {}
            Stage::Measuring => self.enter(Phase::Measuring, counters),
            Stage::Over => self.enter(Phase::Over, counters),
        }
    }
    fn turn(&mut self, from: Instant, to: Instant, did_work: bool) {
        self.turns.turn(from, to, did_work);
    }
}

impl ChildSpec {
    /// What this process does in turns that find nothing.
    #[must_use]
    pub fn waiter(&self) -> Waiter {
        let idle = self.stack.idle();
        let waiter = match idle.spin {
            Some(spin) => Waiter::new(PollMode::Adaptive).spinning(spin),
            None => Waiter::new(PollMode::Busy),
        };
        if idle.yields { waiter.yielding() } else { waiter }
    }
    /// From here on this process is killed when the comparison that started it ends, however it does.
    /// (When the thread that started it ends, to be exact: that is the comparison's main one.)
    ///
    /// Errors: the comparison is gone already.
    pub fn end_with_parent(&self) -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before it was asked to tell, and then it never will.
        let parent = getppid().map(Pid::as_raw_pid).and_then(|pid| u32::try_from(pid).ok());
        if parent == Some(self.page.process()) {
            return Ok(());
        }
        Err(io::Error::other("the comparison that started this process is gone"))
    }
    /// Runs `program`, counted if this sample is.
    #[must_use]
    pub fn command(under: &[String], program: &Path) -> Command {
        let Some((first, rest)) = under.split_first() else { return Command::new(program) };
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        command
    }
}
