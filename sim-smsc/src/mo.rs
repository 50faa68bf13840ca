//! Messages from handsets.

use ledger::MessageKey;

use crate::decide::{Decider, Purpose};

/// How a mobile-originated message looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MoForm {
    /// One deliver_sm.
    #[default]
    Plain,
    /// Two parts with a user data header and an 8-bit reference.
    Udh,
    /// The same with a 16-bit reference.
    Udh16,
}

/// Which messages from handsets a site sends.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MoRule {
    /// Messages a second from the start of the timeline on; 0 = none.
    pub rate: f64,
    /// Messages in all; 0 = no end.
    pub count: u64,
    /// How they look.
    pub form: MoForm,
    /// system_id of the account that gets them; the first of the site unless named.
    pub account: Option<String>,
    /// Number of the handset.
    pub source: String,
    /// Numbers written to, drawn evenly.
    pub destinations: Vec<String>,
    /// First words of the first part, drawn evenly; ASCII. A message with one does not begin with its key any more,
    /// so that ledgers do not join it. None: every message begins with its key.
    pub keywords: Vec<String>,
    /// Texts behind the message key, drawn evenly; GSM 7-bit characters of ASCII.
    pub texts: Vec<String>,
}

impl MoRule {
    /// deliver_sms of one message.
    pub(crate) fn parts(&self) -> u8 {
        match self.form {
            MoForm::Plain => 1,
            MoForm::Udh | MoForm::Udh16 => 2,
        }
    }

    pub(crate) fn destination(&self, decider: &Decider, key: &MessageKey) -> &str {
        let whole = MessageKey { segment: 0, ..*key };
        let draw = decider.misfortune(&whole, Purpose::Route, 0);
        self.destinations.get(draw.below(self.destinations.len())).map_or("", String::as_str)
    }

    /// Writes the payload of one part: header where the form has one, keyword in the first part, key, text.
    pub(crate) fn write(&self, decider: &Decider, key: &MessageKey, out: &mut Vec<u8>) {
        let [.., high, low] = key.sequence.to_be_bytes();
        let (parts, number) = (self.parts(), key.segment + 1);
        match self.form {
            MoForm::Plain => {}
            MoForm::Udh => out.extend_from_slice(&[5, 0, 3, low, parts, number]),
            MoForm::Udh16 => out.extend_from_slice(&[6, 8, 4, high, low, parts, number]),
        }
        let draw = decider.misfortune(key, Purpose::MoKeyword, 0);
        if let (Some(word), 0) = (self.keywords.get(draw.below(self.keywords.len())), key.segment) {
            out.extend(word.bytes().take(KEYWORD_MAX));
            out.push(b' ');
        }
        let mut head = [0; MessageKey::TEXT_LENGTH];
        key.write(&mut head);
        out.extend_from_slice(&head);
        let draw = decider.misfortune(key, Purpose::MoText, 0);
        if let Some(text) = self.texts.get(draw.below(self.texts.len())) {
            out.push(b' ');
            out.extend(text.bytes().take(TEXT_MAX));
        }
    }

    pub(crate) fn esm_class(&self) -> u8 {
        match self.form {
            MoForm::Plain => 0,
            MoForm::Udh | MoForm::Udh16 => 0x40,
        }
    }
}

/// Octets of text behind the key: with key, keyword and header it stays within one short message.
const TEXT_MAX: usize = 80;
/// Octets of a keyword.
const KEYWORD_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_in_both_forms() {
        let decider = Decider::new(1, "a");
        for (form, parts) in [(MoForm::Plain, 1), (MoForm::Udh, 2), (MoForm::Udh16, 2)] {
            let rule = MoRule { form, texts: vec!["STOP".into()], ..MoRule::default() };
            assert_eq!(rule.parts(), parts);
            for segment in 0..parts {
                let key = MessageKey { run: 1, account: 0, sequence: 77, segment };
                let mut payload = Vec::new();
                rule.write(&decider, &key, &mut payload);
                assert_eq!(MessageKey::find(&payload, rule.esm_class(), 0), Some(key));
                assert!(payload.ends_with(b" STOP"));
            }
        }
    }

    #[test]
    fn a_keyword_begins_the_first_part() {
        let decider = Decider::new(1, "a");
        let keywords = vec!["win".to_owned(), "pay".into()];
        let rule = MoRule { form: MoForm::Udh16, keywords: keywords.clone(), ..MoRule::default() };
        let mut seen = std::collections::BTreeSet::new();
        for sequence in 0x0102..0x0132 {
            for segment in 0..2 {
                let key = MessageKey { run: 1, account: 0, sequence, segment };
                let mut payload = Vec::new();
                rule.write(&decider, &key, &mut payload);
                assert_eq!(payload[..7], [6, 8, 4, 1, sequence as u8, 2, segment + 1]);
                if segment == 0 {
                    seen.insert(String::from_utf8(payload[7..10].to_vec()).unwrap());
                    assert_eq!(payload[10], b' ');
                } else {
                    assert_eq!(MessageKey::find(&payload, rule.esm_class(), 0), Some(key));
                }
            }
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["pay", "win"]);
    }

    #[test]
    fn parts_go_to_one_number() {
        let decider = Decider::new(1, "a");
        let destinations: Vec<_> = (0..9).map(|n| format!("1202555010{n}")).collect();
        let rule = MoRule { destinations: destinations.clone(), ..MoRule::default() };
        let mut seen = std::collections::BTreeSet::new();
        for sequence in 0..200 {
            let part = |segment| MessageKey { run: 1, account: 0, sequence, segment };
            let number = rule.destination(&decider, &part(0));
            assert_eq!(number, rule.destination(&decider, &part(1)));
            seen.insert(number.to_owned());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), destinations);
    }
}
