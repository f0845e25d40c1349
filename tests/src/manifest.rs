//! The workspace's manifests, and which of our crates each one uses.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::walk::root;

/// One member of the workspace.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Folder below the root: our name for the crate.
    pub folder: String,
    /// Our crates that it is built on: `dependencies` and `build-dependencies`, for any platform.
    pub uses: BTreeSet<String>,
    /// Our crates that only its own tests use.
    pub tests_use: BTreeSet<String>,
}

/// Every member of the workspace, in the order of the root manifest.
///
/// # Panics
/// When a manifest is missing or is not TOML.
#[must_use]
pub fn manifests() -> Vec<Manifest> {
    let workspace = table("Cargo.toml");
    let members = workspace["workspace"]["members"].as_array().cloned().unwrap_or_default();
    let shared = &workspace["workspace"]["dependencies"];
    members.iter().filter_map(Value::as_str).map(|folder| manifest(folder, shared)).collect()
}

fn table(path: &str) -> Table {
    let text = std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("cannot read {path}: {error}"));
    text.parse().unwrap_or_else(|error| panic!("{path} is not TOML: {error}"))
}

fn manifest(folder: &str, shared: &Value) -> Manifest {
    let own = table(&format!("{folder}/Cargo.toml"));
    let mut scopes: Vec<&Table> = vec![&own];
    if let Some(platforms) = own.get("target").and_then(Value::as_table) {
        scopes.extend(platforms.values().filter_map(Value::as_table));
    }
    let ours = |kinds: &[&str]| {
        let sections = scopes.iter().flat_map(|scope| kinds.iter().filter_map(|k| scope.get(*k)));
        sections
            .filter_map(Value::as_table)
            .flatten()
            .filter_map(|(k, v)| ours(k, v, shared))
            .collect()
    };
    Manifest {
        folder: folder.to_owned(),
        uses: ours(&["dependencies", "build-dependencies"]),
        tests_use: ours(&["dev-dependencies"]),
    }
}

/// The folder that a dependency points to, when it points to one of ours.
fn ours(name: &str, value: &Value, shared: &Value) -> Option<String> {
    let inherited = value.get("workspace").and_then(Value::as_bool) == Some(true);
    let origin = if inherited { shared.get(name)? } else { value };
    let path = origin.get("path")?.as_str()?;
    Some(path.trim_start_matches("../").trim_end_matches('/').to_owned())
}
