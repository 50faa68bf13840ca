//! Everything that the relay may ask of the links. Small and `Copy`; payload stays with the relay and is
//! fetched by key.

use crate::message::{DeliveryKey, LinkKey, MessageKey};
use smpp::field::{CommandId, CommandStatus};
use smpp::text::message_id::GatewayId;

/// What the shard shall do now, in the order given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send [`crate::Relay::bytes`] on a vendor's link, the key as token. When the link refuses:
    /// [`crate::Relay::send_failed`].
    SendSubmit {
        /// The vendor's link.
        link: LinkKey,
        /// The message and the token.
        message: MessageKey,
    },
    /// Answer a customer. When the link refuses, nothing is left to do.
    AnswerSubmit {
        /// The customer's link.
        link: LinkKey,
        /// The sequence number of its request.
        sequence: u32,
        /// `SUBMIT_SM_RESP` or `DATA_SM_RESP`.
        command: CommandId,
        /// The verdict.
        status: CommandStatus,
        /// Our id; present exactly when the status is 0.
        message_id: Option<GatewayId>,
    },
    /// Send [`crate::Relay::delivery_bytes`] on a customer's link, the key as token. When the link refuses:
    /// [`crate::Relay::delivery_failed`].
    SendDeliver {
        /// The customer's link.
        link: LinkKey,
        /// The delivery and the token.
        delivery: DeliveryKey,
    },
    /// Answer a vendor.
    AnswerDeliver {
        /// The vendor's link.
        link: LinkKey,
        /// The sequence number of its request.
        sequence: u32,
        /// `DELIVER_SM_RESP` or `DATA_SM_RESP`.
        command: CommandId,
        /// The verdict.
        status: CommandStatus,
    },
    /// After [`crate::Relay::drain`]: nothing is open any more. Said once.
    Drained,
}
