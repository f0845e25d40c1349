//! What a request costs at a disk, without network or protocol.
//!
//! `cargo run --release -p flexblk-storage --example backend_cost -- [URI]...`
//!
//! For each disk: nanoseconds for submit + poll + release of one 4-KiB read at random places, and
//! for prepare + write, at depths 1, 32 and 1,024; and, when all of them want one and the same
//! block, reads and zeroings in turn. The data itself is not touched. Times are those
//! that this thread had a CPU, so that other work on the machine disturbs less.

#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use flexblk_storage::{
    Backend, BackendSpec, BlockRange, BoxedBackend, Done, Durability, Op, Purpose, Request, Tag,
    open,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

const TIME: Duration = Duration::from_millis(600);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let default = || vec!["null:1TiB".into(), "mem:512MiB".into(), "mem:512MiB?stats".into()];
    let uris = if given.is_empty() { default() } else { given };
    println!("{:<32} {:>6} {:>12} {:>12} {:>12}", "disk", "depth", "read ns", "write ns", "hot ns");
    for uri in uris {
        let begin = Instant::now();
        let mut disk = open(&uri.parse::<BackendSpec>()?)?;
        println!("{uri:<32} opened in {:?}", begin.elapsed());
        for depth in [1, 32, 1024] {
            let mut median = |cost: fn(&mut BoxedBackend, u64) -> f64| {
                let mut runs = [0; 3].map(|_| cost(&mut disk, depth));
                runs.sort_by(f64::total_cmp);
                runs[1]
            };
            let (read, write, hot) = (median(reads), median(writes), median(hot_block));
            println!("{uri:<32} {depth:>6} {read:>12.1} {write:>12.1} {hot:>12.1}");
        }
    }
    Ok(())
}

/// Random places without the cost of a good generator.
struct Places {
    state: u64,
    blocks: u64,
}

impl Places {
    fn new(disk: &impl Backend) -> Places {
        Places { state: 1, blocks: disk.geometry().block_count }
    }
    fn next(&mut self) -> BlockRange {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        BlockRange { start: (self.state >> 20) % self.blocks, count: 1 }
    }
}

fn reads(disk: &mut BoxedBackend, depth: u64) -> f64 {
    let mut places = Places::new(disk);
    measure(disk, depth, &mut |disk, done, now| {
        for tag in 0..depth {
            submit(disk, Request { tag: Tag(tag), op: Op::Read(places.next()), buffer: None });
        }
        finish(disk, done, depth, now);
        for result in done.drain(..) {
            disk.release(black_box(result).buffer.expect("a good read"));
        }
    })
}

fn writes(disk: &mut BoxedBackend, depth: u64) -> f64 {
    let mut places = Places::new(disk);
    let block = u64::from(disk.geometry().block_bytes);
    let mut ranges = Vec::with_capacity(1024);
    let mut prepared = Vec::with_capacity(1024);
    measure(disk, depth, &mut |disk, done, now| {
        // At depth 1,024 two may want the same block: neighbours instead of random places.
        let start = places.next().start % (places.blocks - 1024);
        let shuffled = start / block * block;
        ranges.clear();
        ranges.extend((0..depth).map(|i| BlockRange { start: shuffled + i, count: 1 }));
        for (tag, range) in (0..).zip(&ranges) {
            let op = Op::Prepare(*range, Purpose::Write);
            submit(disk, Request { tag: Tag(tag), op, buffer: None });
        }
        finish(disk, done, depth, now);
        prepared.append(done);
        for Done { tag, buffer, .. } in prepared.drain(..) {
            let index = usize::try_from(tag.0).expect("small");
            let op = Op::Write(ranges[index], Durability::Cached);
            submit(disk, Request { tag, op, buffer });
        }
        finish(disk, done, depth, now);
        done.clear();
    })
}

/// Everybody wants one block: the worst case of the locks.
fn hot_block(disk: &mut BoxedBackend, depth: u64) -> f64 {
    let range = BlockRange { start: 7, count: 1 };
    measure(disk, depth, &mut |disk, done, now| {
        for tag in 0..depth {
            let op = if tag % 2 == 0 {
                Op::Read(range)
            } else {
                Op::WriteZeroes { range, deallocate: false, durability: Durability::Cached }
            };
            submit(disk, Request { tag: Tag(tag), op, buffer: None });
        }
        let mut left = depth;
        while left > 0 {
            disk.poll(now, done);
            left -= done.len() as u64;
            done.drain(..).filter_map(|result| result.buffer).for_each(|b| disk.release(b));
        }
    })
}

fn submit(disk: &mut impl Backend, request: Request) {
    assert!(disk.submit(request).is_ok(), "full");
}

fn finish(disk: &mut impl Backend, done: &mut Vec<Done>, count: u64, now: Instant) {
    while (done.len() as u64) < count {
        disk.poll(now, done);
    }
}

type Round<'a, B> = &'a mut dyn FnMut(&mut B, &mut Vec<Done>, Instant);

/// Nanoseconds for each of the `depth` requests of a round.
#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn measure<B: Backend>(disk: &mut B, depth: u64, round: Round<'_, B>) -> f64 {
    let (mut done, start) = (Vec::with_capacity(1024), Instant::now());
    let (mut count, mut now, cpu_start) = (0u64, start, cpu_nanos());
    while now - start < TIME {
        for _ in 0..1 + 1024 / depth {
            round(disk, &mut done, now);
            count += depth;
        }
        now = Instant::now();
    }
    (cpu_nanos() - cpu_start) as f64 / count as f64
}

/// Nanoseconds that this thread ran.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|field| field.parse().ok()).unwrap_or(0)
}
