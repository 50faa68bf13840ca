//! No vendor's name in code: a deviation is a field of `Dialect`, a vendor is a preset file.

use super::Finding;
use super::source::Source;

const NAMES: [&str; 12] = [
    "sinch",
    "twilio",
    "vonage",
    "nexmo",
    "infobip",
    "messagebird",
    "clickatell",
    "telnyx",
    "plivo",
    "syniverse",
    "tyntec",
    "kaleyra",
];
/// Where a name may stand: the simulator with its profiles, the demo that plays two sites, and this list.
const EXEMPT: [&str; 3] = ["sim-smsc/", "xtask/src/demo/", "xtask/src/walls/vendors.rs"];

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let bound = sources.iter().filter(|source| !EXEMPT.iter().any(|exempt| source.path.starts_with(exempt)));
    bound
        .flat_map(|source| {
            source.before_tests(&source.code).filter_map(|(number, line)| {
                let line = line.to_lowercase();
                let name = NAMES.iter().find(|name| line.contains(**name))?;
                Some(Finding::new(&source.path, number, format!("names the vendor {name}")))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_code_is_found_and_one_in_a_comment_or_a_test_is_not() {
        for (path, text, count) in [
            ("smpp/src/a.rs", "if name == \"Sinch\" {}", 1),
            ("smpp/src/a.rs", "fn twilio_quirk() {}", 1),
            ("smpp/src/a.rs", "// seen at Infobip", 0),
            (
                "smpp/src/a.rs",
                "fn a() {}\n#[cfg(test)]\nmod tests {\n const A: &str = \"Sinch_Chicago\"; }",
                0,
            ),
            ("gateway/tests/a.rs", "const A: &str = \"Sinch_Chicago\";", 0),
            ("sim-smsc/src/profiles/mod.rs", "const A: &str = \"sinch-default\";", 0),
        ] {
            assert_eq!(check(&[Source::new(path, text)]).len(), count, "{path}: {text}");
        }
    }
}
