//! The loss matrix, after Lumina (SIGCOMM'23): every operation × every kind of packet that it takes ×
//! every fault, one at a time, in both wire modes. Data is right, every completion comes once, and in
//! bounded time. The table is `docs/loss.md`; it is generated here.

mod case;
mod connection;
mod table;

use super::super::Mode;
use super::world::{Datagram, Fate, LATENCY, Script};
use crate::link::inject::{Fault, Injector, Rule, Way};
use case::{CASES, Case};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use table::{Row, Table};
use wire::roce::PacketKind;

/// There and back.
const RTT: Duration = LATENCY.saturating_mul(2);
/// The fault "late".
const LATE: Duration = Duration::from_micros(200);
/// The shortest timer of either transport, with peers of ours, on a path as short as this one.
const TIMER: Duration = Duration::from_micros(500);
/// What one fault may cost.
const BOUND: Duration = Duration::from_micros(500 + 3 * 20);

const FAULTS: [Fault; 5] =
    [Fault::Drop, Fault::Corrupt, Fault::Delay(LATE), Fault::Reorder, Fault::Duplicate];

/// What an injector says, as a script; and the kinds of packets that passed.
fn script(rules: &[Rule]) -> (Script, Rc<RefCell<Vec<PacketKind>>>) {
    let mut injector = Injector::new(rules, 1);
    let kinds = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&kinds);
    let script = move |datagram: &mut Datagram| {
        seen.borrow_mut().extend(PacketKind::of(&datagram.octets));
        match injector.judge(Way::Transmit, &datagram.octets) {
            None => Fate::Deliver,
            Some(Fault::Drop) => Fate::Drop,
            Some(Fault::Duplicate) => Fate::Duplicate(Duration::ZERO),
            Some(Fault::Reorder) => Fate::Behind,
            Some(Fault::Corrupt) => Fate::Corrupt,
            Some(Fault::Delay(time)) => Fate::Delay(time),
        }
    };
    (Box::new(script), kinds)
}

/// The packets of a run to be hit in turn: of each kind the first and the last, in the order in
/// which the kinds appear.
fn victims(kinds: &[PacketKind]) -> Vec<(PacketKind, u64)> {
    let mut victims = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        if kinds[..at].contains(kind) {
            continue;
        }
        let count = kinds.iter().filter(|other| *other == kind).count() as u64;
        victims.push((*kind, 1));
        if count > 1 {
            victims.push((*kind, count));
        }
    }
    victims
}

/// One operation in one mode: a line for each of its packets.
fn measure(mode: Mode, case: &Case, table: &mut Table) {
    let clean = case.run(mode, &[]);
    let is_meant = |kind: PacketKind| case.only.is_empty() || case.only.contains(&kind);
    for (kind, n) in victims(&clean.kinds).into_iter().filter(|(kind, _)| is_meant(*kind)) {
        let costs = FAULTS.map(|fault| {
            let found = case.run(mode, &[Rule::nth(fault, kind, n)]);
            let what = format!("{mode:?} {} with {fault:?} of {} {n}", case.name, kind.as_str());
            let cost = found.took.saturating_sub(clean.took);
            let late = if fault == Fault::Delay(LATE) { LATE } else { Duration::ZERO };
            let bound = case.faults_in_all() * BOUND;
            assert!(cost <= bound.max(late + 3 * RTT), "{what}: {cost:?}");
            table::Cost { time: cost, packets: found.kinds.len().abs_diff(clean.kinds.len()) }
        });
        table.push(Row { operation: case.name, packets: clean.kinds.len(), kind, n, costs });
    }
}

/// Every operation, every kind of packet, every fault: right, once, and within the bound.
#[test]
fn every_packet_of_every_operation() {
    for (mode, name) in [(Mode::Roce, "roce"), (Mode::Native, "native")] {
        let mut table = Table::new(TIMER);
        CASES.iter().for_each(|case| measure(mode, case, &mut table));
        insta::assert_snapshot!(name, table.to_string());
        assert_told(&table);
    }
}

/// The page for users holds the same table.
fn assert_told(table: &Table) {
    let page = include_str!("../../../../../docs/loss.md");
    assert!(page.contains(&table.to_string()), "docs/loss.md is old: it wants\n{table}");
}
