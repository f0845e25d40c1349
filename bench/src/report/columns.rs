//! The columns of a stack's figures, for terminal and page alike.

use super::format::{NONE, bytes, column, column_unit, fixed, positive, range, short};
use super::stats::{View, ablation_speed, deciding_spread, ours};
use super::svg::Grid;
use crate::compare::record::{Figures, Role, Scenario, StackResult};

/// Columns that fit on a terminal too.
pub(crate) const NARROW: usize = 12;

/// Heads, the first [`NARROW`] of which are short.
pub(crate) fn heads(scenario: &Scenario) -> Vec<String> {
    let (unit, _) = column_unit(scenario.decides);
    [
        "stack",
        unit,
        "least..most",
        "p50 µs",
        "p99",
        "p99.9",
        "app µs",
        "engine",
        "kernel",
        "host µs",
        "tx/rx copies",
        "sysc/IO",
        "soft IRQ",
        "empty polls",
        "switches",
        "wire B",
        "memory",
    ]
    .map(String::from)
    .into()
}

/// A row of figures; dashes if the stack measured nothing.
pub(crate) fn row(scenario: &Scenario, result: &StackResult) -> Vec<String> {
    let measure = scenario.decides;
    let mut cells = vec![result.stack.clone()];
    match deciding_spread(measure, result) {
        Some(spread) => {
            cells.push(column(measure, spread.median));
            cells.push(range(&column(measure, spread.least), &column(measure, spread.most)));
        }
        None => cells.extend([NONE.into(), NONE.into()]),
    }
    if result.samples.is_empty() {
        cells.resize(heads(scenario).len(), NONE.into());
        return cells;
    }
    let f = &result.median;
    cells.extend([f.p50_us, f.p99_us, f.p999_us].map(latency));
    cells.extend([f.app_user_us, f.engine_user_us, f.kernel_us, f.host_busy_us].map(short));
    cells.push(copies(f));
    cells.push(short(f.syscalls));
    cells.extend([f.softirq_us, f.empty_polls, f.context_switches].map(short));
    cells.push(fixed(f.wire_bytes, 0));
    cells.push(bytes(f.memory_bytes));
    cells
}

/// All rows of a scenario.
pub(crate) fn grid(scenario: &Scenario) -> Grid {
    let rows = scenario.results.iter().map(|result| row(scenario, result)).collect();
    Grid { head: heads(scenario), rows }
}

/// Each ablation's name and how fast it is beside the whole stack.
pub(crate) fn ablations(scenario: &Scenario) -> Vec<(String, String)> {
    let ablated = scenario.results.iter().filter(|r| r.role == Role::Ablation);
    ablated
        .map(|result| {
            let speed = ablation_speed(scenario, result);
            (result.stack.clone(), speed.map_or(NONE.into(), |s| fixed(s.median, 2)))
        })
        .collect()
}

/// Counted or modelled work, if anything was.
pub(crate) fn work(scenario: &Scenario) -> Option<Grid> {
    let rows: Vec<Vec<String>> = scenario
        .results
        .iter()
        .filter_map(|result| {
            let work = result.work.as_ref()?;
            let counts = [work.instructions, work.l1_misses, work.llc_misses];
            let mut cells = vec![result.stack.clone(), work.source.clone()];
            cells.extend(counts.map(short));
            Some(cells)
        })
        .collect();
    let head = ["stack", "source", "instructions per I/O", "L1 misses", "LLC misses"];
    (!rows.is_empty()).then(|| Grid { head: head.map(String::from).into(), rows })
}

/// The figure that decides, of FlexiNS with everything counted.
pub(crate) fn our_figure(scenario: &Scenario) -> String {
    let spread = ours(scenario, View::EqualTotalCores)
        .and_then(|result| deciding_spread(scenario.decides, result));
    spread.map_or(NONE.into(), |s| super::format::figure(scenario.decides, s.median))
}

/// Copies sent and received, in the room of one column.
fn copies(figures: &Figures) -> String {
    let (tx, rx) = (short(figures.tx_copies), short(figures.rx_copies));
    if tx == NONE && rx == NONE { NONE.into() } else { format!("{tx}/{rx}") }
}

/// Microseconds in five characters at most.
fn latency(us: f64) -> String {
    if (99_999.5..1e9).contains(&us) { format!("{:.0}k", us / 1e3) } else { positive(us) }
}
