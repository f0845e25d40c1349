//! HTML that is well-formed XML too: every string is escaped and every element closed, by
//! construction. The page and its plots are made of nothing else.

use std::fmt::{self, Display, Write};

/// Attributes of an element: names are ours, values are escaped.
pub(crate) type Attributes<'a> = &'a [(&'a str, &'a dyn Display)];

/// A piece of markup that grows.
#[derive(Clone, Default, Debug)]
pub(crate) struct Markup(String);

impl Markup {
    /// An element with what `inside` puts into it.
    pub(crate) fn element(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        inside: impl FnOnce(&mut Markup),
    ) {
        self.start(name, attributes);
        self.0.push('>');
        inside(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element with text in it.
    pub(crate) fn leaf(
        &mut self,
        name: &'static str,
        attributes: Attributes<'_>,
        text: impl Display,
    ) {
        self.element(name, attributes, |m| m.text(text));
    }

    /// An element with nothing in it.
    pub(crate) fn empty(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.start(name, attributes);
        self.0.push_str("/>");
    }

    /// Text, escaped.
    pub(crate) fn text(&mut self, text: impl Display) {
        // Writing to a string cannot fail; a `Display` that fails leaves out its own text.
        let _ = write!(Escaping(&mut self.0), "{text}");
    }

    /// Text of ours that must not be escaped: a style sheet.
    pub(crate) fn verbatim(&mut self, text: &'static str) {
        self.0.push_str(text);
    }

    /// Markup that was made before.
    pub(crate) fn append(&mut self, other: &Markup) {
        self.0.push_str(&other.0);
    }

    /// A line break in the source, where one helps who reads it.
    pub(crate) fn newline(&mut self) {
        self.0.push('\n');
    }

    /// All of it.
    pub(crate) fn into_string(self) -> String {
        self.0
    }

    fn start(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(name);
        for (key, value) in attributes {
            self.0.push(' ');
            self.0.push_str(key);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
    }
}

/// Writes on, with what has a meaning in markup replaced. Control characters, which XML cannot
/// hold at all, become the replacement character.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' | '\t' => self.0.push(c),
                c if c.is_control() => self.0.push('\u{FFFD}'),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

/// Checks that tags nest and end, that attributes are quoted, and that nothing is left open.
#[cfg(test)]
pub(crate) fn assert_balanced(xml: &str) {
    let mut open = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "stray '>' in {:?}", &rest[..start]);
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        assert!(!tag.contains('<'), "'<' inside {tag:?}");
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed out of turn, before {rest:.60?}");
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes of {tag:?}");
        let name = tag.split([' ', '/']).next().unwrap();
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()), "{tag:?}");
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(!rest.contains('>'), "stray '>' in {rest:?}");
    assert!(open.is_empty(), "left open: {open:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a string cannot leave its element or its attribute.
    #[test]
    fn strings_stay_where_they_are_put() {
        let mut m = Markup::default();
        let hostile = "\"><script>alert('&')</script>\u{1b}\0";
        m.element("p", &[("title", &hostile)], |m| m.text(hostile));
        let text = m.into_string();
        assert_balanced(&text);
        assert_eq!(text.matches('<').count(), 2);
        assert_eq!(text.matches('"').count(), 2);
        assert!(!text.chars().any(char::is_control));
    }

    /// Goal: the check that the other tests trust finds what is wrong.
    #[test]
    fn the_check_can_fail() {
        for bad in ["<a><b></a></b>", "<a>", "</a>", "<a x=\"1></a>", "a > b", "<a <b/></a>"] {
            assert!(std::panic::catch_unwind(|| assert_balanced(bad)).is_err(), "{bad}");
        }
        assert_balanced("<!DOCTYPE html><a x=\"1\"><b/>text</a>");
    }
}
