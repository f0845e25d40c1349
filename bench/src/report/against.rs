//! A comparison beside an older one: what became better, what became worse.
//!
//! A change counts only if it is plain from both sides: the new median is one that the old
//! samples did not reach, the old median is one that the new samples did not reach, and it is
//! more than [`NOTABLE_PERCENT`]. Machines that are shared move by more than that on their own.

use super::format::{NONE, change, figure, plain, range};
use super::stats::{Spread, deciding_spread, lower_is_better};
use super::svg::Grid;
use super::table::aligned;
use crate::compare::record::{Comparison, FORMAT, Measure, Role, Scenario, StackResult};
use serde::Deserialize;
use std::fmt::{self, Write};

/// A change up to this is not told apart from chance.
pub const NOTABLE_PERCENT: f64 = 3.0;

/// Why a record cannot be used.
#[derive(Debug)]
pub enum ReadError {
    /// It is of another format.
    Format {
        /// The one that it has.
        found: u32,
    },
    /// It is no record.
    Syntax(serde_json::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Format { found } => {
                write!(f, "the record has format {found}, this program reads format {FORMAT}")
            }
            ReadError::Syntax(error) => write!(f, "not a record of a comparison: {error}"),
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads a record. The format is looked at first: another one may have other fields.
///
/// Errors: another format, or no record at all.
pub fn read(json: &str) -> Result<Comparison, ReadError> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let head: Head = serde_json::from_str(json).map_err(ReadError::Syntax)?;
    check(head.format)?;
    serde_json::from_str(json).map_err(ReadError::Syntax)
}

fn check(found: u32) -> Result<(), ReadError> {
    if found == FORMAT { Ok(()) } else { Err(ReadError::Format { found }) }
}

/// What became of a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Worse, plainly.
    Regressed,
    /// Better, plainly.
    Improved,
    /// Not told apart from chance.
    Same,
    /// One side measured nothing.
    Unknown,
}

impl Outcome {
    /// In a word; nothing for what stayed.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Regressed => "regressed",
            Outcome::Improved => "improved",
            Outcome::Same => "",
            Outcome::Unknown => "not measured",
        }
    }
}

/// The figure that decides, of one stack in one scenario, on both sides.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the stack.
    pub stack: String,
    /// Its role in the new record.
    pub role: Role,
    /// What decides.
    pub measure: Measure,
    /// In the old record.
    pub old: Option<Spread>,
    /// In the new one.
    pub new: Option<Spread>,
    /// How much more the new median is.
    pub percent: Option<f64>,
    /// What that amounts to.
    pub outcome: Outcome,
}

/// Two records side by side.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Against {
    /// What both have, in the order of the new one.
    pub rows: Vec<Change>,
    /// "scenario", or "scenario / stack", that only the old one has.
    pub only_old: Vec<String>,
    /// The same of the new one.
    pub only_new: Vec<String>,
    /// What makes the two hard to compare, in sentences.
    pub differences: Vec<String>,
}

impl Against {
    /// Has any result of the product regressed?
    #[must_use]
    pub fn regressed(&self) -> bool {
        self.rows.iter().any(|row| row.role == Role::Flexins && row.outcome == Outcome::Regressed)
    }
}

/// Sets two records side by side. Errors: one of them is of another format.
pub fn compare(old: &Comparison, new: &Comparison) -> Result<Against, ReadError> {
    check(old.format)?;
    check(new.format)?;
    let mut against = Against { differences: differences(old, new), ..Against::default() };
    for scenario in &new.scenarios {
        let Some(before) = old.scenarios.iter().find(|s| s.name == scenario.name) else {
            against.only_new.push(scenario.name.clone());
            continue;
        };
        if before.decides != scenario.decides {
            let name = &scenario.name;
            against.differences.push(format!("{name} is decided by another figure than before."));
            continue;
        }
        for result in &scenario.results {
            match stack(before, &result.stack) {
                Some(earlier) => against.rows.push(changed(scenario, earlier, result)),
                None => against.only_new.push(format!("{} / {}", scenario.name, result.stack)),
            }
        }
    }
    for before in &old.scenarios {
        let Some(scenario) = new.scenarios.iter().find(|s| s.name == before.name) else {
            against.only_old.push(before.name.clone());
            continue;
        };
        let gone = before.results.iter().filter(|r| stack(scenario, &r.stack).is_none());
        against.only_old.extend(gone.map(|r| format!("{} / {}", before.name, r.stack)));
    }
    Ok(against)
}

fn stack<'a>(scenario: &'a Scenario, name: &str) -> Option<&'a StackResult> {
    scenario.results.iter().find(|result| result.stack == name)
}

fn differences(old: &Comparison, new: &Comparison) -> Vec<String> {
    let mut found = Vec::new();
    let mut tell = |what: &str, old: String, new: String| {
        if old != new {
            found.push(format!("{what}: {old} before, {new} now."));
        }
    };
    let (o, n) = (&old.machine, &new.machine);
    tell("Processor", o.cpu.clone(), n.cpu.clone());
    tell("Processors on line", o.cpus.to_string(), n.cpus.to_string());
    tell("Kernel", o.kernel.clone(), n.kernel.clone());
    let (o, n) = (&old.settings, &new.settings);
    tell("Rounds", o.rounds.to_string(), n.rounds.to_string());
    tell("Seconds of a sample", o.sample_seconds.to_string(), n.sample_seconds.to_string());
    tell("Huge pages", o.huge_pages.to_string(), n.huge_pages.to_string());
    found
}

fn changed(scenario: &Scenario, old: &StackResult, new: &StackResult) -> Change {
    let measure = scenario.decides;
    let (before, after) = (deciding_spread(measure, old), deciding_spread(measure, new));
    let (percent, outcome) = match (before, after) {
        (Some(before), Some(after)) => {
            let percent = (after.median / before.median - 1.0) * 100.0;
            (Some(percent), outcome(measure, before, after, percent))
        }
        _ => (None, Outcome::Unknown),
    };
    Change {
        scenario: scenario.name.clone(),
        stack: new.stack.clone(),
        role: new.role,
        measure,
        old: before,
        new: after,
        percent,
        outcome,
    }
}

fn outcome(measure: Measure, old: Spread, new: Spread, percent: f64) -> Outcome {
    let plain = old.excludes(new.median) && new.excludes(old.median);
    let better = if lower_is_better(measure) { -percent } else { percent };
    match better {
        b if plain && b < -NOTABLE_PERCENT => Outcome::Regressed,
        b if plain && b > NOTABLE_PERCENT => Outcome::Improved,
        _ => Outcome::Same,
    }
}

/// Rows as text, for terminal and page alike.
pub(crate) fn grid(against: &Against) -> Grid {
    let head = ["scenario", "stack", "before", "least..most", "now", "least..most", "change", ""];
    let rows = against.rows.iter().map(|row| {
        let side = |spread: Option<Spread>| {
            let Some(s) = spread else { return [NONE.into(), NONE.into()] };
            let ends = [s.least, s.most].map(|v| super::format::column(row.measure, v));
            [figure(row.measure, s.median), range(&ends[0], &ends[1])]
        };
        let mut cells = vec![row.scenario.clone(), row.stack.clone()];
        cells.extend(side(row.old));
        cells.extend(side(row.new));
        cells.push(row.percent.map_or(NONE.into(), change));
        cells.push(row.outcome.word().into());
        cells
    });
    Grid { head: head.map(String::from).into(), rows: rows.collect() }
}

/// What is not in the rows, in sentences.
pub(crate) fn notes(against: &Against) -> Vec<String> {
    let mut notes = against.differences.clone();
    if !against.only_old.is_empty() {
        notes.push(format!("Only before: {}.", against.only_old.join(", ")));
    }
    if !against.only_new.is_empty() {
        notes.push(format!("Only now: {}.", against.only_new.join(", ")));
    }
    notes
}

/// What it amounts to, in a sentence.
pub(crate) fn conclusion(against: &Against) -> String {
    let count = |outcome| {
        against.rows.iter().filter(|r| r.role == Role::Flexins && r.outcome == outcome).count()
    };
    let (worse, better) = (count(Outcome::Regressed), count(Outcome::Improved));
    format!("FlexiNS: {worse} regressed, {better} improved.")
}

/// For a terminal.
#[must_use]
pub fn text(against: &Against) -> String {
    let mut text = aligned(&grid(against));
    for note in notes(against) {
        let _ = writeln!(text, "{}", plain(&note));
    }
    let _ = writeln!(text, "{}", conclusion(against));
    text
}
