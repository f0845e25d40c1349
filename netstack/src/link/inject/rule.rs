//! What is done to which packets, as a person writes it: `drop:read-response-middle:1`.

use std::fmt::Write;
use std::str::FromStr;
use std::time::Duration;
use wire::roce::PacketKind;

/// What happens to a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is lost.
    Drop,
    /// It comes twice.
    Duplicate,
    /// It comes behind the next packet of its direction.
    Reorder,
    /// Its CRC is wrong: whoever verifies drops it.
    Corrupt,
    /// It comes later.
    Delay(Duration),
}

/// The side of a link on which a packet is met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// It leaves.
    Transmit,
    /// It arrives.
    Receive,
}

/// Which of the packets that a rule is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// That one, counted from 1, and from it on each `every`-th (0: none).
    Nth {
        /// The first, from 1.
        first: u64,
        /// Then each so manieth.
        every: u64,
    },
    /// Each with this chance, in packets of a million.
    Chance {
        /// 1 to 1,000,000.
        ppm: u32,
    },
}

/// One fault, and the packets that it hits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// Kinds of packets, a bit each by their number.
    kinds: u64,
    /// Which of them.
    pub which: Which,
    /// On which side; `None`: both, counted together.
    pub way: Option<Way>,
}

/// The words are no rule; says what they could be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(String);

impl Rule {
    /// One fault for the `n`-th (from 1) packet of a kind on either side.
    #[must_use]
    pub fn nth(fault: Fault, kind: PacketKind, n: u64) -> Rule {
        let which = Which::Nth { first: n, every: 0 };
        Rule { fault, kinds: bit(kind), which, way: None }
    }
    /// Whether it is about a packet of that kind, met there.
    #[must_use]
    pub fn is_about(&self, kind: PacketKind, way: Way) -> bool {
        self.kinds & bit(kind) != 0 && self.way.is_none_or(|only| only == way)
    }
}

impl Which {
    /// Whether the `n`-th packet (from 1) is hit. `roll` gives a number below a million.
    pub(super) fn hits(self, n: u64, roll: impl FnOnce() -> u32) -> bool {
        match self {
            Which::Nth { first, every: 0 } => n == first,
            Which::Nth { first, every } => n >= first && (n - first).is_multiple_of(every),
            Which::Chance { ppm } => roll() < ppm,
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    /// `FAULT:KIND:WHICH[:tx|rx]`. FAULT: `drop`, `duplicate`, `reorder`, `corrupt`, `delay=TIME`
    /// (`300us`, `2ms`, `1s`). KIND: a kind's word, what it begins with (`read-response`, `cm`), or
    /// `any`. WHICH: `N`, `N+M` (the N-th, then each M-th), `P%`.
    fn from_str(text: &str) -> Result<Rule, RuleError> {
        let wrong = |what: String| RuleError(format!("'{text}': {what}"));
        let mut words = text.split(':');
        let (Some(fault), Some(kind), Some(which)) = (words.next(), words.next(), words.next())
        else {
            return Err(wrong("a fault is FAULT:KIND:WHICH, as drop:read-response-last:1".into()));
        };
        let way = match words.next() {
            None => None,
            Some("tx") => Some(Way::Transmit),
            Some("rx") => Some(Way::Receive),
            Some(other) => return Err(wrong(format!("'{other}' is neither tx nor rx"))),
        };
        if let Some(more) = words.next() {
            return Err(wrong(format!("nothing follows the side, but '{more}' does")));
        }
        let fault = fault_of(fault).ok_or_else(|| {
            wrong(format!("'{fault}' is none of drop, duplicate, reorder, corrupt, delay=2ms"))
        })?;
        let kinds = kinds_of(kind);
        if kinds == 0 {
            return Err(wrong(format!("'{kind}' is none of {}", words_of_kinds())));
        }
        let which = which_of(which).ok_or_else(|| {
            wrong(format!("'{which}' is none of 3 (the third), 3+10 (then each tenth), 0.5%"))
        })?;
        Ok(Rule { fault, kinds, which, way })
    }
}

fn bit(kind: PacketKind) -> u64 {
    1 << (kind as u8)
}

fn fault_of(word: &str) -> Option<Fault> {
    Some(match word {
        "drop" => Fault::Drop,
        "duplicate" => Fault::Duplicate,
        "reorder" => Fault::Reorder,
        "corrupt" => Fault::Corrupt,
        _ => Fault::Delay(time_of(word.strip_prefix("delay=")?)?),
    })
}

/// A whole number with its unit, at most a minute.
fn time_of(word: &str) -> Option<Duration> {
    let at = word.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = word.split_at(at);
    let number: u64 = number.parse().ok()?;
    let micros = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        _ => return None,
    };
    let time = Duration::from_micros(number.checked_mul(micros)?);
    (time <= Duration::from_secs(60)).then_some(time)
}

/// The kinds whose word is this, or begins with it and goes on with `-`.
fn kinds_of(word: &str) -> u64 {
    let is_meant = |kind: &&PacketKind| {
        let rest = kind.as_str().strip_prefix(word);
        word == "any" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    PacketKind::ALL.iter().filter(is_meant).fold(0, |kinds, kind| kinds | bit(*kind))
}

fn which_of(word: &str) -> Option<Which> {
    if let Some(percent) = word.strip_suffix('%') {
        let percent: f64 = percent.parse().ok()?;
        if !(percent > 0.0 && percent <= 100.0) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100 %")]
        let ppm = (percent * 10_000.0).round().max(1.0) as u32;
        return Some(Which::Chance { ppm });
    }
    let (first, every) = word.split_once('+').unwrap_or((word, "0"));
    let (first, every) = (first.parse().ok()?, every.parse().ok()?);
    let is_right = first > 0 && (every > 0 || !word.contains('+'));
    is_right.then_some(Which::Nth { first, every })
}

fn words_of_kinds() -> String {
    let mut words = String::from("any");
    for kind in PacketKind::ALL {
        let _ = write!(words, ", {}", kind.as_str());
    }
    words
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
