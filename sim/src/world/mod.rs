//! The loop: who runs when, what goes wrong when, and what must hold in the end.

mod verdict;

use crate::check::{Blocks, Violation};
use crate::host::HostActor;
use crate::net::{Injected, Net};
use crate::plan::{Misfortune, Plan};
use crate::random::Random;
use crate::server::{AGES, Server};
use crate::shared::Shared;
use crate::trace::Trace;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Once faults stop, everything that was asked for is done within this.
const PROGRESS_BOUND: Duration = Duration::from_secs(150);
/// After goodbye, nothing is left within this.
const REST_BOUND: Duration = Duration::from_secs(60);
/// Steps in which nothing was sent and nothing happened, at most: somebody who spins takes more.
const IDLE_STEPS_MAX: u64 = 500_000;
/// Steps without faults, at most.
const STEPS_MAX: u64 = 1_000_000;

/// What a run did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Of everything that happened, in order.
    pub hash: u64,
    /// Things that happened.
    pub events: u64,
    /// Commands that completed.
    pub commands: u64,
    /// Octets read and written.
    pub octets: u64,
    /// What the network did.
    pub injected: Injected,
    /// Time that passed in the run.
    pub elapsed: Duration,
}

/// A run that broke a rule.
#[derive(Debug, thiserror::Error)]
#[error("{violation}")]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The rule.
    pub violation: Violation,
    /// The last events.
    pub tail: String,
}

/// Where a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Commands and faults.
    Work,
    /// One host reads everything.
    ReadBack,
    /// Hosts say goodbye.
    Goodbye,
}

/// One run.
pub struct World {
    shared: Shared,
    random: Random,
    server: Server,
    hosts: Vec<HostActor>,
    misfortunes: VecDeque<(Instant, Misfortune)>,
    faults_until: Option<Instant>,
    /// 0 is the target.
    paused: Vec<Instant>,
    stage: Stage,
    /// The stage is over by then.
    bound: Instant,
    /// Since faults stopped.
    steps: u64,
    idle_steps: u64,
    /// Packets and events when something last happened.
    happened: (u64, u64),
}

impl World {
    /// A run of `plan`. Panics when this machine has no memory for it.
    #[must_use]
    pub fn new(plan: Plan, base: Instant, is_verbose: bool) -> World {
        let mut random = plan.random.clone();
        let mut net = Net::new(base, plan.speed, random.fork(), is_verbose);
        for port in 0..=plan.hosts.len() {
            let number = if port == 0 { 1 } else { 10 + u8::try_from(port).unwrap_or(0) };
            net.add_port(SocketAddr::from(([10, 0, 0, number], 4791)));
        }
        net.set_faults(plan.faults);
        let net = Rc::new(RefCell::new(net));
        let server = Server::new(&plan, &net, random.next_u64()).expect("memory for the target");
        let mut trace = Trace::new(is_verbose);
        trace.note(0, "seed", [plan.seed, 0, 0, 0]);
        if is_verbose {
            println!("{plan:#?}");
        }
        let blocks = Blocks::new(usize::try_from(plan.disk.block_count).unwrap_or(usize::MAX));
        let until = base + plan.faults_until;
        let misfortunes = plan.misfortunes.iter().map(|(at, what)| (base + *at, *what)).collect();
        let count = plan.hosts.len();
        let shared = Shared {
            plan,
            base,
            now: base,
            net,
            blocks,
            trace,
            next_value: 0,
            abandoned: Vec::new(),
            completed: 0,
            octets: 0,
        };
        let host =
            |index| HostActor::new(index, &shared, random.fork()).expect("memory for a host");
        let hosts = (0..count).map(host).collect();
        World {
            shared,
            random,
            server,
            hosts,
            misfortunes,
            faults_until: Some(until),
            paused: vec![base; count + 1],
            stage: Stage::Work,
            bound: until + PROGRESS_BOUND,
            steps: 0,
            idle_steps: 0,
            happened: (0, 0),
        }
    }

    /// Runs to the end.
    ///
    /// Errors: the first rule that was broken.
    pub fn run(mut self) -> Result<Summary, Box<Failure>> {
        self.server.wake = Some(self.shared.base);
        let outcome = self.steps();
        self.shared.note("end", [0; 4]);
        match outcome {
            Ok(()) => Ok(Summary {
                hash: self.shared.trace.hash(),
                events: self.shared.trace.count(),
                commands: self.shared.completed,
                octets: self.shared.octets,
                injected: self.shared.net.borrow().injected(),
                elapsed: self.shared.now - self.shared.base,
            }),
            Err(violation) => {
                let (seed, tail) = (self.shared.plan.seed, self.shared.trace.tail());
                Err(Box::new(Failure { seed, violation, tail }))
            }
        }
    }

    fn steps(&mut self) -> Result<(), Violation> {
        loop {
            self.step()?;
            if self.stage_is_over() && self.next_stage()? {
                return self.check_end();
            }
            self.count_step();
            if self.idle_steps > IDLE_STEPS_MAX {
                return Err(self.stuck("somebody spins"));
            }
            if self.shared.now > self.bound || self.steps > STEPS_MAX {
                return Err(self.stuck("nothing was left to hinder it"));
            }
        }
    }

    /// Faults may make a run as long as they last: go-back-N sends much again where each packet
    /// overtakes others. So steps count from their end, and idle ones always.
    fn count_step(&mut self) {
        self.steps += u64::from(self.faults_until.is_none());
        let now = (self.shared.net.borrow().injected().sent, self.shared.trace.count());
        self.idle_steps = if self.happened == now { self.idle_steps + 1 } else { 0 };
        self.happened = now;
    }

    /// Time goes on to the next thing that happens; whoever is due runs, in any order.
    fn step(&mut self) -> Result<(), Violation> {
        let Some(next) = self.next_time() else {
            return Err(self.stuck("and nobody waits for anything"));
        };
        let quantum = 1 + self.random.below(self.shared.plan.quantum_ns);
        let now = next.max(self.shared.now + Duration::from_nanos(quantum));
        self.shared.now = now;
        self.shared.net.borrow_mut().advance(now);
        self.shared.expire_abandoned()?;
        self.stop_faults();
        self.suffer()?;
        self.revive()?;
        let mut due: Vec<usize> = (0..=self.hosts.len()).filter(|who| self.is_due(*who)).collect();
        self.random.shuffle(&mut due);
        for who in due {
            for _ in 0..=self.random.below(2) {
                self.turn(who)?;
            }
        }
        Ok(())
    }

    fn turn(&mut self, who: usize) -> Result<(), Violation> {
        if who > 0 {
            return self.hosts[who - 1].turn(&mut self.shared);
        }
        self.server.turn(self.shared.now);
        Ok(())
    }

    /// When somebody is next due: its own wish, or an arrival; not while it is paused.
    fn due_at(&self, who: usize) -> Option<Instant> {
        let (is_alive, wake, restart) = match who.checked_sub(1) {
            None => (self.server.is_alive(), self.server.wake, self.server.restart_at),
            Some(host) => {
                let host = &self.hosts[host];
                (host.is_alive(), host.wake, host.restart_at)
            }
        };
        if !is_alive {
            return restart;
        }
        let arrival = self.shared.net.borrow().next_due(who);
        let soonest = wake.into_iter().chain(arrival).min()?;
        Some(soonest.max(self.paused[who]))
    }
    fn is_due(&mut self, who: usize) -> bool {
        let is_early = self.random.one_in(16) && self.paused[who] <= self.shared.now;
        is_early || self.due_at(who).is_some_and(|at| at <= self.shared.now)
    }
    fn next_time(&self) -> Option<Instant> {
        let actors = (0..=self.hosts.len()).filter_map(|who| self.due_at(who));
        let misfortune = self.misfortunes.front().map(|(at, _)| *at);
        let abandoned = self.shared.abandoned.iter().map(|(until, _)| *until);
        actors.chain(misfortune).chain(self.faults_until).chain(abandoned).min()
    }

    fn stop_faults(&mut self) {
        if self.faults_until.is_some_and(|at| at <= self.shared.now) {
            self.faults_until = None;
            let mut net = self.shared.net.borrow_mut();
            net.set_faults(crate::net::Faults::default());
            net.heal();
            drop(net);
            self.paused.fill(self.shared.base);
            self.shared.note("faults stop", [0; 4]);
        }
    }

    /// Whatever is planned for now goes wrong.
    fn suffer(&mut self) -> Result<(), Violation> {
        let now = self.shared.now;
        while self.misfortunes.front().is_some_and(|(at, _)| *at <= now) {
            let Some((_, what)) = self.misfortunes.pop_front() else { break };
            let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            match what {
                Misfortune::HostKilled(host, time) => {
                    self.shared.note("host killed", [host as u64, micros(time), 0, 0]);
                    self.hosts[host].kill(&mut self.shared, now + time)?;
                }
                Misfortune::HostCloses(host, time) => {
                    self.shared.note("host closes", [host as u64, micros(time), 0, 0]);
                    self.hosts[host].close(&self.shared);
                    self.hosts[host].turn(&mut self.shared)?;
                    self.hosts[host].kill(&mut self.shared, now + time)?;
                }
                Misfortune::TargetKilled(time) => {
                    self.shared.note("target killed", [micros(time), 0, 0, 0]);
                    self.server.kill(now + time);
                }
                Misfortune::Cut(port, time) => {
                    self.shared.note("cut", [port as u64, micros(time), 0, 0]);
                    self.shared.net.borrow_mut().cut(port, now + time);
                }
                Misfortune::Paused(who, time) => {
                    self.shared.note("paused", [who as u64, micros(time), 0, 0]);
                    self.paused[who] = now + time;
                }
            }
        }
        Ok(())
    }

    /// Whoever is to come back comes back.
    fn revive(&mut self) -> Result<(), Violation> {
        let now = self.shared.now;
        if self.server.restart_at.is_some_and(|at| at <= now) {
            let Shared { plan, net, .. } = &self.shared;
            let restarted = self.server.restart(plan, net, &mut self.random);
            restarted.expect("memory for the target");
            self.server.wake = Some(now);
            let (values, torn) = self.server.platter().borrow().values();
            if let Some(lba) = torn.first() {
                let detail = format!("block {lba} is torn after the target's crash");
                return Err(Violation::new("a logical block is never torn", detail));
            }
            if self.server.platter().borrow().is_volatile() {
                self.shared.blocks.crash(&values)?;
            }
            self.shared.note("target back", [0; 4]);
        }
        for index in 0..self.hosts.len() {
            if self.stage == Stage::Work && self.hosts[index].is_dead() {
                self.hosts[index].kill(&mut self.shared, now)?;
            }
            let host = &mut self.hosts[index];
            if host.restart_at.is_some_and(|at| at <= now) {
                host.start(&mut self.shared).expect("memory for a host");
                self.shared.note("host starts", [index as u64, 0, 0, 0]);
            }
        }
        Ok(())
    }

    fn stage_is_over(&mut self) -> bool {
        match self.stage {
            Stage::Work => {
                self.faults_until.is_none()
                    && self.misfortunes.is_empty()
                    && self.server.is_alive()
                    && self.shared.abandoned.is_empty()
                    && self.hosts.iter().all(|host| host.is_alive() && host.is_finished())
            }
            Stage::ReadBack => self.hosts[0].is_finished(),
            Stage::Goodbye => {
                let (connections, controllers, qps) = self.server.left();
                connections + controllers + qps == 0
                    && self.hosts.iter_mut().all(|host| host.is_closed() && host.qp_count() == 0)
            }
        }
    }

    /// True when there is none.
    fn next_stage(&mut self) -> Result<bool, Violation> {
        let now = self.shared.now;
        match self.stage {
            Stage::Work => {
                self.stage = Stage::ReadBack;
                self.bound = now + PROGRESS_BOUND;
                self.hosts[0].read_back(now);
                self.shared.note("read back", [0; 4]);
            }
            Stage::ReadBack => {
                self.stage = Stage::Goodbye;
                self.bound = now + REST_BOUND;
                self.check_counters()?;
                self.shared.note("goodbye", [0; 4]);
                self.hosts.iter_mut().for_each(|host| host.close(&self.shared));
            }
            Stage::Goodbye => return Ok(true),
        }
        Ok(false)
    }
}

/// Nobody waits longer than this for anything.
const _: () = assert!(PROGRESS_BOUND.as_secs() < AGES.as_secs());
