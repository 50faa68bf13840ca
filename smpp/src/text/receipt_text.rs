//! The text of a delivery receipt (SMPP 3.4 Appendix B).
//!
//! The standard leaves the text to the vendor. It is scanned field by field: any order, any case of keys,
//! fields missing. A field counts at its first occurrence, and nothing counts from the text field on: that is
//! the customer's content, which may look like fields. Only `text:` followed by a space and `stat:`, with no stat before,
//! is a field that its vendor left empty. A comma or semicolon ends a value where another field follows, or nothing.

use core::ops::Range;

use bytes::BytesMut;

use crate::field::MessageState;

/// The fields of a receipt text, as they stand there. A missing field is empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Receipt<'a> {
    /// The vendor's message id.
    pub id: &'a [u8],
    /// Messages submitted, 3 digits.
    pub sub: &'a [u8],
    /// Messages delivered, 3 digits.
    pub dlvrd: &'a [u8],
    /// When the message was submitted; see [`super::receipt::parse_date`].
    pub submit_date: &'a [u8],
    /// When it reached its final state.
    pub done_date: &'a [u8],
    /// The word for the state.
    pub stat: &'a [u8],
    /// The state that the word means; `None` when the word is not in the table, which only the vendor's own
    /// documents explain.
    pub state: Option<MessageState>,
    /// Error code of the network or the vendor: digits or letters of any length.
    pub err: &'a [u8],
    /// The first characters of the message. The customer's content: never trusted.
    pub text: &'a [u8],
}

impl<'a> Receipt<'a> {
    /// Scans a receipt text. `None` when it has neither an id nor a stat field.
    pub fn parse(text: &'a [u8]) -> Option<Receipt<'a>> {
        let mut receipt = Receipt::default();
        let mut seen = 0u8;
        for field in Fields::new(text) {
            let bit = 1 << field.key as u8;
            if seen & bit != 0 {
                continue;
            }
            seen |= bit;
            let value = &text[field.value];
            match field.key {
                Key::Id => receipt.id = value,
                Key::Sub => receipt.sub = value,
                Key::Dlvrd => receipt.dlvrd = value,
                Key::SubmitDate => receipt.submit_date = value,
                Key::DoneDate => receipt.done_date = value,
                Key::Stat => receipt.stat = value,
                Key::Err => receipt.err = value,
                Key::Text => receipt.text = value,
            }
        }
        receipt.state = state_of_word(receipt.stat);
        (seen & (1 << Key::Id as u8 | 1 << Key::Stat as u8) != 0).then_some(receipt)
    }

    /// Appends the text in the order of Appendix B. Empty fields are left out, save id, stat and text.
    /// Without a `stat` word the standard word of `state` is written.
    pub fn write(&self, out: &mut BytesMut) {
        self.write_with(b"text:", out);
    }

    /// The same with another spelling of the last key, such as `Text:`.
    pub fn write_with(&self, text_key: &[u8], out: &mut BytesMut) {
        let stat = match self.state {
            Some(state) if self.stat.is_empty() => state.stat().as_bytes(),
            _ => self.stat,
        };
        out.extend_from_slice(b"id:");
        out.extend_from_slice(self.id);
        for (key, value) in [
            (&b" sub:"[..], self.sub),
            (b" dlvrd:", self.dlvrd),
            (b" submit date:", self.submit_date),
            (b" done date:", self.done_date),
            (b" stat:", stat),
            (b" err:", self.err),
        ] {
            if !value.is_empty() || key == b" stat:" {
                out.extend_from_slice(key);
                out.extend_from_slice(value);
            }
        }
        out.extend_from_slice(b" ");
        out.extend_from_slice(text_key);
        out.extend_from_slice(self.text);
    }
}

/// The state that a stat word means, in any case of letters: the seven-letter words of Appendix B and the
/// full names of SMPP 3.4 §5.2.28. `None` for any other word.
pub fn state_of_word(word: &[u8]) -> Option<MessageState> {
    let named =
        |(name, state): &(&str, MessageState)| name.as_bytes().eq_ignore_ascii_case(word).then_some(*state);
    MessageState::from_stat(word).or_else(|| FULL_NAMES.iter().find_map(named))
}

/// Writes the receipt text `original` with another id and every other octet as it was. False when there is no
/// id field; then the text is copied unchanged.
pub fn rewrite(original: &[u8], id: &[u8], out: &mut BytesMut) -> bool {
    match Fields::new(original).find(|field| field.key == Key::Id) {
        Some(Field { value, .. }) => {
            out.extend_from_slice(&original[..value.start]);
            out.extend_from_slice(id);
            out.extend_from_slice(&original[value.end..]);
            true
        }
        None => {
            out.extend_from_slice(original);
            false
        }
    }
}

/// `value` without the NULs at its end.
pub(super) fn without_nuls(mut value: &[u8]) -> &[u8] {
    while let [before @ .., 0] = value {
        value = before;
    }
    value
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
    Id,
    Sub,
    Dlvrd,
    SubmitDate,
    DoneDate,
    Stat,
    Err,
    Text,
}

/// Keys in lower case; a space matches an underscore too.
const KEYS: [(Key, &[u8]); 8] = [
    (Key::Id, b"id:"),
    (Key::Sub, b"sub:"),
    (Key::Dlvrd, b"dlvrd:"),
    (Key::SubmitDate, b"submit date:"),
    (Key::DoneDate, b"done date:"),
    (Key::Stat, b"stat:"),
    (Key::Err, b"err:"),
    (Key::Text, b"text:"),
];

const FULL_NAMES: [(&str, MessageState); 5] = [
    ("DELIVERED", MessageState::Delivered),
    ("UNDELIVERABLE", MessageState::Undeliverable),
    ("UNDELIVERED", MessageState::Undeliverable),
    ("ACCEPTED", MessageState::Accepted),
    ("REJECTED", MessageState::Rejected),
];

/// A field and where its value stands.
#[derive(Debug)]
struct Field {
    key: Key,
    value: Range<usize>,
}

/// Iterator over the fields, to the text field at most.
struct Fields<'a> {
    text: &'a [u8],
    position: usize,
    has_stat: bool,
}

impl<'a> Fields<'a> {
    fn new(text: &'a [u8]) -> Fields<'a> {
        Fields { text, position: 0, has_stat: false }
    }

    /// The key that begins at `at`, and where its value begins.
    fn key_at(&self, at: usize) -> Option<(Key, usize)> {
        let rest = self.text.get(at..)?;
        KEYS.iter().find(|(_, name)| begins_with_key(rest, name)).map(|(key, name)| (*key, at + name.len()))
    }

    fn end_of(&self, from: usize, class: impl Fn(u8) -> bool) -> usize {
        from + self.text[from..].iter().take_while(|&&octet| class(octet)).count()
    }

    /// Where what begins here ends: at a separator, or at a comma or semicolon with nothing but another field behind it.
    fn value_end(&self, from: usize) -> usize {
        let is_end = |&(at, octet): &(usize, &u8)| {
            may_end_value(*octet) && (!is_mark(*octet) || self.ends_field(from + at))
        };
        let end = self.text[from..].iter().enumerate().find(is_end);
        end.map_or(self.text.len(), |(at, _)| from + at)
    }

    /// Whether nothing but another field follows the comma or semicolon here.
    #[cold]
    fn ends_field(&self, mark: usize) -> bool {
        let next = self.end_of(mark + 1, may_end_value);
        next == self.text.len() || self.key_at(next).is_some()
    }

    /// A vendor left the text field empty, and others follow it behind a space. Without the space it is content.
    fn is_left_empty(&self, from: usize) -> bool {
        let next = self.end_of(from, |octet| octet == b' ');
        next > from && !self.has_stat && matches!(self.key_at(next), Some((Key::Stat, _)))
    }

    /// The value behind a key: to the next separator, or nothing when another key comes first.
    fn value(&self, key: Key, from: usize) -> Range<usize> {
        if key == Key::Text && self.is_left_empty(from) {
            return from..from;
        }
        if key == Key::Text {
            return from..from + without_nuls(&self.text[from..]).len();
        }
        let start = self.end_of(from, |octet| octet == b' ');
        // An id written in place of nothing would run into a key that follows without a space.
        let key_may_follow = start > from || key != Key::Id;
        if start == self.text.len() || key_may_follow && self.key_at(start).is_some() {
            return from..from;
        }
        let mut end = self.value_end(start);
        if matches!(key, Key::SubmitDate | Key::DoneDate) {
            end = self.date_end(end);
        }
        if start == end { from..from } else { start..end }
    }

    /// Some dates have a time of day or a zone behind a space.
    fn date_end(&self, mut end: usize) -> usize {
        loop {
            let next = self.end_of(end, |octet| octet == b' ');
            match self.text.get(next) {
                Some(b'0'..=b'9' | b'+' | b'-') => end = self.value_end(next),
                _ => return end,
            }
        }
    }
}

impl Iterator for Fields<'_> {
    type Item = Field;

    fn next(&mut self) -> Option<Field> {
        loop {
            self.position = self.end_of(self.position, may_end_value);
            if self.position == self.text.len() {
                return None;
            }
            let Some((key, from)) = self.key_at(self.position) else {
                self.position = self.value_end(self.position);
                continue;
            };
            let value = self.value(key, from);
            let is_last = key == Key::Text && !self.is_left_empty(from);
            self.position = if is_last { self.text.len() } else { value.end.max(from) };
            self.has_stat |= key == Key::Stat;
            return Some(Field { key, value });
        }
    }
}

fn begins_with_key(text: &[u8], name: &[u8]) -> bool {
    text.len() >= name.len()
        && text.iter().zip(name).all(|(octet, expected)| {
            octet.to_ascii_lowercase() == *expected || (*expected == b' ' && *octet == b'_')
        })
}

const fn is_no_separator(octet: u8) -> bool {
    !octet.is_ascii_whitespace() && octet != 0
}

const fn is_mark(octet: u8) -> bool {
    octet == b',' || octet == b';'
}

fn may_end_value(octet: u8) -> bool {
    MAY_END_VALUE[usize::from(octet)]
}

/// Separators and marks, so that other octets cost one look each.
static MAY_END_VALUE: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < table.len() {
        table[octet] = !is_no_separator(octet as u8) || is_mark(octet as u8);
        octet += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check_rewrite(original: &[u8], expected: &[u8]) {
        let mut out = BytesMut::new();
        assert_eq!(rewrite(original, b"NEW", &mut out), original != expected);
        assert_eq!(&out[..], expected);
    }

    #[test]
    fn only_the_id_is_rewritten() {
        check_rewrite(b"id:1 stat:DELIVRD text:id:1", b"id:NEW stat:DELIVRD text:id:1");
        check_rewrite(b"ID: 77  stat:X\r\n", b"ID: NEW  stat:X\r\n");
        check_rewrite(b"stat:X id:", b"stat:X id:NEW");
        check_rewrite(b"id: sub:001", b"id:NEW sub:001");
        check_rewrite(b"id:1\0", b"id:NEW\0");
        check_rewrite(b"stat:X text:id:1", b"stat:X text:id:1");
        check_rewrite(b"", b"");
        check_rewrite(b"id:1,stat:X,err:0", b"id:NEW,stat:X,err:0");
        check_rewrite(b"sub:001;id:1; stat:X", b"sub:001;id:NEW; stat:X");
    }

    #[test]
    fn commas_and_semicolons_between_fields() {
        for text in [
            &b"id:77,sub:001,dlvrd:001,submit date:2601010000,done date:2601010001,stat:DELIVRD,err:000,text:a,b"[..],
            b"id:77;sub:001;dlvrd:001;submit date:2601010000;done date:2601010001;stat:DELIVRD;err:000;text:a,b",
            b"id:77, sub:001, dlvrd:001, submit date:2601010000, done date:2601010001, stat:DELIVRD, err:000, text:a,b",
        ] {
            let receipt = Receipt::parse(text).unwrap();
            let fields = (receipt.id, receipt.sub, receipt.submit_date, receipt.stat, receipt.err, receipt.text);
            let expected = (&b"77"[..], &b"001"[..], &b"2601010000"[..], &b"DELIVRD"[..], &b"000"[..], &b"a,b"[..]);
            assert_eq!(fields, expected, "{}", text.escape_ascii());
        }
        // Within a value they are part of it.
        assert_eq!(
            Receipt::parse(b"id:1,2;3 stat:X,").map(|receipt| (receipt.id, receipt.stat)),
            Some((&b"1,2;3"[..], &b"X"[..]))
        );
    }

    #[test]
    fn a_text_left_empty_ends_nothing() {
        let receipt = Receipt::parse(b"id:7 sub:001 text: stat:DELIVRD err:000").unwrap();
        assert_eq!(
            (receipt.id, receipt.stat, receipt.err, receipt.text),
            (&b"7"[..], &b"DELIVRD"[..], &b"000"[..], &b""[..])
        );
        // What a customer wrote behind a stat is its own.
        let receipt = Receipt::parse(b"id:7 stat:UNDELIV text: stat:DELIVRD id:8").unwrap();
        assert_eq!((receipt.id, receipt.stat), (&b"7"[..], &b"UNDELIV"[..]));
        let receipt = Receipt::parse(b"id:7 text:hello stat:DELIVRD").unwrap();
        assert_eq!((receipt.stat, receipt.text), (&b""[..], &b"hello stat:DELIVRD"[..]));
    }

    #[test]
    fn a_written_receipt_has_the_standard_form() {
        let receipt = Receipt {
            id: b"0123456789",
            sub: b"001",
            dlvrd: b"001",
            submit_date: b"2501020304",
            done_date: b"2501020305",
            state: Some(MessageState::Delivered),
            err: b"000",
            text: b"Hello",
            ..Receipt::default()
        };
        let mut out = BytesMut::new();
        receipt.write(&mut out);
        let expected = b"id:0123456789 sub:001 dlvrd:001 submit date:2501020304 done date:2501020305 \
            stat:DELIVRD err:000 text:Hello";
        assert_eq!(&out[..], &expected[..]);
        out.clear();
        Receipt { id: b"1", stat: b"ODD", ..Receipt::default() }.write_with(b"Text:", &mut out);
        assert_eq!(&out[..], b"id:1 stat:ODD Text:");
    }
}
