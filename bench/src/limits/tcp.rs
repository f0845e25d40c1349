//! The bare exchange over TCP: what one read at a time over NVMe/TCP would cost if NVMe cost nothing.
//!
//! One thread asks with 72 octets (a command PDU), the other answers with a block out of a cold
//! region. Both spin, on a core each if there are two. Only one at a time: with more, how many leave in a call
//! decides, and a bare exchange that spins sends fewer together than NVMe/TCP does.

use super::exchange::{cpus, histogram, spawn};
use super::{Exchange, rate};
use memory::Region;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Octets of a request: a command PDU without data. Source: NVMe TCP Transport Specification 1.1,
/// "Command Capsule PDU".
const REQUEST_BYTES: usize = 72;
/// Octets of a block.
const BLOCK_BYTES: usize = 4 << 10;
/// Nothing comes for this long: the other side is gone.
const QUIET: Duration = Duration::from_secs(5);

/// Exchanges blocks of 4 KiB, one at a time, for `time`.
pub(super) fn run(blocks: &Region, time: Duration) -> io::Result<Exchange> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
    }
    let blocks = blocks.clone();
    let [server_cpu, client_cpu] = cpus();
    let server = spawn(server_cpu, move || serve(far, &blocks));
    let client = spawn(client_cpu, move || ask(near, time));
    let panicked = |_| io::Error::other("a thread of the exchange panicked");
    // The client's end closes its connection, which ends the server.
    let outcome = client.join().map_err(panicked)?;
    server.join().map_err(panicked)??;
    outcome
}

/// Answers until the connection ends.
fn serve(mut stream: TcpStream, blocks: &Region) -> io::Result<()> {
    let places = blocks.len() / BLOCK_BYTES;
    let (mut request, mut block) = ([0; REQUEST_BYTES], [0; BLOCK_BYTES]);
    let mut random = 1_usize;
    while !is_over(read_all(&mut stream, &mut request, None))? {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        blocks.read((random >> 33) % places * BLOCK_BYTES, &mut block);
        if is_over(write_all(&mut stream, &block))? {
            break;
        }
    }
    Ok(())
}

/// The other side has gone: no error to who serves it.
fn is_over(outcome: io::Result<()>) -> io::Result<bool> {
    use ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match outcome {
        Ok(()) => Ok(false),
        Err(error) if matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe) => {
            Ok(true)
        }
        Err(error) => Err(error),
    }
}

fn ask(mut stream: TcpStream, time: Duration) -> io::Result<Exchange> {
    let (request, mut block) = ([0; REQUEST_BYTES], [0; BLOCK_BYTES]);
    let mut times = histogram()?;
    let started = Instant::now();
    let mut now = started;
    while now - started < time {
        let asked_at = now;
        write_all(&mut stream, &request)?;
        read_all(&mut stream, &mut block, Some(asked_at + QUIET))?;
        now = Instant::now();
        let ns = u64::try_from((now - asked_at).as_nanos()).unwrap_or(u64::MAX);
        times.saturating_record(ns);
    }
    let per_s = rate(times.len(), now - started);
    Ok(Exchange::of(&times, per_s, 4 << 10, 0))
}

/// Spins until `octets` is full. Errors: `UnexpectedEof`; `TimedOut` when it is not by `until`.
fn read_all(stream: &mut TcpStream, octets: &mut [u8], until: Option<Instant>) -> io::Result<()> {
    let mut filled = 0;
    while filled < octets.len() {
        match stream.read(&mut octets[filled..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            Err(_) if until.is_some_and(|until| Instant::now() > until) => {
                return Err(ErrorKind::TimedOut.into());
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// Spins until all is handed over: the other side reads all the time.
fn write_all(stream: &mut TcpStream, mut octets: &[u8]) -> io::Result<()> {
    while !octets.is_empty() {
        match stream.write(octets) {
            Ok(count) => octets = &octets[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
