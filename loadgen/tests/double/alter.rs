//! One change for each field of a message, a receipt, an answer.

use ledger::MessageKey;

use super::message::{MESSAGE_STATE, Message, NETWORK_ERROR_CODE, RECEIPTED_MESSAGE_ID, Response};

/// Another digit or letter in the place of this one, never a separator.
fn other_digit(octet: &mut u8) {
    *octet = if *octet == b'1' { b'2' } else { b'1' };
}

fn last(value: &mut [u8]) -> &mut u8 {
    value.last_mut().expect("the field is not empty")
}

pub(super) mod submit {
    use super::*;

    pub(crate) fn service_type(message: &mut Message) {
        message.service_type = b"WAP".to_vec();
    }
    pub(crate) fn source_ton(message: &mut Message) {
        message.source.ton ^= 1;
    }
    pub(crate) fn source_npi(message: &mut Message) {
        message.source.npi ^= 8;
    }
    pub(crate) fn source_digits(message: &mut Message) {
        other_digit(last(&mut message.source.digits));
    }
    pub(crate) fn destination_ton(message: &mut Message) {
        message.destination.ton ^= 1;
    }
    pub(crate) fn destination_npi(message: &mut Message) {
        message.destination.npi ^= 8;
    }
    pub(crate) fn destination_digits(message: &mut Message) {
        other_digit(last(&mut message.destination.digits));
    }
    /// Datagram mode.
    pub(crate) fn esm_class(message: &mut Message) {
        message.esm_class |= 1;
    }
    pub(crate) fn protocol_id(message: &mut Message) {
        message.protocol_id ^= 0x40;
    }
    pub(crate) fn priority(message: &mut Message) {
        message.priority ^= 1;
    }
    pub(crate) fn schedule(message: &mut Message) {
        message.schedule = b"000000000100000R".to_vec();
    }
    pub(crate) fn validity(message: &mut Message) {
        message.validity.clear();
    }
    pub(crate) fn receipt_not_asked_for(message: &mut Message) {
        message.registered_delivery = 0;
    }
    pub(crate) fn receipt_on_failure(message: &mut Message) {
        message.registered_delivery = 2;
    }
    pub(crate) fn replace(message: &mut Message) {
        message.replace ^= 1;
    }
    /// Latin-1 in place of the GSM alphabet and the other way round: the octets stay.
    pub(crate) fn data_coding(message: &mut Message) {
        message.data_coding ^= 4;
    }
    pub(crate) fn default_message(message: &mut Message) {
        message.default_message ^= 1;
    }
    pub(crate) fn octet_behind_key(message: &mut Message) {
        *last(&mut message.text) ^= 1;
    }
    pub(crate) fn octet_of_key(message: &mut Message) {
        other_digit(message.key_octet(MessageKey::TEXT_LENGTH / 2));
    }
    pub(crate) fn text_cut(message: &mut Message) {
        message.text.truncate(message.text.len() - message.character_size());
    }
    pub(crate) fn tlv_value(message: &mut Message) {
        *last(message.tlv(super::super::scenario::SUBMIT_TLV)) ^= 1;
    }
    pub(crate) fn tlv_removed(message: &mut Message) {
        message.tlvs.pop().expect("every message has TLVs");
    }
    pub(crate) fn tlv_added(message: &mut Message) {
        message.tlvs.push((0x1402, vec![1]));
    }
    pub(crate) fn nothing(_: &mut Message) {}
    /// As if it were another message.
    pub(crate) fn other_key(message: &mut Message) {
        let key = message.key().expect("only keyed messages are struck");
        message.set_key(MessageKey { sequence: key.sequence + 1_000_000, ..key });
    }
    /// As if it were no message of a test at all.
    pub(crate) fn no_key(message: &mut Message) {
        message.text = b"Visit our shop".to_vec();
        (message.esm_class, message.data_coding) = (0, 0);
        message.destination.digits = b"19995550123".to_vec();
    }
}

pub(super) mod receipt {
    use super::*;

    /// Delivered becomes undeliverable, all else delivered.
    pub(crate) fn stat(receipt: &mut Message) {
        receipt.change(b"stat:", |value| {
            *value = if value == b"DELIVRD" { b"UNDELIV".to_vec() } else { b"DELIVRD".to_vec() };
        });
    }
    pub(crate) fn state_tlv(receipt: &mut Message) {
        let value = receipt.tlv(MESSAGE_STATE);
        *value = if value == &[2] { vec![5] } else { vec![2] };
    }
    pub(crate) fn stat_and_state(receipt: &mut Message) {
        stat(receipt);
        state_tlv(receipt);
    }
    pub(crate) fn err(receipt: &mut Message) {
        receipt.change(b"err:", |value| other_digit(last(value)));
    }
    pub(crate) fn submit_date(receipt: &mut Message) {
        receipt.change(b"submit date:", |value| other_digit(last(value)));
    }
    pub(crate) fn done_date(receipt: &mut Message) {
        receipt.change(b"done date:", |value| other_digit(last(value)));
    }
    pub(crate) fn sub(receipt: &mut Message) {
        receipt.change(b"sub:", |value| other_digit(last(value)));
    }
    pub(crate) fn dlvrd(receipt: &mut Message) {
        receipt.change(b"dlvrd:", |value| other_digit(last(value)));
    }
    pub(crate) fn text(receipt: &mut Message) {
        receipt.change(b"text:", |value| value[0] ^= 1);
    }
    pub(crate) fn source_digits(receipt: &mut Message) {
        other_digit(last(&mut receipt.source.digits));
    }
    pub(crate) fn destination_digits(receipt: &mut Message) {
        other_digit(last(&mut receipt.destination.digits));
    }
    pub(crate) fn source_ton(receipt: &mut Message) {
        receipt.source.ton ^= 1;
    }
    pub(crate) fn destination_npi(receipt: &mut Message) {
        receipt.destination.npi ^= 8;
    }
    pub(crate) fn plus(receipt: &mut Message) {
        receipt.source.digits.insert(0, b'+');
    }
    pub(crate) fn service_type(receipt: &mut Message) {
        receipt.service_type = b"WAP".to_vec();
    }
    pub(crate) fn protocol_id(receipt: &mut Message) {
        receipt.protocol_id ^= 0x40;
    }
    pub(crate) fn priority(receipt: &mut Message) {
        receipt.priority ^= 1;
    }
    pub(crate) fn validity(receipt: &mut Message) {
        receipt.validity = b"000000100000000R".to_vec();
    }
    pub(crate) fn registered_delivery(receipt: &mut Message) {
        receipt.registered_delivery ^= 4;
    }
    pub(crate) fn data_coding(receipt: &mut Message) {
        receipt.data_coding ^= 3;
    }
    pub(crate) fn mode(receipt: &mut Message) {
        receipt.esm_class |= 3;
    }
    /// The mark of a receipt is gone; its TLVs tell it still.
    pub(crate) fn mark(receipt: &mut Message) {
        receipt.esm_class = 0;
    }
    pub(crate) fn network_error(receipt: &mut Message) {
        *last(receipt.tlv(NETWORK_ERROR_CODE)) ^= 1;
    }
    pub(crate) fn no_network_error(receipt: &mut Message) {
        receipt.tlvs.retain(|(tag, _)| *tag != NETWORK_ERROR_CODE);
    }
    pub(crate) fn no_state(receipt: &mut Message) {
        receipt.tlvs.retain(|(tag, _)| *tag != MESSAGE_STATE);
    }
    pub(crate) fn no_id_tlv(receipt: &mut Message) {
        receipt.tlvs.retain(|(tag, _)| *tag != RECEIPTED_MESSAGE_ID);
    }
    /// The network of the handset.
    pub(crate) fn vendor_tlv(receipt: &mut Message) {
        receipt.tlv(0x1403)[0] ^= 1;
    }
    pub(crate) fn tlv_added(receipt: &mut Message) {
        receipt.tlvs.push((0x1404, vec![1]));
    }
    pub(crate) fn id_tlv(receipt: &mut Message) {
        let id = [b"9", receipt.receipt_id().as_slice()].concat();
        receipt.set_id_tlv(&id);
    }
    pub(crate) fn id_text(receipt: &mut Message) {
        receipt.change(b"id:", |value| value.insert(0, b'9'));
    }
    pub(crate) fn ids(receipt: &mut Message) {
        let id = [b"9", receipt.receipt_id().as_slice()].concat();
        receipt.set_receipt_id(&id);
    }
}

pub(super) mod response {
    use super::*;

    /// ESME_RSYSERR.
    pub(crate) fn refused(response: &mut Response) {
        response.status = 8;
        response.id.clear();
    }
    pub(crate) fn unknown(response: &mut Response) {
        response.status = 0xFF;
        response.id.clear();
    }
    pub(crate) fn taken(response: &mut Response) {
        response.status = 0;
        response.id = b"7700000000".to_vec();
    }
    pub(crate) fn id(response: &mut Response) {
        response.id.insert(0, b'8');
    }
    /// ESME_RX_P_APPN: the receipt is not to be sent again.
    pub(crate) fn rejected(response: &mut Response) {
        response.status = 0x65;
    }
    /// ESME_RX_T_APPN: the receipt is to be sent again.
    pub(crate) fn later(response: &mut Response) {
        response.status = 0x64;
    }
}
