//! All that the relays of one node's shards say to one another. The shard carries it in batches; order between
//! two shards is kept.
//!
//! A `Submit`, `Deliver` or `Part` that finds the mailbox full goes back into [`crate::Relay::handle_undelivered`].
//! Everything else must be kept by the shard until there is room: answers are as many as there were
//! questions, announcements as many as there are vendors and accounts, words about unknown outcomes a few for each
//! message that was lost.

use crate::message::{AccountId, DeliveryKey, HandOver, ShardIndex, VendorId};
use crate::part::MoPart;
use crate::store_op::VendorMessageId;
use smpp::field::CommandStatus;
use smpp::text::message_id::GatewayId;

/// One word between shards. Buffers travel with the question and come back with the answer, so that no
/// buffer is made per message.
#[derive(Debug, PartialEq, Eq)]
pub enum ShardMessage {
    /// Send this on a bind of yours; answered by `SubmitDone`.
    Submit {
        /// Which hand-over of which message of the asking shard's.
        hand_over: HandOver,
        /// The vendor it chose.
        vendor: VendorId,
        /// Source and destination as one number, 0 where no receipt is wanted.
        addresses: u64,
        /// The whole PDU, sequence number to be patched.
        pdu: Vec<u8>,
    },
    /// What became of a `Submit`.
    SubmitDone {
        /// As asked. An answer to an earlier hand-over says nothing about the message where it is now.
        hand_over: HandOver,
        /// What became of it.
        outcome: SubmitOutcome,
        /// The buffer of the question.
        pdu: Vec<u8>,
    },
    /// Deliver this to one of the account's sessions with you; answered by `DeliverDone`.
    Deliver {
        /// The asking shard's key.
        delivery: DeliveryKey,
        /// The owner.
        account: AccountId,
        /// The whole PDU, sequence number to be patched.
        pdu: Vec<u8>,
    },
    /// What became of a `Deliver`.
    DeliverDone {
        /// As asked.
        delivery: DeliveryKey,
        /// What became of it.
        outcome: DeliverOutcome,
        /// The buffer of the question.
        pdu: Vec<u8>,
    },
    /// Gather this part of an MO and deliver its message; answered by `PartDone`.
    Part {
        /// The asking shard's key.
        delivery: DeliveryKey,
        /// Whence it came.
        vendor: VendorId,
        /// Which part it is.
        part: MoPart,
        /// The PDU as the vendor sent it.
        pdu: Vec<u8>,
    },
    /// How the vendor of a `Part` is to be answered.
    PartDone {
        /// As asked.
        delivery: DeliveryKey,
        /// The verdict.
        status: CommandStatus,
        /// The buffer of the question; its content is not looked at.
        pdu: Vec<u8>,
    },
    /// How many binds that may submit, and how many window slots on them, the sender has for a vendor.
    VendorState {
        /// The vendor.
        vendor: VendorId,
        /// Bound links.
        links: u32,
        /// Their window slots together.
        window: u32,
    },
    /// The same of links to other nodes that have binds for a vendor; said instead of `VendorState` while the sender has
    /// such links and no binds.
    NodeState {
        /// The vendor.
        vendor: VendorId,
        /// Links.
        links: u32,
        /// Their window slots together.
        window: u32,
    },
    /// How many sessions that may receive the sender has for an account.
    AccountState {
        /// The account.
        account: AccountId,
        /// Bound sessions.
        receivers: u32,
    },
    /// Something was parked for an account that has sessions with you: ask the store for it.
    ParkedFor {
        /// The account.
        account: AccountId,
    },
    /// The sender does not know whether a vendor has a message. A receipt may come in on a bind of yours.
    Unresolved {
        /// The vendor.
        vendor: VendorId,
        /// Source and destination of the message as one number.
        addresses: u64,
        /// The message.
        gateway_id: GatewayId,
    },
    /// The sender knows by now what became of it.
    Settled {
        /// The vendor.
        vendor: VendorId,
        /// The message.
        gateway_id: GatewayId,
        /// The receipt that told it: the shard that has it, and that one's key.
        by: (ShardIndex, DeliveryKey),
    },
    /// Whether another message of these addresses is on a link of the sender's, so that a receipt may be about that one.
    Contested {
        /// The vendor.
        vendor: VendorId,
        /// The message that the receiver told of.
        gateway_id: GatewayId,
        /// False when it is no more.
        is_contested: bool,
    },
    /// A receipt that nobody knows fits the message and no other. Said to all at two looks in a row, and not refuted, it
    /// is about it.
    ReceiptFits {
        /// The vendor.
        vendor: VendorId,
        /// The message, which one of the shards told of.
        gateway_id: GatewayId,
        /// The id in the receipt, normalised.
        vendor_message_id: VendorMessageId,
        /// The sender's key of the receipt.
        delivery: DeliveryKey,
    },
    /// The sender was done with a receipt of this id before, or lost the correlation of another message: the receipt may be
    /// about that one.
    Refuted {
        /// The vendor.
        vendor: VendorId,
        /// The id in the receipt, normalised.
        vendor_message_id: VendorMessageId,
    },
}

impl ShardMessage {
    /// Whether it goes back into [`crate::Relay::handle_undelivered`] when its mailbox is full; all else is kept
    /// until there is room.
    pub const fn may_come_back(&self) -> bool {
        matches!(self, Self::Submit { .. } | Self::Deliver { .. } | Self::Part { .. })
    }
}

/// What became of a submit on another shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubmitOutcome {
    /// The vendor answered.
    Answered {
        /// Its status.
        status: CommandStatus,
        /// Its id as it wrote it, where it gave one.
        vendor_message_id: Option<VendorMessageId>,
    },
    /// Never sent: no bind left, queue full, waited too long.
    Unsent,
    /// Written, and no answer will come.
    Unknown,
}

/// What became of a delivery on another shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliverOutcome {
    /// The customer answered with this status.
    Answered(CommandStatus),
    /// No session could take it.
    Undelivered,
}
