//! Whose an MO is: the owner of the number it was sent to or, where customers share the number, the owner of its first
//! word.

use crate::keyword::{Word, keyword};
use crate::message::AccountId;
use crate::snapshot::{Account, Mistake, NUMBER_LENGTH_MAX};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smpp::field::DataCoding;

/// One keyword of a number, as configured.
#[derive(Clone, Debug)]
pub struct KeywordRule {
    /// Digits, a leading `+` is skipped. It need not be among the numbers of an account: without one, what fits no
    /// keyword is an orphan.
    pub number: Box<str>,
    /// First word of the text, compared without ASCII case; see [`crate::is_keyword`].
    pub keyword: Box<str>,
    /// Whose the message is then.
    pub account: AccountId,
}

/// Numbers by their digits, without `+`.
pub(crate) type Numbers = HashMap<Box<[u8]>, NumberOwners, FixedState>;

/// What is known of one number.
#[derive(Clone, Debug, Default)]
pub struct NumberOwners {
    default: Option<AccountId>,
    /// Sorted by keyword.
    keywords: Vec<(Box<str>, AccountId)>,
    gathers: bool,
}

impl NumberOwners {
    /// Whose it is where no keyword fits.
    pub fn default_owner(&self) -> Option<AccountId> {
        self.default
    }

    /// Whether messages from this number may be an account's: it is nobody's, its own, or shared with it.
    pub(crate) fn may_send(&self, account: AccountId) -> bool {
        self.default.is_none_or(|owner| owner == account)
            || self.keywords.iter().any(|(_, owner)| *owner == account)
    }

    /// Whether the owner of a part may follow from another part, or all parts may become one: then they are gathered.
    pub fn gathers(&self) -> bool {
        self.gathers
    }

    /// Whether the text can decide about the owner.
    pub(crate) fn has_keywords(&self) -> bool {
        !self.keywords.is_empty()
    }

    /// Whose a text is that begins here, its user data header taken off.
    pub fn owner(&self, data_coding: DataCoding, text: &[u8]) -> Option<AccountId> {
        if self.keywords.is_empty() {
            return self.default;
        }
        let word = Word::first_of(data_coding, text);
        let account = word.and_then(|word| self.keyword_owner(word.as_str()));
        account.or(self.default)
    }

    fn keyword_owner(&self, word: &str) -> Option<AccountId> {
        let found = self.keywords.binary_search_by(|(keyword, _)| keyword.as_ref().cmp(word));
        found.ok().map(|place| self.keywords[place].1)
    }
}

/// A number as it is looked up, if it is one: 1 to 20 digits.
pub(crate) fn digits_of(number: &str) -> Option<&[u8]> {
    let digits = crate::route::without_plus(number.as_bytes());
    let fits = (1..=NUMBER_LENGTH_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    fits.then_some(digits)
}

/// Gives a number to an account; false when it has an owner already.
pub(crate) fn give(numbers: &mut Numbers, digits: &[u8], account: &Account) -> bool {
    let number = numbers.entry(digits.into()).or_default();
    number.gathers |= account.reassemble;
    number.default.replace(account.id).is_none()
}

/// Adds the keywords to the numbers that have owners already.
pub(crate) fn add_keywords<V>(
    numbers: &mut Numbers,
    rules: &[KeywordRule],
    accounts: &HashMap<AccountId, V, FixedState>,
    mistakes: &mut Vec<Mistake>,
) {
    for (rule, configured) in rules.iter().enumerate() {
        let known = accounts.contains_key(&configured.account);
        if !known {
            mistakes.push(Mistake::KeywordAccountUnknown { rule });
        }
        let digits = digits_of(&configured.number);
        if digits.is_none() {
            mistakes.push(Mistake::KeywordNumberInvalid { rule });
        }
        let word = keyword(&configured.keyword);
        if word.is_none() {
            mistakes.push(Mistake::KeywordInvalid { rule });
        }
        let (Some(digits), Some(word)) = (digits, word) else { continue };
        let number = numbers.entry(digits.into()).or_default();
        number.gathers = true;
        match number.keywords.binary_search_by(|(keyword, _)| keyword.cmp(&word)) {
            Ok(_) => mistakes.push(Mistake::KeywordTwice { rule }),
            Err(place) => number.keywords.insert(place, (word, configured.account)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Snapshot, SnapshotInput};

    fn rule(number: &str, keyword: &str, account: &str) -> KeywordRule {
        KeywordRule {
            number: number.into(),
            keyword: keyword.into(),
            account: AccountId::of_name(account.as_bytes()),
        }
    }

    fn input(keywords: Vec<KeywordRule>) -> SnapshotInput {
        let shop = Account { numbers: vec!["+100".into()], ..Account::new("shop") };
        let bank = Account { numbers: vec!["300".into()], reassemble: true, ..Account::new("bank") };
        SnapshotInput { accounts: vec![shop, bank], keywords, ..SnapshotInput::default() }
    }

    #[test]
    fn the_first_word_decides_and_else_the_number() {
        let rules = vec![rule("100", "WIN", "bank"), rule("+200", "win", "shop"), rule("200", "Äh", "bank")];
        let snapshot = Snapshot::compile(input(rules)).unwrap();
        let check = |number: &[u8], text: &[u8], expected: Option<&str>| {
            let owner = snapshot.number(number).and_then(|number| number.owner(DataCoding(3), text));
            let expected = expected.map(|name| AccountId::of_name(name.as_bytes()));
            assert_eq!(owner, expected, "{}", text.escape_ascii());
        };
        check(b"100", b"win a car", Some("bank"));
        check(b"+100", b"Win", Some("bank"));
        check(b"100", b"winner", Some("shop"));
        check(b"100", b"", Some("shop"));
        check(b"200", b"WIN", Some("shop"));
        check(b"200", b"\xc4H", Some("bank"));
        check(b"200", b"\xe4h", None); // beyond ASCII the case counts
        check(b"200", b"lose", None);
        check(b"300", b"win", Some("bank"));
        check(b"400", b"win", None);
        assert_eq!(snapshot.owner(b"100"), Some(AccountId::of_name(b"shop")));
        assert_eq!(snapshot.owner(b"200"), None);
        let gathers = |number: &[u8]| snapshot.number(number).unwrap().gathers();
        assert!(gathers(b"100") && gathers(b"200") && gathers(b"300"));
        let plain = Snapshot::compile(input(Vec::new())).unwrap();
        assert!(!plain.number(b"100").unwrap().gathers());
    }

    #[test]
    fn refuses_the_number_of_another_customer_as_a_source() {
        let rules = vec![rule("100", "win", "bank"), rule("200", "win", "bank")];
        let mut input = input(rules);
        input.accounts.push(Account { sources_of_others: true, ..Account::new("agency") });
        input.accounts.push(Account::new("stranger"));
        let snapshot = Snapshot::compile(input).unwrap();
        let check = |account: &str, source: &[u8], expected: bool| {
            let account = snapshot.account(AccountId::of_name(account.as_bytes())).unwrap();
            let found = snapshot.may_send_from(account, source);
            assert_eq!(found, expected, "{} from {}", account.name, source.escape_ascii());
        };
        check("shop", b"100", true);
        check("bank", b"+100", true); // it has a keyword there
        check("shop", b"+300", false);
        check("stranger", b"100", false);
        check("stranger", b"200", true); // it has no owner
        check("stranger", b"400", true);
        check("agency", b"300", true);
    }

    #[test]
    fn all_mistakes_are_reported() {
        let rules = vec![
            rule("100", "win", "shop"),
            rule("+100", "WIN", "bank"),
            rule("", "win", "shop"),
            rule("1x", "two words", "nobody"),
        ];
        let mistakes = Snapshot::compile(input(rules)).unwrap_err();
        let expected = [
            Mistake::KeywordTwice { rule: 1 },
            Mistake::KeywordNumberInvalid { rule: 2 },
            Mistake::KeywordAccountUnknown { rule: 3 },
            Mistake::KeywordNumberInvalid { rule: 3 },
            Mistake::KeywordInvalid { rule: 3 },
        ];
        assert_eq!(mistakes, expected);
    }
}
