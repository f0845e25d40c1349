use crate::compare::record::{Comparison, Measure, Role, Scenario};
use crate::report::against::{self, Outcome, ReadError};
use crate::report::fixture::{comparison, record, result, sample_of, scenario_of};
use crate::report::html;

/// One scenario in which a stack had these figures.
fn one(stack: &str, role: Role, decides: Measure, figures: &[f64]) -> Comparison {
    let samples = (0..).zip(figures).map(|(round, &v)| sample_of(round, v, v, 0.0)).collect();
    record(vec![scenario_of("s", decides, vec![result(stack, role, samples)])])
}

fn outcome(decides: Measure, old: &[f64], new: &[f64]) -> (Outcome, bool) {
    let side = |figures| one("flexins", Role::Flexins, decides, figures);
    let against = against::compare(&side(old), &side(new)).unwrap();
    (against.rows[0].outcome, against.regressed())
}

/// Goal: a change is told only if it is outside both spreads and notable, in the right direction.
#[test]
fn changes_are_told_when_they_are_plain() {
    use Measure::{Iops, Latency};
    use Outcome::{Improved, Regressed, Same};
    let old = [100.0, 101.0, 102.0];
    for (measure, new, expected) in [
        (Iops, [90.0, 91.0, 92.0], Regressed),
        (Latency, [90.0, 91.0, 92.0], Improved),
        (Iops, [110.0, 111.0, 112.0], Improved),
        (Latency, [110.0, 111.0, 112.0], Regressed),
        // Outside, and not notable.
        (Iops, [98.5, 99.0, 99.5], Same),
        // The new samples reach the old median.
        (Iops, [80.0, 91.0, 101.5], Same),
    ] {
        assert_eq!(outcome(measure, &old, &new), (expected, expected == Regressed), "{new:?}");
    }
    // The old samples reach the new median.
    assert_eq!(outcome(Iops, &[90.0, 101.0, 102.0], &[90.5, 91.0, 92.0]), (Same, false));
    assert_eq!(outcome(Iops, &[], &[1.0]), (Outcome::Unknown, false));
}

/// Goal: only the product's own results make a run one that regressed.
#[test]
fn baselines_may_get_slower() {
    for (role, expected) in
        [(Role::Flexins, true), (Role::Baseline, false), (Role::Ablation, false)]
    {
        let old = one("a", role, Measure::Iops, &[100.0]);
        let new = one("a", role, Measure::Iops, &[50.0]);
        let against = against::compare(&old, &new).unwrap();
        assert_eq!(against.rows[0].outcome, Outcome::Regressed);
        assert_eq!(against.rows[0].percent, Some(-50.0));
        assert_eq!(against.regressed(), expected, "{role:?}");
    }
}

/// Goal: what only one side has is named, in the text and on the page.
#[test]
fn one_sided_scenarios_are_listed() {
    let (mut old, mut new) = (comparison(), comparison());
    let gone: Scenario = new.scenarios.remove(0);
    let fresh = old.scenarios.remove(3);
    let stack = new.scenarios[0].results.remove(5).stack;
    new.machine.cpu = "Another processor".into();
    let against = against::compare(&old, &new).unwrap();
    assert_eq!(against.only_old[0], gone.name);
    assert_eq!(against.only_old[1], format!("{} / {stack}", new.scenarios[0].name));
    assert_eq!(against.only_new, std::slice::from_ref(&fresh.name));
    let text = against::text(&against);
    let page = html::page(&new, Some(&against));
    for expected in [gone.name.as_str(), fresh.name.as_str(), "Another processor"] {
        assert!(text.contains(expected) && page.contains(expected), "{expected}");
    }
    assert!(!against.regressed());
}

/// Goal: a regression is on the terminal and marked on the page.
#[test]
fn regressions_are_visible() {
    let old = comparison();
    let mut new = comparison();
    new.scenarios[0].results[0].samples.iter_mut().for_each(|s| s.figures.iops *= 0.8);
    let against = against::compare(&old, &new).unwrap();
    assert!(against.regressed());
    let text = against::text(&against);
    assert!(text.contains("-20.0 %  regressed\n"), "{text}");
    assert!(text.ends_with("FlexiNS: 1 regressed, 0 improved.\n"), "{text}");
    assert!(html::page(&new, Some(&against)).contains("<td class=\"bad\">regressed</td>"));
}

/// Goal: another format is refused by its number, also when its fields are others.
#[test]
fn other_formats_are_refused() {
    let mut old = comparison();
    old.format = 7;
    let error = against::compare(&old, &comparison()).unwrap_err();
    assert!(error.to_string().contains("format 7") && error.to_string().contains("format 1"));
    let error = against::read("{\"format\": 2, \"runs\": []}").unwrap_err();
    assert!(matches!(error, ReadError::Format { found: 2 }), "{error}");
    assert!(matches!(against::read("[]").unwrap_err(), ReadError::Syntax(_)));
    assert!(matches!(against::read("{\"format\": 1}").unwrap_err(), ReadError::Syntax(_)));
}
