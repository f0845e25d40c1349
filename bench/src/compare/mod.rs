//! `flexblk compare`: the same work over several stacks, in turn.
//!
//! Read first: [`scenarios`] (what is run over what), [`run`] (how a sample is taken), then the
//! processes of a sample: [`child`], [`server`], [`client`]. What comes out: [`record`].

pub mod child;
mod client;
mod figures;
mod machine;
pub mod meter;
pub mod page;
pub mod record;
mod remarks;
pub mod run;
pub mod scenarios;
mod server;
pub mod work;

pub use client::client;
pub use machine::describe;
pub use remarks::remarks;
pub use server::server;

use crate::report::stats;
use record::{Scenario, StackResult};
use run::Runner;
use scenarios::Plan;
use std::io;

/// Runs one workload over all its stacks, `rounds` times in turn; each round begins with another.
/// `told` hears of every sample, before it is taken.
///
/// Errors: the first sample that fails.
pub fn scenario(
    runner: &mut Runner,
    plan: &Plan,
    rounds: u32,
    told: &mut dyn FnMut(&Plan, &str, u32),
) -> io::Result<Scenario> {
    let mut samples = vec![Vec::new(); plan.stacks.len()];
    for round in 0..rounds {
        for turn in 0..plan.stacks.len() {
            let at = (turn + round as usize) % plan.stacks.len();
            let stack = &plan.stacks[at];
            told(plan, stack.name, round);
            let sample = runner.sample(plan, stack, round).map_err(|error| {
                io::Error::other(format!("{} over {}: {error}", plan.name, stack.name))
            })?;
            samples[at].push(sample);
        }
    }
    let results = plan.stacks.iter().zip(samples).map(|(stack, samples)| StackResult {
        stack: stack.name.into(),
        role: stack.role,
        samples,
        median: record::Figures::default(),
        work: None,
    });
    let mut scenario = Scenario {
        name: plan.name.clone(),
        title: plan.title.clone(),
        family: plan.family.map(Into::into),
        x: plan.x,
        decides: plan.decides,
        io_bytes: plan.io_bytes(),
        depth: plan.depth(),
        poll: if plan.stacks.iter().all(|s| s.spec.spin_us.is_some()) {
            "adaptive"
        } else {
            "busy"
        }
        .into(),
        results: results.collect(),
        equal_total_cores: None,
        per_host_core: None,
        wanted: plan.wanted,
        limit: plan.limit.map(Into::into),
    };
    stats::fill(&mut scenario);
    Ok(scenario)
}
