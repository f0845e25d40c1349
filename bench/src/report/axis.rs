//! Axes: where a value lies between two ends, and which values get a tick.

/// Most ticks that an axis of a plot gets.
const TICKS_MOST: i32 = 7;
/// A logarithmic axis that spans less than this gets ticks between its decades.
const DECADES_FEW: f64 = 2.4;

/// One axis of a plot.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Axis {
    from: f64,
    to: f64,
    logarithmic: bool,
    /// Values with a tick, from the least.
    pub(crate) ticks: Vec<f64>,
}

impl Axis {
    /// From zero to a round number that is not less than `most`.
    pub(crate) fn linear(most: f64) -> Axis {
        let most = if most.is_finite() && most > 0.0 { most } else { 1.0 };
        let raw = most / 5.0;
        let decade = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|s| s * decade);
        let step = step.into_iter().find(|&s| s >= raw * 0.999_999).unwrap_or(most);
        let mut ticks = vec![0.0];
        let mut at = step;
        // A hair of rounding must not add an empty step.
        while at < most * 1.000_001 + step && ticks.len() < 8 {
            ticks.push(at);
            if at >= most * 0.999_999 {
                break;
            }
            at += step;
        }
        let to = ticks.last().copied().unwrap_or(most).max(most);
        Axis { from: 0.0, to, logarithmic: false, ticks }
    }

    /// Around what is positive in `values`, between numbers that start with 1, 2 or 5.
    pub(crate) fn decades(values: impl IntoIterator<Item = f64>) -> Axis {
        let (least, most) = ends(values);
        let first = exponent(least.log10().floor()) - 1;
        let steps: Vec<f64> = (first..first + 40)
            .flat_map(|e| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(e)))
            .collect();
        let from = steps.iter().rev().find(|&&s| s <= least * 1.000_001).copied().unwrap_or(least);
        let to = steps.iter().find(|&&s| s >= most * 0.999_999 && s > from).copied();
        let to = to.unwrap_or(most * 10.0);
        let wide = (to / from).log10() > DECADES_FEW;
        let whole = |s: f64| (s.log10() - s.log10().round()).abs() < 1e-9;
        let inside = steps.into_iter().filter(|&s| s >= from * 0.999 && s <= to * 1.001);
        let ticks = thinned(inside.filter(|&s| !wide || whole(s)).collect());
        Axis { from, to, logarithmic: true, ticks }
    }

    /// The same between powers of two.
    pub(crate) fn doublings(values: impl IntoIterator<Item = f64>) -> Axis {
        let (least, most) = ends(values);
        let first = exponent((least.log2() + 1e-9).floor());
        let last = exponent((most.log2() - 1e-9).ceil()).max(first + 1);
        let ticks = thinned((first..=last).map(|e| 2f64.powi(e)).collect());
        Axis { from: 2f64.powi(first), to: 2f64.powi(last), logarithmic: true, ticks }
    }

    /// Where `value` lies between `start` and `end`; what lies outside goes to the nearer end.
    pub(crate) fn place(&self, value: f64, start: f64, end: f64) -> f64 {
        let share = if self.logarithmic {
            (value / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        start + (end - start) * share
    }
}

/// The least and the most that a logarithm exists of.
fn ends(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let (mut least, mut most) = (f64::INFINITY, 0.0f64);
    // Beyond these no measurement lies, and powers would overflow.
    for value in values.into_iter().filter(|v| v.is_finite() && *v > 1e-12 && *v < 1e18) {
        least = least.min(value);
        most = most.max(value);
    }
    if most > 0.0 { (least, most) } else { (1.0, 10.0) }
}

/// Every second (third, …) tick of too many.
fn thinned(ticks: Vec<f64>) -> Vec<f64> {
    let most = usize::try_from(TICKS_MOST).unwrap_or(7);
    let stride = ticks.len().div_ceil(most).max(1);
    ticks.into_iter().step_by(stride).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a logarithm of a finite number, rounded")]
fn exponent(rounded: f64) -> i32 {
    rounded as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a linear axis starts at zero, holds its most, and has round ticks.
    #[test]
    fn linear_axes_are_round() {
        assert_eq!(Axis::linear(668.0).ticks, [0.0, 200.0, 400.0, 600.0, 800.0]);
        assert_eq!(Axis::linear(1.0).ticks.len(), 6);
        for most in [1e-9, 0.3, 1.0, 7.0, 10.0, 99.9, 12_345.0, 1e12] {
            let axis = Axis::linear(most);
            assert!((2..=8).contains(&axis.ticks.len()), "{axis:?}");
            assert!(axis.to >= most && axis.to <= most * 2.0, "{axis:?}");
            assert!(axis.place(most, 0.0, 100.0) <= 100.0);
        }
    }

    /// Goal: no value, however odd, makes an axis that panics or places outside its ends.
    #[test]
    fn odd_values_stay_between_the_ends() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 1e-300, f64::MIN_POSITIVE];
        for value in odd {
            for axis in [Axis::linear(value), Axis::decades([value]), Axis::doublings([value])] {
                assert!(!axis.ticks.is_empty() && axis.ticks.len() <= 8, "{value}: {axis:?}");
                for placed in odd {
                    let at = axis.place(placed, 10.0, 20.0);
                    assert!((10.0..=20.0).contains(&at), "{placed} at {at} of {axis:?}");
                }
            }
        }
        assert!(!Axis::decades([]).ticks.is_empty());
    }

    /// Goal: logarithmic axes enclose their values, with decades or powers of two as ticks.
    #[test]
    fn logarithmic_axes_enclose() {
        assert_eq!(Axis::decades([6.3, 43.0]).ticks, [5.0, 10.0, 20.0, 50.0]);
        assert_eq!(Axis::decades([3.0, 4000.0]).ticks, [10.0, 100.0, 1000.0]);
        assert_eq!(Axis::doublings([1.0, 8.0]).ticks, [1.0, 2.0, 4.0, 8.0]);
        assert_eq!(Axis::doublings([4.0]).ticks, [4.0, 8.0]);
        let axis = Axis::doublings([1.0, 100.0]);
        assert!((axis.place(128.0, 0.0, 70.0) - 70.0).abs() < 1e-6);
        assert!((axis.place(2.0, 0.0, 70.0) - 10.0).abs() < 1e-6);
    }
}
