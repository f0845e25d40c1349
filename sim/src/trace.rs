//! What happened, as a hash (two runs of one seed must agree) and as the last few lines (for
//! whoever reads a violation).

use crate::random::mix;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Lines kept for a violation.
const KEPT: usize = 60;

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
struct Event {
    at_ns: u64,
    what: &'static str,
    numbers: [u64; 4],
}

/// The story of a run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hash: u64,
    count: u64,
    last: VecDeque<Event>,
    is_verbose: bool,
}

impl Trace {
    /// `is_verbose`: every line goes to standard output as it happens.
    #[must_use]
    pub(crate) fn new(is_verbose: bool) -> Trace {
        Trace { is_verbose, ..Trace::default() }
    }
    /// Something happened. Numbers must not depend on addresses of this process' memory.
    pub(crate) fn note(&mut self, at_ns: u64, what: &'static str, numbers: [u64; 4]) {
        let mut hash = mix(self.hash ^ at_ns);
        for octet in what.bytes() {
            hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
        self.hash = numbers.iter().fold(hash, |hash, number| mix(hash ^ number));
        self.count += 1;
        let event = Event { at_ns, what, numbers };
        if self.is_verbose {
            println!("{}", line(&event));
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(event);
    }
    /// All events so far, in one number.
    #[must_use]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
    /// Events so far.
    #[must_use]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
    /// The last lines.
    #[must_use]
    pub(crate) fn tail(&self) -> String {
        self.last.iter().fold(String::new(), |mut text, event| {
            let _ = writeln!(text, "{}", line(event));
            text
        })
    }
}

fn line(event: &Event) -> String {
    let [a, b, c, d] = event.numbers;
    let (ms, ns) = (event.at_ns / 1_000_000, event.at_ns % 1_000_000);
    format!("{ms:>7}.{ns:06} ms  {:<28} {a} {b} {c} {d}", event.what)
}
