//! Sections of the page: tables, one scenario, how it was measured.

use super::format::{self, bytes, limit, seconds};
use super::html::Drawn;
use super::palette::Palette;
use super::svg::{Grid, Plot};
use super::verdict::{LimitShare, VIEWS, Verdict};
use super::xml::Markup;
use super::{columns, curves, plots};
use crate::compare::record::{Comparison, Machine, Scenario, Settings};

/// A section with its heading.
pub(crate) fn section(m: &mut Markup, title: &str, inside: impl FnOnce(&mut Markup)) {
    m.newline();
    m.element("section", &[], |m| {
        m.leaf("h2", &[], title);
        inside(m);
    });
}

/// Columns of names: read from the left.
const NAMES: [&str; 2] = ["stack", "source"];

/// A table that scrolls by itself if it is wider than the page.
pub(crate) fn table(m: &mut Markup, grid: &Grid) {
    m.element("div", &[("class", &"wide"), ("tabindex", &"0")], |m| {
        m.element("table", &[], |m| {
            m.element("thead", &[], |m| {
                m.element("tr", &[], |m| {
                    for cell in &grid.head {
                        m.leaf("th", &[("scope", &"col"), ("class", &class(cell, ""))], cell);
                    }
                });
            });
            m.element("tbody", &[], |m| {
                for row in &grid.rows {
                    m.element("tr", &[], |m| cells(m, &grid.head, row));
                }
            });
        });
    });
}

fn cells(m: &mut Markup, head: &[String], row: &[String]) {
    let Some((first, rest)) = row.split_first() else { return };
    m.leaf("th", &[("scope", &"row")], first);
    for (at, cell) in rest.iter().enumerate() {
        let head = head.get(at + 1).map_or("", String::as_str);
        m.leaf("td", &[("class", &class(head, cell))], cell);
    }
}

/// Class of a cell: names go to the left, and the words that a reader looks for have a colour.
fn class(head: &str, cell: &str) -> &'static str {
    match cell {
        "met" | "improved" => "good",
        "short" | "regressed" => "bad",
        _ if NAMES.contains(&head) => "name",
        _ => "",
    }
}

/// One scenario. Points of a family are folded away: their curve says most of it.
pub(crate) fn scenario(
    m: &mut Markup,
    scenario: &Scenario,
    comparison: &Comparison,
    palette: &Palette,
    drawn: &mut Drawn,
) {
    m.newline();
    if scenario.family.is_some() {
        m.element("details", &[("class", &"scenario")], |m| {
            m.leaf("summary", &[], &scenario.title);
            inside(m, scenario, comparison, palette, drawn);
        });
    } else {
        m.element("article", &[], |m| {
            m.leaf("h3", &[], &scenario.title);
            inside(m, scenario, comparison, palette, drawn);
        });
    }
}

fn inside(
    m: &mut Markup,
    scenario: &Scenario,
    comparison: &Comparison,
    palette: &Palette,
    drawn: &mut Drawn,
) {
    let what = format!(
        "{}, {} per I/O, {} outstanding, polling {}",
        scenario.name,
        bytes(f64::from(scenario.io_bytes)),
        scenario.depth,
        scenario.poll
    );
    m.leaf("p", &[("class", &"note")], what);
    m.element("ul", &[("class", &"verdicts")], |m| {
        for (view, name) in VIEWS {
            verdict(m, name, Verdict::of(scenario, view));
        }
        if let Some(limit) = LimitShare::of(scenario, &comparison.limits) {
            let share = limit.text(scenario.decides);
            let of = format::figure(scenario.decides, limit.limit);
            m.leaf("li", &[], format!("Machine's limit: {share} of {} ({of})", limit.name));
        }
    });
    table(m, &columns::grid(scenario));
    if let Some(work) = columns::work(scenario) {
        table(m, &work);
    }
    let shown: Vec<Plot> = [
        curves::latency(scenario, palette),
        plots::cpu_time(scenario),
        plots::ablations(scenario, palette),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !shown.is_empty() {
        drawn.all(m, &shown);
    }
}

fn verdict(m: &mut Markup, name: &str, verdict: Verdict<'_>) {
    let Some(ratio) = verdict.ratio else {
        return m.leaf("li", &[], format!("{name}: {}", format::NONE));
    };
    m.element("li", &[], |m| {
        m.text(format!("{name}: "));
        m.leaf("strong", &[], verdict.median_text());
        m.text(format!(" ({}), {} beside {}", verdict.range_text(), ratio.stack, ratio.baseline));
        if verdict.wanted.is_some() {
            m.text(format!("; wanted {}: ", verdict.wanted_text()));
            let class = if verdict.met() == Some(true) { "good" } else { "bad" };
            m.leaf("span", &[("class", &class)], verdict.word());
        }
    });
}

/// The machine, the settings, the limits, and the command that repeats it.
pub(crate) fn measured(m: &mut Markup, comparison: &Comparison) {
    m.leaf("h3", &[], "Command");
    m.leaf("pre", &[], &comparison.command);
    m.element("div", &[("class", &"facts")], |m| {
        facts(m, "Machine", machine(&comparison.machine));
        facts(m, "Settings", settings(&comparison.settings));
        if !comparison.limits.is_empty() {
            let rows = comparison.limits.iter();
            let rows = rows.map(|(name, &figure)| vec![name.clone(), limit(figure)]);
            facts(m, "Limits of the machine, without a protocol", rows.collect());
        }
    });
}

fn facts(m: &mut Markup, title: &str, rows: Vec<Vec<String>>) {
    m.element("div", &[], |m| {
        m.leaf("h3", &[], title);
        table(m, &Grid { head: Vec::new(), rows });
    });
}

fn machine(machine: &Machine) -> Vec<Vec<String>> {
    let size = |octets: u64| match octets {
        0 => "not told".into(),
        octets => bytes(octets_as_float(octets)),
    };
    pairs(&[
        ("Processor", machine.cpu.clone()),
        ("Processors on line", machine.cpus.to_string()),
        ("Virtual machine", yes(machine.is_virtual)),
        ("Memory", size(machine.memory_bytes)),
        ("Second-level cache of one processor", size(machine.l2_bytes)),
        ("Last-level cache", size(machine.llc_bytes)),
        ("Kernel", machine.kernel.clone()),
        ("FlexBlk", machine.flexblk.clone()),
    ])
}

fn settings(settings: &Settings) -> Vec<Vec<String>> {
    pairs(&[
        ("Quick", yes(settings.quick)),
        ("Alternated rounds", settings.rounds.to_string()),
        ("One sample", seconds(settings.sample_seconds)),
        ("Before it, not measured", seconds(settings.ramp_seconds)),
        ("Server's processor", settings.server_cpu.to_string()),
        ("Client's processor", settings.client_cpu.to_string()),
        ("Huge pages, all stacks alike", yes(settings.huge_pages)),
        ("All of it", seconds(settings.seconds)),
    ])
}

fn pairs(rows: &[(&str, String)]) -> Vec<Vec<String>> {
    rows.iter().map(|(name, value)| vec![(*name).into(), value.clone()]).collect()
}

fn yes(value: bool) -> String {
    if value { "yes".into() } else { "no".into() }
}

#[expect(clippy::cast_precision_loss, reason = "a size for people to read")]
fn octets_as_float(octets: u64) -> f64 {
    octets as f64
}
