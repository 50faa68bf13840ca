//! `command_id` (SMPP 3.4 §5.1.2).

/// `command_id`. Bit 31 tells a response from a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandId(pub u32);

const RESPONSE: u32 = 0x8000_0000;

impl CommandId {
    /// Whether this answers a request; generic_nack does.
    #[inline]
    pub const fn is_response(self) -> bool {
        self.0 & RESPONSE != 0
    }

    /// The response of this request; a response is its own.
    #[inline]
    pub const fn response(self) -> CommandId {
        CommandId(self.0 | RESPONSE)
    }

    /// The request this response answers; `CommandId(0)` for generic_nack, which answers any.
    #[inline]
    pub const fn request(self) -> CommandId {
        CommandId(self.0 & !RESPONSE)
    }

    /// Whether a response to this is due: alert_notification and outbind have none.
    #[inline]
    pub const fn wants_response(self) -> bool {
        !self.is_response() && self.0 != Self::ALERT_NOTIFICATION.0 && self.0 != Self::OUTBIND.0
    }

    /// Whether SMPP 3.3 does not know this request.
    #[inline]
    pub const fn is_new_in_34(self) -> bool {
        matches!(self.0, 0x0000_0102 | 0x0000_0103)
    }
}

macro_rules! commands {
    ($($constant:ident = $value:literal $name:literal,)+) => {
        impl CommandId {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: CommandId = CommandId($value);)+

            /// Every command of SMPP 3.4.
            pub const ALL: &'static [CommandId] = &[$(CommandId::$constant),+];

            /// The standard's name, where it has one.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some($name),)+ _ => None }
            }
        }
    };
}

commands! {
    GENERIC_NACK          = 0x8000_0000 "generic_nack",
    BIND_RECEIVER         = 0x0000_0001 "bind_receiver",
    BIND_RECEIVER_RESP    = 0x8000_0001 "bind_receiver_resp",
    BIND_TRANSMITTER      = 0x0000_0002 "bind_transmitter",
    BIND_TRANSMITTER_RESP = 0x8000_0002 "bind_transmitter_resp",
    QUERY_SM              = 0x0000_0003 "query_sm",
    QUERY_SM_RESP         = 0x8000_0003 "query_sm_resp",
    SUBMIT_SM             = 0x0000_0004 "submit_sm",
    SUBMIT_SM_RESP        = 0x8000_0004 "submit_sm_resp",
    DELIVER_SM            = 0x0000_0005 "deliver_sm",
    DELIVER_SM_RESP       = 0x8000_0005 "deliver_sm_resp",
    UNBIND                = 0x0000_0006 "unbind",
    UNBIND_RESP           = 0x8000_0006 "unbind_resp",
    REPLACE_SM            = 0x0000_0007 "replace_sm",
    REPLACE_SM_RESP       = 0x8000_0007 "replace_sm_resp",
    CANCEL_SM             = 0x0000_0008 "cancel_sm",
    CANCEL_SM_RESP        = 0x8000_0008 "cancel_sm_resp",
    BIND_TRANSCEIVER      = 0x0000_0009 "bind_transceiver",
    BIND_TRANSCEIVER_RESP = 0x8000_0009 "bind_transceiver_resp",
    OUTBIND               = 0x0000_000B "outbind",
    ENQUIRE_LINK          = 0x0000_0015 "enquire_link",
    ENQUIRE_LINK_RESP     = 0x8000_0015 "enquire_link_resp",
    SUBMIT_MULTI          = 0x0000_0021 "submit_multi",
    SUBMIT_MULTI_RESP     = 0x8000_0021 "submit_multi_resp",
    ALERT_NOTIFICATION    = 0x0000_0102 "alert_notification",
    DATA_SM               = 0x0000_0103 "data_sm",
    DATA_SM_RESP          = 0x8000_0103 "data_sm_resp",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_and_response_are_each_others() {
        assert_eq!(CommandId::SUBMIT_SM.response(), CommandId::SUBMIT_SM_RESP);
        assert_eq!(CommandId::SUBMIT_SM_RESP.request(), CommandId::SUBMIT_SM);
        assert!(CommandId::GENERIC_NACK.is_response());
        assert!(!CommandId::OUTBIND.wants_response());
        assert!(CommandId::DATA_SM.wants_response());
        let new = CommandId::ALL.iter().filter(|command| command.is_new_in_34());
        assert!(new.eq(&[CommandId::ALERT_NOTIFICATION, CommandId::DATA_SM]));
        assert_eq!(CommandId(0x1234).name(), None);
    }
}
