//! `flexblk read` and `flexblk write`: a namespace as a stream.

use crate::args::copy::{Copy, Write as WriteArgs};
use crate::connect;
use crate::exchange;
use crate::failure::Failure;
use crate::output;
use initiator::{Completion, IoOp, NamespaceInfo};
use memory::{Mr, Region};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::time::Instant;
use wire::nvme::Status;

/// Octets of one command, and commands in flight.
const CHUNK: u32 = 128 << 10;
const DEPTH: usize = 16;

type Session = connect::AnySession;

/// One piece of the stream in memory.
struct Piece {
    slot: usize,
    length: u32,
    done: bool,
}

struct Pipe<'a> {
    session: &'a mut Session,
    ns: NamespaceInfo,
    memory: Region,
    mr: Mr,
    /// In stream order.
    flying: VecDeque<Piece>,
    free: Vec<usize>,
    done: Vec<Completion>,
}

/// Namespace → standard output.
pub(crate) fn read(args: &Copy) -> Result<(), Failure> {
    let (mut session, ns) = connect::namespace(args)?;
    let end = span(args, &ns)?;
    let mut out = std::io::stdout().lock();
    let mut pipe = Pipe::new(&mut session, ns)?;
    let mut at = args.offset;
    while at < end || !pipe.flying.is_empty() {
        while at < end {
            let Some(slot) = pipe.free.pop() else { break };
            let length = u32::try_from(end - at).unwrap_or(u32::MAX).min(pipe.chunk());
            pipe.submit(slot, IoOp::Read, at, length)?;
            at += u64::from(length);
        }
        let (slot, length) = pipe.oldest()?;
        let mut octets = vec![0; length as usize];
        pipe.memory.read(slot * CHUNK as usize, &mut octets);
        pipe.free.push(slot);
        out.write_all(&octets).map_err(output::failed)?;
    }
    out.flush().map_err(output::failed)?;
    connect::tell_hits(session.host().fabric());
    session.close();
    Ok(())
}

/// Standard input → namespace; durable when it returns.
pub(crate) fn write(args: &WriteArgs) -> Result<(), Failure> {
    if let Some(expected) = &args.if_equal {
        return exchange::write_if_equal(&args.copy, expected);
    }
    let args = &args.copy;
    let (mut session, ns) = connect::namespace(args)?;
    let end = span(args, &ns)?;
    let mut input = std::io::stdin().lock();
    let mut given = 0;
    let mut pipe = Pipe::new(&mut session, ns)?;
    let mut at = args.offset;
    let mut chunk = vec![0; pipe.chunk() as usize];
    loop {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(chunk.len());
        let got = fill(&mut input, &mut chunk[..want])?;
        if got == 0 {
            break;
        }
        let whole = pipe.whole_blocks(at, &mut chunk, got)?;
        if pipe.free.is_empty() {
            let (slot, _) = pipe.oldest()?;
            pipe.free.push(slot);
        }
        let slot = pipe.free.pop().ok_or_else(|| Failure::new("no buffer"))?;
        pipe.memory.write(slot * CHUNK as usize, &chunk[..whole]);
        pipe.submit(slot, IoOp::Write, at, u32::try_from(whole).unwrap_or(u32::MAX))?;
        at += whole as u64;
        given += got as u64;
        if got < want || at >= end {
            break;
        }
    }
    let rest = args.count.is_none() && at >= end && input.read(&mut [0]).is_ok_and(|n| n > 0);
    while !pipe.flying.is_empty() {
        pipe.oldest()?;
    }
    session.flush(&ns).map_err(|e| Failure::new(e.to_string()))?;
    connect::tell_hits(session.host().fabric());
    session.close();
    if let Some(count) = args.count.filter(|&count| given < count) {
        return Err(Failure::new(format!(
            "standard input ended after {given} octets of --count {count}: those were written"
        )));
    }
    if rest {
        let bytes = ns.bytes();
        return Err(Failure::new(format!(
            "standard input is longer than the namespace ({bytes} octets): the rest was not written"
        )));
    }
    Ok(())
}

/// End of the span asked for, checked against the namespace.
fn span(args: &Copy, ns: &NamespaceInfo) -> Result<u64, Failure> {
    let block = u64::from(ns.block_bytes);
    let end = args.count.map_or(Some(ns.bytes()), |count| args.offset.checked_add(count));
    let Some(end) = end.filter(|&end| end <= ns.bytes() && args.offset <= end) else {
        let bytes = ns.bytes();
        return Err(Failure::new(format!(
            "--offset and --count reach beyond the end of the namespace ({bytes} octets): ask for less"
        )));
    };
    if !args.offset.is_multiple_of(block) || !end.is_multiple_of(block) {
        return Err(Failure::new(format!(
            "--offset and --count must be multiples of the namespace's block, {block} octets"
        )));
    }
    Ok(end)
}

/// Reads until `into` is full or the input ends.
fn fill(input: &mut impl Read, into: &mut [u8]) -> Result<usize, Failure> {
    let mut got = 0;
    while got < into.len() {
        match input.read(&mut into[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Failure::new(format!("standard input: {e}"))),
        }
    }
    Ok(got)
}

impl<'a> Pipe<'a> {
    fn new(session: &'a mut Session, ns: NamespaceInfo) -> Result<Pipe<'a>, Failure> {
        let out_of_memory = |e: std::io::Error| Failure::new(format!("memory: {e}"));
        let memory = Region::allocate(DEPTH * CHUNK as usize).map_err(out_of_memory)?;
        let mr = session.host().register(&memory).map_err(|e| Failure::new(e.to_string()))?;
        let free = (0..DEPTH).rev().collect();
        Ok(Pipe { session, ns, memory, mr, flying: VecDeque::new(), free, done: Vec::new() })
    }

    fn chunk(&self) -> u32 {
        CHUNK.min(self.ns.max_transfer_bytes)
    }

    fn submit(&mut self, slot: usize, op: IoOp, at: u64, length: u32) -> Result<(), Failure> {
        let addr = self.mr.addr + (slot * CHUNK as usize) as u64;
        let command = self
            .ns
            .command(slot as u64 + 2, op, at, length, &self.mr, addr)
            .map_err(|e| Failure::new(e.to_string()))?;
        self.session
            .host()
            .submit(Instant::now(), 0, command)
            .map_err(|_| Failure::new("queue is full"))?;
        self.flying.push_back(Piece { slot, length, done: false });
        Ok(())
    }

    /// Waits for the oldest piece of the stream.
    fn oldest(&mut self) -> Result<(usize, u32), Failure> {
        loop {
            if let Some(piece) = self.flying.pop_front_if(|piece| piece.done) {
                return Ok((piece.slot, piece.length));
            }
            self.session.turn();
            self.session.take_done(&mut self.done);
            for completion in self.done.drain(..) {
                if completion.status.is(Status::HOST_PATHING)
                    && let Some(why) = self.session.host().error()
                {
                    return Err(Failure::new(format!("I/O failed: {why}")));
                }
                if !completion.status.is_success() {
                    return Err(Failure::new(format!("I/O failed: {}", completion.status)));
                }
                for piece in &mut self.flying {
                    piece.done |= piece.slot as u64 + 2 == completion.tag;
                }
            }
        }
    }

    /// Completes a last piece that is not whole blocks with what the namespace holds there.
    fn whole_blocks(&mut self, at: u64, chunk: &mut [u8], got: usize) -> Result<usize, Failure> {
        let block = self.ns.block_bytes as usize;
        let whole = got.next_multiple_of(block);
        if whole > got {
            while !self.flying.is_empty() {
                let (slot, _) = self.oldest()?;
                self.free.push(slot);
            }
            let mut last = vec![0; block];
            let from = at + (whole - block) as u64;
            self.session
                .read_at(&self.ns, from, &mut last)
                .map_err(|e| Failure::new(e.to_string()))?;
            chunk[got..whole].copy_from_slice(&last[block - (whole - got)..]);
        }
        Ok(whole)
    }
}
