//! Tables for a terminal, at most [`WIDTH`] columns wide: a block for each scenario, which can be
//! printed while the run goes on, and a summary at the end.

use super::columns::{self, NARROW};
use super::format::{self, NONE, clipped, plain};
use super::svg::Grid;
use super::verdict::{LimitShare, VIEWS, Verdict, tally};
use crate::compare::record::{Comparison, Scenario};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Columns of a terminal that lines do not exceed.
pub const WIDTH: usize = 120;

/// One scenario: a row for each stack, then what it amounts to.
#[must_use]
pub fn scenario(scenario: &Scenario, limits: &BTreeMap<String, f64>) -> String {
    let name = plain(&scenario.name);
    let title = format!("{name}: {} ({})", plain(&scenario.title), plain(&scenario.poll));
    let mut text = format!("{}\n", clipped(&title, WIDTH));
    let mut grid = columns::grid(scenario);
    grid.head.truncate(NARROW);
    grid.rows.iter_mut().for_each(|row| row.truncate(NARROW));
    text.push_str(&aligned(&grid));
    for (view, name) in VIEWS {
        let verdict = Verdict::of(scenario, view);
        let mut line = format!("  {name:<17} {:<20}", verdict.ratio_text());
        if let Some(ratio) = verdict.ratio {
            let pair = format!("{} / {}", plain(&ratio.stack), plain(&ratio.baseline));
            let _ = write!(line, " {:<45}", clipped(&pair, 45));
        }
        if verdict.wanted.is_some() {
            let _ = write!(line, " wanted {} {}", verdict.wanted_text(), verdict.word());
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if let Some(limit) = LimitShare::of(scenario, limits) {
        let share = limit.text(scenario.decides);
        let of = format::figure(scenario.decides, limit.limit);
        let line = format!("  {:<17} {share} of {} ({of})", "machine's limit", plain(&limit.name));
        text.push_str(&clipped(&line, WIDTH));
        text.push('\n');
    }
    let ablations = columns::ablations(scenario).into_iter();
    let ablations = ablations.map(|(name, speed)| format!("{} {speed}", plain(&name)));
    text.push_str(&wrapped("  ablations         ", &ablations.collect::<Vec<_>>()));
    if let Some(work) = columns::work(scenario) {
        text.push_str("work per I/O, both hosts together\n");
        text.push_str(&aligned(&work));
    }
    text
}

/// All scenarios in a line each, and how many wanted figures are met.
#[must_use]
pub fn summary(comparison: &Comparison) -> String {
    let head =
        ["scenario", "flexins", "equal cores", "wanted", "", "host core", "wanted", "", "limit"];
    let rows = comparison.scenarios.iter().map(|s| {
        let mut cells = vec![s.name.clone(), columns::our_figure(s)];
        for (view, _) in VIEWS {
            let verdict = Verdict::of(s, view);
            let wanted = verdict.wanted.map_or(String::new(), |_| verdict.wanted_text());
            // Beside a dash, "not measured" says nothing more.
            let word = if verdict.ratio.is_none() { "" } else { verdict.word() };
            cells.extend([verdict.ratio_text(), wanted, word.into()]);
        }
        let share = LimitShare::of(s, &comparison.limits);
        cells.push(share.map_or(NONE.into(), |share| share.text(s.decides)));
        cells
    });
    let mut text = aligned(&Grid { head: head.map(String::from).into(), rows: rows.collect() });
    let (met, wanted, short) = tally(comparison);
    if wanted > 0 {
        let _ = writeln!(text, "wanted figures: {met} of {wanted} met");
        let short: Vec<String> = short.iter().map(|name| plain(name)).collect();
        text.push_str(&wrapped("short: ", &short));
    }
    text
}

/// Everything: the machine, the limits, every scenario, the summary, the remarks.
#[must_use]
pub fn full(comparison: &Comparison) -> String {
    let mut text = machine(comparison);
    for each in &comparison.scenarios {
        let _ = write!(text, "\n{}", scenario(each, &comparison.limits));
    }
    let _ = write!(text, "\n{}", ending(comparison));
    text
}

/// What it ran on, and what that moves without a protocol.
#[must_use]
pub fn machine(comparison: &Comparison) -> String {
    let mut text = String::new();
    let machine = &comparison.machine;
    let line = format!(
        "flexblk {} on {}, {} processors, {}",
        machine.flexblk, machine.cpu, machine.cpus, machine.kernel
    );
    let _ = writeln!(text, "{}", clipped(&plain(&line), WIDTH));
    let limits = comparison.limits.iter();
    let limits = limits.map(|(name, &figure)| format!("{} {}", plain(name), format::limit(figure)));
    text.push_str(&wrapped("limits: ", &limits.collect::<Vec<_>>()));
    text
}

/// The summary and the remarks: what is told after the scenarios.
#[must_use]
pub fn ending(comparison: &Comparison) -> String {
    let mut text = summary(comparison);
    for remark in &comparison.remarks {
        let words: Vec<&str> = remark.split_whitespace().collect();
        text.push_str(&folded("note: ", &words, " "));
    }
    text
}

/// A table with the first column to the left and the others to the right. The first one gives
/// way if the line would be too long, and then every line is cut.
pub(crate) fn aligned(grid: &Grid) -> String {
    let lines: Vec<Vec<String>> = std::iter::once(&grid.head)
        .chain(&grid.rows)
        .map(|row| row.iter().map(|cell| plain(cell)).collect())
        .collect();
    let width = |at: usize| {
        lines.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..grid.head.len()).map(width).collect();
    let others: usize = widths.iter().skip(1).map(|w| w + 2).sum();
    if let Some(first) = widths.first_mut() {
        *first = (*first).min(WIDTH.saturating_sub(others).max(12));
    }
    let mut text = String::new();
    for row in &lines {
        let mut line = String::new();
        for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = match at {
                0 => write!(line, "{:<width$}", clipped(cell, width)),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text.push_str(&clipped(line.trim_end(), WIDTH));
        text.push('\n');
    }
    text
}

/// A list behind a label, in as many lines as it takes; nothing if it is empty.
fn wrapped(label: &str, items: &[String]) -> String {
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    folded(label, &items, ", ")
}

fn folded(label: &str, items: &[&str], between: &str) -> String {
    let Some((first, rest)) = items.split_first() else { return String::new() };
    let indent = " ".repeat(label.chars().count());
    let mut lines = vec![format!("{label}{}", plain(first))];
    for item in rest.iter().map(|item| plain(item)) {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if length + between.len() + item.chars().count() < WIDTH {
            if let Some(line) = lines.last_mut() {
                line.push_str(between);
                line.push_str(&item);
            }
            continue;
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(between.trim_end());
        }
        lines.push(format!("{indent}{item}"));
    }
    lines.iter().map(|line| clipped(line, WIDTH) + "\n").collect()
}
