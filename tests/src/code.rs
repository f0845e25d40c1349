//! Rust source with everything blanked that is not code: comments, strings, characters.

/// Replaces comments, string and character literals by spaces; keeps line breaks.
///
/// Understands nested block comments, raw and byte strings, and tells `'a'` from a lifetime.
#[must_use]
pub fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skip_from(&chars, at);
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|&c| if c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Whether `word` stands in `code` as a whole identifier, not followed by `(`.
///
/// The exception is for attributes (`#[unsafe(no_mangle)]`): as code, no `unsafe` precedes `(`.
#[must_use]
pub fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(start, _)| {
        let before = code[..start].chars().next_back();
        let after = code[start + word.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(|c| is_name(c) || c == '(')
    })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the literal or comment that begins at `at` ends; `at` itself when none begins there.
fn skip_from(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => line_end(chars, at),
        '/' if next == Some('*') => block_end(chars, at),
        '"' => string_end(chars, at + 1),
        '\'' => char_end(chars, at),
        'r' if at == 0 || !is_name(chars[at - 1]) || chars[at - 1] == 'b' => raw_end(chars, at),
        _ => at,
    }
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|&c| c == '\n').map_or(chars.len(), |length| at + length)
}

fn block_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '"' => return at + 1,
            '\\' => at += 2,
            _ => at += 1,
        }
    }
    chars.len()
}

/// `'x'`, `'\n'`, `'\u{1F600}'` end; a lifetime such as `'a` is code.
fn char_end(chars: &[char], at: usize) -> usize {
    if chars.get(at + 1) == Some(&'\\') {
        let close = chars[(at + 3).min(chars.len())..].iter().position(|&c| c == '\'');
        return close.map_or(chars.len(), |length| at + 3 + length + 1);
    }
    if chars.get(at + 2) == Some(&'\'') { at + 3 } else { at }
}

/// `r"…"` and `r#"…"#` with any number of `#`; `r#name` is code.
fn raw_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
    let open = at + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return at;
    }
    let mut place = open + 1;
    while place < chars.len() {
        let closing = chars[place + 1..].iter().take(hashes).filter(|&&c| c == '#').count();
        if chars[place] == '"' && closing == hashes {
            return place + 1 + hashes;
        }
        place += 1;
    }
    chars.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The word is found in code and nowhere else: a miss here would let unlisted code pass.
    #[test]
    fn sees_code_only() {
        let code = |source: &str| has_word(&code_only(source), "unsafe");
        for yes in [
            "unsafe { x() }",
            "unsafe fn f() {}",
            "let s = \"a\\\"\"; unsafe { }",
            "let c = '\"'; unsafe { } // \"",
            "fn f<'a>(x: &'a u8) { unsafe { } }",
            "let r = r#\"quote \" \"#; unsafe {}",
            "/* a /* b */ c */ unsafe {}",
            "let c = '\\''; unsafe {}",
            "let c = '\\u{1F600}'; unsafe {}",
            "let b = br\"\\\"; unsafe {}",
        ] {
            assert!(code(yes), "missed in: {yes}");
        }
        for no in [
            "// unsafe { }",
            "/* /* */ unsafe */",
            "let s = \"unsafe {\";",
            "let r = r#\"unsafe \" unsafe\"#;",
            "#![forbid(unsafe_code)]",
            "#[unsafe(no_mangle)]",
            "let not_unsafe = 1;",
        ] {
            assert!(!code(no), "seen in: {no}");
        }
    }
}
