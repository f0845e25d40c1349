//! What threads cost: time of turns that found work, and the kernel's accounts.
//!
//! Source of the accounts: `proc(5)`, `/proc/PID/task/TID/stat`, `schedstat` and `status`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Name of the thread that runs a NIC behind the pipe.
const NIC_THREAD: &str = "flexblk-nic";

/// Counters by name.
pub type Counts = BTreeMap<String, f64>;

/// Time spent in an application's turns. Those that found no work are left out of `busy`.
#[derive(Clone, Copy, Default, Debug)]
pub struct TurnMeter {
    busy: Duration,
    turns: u64,
    idle_turns: u64,
}

impl TurnMeter {
    /// A turn went from `from` to `to`.
    #[inline]
    pub fn turn(&mut self, from: Instant, to: Instant, did_work: bool) {
        self.turns += 1;
        if did_work {
            self.busy += to.saturating_duration_since(from);
        } else {
            self.idle_turns += 1;
        }
    }
    /// Adds it to `counts`, as "app.busy_us" and so on.
    pub fn count(&self, counts: &mut Counts) {
        counts.insert("app.busy_us".into(), self.busy.as_secs_f64() * 1e6);
        counts.insert("app.turns".into(), float(self.turns));
        counts.insert("app.idle_turns".into(), float(self.idle_turns));
    }
}

/// What a process' threads have used so far. Threads of NICs count as "nic", others as `role`:
/// "app" or "engine".
pub fn count_process(process: u32, role: &str, counts: &mut Counts) {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return };
    for task in tasks.flatten() {
        // A thread that ends meanwhile is no loss.
        let _ = count_thread(&task.path(), role, counts);
    }
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let resident = field(&status, "RssAnon:") * 1024.0;
    *counts.entry(format!("{role}.resident_bytes")).or_default() += resident;
}

fn count_thread(task: &Path, role: &str, counts: &mut Counts) -> Option<()> {
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let status = fs::read_to_string(task.join("status")).ok()?;
    let schedstat = fs::read_to_string(task.join("schedstat")).ok()?;
    // The name is in parentheses and may contain anything; user and system ticks are the 14th and
    // 15th field.
    let (name, rest) = stat.rsplit_once(") ")?;
    let role = if name.ends_with(NIC_THREAD) { "nic" } else { role };
    let mut ticks = rest.split(' ').skip(11).map(|field| field.parse::<f64>().unwrap_or(0.0));
    let (user, system) = (ticks.next()?, ticks.next()?);
    let run_us = schedstat.split(' ').next()?.parse::<f64>().ok()? / 1e3;
    // Ticks say how the time divides, the scheduler says exactly how much it was.
    let user_share = if user + system > 0.0 { user / (user + system) } else { 1.0 };
    let switches =
        field(&status, "voluntary_ctxt_switches:") + field(&status, "nonvoluntary_ctxt_switches:");
    for (what, amount) in [
        ("user_us", run_us * user_share),
        ("system_us", run_us * (1.0 - user_share)),
        ("switches", switches),
    ] {
        *counts.entry(format!("{role}.{what}")).or_default() += amount;
    }
    Some(())
}

/// Time in soft interrupts that the kernel accounts for apart, over all processors.
pub fn count_softirq(counts: &mut Counts) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    // In ticks of 10 ms: user, nice, system, idle, iowait, irq, softirq.
    let cpu = stat.lines().next().unwrap_or_default();
    let ticks = cpu.split_whitespace().nth(7).and_then(|field| field.parse::<f64>().ok());
    counts.insert("kernel.softirq_us".into(), ticks.unwrap_or(0.0) * 1e4);
}

/// The first number of the line that begins with `name`.
fn field(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// What grew from `before` to `after`. Levels (resident memory) are taken as they are.
#[must_use]
pub fn growth(before: &Counts, after: &Counts) -> Counts {
    let grown = |name: &String, count: f64| {
        let is_level = name.ends_with("resident_bytes");
        let old = before.get(name).copied().filter(|_| !is_level).unwrap_or(0.0);
        (name.clone(), (count - old).max(0.0))
    };
    after.iter().map(|(name, &count)| grown(name, count)).collect()
}

/// Adds `more` to `sums`, name by name.
pub fn add(sums: &mut Counts, more: &Counts) {
    for (name, count) in more {
        *sums.entry(name.clone()).or_default() += count;
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run stay far below 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: turns without work are no busy time.
    #[test]
    fn idle_turns_are_left_out() {
        let (start, mut meter) = (Instant::now(), TurnMeter::default());
        let at = |us| start + Duration::from_micros(us);
        meter.turn(at(0), at(3), true);
        meter.turn(at(3), at(50), false);
        meter.turn(at(50), at(52), true);
        let mut counts = Counts::new();
        meter.count(&mut counts);
        assert!((counts["app.busy_us"] - 5.0).abs() < 0.01, "{counts:?}");
        assert!((counts["app.idle_turns"] - 1.0).abs() < 0.01);
    }
}
