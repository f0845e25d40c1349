//! The unsafe ledger: a table of ARCHITECTURE.md that names every file with `unsafe` in it.

/// One row: `| file | why | how checked |`.
#[derive(Debug, Clone)]
pub struct LedgerRow {
    /// Path from the root; `*` stands for any run of characters that holds no `/`.
    pub file: String,
    /// What cannot be said in safe code.
    pub why: String,
    /// What shows that it is right.
    pub checked: String,
}

/// All rows below the heading "Unsafe ledger".
#[derive(Debug, Clone)]
pub struct Ledger {
    /// In the order of the page.
    pub rows: Vec<LedgerRow>,
}

impl Ledger {
    /// Reads the table from the text of ARCHITECTURE.md.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut section = text.lines().skip_while(|line| !is_heading(line, "unsafe ledger"));
        section.next();
        let rows = section
            .take_while(|line| !line.starts_with('#'))
            .filter_map(row)
            .filter(|row| row.file != "file" && !row.file.starts_with("---"))
            .collect();
        Self { rows }
    }

    /// Whether some row covers `path` (from the root, `/` between parts).
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        self.rows.iter().any(|row| row.matches(path))
    }
}

impl LedgerRow {
    /// Whether this row's pattern covers `path`.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        glob(&self.file, path)
    }

    /// Whether the row names a family of files instead of one.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.file.contains('*')
    }
}

fn is_heading(line: &str, words: &str) -> bool {
    line.starts_with('#') && line.trim_start_matches('#').trim().eq_ignore_ascii_case(words)
}

fn row(line: &str) -> Option<LedgerRow> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = inner.split('|').map(str::trim);
    let mut cell = || cells.next().map(str::to_owned);
    let (file, why, checked) = (cell()?, cell()?, cell()?);
    Some(LedgerRow { file: file.trim_matches('`').to_owned(), why, checked })
}

fn glob(pattern: &str, path: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == path };
    let Some(tail) = path.strip_prefix(head) else { return false };
    let reach = tail.find('/').unwrap_or(tail.len());
    (0..=reach).filter(|&end| tail.is_char_boundary(end)).any(|end| glob(rest, &tail[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row covers its own file or family and no neighbour.
    #[test]
    fn rows_cover_what_they_name() {
        let ledger = Ledger::parse(
            "## Code map\n| x.rs | not | here |\n## Unsafe ledger\ntext\n\n\
             | file | why | how checked |\n|---|---|---|\n\
             | `a/src/one.rs` | w | c |\n| `a/src/sys*.rs` | w | c |\n| `b/*/x*` | w | c |\n\
             ## Next\n| y.rs | not | here |\n",
        );
        assert_eq!(ledger.rows.len(), 3);
        for (path, covered) in [
            ("a/src/one.rs", true),
            ("a/src/one_tests.rs", false),
            ("a/src/sys.rs", true),
            ("a/src/sys_linux.rs", true),
            ("a/src/sys/deep.rs", false),
            ("b/c/xyz.rs", true),
            ("b/c/d/xyz.rs", false),
            ("x.rs", false),
            ("y.rs", false),
        ] {
            assert_eq!(ledger.covers(path), covered, "{path}");
        }
    }
}
