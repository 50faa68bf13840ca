//! What a test needs beside this workspace: a program, a server, a right of the kernel. A need that is not met fails the
//! test, unless it was given up on purpose (`cargo xtask test --without NAME`); then the skip is written down, so that the
//! verdict of the test command can count it.
#![forbid(unsafe_code)]

use std::io::Write as _;

/// Environment variable with the names of the needs that were given up, separated by commas.
pub const WITHOUT_VARIABLE: &str = "TESTS_WITHOUT";

/// Environment variable with the path of a file. Each skip appends a line to it: need, space, name of the test.
pub const SKIPPED_VARIABLE: &str = "TESTS_SKIPPED_FILE";

/// Looks for what a test needs; `None` when it was given up, and the test is to return.
///
/// # Panics
/// When `find` does not find it; its error says why and how to get it.
pub fn need<T>(name: &str, find: impl FnOnce() -> Result<T, String>) -> Option<T> {
    let without = std::env::var(WITHOUT_VARIABLE).unwrap_or_default();
    if is_listed(name, &without) {
        note_skip(name);
        return None;
    }
    match find() {
        Ok(found) => Some(found),
        Err(why) => panic!(
            "{name} is missing: {why}. `cargo xtask test` installs it; `cargo xtask test --without {name}`, or \
             {WITHOUT_VARIABLE}={name} in the environment, skips what needs it"
        ),
    }
}

fn is_listed(name: &str, without: &str) -> bool {
    without.split(',').any(|given_up| given_up.trim() == name)
}

fn note_skip(name: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed");
    println!("SKIPPED {test}: runs without {name}, as told");
    let Some(path) = std::env::var_os(SKIPPED_VARIABLE) else { return };
    let file = std::fs::File::options().create(true).append(true).open(path);
    // One write of a short line: lines of several processes do not mix.
    let written = file.and_then(|mut file| file.write_all(format!("{name} {test}\n").as_bytes()));
    assert!(written.is_ok(), "a skip that cannot be written down would pass silently: {written:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names_in_a_list() {
        let check = |name, without, expected| assert_eq!(is_listed(name, without), expected, "{without}");
        check("redis", "", false);
        check("redis", "redis", true);
        check("redis", "tshark, redis", true);
        check("redis", "redis2,myredis", false);
    }

    #[test]
    fn gives_what_is_found() {
        assert_eq!(need("what nobody gave up", || Ok(7)), Some(7));
    }

    #[test]
    #[should_panic(expected = "a rare thing is missing: nobody has it.")]
    fn fails_where_a_need_is_not_met() {
        need::<()>("a rare thing", || Err("nobody has it".to_owned()));
    }
}
