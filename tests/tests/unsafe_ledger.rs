//! `unsafe` only where ARCHITECTURE.md says why and how it is checked.

use flexblk_tree::{Ledger, code_only, files_with_extension, has_word, relative, root};

fn ledger() -> Ledger {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md"));
    Ledger::parse(&text.expect("ARCHITECTURE.md is readable"))
}

/// Paths of all Rust files with `unsafe` in their code.
fn unsafe_files() -> Vec<String> {
    let has_unsafe = |path: &std::path::PathBuf| {
        let source = std::fs::read_to_string(path).expect("a Rust file is UTF-8");
        has_word(&code_only(&source), "unsafe")
    };
    let found = files_with_extension("rs").into_iter().filter(has_unsafe);
    found.map(|path| relative(&path)).collect()
}

/// Unsafe code cannot appear anywhere without a row that defends it.
#[test]
fn unsafe_only_in_files_of_the_ledger() {
    let ledger = ledger();
    let found = unsafe_files();
    assert!(!found.is_empty(), "the memory crate has unsafe code: nothing was scanned");
    let missing: Vec<_> = found.iter().filter(|path| !ledger.covers(path)).collect();
    assert!(
        missing.is_empty(),
        "unsafe code in files that the ledger of ARCHITECTURE.md does not list: {missing:#?}\n\
         Write it without unsafe, or add a row: | file | why | how checked |",
    );
}

/// The ledger does not outlive the code: a file named in full still has unsafe code.
/// A family (`*`) may be empty.
#[test]
fn ledger_names_no_file_without_unsafe() {
    let found = unsafe_files();
    let ledger = ledger();
    assert!(!ledger.rows.is_empty(), "ARCHITECTURE.md has no table under \"Unsafe ledger\"");
    for row in &ledger.rows {
        let used = row.is_pattern() || found.iter().any(|path| row.matches(path));
        assert!(used, "`{}` has no unsafe code (any more): take its row out", row.file);
    }
}

/// A row without a reason or a check is not a defence.
#[test]
fn every_row_says_why_and_how_checked() {
    for row in ledger().rows {
        assert!(row.why.len() >= 20, "`{}`: say why", row.file);
        assert!(row.checked.len() >= 20, "`{}`: say how it is checked", row.file);
    }
}
