//! `flexblk write --if-equal`: Compare and Write, for locks and counters that hosts share.

use crate::args::copy::Copy;
use crate::connect;
use crate::failure::Failure;
use std::io::Read;
use std::path::Path;

/// More than any controller takes in one step.
const BYTES_MAX: u64 = 512 << 10;

/// Standard input → namespace, if the namespace holds there what `expected` holds. Durable when it
/// returns. Exit status 1 if it holds something else, with nothing written.
pub(crate) fn write_if_equal(args: &Copy, expected: &Path) -> Result<(), Failure> {
    let told = |error: std::io::Error| Failure::new(format!("{}: {error}", expected.display()));
    let expected = read_some(std::fs::File::open(expected).map_err(told)?).map_err(told)?;
    let new = read_some(std::io::stdin().lock())
        .map_err(|error| Failure::new(format!("standard input: {error}")))?;
    if expected.len() != new.len() {
        return Err(Failure::misuse(format!(
            "standard input has {} octets and the file of --if-equal {}: make them equally long",
            new.len(),
            expected.len()
        )));
    }
    let (mut session, ns) = connect::namespace(args)?;
    if !session.compare_and_write(&ns, args.offset, &expected, &new)? {
        return Err(Failure::new("the namespace holds something else there: nothing was written"));
    }
    session.flush(&ns)?;
    connect::tell_hits(session.host().fabric());
    session.close();
    Ok(())
}

/// All of it, or enough of it to be refused.
fn read_some(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    from.take(BYTES_MAX + 1).read_to_end(&mut octets)?;
    Ok(octets)
}
