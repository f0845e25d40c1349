//! Bars that lie: names to the left, figures to the right, in groups with a heading.

use super::axis::Axis;
use super::format::clipped;
use super::svg::{Canvas, Hold, Key, WIDTH, text_width};

/// Distance of two bars, and how thick one is.
const PITCH: f64 = 17.0;
/// See [`PITCH`].
const THICK: f64 = 11.0;
/// Room for a heading.
const HEADING: f64 = 21.0;
/// Most letters of a bar's name.
const NAME_MOST: usize = 26;

/// One bar.
#[derive(Clone, Default, Debug)]
pub(crate) struct Bar {
    /// Beside it.
    pub(crate) name: String,
    /// Its parts from the left: class of the colour, length, and what shows when pointed at.
    pub(crate) parts: Vec<(String, f64, String)>,
    /// Least and most of the samples.
    pub(crate) whisker: Option<(f64, f64)>,
    /// The figure, as text.
    pub(crate) figure: String,
}

impl Bar {
    fn end(&self) -> f64 {
        let sum: f64 = self.parts.iter().map(|part| part.1).filter(|v| v.is_finite()).sum();
        let whisker = self.whisker.map_or(0.0, |w| w.1);
        if whisker.is_finite() { sum.max(whisker) } else { sum }
    }
}

/// Bars that belong together.
#[derive(Clone, Default, Debug)]
pub(crate) struct Group {
    /// Above them; empty: none.
    pub(crate) heading: String,
    pub(crate) bars: Vec<Bar>,
}

/// What a plot of bars is made of.
#[derive(Clone, Debug)]
pub(crate) struct BarPlot {
    pub(crate) groups: Vec<Group>,
    pub(crate) legend: Vec<Key>,
    /// Title of the axis, with its unit.
    pub(crate) axis: String,
    /// A value to compare with, drawn across all bars.
    pub(crate) reference: Option<f64>,
    /// How a tick is written.
    pub(crate) tick: fn(f64) -> String,
}

impl BarPlot {
    /// Draws it. The axis is below all bars, and its lines run behind them.
    pub(crate) fn draw(&self) -> Canvas {
        let mut canvas = Canvas::default();
        let top = canvas.legend(&self.legend, 0.0, false) + 4.0;
        let bars = || self.groups.iter().flat_map(|g| &g.bars);
        let most = bars().map(Bar::end).chain(self.reference).fold(0.0, f64::max);
        let axis = Axis::linear(most);
        let wide = |texts: &mut dyn Iterator<Item = String>| {
            texts.map(|t| text_width(&t)).fold(0.0, f64::max)
        };
        let left = wide(&mut bars().map(|b| clipped(&b.name, NAME_MOST))) + 8.0;
        let right = WIDTH - wide(&mut bars().map(|b| b.figure.clone())).max(16.0) - 8.0;
        let height: f64 = self.groups.iter().map(Group::height).sum();
        self.scale(&mut canvas, &axis, (left, right), (top, top + height));
        let mut y = top;
        for group in &self.groups {
            if !group.heading.is_empty() {
                let heading = clipped(&group.heading, 64);
                canvas.text("heading", Hold::Start, (0.0, y + 14.0), &heading);
                y += HEADING;
            }
            for bar in &group.bars {
                draw_bar(&mut canvas, bar, &axis, (left, right), y);
                y += PITCH;
            }
            y += group.gap();
        }
        canvas.height = y + 40.0;
        canvas
    }

    fn scale(&self, canvas: &mut Canvas, axis: &Axis, x: (f64, f64), y: (f64, f64)) {
        for &tick in &axis.ticks {
            let at = axis.place(tick, x.0, x.1);
            canvas.line("rule", (at, y.0), (at, y.1));
            canvas.text("tick", Hold::Middle, (at, y.1 + 14.0), &(self.tick)(tick));
        }
        if let Some(reference) = self.reference {
            let at = axis.place(reference, x.0, x.1);
            canvas.line("reference", (at, y.0), (at, y.1 + 3.0));
        }
        canvas.text("axis", Hold::Middle, ((x.0 + x.1) / 2.0, y.1 + 32.0), &self.axis);
    }
}

impl Group {
    fn gap(&self) -> f64 {
        if self.heading.is_empty() { 2.0 } else { 7.0 }
    }

    fn height(&self) -> f64 {
        let heading = if self.heading.is_empty() { 0.0 } else { HEADING };
        heading + super::format::float(self.bars.len()) * PITCH + self.gap()
    }
}

fn draw_bar(canvas: &mut Canvas, bar: &Bar, axis: &Axis, x: (f64, f64), y: f64) {
    let middle = y + PITCH / 2.0;
    let name = clipped(&bar.name, NAME_MOST);
    canvas.text("label", Hold::End, (x.0 - 6.0, middle + 4.0), &name);
    let mut done = 0.0;
    for (class, length, tip) in &bar.parts {
        let from = axis.place(done, x.0, x.1);
        done += if length.is_finite() { length.max(0.0) } else { 0.0 };
        let size = (axis.place(done, x.0, x.1) - from, THICK);
        canvas.bar(&format!("bar {class}"), (from, middle - THICK / 2.0), size, tip);
    }
    if let Some((least, most)) = bar.whisker {
        let (from, to) = (axis.place(least, x.0, x.1), axis.place(most, x.0, x.1));
        canvas.line("whisker", (from, middle), (to, middle));
        for end in [from, to] {
            canvas.line("whisker", (end, middle - 3.0), (end, middle + 3.0));
        }
    }
    let end = axis.place(bar.end(), x.0, x.1);
    canvas.text("figure", Hold::Start, (end + 5.0, middle + 4.0), &bar.figure);
}
