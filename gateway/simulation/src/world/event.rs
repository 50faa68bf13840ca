//! What can happen, and the order of what is due.

use crate::spool::Ask;
use core::ops::Range;
use relay::{DeliveryKey, LinkKey, MessageKey, ShardMessage, SpoolAnswer, StoreAnswer, StoreOp};
use smpp::field::CommandStatus;
use std::cmp::Ordering;

/// One thing that will happen. Shards, nodes and stores are places in the world's tables.
#[derive(Debug)]
pub(super) enum Event {
    /// Customers send.
    Load,
    /// A handset sends.
    Mo,
    /// Something goes wrong.
    Misfortune,
    /// Somebody kills a node, as at any time.
    Killed {
        node: usize,
    },
    /// A customer's request reaches the gateway.
    SubmitArrives {
        submit: u32,
    },
    /// The kernel takes the last byte of a request.
    Written {
        link: LinkKey,
        message: MessageKey,
    },
    /// A request reaches its vendor.
    Reaches {
        link: LinkKey,
        message: MessageKey,
        copy: u32,
        sent: u64,
    },
    /// A vendor's answer reaches the gateway.
    Answer {
        link: LinkKey,
        message: MessageKey,
        copy: u32,
        status: CommandStatus,
    },
    /// The timer of a request ends.
    AnswerExpires {
        link: LinkKey,
        message: MessageKey,
    },
    /// A vendor sends a receipt or MO, or sends it again.
    Emit {
        upward: u32,
    },
    /// It reaches the gateway.
    DeliverArrives {
        sending: u32,
    },
    /// Its answer reaches the vendor.
    Acknowledged {
        sending: u32,
        status: CommandStatus,
    },
    /// A receipt or MO reaches a customer.
    Offered {
        link: LinkKey,
        delivery: DeliveryKey,
        upwards: Range<u32>,
    },
    /// Its answer reaches the gateway.
    CustomerAnswers {
        link: LinkKey,
        delivery: DeliveryKey,
        status: CommandStatus,
    },
    /// The timer of a delivery ends.
    DeliverExpires {
        link: LinkKey,
        delivery: DeliveryKey,
    },
    /// A word between shards of one node, of these lives of both.
    Mail {
        from: usize,
        to: usize,
        lives: (u32, u32),
        message: ShardMessage,
    },
    /// An operation reaches the store.
    StoreAsked {
        shard: usize,
        life: u32,
        op: StoreOp,
    },
    /// The store's answer reaches the shard.
    StoreSays {
        shard: usize,
        life: u32,
        answer: StoreAnswer,
    },
    /// An operation reaches the spool of its node.
    SpoolAsked {
        shard: usize,
        life: u32,
        ask: Ask,
    },
    /// What a spool has written is durable.
    SpoolSynced {
        node: usize,
        life: u32,
    },
    /// The spool's answer reaches the shard.
    SpoolSays {
        shard: usize,
        life: u32,
        answer: SpoolAnswer,
    },
    /// The time is over in which a receipt waits for its message.
    EarlyEnds {
        store: usize,
        number: u64,
    },
    /// A store learns that a life has ended.
    StoreReturns {
        store: usize,
        life: u32,
    },
    /// The peer's side of a connection ends.
    PeerCloses {
        link: LinkKey,
    },
    /// Our side of a connection ends.
    WeClose {
        link: LinkKey,
    },
    BindVendor {
        vendor: usize,
        node: usize,
    },
    BindCustomer {
        account: usize,
    },
    /// A node comes up again.
    Restart {
        node: usize,
    },
    /// A shard gets another configuration.
    Swap {
        shard: usize,
        variant: usize,
    },
    /// A link gets nothing new and closes once all is answered, at this moment at the latest.
    Leaves {
        link: LinkKey,
        until: u64,
    },
}

/// An event and its moment; those of one moment happen in the order in which they were planned.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) due: u64,
    pub(super) order: u64,
    pub(super) event: Event,
}

impl Ord for Entry {
    /// The earliest is the greatest: the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.order).cmp(&(self.due, self.order))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}
