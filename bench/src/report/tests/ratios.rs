use crate::compare::record::{Figures, Measure, Role, Wanted};
use crate::report::fixture::{comparison, result, sample_of, scenario_of};
use crate::report::stats::{self, Spread, View};
use crate::report::verdict::{LimitShare, Verdict, tally};
use std::collections::BTreeMap;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// Goal: ratios are taken within a round, wherever in the list it stands, and not of medians.
#[test]
fn ratios_pair_by_round() {
    let ours = [(0, 300.0), (1, 100.0), (2, 500.0), (7, 9999.0)];
    let ours = ours.map(|(round, iops)| sample_of(round, iops, 1.0, 1.0));
    let baseline = [(2, 50.0), (0, 100.0), (1, 100.0), (8, 1.0)];
    let baseline = baseline.map(|(round, iops)| sample_of(round, iops, 1.0, 1.0));
    let ours = result("flexins", Role::Flexins, ours.into());
    let baseline = result("microkernel", Role::Baseline, baseline.into());
    let ratio = stats::ratio(&ours, &baseline, Measure::Iops, View::EqualTotalCores).unwrap();
    assert_eq!((ratio.median, ratio.least, ratio.most), (3.0, 1.0, 10.0));
    assert_eq!((ratio.stack.as_str(), ratio.baseline.as_str()), ("flexins", "microkernel"));
}

/// Goal: latency's ratio is ours over theirs and must not exceed what is wanted; busy time's is
/// theirs over ours, whatever decides.
#[test]
fn views_have_their_directions() {
    let flexins = result("flexins", Role::Flexins, vec![sample_of(0, 1.0, 5.0, 9.0)]);
    let piped = result("flexins-piped", Role::Flexins, vec![sample_of(0, 1.0, 8.0, 2.0)]);
    let slow = result("slow", Role::Baseline, vec![sample_of(0, 1.0, 40.0, 4.0)]);
    let fast = result("fast", Role::Baseline, vec![sample_of(0, 1.0, 10.0, 6.0)]);
    let other = result("apart", Role::Other, vec![sample_of(0, 1.0, 1.0, 0.1)]);
    let results = vec![flexins, piped, slow, fast, other];
    let mut scenario = scenario_of("x1", Measure::Latency, results);
    let total = scenario.equal_total_cores.clone().unwrap();
    assert_eq!((total.stack.as_str(), total.baseline.as_str()), ("flexins", "fast"));
    assert!(close(total.median, 0.5));
    let host = scenario.per_host_core.clone().unwrap();
    assert_eq!((host.stack.as_str(), host.baseline.as_str()), ("flexins-piped", "slow"));
    assert!(close(host.median, 2.0));
    for (wanted, met) in [(0.6, true), (0.4, false)] {
        scenario.wanted = Wanted { equal_total_cores: Some(wanted), per_host_core: None };
        let verdict = Verdict::of(&scenario, View::EqualTotalCores);
        assert_eq!(verdict.met(), Some(met));
        assert!(verdict.wanted_text().starts_with('≤'));
    }
    scenario.wanted = Wanted { equal_total_cores: None, per_host_core: Some(2.0) };
    assert_eq!(Verdict::of(&scenario, View::PerHostCore).met(), Some(true));
    assert_eq!(Verdict::of(&scenario, View::EqualTotalCores).met(), None);
}

/// Goal: of two baselines the one with more I/Os is the best, and one that did nothing is none.
#[test]
fn the_best_baseline_is_the_fastest() {
    let baseline = |name, iops| result(name, Role::Baseline, vec![sample_of(0, iops, 0.0, 0.0)]);
    let results = vec![baseline("a", 10.0), baseline("b", 20.0), baseline("c", 0.0)];
    let scenario = scenario_of("x", Measure::Iops, results);
    assert_eq!(stats::best_baseline(&scenario, View::EqualTotalCores).unwrap().stack, "b");
    assert!(stats::best_baseline(&scenario, View::PerHostCore).is_none());
    assert!(scenario.equal_total_cores.is_none());
}

/// Goal: medians of odd, even and useless lists; each figure has its own.
#[test]
fn medians() {
    assert_eq!(stats::median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(stats::median(&[4.0, f64::NAN, 1.0, 2.0, 3.0]), Some(2.5));
    assert_eq!(stats::median(&[f64::NAN, f64::INFINITY]), None);
    assert_eq!(stats::median(&[]), None);
    assert_eq!(Spread::of([5.0]), Some(Spread { median: 5.0, least: 5.0, most: 5.0 }));
    let samples = [sample_of(0, 1.0, 30.0, 5.0), sample_of(1, 2.0, 20.0, 5.0)];
    let median =
        stats::median_of(&[samples[0].clone(), samples[1].clone(), sample_of(2, 3.0, 10.0, 6.0)]);
    assert_eq!((median.iops, median.p50_us, median.host_busy_us), (2.0, 20.0, 5.0));
    assert_eq!(stats::median_of(&[]), Figures::default());
}

/// Goal: the ablation is set beside the stack that it is one technique short of, and below 1
/// means that the technique helps, for latency too.
#[test]
fn ablations_are_beside_their_whole() {
    let one = |name, role, iops, p50| result(name, role, vec![sample_of(0, iops, p50, 0.0)]);
    let results = vec![
        one("flexins", Role::Flexins, 100.0, 5.0),
        one("flexins-piped", Role::Flexins, 50.0, 10.0),
        one("flexins-piped-no-notify", Role::Ablation, 25.0, 20.0),
        one("no-cache", Role::Ablation, 80.0, 50.0),
    ];
    let mut scenario = scenario_of("x", Measure::Iops, results);
    let speed = |scenario: &crate::compare::record::Scenario, at: usize| {
        stats::ablation_speed(scenario, &scenario.results[at]).unwrap().median
    };
    assert!(close(speed(&scenario, 2), 0.5) && close(speed(&scenario, 3), 0.8));
    scenario.decides = Measure::Latency;
    assert!(close(speed(&scenario, 2), 0.5) && close(speed(&scenario, 3), 0.1));
}

/// Goal: rounding never makes a figure that is short look as if it were reached.
#[test]
fn a_near_miss_shows() {
    let one = |name, role, iops| result(name, role, vec![sample_of(0, iops, 1.0, 0.0)]);
    let results = vec![one("flexins", Role::Flexins, 3498.0), one("m", Role::Baseline, 1000.0)];
    let mut scenario = scenario_of("x", Measure::Iops, results);
    scenario.wanted.equal_total_cores = Some(3.5);
    let verdict = Verdict::of(&scenario, View::EqualTotalCores);
    assert_eq!((verdict.median_text().as_str(), verdict.word()), ("3.4980", "short"));
}

/// Goal: a limit in octets and one in 10^9 octets give the same share; a limit that is missing
/// or useless gives none.
#[test]
fn limits_have_the_unit_that_decides() {
    let comparison = comparison();
    let mut scenario = comparison.scenarios[3].clone();
    let name = scenario.limit.clone().unwrap();
    let share = |scenario: &crate::compare::record::Scenario, limit: f64| {
        LimitShare::of(scenario, &BTreeMap::from([(name.clone(), limit)])).map(|l| l.share)
    };
    let (octets, giga) = (share(&scenario, 5.4e9).unwrap(), share(&scenario, 5.4).unwrap());
    assert!(close(octets, giga) && (0.8..1.0).contains(&giga), "{octets} {giga}");
    for useless in [0.0, f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(share(&scenario, useless), None);
    }
    scenario.limit = Some("another".into());
    assert_eq!(share(&scenario, 5.4), None);
}

/// Goal: what is wanted and was not measured counts as short.
#[test]
fn the_tally_counts_what_is_missing() {
    let mut comparison = comparison();
    let (met, wanted, short) = tally(&comparison);
    assert_eq!(wanted, 9);
    assert_eq!(met + short.len(), wanted);
    comparison.scenarios[0].equal_total_cores = None;
    comparison.scenarios[0].per_host_core = None;
    let (_, wanted, short) = tally(&comparison);
    assert_eq!(wanted, 9);
    assert!(short.iter().any(|s| s == "randread-4k-x32 (per host core)"), "{short:?}");
}
