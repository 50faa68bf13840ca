//! Words and keys that earlier versions knew and this one does not: refused with what to write instead.

/// What to write instead of a word in a setting, where the word was one once.
pub(crate) fn remedy_for_word(key: &str, word: &str) -> Option<&'static str> {
    match (key, word) {
        ("unknown_outcome", "hold") => Some(
            "this policy is no more: write \"fail\", which tells the customer at once, or \"retry_other\", which sends another copy to another vendor",
        ),
        ("unknown_outcome", "retry_same") => Some(
            "this policy is no more: write \"retry_other\", which sends another copy to another vendor, or \"fail\", which sends none",
        ),
        _ => None,
    }
}

/// What to do about a key of a section, where it was one once.
pub(crate) fn remedy_for_key(section: &str, key: &str) -> Option<&'static str> {
    match (section, key) {
        ("relay", "hold_max") => {
            Some("leave it out: the policy \"hold\" is no more, and \"fail\" answers at once")
        }
        _ => None,
    }
}
