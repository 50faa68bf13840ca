//! Every metric: name, unit and meaning. The only place; the exporter takes its names from here, and
//! `docs/metrics.md` is written from it.

use std::fmt::Write;

/// Comes before every name.
pub const PREFIX: &str = "smppgw";

/// How a metric behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Only grows; its name is exported with `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size, with sum and number.
    Histogram,
}

/// One metric.
#[derive(PartialEq, Eq, Debug)]
pub struct Metric {
    /// Name without prefix and `_total`; ends with its unit where it has one.
    pub name: &'static str,
    /// How it behaves.
    pub form: Form,
    /// Its labels, in order.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

impl Metric {
    /// The name as a scraper sees it.
    pub fn exported_name(&self) -> String {
        let suffix = if self.form == Form::Counter { "_total" } else { "" };
        format!("{PREFIX}_{}{suffix}", self.name)
    }
}

macro_rules! metrics {
    ($($constant:ident $name:literal $form:ident [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help] pub static $constant: Metric = Metric {
            name: $name, form: Form::$form, labels: &[$($label),*], help: $help,
        };)*
        /// All of them, in the order of the document.
        pub static METRICS: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    BUILD_INFO "build_info" Gauge ["version", "node"] "Always 1; says what runs.";
    IO_BACKEND "io_backend" Gauge ["backend"] "1 for the I/O back end in use.";
    START_TIME "start_time_seconds" Gauge [] "When the process started, seconds since 1970.";
    DESCRIPTORS "descriptors" Gauge ["kind"] "File descriptors of the process: open, and limit.";
    SHARDS "shards" Gauge [] "Data shards.";
    DRAINING "draining" Gauge [] "1 once the node drains.";
    CONFIG_VERSION "config_version" Gauge [] "Version of the configuration in use.";
    CONFIG_PUBLISHED "config_published" Counter [] "Configurations put into force since the start, the first one not counted.";
    CONFIG_REJECTED "config_rejected" Counter [] "Configurations refused because of mistakes; the old one stayed in force.";
    CONFIG_REJECTED_VERSION "config_rejected_version" Gauge [] "Version refused last; 0 = none since the one in force.";
    CONFIG_NEEDS_RESTART "config_needs_restart" Gauge [] "Settings of the file that differ from what runs and take effect with a restart only.";
    CONFIG_SWAP "config_swap_seconds" Histogram [] "How long new configurations kept a shard from its links, by uninterrupted pieces of work.";
    CONFIG_SOURCE_AWAY "config_source_away" Gauge [] "1 while the database of the configuration cannot be used; what is in force stays.";
    CONFIG_LOOK_AGE "config_look_age_seconds" Gauge [] "Since the last look at the database of the configuration that succeeded, or since the start.";
    CONFIG_LAST_GOOD "config_last_good" Gauge [] "1 while the last good configuration on disk stands in for the database.";
    MEMORY_BOUND "memory_bound_bytes" Gauge ["case"] "The most memory that the configuration allows: steady (full of messages of 300 octets), worst (every PDU as long as it may be, no peer reads).";
    PANICS "panics" Counter [] "Panics that ended one task; each is a bug.";

    LINKS "links" Gauge ["side", "state"] "Sessions by side (customer, vendor).";
    BINDS "binds" Counter ["side", "result"] "Binds by side and result.";
    BINDS_REFUSED "binds_refused" Counter ["reason"] "Binds of customers refused, by reason.";
    LINK_CLOSES "link_closes" Counter ["side"] "Sessions ended, for any reason.";
    LINKS_OPENED "links_opened" Counter [] "Connections, either way round.";
    LINKS_CLOSED "links_closed" Counter [] "Connections ended.";
    LINKS_REFUSED "links_refused" Counter [] "Connections refused because links_max was reached.";
    GREETINGS_FAILED "greetings_failed" Counter [] "Connections that never came to a bind.";
    RANGES_INVALID "address_ranges_invalid" Counter [] "Customers' binds whose address_range is no pattern, where it counts: it was ignored.";
    ACCEPTS_FAILED "accepts_failed" Counter [] "Connections not taken because no descriptor was left for customers: raise the limit (LimitNOFILE, ulimit -n).";
    HANDED_OVER "links_handed_over" Counter [] "Connections handed to another shard.";
    PDUS_RECEIVED "pdus_received" Counter [] "PDUs received.";
    READS "reads" Counter [] "Receives from the kernel that brought bytes; PDUs per read show the batching.";
    BYTES_RECEIVED "received_bytes" Counter [] "Bytes received.";
    WRITES "writes" Counter [] "Sends to the kernel.";
    BYTES_SENT "sent_bytes" Counter [] "Bytes sent.";
    WRITES_BLOCKED "writes_blocked" Counter [] "Sends that the kernel could not take whole: the peer is slow.";
    BINDS_PIPELINED "binds_pipelined" Counter [] "Binds behind which the customer said more before their answer: it waited for that.";
    LINK_ERRORS "link_errors" Counter ["kind"] "What peers did wrong, or too late, by kind.";

    SUBMITS "submits" Counter [] "submit_sm and data_sm from customers.";
    SUBMIT_RESULTS "submit_results" Counter ["result"] "Submits by what became of them.";
    REFUSALS "refusals" Counter ["reason"] "Submits refused by us, by reason.";
    QUEUED "submits_queued" Counter [] "Messages that waited for a window slot.";
    QUEUE_FULL "queue_full" Counter [] "Times a vendor's wait queue was full.";
    REROUTED "rerouted" Counter [] "Messages given to another vendor after a temporary error.";
    UNSENT "unsent" Counter [] "Messages taken back from a lost link, provably unsent.";
    PARTS_WAITED "parts_waited" Counter [] "Parts of long messages that waited for a vendor that throttles, since it has other parts of their message.";
    PARTS_FORGOTTEN "parts_forgotten" Counter [] "Long messages whose vendor was forgotten before its time: the table of a shard was full.";
    REWRITES_REFUSED "rewrites_refused" Counter [] "Messages sent with the customer's addresses although their route changes them: they are too long for it.";
    FORMS "malformed" Counter ["from", "result"] "Messages that were not well-formed, by where they came from (customer, vendor, kept: by an earlier version in the spool or among the parked) and result: rewritten (written anew from what was understood), refused (with the standard's status; of customers see refusals).";
    UNKNOWN_RETRIES "unknown_retries" Counter [] "Second copies sent because the customer's or route's policy allows them.";
    MAYBE_TWICE "maybe_twice" Counter [] "Messages accepted of which another copy may be with a vendor too: possible duplicates.";
    UNKNOWNS "unknowns" Counter ["result"] "Unknown outcomes: resolved (a receipt told it, for the records), forgotten (given up, the table was full).";
    UNKNOWNS_AMBIGUOUS "unknowns_ambiguous" Counter [] "Looks at a receipt that may be about an unknown outcome, but also about another message: not used.";
    RECEIPTS_CONTRADICTED "receipts_contradicted" Counter [] "Receipts whose id is that of an open message and whose numbers are not: the vendor gave an id twice, or its receipts carry no usable number (`receipt_addresses`).";
    RECEIPTS_UNASKED "receipts_unasked" Counter [] "Receipts for which their customer did not ask (registered_delivery): acknowledged, and dropped.";
    RECEIPTS_REPEATED "receipts_repeated" Counter [] "Final receipts that a vendor sent again word for word after they were done with: acknowledged at once.";
    IDS_GIVEN_AGAIN "ids_given_again" Counter ["result"] "Ids that a vendor gave to a message while another open message had them: kept (the handset's number tells them apart), displaced (of those, the oldest of an id gave way).";
    RECEIPTS_OF_SEVERAL "receipts_of_several" Counter [] "Receipts that may be about messages of two customers, since the vendor gave them one id: orphans.";
    UNRESOLVED_OPEN "unresolved_open" Gauge [] "Unknown outcomes that a receipt may end, as each shard knows them: one counts once for each shard.";
    RESUBMITS_OPEN "resubmits_open" Gauge [] "Submits that are recognised when they come again.";
    RESUBMITS_FORGOTTEN "resubmits_forgotten" Counter [] "Submits that will not be recognised any more: the table was full.";
    STALE_EVENTS "stale_events" Counter [] "Answers for messages that were closed already, or that had gone on to another vendor.";
    REMOTE "remote" Counter ["kind"] "Messages and deliveries that crossed shards, by kind.";
    MESSAGES_OPEN "messages_open" Gauge [] "Submits not answered yet.";
    DELIVERIES_OPEN "deliveries_open" Gauge [] "Receipts and MO on their way.";
    QUEUE_DEPTH "queue_depth" Gauge [] "Messages waiting for a window slot, all vendors.";

    VENDOR_LINKS "vendor_links" Gauge ["vendor"] "Bound links, whatever they bound as; 0 from the start for every vendor of the configuration that is not switched off.";
    VENDOR_SUBMIT_LINKS "vendor_submit_links" Gauge ["vendor"] "Of those, the ones that may submit.";
    VENDOR_SENDS "vendor_sends" Counter ["vendor"] "Copies handed to the vendor's links.";
    VENDOR_ANSWERS "vendor_answers" Counter ["vendor", "class"] "Its answers by class of status: ok, throttled, error.";
    VENDOR_UNKNOWN "vendor_unknown" Counter ["vendor"] "Copies whose outcome nobody knows.";
    VENDOR_DELIVERIES "vendor_deliveries" Counter ["vendor"] "deliver_sm and data_sm from it.";
    VENDOR_QUEUE_DEPTH "vendor_queue_depth" Gauge ["vendor"] "Messages waiting for it.";
    VENDOR_IN_FLIGHT "vendor_in_flight" Gauge ["vendor"] "Messages it has not answered.";
    VENDOR_ROUND_TRIP "vendor_round_trip_seconds" Histogram ["vendor"] "From handing a message to its link to its answer.";

    SLOTS "slots" Gauge ["vendor", "state"] "Bind slots of vendors whose binds the nodes share: held by this node, total.";
    SLOT_EVENTS "slot_events" Counter ["event"] "What became of bind slots: taken, given_back, lapsed (Redis could not be asked in time), lost (another node had one that this one had not given up).";
    SLOT_ROUNDS "slot_rounds" Counter ["result"] "Questions to Redis about bind slots: answered, failed.";
    SLOT_LEASE_AGE "slot_lease_age_seconds" Gauge [] "Since the leases of bind slots were last renewed; at two thirds of slot_lease their binds are closed.";
    NODE_LINKS "node_links" Gauge ["side"] "Bound links between nodes: out (to those that hold slots), in (from those that want ours).";
    NODE_MESSAGES "node_messages" Counter ["kind"] "Messages between nodes: forwarded (to a node that holds a bind of their vendor), unsent (of those, sent back), served (of other nodes).";
    VENDOR_HEALTH "vendor_health_ratio" Gauge ["vendor"] "Which part of its weight counts, 0 to 1; the mean over shards.";
    VENDOR_CIRCUITS "vendor_circuits" Gauge ["vendor", "state"] "Shards on which its circuit is open or half_open.";
    VENDOR_CIRCUIT_OPENINGS "vendor_circuit_openings" Counter ["vendor"] "Times its circuit opened, on any shard.";
    VENDOR_PAUSED "vendor_paused" Gauge ["vendor"] "Shards on which it asked for a pause that is not over.";
    ROUTE_CIRCUITS "route_circuits" Gauge [] "Vendors of single routes that failed of late, on any shard.";
    ROUTE_CIRCUIT_OPENINGS "route_circuit_openings" Counter [] "Times the circuit of a vendor for one route alone opened.";
    ROUTE_CIRCUITS_FULL "route_circuits_full" Counter [] "Failures of routes that were not watched: the table was full.";

    RECEIPTS "receipts" Counter [] "Receipts from vendors.";
    RECEIPTS_EARLY "receipts_early" Counter [] "Receipts that fitted no open message when they came: kept for `early_wait` and acknowledged.";
    RECEIPTS_UNCORRELATED "receipts_uncorrelated" Counter [] "Receipts dropped because there is no store.";
    MO "mo" Counter [] "Messages from handsets.";
    MO_PARTS "mo_parts" Counter [] "Parts of messages from handsets that were gathered.";
    MO_REASSEMBLED "mo_reassembled" Counter [] "Messages from handsets delivered as one made of their parts.";
    MO_INCOMPLETE "mo_incomplete" Counter [] "Messages from handsets given up with parts missing, and delivered part by part.";
    MO_GATHER_FULL "mo_gather_full" Counter [] "Parts that found no room to wait for the others.";
    ORPHANS "orphans" Counter [] "MO without an owner, and receipts without an id or of two customers, kept apart; early receipts whose time is over are in store_expired.";
    DELIVERIES_UNSUITED "deliveries_unsuited" Counter [] "Times a parked delivery suited no session of its customer, by its address range or its SMPP version, and was held until another one binds.";
    DELIVERIES "deliveries" Counter ["result"] "Receipts and MO towards customers, by result.";
    PARKED "parked" Counter [] "Deliveries parked for an absent customer.";
    UNPARKED "unparked" Counter [] "Parked deliveries handed out again.";
    CORRELATIONS "correlations" Counter [] "Correlations asked of the store.";
    CORRELATIONS_LOST "correlations_lost" Counter [] "Accepted messages whose receipt cannot be matched.";
    STORE_OUTAGES "store_outages" Counter [] "Times the store did not answer in time or was away, as the relay saw it.";

    LIMIT_LEASE_AGE "limit_lease_age_seconds" Gauge [] "How old the newest lease of limits is; above 0.2 the node goes by the policies for Redis being away. 0 where the node is alone.";
    LIMITS_ON_FALLBACK "limits_on_fallback" Gauge [] "Rates that follow their policy for Redis being away.";
    LIMITS_LEASED "limits_leased" Gauge [] "Limits whose tokens the node has leased, from Redis or of a day.";
    LIMIT_EXCHANGES "limit_exchanges" Counter ["result"] "Exchanges with the keeper of limits: answered, failed.";
    LIMIT_ASKS "limit_asks" Counter [] "Limits asked for in them.";
    LIMIT_TOKENS "limit_tokens" Counter [] "Tokens leased.";
    LIMIT_LAPSES "limit_lapses" Counter [] "Times that the leases lapsed.";
    LIMITS_WITHOUT_ROOM "limits_without_room" Counter [] "Messages that passed a limit unasked, because the node's table was full: restart the node.";

    STORE_OPERATIONS "store_operations" Counter ["operation"] "What the store did, by operation.";
    STORE_FULL "store_full" Counter ["kind"] "No room: parked deliveries that were refused (the vendor keeps them), early receipts and orphans that were dropped, the oldest.";
    STORE_EXPIRED "store_expired" Counter ["kind"] "Entries given up by age; early receipts become orphans.";
    STORE_COMMITS "store_commits" Counter [] "Turns committed; operations per commit show the batching.";
    STORE_ERRORS "store_errors" Counter [] "Operations that failed because the store does not work.";
    STORE_ENTRIES "store_entries" Gauge ["kind"] "Entries now: correlations in memory and on disk only, parked, early receipts, orphans.";
    STORE_AWAY "store_away" Gauge [] "1 while the store does not work; it is opened anew, or connected to, by itself.";
    STORE_REDIS_UNSAFE "store_redis_unsafe" Gauge ["setting"] "1 when a setting of Redis loses what is kept: evicts (maxmemory-policy), forgets (appendonly).";
    STORE_CLOCK_APART "store_clock_apart_seconds" Gauge [] "By how much this node's clock differs from the one that the store goes by: that of Redis, or the time that the embedded one had come to; 0 where they agree.";
    STORE_BEHIND "store_behind_mark" Gauge [] "1 when the embedded store came back with less than its mark said, as a power cut may leave it.";
    STORE_RING "store_ring" Counter ["event"] "Correlations kept in memory while Redis is away: kept, flushed to it later, lost for want of room; forget_lost: not dropped from it.";
    STORE_UNPACED "store_unpaced" Counter [] "Pages of parked deliveries handed out at once because too many waited for their pace.";
    STORE_CONNECTS "store_connects" Counter [] "Connections to Redis made.";
    STORE_HINTS "store_hints" Counter [] "Accounts of which another node said that something was parked.";
    STORE_ROUND_TRIP "store_round_trip_seconds" Counter [] "Time spent waiting for Redis; by commits, the mean of a turn.";

    SPOOL_MESSAGES "spool_messages" Counter ["event"] "Messages in store and forward: accepted, late (the spool did not answer within 5 s; the customer got 0xFF), settled, deferred, held (not sent again, since too many copies are of unknown outcome), handed_out, failed, expired, unknown.";
    SPOOL_RECEIPTS "spool_receipts" Counter ["result"] "Receipts that the gateway wrote: offered, lost.";
    SPOOL_OPEN "spool_open" Gauge [] "Acknowledged messages on their way to a vendor.";
    SPOOL_ENTRIES "spool_entries" Gauge ["kind"] "Messages in the spool: all, waiting to be handed out.";
    SPOOL_OCTETS "spool_bytes" Gauge [] "Octets of their PDUs.";
    SPOOL_FULL "spool_full" Counter [] "Messages refused because the spool was full.";
    SPOOL_SYNCS "spool_syncs" Counter [] "Disk syncs of the spool; accepted messages per sync show the batching.";
    SPOOL_SYNC_TIME "spool_sync_seconds" Counter [] "Time spent in turns of the spool with a sync.";
    SPOOL_ERRORS "spool_errors" Counter [] "Operations that failed because the spool does not work.";
    SPOOL_AWAY "spool_away" Gauge [] "1 while the spool's files do not work; it goes on by itself when they do.";
    SPOOL_CUT "spool_cut_octets" Gauge [] "Octets of a torn end of the spool's journal that this start cut off and kept in a file; never synced, so nobody was answered for them.";

    CDR_RECORDS "cdr_records" Counter ["sink"] "Records written, by sink.";
    CDR_DROPPED "cdr_dropped" Counter ["sink"] "Records given up because there was no room or time, by sink; shard and relay: before any sink had them.";
    CDR_FAILURES "cdr_failures" Counter ["sink"] "Tries to write records that failed and were followed by another.";
    CDR_QUEUE_DEPTH "cdr_queue_depth" Gauge ["sink"] "Records that wait to be written; shard: for room in the mailbox.";
    CDR_LAG "cdr_lag_seconds" Gauge ["sink"] "Age of the oldest record that waits to be written.";
    QUERIES "queries" Counter ["result"] "query_sm of customers, by result.";

    AUTH_VERDICTS "auth_verdicts" Counter ["verdict"] "Binds judged: right, wrong, busy (too many waited), gone (the link had ended, or was refused for want of time).";
    AUTH_HASHES "auth_hashes" Counter [] "Password hashes computed.";
    AUTH_WAITING "auth_waiting" Gauge [] "Binds whose password waits to be checked.";

    NODE_ID "node_id" Gauge [] "The node's number, part of every message id.";
    NODE_ID_SILENCE "node_id_silence_seconds" Gauge [] "Since Redis last confirmed the node's number; 0 without Redis. From [node] id_quiet on another node may take it.";
    NODE_ID_TAKEN "node_id_taken" Gauge [] "1 when another node has this node's number: both give the same message ids.";

    SHARD_BUSY "shard_busy_seconds" Counter ["shard"] "Time spent at work; its rate is the busy ratio.";
    SHARD_BACKLOG "shard_backlog" Gauge ["shard"] "Words that wait because a mailbox is full.";
    SHARD_HEARTBEAT_AGE "shard_heartbeat_age_seconds" Gauge ["shard"] "Since the shard last reported.";
}

/// The text of `docs/metrics.md`.
pub fn metrics_document() -> String {
    let mut text = String::from(
        "# Metrics\n\nGenerated from `gateway/control/src/metrics/names.rs`; do not edit. \
         `UPDATE_DOCS=1 cargo test -p gateway-control documents` writes it anew.\n\n\
         `GET /metrics` on the HTTP port. Counters are summed over shards.\n\n\
         | name | form | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in METRICS {
        let form = format!("{:?}", metric.form).to_lowercase();
        let labels = metric.labels.join(", ");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| `{}` | {form} | {labels} | {} |", metric.exported_name(), metric.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        let mut names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands twice");
        for metric in METRICS {
            let fits = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(fits(metric.name) && metric.labels.iter().all(|label| fits(label)), "{}", metric.name);
            assert!(!metric.name.ends_with("_total"), "{}: the exporter adds it", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
