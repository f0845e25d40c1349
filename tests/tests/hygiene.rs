//! Files stay small, and nothing in them belongs to one machine only.

use flexblk_tree::{files, relative};

/// Lines that a source file may have.
const LINES_MAX: usize = 500;

/// Files of these kinds are written by us, line by line.
const SOURCES: [&str; 4] = ["rs", "c", "h", "sh"];

/// Generated, or the text of somebody else.
const EXEMPT: [&str; 5] = [
    "Cargo.lock",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "fio-plugin/LICENSE-GPL-2",
    // Made by running a fuzz target.
    "fuzz/Cargo.lock",
];

/// A file that does not fit in a reader's head is cut by what its parts own.
#[test]
fn source_files_are_short() {
    for path in files("") {
        let Some(extension) = path.extension() else { continue };
        if SOURCES.iter().any(|kind| extension == *kind) {
            let text = std::fs::read_to_string(&path).expect("source is UTF-8");
            let lines = text.lines().count();
            assert!(lines <= LINES_MAX, "{} has {lines} lines: cut it", relative(&path));
        }
    }
}

/// Examples are tests in files: the suite does not compile those in comments (a run of rustdoc for
/// each crate), so there must be none. What is shown there is text.
#[test]
fn comments_hold_no_code_that_runs() {
    let fence = "`".repeat(3);
    for path in files("") {
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("source is UTF-8");
        let words = text.lines().filter_map(|line| {
            let comment = line.trim_start().strip_prefix("//")?.trim_start_matches(['/', '!']);
            comment.trim_start().strip_prefix(fence.as_str())
        });
        for opening in words.step_by(2) {
            assert!(opening.starts_with("text"), "{}: a block of {opening:?}", relative(&path));
        }
    }
}

/// No absolute path of the machine it was written on, no registry host.
#[test]
fn nothing_belongs_to_one_machine() {
    // Put together here, so that this file does not contain them.
    let folders = ["work", "root"].map(|name| format!("/{name}"));
    let hosts = [["crates", "io"], ["deb.debian", "org"], ["pypi", "org"]].map(|h| h.join("."));
    let mut faults = Vec::new();
    for path in files("") {
        let name = relative(&path);
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        if EXEMPT.contains(&name.as_str()) {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            let bad = folders.iter().any(|folder| has_path(line, folder))
                || hosts.iter().any(|host| line.contains(host.as_str()));
            if bad {
                faults.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "of one machine only:\n  {}", faults.join("\n  "));
}

/// Whether `line` names the absolute folder: not as the end of a longer path, nor of a word.
fn has_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + folder.len()..].chars().next();
        let inside = |c: char| c.is_alphanumeric() || "._-})>".contains(c);
        let longer = |c: char| c.is_alphanumeric() || "_-".contains(c);
        !before.is_some_and(inside) && !after.is_some_and(longer)
    })
}

/// The search finds what it is for, and leaves lookalikes.
#[test]
fn paths_are_told_from_lookalikes() {
    let folder = format!("/{}", "work");
    for yes in ["cd {}/x", "\"{}\"", "path={}", "({}/out)"] {
        assert!(has_path(&yes.replace("{}", &folder), &folder), "missed: {yes}");
    }
    for no in ["$HOME{}", "../a{}", "{}er", "net{}", "}{}/x"] {
        assert!(!has_path(&no.replace("{}", &folder), &folder), "seen: {no}");
    }
}
