//! `registered_delivery` (SMPP 3.4 §5.2.17): receipt in bits 0-1, acknowledgements in bits 2-3, intermediate
//! notification in bit 4.

/// `registered_delivery`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RegisteredDelivery(pub u8);

/// Bits 0-1: for which outcome a receipt is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReceiptWanted {
    /// None.
    Never,
    /// Success and failure.
    Always,
    /// Failure only.
    OnFailure,
    /// The value the standard reserves (SMPP 5.0 gives it to success only).
    Reserved,
}

impl RegisteredDelivery {
    /// No receipt of any kind.
    pub const NONE: RegisteredDelivery = RegisteredDelivery(0);
    /// A receipt on success and on failure.
    pub const RECEIPT: RegisteredDelivery = RegisteredDelivery(0x01);
    /// A receipt on failure only.
    pub const RECEIPT_ON_FAILURE: RegisteredDelivery = RegisteredDelivery(0x02);
    /// Bit of the delivery acknowledgement.
    pub const DELIVERY_ACK: u8 = 0x04;
    /// Bit of the manual or user acknowledgement.
    pub const USER_ACK: u8 = 0x08;
    /// Bit of the intermediate notification.
    pub const INTERMEDIATE: u8 = 0x10;

    /// For which outcome an SMSC receipt is wanted.
    #[inline]
    pub const fn receipt(self) -> ReceiptWanted {
        match self.0 & 0x03 {
            0 => ReceiptWanted::Never,
            1 => ReceiptWanted::Always,
            2 => ReceiptWanted::OnFailure,
            _ => ReceiptWanted::Reserved,
        }
    }

    /// Whether a receipt may come at all.
    #[inline]
    pub const fn wants_receipt(self) -> bool {
        self.0 & 0x03 != 0
    }

    /// Whether the receiving entity is asked for a delivery acknowledgement.
    #[inline]
    pub const fn wants_delivery_ack(self) -> bool {
        self.0 & Self::DELIVERY_ACK != 0
    }

    /// Whether the receiving entity is asked for a manual or user acknowledgement.
    #[inline]
    pub const fn wants_user_ack(self) -> bool {
        self.0 & Self::USER_ACK != 0
    }

    /// Whether intermediate notifications are wanted.
    #[inline]
    pub const fn wants_intermediate(self) -> bool {
        self.0 & Self::INTERMEDIATE != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_apart() {
        let check = |octet, receipt, acks: (bool, bool), intermediate| {
            let wanted = RegisteredDelivery(octet);
            assert_eq!(wanted.receipt(), receipt);
            assert_eq!((wanted.wants_delivery_ack(), wanted.wants_user_ack()), acks);
            assert_eq!(wanted.wants_intermediate(), intermediate);
            assert_eq!(wanted.wants_receipt(), receipt != ReceiptWanted::Never);
        };
        check(0x00, ReceiptWanted::Never, (false, false), false);
        check(0x11, ReceiptWanted::Always, (false, false), true);
        check(0x06, ReceiptWanted::OnFailure, (true, false), false);
        check(0x0F, ReceiptWanted::Reserved, (true, true), false);
    }
}
