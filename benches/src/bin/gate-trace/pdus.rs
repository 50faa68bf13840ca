//! The PDUs of the traces.

use bytes::BytesMut;
use smpp::{
    Address, Bind, BindKind, BindResp, CommandStatus, DeliverSm, DeliverSmResp, EsmClass, Npi,
    RegisteredDelivery, SubmitSm, SubmitSmResp, Tlvs, Ton,
};

/// The customer's number.
pub(crate) const NUMBER: &[u8] = b"12025550100";
/// The handset's.
const HANDSET: &[u8] = b"13125550111";
/// Octets of a header.
const HEADER: usize = 16;
/// The vendor's id of message `n` is this plus `n`.
const FIRST_ID: u64 = 1_000_000_000;

/// The customer's system_id.
pub(crate) const SYSTEM_ID: &str = "acme";

fn address(digits: &[u8]) -> Address<'_> {
    Address { ton: Ton(1), npi: Npi(1), digits }
}

pub(crate) fn bind(out: &mut BytesMut) {
    let bind = Bind {
        system_id: SYSTEM_ID.as_bytes(),
        password: b"secret",
        interface_version: smpp::limits::INTERFACE_VERSION,
        ..Bind::default()
    };
    bind.encode(BindKind::Transceiver, 1, out);
}

pub(crate) fn bind_answer(sequence: u32, out: &mut BytesMut) {
    let answer = BindResp { system_id: b"vendor", tlvs: Tlvs::default() };
    answer.encode(BindKind::Transceiver, CommandStatus::ESME_ROK, sequence, out);
}

/// 100 octets of text, as a short message of usual length.
pub(crate) fn submit(wants_receipt: bool, sequence: u32, out: &mut BytesMut) {
    SubmitSm {
        source: address(NUMBER),
        destination: address(HANDSET),
        registered_delivery: RegisteredDelivery(u8::from(wants_receipt)),
        short_message: &[b'x'; 100],
        ..SubmitSm::default()
    }
    .encode(CommandStatus::ESME_ROK, sequence, out);
}

fn id_of(number: u32) -> String {
    (FIRST_ID + u64::from(number)).to_string()
}

/// The vendor's yes to the message of this number.
pub(crate) fn submit_answer(number: u32, sequence: u32, out: &mut BytesMut) {
    let id = id_of(number);
    SubmitSmResp { message_id: id.as_bytes(), tlvs: Tlvs::default() }.encode(
        CommandStatus::ESME_ROK,
        sequence,
        out,
    );
}

/// The final receipt about the message of this number: text as in SMPP 3.4 Appendix B, and the TLVs receipted_message_id
/// (0x001E) and message_state (0x0427).
pub(crate) fn receipt(number: u32, sequence: u32, out: &mut BytesMut) {
    let id = id_of(number);
    let text = format!(
        "id:{id} sub:001 dlvrd:001 submit date:2511220000 done date:2511220000 stat:DELIVRD err:000 text:xxxxxxxx"
    );
    let mut tlvs = Vec::from(*b"\x00\x1e\x00\x0b");
    tlvs.extend_from_slice(id.as_bytes());
    tlvs.extend_from_slice(b"\0\x04\x27\x00\x01\x02");
    DeliverSm {
        source: address(HANDSET),
        destination: address(NUMBER),
        esm_class: EsmClass::RECEIPT,
        short_message: text.as_bytes(),
        tlvs: Tlvs::new(&tlvs),
        ..DeliverSm::default()
    }
    .encode(CommandStatus::ESME_ROK, sequence, out);
}

/// A message from the handset.
pub(crate) fn mo(sequence: u32, out: &mut BytesMut) {
    DeliverSm {
        source: address(HANDSET),
        destination: address(NUMBER),
        short_message: &[b'y'; 100],
        ..DeliverSm::default()
    }
    .encode(CommandStatus::ESME_ROK, sequence, out);
}

pub(crate) fn deliver_answer(sequence: u32, out: &mut BytesMut) {
    DeliverSmResp { message_id: &[], tlvs: Tlvs::default() }.encode(CommandStatus::ESME_ROK, sequence, out);
}

/// Header fields of one PDU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heard {
    pub(crate) command: u32,
    pub(crate) status: u32,
    pub(crate) sequence: u32,
}

/// The headers of all whole PDUs at the beginning of `octets`.
pub(crate) fn heard(octets: &[u8]) -> impl Iterator<Item = Heard> + '_ {
    let mut rest = octets;
    std::iter::from_fn(move || {
        let word = |at: usize| {
            let octets = rest.get(at..at + 4)?;
            Some(u32::from_be_bytes([octets[0], octets[1], octets[2], octets[3]]))
        };
        let length = (word(0)? as usize).max(HEADER);
        let heard = Heard { command: word(4)?, status: word(8)?, sequence: word(12)? };
        rest = rest.get(length..)?;
        Some(heard)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pdus_are_heard() {
        let mut octets = BytesMut::new();
        submit(false, 7, &mut octets);
        deliver_answer(8, &mut octets);
        let sequences = |octets: &[u8]| heard(octets).map(|heard| heard.sequence).collect::<Vec<_>>();
        assert_eq!(sequences(&octets), [7, 8]);
        assert_eq!(sequences(&octets[..octets.len() - 1]), [7]);
        assert!(sequences(&octets[..15]).is_empty());
    }
}
