//! A drawing, and the plot that it becomes with a title, a description and its figures as text.
//!
//! Drawings are narrow, so that letters stay readable on a phone; pages set them side by side.
//! Colours are classes of the page's style sheet, so that they follow light and dark.

use super::format::{clipped, float};
use super::xml::Markup;
use std::fmt::{self, Display};

/// Width of every drawing, in its own units (about a pixel).
pub(crate) const WIDTH: f64 = 440.0;
/// Width of a letter on average, for what must be known before it is drawn.
const LETTER: f64 = 6.1;
/// Distance of two lines of a legend.
const LEGEND_LINE: f64 = 16.0;

/// A coordinate: one digit after the point is enough.
pub(crate) struct Px(pub(crate) f64);

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_finite() { write!(f, "{:.1}", self.0) } else { f.write_str("0") }
    }
}

/// Where text is held.
#[derive(Clone, Copy)]
pub(crate) enum Hold {
    Start,
    Middle,
    End,
}

/// What a legend says of one colour.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Class of the style sheet that sets the colour.
    pub(crate) class: String,
    /// Its name.
    pub(crate) name: String,
}

/// What is drawn so far.
#[derive(Clone, Default, Debug)]
pub(crate) struct Canvas {
    marks: Markup,
    /// Set it when it is known.
    pub(crate) height: f64,
}

impl Canvas {
    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (x1, y1, x2, y2) = (Px(from.0), Px(from.1), Px(to.0), Px(to.1));
        let attributes: [(&str, &dyn Display); 5] =
            [("class", &class), ("x1", &x1), ("y1", &y1), ("x2", &x2), ("y2", &y2)];
        self.marks.empty("line", &attributes);
    }

    /// A bar with a text that shows when one points at it.
    pub(crate) fn bar(&mut self, class: &str, at: (f64, f64), size: (f64, f64), tip: &str) {
        let (x, y, width, height) = (Px(at.0), Px(at.1), Px(size.0.max(0.0)), Px(size.1));
        let attributes: [(&str, &dyn Display); 5] =
            [("class", &class), ("x", &x), ("y", &y), ("width", &width), ("height", &height)];
        self.marks.element("rect", &attributes, |m| m.leaf("title", &[], tip));
    }

    pub(crate) fn dot(&mut self, class: &str, at: (f64, f64), tip: &str) {
        let (x, y) = (Px(at.0), Px(at.1));
        let attributes: [(&str, &dyn Display); 4] =
            [("class", &class), ("cx", &x), ("cy", &y), ("r", &"3")];
        self.marks.element("circle", &attributes, |m| m.leaf("title", &[], tip));
    }

    pub(crate) fn curve(&mut self, class: &str, points: &[(f64, f64)]) {
        let line: Vec<String> = points.iter().map(|p| format!("{},{}", Px(p.0), Px(p.1))).collect();
        self.marks.empty("polyline", &[("class", &class), ("points", &line.join(" "))]);
    }

    pub(crate) fn text(&mut self, class: &str, hold: Hold, at: (f64, f64), text: &str) {
        let hold = match hold {
            Hold::Start => "start",
            Hold::Middle => "middle",
            Hold::End => "end",
        };
        let (x, y) = (Px(at.0), Px(at.1));
        let attributes: [(&str, &dyn Display); 4] =
            [("class", &class), ("text-anchor", &hold), ("x", &x), ("y", &y)];
        self.marks.leaf("text", &attributes, text);
    }

    /// The title of a vertical axis, read from below.
    pub(crate) fn upright(&mut self, class: &str, at: (f64, f64), text: &str) {
        let turn = format!("translate({} {}) rotate(-90)", Px(at.0), Px(at.1));
        let attributes: [(&str, &dyn Display); 3] =
            [("class", &class), ("text-anchor", &"middle"), ("transform", &turn)];
        self.marks.leaf("text", &attributes, text);
    }

    /// A legend from `top` on, in as many lines as it takes; returns where it ends. `stroke`:
    /// the keys are those of curves.
    pub(crate) fn legend(&mut self, keys: &[Key], top: f64, stroke: bool) -> f64 {
        let (mut x, mut y) = (0.0, top + 11.0);
        for key in keys {
            let name = clipped(&key.name, 40);
            let width = 20.0 + text_width(&name) + 14.0;
            if x > 0.0 && x + width > WIDTH + 14.0 {
                x = 0.0;
                y += LEGEND_LINE;
            }
            if stroke {
                let class = format!("curve {}", key.class);
                self.line(&class, (x, y - 4.0), (x + 15.0, y - 4.0));
            } else {
                self.bar(&format!("bar {}", key.class), (x, y - 9.0), (10.0, 10.0), &key.name);
            }
            self.text("label", Hold::Start, (x + if stroke { 20.0 } else { 15.0 }, y), &name);
            x += width;
        }
        y + 9.0
    }
}

/// About how wide a label is.
pub(crate) fn text_width(text: &str) -> f64 {
    float(text.chars().count()) * LETTER
}

/// A table of text.
#[derive(Clone, Default, Debug)]
pub(crate) struct Grid {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// A drawing with all that belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    /// What it shows.
    pub(crate) title: String,
    /// How to read it, in a sentence.
    pub(crate) description: String,
    pub(crate) canvas: Canvas,
    /// The same figures as text.
    pub(crate) figures: Grid,
}

impl Plot {
    /// The drawing alone. `id` is the page's only one of that name.
    pub(crate) fn svg(&self, id: &str, into: &mut Markup) {
        let (title, description) = (format!("{id}-t"), format!("{id}-d"));
        let view = format!("0 0 {} {}", Px(WIDTH), Px(self.canvas.height));
        let names = format!("{title} {description}");
        let attributes: [(&str, &dyn Display); 4] =
            [("id", &id), ("role", &"img"), ("viewBox", &view), ("aria-labelledby", &names)];
        into.element("svg", &attributes, |m| {
            m.leaf("title", &[("id", &title)], &self.title);
            m.leaf("desc", &[("id", &description)], &self.description);
            m.append(&self.canvas.marks);
        });
    }
}
