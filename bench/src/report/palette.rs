//! One colour for each stack, the same in all plots of a page.
//!
//! FlexiNS is blue, baselines are red to yellow, others are grey, green and purple: hues that
//! also people who see fewer of them tell apart. Names stand beside bars, and curves have dashes,
//! so that no plot needs its colours.

use super::svg::Key;
use crate::compare::record::{Comparison, Role, Scenario, StackResult};
use std::collections::BTreeMap;

/// Colours that each role has.
const SHADES: usize = 3;

/// Classes of the style sheet by the name of the stack.
pub(crate) struct Palette(BTreeMap<String, String>);

impl Palette {
    /// In the order in which stacks appear.
    pub(crate) fn of(comparison: &Comparison) -> Palette {
        let mut classes = BTreeMap::new();
        let mut used = [0usize; 4];
        for result in comparison.scenarios.iter().flat_map(|s| &s.results) {
            let (letter, slot) = match result.role {
                Role::Flexins => ('f', 0),
                Role::Baseline => ('b', 1),
                Role::Other => ('o', 2),
                Role::Ablation => ('a', 3),
            };
            classes.entry(result.stack.clone()).or_insert_with(|| {
                let shade = used[slot] % SHADES;
                used[slot] += 1;
                format!("{letter}{shade}")
            });
        }
        Palette(classes)
    }

    /// The class of a stack's colour.
    pub(crate) fn class(&self, stack: &str) -> String {
        self.0.get(stack).cloned().unwrap_or_else(|| "o0".into())
    }

    /// A legend of the stacks that are in any of `scenarios`, ablations left out.
    pub(crate) fn legend<'a>(&self, scenarios: impl IntoIterator<Item = &'a Scenario>) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for result in scenarios.into_iter().flat_map(main_results) {
            if !keys.iter().any(|key| key.name == result.stack) {
                keys.push(Key { class: self.class(&result.stack), name: result.stack.clone() });
            }
        }
        keys
    }
}

/// Results that stand for a stack, not for one technique of it.
pub(crate) fn main_results(scenario: &Scenario) -> impl Iterator<Item = &StackResult> {
    scenario.results.iter().filter(|result| result.role != Role::Ablation)
}
