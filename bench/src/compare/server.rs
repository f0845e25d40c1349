//! The server's process.

use super::child::{ChildReport, ChildSpec, ChildWork, Watch};
use super::page::{Page, Phase};
use crate::block_server::{self, Index, SumBlocks, Sums};
use crate::stack::{Idle, Place, StackSpec, WithFabric};
use dpa::engine::NoOffload;
use dpa::rx::Placer;
use initiator::Waiter;
use initiator::wait::Idled;
use memory::Region;
use netstack::fabric::Fabric;
use netstack::link::ROCE_PORT;
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};
use target::{Config, Port, Reactor, SpinBudget, TransportKind};

/// NVMe's port.
pub(super) const NVME_PORT: u16 = 4420;
/// The one subsystem.
pub(super) const NQN: &str = "nqn.2026-11.io.flexblk:compare";
/// Requests in flight on the disk.
const DISK_DEPTH: u32 = 1024;
/// A server whose client never says that it is over ends by itself.
const LIFE_MAX: Duration = Duration::from_secs(120);

/// Serves until the page says `End`. `ready` is called once, when clients may come.
///
/// Errors: what keeps it from serving.
pub fn server(
    spec: &ChildSpec,
    engine: &mut Command,
    engine_cpu: Option<usize>,
    ready: &mut dyn FnMut(),
) -> io::Result<ChildReport> {
    memory::share_all();
    let page = Page::open(spec.page)?;
    let store = spec.disk.open()?;
    let store = if spec.stack.streaming { store.streaming() } else { store };
    let local = SocketAddr::new(spec.server, ROCE_PORT);
    let place = Place { local, server: local, engine_cpu, engine };
    let mut watch = Watch::new(page, false);
    match spec.work {
        ChildWork::Blocks { .. } => {
            let idle = spec.stack.idle();
            let then = Blocks { spec, store, watch: &mut watch, idle, ready };
            spec.stack.open(place, Placer::<NoOffload>::default(), then)?;
        }
        ChildWork::BlockServer(work) => {
            let index = spec.index.map(|index| index.open().map(Index::over)).transpose()?;
            let (placer, sums) = summing(&spec.stack, &store, work);
            let watch = &mut watch;
            let waiter = spec.waiter();
            let then = Messages { work, store, index, sums, watch, waiter, ready };
            match placer {
                Some(placer) => spec.stack.open(place, placer, then)?,
                None => spec.stack.open(place, Placer::<NoOffload>::default(), then)?,
            }
        }
    }
    Ok(ChildReport { counters: watch.into_counts(), ..ChildReport::default() })
}

/// The NIC's handler and where it leaves its sums, if summing is the NIC's work.
fn summing(
    stack: &StackSpec,
    store: &Region,
    work: block_server::Work,
) -> (Option<Placer<SumBlocks>>, Option<Sums>) {
    if stack.app_crc || !work.serves {
        return (None, None);
    }
    let sums = Sums::new(store.len() / work.block_bytes as usize);
    let handler = SumBlocks::new(sums.clone(), store.addr(), work.block_bytes);
    (Some(Placer::new(handler, Vec::new())), Some(sums))
}

struct Blocks<'a> {
    spec: &'a ChildSpec,
    store: Region,
    watch: &'a mut Watch,
    idle: Idle,
    ready: &'a mut dyn FnMut(),
}

impl WithFabric for Blocks<'_> {
    fn run<F: Fabric>(self, fabric: F) -> io::Result<()> {
        let mut reactor = Reactor::new(fabric, Config::default());
        let disk = storage::Memory::over(self.store, 4096, DISK_DEPTH)?;
        reactor.add_subsystem(NQN).map_err(io::Error::other)?;
        reactor.add_namespace(NQN, None, "compare", Box::new(disk)).map_err(io::Error::other)?;
        reactor.listen(Port {
            id: 1,
            transport: TransportKind::Rdma,
            address: SocketAddr::new(self.spec.server, NVME_PORT),
        });
        (self.ready)();
        let begin = Instant::now();
        let (mut now, mut activity) = (begin, 0);
        let mut budget = self.idle.spin.map_or_else(SpinBudget::busy, SpinBudget::adaptive);
        while now < begin + LIFE_MAX {
            let from = now;
            let turn = reactor.turn(now);
            now = Instant::now();
            let moved = std::mem::replace(&mut activity, reactor.fabric().activity()) != activity;
            let did_work = turn.did_work | moved;
            let phase = self.watch.follow((from, now, did_work), &mut |report| {
                reactor.report(report);
            });
            if phase == Phase::End {
                break;
            }
            if budget.handle_turn(now, did_work) {
                let latest = now + Duration::from_millis(20);
                reactor.wait(now, Some(turn.next_timeout.map_or(latest, |at| at.min(latest))))?;
                now = Instant::now();
            } else if !did_work && self.idle.yields {
                std::thread::yield_now();
                now = Instant::now();
            }
        }
        Ok(())
    }
}

struct Messages<'a> {
    work: block_server::Work,
    store: Region,
    index: Option<Index>,
    sums: Option<Sums>,
    watch: &'a mut Watch,
    waiter: Waiter,
    ready: &'a mut dyn FnMut(),
}

impl WithFabric for Messages<'_> {
    fn run<F: Fabric>(mut self, fabric: F) -> io::Result<()> {
        let mut server =
            block_server::Server::new(fabric, self.work, self.store, self.index, self.sums)?;
        (self.ready)();
        let begin = Instant::now();
        let (mut now, mut activity) = (begin, 0);
        while now < begin + LIFE_MAX {
            let from = now;
            let heard = server.turn(now);
            now = Instant::now();
            let moved = std::mem::replace(&mut activity, server.fabric().activity()) != activity;
            let did_work = heard | moved;
            let phase = self.watch.follow((from, now, did_work), &mut |report| {
                server.fabric().counters(report);
            });
            if phase == Phase::End {
                break;
            }
            // The page wakes nobody: it is looked at again before long.
            let latest = now + Duration::from_millis(20);
            let timer = server.fabric().poll_timeout().map_or(latest, |at| at.min(latest));
            if self.waiter.idle(server.fabric(), did_work, now, Some(timer)) == Idled::Away {
                now = Instant::now();
            }
        }
        Ok(())
    }
}
