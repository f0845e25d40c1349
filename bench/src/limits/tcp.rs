//! The bare exchange over TCP: what reads over NVMe/TCP would cost if NVMe cost nothing.
//!
//! One thread asks with 72 octets (a command PDU), the other answers straight from cold memory. Both
//! spin, on a core each if there are two. Not for many small blocks at a time: there, how many leave
//! in a call decides, and a bare exchange that spins sends fewer together than NVMe/TCP does.

use super::exchange::{REGION_BYTES, cpus, histogram, spawn};
use super::{Exchange, rate};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Octets of a request: a command PDU without data. Source: NVMe TCP Transport Specification 1.1,
/// "Command Capsule PDU".
const REQUEST_BYTES: usize = 72;
/// Nothing comes for this long: the other side is gone.
const QUIET: Duration = Duration::from_secs(5);

/// Blocks of 4 KiB one at a time and blocks of 128 KiB 8 at a time, for `time` each.
pub(super) fn run(time: Duration) -> io::Result<[Exchange; 2]> {
    let blocks = Arc::new(vec![0x5a; REGION_BYTES]);
    Ok([exchange(&blocks, 4 << 10, 1, time)?, exchange(&blocks, 128 << 10, 8, time)?])
}

/// Exchanges blocks of `block_bytes` out of `blocks`, `depth` at a time, for `time`.
fn exchange(
    blocks: &Arc<Vec<u8>>,
    block_bytes: usize,
    depth: usize,
    time: Duration,
) -> io::Result<Exchange> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
    }
    let blocks = Arc::clone(blocks);
    let [server_cpu, client_cpu] = cpus();
    let server = spawn(server_cpu, move || serve(far, &blocks, block_bytes, depth));
    let client = spawn(client_cpu, move || ask(near, block_bytes, depth, time));
    let panicked = |_| io::Error::other("a thread of the exchange panicked");
    // The client's end closes its connection, which ends the server.
    let outcome = client.join().map_err(panicked)?;
    server.join().map_err(panicked)??;
    outcome
}

/// Answers until the connection ends: all that was asked for by now with one gathered write.
fn serve(mut stream: TcpStream, blocks: &[u8], block_bytes: usize, depth: usize) -> io::Result<()> {
    let places = blocks.len() / block_bytes;
    let mut requests = vec![0; depth * REQUEST_BYTES];
    let (mut random, mut unanswered) = (1_usize, 0);
    loop {
        let arrived = match stream.read(&mut requests) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Ok(0) => return Ok(()),
            outcome => outcome,
        };
        match arrived.and_then(|octets| {
            unanswered += octets;
            let mut answers: Vec<_> = (0..unanswered / REQUEST_BYTES)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let start = (random >> 33) % places * block_bytes;
                    IoSlice::new(&blocks[start..start + block_bytes])
                })
                .collect();
            unanswered %= REQUEST_BYTES;
            write_all(&mut stream, &mut answers)
        }) {
            Err(error) if is_over(&error) => return Ok(()),
            outcome => outcome?,
        }
    }
}

/// The other side has gone: no error to who serves it.
fn is_over(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Asks for the next block when one is whole. Blocks come in the order that they were asked for.
fn ask(
    mut stream: TcpStream,
    block_bytes: usize,
    depth: usize,
    time: Duration,
) -> io::Result<Exchange> {
    let request = [0; REQUEST_BYTES];
    let mut buffers = vec![vec![0; block_bytes]; depth];
    let mut times = histogram()?;
    let started = Instant::now();
    let mut now = started;
    let mut asked = VecDeque::with_capacity(depth);
    for slot in (0..depth).cycle() {
        if now - started >= time {
            break;
        }
        while asked.len() < depth {
            write_all(&mut stream, &mut [IoSlice::new(&request)])?;
            asked.push_back(now);
        }
        read_all(&mut stream, &mut buffers[slot], now + QUIET)?;
        now = Instant::now();
        let asked_at = asked.pop_front().unwrap_or(now);
        let ns = u64::try_from((now - asked_at).as_nanos()).unwrap_or(u64::MAX);
        times.saturating_record(ns);
    }
    let per_s = rate(times.len(), now - started);
    Ok(Exchange::of(&times, per_s, u32::try_from(block_bytes).unwrap_or(u32::MAX), 0))
}

/// Spins until `octets` is full. Errors: `UnexpectedEof`; `TimedOut` when it is not by `until`.
fn read_all(stream: &mut TcpStream, octets: &mut [u8], until: Instant) -> io::Result<()> {
    let mut filled = 0;
    while filled < octets.len() {
        match stream.read(&mut octets[filled..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if Instant::now() > until => return Err(ErrorKind::TimedOut.into()),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Spins until all is handed over: the other side reads all the time.
fn write_all(stream: &mut TcpStream, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !pieces.is_empty() {
        match stream.write_vectored(pieces) {
            Ok(count) => IoSlice::advance_slices(&mut pieces, count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
