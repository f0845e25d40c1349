//! The bare exchange over TCP: what a block read over NVMe/TCP would cost if NVMe cost nothing.
//!
//! One thread asks with 72 octets (a command PDU), the other answers with the block out of a cold
//! region, in order. Both spin, on a core each if there are two; what is due leaves in one call.

use super::exchange::{cpus, histogram, spawn};
use super::{Exchange, rate};
use memory::Region;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Octets of a request: a command PDU without data. Source: NVMe TCP Transport Specification 1.1,
/// "Command Capsule PDU".
const REQUEST_BYTES: usize = 72;
/// Octets that one call reads or writes at most.
const CALL_BYTES: usize = 256 << 10;
/// Nothing comes for this long: the other side is gone.
const QUIET: Duration = Duration::from_secs(5);

/// Exchanges blocks of `block_bytes`, `depth` at a time, for `time`.
pub(super) fn run(
    blocks: &Region,
    block_bytes: u32,
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
    let blocks = blocks.clone();
    let [server_cpu, client_cpu] = cpus();
    let server = spawn(server_cpu, move || serve(far, &blocks, block_bytes as usize));
    let client = spawn(client_cpu, move || ask(near, block_bytes, depth, time));
    let panicked = |_| io::Error::other("a thread of the exchange panicked");
    // The client's end closes its connection, which ends the server.
    let outcome = client.join().map_err(panicked)?;
    server.join().map_err(panicked)??;
    outcome
}

/// Answers until the connection ends: the blocks of all requests that are there in one call.
fn serve(mut stream: TcpStream, blocks: &Region, block_bytes: usize) -> io::Result<()> {
    let places = blocks.len() / block_bytes;
    let (mut requests, mut out) = (vec![0; CALL_BYTES], vec![0; CALL_BYTES]);
    let (mut asked_bytes, mut random, mut at, mut end) = (0, 1_usize, 0, 0);
    loop {
        match stream.read(&mut requests) {
            Ok(0) => return Ok(()),
            Ok(count) => asked_bytes += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return if is_over(&error) { Ok(()) } else { Err(error) },
        }
        if at == end {
            (at, end) = (0, 0);
            while asked_bytes >= REQUEST_BYTES && end + block_bytes <= out.len() {
                asked_bytes -= REQUEST_BYTES;
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = (random >> 33) % places;
                blocks.read(place * block_bytes, &mut out[end..end + block_bytes]);
                end += block_bytes;
            }
        }
        if at < end {
            match stream.write(&out[at..end]) {
                Ok(count) => at += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return if is_over(&error) { Ok(()) } else { Err(error) },
            }
        }
    }
}

fn is_over(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn ask(
    mut stream: TcpStream,
    block_bytes: u32,
    depth: usize,
    time: Duration,
) -> io::Result<Exchange> {
    let (requests, mut octets) = (vec![0; REQUEST_BYTES * depth], vec![0; CALL_BYTES]);
    let (mut histogram, mut asked_at) = (histogram()?, VecDeque::with_capacity(depth));
    let started = Instant::now();
    let (mut now, mut progress) = (started, started);
    let (mut due, mut have_bytes) = (depth, 0);
    while now - started < time {
        write_all(&mut stream, &requests[..REQUEST_BYTES * due])?;
        asked_at.extend(std::iter::repeat_n(now, due));
        due = 0;
        let arrived = match stream.read(&mut octets) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        now = Instant::now();
        if arrived > 0 {
            progress = now;
        } else if now - progress > QUIET {
            return Err(ErrorKind::TimedOut.into());
        }
        have_bytes += arrived;
        while have_bytes >= block_bytes as usize {
            have_bytes -= block_bytes as usize;
            due += 1;
            if let Some(since) = asked_at.pop_front() {
                let ns = u64::try_from((now - since).as_nanos()).unwrap_or(u64::MAX);
                histogram.saturating_record(ns);
            }
        }
    }
    let per_s = rate(histogram.len(), now - started);
    Ok(Exchange::of(&histogram, per_s, block_bytes, 0))
}

/// A few requests always find room soon: the other side reads all the time.
fn write_all(stream: &mut TcpStream, mut octets: &[u8]) -> io::Result<()> {
    while !octets.is_empty() {
        match stream.write(octets) {
            Ok(count) => octets = &octets[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
