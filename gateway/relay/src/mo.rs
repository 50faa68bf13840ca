//! Whose an MO is: by the number it was sent to and, where customers share that, by its first word.

use crate::message::{AccountId, Key};
use crate::part::MoPart;
use crate::relay::Relay;
use smpp::field::DataCoding;
use smpp::text::segment::{Part, Udh};
use smpp::time::Instant;
use smpp::tlv::Tlvs;

/// What deliver_sm and data_sm say of an MO.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mo<'a> {
    /// The whole PDU; all else lies in it.
    pub(crate) frame: &'a [u8],
    pub(crate) source: &'a [u8],
    pub(crate) destination: &'a [u8],
    pub(crate) has_header: bool,
    pub(crate) data_coding: DataCoding,
    /// short_message or message_payload, with its user data header.
    pub(crate) payload: &'a [u8],
    pub(crate) tlvs: Tlvs<'a>,
}

impl<'a> Mo<'a> {
    /// The text, and whether a header before it says nothing but the place of a part. No text where the header is
    /// longer than the payload.
    fn text(&self) -> Option<(&'a [u8], bool)> {
        if !self.has_header {
            return Some((self.payload, true));
        }
        Udh::split(self.payload).map(|(header, text)| (text, header.is_only_part()))
    }

    fn part(&self) -> Option<MoPart> {
        let part = Part::find(self.has_header, self.payload, &self.tlvs)?;
        let (text, is_plain) = self.text()?;
        Some(MoPart::new(part, self, text, is_plain))
    }
}

impl Relay {
    /// An MO belongs to the account that owns its destination, or its destination's keyword.
    pub(crate) fn find_owner(&mut self, now: Instant, key: Key, mo: &Mo<'_>) {
        let Some(number) = self.snapshot.number(mo.destination) else { return self.orphan(now, key) };
        if number.gathers()
            && let Some(part) = mo.part()
        {
            return self.take_part(now, key, part);
        }
        let owner = match mo.text() {
            Some((text, _)) => number.owner(mo.data_coding, text),
            None => number.default_owner(),
        };
        self.give_to_owner(now, key, owner);
    }

    /// Delivers to its owner; without one it is an orphan.
    pub(crate) fn give_to_owner(&mut self, now: Instant, key: Key, owner: Option<AccountId>) {
        match owner {
            Some(account) => self.give_to(now, key, account),
            None => self.orphan(now, key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(has_header: bool, payload: &[u8], text: Option<(&[u8], bool)>, is_part: bool) {
        let mo = Mo {
            frame: payload,
            source: b"",
            destination: b"",
            has_header,
            data_coding: DataCoding::DEFAULT,
            payload,
            tlvs: Tlvs::default(),
        };
        assert_eq!((mo.text(), mo.part().is_some()), (text, is_part), "{payload:02x?}");
    }

    #[test]
    fn the_text_begins_behind_the_header() {
        check(false, b"\x05\0\x03\x01\x02\x01win", Some((b"\x05\0\x03\x01\x02\x01win", true)), false);
        check(true, b"\x05\0\x03\x01\x02\x01win", Some((b"win", true)), true);
        check(true, b"\x06\x08\x04\x01\x01\x02\x01win", Some((b"win", true)), true);
        check(true, b"\x03\x24\x01\x01win", Some((b"win", false)), false);
        check(true, b"\x05\0\x03\x01\x02\x01", Some((b"", true)), true);
        check(true, b"\x05win", None, false); // a header longer than the payload
        check(true, b"", None, false);
    }
}
