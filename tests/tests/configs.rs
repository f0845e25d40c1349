//! Every ready-made configuration under configs/ can be read.

use std::path::Path;

use flexblk_tree::{files, relative};

/// Options without which a job would not do what its file name says.
const JOB_KEYS: [&str; 3] = ["rw", "iodepth", "include"];

/// A configuration that does not parse is found here, not by the user who tries it.
#[test]
fn every_configuration_parses() {
    let found = files("configs");
    assert!(found.iter().any(|path| path.extension().is_some_and(|e| e == "fio")), "no job files");
    for path in found {
        let text = std::fs::read_to_string(&path).expect("a configuration is UTF-8");
        let name = relative(&path);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("fio") => check_job(&path, &text),
            Some("inc") => drop(ini(&path, &text)),
            Some("toml") => {
                text.parse::<toml::Table>().unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            Some("md") => {}
            other => panic!("{name}: no check for a configuration of kind {other:?}"),
        }
    }
}

fn check_job(path: &Path, text: &str) {
    let name = relative(path);
    let keys = ini(path, text);
    let sections = text.lines().filter(|line| line.starts_with('[')).count();
    assert!(sections >= 2, "{name}: wants [global] and at least one job");
    for wanted in JOB_KEYS {
        assert!(keys.iter().any(|key| key == wanted), "{name}: `{wanted}` is missing");
    }
}

/// The syntax of fio's job files: `[section]`, `key=value`, `key`, `include file`, comments.
fn ini(path: &Path, text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{}:{}", relative(path), index + 1);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            let title = section.strip_suffix(']');
            assert!(title.is_some_and(|title| !title.is_empty()), "{place}: bad section {line}");
        } else if let Some(file) = line.strip_prefix("include ") {
            let included = path.with_file_name(file.trim());
            assert!(included.is_file(), "{place}: {file} is not there");
            keys.push("include".to_owned());
        } else {
            let key = line.split_once('=').map_or(line, |(key, _)| key).trim();
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(!key.is_empty() && key.chars().all(good), "{place}: bad option {line}");
            keys.push(key.to_owned());
        }
    }
    keys
}
