//! What a story is made of: the parties as the world sees them, and the configuration.

use gateway_relay::{
    Account, Correlate, DeliveryKey, Limits, LinkKey, MessageKey, Route, ShardMessage, Snapshot,
    SnapshotInput, StoreAnswer, StoreOp, UnknownOutcome, Vendor, VendorId, VendorMessageId, WeightedVendor,
};
use smpp::field::{CommandId, CommandStatus};
use smpp::text::message_id::GatewayId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const ACCOUNTS: [&str; 3] = ["acme", "globex", "initech"];
/// The first one waits for a receipt, the others allow a second copy.
pub(crate) const POLICIES: [UnknownOutcome; 3] =
    [UnknownOutcome::Hold, UnknownOutcome::RetrySame, UnknownOutcome::RetryOther];
pub(crate) const NUMBERS: [&str; 3] = ["18005550001", "18005550002", "18005550003"];
pub(crate) const VENDORS: [&str; 2] = ["north", "south"];
pub(crate) const STORY_MS: u64 = 2_000;
pub(crate) const HEALING_MS: u64 = 60_000;
pub(crate) const ATTEMPTS_MAX: u8 = 3;

/// What a story told, for the sums.
#[derive(Default, Debug, Clone, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) trace: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
    pub(crate) receipts_taken: u64,
    pub(crate) mo_taken: u64,
    pub(crate) parked: u64,
    pub(crate) orphans: u64,
    pub(crate) early: u64,
    pub(crate) failovers: u64,
    pub(crate) taken_back: u64,
    pub(crate) remote: u64,
    pub(crate) retries: u64,
    pub(crate) held: u64,
    pub(crate) told_by_receipt: u64,
    pub(crate) resolved: u64,
    pub(crate) ambiguous: u64,
}

impl Story {
    pub(crate) fn add(&mut self, other: &Story) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.receipts_taken += other.receipts_taken;
        self.mo_taken += other.mo_taken;
        self.parked += other.parked;
        self.orphans += other.orphans;
        self.early += other.early;
        self.failovers += other.failovers;
        self.taken_back += other.taken_back;
        self.remote += other.remote;
        self.retries += other.retries;
        self.held += other.held;
        self.told_by_receipt += other.told_by_receipt;
        self.resolved += other.resolved;
        self.ambiguous += other.ambiguous;
    }
}

#[derive(Debug)]
pub(crate) enum Event {
    Mail { from: u8, to: u8, message: ShardMessage },
    Store { shard: u8, op: StoreOp },
    StoreSays { shard: u8, answer: StoreAnswer },
    Written { link: LinkKey, message: MessageKey },
    Answer { link: LinkKey, message: MessageKey, status: CommandStatus, id: Option<VendorMessageId> },
    Expire { link: LinkKey, message: MessageKey },
    Upward { upward: usize },
    CustomerAnswers { link: LinkKey, delivery: DeliveryKey, status: Option<CommandStatus> },
}

pub(crate) struct Submit {
    pub(crate) account: usize,
    pub(crate) session: LinkKey,
    pub(crate) wants_receipt: bool,
    pub(crate) answers: u32,
    pub(crate) session_lost: bool,
    pub(crate) hands: u32,
    pub(crate) copies: u32,
    /// Copies that the vendor has or may have, as far as the gateway can know.
    pub(crate) copies_open: u32,
    /// What it was sent as.
    pub(crate) command: CommandId,
    pub(crate) accepts_answered: Vec<VendorMessageId>,
    /// What vendors took, whether or not the gateway heard of it.
    pub(crate) accepts: Vec<VendorMessageId>,
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) gateway_id: Option<GatewayId>,
}

pub(crate) struct Session {
    pub(crate) shard: u8,
    pub(crate) account: usize,
    pub(crate) sequence: u32,
    pub(crate) outstanding: BTreeMap<DeliveryKey, Carried>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Carried {
    Receipt(u64),
    Mo(u64),
}

pub(crate) struct VendorLink {
    pub(crate) shard: u8,
    pub(crate) vendor: usize,
    pub(crate) window: u32,
    pub(crate) flights: Vec<(MessageKey, u64, bool)>,
    /// Upwards sent on it, by sequence number.
    pub(crate) upwards: BTreeMap<u32, usize>,
    pub(crate) last_first_try: BTreeMap<LinkKey, u64>,
}

/// A receipt or MO that a vendor wants to get rid of.
pub(crate) struct Upward {
    pub(crate) vendor: usize,
    pub(crate) carried: Carried,
    pub(crate) id: Option<VendorMessageId>,
    pub(crate) owner: Option<usize>,
    pub(crate) acked: bool,
}

pub(crate) fn snapshot(variant: bool, strict: bool) -> Arc<Snapshot> {
    let weighted = |name: &str, weight| WeightedVendor { vendor: VendorId::of_name(name.as_bytes()), weight };
    let route = |prefix: &str, priority, vendors| Route {
        prefix: prefix.into(),
        account: None,
        priority,
        unknown_outcome: None,
        vendors,
    };
    let (first, second) = if variant { ("south", "north") } else { ("north", "south") };
    let accounts = ACCOUNTS.iter().zip(NUMBERS).zip(POLICIES).map(|((name, number), policy)| Account {
        unknown_outcome: policy,
        numbers: vec![number.into()],
        rate: if *name == "globex" { 400 } else { 0 },
        burst: 10,
        ..Account::new(name)
    });
    Arc::new(
        Snapshot::compile(SnapshotInput {
            version: u64::from(variant),
            accounts: accounts.collect(),
            vendors: VENDORS
                .iter()
                .map(|name| Vendor {
                    rate_per_bind: if *name == "south" { 200 } else { 0 },
                    throttle_pause: Duration::from_millis(30),
                    ..Vendor::new(name)
                })
                .collect(),
            routes: vec![
                route("1", 10, vec![weighted("north", 50), weighted("south", 50)]),
                route("2", 10, vec![weighted(first, 1)]),
                route("2", 20, vec![weighted(second, 1)]),
                route("3", 10, vec![weighted("north", 1)]),
            ],
            limits: Limits {
                queue_max: 20,
                queue_wait_max: Duration::from_millis(200),
                delivery_queue_max: 4,
                delivery_wait_max: Duration::from_millis(100),
                store_wait_max: Duration::from_millis(500),
                remote_wait_max: Duration::from_millis(900),
                attempts_max: ATTEMPTS_MAX,
                hold_max: Duration::from_millis(600),
                unknown_window: Duration::from_secs(5),
                ..Limits::default()
            },
            correlate: if strict { Correlate::Strict } else { Correlate::Relaxed },
        })
        .unwrap(),
    )
}
