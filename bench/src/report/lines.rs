//! Curves over an axis.

use super::axis::Axis;
use super::svg::{Canvas, Hold, Key, WIDTH, text_width};

/// Height of what is between the axes.
const HEIGHT: f64 = 210.0;
/// Dashes tell curves apart where colours do not: one class for each.
const DASHES: usize = 4;

/// One point of a curve.
#[derive(Clone, Default, Debug)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// Least and most of the samples.
    pub(crate) whisker: Option<(f64, f64)>,
    /// Shows when pointed at; a point without has no dot.
    pub(crate) tip: String,
}

/// One curve.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) key: Key,
    pub(crate) points: Vec<Point>,
}

/// What a plot of curves is made of.
#[derive(Clone, Debug)]
pub(crate) struct LinePlot {
    pub(crate) curves: Vec<Curve>,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    /// Titles of the axes, with units.
    pub(crate) x_title: String,
    /// See `x_title`.
    pub(crate) y_title: String,
    /// How ticks are written.
    pub(crate) x_tick: fn(f64) -> String,
    /// See `x_tick`.
    pub(crate) y_tick: fn(f64) -> String,
}

/// Where the axes are on the drawing.
#[derive(Clone, Copy)]
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl LinePlot {
    /// Draws it.
    pub(crate) fn draw(&self) -> Canvas {
        let mut canvas = Canvas::default();
        let keys: Vec<Key> = self.curves.iter().enumerate().map(dashed).collect();
        let top = canvas.legend(&keys, 0.0, true) + 6.0;
        let labels = self.y.ticks.iter().map(|&t| text_width(&(self.y_tick)(t)));
        let left = 22.0 + labels.fold(0.0, f64::max) + 6.0;
        let frame = Frame { left, right: WIDTH - 16.0, top, bottom: top + HEIGHT };
        self.scales(&mut canvas, frame);
        for (curve, key) in self.curves.iter().zip(&keys) {
            self.curve(&mut canvas, frame, curve, &key.class);
        }
        canvas.height = frame.bottom + 40.0;
        canvas
    }

    fn scales(&self, canvas: &mut Canvas, frame: Frame) {
        let Frame { left, right, top, bottom } = frame;
        for &tick in &self.y.ticks {
            let y = self.y.place(tick, bottom, top);
            canvas.line("rule", (left, y), (right, y));
            canvas.text("tick", Hold::End, (left - 6.0, y + 4.0), &(self.y_tick)(tick));
        }
        for &tick in &self.x.ticks {
            let x = self.x.place(tick, left, right);
            canvas.line("rule", (x, top), (x, bottom));
            canvas.text("tick", Hold::Middle, (x, bottom + 15.0), &(self.x_tick)(tick));
        }
        canvas.text("axis", Hold::Middle, ((left + right) / 2.0, bottom + 33.0), &self.x_title);
        canvas.upright("axis", (11.0, (top + bottom) / 2.0), &self.y_title);
    }

    fn curve(&self, canvas: &mut Canvas, frame: Frame, curve: &Curve, class: &str) {
        let x = |v: f64| self.x.place(v, frame.left, frame.right);
        let y = |v: f64| self.y.place(v, frame.bottom, frame.top);
        let drawn = curve.points.iter().filter(|p| p.x.is_finite() && p.y.is_finite());
        let points: Vec<(f64, f64)> = drawn.clone().map(|p| (x(p.x), y(p.y))).collect();
        canvas.curve(&format!("curve {class}"), &points);
        for (point, &at) in drawn.zip(&points) {
            if let Some((least, most)) = point.whisker {
                canvas.line(&format!("spread {class}"), (at.0, y(least)), (at.0, y(most)));
            }
            if !point.tip.is_empty() {
                canvas.dot(&format!("dot {class}"), at, &point.tip);
            }
        }
    }
}

fn dashed((index, curve): (usize, &Curve)) -> Key {
    let class = format!("{} d{}", curve.key.class, index % DASHES);
    Key { class, name: curve.key.name.clone() }
}
