//! What a stack is made of, and how it is opened.

use super::{AnyLink, NicSpec, PipeSpec, link, with_pool};
use crate::micro::{app, engine};
use crate::tcp::TcpFabric;
use dpa::engine::Offload;
use dpa::nic::Nic;
use dpa::pipe::PipeFabric;
use dpa::rx::{self, Placer};
use netstack::fabric::Fabric;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

/// Descriptors in each direction of a pipe.
const PIPE_DEPTH: usize = 1024;
/// Descriptors that an engine takes in one turn: 16 I/Os, of three descriptors each at most (data,
/// response, the next receive).
const ENGINE_BATCH: usize = 48;
/// GRO runs that it receives in one turn: one holds 15 packets of 4 KiB, about what Snap's engines
/// take at a time.
const RX_BURST: u32 = 1;
/// Buffers of a pool that is "large": 32 MiB, what 16 queues of 512 packets of 4 KiB need (the
/// paper's example of a receive working set).
pub const LARGE_POOL: u32 = 512;

/// Where the transport runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// On the application's thread.
    Inline,
    /// On a thread of its own, behind the notification pipe.
    Piped,
    /// In an engine process.
    Microkernel,
    /// In the kernel: TCP, used from the application's thread.
    KernelTcp,
}

impl Kind {
    /// Two threads of a side may share a processor: then whoever is idle gives it away.
    #[must_use]
    pub fn shares_processors(self) -> bool {
        match self {
            Kind::Inline | Kind::KernelTcp => false,
            Kind::Piped | Kind::Microkernel => true,
        }
    }
}

/// One stack, or a variant of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StackSpec {
    /// Where the transport runs.
    pub kind: Kind,
    /// Receive buffers of 64 KiB used in turn; `None`: the small ring that stays in the cache.
    pub rx_pool: Option<u32>,
    /// Messages (a datagram, or a GRO run) received in one turn at most.
    pub rx_burst: u32,
    /// Descriptors that a NIC or an engine takes in one turn at most.
    pub batch: usize,
    /// It gives the processor away after each turn in which it told its host something, not only when
    /// it is idle.
    pub hands_over: bool,
    /// Payload is copied into packet buffers before it is sent.
    pub staged_tx: bool,
    /// Over shared memory instead of UDP.
    pub shm: bool,
    /// A doorbell by system call for every piece of work (piped only).
    pub rings_always: bool,
    /// CRCs of the block server's blocks are the application's work.
    pub app_crc: bool,
    /// Memory of blocks is written past the cache.
    pub streaming: bool,
    /// Microseconds without work before whoever is idle sleeps; `None`: nobody does.
    pub spin_us: Option<u64>,
}

/// What a process does in a turn that finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Idle {
    /// Offers the processor to whoever shares it.
    pub yields: bool,
    /// Sleeps after this; `None`: never.
    pub spin: Option<Duration>,
}

/// How the processes of a stack find their parts.
pub struct Place<'a> {
    /// Own address and UDP port.
    pub local: SocketAddr,
    /// The server's.
    pub server: SocketAddr,
    /// Processor of an engine; `None`: the application's own.
    pub engine_cpu: Option<usize>,
    /// Program whose standard input runs an engine.
    pub engine: &'a mut Command,
}

/// What is done with a fabric, whichever it is.
pub trait WithFabric {
    /// Does it. Errors: its own.
    fn run<F: Fabric>(self, fabric: F) -> io::Result<()>;
}

impl StackSpec {
    /// FlexiNS, inline, with all its techniques, never asleep.
    pub const FLEXINS: StackSpec = StackSpec {
        kind: Kind::Inline,
        rx_pool: None,
        rx_burst: rx::SLOTS,
        batch: 256,
        hands_over: true,
        staged_tx: false,
        shm: false,
        rings_always: false,
        app_crc: false,
        streaming: true,
        spin_us: None,
    };
    /// The microkernel stack: an engine for each application, a large receive pool, CRCs by the
    /// application.
    pub const MICROKERNEL: StackSpec = StackSpec {
        kind: Kind::Microkernel,
        rx_pool: Some(LARGE_POOL),
        rx_burst: RX_BURST,
        batch: ENGINE_BATCH,
        app_crc: true,
        ..StackSpec::FLEXINS
    };

    /// Kernel TCP: one thread, CRCs by the application.
    pub const KERNEL_TCP: StackSpec =
        StackSpec { kind: Kind::KernelTcp, app_crc: true, ..StackSpec::FLEXINS };

    /// How its applications idle.
    #[must_use]
    pub fn idle(&self) -> Idle {
        let spin = self.spin_us.map(Duration::from_micros);
        Idle { yields: self.kind.shares_processors(), spin }
    }
    fn pipe(&self) -> PipeSpec {
        PipeSpec {
            depth: PIPE_DEPTH,
            spin_us: self.spin_us,
            yields: true,
            batch: self.batch,
            hands_over: self.hands_over,
            rings_always: self.rings_always,
        }
    }

    /// Opens it, and does something with it. `placer`: with the NIC's handler.
    ///
    /// Errors: what keeps it from opening; what `then` says.
    pub fn open<O: Offload + 'static, W: WithFabric>(
        &self,
        place: Place<'_>,
        placer: Placer<O>,
        then: W,
    ) -> io::Result<()> {
        let (rx_pool, rx_burst, staged_tx) = (self.rx_pool, self.rx_burst, self.staged_tx);
        let shm = self.shm.then_some(place.server);
        let spec = NicSpec { local: place.local, rx_pool, rx_burst, staged_tx, shm };
        match self.kind {
            Kind::Inline => then.run(handled(&spec, placer)?),
            Kind::Piped => {
                let options = self.pipe().options();
                then.run(PipeFabric::spawn(options, move || handled(&spec, placer))?)
            }
            Kind::Microkernel => {
                let hello = engine::Hello { nic: spec, pipe: self.pipe(), cpu: place.engine_cpu };
                then.run(app::start(place.engine, &hello)?)
            }
            // The kernel has no handler of ours: what it would do is the application's work.
            Kind::KernelTcp => then.run(TcpFabric::new(place.local.ip())?),
        }
    }
}

fn handled<O: Offload>(spec: &NicSpec, placer: Placer<O>) -> io::Result<Nic<AnyLink, O>> {
    let (link, config) = link(spec)?;
    Ok(with_pool(Nic::with_placer(link, config, placer), spec))
}
