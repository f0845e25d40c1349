//! Two NICs, no NVMe: a request of 64 octets, answered by an RDMA WRITE of a block and a SEND of 16
//! octets. What the stack itself costs, over UDP between 127.0.8.1 and 127.0.8.2 or over shared memory.
//!
//! `cargo run --release -p flexblk-dpa --example nic_exchange -- [roce|native] [DEPTH] [BYTES] [SECONDS] [inline|piped] [udp|shm]`

use flexblk_dpa::nic::Nic;
use flexblk_dpa::pipe::{PipeFabric, PipeOptions};
use memory::{Access, Lkey, Mr, Region, Sge};
use netstack::endpoint::{EndpointConfig, Mode};
use netstack::fabric::{ConnectParams, Fabric, FabricEvent, Gather, QpHandle, Work, WorkOp};
use netstack::link::{Link, ShmLink, UdpLink};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use verbs::{Remote, Rkey, WcStatus};

const TARGET: &str = "127.0.8.1:4791";
const REQUEST_BYTES: u32 = 64;
const ANSWER_BYTES: u32 = 16;
const BLOCKS: u64 = 65_536;
const RECEIVES: u64 = 256;
/// Where blocks begin, behind receives and answers.
const BLOCKS_AT: u64 = 65_536;

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let mode =
        if args.next().is_some_and(|mode| mode == "roce") { Mode::Roce } else { Mode::Native };
    let mut number = |default: u64| args.next().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (depth, bytes, seconds) = (number(32), number(4096), number(3));
    let piped = std::env::args().any(|arg| arg == "piped");
    let bytes = u32::try_from(bytes).map_err(io::Error::other)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    let target = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || target(mode, bytes, &stop, &ready))
    };
    // Filling the target's memory may take a while.
    is_ready.recv().map_err(io::Error::other)?;
    let time = Duration::from_secs(seconds);
    let outcome = if piped {
        let nic = move || nic("127.0.8.2:4791", mode);
        host(PipeFabric::spawn(PipeOptions::default(), nic)?, depth, bytes, time)
    } else {
        host(nic("127.0.8.2:4791", mode)?, depth, bytes, time)
    };
    stop.store(true, Ordering::Release);
    target.join().map_err(|_| io::Error::other("the target panicked"))??;
    outcome
}

fn nic(at: &str, mode: Mode) -> io::Result<Nic<Box<dyn Link + Send>>> {
    let addr: SocketAddr = at.parse().map_err(io::Error::other)?;
    let is_target = at == TARGET;
    let link: Box<dyn Link + Send> = match std::env::args().any(|arg| arg == "shm") {
        true if is_target => Box::new(ShmLink::listen(addr)?),
        true => {
            let to = TARGET.parse().map_err(io::Error::other)?;
            Box::new(ShmLink::connect(to, Duration::from_secs(1))?)
        }
        false => Box::new(UdpLink::bind(addr)?),
    };
    let config = EndpointConfig { seed: u64::from(is_target), mode, ..Default::default() };
    Ok(Nic::new(link, config))
}

fn params() -> ConnectParams {
    ConnectParams { private: Vec::new(), send_depth: 512, recv_depth: 512, read_depth: 1 }
}

fn setup<F: Fabric>(fabric: &mut F, bytes: u64) -> io::Result<(Region, Mr)> {
    let region = Region::allocate(usize::try_from(bytes).map_err(io::Error::other)?)?;
    region.fill(0, region.len(), 0x5a);
    let access = Access::LOCAL_WRITE | Access::REMOTE_WRITE;
    let mr = fabric.register(&region, access).map_err(io::Error::other)?;
    Ok((region, mr))
}

fn sge(mr: &Mr, offset: u64, length: u32) -> Sge {
    Sge { addr: mr.addr + offset, length, lkey: Lkey(mr.lkey.0) }
}

fn post<F: Fabric>(fabric: &mut F, qp: QpHandle, token: u64, op: WorkOp, sge: Sge, signaled: bool) {
    let work = Work { token, op, local: Gather::one(sge), signaled };
    assert!(fabric.post(qp, work).is_ok(), "queues are deep enough");
}

/// Answers requests: all blocks first, then all answers, so that equal packets leave together.
fn target(
    mode: Mode,
    bytes: u32,
    stop: &AtomicBool,
    ready: &std::sync::mpsc::SyncSender<()>,
) -> io::Result<()> {
    let mut fabric = nic(TARGET, mode)?;
    let (region, mr) = setup(&mut fabric, BLOCKS_AT + BLOCKS * 4096)?;
    fabric.listen(4420);
    ready.send(()).map_err(io::Error::other)?;
    let (mut events, mut answers) = (Vec::new(), Vec::new());
    let (mut random, mut signal) = (1_u64, 0_u64);
    while !stop.load(Ordering::Acquire) {
        let now = Instant::now();
        fabric.poll(now, &mut events);
        for event in events.drain(..) {
            match event {
                FabricEvent::ConnectRequest { qp, .. } => {
                    for token in 0..RECEIVES {
                        let landing = sge(&mr, token * u64::from(REQUEST_BYTES), REQUEST_BYTES);
                        post(&mut fabric, qp, token, WorkOp::Recv, landing, true);
                    }
                    fabric.accept(now, qp, params());
                }
                FabricEvent::Recv { qp, token, .. } => {
                    let offset = token * u64::from(REQUEST_BYTES);
                    let mut request = [0; 16];
                    region.read(usize::try_from(offset).unwrap_or(0), &mut request);
                    let [addr, rkey] = [0, 8].map(|at| {
                        let octets = request[at..].first_chunk().copied();
                        u64::from_le_bytes(octets.unwrap_or_default())
                    });
                    let rkey = Rkey(u32::try_from(rkey).unwrap_or(0));
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let span = u64::from(bytes).div_ceil(4096);
                    let block = (random >> 33) % (BLOCKS / span) * span;
                    let write = WorkOp::RdmaWrite(Remote { addr, rkey });
                    let from = sge(&mr, BLOCKS_AT + block * 4096, bytes);
                    post(&mut fabric, qp, token, write, from, false);
                    post(
                        &mut fabric,
                        qp,
                        token,
                        WorkOp::Recv,
                        sge(&mr, offset, REQUEST_BYTES),
                        true,
                    );
                    answers.push(qp);
                }
                FabricEvent::Done { status, .. } => assert_eq!(status, WcStatus::Success),
                FabricEvent::Disconnected { .. } => return report("target", &fabric, 0),
                FabricEvent::Established { .. } | FabricEvent::Rejected { .. } => {}
            }
        }
        for qp in answers.drain(..) {
            signal += 1;
            let op = WorkOp::Send { invalidate: None };
            post(&mut fabric, qp, 0, op, sge(&mr, 0, ANSWER_BYTES), signal.is_multiple_of(16));
        }
        fabric.flush(now);
    }
    report("target", &fabric, 0)
}

fn host<F: Fabric>(mut fabric: F, depth: u64, bytes: u32, time: Duration) -> io::Result<()> {
    let (region, mr) = setup(&mut fabric, BLOCKS_AT + depth * u64::from(bytes))?;
    let to = SocketAddr::from(([127, 0, 8, 1], 4420));
    let qp = fabric.connect(Instant::now(), to, params());
    let mut events = Vec::new();
    while !events.iter().any(|event| matches!(event, FabricEvent::Established { .. })) {
        fabric.poll(Instant::now(), &mut events);
        fabric.flush(Instant::now());
        if let Some(FabricEvent::Rejected { .. } | FabricEvent::Disconnected { .. }) = events.last()
        {
            return Err(io::Error::other(format!("{events:?}")));
        }
    }
    events.clear();
    let request_at = |slot: u64| RECEIVES * u64::from(REQUEST_BYTES) + slot * 64;
    for slot in 0..depth {
        let offset = usize::try_from(request_at(slot)).unwrap_or(0);
        let landing = mr.addr + BLOCKS_AT + slot * u64::from(bytes);
        region.write(offset, &landing.to_le_bytes());
        region.write(offset + 8, &u64::from(mr.rkey.0).to_le_bytes());
        post(&mut fabric, qp, slot, WorkOp::Recv, sge(&mr, slot * 64, REQUEST_BYTES), true);
    }
    let request = |fabric: &mut F, slot: u64, signaled: bool| {
        let op = WorkOp::Send { invalidate: None };
        post(fabric, qp, slot, op, sge(&mr, request_at(slot), REQUEST_BYTES), signaled);
    };
    (0..depth).for_each(|slot| request(&mut fabric, slot, false));
    let started = Instant::now();
    let mut count = 0_u64;
    let mut now = started;
    while now - started < time {
        fabric.poll(now, &mut events);
        for event in events.drain(..) {
            match event {
                FabricEvent::Recv { token, .. } => {
                    count += 1;
                    post(&mut fabric, qp, token, WorkOp::Recv, sge(&mr, token * 64, 64), true);
                    request(&mut fabric, token, count.is_multiple_of(16));
                }
                FabricEvent::Done { status, .. } => assert_eq!(status, WcStatus::Success),
                FabricEvent::ConnectRequest { .. }
                | FabricEvent::Established { .. }
                | FabricEvent::Rejected { .. }
                | FabricEvent::Disconnected { .. } => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        fabric.flush(now);
        now = Instant::now();
    }
    let micros = (now - started).as_micros().max(1);
    let rate = u128::from(count) * 1_000_000 / micros;
    println!("{rate} exchanges/s of {bytes} octets at depth {depth}");
    println!("{} MB/s", u128::from(count) * u128::from(bytes) / micros);
    report("host", &fabric, count)
}

fn report<F: Fabric>(who: &str, fabric: &F, count: u64) -> io::Result<()> {
    println!("{who}: {count} exchanges");
    fabric.counters(&mut |name, value| {
        if value > 0 {
            println!("  {name} {value}");
        }
    });
    Ok(())
}
