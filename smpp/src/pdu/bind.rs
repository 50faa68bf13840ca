//! bind_transmitter, bind_receiver, bind_transceiver and their responses (SMPP 3.4 §4.1).

use bytes::{BufMut, BytesMut};

use super::Body;
use crate::dialect::Dialect;
use crate::error::{DecodeError, Field};
use crate::field::{CommandId, CommandStatus, Npi, Ton};
use crate::limits::{ADDRESS_RANGE_SIZE_MAX, PASSWORD_SIZE_MAX, SYSTEM_ID_SIZE_MAX, SYSTEM_TYPE_SIZE_MAX};
use crate::tlv::Tlvs;
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

/// Which of the three binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BindKind {
    /// May submit.
    Transmitter,
    /// May receive.
    Receiver,
    /// May do both.
    Transceiver,
}

impl BindKind {
    /// The request's command.
    pub const fn command_id(self) -> CommandId {
        match self {
            BindKind::Transmitter => CommandId::BIND_TRANSMITTER,
            BindKind::Receiver => CommandId::BIND_RECEIVER,
            BindKind::Transceiver => CommandId::BIND_TRANSCEIVER,
        }
    }

    /// The kind a bind request or response is of.
    pub const fn of_command(command_id: CommandId) -> Option<BindKind> {
        match command_id.request() {
            CommandId::BIND_TRANSMITTER => Some(BindKind::Transmitter),
            CommandId::BIND_RECEIVER => Some(BindKind::Receiver),
            CommandId::BIND_TRANSCEIVER => Some(BindKind::Transceiver),
            _ => None,
        }
    }

    /// Whether the ESME may submit messages.
    #[inline]
    pub const fn may_submit(self) -> bool {
        !matches!(self, BindKind::Receiver)
    }

    /// Whether the SMSC may deliver messages.
    #[inline]
    pub const fn may_receive(self) -> bool {
        !matches!(self, BindKind::Transmitter)
    }
}

/// Asks to be bound (SMPP 3.4 §4.1.1, §4.1.3, §4.1.5).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Bind<'a> {
    /// Who binds; 15 octets at most.
    pub system_id: &'a [u8],
    /// 8 octets at most.
    pub password: &'a [u8],
    /// 12 octets at most.
    pub system_type: &'a [u8],
    /// 0x34 is SMPP 3.4; 0x33 and below is 3.3.
    pub interface_version: u8,
    /// Type of number of `address_range`.
    pub addr_ton: Ton,
    /// Numbering plan of `address_range`.
    pub addr_npi: Npi,
    /// The addresses served, 40 octets at most.
    pub address_range: &'a [u8],
}

/// The answer to a bind (SMPP 3.4 §4.1.2, §4.1.4, §4.1.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct BindResp<'a> {
    /// Who answers; 15 octets at most.
    pub system_id: &'a [u8],
    /// sc_interface_version, as a rule.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Bind<'a> {
    /// Reads the body of any of the three requests.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        let system_id = reader.c_string(Field::SystemId, SYSTEM_ID_SIZE_MAX)?;
        let password = reader.c_string(Field::Password, PASSWORD_SIZE_MAX)?;
        let system_type = reader.c_string(Field::SystemType, SYSTEM_TYPE_SIZE_MAX)?;
        let [interface_version, addr_ton, addr_npi] =
            reader.octets([Field::InterfaceVersion, Field::AddrTon, Field::AddrNpi])?;
        let address_range = reader.c_string(Field::AddressRange, ADDRESS_RANGE_SIZE_MAX)?;
        reader.end()?;
        let (addr_ton, addr_npi) = (Ton(addr_ton), Npi(addr_npi));
        Ok(Self { system_id, password, system_type, interface_version, addr_ton, addr_npi, address_range })
    }

    /// Appends the request of this kind.
    pub fn encode(&self, kind: BindKind, sequence_number: u32, out: &mut BytesMut) {
        let status = CommandStatus::ESME_ROK;
        writer::pdu(kind.command_id(), status, sequence_number, out, |out| self.write_body(status, out));
    }
}

/// Prints everything but the password.
impl core::fmt::Debug for Bind<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Bind")
            .field("system_id", &self.system_id)
            .field("system_type", &self.system_type)
            .field("interface_version", &self.interface_version)
            .field("addr_ton", &self.addr_ton)
            .field("addr_npi", &self.addr_npi)
            .field("address_range", &self.address_range)
            .finish_non_exhaustive()
    }
}

impl Body for Bind<'_> {
    fn write_body(&self, _status: CommandStatus, out: &mut BytesMut) {
        writer::c_string(out, self.system_id);
        writer::c_string(out, self.password);
        writer::c_string(out, self.system_type);
        out.put_slice(&[self.interface_version, self.addr_ton.0, self.addr_npi.0]);
        writer::c_string(out, self.address_range);
    }
}

impl<'a> BindResp<'a> {
    /// Reads the body of any of the three responses; a refusal may have none.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        if reader.response_is_bare(frame) {
            return Ok(Self::default());
        }
        let system_id = reader.c_string(Field::SystemId, SYSTEM_ID_SIZE_MAX)?;
        Ok(Self { system_id, tlvs: reader.tlvs()? })
    }

    /// Appends the response to a bind of this kind.
    pub fn encode(&self, kind: BindKind, status: CommandStatus, sequence_number: u32, out: &mut BytesMut) {
        let command_id = kind.command_id().response();
        writer::pdu(command_id, status, sequence_number, out, |out| self.write_body(status, out));
    }
}

impl Body for BindResp<'_> {
    fn write_body(&self, status: CommandStatus, out: &mut BytesMut) {
        if status.is_ok() || *self != Self::default() {
            writer::c_string(out, self.system_id);
            out.put_slice(self.tlvs.whole());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn kinds_say_what_is_allowed() {
        let check = |kind: BindKind, submit, receive| {
            assert_eq!((kind.may_submit(), kind.may_receive()), (submit, receive));
            assert_eq!(BindKind::of_command(kind.command_id()), Some(kind));
            assert_eq!(BindKind::of_command(kind.command_id().response()), Some(kind));
        };
        check(BindKind::Transmitter, true, false);
        check(BindKind::Receiver, false, true);
        check(BindKind::Transceiver, true, true);
        assert_eq!(BindKind::of_command(CommandId::SUBMIT_SM), None);
    }

    #[test]
    fn the_password_is_not_printed() {
        let bind = Bind { system_id: b"name", password: b"hunter2", ..Bind::default() };
        assert!(!format!("{bind:?}").contains(&format!("{:?}", b"hunter2")));
        assert!(!format!("{bind:?}").contains("password"));
    }
}
