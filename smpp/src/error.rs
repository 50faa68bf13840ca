//! What a peer did wrong, and what the standard answers: [`DecodeError`] for octets, [`Violation`] for
//! behaviour. Each has one table to `command_status`.

use core::fmt;

use crate::field::CommandStatus;
use crate::wire::FrameError;

/// Octets that are not the PDU they claim to be. Names the field and the octet where it showed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DecodeError {
    /// What is wrong.
    pub problem: Problem,
    /// The field it is wrong with.
    pub field: Field,
    /// Octets from the start of the PDU, header included, to where the field starts.
    pub offset: u32,
}

/// What can be wrong with a field.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Problem {
    /// No PDU of SMPP 3.4 has this `command_id`.
    UnknownCommand,
    /// The PDU ends before the field does.
    Truncated,
    /// The PDU ends before the NUL of a C-octet string.
    Unterminated,
    /// A C-octet string has no NUL within the size of its field.
    Overlong,
    /// `sm_length` is above 254 or reaches beyond the PDU.
    MessageLength,
    /// The field has a value its place does not allow.
    Value,
    /// `short_message` and `message_payload` are both there.
    PayloadTwice,
    /// The TLV stream ends in the middle of a TLV.
    TlvCut,
    /// A known TLV has a length its tag does not allow.
    TlvLength,
    /// A known TLV does not end as its kind does.
    TlvValue,
    /// The PDU takes no TLVs.
    TlvNotAllowed,
    /// Octets follow the last field.
    Trailing,
}

impl DecodeError {
    /// The answer of the standard (SMPP 3.4 §5.1.3): the one table from an error of decoding to a status.
    pub const fn status(self) -> CommandStatus {
        match self.problem {
            Problem::UnknownCommand => CommandStatus::ESME_RINVCMDID,
            Problem::Truncated | Problem::Unterminated | Problem::Trailing => CommandStatus::ESME_RINVCMDLEN,
            Problem::Overlong | Problem::Value => self.field.status(),
            Problem::MessageLength => CommandStatus::ESME_RINVMSGLEN,
            Problem::PayloadTwice | Problem::TlvNotAllowed => CommandStatus::ESME_ROPTPARNOTALLWD,
            Problem::TlvCut => CommandStatus::ESME_RINVOPTPARSTREAM,
            Problem::TlvLength => CommandStatus::ESME_RINVPARLEN,
            Problem::TlvValue => CommandStatus::ESME_RINVOPTPARAMVAL,
        }
    }
}

impl Problem {
    /// A word for counters and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Problem::UnknownCommand => "unknown_command",
            Problem::Truncated => "truncated",
            Problem::Unterminated => "unterminated",
            Problem::Overlong => "overlong",
            Problem::MessageLength => "message_length",
            Problem::Value => "value",
            Problem::PayloadTwice => "payload_twice",
            Problem::TlvCut => "tlv_cut",
            Problem::TlvLength => "tlv_length",
            Problem::TlvValue => "tlv_value",
            Problem::TlvNotAllowed => "tlv_not_allowed",
            Problem::Trailing => "trailing",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {} at octet {}", self.problem.label(), self.field.name(), self.offset)
    }
}

impl core::error::Error for DecodeError {}

macro_rules! fields {
    ($($variant:ident $name:literal $status:ident,)+) => {
        /// The fields an error can name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Field {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
        }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Field] = &[$(Field::$variant),+];

            /// The standard's name.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name,)+ }
            }

            /// The status that says this field has a bad value (SMPP 3.4 §5.1.3).
            const fn status(self) -> CommandStatus {
                match self { $(Field::$variant => CommandStatus::$status,)+ }
            }
        }
    };
}

fields! {
    CommandId            "command_id"             ESME_RINVCMDID,
    Body                 "body"                   ESME_RINVCMDLEN,
    SystemId             "system_id"              ESME_RINVSYSID,
    Password             "password"               ESME_RINVPASWD,
    SystemType           "system_type"            ESME_RINVSYSTYP,
    InterfaceVersion     "interface_version"      ESME_RINVCMDLEN,
    AddrTon              "addr_ton"               ESME_RINVCMDLEN,
    AddrNpi              "addr_npi"               ESME_RINVCMDLEN,
    AddressRange         "address_range"          ESME_RBINDFAIL,
    ServiceType          "service_type"           ESME_RINVSERTYP,
    SourceAddrTon        "source_addr_ton"        ESME_RINVSRCTON,
    SourceAddrNpi        "source_addr_npi"        ESME_RINVSRCNPI,
    SourceAddr           "source_addr"            ESME_RINVSRCADR,
    DestAddrTon          "dest_addr_ton"          ESME_RINVDSTTON,
    DestAddrNpi          "dest_addr_npi"          ESME_RINVDSTNPI,
    DestinationAddr      "destination_addr"       ESME_RINVDSTADR,
    EsmeAddrTon          "esme_addr_ton"          ESME_RINVDSTTON,
    EsmeAddrNpi          "esme_addr_npi"          ESME_RINVDSTNPI,
    EsmeAddr             "esme_addr"              ESME_RINVDSTADR,
    EsmClass             "esm_class"              ESME_RINVESMCLASS,
    ProtocolId           "protocol_id"            ESME_RINVCMDLEN,
    PriorityFlag         "priority_flag"          ESME_RINVPRTFLG,
    ScheduleDeliveryTime "schedule_delivery_time" ESME_RINVSCHED,
    ValidityPeriod       "validity_period"        ESME_RINVEXPIRY,
    RegisteredDelivery   "registered_delivery"    ESME_RINVREGDLVFLG,
    ReplaceIfPresentFlag "replace_if_present_flag" ESME_RINVREPFLAG,
    DataCoding           "data_coding"            ESME_RINVCMDLEN,
    SmDefaultMsgId       "sm_default_msg_id"      ESME_RINVDFTMSGID,
    SmLength             "sm_length"              ESME_RINVMSGLEN,
    ShortMessage         "short_message"          ESME_RINVMSGLEN,
    MessageId            "message_id"             ESME_RINVMSGID,
    FinalDate            "final_date"             ESME_RINVEXPIRY,
    MessageState         "message_state"          ESME_RINVCMDLEN,
    ErrorCode            "error_code"             ESME_RINVCMDLEN,
    NumberOfDests        "number_of_dests"        ESME_RINVNUMDESTS,
    DestFlag             "dest_flag"              ESME_RINVDESTFLAG,
    DlName               "dl_name"                ESME_RINVDLNAME,
    NoUnsuccess          "no_unsuccess"           ESME_RINVCMDLEN,
    ErrorStatusCode      "error_status_code"      ESME_RINVCMDLEN,
    Tlvs                 "optional parameters"    ESME_RINVOPTPARSTREAM,
}

/// A peer that broke the protocol by what it did, not by how it spelled it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Violation {
    /// The stream cannot be resynchronised; the connection ends.
    Frame(FrameError),
    /// A PDU that cannot be read.
    Decode(DecodeError),
    /// The request is not legal in this state of the session, or from this side.
    IllegalState,
    /// A bind on a session that is bound.
    AlreadyBound,
    /// A sequence number outside 1 to 0x7FFF_FFFF.
    SequenceNumber,
    /// A response that no request of ours waits for.
    ResponseUnexpected,
    /// A response whose command is not that of the request with its number.
    ResponseMismatch,
    /// A response that came after its request had expired.
    ResponseLate,
    /// More unanswered requests than were agreed.
    WindowExceeded,
    /// No bind within its time.
    BindTimeout,
    /// No answer to enquire_link or unbind within its time.
    ResponseTimeout,
}

impl Violation {
    /// The answer of the standard: the one table from misbehaviour to a status. `None` where the standard
    /// knows no answer and the fact is only counted.
    pub const fn status(self) -> Option<CommandStatus> {
        match self {
            Violation::Frame(_) => Some(CommandStatus::ESME_RINVCMDLEN),
            Violation::Decode(error) => Some(error.status()),
            Violation::IllegalState => Some(CommandStatus::ESME_RINVBNDSTS),
            Violation::AlreadyBound => Some(CommandStatus::ESME_RALYBND),
            Violation::SequenceNumber => Some(CommandStatus::ESME_RUNKNOWNERR),
            Violation::WindowExceeded => Some(CommandStatus::ESME_RTHROTTLED),
            Violation::ResponseUnexpected
            | Violation::ResponseMismatch
            | Violation::ResponseLate
            | Violation::BindTimeout
            | Violation::ResponseTimeout => None,
        }
    }

    /// A word for counters and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Violation::Frame(FrameError::TooShort { .. }) => "frame_too_short",
            Violation::Frame(FrameError::TooLong { .. }) => "frame_too_long",
            Violation::Decode(error) => error.problem.label(),
            Violation::IllegalState => "illegal_state",
            Violation::AlreadyBound => "already_bound",
            Violation::SequenceNumber => "sequence_number",
            Violation::ResponseUnexpected => "response_unexpected",
            Violation::ResponseMismatch => "response_mismatch",
            Violation::ResponseLate => "response_late",
            Violation::WindowExceeded => "window_exceeded",
            Violation::BindTimeout => "bind_timeout",
            Violation::ResponseTimeout => "response_timeout",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Frame(error) => error.fmt(f),
            Violation::Decode(error) => error.fmt(f),
            other => f.write_str(other.label()),
        }
    }
}

impl core::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn errors_map_to_the_status_of_the_standard() {
        let check = |problem, field, expected: CommandStatus| {
            assert_eq!(DecodeError { problem, field, offset: 16 }.status(), expected);
        };
        check(Problem::UnknownCommand, Field::CommandId, CommandStatus::ESME_RINVCMDID);
        check(Problem::Truncated, Field::EsmClass, CommandStatus::ESME_RINVCMDLEN);
        check(Problem::Unterminated, Field::SourceAddr, CommandStatus::ESME_RINVCMDLEN);
        check(Problem::Overlong, Field::SourceAddr, CommandStatus::ESME_RINVSRCADR);
        check(Problem::Overlong, Field::DestinationAddr, CommandStatus::ESME_RINVDSTADR);
        check(Problem::Overlong, Field::ServiceType, CommandStatus::ESME_RINVSERTYP);
        check(Problem::MessageLength, Field::SmLength, CommandStatus::ESME_RINVMSGLEN);
        check(Problem::TlvCut, Field::Tlvs, CommandStatus::ESME_RINVOPTPARSTREAM);
        check(Problem::TlvLength, Field::Tlvs, CommandStatus::ESME_RINVPARLEN);
        check(Problem::Value, Field::DestFlag, CommandStatus::ESME_RINVDESTFLAG);
    }

    #[test]
    fn an_error_names_field_and_place() {
        let error = DecodeError { problem: Problem::Overlong, field: Field::SourceAddr, offset: 19 };
        assert_eq!(error.to_string(), "overlong in source_addr at octet 19");
    }
}
