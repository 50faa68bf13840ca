//! Every tag of SMPP 3.4 §5.3.2, one line each: a new one is a line here and a vector.

use super::value::Shape;

/// The tag of an optional parameter. Tags outside the table travel as they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(pub u16);

macro_rules! tags {
    ($($constant:ident = $value:literal $name:literal $shape:expr,)+) => {
        impl Tag {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: Tag = Tag($value);)+

            /// Every tag of the table.
            pub const ALL: &'static [Tag] = &[$(Tag::$constant),+];

            /// The standard's name, where it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some($name),)+ _ => None }
            }

            /// What its value looks like, where the standard says so.
            #[inline]
            pub const fn shape(self) -> Option<Shape> {
                match self.0 { $($value => Some($shape),)+ _ => None }
            }
        }
    };
}

impl Tag {
    /// Whether vendors may give it a meaning of their own (SMPP 3.4 §5.3.1).
    #[inline]
    pub const fn is_vendor_specific(self) -> bool {
        matches!(self.0, 0x1400..=0x3FFF)
    }
}

use Shape::{Empty, U8, U16, U32};

const fn text(min: u16, max: u16) -> Shape {
    Shape::CString { min, max }
}

const fn octets(min: u16, max: u16) -> Shape {
    Shape::Octets { min, max }
}

tags! {
    DEST_ADDR_SUBUNIT           = 0x0005 "dest_addr_subunit" U8,
    DEST_NETWORK_TYPE           = 0x0006 "dest_network_type" U8,
    DEST_BEARER_TYPE            = 0x0007 "dest_bearer_type" U8,
    DEST_TELEMATICS_ID          = 0x0008 "dest_telematics_id" U16,
    SOURCE_ADDR_SUBUNIT         = 0x000D "source_addr_subunit" U8,
    SOURCE_NETWORK_TYPE         = 0x000E "source_network_type" U8,
    SOURCE_BEARER_TYPE          = 0x000F "source_bearer_type" U8,
    SOURCE_TELEMATICS_ID        = 0x0010 "source_telematics_id" U8,
    QOS_TIME_TO_LIVE            = 0x0017 "qos_time_to_live" U32,
    PAYLOAD_TYPE                = 0x0019 "payload_type" U8,
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D "additional_status_info_text" text(1, 256),
    RECEIPTED_MESSAGE_ID        = 0x001E "receipted_message_id" text(1, 65),
    MS_MSG_WAIT_FACILITIES      = 0x0030 "ms_msg_wait_facilities" U8,
    PRIVACY_INDICATOR           = 0x0201 "privacy_indicator" U8,
    SOURCE_SUBADDRESS           = 0x0202 "source_subaddress" octets(2, 23),
    DEST_SUBADDRESS             = 0x0203 "dest_subaddress" octets(2, 23),
    USER_MESSAGE_REFERENCE      = 0x0204 "user_message_reference" U16,
    USER_RESPONSE_CODE          = 0x0205 "user_response_code" U8,
    SOURCE_PORT                 = 0x020A "source_port" U16,
    DESTINATION_PORT            = 0x020B "destination_port" U16,
    SAR_MSG_REF_NUM             = 0x020C "sar_msg_ref_num" U16,
    LANGUAGE_INDICATOR          = 0x020D "language_indicator" U8,
    SAR_TOTAL_SEGMENTS          = 0x020E "sar_total_segments" U8,
    SAR_SEGMENT_SEQNUM          = 0x020F "sar_segment_seqnum" U8,
    SC_INTERFACE_VERSION        = 0x0210 "sc_interface_version" U8,
    CALLBACK_NUM_PRES_IND       = 0x0302 "callback_num_pres_ind" U8,
    CALLBACK_NUM_ATAG           = 0x0303 "callback_num_atag" octets(0, 65),
    NUMBER_OF_MESSAGES          = 0x0304 "number_of_messages" U8,
    CALLBACK_NUM                = 0x0381 "callback_num" octets(4, 19),
    DPF_RESULT                  = 0x0420 "dpf_result" U8,
    SET_DPF                     = 0x0421 "set_dpf" U8,
    MS_AVAILABILITY_STATUS      = 0x0422 "ms_availability_status" U8,
    NETWORK_ERROR_CODE          = 0x0423 "network_error_code" octets(3, 3),
    MESSAGE_PAYLOAD             = 0x0424 "message_payload" octets(0, u16::MAX),
    DELIVERY_FAILURE_REASON     = 0x0425 "delivery_failure_reason" U8,
    MORE_MESSAGES_TO_SEND       = 0x0426 "more_messages_to_send" U8,
    MESSAGE_STATE               = 0x0427 "message_state" U8,
    USSD_SERVICE_OP             = 0x0501 "ussd_service_op" octets(1, 1),
    DISPLAY_TIME                = 0x1201 "display_time" U8,
    SMS_SIGNAL                  = 0x1203 "sms_signal" U16,
    MS_VALIDITY                 = 0x1204 "ms_validity" U8,
    ALERT_ON_MESSAGE_DELIVERY   = 0x130C "alert_on_message_delivery" Empty,
    ITS_REPLY_TYPE              = 0x1380 "its_reply_type" U8,
    ITS_SESSION_INFO            = 0x1383 "its_session_info" octets(2, 2),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_ordered_and_complete() {
        assert_eq!(Tag::ALL.len(), 44);
        assert!(Tag::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Tag(0x1400).name(), None);
        assert_eq!(Tag(0x1400).shape(), None);
    }
}
