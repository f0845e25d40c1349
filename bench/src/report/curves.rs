//! Plots of curves: distribution of latency, and what changes along a family of scenarios.

use super::axis::Axis;
use super::format::{self, NONE, column, column_unit, fixed, range, short, trimmed};
use super::lines::{Curve, LinePlot, Point};
use super::palette::{Palette, main_results};
use super::plots::head;
use super::stats::{Spread, deciding_spread, lower_is_better, median};
use super::svg::{Grid, Key, Plot};
use crate::compare::record::{Comparison, Measure, Sample, Scenario};

/// Values that a sample's distribution has: 0 to 100 percent, and 99.9.
const VALUES: usize = 102;
/// Octets of a MiB.
const MIB: f64 = 1_048_576.0;

/// How latency is distributed, for each stack of a scenario; nothing if no sample tells.
pub(crate) fn latency(scenario: &Scenario, palette: &Palette) -> Option<Plot> {
    const TOLD: [usize; 8] = [0, 25, 50, 75, 90, 99, 101, 100];
    let mut figures = Grid { head: vec!["stack".into()], rows: vec![] };
    figures.head.extend(TOLD.map(|at| format!("{} % µs", trimmed(share(at)))));
    let mut curves = Vec::new();
    for result in main_results(scenario) {
        let values: Vec<Option<f64>> =
            (0..VALUES).map(|at| percentile(&result.samples, at)).collect();
        // In the order of percent: 99.9 is the last of the list, and comes before 100.
        let order = (0..100).chain([101, 100]);
        let points: Vec<Point> = order
            .filter_map(|at| {
                let x = values.get(at).copied()??;
                Some(Point { x, y: share(at), ..Point::default() })
            })
            .collect();
        if points.is_empty() {
            continue;
        }
        let name = result.stack.clone();
        let mut row = vec![name.clone()];
        row.extend(TOLD.map(|at| values[at].map_or(NONE.into(), short)));
        figures.rows.push(row);
        curves.push(Curve { key: Key { class: palette.class(&name), name }, points });
    }
    if curves.is_empty() {
        return None;
    }
    let plot = LinePlot {
        x: Axis::decades(curves.iter().flat_map(|c| &c.points).map(|p| p.x)),
        y: Axis::linear(100.0),
        x_title: "latency, µs (logarithmic)".into(),
        y_title: "% of I/Os done by then".into(),
        x_tick: trimmed,
        y_tick: trimmed,
        curves,
    };
    let title = format!("Latency: {}", scenario.title);
    let description = "Share of I/Os that took no longer: further left is better. Each percentile \
        is the median of the rounds.";
    Some(Plot { title, description: description.into(), canvas: plot.draw(), figures })
}

/// Percent that the value at a place of the list belongs to.
fn share(at: usize) -> f64 {
    if at == VALUES - 1 { 99.9 } else { format::float(at) }
}

/// A percentile over the rounds that have a whole distribution.
fn percentile(samples: &[Sample], at: usize) -> Option<f64> {
    let lists = samples.iter().map(|s| &s.latency_percentiles).filter(|l| l.len() == VALUES);
    let values: Vec<f64> = lists.filter_map(|l| l.get(at).copied()).filter(|&v| v > 0.0).collect();
    median(&values)
}

/// Names of the families, in order of appearance.
pub(crate) fn families(comparison: &Comparison) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in comparison.scenarios.iter().filter_map(|s| s.family.as_deref()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What is on a family's horizontal axis.
struct Along {
    title: String,
    axis: &'static str,
    divisor: f64,
}

fn along(family: &str) -> Along {
    match family {
        "working-set" => Along {
            title: "Working set".into(),
            axis: "working set, MiB (logarithmic)",
            divisor: MIB,
        },
        "connections" => {
            Along { title: "Connections".into(), axis: "connections (logarithmic)", divisor: 1.0 }
        }
        other => Along { title: other.into(), axis: "position (logarithmic)", divisor: 1.0 },
    }
}

/// One curve for each stack along a family, absolute, and for working sets relative to the first
/// point too.
pub(crate) fn family(comparison: &Comparison, name: &str, palette: &Palette) -> Vec<Plot> {
    let members = comparison.scenarios.iter();
    let mut members: Vec<&Scenario> = members
        .filter(|s| s.family.as_deref() == Some(name) && s.x.is_finite() && s.x > 0.0)
        .collect();
    members.sort_by(|a, b| a.x.total_cmp(&b.x));
    let Some(measure) = members.first().map(|s| s.decides) else { return Vec::new() };
    members.retain(|s| s.decides == measure);
    let along = along(name);
    let relative = (name == "working-set").then(|| curves(&members, &along, palette, true));
    let absolute = curves(&members, &along, palette, false);
    let absolute = Some(plot(measure, &along, absolute, false));
    let relative = relative.map(|curves| plot(measure, &along, curves, true));
    absolute.into_iter().chain(relative).flatten().collect()
}

/// Curves of all stacks, with the row of text of each point.
fn curves(
    members: &[&Scenario],
    along: &Along,
    palette: &Palette,
    relative: bool,
) -> Vec<(Curve, Vec<Vec<String>>)> {
    let of = |key: Key| {
        let mut first = None;
        let (mut points, mut rows) = (Vec::new(), Vec::new());
        for scenario in members {
            let result = scenario.results.iter().find(|r| r.stack == key.name);
            let measure = scenario.decides;
            let Some(spread) = result.and_then(|r| deciding_spread(measure, r)) else { continue };
            let unit =
                if relative { *first.get_or_insert(spread.median) } else { column_unit(measure).1 };
            let Spread { median, least, most } = spread;
            let text = |v: f64| if relative { fixed(v / unit, 2) } else { column(measure, v) };
            let (x, y) = (scenario.x / along.divisor, median / unit);
            let cells =
                [key.name.clone(), trimmed(x), text(median), range(&text(least), &text(most))];
            let tip = format!("{}, {}: {} ({})", cells[0], cells[1], cells[2], cells[3]);
            points.push(Point { x, y, whisker: Some((least / unit, most / unit)), tip });
            rows.push(cells.into());
        }
        (Curve { key, points }, rows)
    };
    palette.legend(members.iter().copied()).into_iter().map(of).collect()
}

fn plot(
    measure: Measure,
    along: &Along,
    curves: Vec<(Curve, Vec<Vec<String>>)>,
    relative: bool,
) -> Option<Plot> {
    let (curves, rows): (Vec<Curve>, Vec<_>) =
        curves.into_iter().filter(|(curve, _)| !curve.points.is_empty()).unzip();
    let points = || curves.iter().flat_map(|c| &c.points);
    let most = points().map(|p| p.whisker.map_or(p.y, |w| w.1)).fold(0.0, f64::max);
    let y_title = match measure {
        _ if relative => "beside the first point (= 1)",
        Measure::Iops => "thousand I/Os per second",
        Measure::Bandwidth => "GB (10⁹ octets) per second",
        Measure::Latency => "median latency, µs",
    };
    if curves.is_empty() {
        return None;
    }
    let better = if lower_is_better(measure) { "less" } else { "more" };
    let kind = if relative { ", each stack beside its own first point" } else { "" };
    let figures = Grid {
        head: head(&["stack", along.axis, y_title, "least..most"]),
        rows: rows.into_iter().flatten().collect(),
    };
    let plot = LinePlot {
        x: Axis::doublings(points().map(|p| p.x)),
        y: Axis::linear(most),
        x_title: along.axis.into(),
        y_title: y_title.into(),
        x_tick: trimmed,
        y_tick: trimmed,
        curves,
    };
    Some(Plot {
        title: format!("{}{kind}", along.title),
        description: format!(
            "Median of the rounds, with the least and the most as whiskers: {better} is better."
        ),
        canvas: plot.draw(),
        figures,
    })
}
