//! Medians, spreads, and ratios of what ran in the same round.
//!
//! Rounds alternate between the stacks, so that a machine that slows down slows both: ratios are
//! taken within a round, and the median is that of the ratios. What is not a positive number
//! (nothing was done, nothing was measured) takes no part.

use crate::compare::record::{Figures, Measure, Ratio, Role, Sample, Scenario, StackResult};

/// The stack with everything counted.
const FULL: &str = "flexins";
/// The stack with its NIC on a thread of its own: what a host would pay.
const PIPED: &str = "flexins-piped";

/// How two stacks are set side by side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum View {
    /// By the figure that decides; everything on both stacks runs on the same processors.
    EqualTotalCores,
    /// By busy time of the hosts alone.
    PerHostCore,
}

/// A median, and the samples around it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    /// The middle one, or the mean of the middle two.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Spread {
    /// Of values that are finite; nothing if there are none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        // An odd number has one middle: it is told as it is, not as the half of its double.
        let median =
            if sorted.len().is_multiple_of(2) { lower + (upper - lower) / 2.0 } else { upper };
        Some(Spread { median, least, most })
    }

    /// Is `value` one that the samples did not reach?
    #[must_use]
    pub fn excludes(&self, value: f64) -> bool {
        value < self.least || value > self.most
    }
}

/// The median of values that are finite; nothing if there are none.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    Spread::of(values.iter().copied()).map(|spread| spread.median)
}

/// The median of each figure for itself; zeros if there is no sample.
#[must_use]
pub fn median_of(samples: &[Sample]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        Spread::of(samples.iter().map(|s| figure(&s.figures))).map_or(0.0, |s| s.median)
    };
    Figures {
        iops: of(|f| f.iops),
        gb_per_s: of(|f| f.gb_per_s),
        p50_us: of(|f| f.p50_us),
        p99_us: of(|f| f.p99_us),
        p999_us: of(|f| f.p999_us),
        app_user_us: of(|f| f.app_user_us),
        engine_user_us: of(|f| f.engine_user_us),
        kernel_us: of(|f| f.kernel_us),
        softirq_us: of(|f| f.softirq_us),
        app_busy_us: of(|f| f.app_busy_us),
        engine_busy_us: of(|f| f.engine_busy_us),
        host_busy_us: of(|f| f.host_busy_us),
        tx_copies: of(|f| f.tx_copies),
        rx_copies: of(|f| f.rx_copies),
        syscalls: of(|f| f.syscalls),
        empty_polls: of(|f| f.empty_polls),
        context_switches: of(|f| f.context_switches),
        wire_bytes: of(|f| f.wire_bytes),
        memory_bytes: of(|f| f.memory_bytes),
    }
}

/// The figure that decides: I/Os a second, 10^9 octets a second, or microseconds.
#[must_use]
pub fn deciding(measure: Measure, figures: &Figures) -> f64 {
    match measure {
        Measure::Iops => figures.iops,
        Measure::Bandwidth => figures.gb_per_s,
        Measure::Latency => figures.p50_us,
    }
}

/// Is a lower figure the better one?
#[must_use]
pub fn lower_is_better(measure: Measure) -> bool {
    measure == Measure::Latency
}

/// The figure that decides, over a result's samples; nothing if it measured nothing.
#[must_use]
pub fn deciding_spread(measure: Measure, result: &StackResult) -> Option<Spread> {
    Spread::of(result.samples.iter().map(|s| deciding(measure, &s.figures)).filter(|&v| v > 0.0))
}

/// The quotients of a figure within each round that both have, as a spread.
#[must_use]
pub fn paired(
    over: &StackResult,
    under: &StackResult,
    figure: impl Fn(&Figures) -> f64,
) -> Option<Spread> {
    Spread::of(over.samples.iter().filter_map(|sample| {
        let other = under.samples.iter().find(|other| other.round == sample.round)?;
        let (over, under) = (figure(&sample.figures), figure(&other.figures));
        (over > 0.0 && under > 0.0).then(|| over / under)
    }))
}

/// FlexiNS against a baseline, round by round.
///
/// With equal total cores it is `ours` over `baseline` by what decides (at latency, less is
/// better); per host core it is the baseline's busy time over ours, whatever decides.
#[must_use]
pub fn ratio(
    ours: &StackResult,
    baseline: &StackResult,
    measure: Measure,
    view: View,
) -> Option<Ratio> {
    let spread = match view {
        View::EqualTotalCores => paired(ours, baseline, |f| deciding(measure, f)),
        View::PerHostCore => paired(baseline, ours, |f| f.host_busy_us),
    }?;
    let Spread { median, least, most } = spread;
    let (stack, baseline) = (ours.stack.clone(), baseline.stack.clone());
    Some(Ratio { stack, baseline, median, least, most })
}

/// The FlexiNS result that a view is about.
#[must_use]
pub fn ours(scenario: &Scenario, view: View) -> Option<&StackResult> {
    let mut flexins = scenario.results.iter().filter(|r| r.role == Role::Flexins);
    match view {
        View::EqualTotalCores => {
            flexins.clone().find(|r| r.stack == FULL).or_else(|| flexins.next())
        }
        View::PerHostCore => flexins.find(|r| r.stack == PIPED),
    }
}

/// The baseline's variant with the best median in a view.
#[must_use]
pub fn best_baseline(scenario: &Scenario, view: View) -> Option<&StackResult> {
    let score = |result: &StackResult| match view {
        // Less is better below: a rate counts as its opposite.
        View::EqualTotalCores => {
            let median = deciding_spread(scenario.decides, result)?.median;
            Some(if lower_is_better(scenario.decides) { median } else { -median })
        }
        View::PerHostCore => {
            let busy = result.samples.iter().map(|s| s.figures.host_busy_us);
            Some(Spread::of(busy.filter(|&v| v > 0.0))?.median)
        }
    };
    let baselines = scenario.results.iter().filter(|r| r.role == Role::Baseline);
    let scored = baselines.filter_map(|result| Some((score(result)?, result)));
    scored.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, result)| result)
}

/// Fills in what follows from the samples: every median, and both ratios.
pub fn fill(scenario: &mut Scenario) {
    for result in &mut scenario.results {
        result.median = median_of(&result.samples);
    }
    let of =
        |view| ratio(ours(scenario, view)?, best_baseline(scenario, view)?, scenario.decides, view);
    let (total, host) = (of(View::EqualTotalCores), of(View::PerHostCore));
    scenario.equal_total_cores = total;
    scenario.per_host_core = host;
}

/// The whole stack that an ablation is one technique short of: the longest name that begins its
/// name, or else the one with everything counted.
#[must_use]
pub fn whole<'a>(scenario: &'a Scenario, ablation: &StackResult) -> Option<&'a StackResult> {
    let flexins = scenario.results.iter().filter(|r| r.role == Role::Flexins);
    flexins
        .filter(|r| ablation.stack.starts_with(&r.stack))
        .max_by_key(|r| r.stack.len())
        .or_else(|| ours(scenario, View::EqualTotalCores))
}

/// How fast an ablation is beside its whole stack, round by round: below 1 the technique helps.
/// Latency is turned round, so that this holds for it too.
#[must_use]
pub fn ablation_speed(scenario: &Scenario, ablation: &StackResult) -> Option<Spread> {
    let (whole, measure) = (whole(scenario, ablation)?, scenario.decides);
    if lower_is_better(measure) {
        paired(whole, ablation, |f| deciding(measure, f))
    } else {
        paired(ablation, whole, |f| deciding(measure, f))
    }
}
