//! JSON that is taken apart: each field is taken out, and what nobody took is named.

use crate::args::Transport;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::str::FromStr;

/// An object of the file, its place in it, and what nobody could use.
pub(super) struct Object<'l> {
    pub(super) fields: Map<String, Value>,
    pub(super) place: String,
    pub(super) left_out: &'l mut Vec<String>,
}

/// The values of an array; of a field that is none, none.
pub(super) fn list(
    fields: &mut Map<String, Value>,
    name: &str,
    place: &str,
    left_out: &mut Vec<String>,
) -> Vec<Value> {
    let value = fields.remove(name).unwrap_or(Value::Null);
    if let Value::Array(values) = value {
        return values;
    }
    if !value.is_null() {
        left_out.push(format!("{place}{name}: {value}"));
    }
    Vec::new()
}

impl<'l> Object<'l> {
    pub(super) fn new(value: Value, place: String, left_out: &'l mut Vec<String>) -> Object<'l> {
        if let Value::Object(fields) = value {
            return Object { fields, place, left_out };
        }
        if !value.is_null() {
            left_out.push(format!("{place}: {value}"));
        }
        Object { fields: Map::new(), place, left_out }
    }
    pub(super) fn say(&mut self, what: &str) {
        self.left_out.push(format!("{}: {what}", self.place));
    }
    pub(super) fn object(&mut self, name: &str) -> Object<'_> {
        let value = self.fields.remove(name).unwrap_or(Value::Null);
        Object::new(value, format!("{}.{name}", self.place), self.left_out)
    }
    pub(super) fn list(&mut self, name: &str) -> Vec<Value> {
        let place = format!("{}.", self.place);
        list(&mut self.fields, name, &place, self.left_out)
    }
    /// A text, or a number as text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let value = self.fields.get(name)?;
        let number = value.is_number().then(|| value.to_string());
        let text = value.as_str().map(str::to_owned).or(number)?;
        self.fields.remove(name);
        Some(text)
    }
    /// What `parse` makes of a text; one that it cannot read stays.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.fields.insert(name.to_owned(), Value::String(text));
        }
        parsed
    }
    /// What is written as a text or a number and read by its type.
    pub(super) fn number<T: FromStr>(&mut self, name: &str) -> Option<T> {
        self.parsed(name, |text| text.parse().ok())
    }
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, |text| match text {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        })
    }
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for value in self.list(name) {
            match value.as_str() {
                Some(text) => texts.push(text.to_owned()),
                None => self.say(&format!("{name}: {value}")),
            }
        }
        texts
    }
    /// Drops a field that says no more than one of `usual`.
    pub(super) fn drop_if(&mut self, name: &str, usual: &[&str]) {
        let _ = self.parsed(name, |text| usual.contains(&text).then_some(()));
    }
    /// Of an address: how it is reached, where, and its service.
    pub(super) fn reach(&mut self) -> (Option<Transport>, Option<IpAddr>, Option<u16>) {
        // Told by the address itself.
        self.drop_if("adrfam", &["ipv4", "ipv6"]);
        let trtype = self.parsed("trtype", |text| match text {
            "rdma" => Some(Transport::Rdma),
            "tcp" => Some(Transport::Tcp),
            _ => None,
        });
        (trtype, self.number("traddr"), self.number("trsvcid"))
    }
    /// What nobody took is named.
    pub(super) fn end(self) {
        let Object { fields, place, left_out } = self;
        let dot = if place.is_empty() { "" } else { "." };
        for (name, value) in fields {
            let is_empty = match &value {
                Value::Array(values) => values.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                Value::Null => true,
                Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
            };
            if !is_empty {
                left_out.push(format!("{place}{dot}{name}: {value}"));
            }
        }
    }
}
