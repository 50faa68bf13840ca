//! Every PDU of SMPP 3.4 §4 as a borrowed view: one file per command, request and response together.
//!
//! The table below is the one list of them. A new PDU is a file, a row here, a row in the session's table of
//! legality, and vectors.

mod alert_notification;
mod bind;
mod cancel_sm;
mod data_sm;
mod deliver_sm;
mod outbind;
mod query_sm;
mod replace_sm;
mod short_message;
mod submit_multi;
mod submit_sm;

use bytes::BytesMut;

pub use alert_notification::AlertNotification;
pub use bind::{Bind, BindKind, BindResp};
pub use cancel_sm::CancelSm;
pub use data_sm::{DataSm, DataSmResp};
pub use deliver_sm::{DeliverSm, DeliverSmResp};
pub use outbind::Outbind;
pub use query_sm::{QuerySm, QuerySmResp};
pub use replace_sm::ReplaceSm;
pub use submit_multi::{
    Destination, DestinationIter, Destinations, SubmitMulti, SubmitMultiResp, Unsuccess, UnsuccessIter,
    Unsuccesses, write_destination, write_unsuccess,
};
pub use submit_sm::{SubmitSm, SubmitSmResp};

use crate::dialect::Dialect;
use crate::error::{DecodeError, Field, Problem};
use crate::field::{CommandId, CommandStatus};
use crate::wire::reader::Reader;
use crate::wire::{Frame, writer};

/// What a view writes behind the header. Some responses have no body when they refuse.
pub(crate) trait Body {
    fn write_body(&self, status: CommandStatus, out: &mut BytesMut);
}

macro_rules! pdus {
    (
        own { $($own:ident = $own_id:ident,)+ }
        shared { $($shared:ident($shared_view:ident) = $shared_id:ident,)+ }
        bare { $($bare:ident = $bare_id:ident,)+ }
    ) => {
        /// One PDU, borrowed from its frame.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Pdu<'a> {
            $(#[doc = concat!("[`CommandId::", stringify!($own_id), "`]")] $own($own<'a>),)+
            $(#[doc = concat!("[`CommandId::", stringify!($shared_id), "`]")] $shared($shared_view<'a>),)+
            $(#[doc = concat!("[`CommandId::", stringify!($bare_id), "`], without a body")] $bare,)+
        }

        impl<'a> Pdu<'a> {
            /// The view of this frame. The status of the error is what the standard answers.
            #[inline]
            pub fn decode(frame: Frame<'a>, dialect: &Dialect) -> Result<Pdu<'a>, DecodeError> {
                match frame.command_id() {
                    $(CommandId::$own_id => $own::decode(frame, dialect).map(Pdu::$own),)+
                    $(CommandId::$shared_id => $shared_view::decode(frame, dialect).map(Pdu::$shared),)+
                    $(CommandId::$bare_id => Reader::new(frame, dialect).end().map(|()| Pdu::$bare),)+
                    _ => Err(DecodeError {
                        problem: Problem::UnknownCommand,
                        field: Field::CommandId,
                        offset: 4,
                    }),
                }
            }

            /// Appends the PDU. Requests take ESME_ROK.
            #[inline]
            pub fn encode(&self, status: CommandStatus, sequence_number: u32, out: &mut BytesMut) {
                writer::pdu(self.command_id(), status, sequence_number, out, |out| match self {
                    $(Pdu::$own(view) => view.write_body(status, out),)+
                    $(Pdu::$shared(view) => view.write_body(status, out),)+
                    $(Pdu::$bare => {})+
                });
            }

            /// Which command this is.
            #[inline]
            pub const fn command_id(&self) -> CommandId {
                match self {
                    $(Pdu::$own(_) => CommandId::$own_id,)+
                    $(Pdu::$shared(_) => CommandId::$shared_id,)+
                    $(Pdu::$bare => CommandId::$bare_id,)+
                }
            }
        }

        $(impl $own<'_> {
            /// Appends the PDU with its header. Requests take ESME_ROK.
            #[inline]
            pub fn encode(&self, status: CommandStatus, sequence_number: u32, out: &mut BytesMut) {
                writer::pdu(CommandId::$own_id, status, sequence_number, out, |out| self.write_body(status, out));
            }
        }

        impl<'a> From<$own<'a>> for Pdu<'a> {
            fn from(view: $own<'a>) -> Pdu<'a> {
                Pdu::$own(view)
            }
        })+
    };
}

pdus! {
    own {
        SubmitSm = SUBMIT_SM,
        SubmitSmResp = SUBMIT_SM_RESP,
        DeliverSm = DELIVER_SM,
        DeliverSmResp = DELIVER_SM_RESP,
        DataSm = DATA_SM,
        DataSmResp = DATA_SM_RESP,
        SubmitMulti = SUBMIT_MULTI,
        SubmitMultiResp = SUBMIT_MULTI_RESP,
        QuerySm = QUERY_SM,
        QuerySmResp = QUERY_SM_RESP,
        CancelSm = CANCEL_SM,
        ReplaceSm = REPLACE_SM,
        Outbind = OUTBIND,
        AlertNotification = ALERT_NOTIFICATION,
    }
    shared {
        BindTransmitter(Bind) = BIND_TRANSMITTER,
        BindReceiver(Bind) = BIND_RECEIVER,
        BindTransceiver(Bind) = BIND_TRANSCEIVER,
        BindTransmitterResp(BindResp) = BIND_TRANSMITTER_RESP,
        BindReceiverResp(BindResp) = BIND_RECEIVER_RESP,
        BindTransceiverResp(BindResp) = BIND_TRANSCEIVER_RESP,
    }
    bare {
        Unbind = UNBIND,
        UnbindResp = UNBIND_RESP,
        EnquireLink = ENQUIRE_LINK,
        EnquireLinkResp = ENQUIRE_LINK_RESP,
        CancelSmResp = CANCEL_SM_RESP,
        ReplaceSmResp = REPLACE_SM_RESP,
        GenericNack = GENERIC_NACK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Header;

    #[test]
    fn an_unknown_command_is_named() {
        let header = Header {
            command_length: 16,
            command_id: CommandId(0x0001_0203),
            command_status: CommandStatus::ESME_ROK,
            sequence_number: 1,
        };
        let bytes = header.to_bytes();
        let error = Pdu::decode(Frame::whole(&bytes).unwrap(), &Dialect::strict()).unwrap_err();
        assert_eq!(error.status(), CommandStatus::ESME_RINVCMDID);
    }

    #[test]
    fn every_command_has_a_view() {
        for command_id in CommandId::ALL {
            let header = Header {
                command_length: 16,
                command_id: *command_id,
                command_status: CommandStatus::ESME_RSYSERR,
                sequence_number: 1,
            };
            let bytes = header.to_bytes();
            match Pdu::decode(Frame::whole(&bytes).unwrap(), &Dialect::tolerant()) {
                Ok(pdu) => assert_eq!(pdu.command_id(), *command_id),
                Err(error) => assert_eq!(error.problem, Problem::Truncated, "{command_id:?}"),
            }
        }
    }
}
