//! From which addresses a customer may send.

/// The addresses of one customer: exact ones, and what they begin with. Empty allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    any: bool,
    /// Sorted.
    exact: Vec<Box<[u8]>>,
    /// Sorted.
    prefixes: Vec<Box<[u8]>>,
    /// Length of the longest prefix.
    prefix_max: usize,
}

impl Sources {
    /// All addresses.
    pub fn any() -> Self {
        Self { any: true, ..Self::default() }
    }

    /// Each pattern is an address, or what addresses begin with and a `*`. A leading `+` is skipped.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        let mut sources = Self::default();
        for pattern in patterns {
            let pattern = crate::route::without_plus(pattern.as_bytes());
            match pattern.strip_suffix(b"*") {
                Some([]) => sources.any = true,
                Some(prefix) => sources.prefixes.push(prefix.into()),
                None => sources.exact.push(pattern.into()),
            }
        }
        sources.exact.sort_unstable();
        sources.prefixes.sort_unstable();
        sources.prefix_max = sources.prefixes.iter().map(|prefix| prefix.len()).max().unwrap_or(0);
        sources
    }

    /// Whether an address is among them.
    #[inline]
    pub fn allow(&self, address: &[u8]) -> bool {
        self.any || self.lists(crate::route::without_plus(address))
    }

    fn lists(&self, address: &[u8]) -> bool {
        let is_there =
            |list: &[Box<[u8]>], key: &[u8]| list.binary_search_by(|entry| (**entry).cmp(key)).is_ok();
        let longest = address.len().min(self.prefix_max);
        is_there(&self.exact, address)
            || (1..=longest).any(|length| is_there(&self.prefixes, &address[..length]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_addresses_and_prefixes() {
        let check = |patterns: &[&str], address: &[u8], expected: bool| {
            let sources = Sources::of(patterns.iter().copied());
            assert_eq!(sources.allow(address), expected, "{patterns:?} {}", address.escape_ascii());
        };
        check(&["*"], b"anything", true);
        check(&["*"], b"", true);
        check(&[], b"1", false);
        check(&["1202*", "ACME", "+447700900123"], b"12025550100", true);
        check(&["1202*", "ACME", "+447700900123"], b"+12025550100", true);
        check(&["1202*", "ACME", "+447700900123"], b"1202", true);
        check(&["1202*", "ACME", "+447700900123"], b"1203", false);
        check(&["1202*", "ACME", "+447700900123"], b"ACME", true);
        check(&["1202*", "ACME", "+447700900123"], b"ACMEs", false);
        check(&["1202*", "ACME", "+447700900123"], b"447700900123", true);
        check(&["1202*", "12*"], b"1300", false);
        check(&["1202*", "12*"], b"1210", true);
        assert!(Sources::any().allow(b"x"));
    }
}
