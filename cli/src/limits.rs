//! `flexblk limits`: what this machine moves without a protocol.

use crate::args::{Format, Limits};
use crate::failure::Failure;
use crate::output::print;

/// Measures and prints.
pub(crate) fn run(args: &Limits) -> Result<(), Failure> {
    let limits = ::bench::limits::measure(args.time)?;
    if args.output == Format::Json {
        return print(serde_json::to_string_pretty(&limits)?);
    }
    print(limits)
}
