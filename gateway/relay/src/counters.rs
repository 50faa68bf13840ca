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
        /// Answered with the id of an earlier message, of which the customer submitted a copy.
        submits_duplicate,
        /// Among the accepted: an earlier copy may be with a vendor too, so that the recipient may get two.
        submits_maybe_twice,
        /// Copies handed to vendors' links on this shard.
        vendor_sends,
        /// Answers of vendors that matched an open message.
        vendor_answers,
        /// Of those, ESME_RTHROTTLED.
        vendor_throttled,
        /// Messages given to another vendor after a temporary error.
        vendor_failovers,
        /// Parts that waited for a vendor that throttled, since it has other parts of their message.
        parts_waited,
        /// Messages with parts whose vendor was forgotten before its time: the table was full.
        parts_forgotten,
        /// Copies sent with the customer's addresses although their route changes them: they were too long for it.
        rewrites_refused,
        /// Times a circuit of one vendor of one plan opened.
        route_circuit_openings,
        /// Failures of routes that were not watched: the table was full.
        route_circuits_full,
        /// Messages of customers and nodes that were not well-formed, and were written anew.
        submits_rewritten,
        /// Messages of vendors that were not well-formed, and were written anew.
        deliveries_rewritten,
        /// Messages of vendors that were not well-formed, and were refused.
        deliveries_malformed,
        /// Messages kept by an earlier version, spooled or parked, that were not well-formed, and were written anew.
        kept_rewritten,
        /// Messages kept by an earlier version that cannot be written in a form that may leave.
        kept_malformed,
        /// Messages taken back from a lost link, provably unsent.
        vendor_unsent,
        /// Copies whose outcome nobody knows.
        vendor_unknown,
        /// Second copies sent because the policy allows them.
        unknown_retries,
        /// Unknown outcomes that a receipt ended, for the records.
        unknowns_resolved,
        /// Receipts that could be about an unknown outcome, but also about another message.
        unknowns_ambiguous,
        /// Unknown outcomes that a receipt can no longer end: the table was full.
        unknowns_forgotten,
        /// Submits that will not be recognised when they come again: the table was full.
        resubmits_forgotten,
        /// Events for messages that were closed already, or had gone on to elsewhere.
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
        /// Messages handed to other nodes, which have binds of their vendor.
        node_forwards,
        /// Of those, sent back unsent.
        node_unsent,
        /// Messages of other nodes.
        node_served,
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
        /// Receipts for which their customer did not ask, acknowledged and dropped.
        receipts_unasked,
        /// Final receipts that came again, word for word, and were acknowledged at once.
        receipts_repeated,
        /// Receipts whose numbers are those of no open message of their id.
        receipts_contradicted,
        /// Receipts that may be about messages of two customers, or of an id that was given twice and no number to go by.
        receipts_of_several,
        /// MO from vendors.
        mo,
        /// Parts of MO that were gathered, on the shard that gathered them.
        mo_parts,
        /// MO delivered as one made of their parts.
        mo_reassembled,
        /// MO of which parts were missing when the time was over, or whose reference was used again.
        mo_incomplete,
        /// Parts that found no room among those gathered, and were delivered alone.
        mo_gather_full,
        /// Times a parked delivery suited no session that stood, and was held until another one binds.
        deliveries_unsuited,
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
        /// Times a message passed a limit for which the node's table had no room.
        limits_without_room,
        /// Gauge: vendors of plans that failed of late.
        route_circuits,
        /// Gauge: open submits.
        messages_open,
        /// Gauge: open deliveries.
        deliveries_open,
        /// Gauge: messages in wait queues.
        queue_length,
        /// Gauge: unknown outcomes of this shard and the others that a receipt may end.
        unresolved_open,
        /// Gauge: submits that are recognised when they come again.
        resubmits_open,
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

counters! {
    /// What one relay did with messages of customers in store and forward. All only grow, but for the last.
    SpoolTraffic {
        /// Messages acknowledged because the spool has them.
        accepted,
        /// Of those, taken by a vendor.
        settled,
        /// Times a message went back into the spool to be tried later.
        deferred,
        /// Messages whose customer was told that nobody knows whether the spool has them, since it took too long.
        late,
        /// Messages that are not sent again because too many copies are of unknown outcome.
        held,
        /// Messages and owed receipts that the spool handed out again.
        handed_out,
        /// Messages refused for good by a vendor.
        failed,
        /// Messages whose validity ended.
        expired,
        /// Messages given up because nobody knows whether a vendor has them.
        unknown,
        /// Receipts of ours offered to customers.
        receipts,
        /// Receipts of ours that could neither be delivered nor parked in all their time.
        receipts_lost,
        /// Gauge: acknowledged messages on their way to a vendor.
        open,
    }
}

/// All counters of one relay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counters {
    /// Totals.
    pub traffic: Traffic,
    /// Refusals of submits by reason, in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Store and forward.
    pub spool: SpoolTraffic,
}

impl Default for Counters {
    fn default() -> Self {
        Self { traffic: Traffic::default(), refused: [0; Refusal::ALL.len()], spool: SpoolTraffic::default() }
    }
}
