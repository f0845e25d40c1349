//! Developer commands: `cargo xtask setup | demo | test | ci`.
//!
//! No dependencies, so that the first command on a clean clone starts at once.
//! Read first: [`shell`] (how programs are run), then the file of the command.

#![forbid(unsafe_code)]

mod builds;
mod demo;
mod e2e;
mod headers;
mod packages;
mod shell;
mod suite;
mod terse;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <command>

  setup   install what is missing (apt-get) and fetch the headers of the installed fio
  demo    setup, then serve a namespace, run fio on it through the plug-in, print a table
  test    setup, then every check and test, and the end-to-end scripts of tests/e2e/
  scripts e2e|guests
          the scripts of tests/e2e/ or tests/guests/ alone, with what was built before
  ci      the same as test: what .ci/run calls
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["setup"] => setup(),
        ["demo"] => setup().and_then(|()| demo::run_demo()),
        ["scripts", folder] => e2e::run_alone(folder),
        ["test" | "ci"] => setup().and_then(|()| suite::run_all()),
        ["help" | "-h" | "--help"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn setup() -> shell::Outcome {
    packages::install_missing()?;
    headers::fetch()
}
