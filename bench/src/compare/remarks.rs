//! What a reader must know to judge the figures: how they were made, and why some fall short.

use super::record::{Role, Scenario, StackResult};
use crate::report::stats::{self, View};
use std::collections::BTreeMap;

/// Of the curves: throughput at the last point beside that at the first of them, at least.
const WORKING_SET_SHARE: f64 = 0.9;
const CONNECTIONS_SHARE: f64 = 0.85;
/// The points of the connections' curve that are compared.
const CONNECTIONS: [f64; 2] = [8.0, 1024.0];

/// All remarks of a comparison.
#[must_use]
pub fn remarks(scenarios: &[Scenario], limits: &BTreeMap<String, f64>) -> Vec<String> {
    let mut all: Vec<String> = METHOD.map(str::to_owned).into();
    all.extend(working_sets(scenarios));
    all.extend(connections(scenarios));
    all.extend(scenarios.iter().filter_map(|scenario| cause(scenario, limits)));
    all
}

const METHOD: [&str; 5] = [
    "Both stacks run the same transport, wire format, congestion control, link and NVMe code; all \
     memory of disks and buffers is made in the same way and the disk is the same memory for all.",
    "Equal total cores: one processor for each side. FlexiNS runs in the application's thread; a \
     microkernel application and its engine share the side's processor and hand it over when idle, \
     or all engines share one and all applications the other (compacting, which two real hosts could \
     not do, and which counts all the same).",
    "Per host core: busy time of host software per I/O, turns that found no work left out. FlexiNS' \
     NIC is a thread of its own and stands for a SmartNIC's processors, which are not the host's.",
    "The microkernel's receive pool is 32 MiB (512 buffers of 64 KiB, used in turn); in the \
     working-set curve it is as large as what must be receivable at once.",
    "kernel-tcp is the same NVMe code over non-blocking TCP sockets, one thread for each side: all of \
     its work is the host's. Its transport is the kernel's, and TCP has no packet loss to repair here.",
];

/// Why a scenario falls short with equal cores, in figures of this run.
fn cause(scenario: &Scenario, limits: &BTreeMap<String, f64>) -> Option<String> {
    let (ratio, wanted) =
        (scenario.equal_total_cores.as_ref()?, scenario.wanted.equal_total_cores?);
    let lower_is_better = stats::lower_is_better(scenario.decides);
    let is_met = if lower_is_better { ratio.median <= wanted } else { ratio.median >= wanted };
    if is_met {
        return None;
    }
    let find = |name: &str| scenario.results.iter().find(|result| result.stack == name);
    let (ours, base) = (find(&ratio.stack)?, find(&ratio.baseline)?);
    let busy = |result: &StackResult| result.median.app_busy_us + result.median.engine_busy_us;
    let mut text = format!(
        "{}: {:.2} where {wanted:.2} is wanted. Busy time of one I/O, both sides together: {} {:.2} µs, \
         {} {:.2} µs, {:.2} times as much; nearly all of it is work that both do (kernel, one copy, \
         transport).",
        scenario.name,
        ratio.median,
        ours.stack,
        busy(ours),
        base.stack,
        busy(base),
        busy(base) / busy(ours).max(1e-9)
    );
    if let Some(limit) = scenario.limit.as_ref().and_then(|name| limits.get(name)) {
        let share = |result| Some(stats::deciding_spread(scenario.decides, result)?.median / limit);
        text.push_str(&format!(
            " Beside the bare exchange on this link, {} reaches {:.0} % and {} {:.0} %: the link bounds \
             both.",
            ours.stack,
            percent(scenario, share(ours)?),
            base.stack,
            percent(scenario, share(base)?)
        ));
    }
    if base.stack.contains("compacting") {
        let beside = scenario
            .results
            .iter()
            .filter(|result| result.role == Role::Baseline && !result.stack.contains("compacting"));
        let deciding = |result: &&StackResult| stats::deciding_spread(scenario.decides, result);
        let best = beside.filter_map(|result| Some((deciding(&result)?.median, result)));
        let best = best.max_by(|a, b| a.0.total_cmp(&b.0))?.1;
        if let Some(other) = stats::ratio(ours, best, scenario.decides, View::EqualTotalCores) {
            text.push_str(&format!(
                " With each engine on its own host's processor ({}) the ratio is {:.2}.",
                best.stack, other.median
            ));
        }
    }
    Some(text)
}

/// In percent; limits of bandwidth are in 10^9 octets.
fn percent(scenario: &Scenario, share: f64) -> f64 {
    let scale = if share > 1e6 && scenario.decides == super::record::Measure::Bandwidth {
        1e-9
    } else {
        1.0
    };
    share * scale * 100.0
}

fn family<'a>(scenarios: &'a [Scenario], name: &str) -> Vec<&'a Scenario> {
    let is_of = |scenario: &&Scenario| scenario.family.as_deref() == Some(name);
    let mut points: Vec<_> = scenarios.iter().filter(is_of).collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    points
}

/// A stack's figure at `point` over that at `base`.
fn share(base: &Scenario, point: &Scenario, stack: &str) -> Option<f64> {
    let at = |scenario: &Scenario| {
        let result = scenario.results.iter().find(|result| result.stack == stack)?;
        Some(stats::deciding_spread(scenario.decides, result)?.median)
    };
    Some(at(point)? / at(base)?)
}

fn working_sets(scenarios: &[Scenario]) -> Option<String> {
    let points = family(scenarios, "working-set");
    let (first, last) = (*points.first()?, *points.last()?);
    if first.x >= last.x {
        return None;
    }
    let ours = share(first, last, "flexins")?;
    let word = if ours >= WORKING_SET_SHARE { "met" } else { "short" };
    let base = share(first, last, "microkernel")
        .map_or(String::new(), |share| format!(", the microkernel stack {:.0} %", share * 100.0));
    Some(format!(
        "In-cache RX: with {:.0} MiB ready to be received FlexiNS reaches {:.0} % of its throughput with \
         {:.0} MiB (wanted 90 %: {word}){base}.",
        last.x / 1_048_576.0,
        ours * 100.0,
        first.x / 1_048_576.0
    ))
}

fn connections(scenarios: &[Scenario]) -> Option<String> {
    let points = family(scenarios, "connections");
    let [few, many] = CONNECTIONS.map(|x| points.iter().find(|p| (p.x - x).abs() < 0.5));
    let (few, many) = (few?, many?);
    let ours = share(few, many, "flexins")?;
    let memory = |scenario: &Scenario| {
        let result = scenario.results.iter().find(|result| result.stack == "flexins")?;
        Some(result.median.memory_bytes)
    };
    let each = (memory(many)? - memory(few)?) / (many.x - few.x) / 1024.0;
    let word = if ours >= CONNECTIONS_SHARE { "met" } else { "short" };
    Some(format!(
        "Connections: with {:.0} FlexiNS reaches {:.0} % of its throughput with {:.0} (wanted 85 %: \
         {word}); each costs {each:.0} KiB, both sides together (wanted at most 256).",
        many.x,
        ours * 100.0,
        few.x
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::record::{Figures, Measure, Sample, Wanted};

    fn result(stack: &str, role: Role, iops: f64, busy: f64) -> StackResult {
        let figures =
            Figures { iops, app_busy_us: busy, gb_per_s: iops / 1e6, ..Figures::default() };
        let (latency_percentiles, counters) = (vec![], BTreeMap::new());
        let sample = Sample { round: 0, figures, latency_percentiles, counters };
        let (samples, median) = (vec![sample], figures);
        StackResult { stack: stack.into(), role, samples, median, work: None }
    }

    fn scenario(name: &str, x: f64, results: Vec<StackResult>) -> Scenario {
        let family = (x > 0.0).then(|| name.split('-').next().unwrap_or_default().to_owned());
        let mut scenario = Scenario {
            name: name.into(),
            title: name.into(),
            family,
            x,
            decides: Measure::Iops,
            io_bytes: 4096,
            depth: 32,
            poll: "busy".into(),
            results,
            equal_total_cores: None,
            per_host_core: None,
            wanted: Wanted { equal_total_cores: Some(1.5), per_host_core: None },
            limit: Some("limit".into()),
        };
        stats::fill(&mut scenario);
        scenario
    }

    /// Goal: what falls short is explained by this run's figures, what does not is not; a variant that
    /// two hosts could not run is named beside one that they could.
    #[test]
    fn causes_are_of_this_run() {
        let limits = BTreeMap::from([("limit".to_owned(), 200.0)]);
        let short = scenario(
            "short",
            0.0,
            vec![
                result("flexins", Role::Flexins, 120.0, 2.0),
                result("microkernel", Role::Baseline, 60.0, 4.0),
                result("microkernel-compacting", Role::Baseline, 100.0, 3.0),
            ],
        );
        let text = cause(&short, &limits).unwrap();
        for part in
            ["1.20 where 1.50", "1.50 times", "60 %", "50 %", "(microkernel) the ratio is 2.00"]
        {
            assert!(text.contains(part), "{part} not in {text}");
        }
        let met = scenario(
            "met",
            0.0,
            vec![
                result("flexins", Role::Flexins, 200.0, 2.0),
                result("microkernel", Role::Baseline, 100.0, 4.0),
            ],
        );
        assert_eq!(cause(&met, &limits), None);
    }

    /// Goal: curves are judged between the right points; a run without them says nothing of them.
    #[test]
    fn curves_are_judged() {
        let point = |count: f64, iops| {
            let mut point =
                scenario("connections-n", count, vec![result("flexins", Role::Flexins, iops, 1.0)]);
            point.results[0].median.memory_bytes = count * 65_536.0;
            point
        };
        let text =
            connections(&[point(1024.0, 80.0), point(8.0, 100.0), point(1.0, 500.0)]).unwrap();
        assert!(
            text.contains("80 %") && text.contains("short") && text.contains("64 KiB"),
            "{text}"
        );
        assert_eq!(connections(&[point(8.0, 100.0)]), None);
        assert_eq!(working_sets(&[]), None);
        assert_eq!(remarks(&[], &BTreeMap::new()).len(), METHOD.len());
    }
}
