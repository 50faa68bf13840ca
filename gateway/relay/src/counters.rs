//! Plain integers, counted where things happen. Names for the outside stand in the control plane's list.

use crate::refusal::Refusal;

macro_rules! counters {
    ($(#[$type_doc:meta])* $name:ident { $($(#[$doc:meta])* $field:ident,)* }) => {
        $(#[$type_doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct $name { $($(#[$doc])* pub $field: u64,)* }

        impl $name {
            /// How many fields there are.
            pub const COUNT: usize = [$(stringify!($field)),*].len();

            /// All values, in the order of declaration.
            pub fn values(&self) -> [u64; Self::COUNT] {
                [$(self.$field),*]
            }

            /// Adds another shard's values.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }
    };
}

counters! {
    /// What one relay did since it started. All only grow, but for the last group.
    Traffic {
        /// submit_sm and data_sm from customers.
        submits,
        /// Of those, answered with status 0.
        submits_accepted,
        /// Answered with the status of a vendor that said no.
        submits_rejected,
        /// Answered with a refusal of ours; by reason in [`Counters::refused`].
        submits_refused,
        /// Answered with the status of the unknown outcome.
        submits_unknown,
        /// No answer could be given: the customer's session had gone.
        submits_abandoned,
        /// Copies handed to vendors' links on this shard.
        vendor_sends,
        /// Answers of vendors that matched an open message.
        vendor_answers,
        /// Of those, ESME_RTHROTTLED.
        vendor_throttled,
        /// Messages given to another vendor after a temporary error.
        vendor_failovers,
        /// Messages taken back from a lost link, provably unsent.
        vendor_unsent,
        /// Copies whose outcome nobody knows.
        vendor_unknown,
        /// Second copies sent because the account's policy allows them.
        unknown_retries,
        /// Events for messages that were closed already.
        stale_events,
        /// Messages that waited for a window slot.
        queued,
        /// A vendor's wait queue was full.
        queue_full,
        /// Messages sent through another shard.
        remote_submits,
        /// Messages another shard sent through this one.
        remote_served,
        /// Questions to another shard that were never answered.
        remote_expired,
        /// Correlations written.
        correlations,
        /// Accepted messages whose receipt cannot be matched: no usable id, or the store failed.
        correlations_lost,
        /// Receipts from vendors.
        receipts,
        /// Of those, not matched because there is no store.
        receipts_uncorrelated,
        /// Receipts that came before their correlation and had to wait.
        receipts_early,
        /// MO from vendors.
        mo,
        /// Receipts and MO without an owner, parked apart.
        orphans,
        /// Receipts and MO that a customer took.
        deliveries_taken,
        /// Receipts and MO that a customer refused for good.
        deliveries_rejected,
        /// Tries of a delivery that failed and were followed by another.
        deliveries_retried,
        /// Deliveries given to a session on another shard.
        remote_deliveries,
        /// Receipts and MO parked for an absent customer.
        parked,
        /// Parked messages handed out again.
        unparked,
        /// Deliveries refused towards the vendor, which keeps them.
        deliveries_refused,
        /// The store did not answer in time or said that it is away.
        store_outages,
        /// Records that nobody drew in time; a fault of the shard.
        records_lost,
        /// Gauge: open submits.
        messages_open,
        /// Gauge: open deliveries.
        deliveries_open,
        /// Gauge: messages in wait queues.
        queue_length,
    }
}

counters! {
    /// What one relay did with one vendor.
    VendorTraffic {
        /// Copies handed to its links.
        sends,
        /// Answers with status 0.
        accepted,
        /// Answers with another status.
        rejected,
        /// Answers ESME_RTHROTTLED, among the rejected.
        throttled,
        /// Copies whose outcome nobody knows.
        unknown,
        /// deliver_sm and data_sm from it.
        deliveries,
        /// Gauge: waiting for a window slot.
        queue_length,
        /// Gauge: unanswered on its links.
        in_flight,
        /// Gauge: bound links that may submit.
        links,
    }
}

/// All counters of one relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Totals.
    pub traffic: Traffic,
    /// Refusals of submits by reason, in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
}
