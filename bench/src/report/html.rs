//! One page that needs nothing else: no network, no script. Plots are drawings in the page, and
//! each has its figures as text below it.

use super::against::{self, Against, Outcome};
use super::format::{self, seconds, short};
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
        let emphasis: Vec<&str> = against
            .rows
            .iter()
            .map(|row| match row.outcome {
                Outcome::Regressed => "short",
                Outcome::Improved => "met",
                Outcome::Same | Outcome::Unknown => "",
            })
            .collect();
        table(m, &against::grid(against), &emphasis);
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
        "against",
        "wanted",
        "",
        "per host core",
        "least..most",
        "against",
        "wanted",
        "",
        "of the machine's limit",
    ];
    let mut grid = Grid { head: head.map(String::from).into(), rows: Vec::new() };
    let mut emphasis = Vec::new();
    for scenario in &comparison.scenarios {
        let mut cells = vec![scenario.title.clone(), columns::our_figure(scenario)];
        let verdicts = VIEWS.map(|(view, _)| Verdict::of(scenario, view));
        for verdict in &verdicts {
            cells.extend([verdict.median_text(), verdict.range_text()]);
            cells.push(verdict.ratio.map_or(String::new(), |ratio| ratio.baseline.clone()));
            let wanted = verdict.wanted.map_or(String::new(), |_| verdict.wanted_text());
            cells.extend([wanted, verdict.word().into()]);
        }
        let share = LimitShare::of(scenario, &comparison.limits);
        cells.push(share.map_or(format::NONE.into(), |s| s.text(scenario.decides)));
        let short = verdicts.iter().any(|v| v.met() == Some(false));
        emphasis.push(if short { "short" } else { "" });
        grid.rows.push(cells);
    }
    table(m, &grid, &emphasis);
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
                table(m, &plot.figures, &[]);
            });
        });
    }
}

/// A limit for people to read: its unit is in its name, if it has one.
pub(crate) fn limit_text(figure: f64) -> String {
    match figure {
        v if v >= 1e15 => format::NONE.into(),
        v if v >= 1e9 => format!("{} × 10⁹", short(v / 1e9)),
        v if v >= 1e6 => format!("{} × 10⁶", short(v / 1e6)),
        v => short(v),
    }
}
