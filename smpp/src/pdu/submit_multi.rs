//! submit_multi and its response (SMPP 3.4 §4.5).

use bytes::{BufMut, BytesMut};

use super::{Body, short_message};
use crate::dialect::Dialect;
use crate::error::{DecodeError, Field, Problem};
use crate::field::{Address, CommandId, CommandStatus, DataCoding, EsmClass, RegisteredDelivery};
use crate::limits::{
    ADDRESS_SIZE_MAX, DL_NAME_SIZE_MAX, MESSAGE_ID_SIZE_MAX, NUMBER_OF_DESTS_MAX, SERVICE_TYPE_SIZE_MAX,
    TIME_SIZE_MAX,
};
use crate::response::has_body;
use crate::tlv::Tlvs;
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

const DEST_FLAG_ADDRESS: u8 = 1;
const DEST_FLAG_LIST: u8 = 2;

/// Submits one message to several destinations (SMPP 3.4 §4.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SubmitMulti<'a> {
    /// The service, 5 octets at most.
    pub service_type: &'a [u8],
    /// From whom.
    pub source: Address<'a>,
    /// To whom: 1 to 254 addresses and lists.
    pub destinations: Destinations<'a>,
    /// Mode, type and GSM features.
    pub esm_class: EsmClass,
    /// GSM protocol identifier.
    pub protocol_id: u8,
    /// 0 is lowest, 3 highest.
    pub priority_flag: u8,
    /// Empty or sixteen characters of [`crate::field::time::Time`].
    pub schedule_delivery_time: &'a [u8],
    /// Empty or sixteen characters of [`crate::field::time::Time`].
    pub validity_period: &'a [u8],
    /// Which receipts and acknowledgements are wanted.
    pub registered_delivery: RegisteredDelivery,
    /// 0 by the standard.
    pub replace_if_present_flag: u8,
    /// How the text is encoded.
    pub data_coding: DataCoding,
    /// A message stored at the SMSC, 0 for none.
    pub sm_default_msg_id: u8,
    /// The text, 254 octets at most; see [`SubmitMulti::payload`].
    pub short_message: &'a [u8],
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

/// The verdict on a submit_multi (SMPP 3.4 §4.5.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct SubmitMultiResp<'a> {
    /// The SMSC's name of the message, 64 octets at most.
    pub message_id: &'a [u8],
    /// The addresses that were not taken.
    pub unsuccesses: Unsuccesses<'a>,
}

/// The destinations of a submit_multi, as checked octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Destinations<'a> {
    count: u8,
    octets: &'a [u8],
}

/// One destination of a submit_multi.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Destination<'a> {
    /// One address.
    Address(Address<'a>),
    /// A distribution list by its name, 20 octets at most.
    List(&'a [u8]),
}

/// The addresses a submit_multi was not taken for, as checked octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Unsuccesses<'a> {
    count: u8,
    octets: &'a [u8],
}

/// One address a submit_multi was not taken for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Unsuccess<'a> {
    /// The destination.
    pub destination: Address<'a>,
    /// Why.
    pub error: CommandStatus,
}

/// Goes through destinations.
#[derive(Clone, Debug)]
pub struct DestinationIter<'a> {
    octets: &'a [u8],
}

/// Goes through addresses not taken.
#[derive(Clone, Debug)]
pub struct UnsuccessIter<'a> {
    octets: &'a [u8],
}

/// Appends one destination in the form [`Destinations::new`] reads.
pub fn write_destination(out: &mut BytesMut, destination: &Destination<'_>) {
    match destination {
        Destination::Address(address) => {
            out.put_u8(DEST_FLAG_ADDRESS);
            writer::address(out, address);
        }
        Destination::List(name) => {
            out.put_u8(DEST_FLAG_LIST);
            writer::c_string(out, name);
        }
    }
}

/// Appends one address not taken in the form [`Unsuccesses::new`] reads.
pub fn write_unsuccess(out: &mut BytesMut, unsuccess: &Unsuccess<'_>) {
    writer::address(out, &unsuccess.destination);
    out.put_u32(unsuccess.error.0);
}

impl<'a> SubmitMulti<'a> {
    /// Reads the body.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        let service_type = reader.c_string(Field::ServiceType, SERVICE_TYPE_SIZE_MAX)?;
        let source = reader
            .address([Field::SourceAddrTon, Field::SourceAddrNpi, Field::SourceAddr], ADDRESS_SIZE_MAX)?;
        let destinations = Destinations::read(&mut reader)?;
        let [esm_class, protocol_id, priority_flag] =
            reader.octets([Field::EsmClass, Field::ProtocolId, Field::PriorityFlag])?;
        let schedule_delivery_time = reader.c_string(Field::ScheduleDeliveryTime, TIME_SIZE_MAX)?;
        let validity_period = reader.c_string(Field::ValidityPeriod, TIME_SIZE_MAX)?;
        let [registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id, sm_length] =
            reader.octets([
                Field::RegisteredDelivery,
                Field::ReplaceIfPresentFlag,
                Field::DataCoding,
                Field::SmDefaultMsgId,
                Field::SmLength,
            ])?;
        let short_message = short_message::read(&mut reader, sm_length)?;
        let tlvs = reader.tlvs()?;
        short_message::check_payload(&reader, short_message, &tlvs)?;
        Ok(Self {
            service_type,
            source,
            destinations,
            esm_class: EsmClass(esm_class),
            protocol_id,
            priority_flag,
            schedule_delivery_time,
            validity_period,
            registered_delivery: RegisteredDelivery(registered_delivery),
            replace_if_present_flag,
            data_coding: DataCoding(data_coding),
            sm_default_msg_id,
            short_message,
            tlvs,
        })
    }

    /// The message: message_payload where present, else short_message.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        short_message::payload(self.short_message, &self.tlvs)
    }
}

impl Body for SubmitMulti<'_> {
    fn write_body(&self, _status: CommandStatus, out: &mut BytesMut) {
        writer::c_string(out, self.service_type);
        writer::address(out, &self.source);
        out.put_u8(self.destinations.count);
        out.put_slice(self.destinations.octets);
        out.put_slice(&[self.esm_class.0, self.protocol_id, self.priority_flag]);
        writer::c_string(out, self.schedule_delivery_time);
        writer::c_string(out, self.validity_period);
        out.put_slice(&[
            self.registered_delivery.0,
            self.replace_if_present_flag,
            self.data_coding.0,
            self.sm_default_msg_id,
        ]);
        short_message::write(out, self.short_message, &self.tlvs);
    }
}

impl<'a> SubmitMultiResp<'a> {
    /// Reads the body; a refusal may have none.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        if reader.response_is_bare(frame) {
            return Ok(Self::default());
        }
        let message_id = reader.c_string(Field::MessageId, MESSAGE_ID_SIZE_MAX)?;
        let unsuccesses = Unsuccesses::read(&mut reader)?;
        reader.end()?;
        Ok(Self { message_id, unsuccesses })
    }
}

impl Body for SubmitMultiResp<'_> {
    fn write_body(&self, status: CommandStatus, out: &mut BytesMut) {
        if has_body(CommandId::SUBMIT_MULTI_RESP, status) || *self != Self::default() {
            writer::c_string(out, self.message_id);
            out.put_u8(self.unsuccesses.count);
            out.put_slice(self.unsuccesses.octets);
        }
    }
}

impl<'a> Destinations<'a> {
    /// The destinations [`write_destination`] wrote; `None` unless they are 1 to 254 and nothing else.
    pub fn new(octets: &'a [u8]) -> Option<Self> {
        let dialect = Dialect::strict();
        let mut reader = Reader::of_octets(octets, &dialect);
        let mut count = 0usize;
        while !reader.rest().is_empty() {
            Destination::read(&mut reader).ok()?;
            count += 1;
        }
        (1..=NUMBER_OF_DESTS_MAX).contains(&count).then_some(Self { count: count as u8, octets })
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none; a decoded PDU has at least one.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each in its order.
    pub const fn iter(&self) -> DestinationIter<'a> {
        DestinationIter { octets: self.octets }
    }

    fn read(reader: &mut Reader<'a, '_>) -> Result<Self, DecodeError> {
        let at_count = *reader;
        let [count] = reader.octets([Field::NumberOfDests])?;
        if count == 0 || usize::from(count) > NUMBER_OF_DESTS_MAX {
            return Err(at_count.error(Problem::Value, Field::NumberOfDests));
        }
        let octets = reader.rest();
        for _ in 0..count {
            Destination::read(reader)?;
        }
        let length = octets.len() - reader.rest().len();
        Ok(Self { count, octets: &octets[..length] })
    }
}

impl<'a> Destination<'a> {
    fn read(reader: &mut Reader<'a, '_>) -> Result<Self, DecodeError> {
        let at_flag = *reader;
        let [flag] = reader.octets([Field::DestFlag])?;
        match flag {
            DEST_FLAG_ADDRESS => reader
                .address([Field::DestAddrTon, Field::DestAddrNpi, Field::DestinationAddr], ADDRESS_SIZE_MAX)
                .map(Destination::Address),
            DEST_FLAG_LIST => reader.c_string(Field::DlName, DL_NAME_SIZE_MAX).map(Destination::List),
            _ => Err(at_flag.error(Problem::Value, Field::DestFlag)),
        }
    }
}

impl<'a> Iterator for DestinationIter<'a> {
    type Item = Destination<'a>;

    fn next(&mut self) -> Option<Destination<'a>> {
        // Read once with the peer's dialect, so whatever was taken then is taken now.
        let dialect = Dialect::tolerant();
        let mut reader = Reader::of_octets(self.octets, &dialect);
        let destination = Destination::read(&mut reader).ok()?;
        self.octets = reader.rest();
        Some(destination)
    }
}

impl<'a> Unsuccesses<'a> {
    /// The addresses [`write_unsuccess`] wrote; `None` unless they are up to 255 and nothing else.
    pub fn new(octets: &'a [u8]) -> Option<Self> {
        let dialect = Dialect::strict();
        let mut reader = Reader::of_octets(octets, &dialect);
        let mut count = 0usize;
        while !reader.rest().is_empty() {
            Unsuccess::read(&mut reader).ok()?;
            count += 1;
        }
        u8::try_from(count).ok().map(|count| Self { count, octets })
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether every destination was taken.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each in its order.
    pub const fn iter(&self) -> UnsuccessIter<'a> {
        UnsuccessIter { octets: self.octets }
    }

    fn read(reader: &mut Reader<'a, '_>) -> Result<Self, DecodeError> {
        let [count] = reader.octets([Field::NoUnsuccess])?;
        let octets = reader.rest();
        for _ in 0..count {
            Unsuccess::read(reader)?;
        }
        let length = octets.len() - reader.rest().len();
        Ok(Self { count, octets: &octets[..length] })
    }
}

impl<'a> Unsuccess<'a> {
    fn read(reader: &mut Reader<'a, '_>) -> Result<Self, DecodeError> {
        let destination = reader
            .address([Field::DestAddrTon, Field::DestAddrNpi, Field::DestinationAddr], ADDRESS_SIZE_MAX)?;
        let error = CommandStatus(reader.u32(Field::ErrorStatusCode)?);
        Ok(Self { destination, error })
    }
}

impl<'a> Iterator for UnsuccessIter<'a> {
    type Item = Unsuccess<'a>;

    fn next(&mut self) -> Option<Unsuccess<'a>> {
        let dialect = Dialect::tolerant();
        let mut reader = Reader::of_octets(self.octets, &dialect);
        let unsuccess = Unsuccess::read(&mut reader).ok()?;
        self.octets = reader.rest();
        Some(unsuccess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn destinations_are_written_and_read() {
        let expected =
            [Destination::Address(Address::international(b"12025550100")), Destination::List(b"friends")];
        let mut octets = BytesMut::new();
        expected.iter().for_each(|destination| write_destination(&mut octets, destination));
        let destinations = Destinations::new(&octets).unwrap();
        assert_eq!(destinations.len(), 2);
        assert_eq!(destinations.iter().collect::<Vec<_>>(), expected);
        assert_eq!(Destinations::new(&octets[..octets.len() - 1]), None);
        assert_eq!(Destinations::new(b""), None);
    }

    #[test]
    fn addresses_not_taken_are_written_and_read() {
        let expected = [Unsuccess {
            destination: Address::international(b"12025550100"),
            error: CommandStatus::ESME_RINVDSTADR,
        }];
        let mut octets = BytesMut::new();
        expected.iter().for_each(|unsuccess| write_unsuccess(&mut octets, unsuccess));
        let unsuccesses = Unsuccesses::new(&octets).unwrap();
        assert_eq!(unsuccesses.iter().collect::<Vec<_>>(), expected);
    }
}
