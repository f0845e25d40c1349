//! What a scenario's ratios amount to: beside what is wanted, and beside the machine's limit.

use super::format::{NONE, fixed, percent, range};
use super::stats::{View, deciding_spread, lower_is_better, ours};
use crate::compare::record::{Comparison, Measure, Ratio, Scenario};
use std::collections::BTreeMap;

/// A limit on bandwidth above this is in octets a second, below it in 10^9 octets: no machine
/// is so slow, or so fast.
const OCTETS_FROM: f64 = 1e6;

/// One view of one scenario.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Verdict<'a> {
    /// The ratio, if both sides measured something.
    pub ratio: Option<&'a Ratio>,
    /// The figure to reach, where one is wanted.
    pub wanted: Option<f64>,
    /// The ratio must not exceed what is wanted, instead of reaching it.
    pub at_most: bool,
}

impl<'a> Verdict<'a> {
    /// Of a scenario in a view.
    #[must_use]
    pub fn of(scenario: &'a Scenario, view: View) -> Verdict<'a> {
        let (ratio, wanted, at_most) = match view {
            View::EqualTotalCores => (
                &scenario.equal_total_cores,
                scenario.wanted.equal_total_cores,
                lower_is_better(scenario.decides),
            ),
            View::PerHostCore => (&scenario.per_host_core, scenario.wanted.per_host_core, false),
        };
        Verdict { ratio: ratio.as_ref().filter(|r| r.median.is_finite()), wanted, at_most }
    }

    /// Is it as wanted? Nothing if nothing is wanted; what was not measured is not met.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        let (wanted, ratio) = (self.wanted?, self.ratio);
        Some(
            ratio.is_some_and(
                |r| if self.at_most { r.median <= wanted } else { r.median >= wanted },
            ),
        )
    }

    /// "met", "short", "not measured", or nothing if nothing is wanted.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.met(), self.ratio) {
            (None, _) => "",
            (Some(true), _) => "met",
            (Some(false), Some(_)) => "short",
            (Some(false), None) => "not measured",
        }
    }

    /// "≥ 3.50", or a dash.
    #[must_use]
    pub fn wanted_text(&self) -> String {
        let sign = if self.at_most { "≤" } else { "≥" };
        self.wanted.map_or(NONE.into(), |wanted| format!("{sign} {}", fixed(wanted, 2)))
    }

    /// "3.70", with a third digit where rounding would hide that it is short.
    #[must_use]
    pub fn median_text(&self) -> String {
        let Some(ratio) = self.ratio else { return NONE.into() };
        let text = fixed(ratio.median, 2);
        let hidden = self.met() == Some(false) && self.wanted.is_some_and(|w| fixed(w, 2) == text);
        if hidden { fixed(ratio.median, 4) } else { text }
    }

    /// "3.51..3.82", or a dash.
    #[must_use]
    pub fn range_text(&self) -> String {
        self.ratio.map_or(NONE.into(), |r| range(&fixed(r.least, 2), &fixed(r.most, 2)))
    }

    /// "3.70 (3.51..3.82)", or a dash.
    #[must_use]
    pub fn ratio_text(&self) -> String {
        match self.ratio {
            Some(_) => format!("{} ({})", self.median_text(), self.range_text()),
            None => NONE.into(),
        }
    }
}

/// FlexiNS beside what the machine moves without a protocol.
#[derive(Clone, PartialEq, Debug)]
pub struct LimitShare {
    /// The limit's name.
    pub name: String,
    /// In the unit of the figure that decides (10^9 octets a second for bandwidth).
    pub limit: f64,
    /// Figure that decides over the limit; at latency, more than 1 is what the stack adds.
    pub share: f64,
}

impl LimitShare {
    /// Nothing if the scenario has no limit, or one of both was not measured.
    #[must_use]
    pub fn of(scenario: &Scenario, limits: &BTreeMap<String, f64>) -> Option<LimitShare> {
        let name = scenario.limit.clone()?;
        let mut limit = *limits.get(&name)?;
        if scenario.decides == Measure::Bandwidth && limit >= OCTETS_FROM {
            limit /= 1e9;
        }
        let reached = deciding_spread(scenario.decides, ours(scenario, View::EqualTotalCores)?)?;
        let usable = limit.is_finite() && limit > 0.0;
        usable.then(|| LimitShare { name, limit, share: reached.median / limit })
    }

    /// "92 %", or "1.50 x" at latency.
    #[must_use]
    pub fn text(&self, measure: Measure) -> String {
        if lower_is_better(measure) {
            format!("{} ×", fixed(self.share, 2))
        } else {
            percent(self.share)
        }
    }
}

/// Wanted figures that are met, that are wanted, and the names of those that are short.
#[must_use]
pub fn tally(comparison: &Comparison) -> (usize, usize, Vec<String>) {
    let (mut met, mut wanted, mut short) = (0, 0, Vec::new());
    for scenario in &comparison.scenarios {
        for (view, name) in VIEWS {
            match Verdict::of(scenario, view).met() {
                Some(true) => (met, wanted) = (met + 1, wanted + 1),
                Some(false) => {
                    wanted += 1;
                    short.push(format!("{} ({name})", scenario.name));
                }
                None => {}
            }
        }
    }
    (met, wanted, short)
}

/// Both views and their names.
pub const VIEWS: [(View, &str); 2] =
    [(View::EqualTotalCores, "equal total cores"), (View::PerHostCore, "per host core")];

/// What the first view means.
pub const EQUAL_TOTAL_CORES: &str = "Both stacks get the same processors for everything, so that \
FlexiNS pays for its NIC in software as the baseline pays for its engines. The ratio is FlexiNS \
over the baseline's best variant, by the figure that decides, within each round; for latency it \
is that of the medians, and less is better.";

/// What the second view means.
pub const PER_HOST_CORE: &str = "On the machines that FlexiNS is for, its engine is on the NIC, so \
this view counts only the busy time per I/O of what runs on hosts: applications, and engines \
where they are host software. The ratio is the baseline's busy time over that of FlexiNS with its \
NIC on a thread of its own: how many times the I/Os one busy host core carries.";
