use crate::compare::record::{Comparison, Figures, Measure, Role, Settings};
use crate::report::fixture::{comparison, record, result, sample_of, scenario_of};
use crate::report::xml::assert_balanced;
use crate::report::{against, html, stats, table};

/// Everything that can be made of a record.
fn all(comparison: &Comparison) -> String {
    let changes = against::compare(comparison, comparison).unwrap();
    let page = html::page(comparison, Some(&changes));
    assert_balanced(&page);
    let text = table::full(comparison) + &against::text(&changes);
    for bad in ["NaN", "inf.", "inf ", "-0.00"] {
        assert!(!text.contains(bad), "{bad} in {text}");
        assert!(!page.contains(bad), "{bad} in the page");
    }
    text
}

fn all_figures(value: f64) -> Figures {
    Figures {
        iops: value,
        gb_per_s: value,
        p50_us: value,
        p99_us: value,
        p999_us: value,
        app_user_us: value,
        engine_user_us: value,
        kernel_us: value,
        softirq_us: value,
        app_busy_us: value,
        engine_busy_us: value,
        host_busy_us: value,
        tx_copies: value,
        rx_copies: value,
        syscalls: value,
        empty_polls: value,
        context_switches: value,
        wire_bytes: value,
        memory_bytes: value,
    }
}

/// Goal: a record with nothing in it makes a report with nothing in it.
#[test]
fn an_empty_record_is_fine() {
    let mut empty = record(Vec::new());
    empty.limits.clear();
    empty.remarks.clear();
    empty.settings = Settings::default();
    all(&empty);
    let nothing = scenario_of("nothing", Measure::Iops, Vec::new());
    let silent = result("flexins", Role::Flexins, Vec::new());
    let silent = scenario_of("silent", Measure::Latency, vec![silent]);
    let text = all(&record(vec![nothing, silent]));
    assert!(text.contains('–'), "{text}");
}

/// Goal: no figure, however odd, panics or reaches a reader as "NaN".
#[test]
fn odd_figures_are_dashes() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, f64::MAX, 1e-300];
    for value in odd {
        let mut odd = comparison();
        for scenario in &mut odd.scenarios {
            scenario.x = value;
            for result in &mut scenario.results {
                for sample in &mut result.samples {
                    sample.figures = all_figures(value);
                    sample.latency_percentiles.fill(value);
                }
                result.median = all_figures(value);
            }
            if let Some(ratio) = &mut scenario.equal_total_cores {
                (ratio.median, ratio.least, ratio.most) = (value, value, value);
            }
            scenario.wanted.per_host_core = Some(value);
        }
        odd.settings.sample_seconds = value;
        odd.limits.values_mut().for_each(|limit| *limit = value);
        let text = all(&odd);
        assert!(text.contains('–'), "{value}");
        odd.scenarios.iter_mut().for_each(stats::fill);
        all(&odd);
    }
}

/// Goal: one sample is its own least and most, and lists of percentiles that are cut are left out.
#[test]
fn one_sample_is_enough() {
    let mut sample = sample_of(0, 1000.0, 10.0, 1.0);
    sample.latency_percentiles = vec![1.0; 7];
    let ours = result("flexins", Role::Flexins, vec![sample.clone()]);
    let theirs = result("m", Role::Baseline, vec![sample]);
    let mut one = scenario_of("one", Measure::Iops, vec![ours, theirs]);
    one.family = Some("connections".into());
    one.x = 1.0;
    let text = all(&record(vec![one]));
    assert!(text.contains("1.00 (1.00..1.00)"), "{text}");
}

/// Goal: a record survives its file, and a family of nobody's naming is drawn too.
#[test]
fn records_survive_their_file() {
    let mut before = comparison();
    // JSON has no word for it.
    before.limits.retain(|_, figure| figure.is_finite());
    before.scenarios[5].family = Some("sizes".into());
    let json = serde_json::to_string(&before).unwrap();
    let after = against::read(&json).unwrap();
    // The last bit of a number may change, and nothing that anybody sees.
    assert_eq!(before.scenarios.len(), after.scenarios.len());
    assert_eq!(table::full(&before), table::full(&after));
    assert_eq!(html::page(&before, None), html::page(&after, None));
    assert!(html::page(&after, None).contains("sizes"));
}
