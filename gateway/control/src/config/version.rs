//! `interface_version` of a `[[customer]]` or `[[vendor]]`: which SMPP is spoken to it.

use super::reader::Section;
use super::setting::Kind;
use smpp::version::Version;

/// What the setting of a customer may be.
pub(super) const OF_CUSTOMER: Kind = Kind::Choice(&["as_bound", "0x33", "0x34"]);
/// What the setting of a vendor may be.
pub(super) const OF_VENDOR: Kind = Kind::Choice(&["0x33", "0x34"]);

/// The version; nothing where the peer's bind says it.
pub(super) fn version(section: &Section<'_>) -> Option<Version> {
    match section.text("interface_version").as_str() {
        "0x33" => Some(Version::V33),
        "0x34" => Some(Version::V34),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{build, parse};
    use relay::RangePolicy;
    use smpp::version::Version;
    use std::path::Path;

    const GOOD: &str = r#"
[node]
id = 1
[listen]
smpp = "127.0.0.1:0"
http = "127.0.0.1:0"
[[customer]]
system_id = "acme"
password = "secret"
[[vendor]]
name = "west"
addresses = ["127.0.0.1:3611"]
system_id = "gw01"
password = "secret"
"#;

    fn with(customer: &str, vendor: &str) -> String {
        let text = GOOD.replacen("[[vendor]]", &format!("{customer}\n[[vendor]]\n{vendor}"), 1);
        text.replacen("[node]", "[node]\nname = \"gw1\"", 1)
    }

    fn mistakes(customer: &str, vendor: &str) -> Vec<String> {
        let parsed = parse(Path::new("gw.toml"), &with(customer, vendor), &[]);
        parsed.map(|_| Vec::new()).unwrap_or_else(|list| list.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn versions_are_words_or_hexadecimal_numbers() {
        for (written, of_customer, of_vendor) in [
            ("", None, Version::V34),
            ("interface_version = 0x33", Some(Version::V33), Version::V33),
            ("interface_version = \"0x33\"", Some(Version::V33), Version::V33),
            ("interface_version = 0x34", Some(Version::V34), Version::V34),
        ] {
            let built = build(&parse(Path::new("gw.toml"), &with(written, written), &[]).unwrap()).unwrap();
            let account = &built.plan.snapshot.accounts()[0];
            assert_eq!(
                (account.version, account.address_range),
                (of_customer, RangePolicy::Ignore),
                "{written}"
            );
            assert_eq!(
                (built.plan.customers[0].version, built.plan.vendors[0].version),
                (of_customer, of_vendor)
            );
            assert_eq!(built.plan.snapshot.vendors()[0].version, of_vendor, "{written}");
        }
        for wrong in ["51", "0x32", "\"3.3\""] {
            let said = mistakes(&format!("interface_version = {wrong}"), "");
            assert_eq!(said.len(), 1, "{wrong}: {said:?}");
            assert!(said[0].contains("interface_version"), "{said:?}");
        }
        assert_eq!(mistakes("", "interface_version = \"as_bound\"").len(), 1);
    }

    #[test]
    fn what_a_bind_says_is_set() {
        let vendor = "addr_ton = 1\naddr_npi = 9\naddress_range = \"^1202\"";
        let config = parse(Path::new("gw.toml"), &with("address_range = \"prefer\"", vendor), &[]).unwrap();
        let plan = build(&config).unwrap().plan;
        let vendor = &plan.vendors[0];
        assert_eq!((vendor.addr_ton.0, vendor.addr_npi.0, &*vendor.address_range), (1, 9, "^1202"));
        assert!(plan.customers[0].has_ranges);
        assert_eq!(plan.snapshot.accounts()[0].address_range, RangePolicy::Prefer);
        let long = format!("address_range = \"{}\"", "1".repeat(41));
        assert_eq!(mistakes("", &long).len(), 1);
        let said = mistakes("reassemble = true\ninterface_version = 0x33", "");
        assert!(said.len() == 1 && said[0].contains("message_payload"), "{said:?}");
    }
}
