//! Delivery receipts: the text of SMPP 3.4 Appendix B as peers really write it ([`Receipt`]), and with the
//! TLVs beside it as one view ([`ReceiptView`]) that says where each value came from.

use alloc::vec::Vec;

use bytes::BytesMut;

use crate::field::{EsmClass, MessageState, MessageType};
use crate::limits::TLV_LENGTH_MAX;
use crate::pdu::{DataSm, DeliverSm};
use crate::text::udh::Udh;
use crate::tlv::{Tag, Tlvs, write_tlv};

use super::receipt_text::without_nuls;

pub use super::receipt_date::{DateForm, parse_date};
pub use super::receipt_text::{Receipt, rewrite, state_of_word};

/// As [`rewrite`], for a payload that begins with a user data header where `has_udh` (esm_class bit 0x40).
pub fn rewrite_payload(has_udh: bool, original: &[u8], id: &[u8], out: &mut BytesMut) -> bool {
    let text = behind_header(has_udh, original);
    out.extend_from_slice(&original[..original.len() - text.len()]);
    rewrite(text, id, out)
}

/// Writes the TLVs of a receipt with another id, in receipted_message_id (the id and a NUL) and in the text
/// of message_payload, and every other TLV as it was. A TLV that is cut short is left out.
pub fn rewrite_tlvs(original: &Tlvs<'_>, has_udh: bool, id: &[u8], out: &mut BytesMut) {
    for tlv in original.iter() {
        match tlv.tag {
            Tag::RECEIPTED_MESSAGE_ID => write_tlv_with(out, tlv.tag, |out| {
                out.extend_from_slice(id);
                out.extend_from_slice(&[0]);
            }),
            Tag::MESSAGE_PAYLOAD => write_tlv_with(out, tlv.tag, |out| {
                rewrite_payload(has_udh, tlv.value, id, out);
            }),
            _ => write_tlv(out, tlv.tag, tlv.value),
        }
    }
}

/// Where a value was found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Origin {
    /// In a TLV.
    Tlv,
    /// In the receipt text.
    Text,
}

/// A value and where it was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it was found.
    pub origin: Origin,
}

/// Whether more receipts may follow for the message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Finality {
    /// The state cannot change any more.
    Final,
    /// On its way or accepted: another receipt follows.
    Intermediate,
    /// Unknown, or a word outside the table: peers send these for messages that they still hold and for
    /// messages that they have lost. Not to be taken for the end.
    Undetermined,
}

impl Finality {
    /// What state and esm_class say together.
    pub fn of(esm_class: EsmClass, state: Option<MessageState>) -> Finality {
        if esm_class.message_type() == MessageType::IntermediateNotification {
            return Finality::Intermediate;
        }
        match state {
            Some(state) if state.is_final() => Finality::Final,
            Some(MessageState::Enroute | MessageState::Accepted) => Finality::Intermediate,
            _ => Finality::Undetermined,
        }
    }
}

/// TLV network_error_code (SMPP 3.4 §5.3.2.31), however the peer wrote it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NetworkErrorCode {
    /// Type of network: 1 ANSI-136, 2 IS-95, 3 GSM; 0 when the peer did not say.
    pub network_type: u8,
    /// The network's error code.
    pub code: u32,
}

impl NetworkErrorCode {
    /// Reads the three octets of the standard. Peers also send the code as decimal digits (three or more),
    /// with a NUL behind it, alone in one or two octets, or in four octets.
    pub fn parse(value: &[u8]) -> Option<NetworkErrorCode> {
        let digits = without_nuls(value);
        if digits.len() >= 3 && digits.iter().all(u8::is_ascii_digit) {
            return decimal(digits).map(|code| NetworkErrorCode { network_type: 0, code });
        }
        let (network_type, code) = match *value {
            [low] => (0, [0, 0, low]),
            [high, low] => (0, [0, high, low]),
            [network_type, high, low] => (network_type, [0, high, low]),
            // The standard's three octets and a NUL, unless all four are one number.
            [network_type, high, low, 0] if network_type != 0 => (network_type, [0, high, low]),
            [network_type, first, second, third] => (network_type, [first, second, third]),
            _ => return None,
        };
        let [first, second, third] = code;
        Some(NetworkErrorCode { network_type, code: u32::from_be_bytes([0, first, second, third]) })
    }
}

/// All that a receipt says, from TLVs first and from the text else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiptView<'a> {
    /// The vendor's message id. `None`: the receipt cannot be matched by id.
    pub id: Option<Sourced<&'a [u8]>>,
    /// What became of the message. `None`: look at the word, [`ReceiptView::stat`].
    pub state: Option<Sourced<MessageState>>,
    /// The stat word of the text as it stands there; empty without one.
    pub stat: &'a [u8],
    /// The err field of the text as it stands there; empty without one.
    pub err: &'a [u8],
    /// TLV network_error_code.
    pub network_error_code: Option<NetworkErrorCode>,
    /// Whether more receipts may follow.
    pub finality: Finality,
    /// The text, when it is a receipt text.
    pub receipt: Option<Receipt<'a>>,
}

impl<'a> ReceiptView<'a> {
    /// The error as a number, from the TLV first, else from an err field of digits.
    pub fn error(&self) -> Option<Sourced<u32>> {
        let of_tlv = self.network_error_code.map(|error| Sourced { value: error.code, origin: Origin::Tlv });
        of_tlv.or_else(|| decimal(self.err).map(|value| Sourced { value, origin: Origin::Text }))
    }

    /// The id of the text, for a vendor whose TLV is wrong.
    pub fn id_in_text(&self) -> Option<&'a [u8]> {
        self.receipt.map(|receipt| receipt.id).filter(|id| !id.is_empty())
    }

    /// Whether TLV and text both give an id and not the same.
    pub fn ids_differ(&self) -> bool {
        self.id.zip(self.id_in_text()).is_some_and(|(id, in_text)| id.value != in_text)
    }
}

/// The receipt that a deliver_sm carries; `None` for a mobile-originated message.
///
/// A receipt is told by esm_class, else by the TLVs that only receipts have. A text that looks like a receipt
/// does not make one: anybody can send it; see [`unmarked_receipt_of`].
pub fn receipt_of<'a>(pdu: &DeliverSm<'a>) -> Option<ReceiptView<'a>> {
    receipt_in(pdu.esm_class, pdu.payload(), &pdu.tlvs)
}

/// The receipt that a data_sm carries, as [`receipt_of`].
pub fn receipt_of_data<'a>(pdu: &DataSm<'a>) -> Option<ReceiptView<'a>> {
    receipt_in(pdu.esm_class, pdu.payload(), &pdu.tlvs)
}

/// As [`receipt_of`], and besides by the pattern of the text alone: id and stat there. Only for vendors known
/// to send receipts without a mark.
pub fn unmarked_receipt_of<'a>(pdu: &DeliverSm<'a>) -> Option<ReceiptView<'a>> {
    unmarked_receipt_in(pdu.esm_class, pdu.payload(), &pdu.tlvs)
}

/// As [`receipt_in`], and besides by the pattern of the text alone.
pub fn unmarked_receipt_in<'a>(
    esm_class: EsmClass,
    payload: &'a [u8],
    tlvs: &Tlvs<'a>,
) -> Option<ReceiptView<'a>> {
    receipt_in(esm_class, payload, tlvs).or_else(|| {
        let view = view(esm_class, payload, tlvs);
        (view.id.is_some() && !view.stat.is_empty()).then_some(view)
    })
}

/// A receipt's text in UCS-2, as the ASCII that it would be in the standard's form; what has no ASCII is a question mark.
/// Nothing where it is no receipt text.
pub fn narrow_receipt_text(payload: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = payload.as_chunks::<2>() else { return None };
    let narrow = |pair: &[u8; 2]| match *pair {
        [0, octet] if octet.is_ascii() => octet,
        _ => b'?',
    };
    let text: Vec<u8> = pairs.iter().map(narrow).collect();
    Receipt::parse(&text).is_some().then_some(text)
}

/// The receipt in a payload with its TLVs, whatever PDU they came in.
pub fn receipt_in<'a>(esm_class: EsmClass, payload: &'a [u8], tlvs: &Tlvs<'a>) -> Option<ReceiptView<'a>> {
    let marked = esm_class.is_receipt()
        || tlvs.find(Tag::RECEIPTED_MESSAGE_ID).is_some()
        || tlvs.find(Tag::MESSAGE_STATE).is_some();
    marked.then(|| view(esm_class, payload, tlvs))
}

fn view<'a>(esm_class: EsmClass, payload: &'a [u8], tlvs: &Tlvs<'a>) -> ReceiptView<'a> {
    let receipt = Receipt::parse(behind_header(esm_class.has_user_data_header(), payload));
    let of_text = receipt.unwrap_or_default();

    let id_of_tlv = tlvs.find_text(Tag::RECEIPTED_MESSAGE_ID).filter(|id| !id.is_empty());
    let id_of_text = Some(of_text.id).filter(|id| !id.is_empty());
    let state_of_tlv = tlvs
        .find(Tag::MESSAGE_STATE)
        .and_then(|value| value.first())
        .and_then(|&state| MessageState::from_u8(state));

    let state = sourced(state_of_tlv, of_text.state);
    ReceiptView {
        id: sourced(id_of_tlv, id_of_text),
        state,
        stat: of_text.stat,
        err: of_text.err,
        network_error_code: tlvs.find(Tag::NETWORK_ERROR_CODE).and_then(NetworkErrorCode::parse),
        finality: Finality::of(esm_class, state.map(|state| state.value)),
        receipt,
    }
}

fn sourced<T>(of_tlv: Option<T>, of_text: Option<T>) -> Option<Sourced<T>> {
    of_tlv
        .map(|value| Sourced { value, origin: Origin::Tlv })
        .or(of_text.map(|value| Sourced { value, origin: Origin::Text }))
}

/// The payload without its user data header; the whole of it when the header is broken.
fn behind_header(has_udh: bool, payload: &[u8]) -> &[u8] {
    let header = if has_udh { Udh::split(payload) } else { None };
    header.map_or(payload, |(_, text)| text)
}

/// Appends a TLV whose value is written in place; its length is patched in behind.
fn write_tlv_with(out: &mut BytesMut, tag: Tag, write: impl FnOnce(&mut BytesMut)) {
    write_tlv(out, tag, &[]);
    let start = out.len();
    write(out);
    out.truncate(start + TLV_LENGTH_MAX);
    let length = (out.len() - start) as u16;
    out[start - 2..start].copy_from_slice(&length.to_be_bytes());
}

fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |value, &octet| {
        let digit = char::from(octet).to_digit(10)?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_ucs_2_is_narrowed() {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        let narrow = narrow_receipt_text(&wide("id:7 stat:DELIVRD text:\u{e9}\u{4f60}"));
        assert_eq!(narrow.as_deref(), Some(&b"id:7 stat:DELIVRD text:??"[..]));
        assert_eq!(narrow_receipt_text(&wide("hello")), None);
        assert_eq!(narrow_receipt_text(b"id:7 stat:X "), None, "it is not UCS-2");
        assert_eq!(narrow_receipt_text(b"odd"), None);
    }

    fn check_code(value: &[u8], expected: Option<(u8, u32)>) {
        let code = NetworkErrorCode::parse(value).map(|error| (error.network_type, error.code));
        assert_eq!(code, expected, "{value:02x?}");
    }

    #[test]
    fn network_error_codes_of_all_sizes() {
        check_code(&[3, 0, 22], Some((3, 22)));
        check_code(&[3, 1, 0], Some((3, 256)));
        check_code(&[3, 0, 22, 0], Some((3, 22)));
        check_code(&[0, 0, 1, 0], Some((0, 256)));
        check_code(&[3, 1, 2, 3], Some((3, 0x01_0203)));
        check_code(b"034", Some((0, 34)));
        check_code(b"0340", Some((0, 340)));
        check_code(b"034\0", Some((0, 34)));
        check_code(&[1, 22], Some((0, 278)));
        check_code(&[22], Some((0, 22)));
        check_code(&[], None);
        check_code(&[1, 2, 3, 4, 5], None);
        check_code(b"99999999999", None);
    }

    #[test]
    fn finality_is_cautious() {
        use MessageState::{Accepted, Delivered, Enroute, Rejected, Unknown};
        for (esm_class, state, expected) in [
            (0x04, Some(Delivered), Finality::Final),
            (0x04, Some(Rejected), Finality::Final),
            (0x04, Some(Enroute), Finality::Intermediate),
            (0x04, Some(Accepted), Finality::Intermediate),
            (0x04, Some(Unknown), Finality::Undetermined),
            (0x04, None, Finality::Undetermined),
            (0x20, Some(Delivered), Finality::Intermediate),
        ] {
            assert_eq!(Finality::of(EsmClass(esm_class), state), expected, "{state:?}");
        }
    }
}
