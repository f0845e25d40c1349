//! Which packet is hit: pure, a function of the rules, the seed and the order of packets.

use super::rule::{Fault, Rule, Way};
use crate::split_mix;
use wire::roce::PacketKind;

/// Rules, and what each has seen.
#[derive(Clone, Debug)]
pub struct Injector {
    rules: Vec<(Rule, u64)>,
    random: u64,
    /// What was done so far.
    pub injected: Hits,
}

/// Packets that were hit, by fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hits {
    /// Lost.
    pub dropped: u64,
    /// Doubled.
    pub duplicated: u64,
    /// Overtaken by the next one.
    pub reordered: u64,
    /// Spoiled.
    pub corrupted: u64,
    /// Held back for a time.
    pub delayed: u64,
}

impl Injector {
    /// Rules that hold from now on; `seed` decides for those with a chance.
    #[must_use]
    pub fn new(rules: &[Rule], seed: u64) -> Injector {
        let rules = rules.iter().map(|rule| (*rule, 0)).collect();
        Injector { rules, random: seed, injected: Hits::default() }
    }

    /// A packet that begins with `head` ([`PacketKind::HEAD_LEN`] octets suffice) passes. Each rule
    /// that is about it counts it; the first that hits it says what happens.
    pub fn judge(&mut self, way: Way, head: &[u8]) -> Option<Fault> {
        let kind = PacketKind::of(head)?;
        let mut verdict = None;
        for (rule, seen) in &mut self.rules {
            if !rule.is_about(kind, way) {
                continue;
            }
            *seen += 1;
            if rule.which.hits(*seen, || roll(&mut self.random)) {
                verdict = verdict.or(Some(rule.fault));
            }
        }
        if let Some(fault) = verdict {
            self.injected.count(fault);
        }
        verdict
    }
}

impl Hits {
    fn count(&mut self, fault: Fault) {
        *match fault {
            Fault::Drop => &mut self.dropped,
            Fault::Duplicate => &mut self.duplicated,
            Fault::Reorder => &mut self.reordered,
            Fault::Corrupt => &mut self.corrupted,
            Fault::Delay(_) => &mut self.delayed,
        } += 1;
    }
    /// Each by its name in reports.
    pub(super) fn report(&self, report: &mut dyn FnMut(&'static str, u64)) {
        report("inject.dropped", self.dropped);
        report("inject.duplicated", self.duplicated);
        report("inject.reordered", self.reordered);
        report("inject.corrupted", self.corrupted);
        report("inject.delayed", self.delayed);
    }
}

/// Below a million.
fn roll(state: &mut u64) -> u32 {
    u32::try_from(split_mix::next(state) % 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::roce::{Header, Opcode, Psn, QpNum};

    fn send(opcode: Opcode) -> Vec<u8> {
        Header::new(opcode, QpNum::new(9), Psn::ZERO).emit(0).as_slice().to_vec()
    }

    fn verdicts(rules: &[&str], seed: u64, packets: usize) -> Vec<Option<Fault>> {
        let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let mut injector = Injector::new(&rules, seed);
        let packet = |n: usize| [Opcode::SendOnly, Opcode::SendFirst][n % 2];
        (0..packets).map(|n| injector.judge(Way::Transmit, &send(packet(n)))).collect()
    }

    /// Goal: a rule counts the packets of its kind only, those of its side only, and those that
    /// another rule hit too.
    #[test]
    fn each_rule_counts_for_itself() {
        let rules = ["drop:send-only:2", "duplicate:send:3:tx", "corrupt:any:5", "drop:any:1:rx"];
        let (drop, corrupt) = (Some(Fault::Drop), Some(Fault::Corrupt));
        assert_eq!(verdicts(&rules, 1, 6), [None, None, drop, None, corrupt, None]);
    }

    /// Goal: chance is a function of the seed, and about as frequent as asked for.
    #[test]
    fn chance_follows_the_seed() {
        let hits = |seed| verdicts(&["drop:any:10%"], seed, 2_000);
        assert_eq!(hits(4), hits(4));
        assert_ne!(hits(4), hits(5));
        let count = hits(4).iter().flatten().count();
        assert!((120..=280).contains(&count), "{count} of 2,000 at 10 %");
    }
}
