//! Why we say no, and the single table from each reason to the wire.

use smpp::error::{DecodeError, Field, Problem};
use smpp::field::CommandStatus;
use smpp::version::Unsayable;

/// Our no to a customer's submit. Every one is answered through [`Refusal::status`] and counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The session is bound as receiver, or not bound (any more).
    MayNotSubmit,
    /// We are going down; try another node or later.
    Draining,
    /// More unanswered requests than the account may have.
    WindowOver,
    /// More messages per second than the account may send.
    RateOver,
    /// The message is longer than we pass on.
    TooLong,
    /// The destination holds no digit.
    NoDestination,
    /// The validity period is not a time of SMPP 3.4 §7.1.1, or lies in the past.
    ValidityInvalid,
    /// No route leads to the destination.
    NoRoute,
    /// Every vendor of the route is unbound.
    NoVendor,
    /// Every vendor of the route has its wait queue full.
    QueueFull,
    /// No window slot came free in time.
    QueueExpired,
    /// This shard holds as many messages as it may.
    MessagesFull,
    /// A receipt is wanted, and what it needs cannot be kept now.
    ReceiptsFull,
    /// The customer submits again what is not answered yet, and wants that to be noticed.
    DuplicateOpen,
    /// The spool holds as many messages as it may.
    SpoolFull,
    /// The spool does not work, and certainly has not kept the message.
    SpoolAway,
    /// The queue of records is full, and the policy is to take nothing that would leave none.
    RecordsFull,
    /// The customer may not send from this address.
    SourceNotAllowed,
    /// The customer may not send from this address: it is another customer's number.
    SourceOfOther,
    /// More messages per second than one session may send.
    BindRateOver,
    /// More segments per second than the source number may send.
    NumberRateOver,
    /// More segments per second than the campaign may send to that network.
    CampaignRateOver,
    /// The brand has sent all that it may send in a day.
    BrandDayOver,
    /// One message of more segments than any second or share of a node holds: it will never pass.
    SegmentsOver,
    /// The service_type is longer than its field.
    ServiceTypeInvalid,
    /// The source address is longer than its field.
    SourceInvalid,
    /// The destination address is longer than its field.
    DestinationInvalid,
    /// The schedule_delivery_time is not a time of SMPP 3.4 §7.1.1, or lies in the past.
    ScheduleInvalid,
    /// The PDU ends within an optional parameter that the message cannot do without.
    ParametersCut,
    /// An optional parameter that the message cannot do without has a length that its tag does not allow.
    ParameterInvalid,
    /// No vendor takes this reserved type of the source.
    SourceTonReserved,
    /// No vendor takes this reserved plan of the source.
    SourceNpiReserved,
    /// No vendor takes this reserved type of the destination.
    DestinationTonReserved,
    /// No vendor takes this reserved plan of the destination.
    DestinationNpiReserved,
    /// No vendor takes this reserved esm_class.
    EsmClassReserved,
    /// No vendor takes this reserved priority_flag.
    PriorityReserved,
    /// No vendor takes this reserved registered_delivery.
    RegisteredDeliveryReserved,
    /// No vendor takes this reserved replace_if_present_flag.
    ReplaceFlagReserved,
    /// No vendor takes this reserved data_coding; SMPP 3.4 has no status of its own for it.
    DataCodingReserved,
    /// No vendor takes this reserved sm_default_msg_id.
    DefaultMessageReserved,
    /// Every vendor of the route speaks SMPP 3.3, and without an optional parameter it would be another message.
    ParameterUnsayable,
}

impl Refusal {
    /// All reasons, in the order of [`Refusal::index`].
    pub const ALL: [Self; 41] = [
        Self::MayNotSubmit,
        Self::Draining,
        Self::WindowOver,
        Self::RateOver,
        Self::TooLong,
        Self::NoDestination,
        Self::ValidityInvalid,
        Self::NoRoute,
        Self::NoVendor,
        Self::QueueFull,
        Self::QueueExpired,
        Self::MessagesFull,
        Self::ReceiptsFull,
        Self::DuplicateOpen,
        Self::SpoolFull,
        Self::SpoolAway,
        Self::RecordsFull,
        Self::SourceNotAllowed,
        Self::SourceOfOther,
        Self::BindRateOver,
        Self::NumberRateOver,
        Self::CampaignRateOver,
        Self::BrandDayOver,
        Self::SegmentsOver,
        Self::ServiceTypeInvalid,
        Self::SourceInvalid,
        Self::DestinationInvalid,
        Self::ScheduleInvalid,
        Self::ParametersCut,
        Self::ParameterInvalid,
        Self::SourceTonReserved,
        Self::SourceNpiReserved,
        Self::DestinationTonReserved,
        Self::DestinationNpiReserved,
        Self::EsmClassReserved,
        Self::PriorityReserved,
        Self::RegisteredDeliveryReserved,
        Self::ReplaceFlagReserved,
        Self::DataCodingReserved,
        Self::DefaultMessageReserved,
        Self::ParameterUnsayable,
    ];

    /// The place of this reason in [`crate::Counters::refused`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word for logs and metric labels.
    pub const fn label(self) -> &'static str {
        match self {
            Self::MayNotSubmit => "may_not_submit",
            Self::Draining => "draining",
            Self::WindowOver => "window_over",
            Self::RateOver => "rate_over",
            Self::TooLong => "too_long",
            Self::NoDestination => "no_destination",
            Self::ValidityInvalid => "validity_invalid",
            Self::NoRoute => "no_route",
            Self::NoVendor => "no_vendor",
            Self::QueueFull => "queue_full",
            Self::QueueExpired => "queue_expired",
            Self::MessagesFull => "messages_full",
            Self::ReceiptsFull => "receipts_full",
            Self::DuplicateOpen => "duplicate_open",
            Self::SpoolFull => "spool_full",
            Self::SpoolAway => "spool_away",
            Self::RecordsFull => "records_full",
            Self::SourceNotAllowed => "source_not_allowed",
            Self::SourceOfOther => "source_of_other",
            Self::BindRateOver => "bind_rate_over",
            Self::NumberRateOver => "number_rate_over",
            Self::CampaignRateOver => "campaign_rate_over",
            Self::BrandDayOver => "brand_day_over",
            Self::SegmentsOver => "segments_over",
            Self::ServiceTypeInvalid => "service_type_invalid",
            Self::SourceInvalid => "source_invalid",
            Self::DestinationInvalid => "destination_invalid",
            Self::ScheduleInvalid => "schedule_invalid",
            Self::ParametersCut => "parameters_cut",
            Self::ParameterInvalid => "parameter_invalid",
            Self::SourceTonReserved => "source_ton_reserved",
            Self::SourceNpiReserved => "source_npi_reserved",
            Self::DestinationTonReserved => "destination_ton_reserved",
            Self::DestinationNpiReserved => "destination_npi_reserved",
            Self::EsmClassReserved => "esm_class_reserved",
            Self::PriorityReserved => "priority_reserved",
            Self::RegisteredDeliveryReserved => "registered_delivery_reserved",
            Self::ReplaceFlagReserved => "replace_flag_reserved",
            Self::DataCodingReserved => "data_coding_reserved",
            Self::DefaultMessageReserved => "default_message_reserved",
            Self::ParameterUnsayable => "parameter_unsayable",
        }
    }

    /// The table. Reasons that pass by themselves get a status that customers retry on (SMPP 3.4 §5.1.3).
    pub const fn status(self) -> CommandStatus {
        match self {
            Self::MayNotSubmit => CommandStatus::ESME_RINVBNDSTS,
            Self::WindowOver
            | Self::RateOver
            | Self::BindRateOver
            | Self::NumberRateOver
            | Self::CampaignRateOver
            | Self::BrandDayOver => CommandStatus::ESME_RTHROTTLED,
            Self::TooLong | Self::SegmentsOver => CommandStatus::ESME_RINVMSGLEN,
            Self::SourceNotAllowed | Self::SourceOfOther | Self::SourceInvalid => {
                CommandStatus::ESME_RINVSRCADR
            }
            Self::NoDestination | Self::NoRoute | Self::DestinationInvalid => CommandStatus::ESME_RINVDSTADR,
            Self::ServiceTypeInvalid => CommandStatus::ESME_RINVSERTYP,
            Self::ScheduleInvalid => CommandStatus::ESME_RINVSCHED,
            Self::ParametersCut => CommandStatus::ESME_RINVOPTPARSTREAM,
            Self::ParameterInvalid => CommandStatus::ESME_RINVPARLEN,
            Self::SourceTonReserved => CommandStatus::ESME_RINVSRCTON,
            Self::SourceNpiReserved => CommandStatus::ESME_RINVSRCNPI,
            Self::DestinationTonReserved => CommandStatus::ESME_RINVDSTTON,
            Self::DestinationNpiReserved => CommandStatus::ESME_RINVDSTNPI,
            Self::EsmClassReserved => CommandStatus::ESME_RINVESMCLASS,
            Self::PriorityReserved => CommandStatus::ESME_RINVPRTFLG,
            Self::RegisteredDeliveryReserved => CommandStatus::ESME_RINVREGDLVFLG,
            Self::ReplaceFlagReserved => CommandStatus::ESME_RINVREPFLAG,
            Self::DataCodingReserved => CommandStatus::ESME_RSUBMITFAIL,
            Self::DefaultMessageReserved => CommandStatus::ESME_RINVDFTMSGID,
            Self::ParameterUnsayable => CommandStatus::ESME_ROPTPARNOTALLWD,
            Self::ValidityInvalid => CommandStatus::ESME_RINVEXPIRY,
            Self::NoVendor | Self::SpoolAway => CommandStatus::ESME_RSYSERR,
            Self::Draining
            | Self::QueueFull
            | Self::QueueExpired
            | Self::MessagesFull
            | Self::ReceiptsFull
            | Self::DuplicateOpen
            | Self::SpoolFull
            | Self::RecordsFull => CommandStatus::ESME_RMSGQFUL,
        }
    }
}

impl Refusal {
    /// Why a message cannot be written in a form that may leave.
    pub(crate) const fn of_form(error: DecodeError) -> Self {
        match error.field {
            Field::ServiceType => Self::ServiceTypeInvalid,
            Field::SourceAddr => Self::SourceInvalid,
            Field::DestinationAddr => Self::DestinationInvalid,
            Field::ScheduleDeliveryTime => Self::ScheduleInvalid,
            Field::ValidityPeriod => Self::ValidityInvalid,
            Field::Tlvs if matches!(error.problem, Problem::TlvCut) => Self::ParametersCut,
            Field::Tlvs => Self::ParameterInvalid,
            _ => Self::TooLong,
        }
    }

    /// Why no vendor takes a message that SMPP 3.3 cannot say.
    pub(crate) const fn of_unsayable(why: Unsayable) -> Self {
        match why {
            Unsayable::TooLong => Self::TooLong,
            Unsayable::Address(Field::SourceAddr) => Self::SourceInvalid,
            Unsayable::Address(_) => Self::DestinationInvalid,
            Unsayable::Parameter(_) => Self::ParameterUnsayable,
        }
    }

    /// Why no vendor takes a message that has a reserved value in this field.
    pub(crate) const fn of_reserved(field: Field) -> Self {
        match field {
            Field::SourceAddrTon => Self::SourceTonReserved,
            Field::SourceAddrNpi => Self::SourceNpiReserved,
            Field::DestAddrTon => Self::DestinationTonReserved,
            Field::DestAddrNpi => Self::DestinationNpiReserved,
            Field::EsmClass => Self::EsmClassReserved,
            Field::PriorityFlag => Self::PriorityReserved,
            Field::RegisteredDelivery => Self::RegisteredDeliveryReserved,
            Field::ReplaceIfPresentFlag => Self::ReplaceFlagReserved,
            Field::SmDefaultMsgId => Self::DefaultMessageReserved,
            _ => Self::DataCodingReserved,
        }
    }
}

/// Our no to a vendor's deliver_sm. The vendor keeps the message; whether it sends it again follows from the status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryRefusal {
    /// We are going down, and what is open shall only become less; deliver to another bind or later.
    Draining,
    /// The message is longer than we pass on; it will not become shorter.
    TooLong,
    /// This shard holds as many deliveries as it may.
    DeliveriesFull,
    /// The customer is away and nothing can be parked: the store is away, full, or there is none.
    NotParked,
    /// The store did not say whose receipt it is.
    StoreAway,
    /// Nobody owns the destination and there is no store for orphans.
    NoOwner,
    /// The queue of records is full, and the policy is to take nothing that would leave none.
    RecordsFull,
    /// It cannot be written in a form that may leave; the standard's status.
    Malformed(CommandStatus),
}

impl DeliveryRefusal {
    /// The table (SMPP 3.4 §5.1.3): temporary where a later try may succeed.
    pub const fn status(self) -> CommandStatus {
        match self {
            Self::Draining | Self::DeliveriesFull | Self::NotParked | Self::StoreAway | Self::RecordsFull => {
                CommandStatus::ESME_RX_T_APPN
            }
            Self::TooLong | Self::NoOwner => CommandStatus::ESME_RX_P_APPN,
            Self::Malformed(status) => status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_word() {
        for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal.index(), place);
            assert!(Refusal::ALL.iter().filter(|other| other.label() == refusal.label()).count() == 1);
            assert_ne!(refusal.status(), CommandStatus::ESME_ROK);
        }
    }
}
