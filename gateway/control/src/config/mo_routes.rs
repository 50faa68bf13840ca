//! `[[mo_route]]`: whose a message from a handset is by its first word, where customers share a number.

use super::customers::check_digits;
use super::mistake::At;
use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};

/// Keywords of one number that lead to one customer.
#[derive(Clone, Debug)]
pub struct MoRoute {
    /// The number written to.
    pub number: At<String>,
    /// First words, each as it was written.
    pub keywords: Vec<At<String>>,
    /// Whose the messages are.
    pub customer: At<String>,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "mo_route",
    entry_key: None,
    help: "Which customer gets a message from a handset, by its first word, where customers share a number. What fits no keyword goes to the customer that has the number among its numbers; without one it is kept apart as an orphan.",
    settings: &[
        Setting {
            key: "number",
            kind: Kind::Text { bytes_max: 21 },
            default: Fallback::Required,
            help: "The number written to. Digits; a leading + is skipped.",
        },
        Setting {
            key: "keywords",
            kind: Kind::Texts { bytes_max: 80 },
            default: Fallback::Required,
            help: "First words of the text, 1 to 20 characters each. The case of ASCII letters does not matter, that of others does: write both. A word ends at white space, so \"stop.\" is another than \"stop\".",
        },
        Setting {
            key: "customer",
            kind: Kind::Text { bytes_max: 15 },
            default: Fallback::Required,
            help: "Whose the messages are: system_id of a customer.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> MoRoute {
    let text = |key| section.text_at(key).unwrap_or_else(|| At::new(String::new(), section.place.clone()));
    let number = text("number");
    if section.has("number") {
        check_digits(section, &number, 1);
    }
    let keywords = section.texts("keywords");
    if section.has("keywords") && keywords.is_empty() {
        section.mistake("keywords", "keywords is an empty list", "name at least one");
    }
    for keyword in keywords.iter().filter(|keyword| !relay::is_keyword(&keyword.value)) {
        let what = format!("\"{}\" is no keyword", keyword.value.escape_debug());
        let remedy = format!("write 1 to {} characters without white space", relay::KEYWORD_LENGTH_MAX);
        section.mistake_at(&keyword.place, &what, &remedy);
    }
    MoRoute { number, keywords, customer: text("customer") }
}
