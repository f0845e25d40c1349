//! Numbers for people: few digits, a unit, and a dash for what was not measured.

use crate::compare::record::Measure;

/// What stands where there is no number.
pub const NONE: &str = "–";
/// No measurement is beyond this: what is, is a broken record and no number.
const SENSIBLE: f64 = 1e15;

/// `value` with `decimals` digits after the point; a dash if it is no number.
#[must_use]
pub fn fixed(value: f64, decimals: usize) -> String {
    if value.abs() < SENSIBLE { format!("{value:.decimals$}") } else { NONE.into() }
}

/// About three digits: "0.22", "6.31", "43.1", "668".
#[must_use]
pub fn short(value: f64) -> String {
    fixed(value, decimals(value))
}

/// Digits after the point that leave about three in all. Bounds lie where rounding goes up, so
/// that 9.999 is "10.0" and not "10.00".
fn decimals(value: f64) -> usize {
    match value.abs() {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    }
}

/// [`short`], with a dash for what cannot be zero if it was measured at all.
#[must_use]
pub fn positive(value: f64) -> String {
    if value > 0.0 { short(value) } else { NONE.into() }
}

/// Events a second, with k or M: "668.6 k/s".
#[must_use]
pub fn rate(per_s: f64) -> String {
    match per_s {
        v if !v.is_finite() || v <= 0.0 => NONE.into(),
        v if v < 999.5 => with_unit(short(v), "/s"),
        v if v < 999_950.0 => with_unit(fixed(v / 1e3, 1), "k/s"),
        v => with_unit(fixed(v / 1e6, 2), "M/s"),
    }
}

/// 10^9 octets a second.
#[must_use]
pub fn bandwidth(gb_per_s: f64) -> String {
    with_unit(positive(gb_per_s), "GB/s")
}

/// A time that is given in microseconds.
#[must_use]
pub fn micros(us: f64) -> String {
    if us >= 9_999.5 { with_unit(positive(us / 1e3), "ms") } else { with_unit(positive(us), "µs") }
}

/// The figure that decides, with its unit.
#[must_use]
pub fn figure(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Iops => rate(value),
        Measure::Bandwidth => bandwidth(value),
        Measure::Latency => micros(value),
    }
}

/// Unit of a column of figures that decide, and what a figure is divided by for it.
#[must_use]
pub fn column_unit(measure: Measure) -> (&'static str, f64) {
    match measure {
        Measure::Iops => ("k/s", 1e3),
        Measure::Bandwidth => ("GB/s", 1.0),
        Measure::Latency => ("µs", 1.0),
    }
}

/// A figure for such a column; one more digit for rates, whose differences count.
#[must_use]
pub fn column(measure: Measure, value: f64) -> String {
    let (_, divisor) = column_unit(measure);
    let value = value / divisor;
    match measure {
        _ if !value.is_finite() || value <= 0.0 => NONE.into(),
        Measure::Iops => fixed(value, 1),
        Measure::Bandwidth | Measure::Latency => fixed(value, decimals(value).max(1)),
    }
}

/// Octets, in the largest binary unit that leaves at least one.
#[must_use]
pub fn bytes(octets: f64) -> String {
    let mut value = octets;
    if !value.is_finite() || value < 0.0 {
        return NONE.into();
    }
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return with_unit(trimmed(value), unit);
        }
        value /= 1024.0;
    }
    with_unit(trimmed(value), "TiB")
}

/// [`short`] without a fraction of zeros: "4", "1.5".
#[must_use]
pub fn trimmed(value: f64) -> String {
    let text = short(value);
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// A share of one: "92 %".
#[must_use]
pub fn percent(share: f64) -> String {
    if share > 0.0 { with_unit(fixed(share * 100.0, 0), "%") } else { NONE.into() }
}

/// A limit of the machine: its name says the unit, if anything does.
#[must_use]
pub fn limit(figure: f64) -> String {
    match figure {
        v if v >= 1e9 => with_unit(short(v / 1e9), "×\u{a0}10⁹"),
        v if v >= 1e6 => with_unit(short(v / 1e6), "×\u{a0}10⁶"),
        v => short(v),
    }
}

/// A change in percent, with its sign.
#[must_use]
pub fn change(percent: f64) -> String {
    if percent.abs() < SENSIBLE { format!("{percent:+.1} %") } else { NONE.into() }
}

/// "least..most" of two figures that are formatted already.
#[must_use]
pub fn range(least: &str, most: &str) -> String {
    if least == NONE && most == NONE { NONE.into() } else { format!("{least}..{most}") }
}

/// Seconds as people say them.
#[must_use]
pub fn seconds(value: f64) -> String {
    match value {
        v if !v.is_finite() || v < 0.0 => NONE.into(),
        v if v < 119.5 => format!("{} s", trimmed(v)),
        v => with_unit(fixed(v / 60.0, 0), "min"),
    }
}

/// A string from a record on a terminal: nothing in it moves the cursor or changes colours.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}

/// At most `width` characters; what was cut ends in an ellipsis.
#[must_use]
pub fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.into();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts of rows and letters")]
#[must_use]
pub(crate) fn float(count: usize) -> f64 {
    count as f64
}

fn with_unit(number: String, unit: &str) -> String {
    if number == NONE { number } else { format!("{number} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: units change where the rounded number would have a digit too many.
    #[test]
    fn units_change_where_rounding_does() {
        assert_eq!(rate(668_582.0), "668.6 k/s");
        assert_eq!(rate(999_960.0), "1.00 M/s");
        assert_eq!(rate(999.7), "1.0 k/s");
        assert_eq!(rate(12.0), "12.0 /s");
        assert_eq!(bandwidth(12.345), "12.3 GB/s");
        assert_eq!(micros(6.3), "6.30 µs");
        assert_eq!(micros(9_999.9), "10.0 ms");
        assert_eq!(short(9.999), "10.0");
        assert_eq!(short(99.97), "100");
        assert_eq!(bytes(4096.0), "4 KiB");
        assert_eq!(bytes(1.5 * 1024.0 * 1024.0), "1.5 MiB");
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(100.0), "100 B");
        assert_eq!(column(Measure::Iops, 1_234_567.0), "1234.6");
        assert_eq!(percent(0.923), "92 %");
        assert_eq!(change(-3.21), "-3.2 %");
        assert_eq!(seconds(0.5), "0.5 s");
        assert_eq!(seconds(600.0), "10 min");
    }

    /// Goal: what was not measured is a dash, never "NaN", "inf" or a zero that looks measured.
    #[test]
    fn nothing_is_a_dash() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
            for text in [fixed(bad, 2), short(bad), rate(bad), micros(-bad), bytes(bad)] {
                assert_eq!(text, NONE);
            }
            assert_eq!(change(bad), NONE);
            assert_eq!(seconds(bad), NONE);
            assert_eq!(column(Measure::Iops, bad), NONE);
        }
        assert_eq!(figure(Measure::Iops, 0.0), NONE);
        assert_eq!(figure(Measure::Bandwidth, 0.0), NONE);
        assert_eq!(figure(Measure::Latency, 0.0), NONE);
        assert_eq!(percent(f64::NAN), NONE);
        assert_eq!(range(NONE, NONE), NONE);
        assert_eq!(short(0.0), "0.00");
    }

    /// Goal: a record cannot move the cursor, and a cut string says that it was cut.
    #[test]
    fn strings_are_tamed() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{FFFD}[2Jb\u{FFFD}");
        assert_eq!(clipped("microkernel", 6), "micro…");
        assert_eq!(clipped("µµµ", 3), "µµµ");
    }
}
