//! fio's terse output, version 3: one line of `;`-separated fields for each group of jobs.
//!
//! Source: fio 3.33, HOWTO, "Terse output".

/// What one direction of one group did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) job: String,
    /// `read` or `write`.
    pub(crate) direction: &'static str,
    pub(crate) iops: u64,
    /// Mebi- and kibi-octets are fio's: this is 10^6 octets a second.
    pub(crate) mb_per_s: f64,
    /// Completion latency, half of the requests were faster.
    pub(crate) p50_us: u64,
    /// Completion latency, 99 of 100 requests were faster.
    pub(crate) p99_us: u64,
}

/// Place of each direction's first field (octets moved, in KiB), counted from 0.
const DIRECTIONS: [(&str, usize); 2] = [("read", 5), ("write", 46)];
/// Fields after the first of a direction.
const BANDWIDTH: usize = 1;
const IOPS: usize = 2;
const PERCENTILES: usize = 12;
const PERCENTILE_COUNT: usize = 20;

/// The rows of all lines, and the sum of the error fields. Other lines are passed over.
pub(crate) fn parse(text: &str) -> (Vec<Row>, u64) {
    let mut rows = Vec::new();
    let mut errors = 0;
    for line in text.lines() {
        let fields: Vec<&str> = line.split(';').collect();
        if fields.first() != Some(&"3") || fields.len() < 2 * PERCENTILE_COUNT {
            continue;
        }
        errors += number(&fields, 4);
        let directions = DIRECTIONS.iter().filter_map(|&(name, at)| row(&fields, name, at));
        rows.extend(directions);
    }
    (rows, errors)
}

fn row(fields: &[&str], direction: &'static str, at: usize) -> Option<Row> {
    if number(fields, at) == 0 {
        return None;
    }
    let kib_per_s = u32::try_from(number(fields, at + BANDWIDTH)).unwrap_or(u32::MAX);
    Some(Row {
        job: (*fields.get(2)?).to_owned(),
        direction,
        iops: number(fields, at + IOPS),
        mb_per_s: f64::from(kib_per_s) * 1024.0 / 1e6,
        p50_us: percentile(fields, at + PERCENTILES, "50.0"),
        p99_us: percentile(fields, at + PERCENTILES, "99.0"),
    })
}

fn number(fields: &[&str], at: usize) -> u64 {
    fields.get(at).and_then(|field| field.parse().ok()).unwrap_or(0)
}

/// A field such as `99.000000%=123`.
fn percentile(fields: &[&str], at: usize, wanted: &str) -> u64 {
    let fields = fields.iter().skip(at).take(PERCENTILE_COUNT);
    let mut pairs = fields.filter_map(|field| field.split_once("%="));
    let found = pairs.find(|(name, _)| name.starts_with(wanted));
    found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

/// The table that `demo` prints.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<24} {:<6} {:>9} {:>9} {:>8} {:>8}\n",
        "job", "", "IOPS", "MB/s", "p50 us", "p99 us"
    );
    for row in rows {
        text += &format!(
            "{:<24} {:<6} {:>9} {:>9.0} {:>8} {:>8}\n",
            row.job, row.direction, row.iops, row.mb_per_s, row.p50_us, row.p99_us
        );
    }
    text
}

#[cfg(test)]
#[path = "terse_tests.rs"]
mod tests;
