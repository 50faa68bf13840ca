//! outbind: the SMSC asks the ESME to bind (SMPP 3.4 §4.1.7). It has no response.

use bytes::BytesMut;

use super::Body;
use crate::dialect::Dialect;
use crate::error::{DecodeError, Field};
use crate::field::CommandStatus;
use crate::limits::{PASSWORD_SIZE_MAX, SYSTEM_ID_SIZE_MAX};
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

/// Asks the ESME to bind as receiver.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Outbind<'a> {
    /// Who asks; 15 octets at most.
    pub system_id: &'a [u8],
    /// 8 octets at most.
    pub password: &'a [u8],
}

impl<'a> Outbind<'a> {
    /// Reads the body.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        let system_id = reader.c_string(Field::SystemId, SYSTEM_ID_SIZE_MAX)?;
        let password = reader.c_string(Field::Password, PASSWORD_SIZE_MAX)?;
        reader.end()?;
        Ok(Self { system_id, password })
    }
}

/// Prints everything but the password.
impl core::fmt::Debug for Outbind<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Outbind").field("system_id", &self.system_id).finish_non_exhaustive()
    }
}

impl Body for Outbind<'_> {
    fn write_body(&self, _status: CommandStatus, out: &mut BytesMut) {
        writer::c_string(out, self.system_id);
        writer::c_string(out, self.password);
    }
}
