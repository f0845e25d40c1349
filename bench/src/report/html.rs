//! One page that needs nothing else: no network, no script. Plots are drawings in the page, and
//! each has its figures as text below it.

use super::against::{self, Against, Outcome};
use super::format::{self, seconds};
use super::palette::Palette;
use super::sections::{self, table};
use super::svg::{Grid, Plot};
use super::verdict::{EQUAL_TOTAL_CORES, LimitShare, PER_HOST_CORE, VIEWS, Verdict, tally};
use super::xml::Markup;
use super::{columns, curves, plots};
use crate::compare::record::Comparison;

/// How the page looks.
const STYLE: &str = include_str!("style.css");

/// The page; with what changed since an older run, if one is given.
#[must_use]
pub fn page(comparison: &Comparison, against: Option<&Against>) -> String {
    let mut page = Markup::default();
    page.verbatim("<!DOCTYPE html>\n");
    page.element("html", &[("lang", &"en")], |m| {
        m.element("head", &[], |m| {
            m.empty("meta", &[("charset", &"utf-8")]);
            let viewport = "width=device-width, initial-scale=1";
            m.empty("meta", &[("name", &"viewport"), ("content", &viewport)]);
            m.empty("meta", &[("name", &"color-scheme"), ("content", &"light dark")]);
            m.leaf("title", &[], "FlexBlk: stacks compared");
            m.element("style", &[], |m| m.verbatim(STYLE));
        });
        m.newline();
        m.element("body", &[], |m| m.element("main", &[], |m| body(m, comparison, against)));
    });
    page.newline();
    page.into_string()
}

/// What changed since an older run, as a section of a page.
fn changes(m: &mut Markup, against: &Against) {
    sections::section(m, "Since the older run", |m| {
        m.leaf("p", &[], against::conclusion(against));
        let all = against::grid(against);
        let (told, same): (Vec<_>, Vec<_>) =
            all.rows.into_iter().zip(&against.rows).partition(|(_, row)| {
                matches!(row.outcome, Outcome::Regressed | Outcome::Improved)
            });
        let grid = |rows: Vec<(Vec<String>, _)>| Grid {
            head: all.head.clone(),
            rows: rows.into_iter().map(|(cells, _)| cells).collect(),
        };
        if !told.is_empty() {
            table(m, &grid(told));
        }
        if !same.is_empty() {
            m.element("details", &[], |m| {
                m.leaf("summary", &[], format!("{} results without a plain change", same.len()));
                table(m, &grid(same));
            });
        }
        for note in against::notes(against) {
            m.leaf("p", &[("class", &"note")], note);
        }
        let rule = format!(
            "A change is told when each median lies outside the other side's samples, by more \
             than {} %.",
            format::trimmed(against::NOTABLE_PERCENT)
        );
        m.leaf("p", &[("class", &"note")], rule);
    });
}

fn body(m: &mut Markup, comparison: &Comparison, against: Option<&Against>) {
    let palette = Palette::of(comparison);
    let mut drawn = Drawn(0);
    header(m, comparison);
    sections::section(m, "Summary", |m| summary(m, comparison));
    if let Some(against) = against {
        changes(m, against);
    }
    let mut across = plots::reached(comparison, &palette);
    for family in curves::families(comparison) {
        across.extend(curves::family(comparison, family, &palette));
    }
    if !across.is_empty() {
        sections::section(m, "Across scenarios", |m| drawn.all(m, &across));
    }
    sections::section(m, "Scenarios", |m| {
        for scenario in &comparison.scenarios {
            sections::scenario(m, scenario, comparison, &palette, &mut drawn);
        }
    });
    sections::section(m, "How it was measured", |m| sections::measured(m, comparison));
}

fn header(m: &mut Markup, comparison: &Comparison) {
    let (machine, settings) = (&comparison.machine, &comparison.settings);
    m.element("header", &[], |m| {
        m.leaf("h1", &[], "FlexBlk: stacks compared");
        let cpus = match machine.cpus {
            1 => "1 processor".into(),
            count => format!("{count} processors"),
        };
        let quick = if settings.quick { "Quick run: " } else { "" };
        let rounds = format!(
            "{quick}{} alternated rounds of {}",
            settings.rounds,
            seconds(settings.sample_seconds)
        );
        let line = format!(
            "FlexBlk {} · {} · {cpus} · {} · {rounds}",
            machine.flexblk, machine.cpu, machine.kernel
        );
        m.leaf("p", &[("class", &"lead")], line);
    });
}

fn summary(m: &mut Markup, comparison: &Comparison) {
    let (met, wanted, _) = tally(comparison);
    if wanted > 0 {
        m.leaf("p", &[], format!("{met} of {wanted} wanted figures are met."));
    }
    let head = [
        "scenario",
        "FlexiNS",
        "equal total cores",
        "least..most",
        "wanted",
        "",
        "per host core",
        "least..most",
        "wanted",
        "",
        "of limit",
    ];
    let mut grid = Grid { head: head.map(String::from).into(), rows: Vec::new() };
    for scenario in &comparison.scenarios {
        let mut cells = vec![scenario.title.clone(), columns::our_figure(scenario)];
        let verdicts = VIEWS.map(|(view, _)| Verdict::of(scenario, view));
        for verdict in &verdicts {
            cells.extend([verdict.median_text(), verdict.range_text()]);
            let wanted = verdict.wanted.map_or(String::new(), |_| verdict.wanted_text());
            cells.extend([wanted, verdict.word().into()]);
        }
        let share = LimitShare::of(scenario, &comparison.limits);
        cells.push(share.map_or(format::NONE.into(), |s| s.text(scenario.decides)));
        grid.rows.push(cells);
    }
    table(m, &grid);
    m.element("dl", &[], |m| {
        for (name, text) in
            [("Equal total cores", EQUAL_TOTAL_CORES), ("Per host core", PER_HOST_CORE)]
        {
            m.leaf("dt", &[], name);
            m.leaf("dd", &[], text);
        }
    });
    if !comparison.remarks.is_empty() {
        m.leaf("h3", &[], "Read this with it");
        m.element("ul", &[], |m| {
            for remark in &comparison.remarks {
                m.leaf("li", &[], remark);
            }
        });
    }
}

/// Counts the plots of a page, so that each has an id of its own.
pub(crate) struct Drawn(usize);

impl Drawn {
    /// Plots side by side, as many as there is room for.
    pub(crate) fn all(&mut self, m: &mut Markup, plots: &[Plot]) {
        m.element("div", &[("class", &"plots")], |m| {
            for plot in plots {
                self.one(m, plot);
            }
        });
    }

    fn one(&mut self, m: &mut Markup, plot: &Plot) {
        self.0 += 1;
        let id = format!("plot{}", self.0);
        m.newline();
        m.element("figure", &[], |m| {
            m.leaf("figcaption", &[], &plot.title);
            plot.svg(&id, m);
            m.leaf("p", &[("class", &"note")], &plot.description);
            m.element("details", &[], |m| {
                m.leaf("summary", &[], "Figures");
                table(m, &plot.figures);
            });
        });
    }
}
