//! `esm_class` (SMPP 3.4 §5.2.12): mode in bits 0-1, type in bits 2-5, GSM features in bits 6-7. The three
//! combine, so each is read through its mask.

/// `esm_class`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct EsmClass(pub u8);

/// Bits 0-1: how the message is to be handled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MessagingMode {
    /// The SMSC's default, as a rule store and forward.
    Default,
    /// Datagram: no storage, no retry.
    Datagram,
    /// Forward, also called transaction: the response waits for the delivery.
    Forward,
    /// Store and forward.
    StoreAndForward,
}

/// Bits 2-5: what the message is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum MessageType {
    /// An ordinary message.
    Default,
    /// Carries an SMSC delivery receipt.
    Receipt,
    /// Carries a delivery acknowledgement of the short message entity.
    DeliveryAck,
    /// Carries a manual or user acknowledgement.
    UserAck,
    /// Ends a conversation (Korean CDMA).
    ConversationAbort,
    /// Carries an intermediate notification.
    IntermediateNotification,
    /// Bits the standard reserves, unshifted.
    Reserved(u8),
}

impl EsmClass {
    /// Bits of the messaging mode.
    pub const MODE_MASK: u8 = 0x03;
    /// Bits of the message type.
    pub const TYPE_MASK: u8 = 0x3C;
    /// The user data starts with a header.
    pub const UDHI: u8 = 0x40;
    /// The reply path is set.
    pub const REPLY_PATH: u8 = 0x80;
    /// An SMSC delivery receipt, in default mode.
    pub const RECEIPT: EsmClass = EsmClass(0x04);
    /// An intermediate notification, in default mode.
    pub const INTERMEDIATE_NOTIFICATION: EsmClass = EsmClass(0x20);

    /// How the message is to be handled.
    #[inline]
    pub const fn mode(self) -> MessagingMode {
        match self.0 & Self::MODE_MASK {
            1 => MessagingMode::Datagram,
            2 => MessagingMode::Forward,
            3 => MessagingMode::StoreAndForward,
            _ => MessagingMode::Default,
        }
    }

    /// What the message is.
    #[inline]
    pub const fn message_type(self) -> MessageType {
        match self.0 & Self::TYPE_MASK {
            0x00 => MessageType::Default,
            0x04 => MessageType::Receipt,
            0x08 => MessageType::DeliveryAck,
            0x10 => MessageType::UserAck,
            0x18 => MessageType::ConversationAbort,
            0x20 => MessageType::IntermediateNotification,
            other => MessageType::Reserved(other),
        }
    }

    /// Whether the message reports the fate of another: a receipt or an intermediate notification.
    #[inline]
    pub const fn is_receipt(self) -> bool {
        matches!(self.message_type(), MessageType::Receipt | MessageType::IntermediateNotification)
    }

    /// Whether the user data starts with a user data header (UDHI).
    #[inline]
    pub const fn has_user_data_header(self) -> bool {
        self.0 & Self::UDHI != 0
    }

    /// Whether the reply path is set.
    #[inline]
    pub const fn has_reply_path(self) -> bool {
        self.0 & Self::REPLY_PATH != 0
    }

    /// The same with the user data header bit set or cleared.
    #[inline]
    pub const fn with_user_data_header(self, present: bool) -> EsmClass {
        if present { EsmClass(self.0 | Self::UDHI) } else { EsmClass(self.0 & !Self::UDHI) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_masked_not_compared() {
        let check = |octet, mode, kind, header, reply| {
            let class = EsmClass(octet);
            assert_eq!(
                (class.mode(), class.message_type(), class.has_user_data_header(), class.has_reply_path()),
                (mode, kind, header, reply)
            );
        };
        check(0x00, MessagingMode::Default, MessageType::Default, false, false);
        check(0x43, MessagingMode::StoreAndForward, MessageType::Default, true, false);
        check(0x44, MessagingMode::Default, MessageType::Receipt, true, false);
        check(0x87, MessagingMode::StoreAndForward, MessageType::Receipt, false, true);
        check(0x21, MessagingMode::Datagram, MessageType::IntermediateNotification, false, false);
        check(0x0A, MessagingMode::Forward, MessageType::DeliveryAck, false, false);
        check(0x10, MessagingMode::Default, MessageType::UserAck, false, false);
        check(0x18, MessagingMode::Default, MessageType::ConversationAbort, false, false);
        check(0x0C, MessagingMode::Default, MessageType::Reserved(0x0C), false, false);
    }

    #[test]
    fn header_bit_is_set_and_cleared() {
        assert_eq!(EsmClass(0x03).with_user_data_header(true), EsmClass(0x43));
        assert_eq!(EsmClass(0x43).with_user_data_header(false), EsmClass(0x03));
    }
}
