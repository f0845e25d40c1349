//! What is said over the control socket: one line of JSON asks, one line answers.

use super::edit::Edit;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Octets of a request at most, with the end of the line.
pub(crate) const REQUEST_BYTES_MAX: u64 = 1 << 20;
/// Octets of an answer at most: thousands of namespaces, or connections.
pub(crate) const RESPONSE_BYTES_MAX: u64 = 16 << 20;

/// What is asked.
#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Have this configuration, or say what would change.
    Apply {
        /// A file's text.
        config: String,
        /// Only say it.
        dry_run: bool,
    },
    /// Change one thing.
    Edit(Edit),
    /// The configuration as it is.
    Show,
    /// What there is of a kind.
    List(Noun),
}

/// Kinds of what there is.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Noun {
    /// Subsystems.
    Subsystem,
    /// Namespaces.
    Namespace,
    /// Listeners.
    Listener,
    /// Other discovery services that hosts are told of.
    Referral,
    /// Hosts that may connect.
    Host,
    /// Connections.
    Connection,
}

/// What is answered.
#[derive(Serialize, Deserialize, Debug, Default)]
#[serde(default)]
pub(crate) struct Response {
    /// Why nothing was done.
    pub error: Option<Refusal>,
    /// What changed, or would.
    pub plan: Vec<PlanLine>,
    /// What else should be known.
    pub notes: Vec<String>,
    /// A configuration.
    pub config: Option<String>,
    /// What there is.
    pub rows: Vec<Row>,
}

/// One thing that there is: its properties.
pub(crate) type Row = Map<String, Value>;

/// Why nothing was done.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Refusal {
    /// In words.
    pub why: String,
    /// Whatever the machine is like, this cannot be done.
    pub is_misuse: bool,
}

/// One change.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(crate) struct PlanLine {
    /// "+", "-" or "~".
    pub sign: char,
    /// Of what, and how.
    pub what: String,
}

impl Response {
    /// Nothing was done.
    pub(crate) fn refused(why: impl Into<String>, is_misuse: bool) -> Response {
        let error = Some(Refusal { why: why.into(), is_misuse });
        Response { error, ..Response::default() }
    }
}
