//! The TLVs of one PDU as a borrowed view.

use bytes::{BufMut, BytesMut};

use super::{Shape, Tag};
use crate::error::{DecodeError, Field, Problem};
use crate::limits::{TLV_HEADER_LENGTH, TLV_LENGTH_MAX};
use crate::wire::reader::Reader;

/// The optional parameters of one PDU, raw. Repeated tags are kept in their order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Tlvs<'a>(&'a [u8]);

/// One optional parameter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tlv<'a> {
    /// Its tag, known or not.
    pub tag: Tag,
    /// Its value, byte for byte.
    pub value: &'a [u8],
}

/// Goes through TLVs; stops at a cut one.
#[derive(Clone, Debug)]
pub struct TlvIter<'a> {
    rest: &'a [u8],
}

/// Appends one TLV. A value has at most 65 535 octets; what is beyond is not written, as its length could not
/// be.
#[inline]
pub fn write_tlv(out: &mut BytesMut, tag: Tag, value: &[u8]) {
    debug_assert!(value.len() <= TLV_LENGTH_MAX);
    let value = &value[..value.len().min(TLV_LENGTH_MAX)];
    let [tag_high, tag_low] = tag.0.to_be_bytes();
    let [length_high, length_low] = (value.len() as u16).to_be_bytes();
    out.reserve(TLV_HEADER_LENGTH + value.len());
    out.put_slice(&[tag_high, tag_low, length_high, length_low]);
    out.put_slice(value);
}

impl<'a> Tlvs<'a> {
    /// These octets as TLVs, judged by nobody: a cut one ends them.
    #[inline]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The TLVs at the cursor, up to the end of the PDU.
    pub(crate) fn read(reader: &Reader<'a, '_>) -> Result<Tlvs<'a>, DecodeError> {
        let (octets, dialect) = (reader.rest(), reader.dialect());
        if dialect.tlv_cut && dialect.tlv_shape_wrong {
            return Ok(Tlvs(octets));
        }
        let error = |problem, rest: &[u8]| DecodeError {
            problem,
            field: Field::Tlvs,
            offset: reader.offset() + (octets.len() - rest.len()) as u32,
        };
        let mut iter = Tlvs(octets).iter();
        let mut start = iter.rest;
        for tlv in iter.by_ref() {
            if !dialect.tlv_shape_wrong
                && let Some(shape) = tlv.tag.shape()
                && let Some(problem) = shape.problem_with(tlv.value)
            {
                return Err(error(problem, start));
            }
            start = start.get(TLV_HEADER_LENGTH + tlv.value.len()..).unwrap_or_default();
        }
        if !iter.rest.is_empty() && !dialect.tlv_cut {
            return Err(error(Problem::TlvCut, iter.rest));
        }
        Ok(Tlvs(octets))
    }

    /// The octets, cut end included.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Whether there are none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each TLV in its order, up to a cut one.
    #[inline]
    pub const fn iter(&self) -> TlvIter<'a> {
        TlvIter { rest: self.0 }
    }

    /// Where a TLV that is not wholly there starts, octets into [`Tlvs::as_bytes`].
    pub fn cut_at(&self) -> Option<usize> {
        let mut iter = self.iter();
        iter.by_ref().for_each(drop);
        (!iter.rest.is_empty()).then(|| self.0.len() - iter.rest.len())
    }

    /// The octets without a cut end: what may be written to another peer.
    #[inline]
    pub fn whole(&self) -> &'a [u8] {
        let end = self.cut_at().unwrap_or(self.0.len());
        self.0.get(..end).unwrap_or_default()
    }

    /// The value of the first TLV with this tag.
    #[inline]
    pub fn find(&self, tag: Tag) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.tag == tag).map(|tlv| tlv.value)
    }

    /// The 8-bit number under this tag, where its value is one octet.
    #[inline]
    pub fn find_u8(&self, tag: Tag) -> Option<u8> {
        self.find(tag).and_then(|value| value.try_into().ok()).map(u8::from_be_bytes)
    }

    /// The 16-bit number under this tag, where its value is two octets.
    #[inline]
    pub fn find_u16(&self, tag: Tag) -> Option<u16> {
        self.find(tag).and_then(|value| value.try_into().ok()).map(u16::from_be_bytes)
    }

    /// The 32-bit number under this tag, where its value is four octets.
    #[inline]
    pub fn find_u32(&self, tag: Tag) -> Option<u32> {
        self.find(tag).and_then(|value| value.try_into().ok()).map(u32::from_be_bytes)
    }

    /// The text under this tag up to its NUL, with or without one: peers count it, or leave it out.
    #[inline]
    pub fn find_text(&self, tag: Tag) -> Option<&'a [u8]> {
        self.find(tag).map(|value| value.split(|octet| *octet == 0).next().unwrap_or_default())
    }
}

impl<'a> IntoIterator for &Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = TlvIter<'a>;

    fn into_iter(self) -> TlvIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for Tlvs<'a> {
    type Item = Tlv<'a>;
    type IntoIter = TlvIter<'a>;

    fn into_iter(self) -> TlvIter<'a> {
        self.iter()
    }
}

impl<'a> Iterator for TlvIter<'a> {
    type Item = Tlv<'a>;

    #[inline]
    fn next(&mut self) -> Option<Tlv<'a>> {
        let ([tag_high, tag_low, length_high, length_low], after) =
            self.rest.split_first_chunk::<TLV_HEADER_LENGTH>()?;
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        let (value, rest) = after.split_at_checked(length)?;
        self.rest = rest;
        Some(Tlv { tag: Tag(u16::from_be_bytes([*tag_high, *tag_low])), value })
    }
}

impl Tlv<'_> {
    /// What its value should look like, where the standard knows the tag.
    #[inline]
    pub const fn shape(&self) -> Option<Shape> {
        self.tag.shape()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_cut_tlv_ends_the_view() {
        let octets = b"\x04\x27\x00\x01\x02\x14\x00\x00\x03ab";
        let tlvs = Tlvs::new(octets);
        assert_eq!(tlvs.iter().collect::<Vec<_>>(), [Tlv { tag: Tag::MESSAGE_STATE, value: b"\x02" }]);
        assert_eq!(tlvs.cut_at(), Some(5));
        assert_eq!(tlvs.as_bytes(), octets);
        assert_eq!(Tlvs::new(&octets[..5]).cut_at(), None);
        assert_eq!(Tlvs::new(&octets[..7]).cut_at(), Some(5));
    }

    #[test]
    fn values_are_read_by_their_width() {
        let mut out = BytesMut::new();
        write_tlv(&mut out, Tag::RECEIPTED_MESSAGE_ID, b"abc\0");
        write_tlv(&mut out, Tag(0x1400), b"\x01\x02");
        write_tlv(&mut out, Tag(0x1400), b"second");
        write_tlv(&mut out, Tag::QOS_TIME_TO_LIVE, b"\0\0\x01\0");
        let tlvs = Tlvs::new(&out);
        assert_eq!(tlvs.find_text(Tag::RECEIPTED_MESSAGE_ID), Some(&b"abc"[..]));
        assert_eq!(tlvs.find_u16(Tag(0x1400)), Some(0x0102));
        assert_eq!(tlvs.find_u8(Tag(0x1400)), None);
        assert_eq!(tlvs.find_u32(Tag::QOS_TIME_TO_LIVE), Some(256));
        assert_eq!(tlvs.find(Tag::MESSAGE_STATE), None);
    }
}
