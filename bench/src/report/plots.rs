//! Plots of bars: what each stack reaches, what a technique is worth, where CPU time goes.

use super::bars::{Bar, BarPlot, Group};
use super::format::{NONE, column, column_unit, figure, fixed, range, short, trimmed};
use super::palette::{Palette, main_results};
use super::stats::{ablation_speed, deciding_spread};
use super::svg::{Grid, Key, Plot};
use crate::compare::record::{Comparison, Measure, Role, Scenario, StackResult};

/// What each stack reaches, a plot for each figure that decides. Points of a family have their
/// own plot.
pub(crate) fn reached(comparison: &Comparison, palette: &Palette) -> Vec<Plot> {
    let of = |measure| {
        let chosen = comparison.scenarios.iter();
        let chosen: Vec<&Scenario> =
            chosen.filter(|s| s.family.is_none() && s.decides == measure).collect();
        (!chosen.is_empty()).then(|| reached_by(measure, &chosen, palette))
    };
    [Measure::Iops, Measure::Bandwidth, Measure::Latency].into_iter().filter_map(of).collect()
}

fn reached_by(measure: Measure, scenarios: &[&Scenario], palette: &Palette) -> Plot {
    let (title, axis, better) = match measure {
        Measure::Iops => ("I/Os per second", "thousand I/Os per second", "more"),
        Measure::Bandwidth => ("Bandwidth", "GB (10⁹ octets) per second", "more"),
        Measure::Latency => ("Latency of one I/O", "median latency, µs", "less"),
    };
    let mut figures =
        Grid { head: head(&["scenario", "stack", axis, "least..most"]), rows: vec![] };
    let mut groups = Vec::new();
    for scenario in scenarios {
        let mut group = Group { heading: scenario.title.clone(), bars: Vec::new() };
        for result in main_results(scenario) {
            let (bar, median, spread) = reached_bar(measure, result, palette);
            group.bars.push(bar);
            figures.rows.push(vec![scenario.name.clone(), result.stack.clone(), median, spread]);
        }
        groups.push(group);
    }
    let legend = palette.legend(scenarios.iter().copied());
    let axis = axis.to_string();
    let plot = BarPlot { groups, legend, axis, reference: None, tick: trimmed };
    let description = format!(
        "Median of the rounds, with the least and the most as whiskers: {better} is better."
    );
    Plot { title: title.into(), description, canvas: plot.draw(), figures }
}

fn reached_bar(measure: Measure, result: &StackResult, palette: &Palette) -> (Bar, String, String) {
    let name = result.stack.clone();
    let Some(spread) = deciding_spread(measure, result) else {
        let bar = Bar { name, figure: NONE.into(), ..Bar::default() };
        return (bar, NONE.into(), NONE.into());
    };
    let (_, divisor) = column_unit(measure);
    let median = column(measure, spread.median);
    let around = range(&column(measure, spread.least), &column(measure, spread.most));
    let tip = format!("{name}: {} ({around})", figure(measure, spread.median));
    let bar = Bar {
        parts: vec![(palette.class(&name), spread.median / divisor, tip)],
        whisker: Some((spread.least / divisor, spread.most / divisor)),
        figure: median.clone(),
        name,
    };
    (bar, median, around)
}

/// What a scenario's techniques are worth; nothing if none was switched off.
pub(crate) fn ablations(scenario: &Scenario, palette: &Palette) -> Option<Plot> {
    let ablated: Vec<&StackResult> =
        scenario.results.iter().filter(|r| r.role == Role::Ablation).collect();
    if ablated.is_empty() {
        return None;
    }
    let mut figures =
        Grid { head: head(&["stack", "speed, whole stack = 1", "least..most"]), rows: vec![] };
    let mut group = Group::default();
    for result in ablated {
        let name = result.stack.clone();
        let speed = ablation_speed(scenario, result);
        let text = speed.map_or(NONE.into(), |s| fixed(s.median, 2));
        let around = speed.map_or(NONE.into(), |s| range(&fixed(s.least, 2), &fixed(s.most, 2)));
        let tip = format!("{name}: {text} ({around})");
        let part = speed.map(|s| (palette.class(&name), s.median, tip));
        let whisker = speed.map(|s| (s.least, s.most));
        let parts = part.into_iter().collect();
        group.bars.push(Bar { parts, whisker, figure: text.clone(), name: name.clone() });
        figures.rows.push(vec![name, text, around]);
    }
    let plot = BarPlot {
        groups: vec![group],
        legend: vec![Key { class: "a0".into(), name: "one technique switched off".into() }],
        axis: "speed beside the whole stack (= 1)".into(),
        reference: Some(1.0),
        tick: trimmed,
    };
    let description = "Median of the rounds' ratios, with the least and the most as whiskers. Below \
        1, the technique that is missing helps; latency is turned round, so that this holds for it.";
    let title = format!("Techniques switched off: {}", scenario.title);
    Some(Plot { title, description: description.into(), canvas: plot.draw(), figures })
}

/// Where CPU time of one I/O goes, for each stack.
pub(crate) fn cpu_time(scenario: &Scenario) -> Option<Plot> {
    const PARTS: [(&str, &str); 4] =
        [("p0", "application"), ("p1", "engine or NIC"), ("p2", "kernel"), ("p3", "soft IRQ")];
    let mut figures = Grid {
        head: head(&["stack", "application µs", "engine or NIC µs", "kernel µs", "soft IRQ µs"]),
        rows: vec![],
    };
    let mut group = Group::default();
    let mut soft = false;
    for result in main_results(scenario).filter(|r| !r.samples.is_empty()) {
        let (f, name) = (&result.median, result.stack.clone());
        let times = [f.app_user_us, f.engine_user_us, f.kernel_us, f.softirq_us];
        soft |= f.softirq_us > 0.0;
        let parts = PARTS.iter().zip(times).filter(|(_, us)| *us > 0.0);
        let parts = parts.map(|((class, part), us)| {
            ((*class).into(), us, format!("{name}, {part}: {} µs", short(us)))
        });
        let sum: f64 = times.iter().filter(|us| us.is_finite()).sum();
        let figure = super::format::positive(sum);
        group.bars.push(Bar { parts: parts.collect(), whisker: None, figure, name: name.clone() });
        let mut row = vec![name];
        row.extend(times.map(short));
        figures.rows.push(row);
    }
    if group.bars.is_empty() {
        return None;
    }
    let shown = if soft { PARTS.len() } else { PARTS.len() - 1 };
    let keys = PARTS.iter().take(shown);
    let plot = BarPlot {
        groups: vec![group],
        legend: keys.map(|p| Key { class: p.0.into(), name: p.1.into() }).collect(),
        axis: "CPU time per I/O, µs (both hosts)".into(),
        reference: None,
        tick: trimmed,
    };
    let title = format!("Where CPU time goes: {}", scenario.title);
    let description = "Medians of the rounds, both hosts together, time spent waiting in a spin \
        included; the sum stands at the end of each bar.";
    Some(Plot { title, description: description.into(), canvas: plot.draw(), figures })
}

/// A head of a table.
pub(crate) fn head(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.into()).collect()
}
