//! data_sm and its response (SMPP 3.4 §4.7).

use bytes::{BufMut, BytesMut};

use super::Body;
use crate::dialect::Dialect;
use crate::error::{DecodeError, Field};
use crate::field::{Address, CommandId, CommandStatus, DataCoding, EsmClass, RegisteredDelivery};
use crate::limits::{ADDRESS_LONG_SIZE_MAX, MESSAGE_ID_SIZE_MAX, SERVICE_TYPE_SIZE_MAX};
use crate::response::has_body;
use crate::tlv::{Tag, Tlvs};
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

/// Carries a message in either direction (SMPP 3.4 §4.7.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DataSm<'a> {
    /// The service, 5 octets at most.
    pub service_type: &'a [u8],
    /// From whom; 64 digits at most.
    pub source: Address<'a>,
    /// To whom; 64 digits at most.
    pub destination: Address<'a>,
    /// Mode, type and GSM features.
    pub esm_class: EsmClass,
    /// Which receipts and acknowledgements are wanted.
    pub registered_delivery: RegisteredDelivery,
    /// How the text is encoded.
    pub data_coding: DataCoding,
    /// Optional parameters; the message is among them.
    pub tlvs: Tlvs<'a>,
}

/// The answer to a data_sm (SMPP 3.4 §4.7.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct DataSmResp<'a> {
    /// The SMSC's name of the message, 64 octets at most.
    pub message_id: &'a [u8],
    /// Why a delivery failed, as a rule.
    pub tlvs: Tlvs<'a>,
}

impl<'a> DataSm<'a> {
    /// Reads the body.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        let service_type = reader.c_string(Field::ServiceType, SERVICE_TYPE_SIZE_MAX)?;
        let source = reader.address(
            [Field::SourceAddrTon, Field::SourceAddrNpi, Field::SourceAddr],
            ADDRESS_LONG_SIZE_MAX,
        )?;
        let destination = reader.address(
            [Field::DestAddrTon, Field::DestAddrNpi, Field::DestinationAddr],
            ADDRESS_LONG_SIZE_MAX,
        )?;
        let [esm_class, registered_delivery, data_coding] =
            reader.octets([Field::EsmClass, Field::RegisteredDelivery, Field::DataCoding])?;
        Ok(Self {
            service_type,
            source,
            destination,
            esm_class: EsmClass(esm_class),
            registered_delivery: RegisteredDelivery(registered_delivery),
            data_coding: DataCoding(data_coding),
            tlvs: reader.tlvs()?,
        })
    }

    /// The message, empty where there is no message_payload.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        self.tlvs.find(Tag::MESSAGE_PAYLOAD).unwrap_or_default()
    }

    /// Whether esm_class says that this reports the fate of another message; some peers send receipts so.
    #[inline]
    pub const fn is_receipt(&self) -> bool {
        self.esm_class.is_receipt()
    }
}

impl Body for DataSm<'_> {
    fn write_body(&self, _status: CommandStatus, out: &mut BytesMut) {
        writer::c_string(out, self.service_type);
        writer::address(out, &self.source);
        writer::address(out, &self.destination);
        out.put_slice(&[self.esm_class.0, self.registered_delivery.0, self.data_coding.0]);
        out.put_slice(self.tlvs.whole());
    }
}

impl<'a> DataSmResp<'a> {
    /// Reads the body; a refusal may have none.
    #[inline]
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        if reader.response_is_bare(frame) {
            return Ok(Self::default());
        }
        let message_id = reader.c_string(Field::MessageId, MESSAGE_ID_SIZE_MAX)?;
        Ok(Self { message_id, tlvs: reader.tlvs()? })
    }
}

impl Body for DataSmResp<'_> {
    fn write_body(&self, status: CommandStatus, out: &mut BytesMut) {
        if has_body(CommandId::DATA_SM_RESP, status) || *self != Self::default() {
            writer::c_string(out, self.message_id);
            out.put_slice(self.tlvs.whole());
        }
    }
}
