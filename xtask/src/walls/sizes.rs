//! Files of at most 600 lines before their tests. Functions of at most 70 lines are clippy's to check.

use super::Finding;
use super::source::Source;

const LINES_MAX: usize = 600;
/// Flat tables: one line per row, nothing to split.
const TABLES: [&str; 3] =
    ["smpp/src/tlv/table.rs", "smpp/src/field/command_status.rs", "gateway/control/src/metrics/names.rs"];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let bound = sources.iter().filter(|source| !TABLES.contains(&source.path.as_str()));
    bound
        .filter(|source| source.tests_from > LINES_MAX + 1)
        .map(|source| {
            let lines = source.tests_from - 1;
            Finding::new(&source.path, lines, format!("{lines} lines before its tests, {LINES_MAX} allowed"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_do_not_count() {
        let tests = "#[cfg(test)]\nmod tests {\n}\n".to_owned() + &"// t\n".repeat(100);
        for (path, lines, count) in
            [("a/src/b.rs", 600, 0), ("a/src/b.rs", 601, 1), ("smpp/src/tlv/table.rs", 900, 0)]
        {
            let text = "// x\n".repeat(lines) + &tests;
            assert_eq!(check(&[Source::new(path, &text)]).len(), count, "{path} with {lines}");
        }
    }
}
