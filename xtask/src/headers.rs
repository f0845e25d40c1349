//! `setup`, second half: the headers of exactly the fio that is installed, in `out/fio/`.
//!
//! Debian has no package of fio's headers, and an engine must be built with those of the very
//! version that loads it. They are taken from the distribution's source package. The entry for
//! source packages is derived from the machine's own package sources, used for this one fetch
//! (with package lists and a cache of its own) and deleted afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Outcome, at, out, read, run, say};

const STAMP: &str = "flexblk-stamp";

/// Fetches, unpacks and configures; does nothing when that was done for this version.
pub(crate) fn fetch() -> Outcome {
    let version = installed_version()?;
    let place = out().join("fio");
    if fs::read_to_string(place.join(STAMP)).is_ok_and(|done| done == version) {
        say(&format!("fio headers: {version}, already in out/fio"));
        return Ok(());
    }
    say(&format!("fio headers: fetching Debian's source package fio {version} into out/fio"));
    let scratch = out().join("fio.fetch");
    let _stale = fs::remove_dir_all(&scratch);
    let outcome = fetch_into(&scratch, &version).and_then(|source| {
        let _older = fs::remove_dir_all(&place);
        fs::rename(&source, &place).map_err(at(&place))
    });
    let cleaned = fs::remove_dir_all(&scratch).map_err(at(&scratch));
    outcome.and(cleaned)
}

/// The version of Debian's source package, such as `3.33-3`.
fn installed_version() -> Outcome<String> {
    let mut query = Command::new("dpkg-query");
    let version = read(query.args(["--show", "--showformat", "${source:Version}", "fio"]))?;
    // Another fio earlier in PATH would load the plug-in and refuse it.
    let runs = read(Command::new("fio").arg("--version"))?;
    let upstream = runs.trim().trim_start_matches("fio-");
    let plain = version.rsplit_once('-').map_or(version.as_str(), |(upstream, _)| upstream);
    if plain.rsplit(':').next() != Some(upstream) {
        return Err(format!(
            "the fio that runs is {upstream}, the package that is installed {version}: \
             take the other fio out of PATH, or build the plug-in with FLEXBLK_FIO_SRC=<its source>"
        ));
    }
    Ok(version)
}

/// Leaves the configured source tree in a folder of `scratch` and returns that folder.
fn fetch_into(scratch: &Path, version: &str) -> Outcome<PathBuf> {
    for folder in ["parts", "lists/partial", "cache/archives/partial"] {
        let folder = scratch.join(folder);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
    }
    write_source_entries(&scratch.join("parts"))?;
    // An archive of somebody else may have no source packages: the next step tells.
    if let Err(reason) = run(apt_get(scratch).args(["--quiet", "update"])) {
        say(&format!("fio headers: {reason}; trying with the lists that did arrive"));
    }
    let package = format!("fio={version}");
    run(apt_get(scratch).args(["--quiet", "--download-only", "source", package.as_str()]))?;
    let description = only_file(scratch, "dsc")?;
    let source = scratch.join("source");
    // apt-get has checked the files against the signed package lists.
    let mut unpack = Command::new("dpkg-source");
    run(unpack.args(["--no-check", "--extract"]).arg(description).arg(&source))?;
    say("fio headers: ./configure");
    read(Command::new("./configure").current_dir(&source))?;
    let header = source.join("config-host.h");
    if !header.is_file() {
        return Err(format!("fio's configure script wrote no {}", header.display()));
    }
    let stamp = source.join(STAMP);
    fs::write(&stamp, version).map_err(at(&stamp))?;
    Ok(source)
}

/// `apt-get` with sources, lists and cache of its own; works without being root.
fn apt_get(scratch: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.current_dir(scratch);
    let settings = [
        ("Dir::Etc::sourcelist", Path::new("/dev/null").to_path_buf()),
        ("Dir::Etc::sourceparts", scratch.join("parts")),
        ("Dir::State::lists", scratch.join("lists")),
        ("Dir::Cache", scratch.join("cache")),
    ];
    for (name, path) in settings {
        command.arg("-o").arg(format!("{name}={}", path.display()));
    }
    // The folder may be readable for its owner only; apt would otherwise drop to `_apt`.
    if let Ok(user) = read(Command::new("id").arg("-un")) {
        command.arg("-o").arg(format!("APT::Sandbox::User={}", user.trim()));
    }
    command
}

/// Copies the machine's own package sources into `parts`, asking for source packages.
fn write_source_entries(parts: &Path) -> Outcome {
    let mut written = 0_usize;
    for path in own_sources() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let deb822 = path.extension().is_some_and(|extension| extension == "sources");
        let entries = if deb822 { from_deb822(&text) } else { from_one_line(&text) };
        if !entries.is_empty() {
            let copy = parts.join(format!("{written}.{}", if deb822 { "sources" } else { "list" }));
            fs::write(&copy, entries).map_err(at(&copy))?;
            written += 1;
        }
    }
    if written == 0 {
        return Err("/etc/apt names no package source to fetch fio's source package from".into());
    }
    Ok(())
}

/// The files that apt reads, in its order.
fn own_sources() -> Vec<PathBuf> {
    let apt = Path::new("/etc/apt");
    let mut found: Vec<PathBuf> = fs::read_dir(apt.join("sources.list.d"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "list" || e == "sources"))
        .collect();
    found.sort();
    found.insert(0, apt.join("sources.list"));
    found
}

/// `deb [options] uri suite components` → `deb-src …`, one line each.
fn from_one_line(text: &str) -> String {
    let entry = |line: &str| {
        let rest = line.trim().strip_prefix("deb")?;
        let rest = rest.strip_prefix("-src").unwrap_or(rest);
        rest.starts_with([' ', '\t', '[']).then(|| format!("deb-src {}\n", rest.trim()))
    };
    let mut entries: Vec<String> = text.lines().filter_map(entry).collect();
    entries.dedup();
    entries.concat()
}

/// Stanzas of `Field: value`, of which `Types` is replaced; those that are disabled are left out.
fn from_deb822(text: &str) -> String {
    let mut entries = String::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let field = |line: &str| line.split(':').next().unwrap_or("").trim().to_ascii_lowercase();
        let off =
            |line: &&str| field(line) == "enabled" && line.to_ascii_lowercase().ends_with("no");
        if stanza.is_empty() || stanza.iter().any(off) {
            continue;
        }
        for line in stanza {
            entries += if field(line) == "types" { "Types: deb-src" } else { line };
            entries.push('\n');
        }
        entries.push('\n');
    }
    entries
}

fn only_file(folder: &Path, extension: &str) -> Outcome<PathBuf> {
    let entries = fs::read_dir(folder).map_err(at(folder))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let wanted = paths.find(|path| path.extension().is_some_and(|found| found == extension));
    wanted.ok_or_else(|| format!("apt-get left no .{extension} file in {}", folder.display()))
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
