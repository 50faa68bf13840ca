//! Documents name no place on one person's machine.

use super::Finding;

/// Beginnings of paths that exist on one machine only.
const PLACES: [&str; 5] = ["/home/", "/root/", "/Users/", "/work/", "C:\\Users"];

pub(super) fn check(documents: &[(String, String)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in documents {
        for (number, line) in (1..).zip(text.lines()) {
            let place = PLACES.iter().find(|place| {
                let starts =
                    |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || ".-_/".contains(c));
                line.match_indices(**place).any(|(at, _)| starts(at))
            });
            if let Some(place) = place {
                findings.push(Finding::new(path, number, format!("names a place on one machine: {place}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_places_are_found_and_relative_ones_are_not() {
        for (text, count) in [
            ("run /home/me/gateway", 1),
            ("(`/root/x`)", 1),
            ("see https://example.org/home/page", 0),
            ("see docs/work/plan.md", 0),
        ] {
            assert_eq!(check(&[("a.md".to_owned(), text.to_owned())]).len(), count, "{text}");
        }
    }
}
