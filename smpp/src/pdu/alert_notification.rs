//! alert_notification: a subscriber has become reachable (SMPP 3.4 §4.12). It has no response.

use bytes::{BufMut, BytesMut};

use super::Body;
use crate::dialect::Dialect;
use crate::error::{DecodeError, Field};
use crate::field::{Address, CommandStatus};
use crate::limits::ADDRESS_LONG_SIZE_MAX;
use crate::tlv::Tlvs;
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

/// Says that a subscriber, for whom a data_sm set the delivery pending flag, is reachable.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct AlertNotification<'a> {
    /// The subscriber; 64 digits at most.
    pub source: Address<'a>,
    /// The ESME that waits; 64 digits at most.
    pub esme: Address<'a>,
    /// ms_availability_status, as a rule.
    pub tlvs: Tlvs<'a>,
}

impl<'a> AlertNotification<'a> {
    /// Reads the body.
    pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, dialect);
        let source = reader.address(
            [Field::SourceAddrTon, Field::SourceAddrNpi, Field::SourceAddr],
            ADDRESS_LONG_SIZE_MAX,
        )?;
        let esme = reader
            .address([Field::EsmeAddrTon, Field::EsmeAddrNpi, Field::EsmeAddr], ADDRESS_LONG_SIZE_MAX)?;
        Ok(Self { source, esme, tlvs: reader.tlvs()? })
    }
}

impl Body for AlertNotification<'_> {
    fn write_body(&self, _status: CommandStatus, out: &mut BytesMut) {
        writer::address(out, &self.source);
        writer::address(out, &self.esme);
        out.put_slice(self.tlvs.whole());
    }
}
