//! A source file as the walls see it: code without comments, and where its tests begin.

/// One file.
pub(super) struct Source {
    /// Relative to the root of the project.
    pub(super) path: String,
    /// Comments blanked, strings as they are.
    pub(super) code: String,
    /// Comments and the insides of strings blanked.
    pub(super) bare: String,
    /// Lines from 1; the first line of the tests at the end of the file, or one past the last.
    pub(super) tests_from: usize,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Source {
        let (code, bare) = (blank(text, false), blank(text, true));
        let lines: Vec<&str> = bare.lines().collect();
        let tests = (0..lines.len()).find(|&at| {
            let below = lines[at + 1..].iter().find(|line| !line.trim().is_empty());
            lines[at].starts_with("#[cfg(test)]")
                && below.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
        });
        let whole_file_is_tests =
            path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"))
                && !path.starts_with("benches/src/");
        let tests_from = if whole_file_is_tests { 1 } else { tests.unwrap_or(lines.len()) + 1 };
        Source { path: path.to_owned(), code, bare, tests_from }
    }

    /// Lines (from 1) of `text` before the tests.
    pub(super) fn before_tests<'a>(&self, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        (1..).zip(text.lines()).take(self.tests_from - 1)
    }

    /// The part of `bare` before the tests, as one text.
    pub(super) fn bare_before_tests(&self) -> &str {
        let end = self.bare.split_inclusive('\n').take(self.tests_from - 1).map(str::len).sum();
        &self.bare[..end]
    }
}

/// True when `word` stands in `line` by itself, not as part of a longer name.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part_of_name)
            && !line[at + word.len()..].chars().next().is_some_and(part_of_name)
    })
}

/// Replaces comments by spaces, and the insides of strings too when `strings` is set. Lines stay where they are.
fn blank(text: &str, strings: bool) -> String {
    let mut scan = Scan { rest: text, out: String::with_capacity(text.len()) };
    while let Some(next) = scan.rest.chars().next() {
        if scan.rest.starts_with("//") {
            let end = scan.rest.find('\n').unwrap_or(scan.rest.len());
            scan.take(end, true);
        } else if scan.rest.starts_with("/*") {
            let end = comment_end(scan.rest);
            scan.take(end, true);
        } else if let Some(end) = string_end(scan.rest, scan.out.chars().next_back()) {
            scan.take(end, strings);
        } else {
            scan.take(next.len_utf8(), false);
        }
    }
    scan.out
}

struct Scan<'a> {
    rest: &'a str,
    out: String,
}

impl Scan<'_> {
    fn take(&mut self, length: usize, blanked: bool) {
        let (taken, rest) = self.rest.split_at(length);
        if blanked {
            self.out.extend(taken.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            self.out.push_str(taken);
        }
        self.rest = rest;
    }
}

/// Octets of the block comment at the head of `text`; they nest.
fn comment_end(text: &str) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Octets of the string or character literal at the head of `text`, if one begins there.
fn string_end(text: &str, before: Option<char>) -> Option<usize> {
    let in_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let bytes = text.as_bytes();
    match bytes {
        [b'"', ..] => Some(quoted_end(bytes)),
        [b'\'', b'\\', ..] => Some(3 + bytes.get(3..)?.iter().position(|byte| *byte == b'\'')? + 1),
        [b'\'', ..] => {
            let inside = text[1..].chars().next()?;
            text[1 + inside.len_utf8()..].starts_with('\'').then_some(inside.len_utf8() + 2)
        }
        [b'r', b'"' | b'#', ..] if !in_name => raw_end(text, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_name => raw_end(text, 2),
        _ => None,
    }
}

fn quoted_end(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_end(text: &str, prefix: usize) -> Option<usize> {
    let hashes = text[prefix..].bytes().take_while(|byte| *byte == b'#').count();
    let open = prefix + hashes;
    if text.as_bytes().get(open) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text[open + 1..].find(&close).map_or(text.len(), |at| open + 1 + at + close.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_lines_stay() {
        for (text, code, bare) in [
            ("a // b\nc", "a     \nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e", "a                   e"),
            (r#"f("// no") // yes"#, r#"f("// no")       "#, "f(       )       "),
            (r##"r#"x"y"# z"##, r##"r#"x"y"# z"##, "         z"),
            ("'\"' b", "'\"' b", "    b"),
            ("'\\'' b", "'\\'' b", "     b"),
            ("<'a> b", "<'a> b", "<'a> b"),
            ("\"a\\\"b\" c", "\"a\\\"b\" c", "       c"),
        ] {
            assert_eq!(blank(text, false), code, "code of {text}");
            assert_eq!(blank(text, true), bare, "bare of {text}");
        }
    }

    #[test]
    fn words_stand_alone() {
        assert!(has_word("use rand::Rng", "rand"));
        assert!(!has_word("let operand = 1", "rand"));
        assert!(!has_word("let rand_om = 1", "rand"));
    }

    #[test]
    fn tests_at_the_end_are_found() {
        let source = Source::new("a/src/b.rs", "fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(source.tests_from, 3);
        assert_eq!(source.before_tests(&source.bare).count(), 2);
        assert_eq!(source.bare_before_tests(), "fn a() {}\n\n");
        // Tests in a sibling file end nothing here.
        assert_eq!(Source::new("a/src/b.rs", "#[cfg(test)]\nmod tests;\nfn a() {}").tests_from, 4);
        assert_eq!(Source::new("a/tests/b.rs", "fn a() {}").tests_from, 1);
        assert_eq!(Source::new("a/src/b.rs", "fn a() {}").tests_from, 2);
    }
}
