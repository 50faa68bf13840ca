//! Immutable configuration as the data plane sees it: plain data in, one checked and compiled [`Snapshot`]
//! out. The control plane builds it; every shard shares it behind an `Arc`.

pub use crate::mistake::Mistake;
pub use crate::policy::{Correlate, Deduplicate, ErrorRule, Mode, SpoolRules, UnknownOutcome};

use crate::address_range::RangePolicy;
use crate::circuit::CircuitRules;
use crate::limit::{LimitTable, LimitsInput, Sources, WhenAway};
use crate::message::{AccountId, VendorId};
use crate::network::{NetworkRule, Networks};
use crate::numbers::{self, KeywordRule, NumberOwners, Numbers};
use crate::route::{Encodings, Known, PlanIndex, Route, RouteQuestion, RouteTable};
use core::time::Duration;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smpp::field::CommandStatus;
use smpp::text::message_id::IdRule;
use smpp::version::Version;

/// A customer's rights, as far as its messages are concerned.
#[derive(Clone, Debug)]
pub struct Account {
    /// Stable name of the account.
    pub id: AccountId,
    /// system_id of its binds; for reports only.
    pub name: Box<str>,
    /// What it may send in one second over all binds on all nodes; 0 = unlimited.
    pub rate: u32,
    /// What it may send above the rate in any interval, in messages; at least 1 where there is a rate.
    pub burst: u32,
    /// What one session may send in one second; 0 = unlimited.
    pub bind_rate: u32,
    /// What its rate means while Redis is away.
    pub when_away: WhenAway,
    /// From which addresses it may send.
    pub sources: Sources,
    /// It may send from numbers of which another account is the owner.
    pub sources_of_others: bool,
    /// When its messages are acknowledged.
    pub mode: Mode,
    /// What to do when nobody knows whether a vendor has the message.
    pub unknown_outcome: UnknownOutcome,
    /// Status of the answer for an unknown outcome; never used for a definite no. Not ESME_ROK.
    pub unknown_status: CommandStatus,
    /// How a message that the customer submits again is recognised.
    pub deduplicate: Deduplicate,
    /// How long after its submit an accepted message is recognised.
    pub deduplicate_window: Duration,
    /// MO to these destinations belong to this account, unless a keyword says otherwise; digits, a leading `+` is
    /// skipped.
    pub numbers: Vec<Box<str>>,
    /// MO in parts are delivered as one, with the whole text in message_payload.
    pub reassemble: bool,
    /// Which SMPP is spoken to it whatever it binds as; none = as it binds.
    pub version: Option<Version>,
    /// What the address ranges of its binds are good for.
    pub address_range: RangePolicy,
}

impl Account {
    /// An account without limits or numbers, and the defaults of the policy.
    pub fn new(name: &str) -> Self {
        Self {
            id: AccountId::of_name(name.as_bytes()),
            name: name.into(),
            rate: 0,
            burst: 0,
            bind_rate: 0,
            when_away: WhenAway::default(),
            sources: Sources::any(),
            sources_of_others: false,
            mode: Mode::Relay,
            unknown_outcome: UnknownOutcome::Fail,
            unknown_status: CommandStatus::ESME_RUNKNOWNERR,
            deduplicate: Deduplicate::Off,
            deduplicate_window: Duration::from_secs(60),
            numbers: Vec::new(),
            reassemble: false,
            version: None,
            address_range: RangePolicy::Ignore,
        }
    }
}

/// A vendor, as far as messages are concerned.
#[derive(Clone, Debug)]
pub struct Vendor {
    /// Stable name of the vendor.
    pub id: VendorId,
    /// Its name in the configuration; for reports only.
    pub name: Box<str>,
    /// What one bind may send in one second; 0 = unlimited. Messages over it wait.
    pub rate_per_bind: u32,
    /// What all binds on all nodes may send in one second; 0 = unlimited. Messages over it wait.
    pub rate: u32,
    /// What they may send above that rate in any interval, in messages.
    pub burst: u32,
    /// What the rate means while Redis is away.
    pub when_away: WhenAway,
    /// How long nothing is sent to it after it answered ESME_RTHROTTLED. Zero = no pause.
    pub throttle_pause: Duration,
    /// How its receipts write the ids that its answers gave.
    pub id_rule: IdRule,
    /// Its receipts carry no usable number of the handset: the id alone names their message, and one that it gave twice
    /// names none.
    pub receipts_without_number: bool,
    /// Its account at the SMSC, where other entries share it: message ids, receipts and parts of messages are of the account.
    pub account: Option<Box<str>>,
    /// It marks no receipt: theirs are told by their text.
    pub receipts_unmarked: bool,
    /// What its statuses mean here, where that is not what they mean everywhere; each status once.
    pub error_map: Vec<ErrorRule>,
    /// What it takes; other messages are not tried there.
    pub encodings: Encodings,
    /// Longest PDU that it takes, octets with header; 0 = any. Longer messages are not tried there.
    pub pdu_size_max: u32,
    /// It takes no reserved values of one-octet fields: messages with one are not tried there.
    pub strict_values: bool,
    /// Which SMPP is spoken to it: what 3.3 cannot say is not tried there.
    pub version: Version,
}

impl Vendor {
    /// Whose message ids its own are: those of its account, which has the vendor's own name where none is given.
    pub(crate) fn vendor_account(&self) -> VendorId {
        self.account.as_ref().map_or(self.id, |account| VendorId::of_name(account.as_bytes()))
    }

    /// The name of its account: its own where none is given.
    pub(crate) fn account_name(&self) -> &str {
        self.account.as_deref().unwrap_or(&self.name)
    }

    /// A vendor without pacing or error map.
    pub fn new(name: &str) -> Self {
        Self {
            id: VendorId::of_name(name.as_bytes()),
            name: name.into(),
            rate_per_bind: 0,
            rate: 0,
            burst: 0,
            when_away: WhenAway::default(),
            throttle_pause: Duration::from_secs(1),
            id_rule: IdRule::default(),
            receipts_without_number: false,
            account: None,
            receipts_unmarked: false,
            error_map: Vec::new(),
            encodings: Encodings::ALL,
            pdu_size_max: 0,
            strict_values: false,
            version: Version::default(),
        }
    }
}

/// Every bound of one shard's relay. All memory that messages can take follows from these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Open submits; each costs about 200 bytes and its PDU. Over it: `MessagesFull`.
    pub messages_max: u32,
    /// Open deliveries, early receipts among them; each costs about 200 bytes and its PDU.
    pub deliveries_max: u32,
    /// Messages waiting for a window slot, per vendor.
    pub queue_max: u32,
    /// How long a message may wait for a window slot, each time it waits. One that comes back unsent gets a new
    /// deadline at most `attempts_max` times.
    pub queue_wait_max: Duration,
    /// Deliveries waiting for a customer's window slot, per account. Over it they are parked.
    pub delivery_queue_max: u32,
    /// How long a delivery may wait for a customer's window slot before it is parked.
    pub delivery_wait_max: Duration,
    /// How long the store may take for an answer before we go on without.
    pub store_wait_max: Duration,
    /// How long another shard may take. Longer than the slowest vendor's response timer and the queue's wait
    /// together, or definite outcomes turn into unknown ones.
    pub remote_wait_max: Duration,
    /// Longest PDU accepted from a customer or vendor, octets with header.
    pub pdu_size_max: u32,
    /// Tries of one message, the first included; 1..=8. Vendors, and copies to one of them that has one already.
    pub attempts_max: u8,
    /// How long a receipt may still end an unknown outcome; zero = never.
    pub unknown_window: Duration,
}

impl Limits {
    /// What an open message takes beside its PDU, octets.
    pub const MESSAGE_OCTETS: usize = crate::arena::slot_octets::<crate::open::Message>();
    /// What the draft of a submit's record takes, where records are made, octets.
    pub const SUBMIT_DRAFT_OCTETS: usize = crate::drafts::SUBMIT_DRAFT_OCTETS;
    /// The same of a delivery's, octets.
    pub const DELIVERY_DRAFT_OCTETS: usize = crate::drafts::DELIVERY_DRAFT_OCTETS;
    /// What an open delivery takes beside its PDU, octets.
    pub const DELIVERY_OCTETS: usize = crate::arena::slot_octets::<crate::open::Delivery>();
    /// What the table of gathered MO takes at most, octets; their parts are open deliveries.
    pub const GATHER_OCTETS_MAX: u64 = crate::gather_table::TABLE_OCTETS_MAX as u64;
    /// What buffers kept for later take at most, octets.
    pub const SPARE_OCTETS_MAX: u64 = (crate::open::SPARE_BUFFERS_MAX * crate::open::BUFFER_KEPT_MAX) as u64;
    /// What a shard keeps of unknown outcomes at most, octets.
    pub const UNKNOWN_OCTETS_MAX: u64 =
        crate::unresolved::UNRESOLVED_OCTETS + crate::in_flight::IN_FLIGHT_OCTETS + crate::seen::SEEN_OCTETS;
    /// What a shard keeps of where parts of long messages went at most, octets.
    pub const TOGETHER_OCTETS_MAX: u64 = crate::together::TOGETHER_OCTETS;
    /// What the circuits of routes take on one shard at most, octets.
    pub const ROUTE_CIRCUIT_OCTETS_MAX: u64 = crate::circuit::ROUTE_CIRCUITS_OCTETS;
    /// What a shard remembers of submits that may come again at most, octets.
    pub const RESUBMIT_OCTETS_MAX: u64 = crate::resubmit::RESUBMITS_OCTETS;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages_max: 262_144, // 300,000/s at 800 ms of vendor latency
            deliveries_max: 131_072,
            queue_max: 10_000,
            queue_wait_max: Duration::from_secs(5),
            delivery_queue_max: 10_000,
            delivery_wait_max: Duration::from_secs(5),
            store_wait_max: Duration::from_secs(2),
            remote_wait_max: Duration::from_secs(25), // response 10 s, queue 5 s, delivery 5 s, and air
            pdu_size_max: smpp::limits::PDU_SIZE_MAX_DEFAULT,
            attempts_max: 4,
            unknown_window: Duration::from_secs(3600),
        }
    }
}

/// Everything a snapshot is compiled from.
#[derive(Clone, Debug, Default)]
pub struct SnapshotInput {
    /// Grows with every change; for reports.
    pub version: u64,
    /// The customers.
    pub accounts: Vec<Account>,
    /// The vendors.
    pub vendors: Vec<Vendor>,
    /// The routes.
    pub routes: Vec<Route>,
    /// Keywords of numbers that customers share.
    pub keywords: Vec<KeywordRule>,
    /// Source numbers, campaigns and brands, and what carriers allow them.
    pub carriers: LimitsInput,
    /// Which mobile network a destination belongs to.
    pub networks: Vec<NetworkRule>,
    /// The bounds.
    pub limits: Limits,
    /// Whether and how receipts are matched.
    pub correlate: Correlate,
    /// Rules of the spool; none when there is no spool.
    pub spool: Option<SpoolRules>,
    /// When a vendor is ill, and for how long it is left alone.
    pub circuits: CircuitRules,
    /// Whether records are made. Costs some hundred nanoseconds a message and 700 octets for each open one.
    pub records: bool,
}

/// One checked configuration. Immutable.
#[derive(Debug)]
pub struct Snapshot {
    version: u64,
    accounts: Vec<Account>,
    vendors: Vec<Vendor>,
    account_places: HashMap<AccountId, u32, FixedState>,
    vendor_places: HashMap<VendorId, u32, FixedState>,
    numbers: Numbers,
    networks: Networks,
    routes: RouteTable,
    limit_table: LimitTable,
    limits: Limits,
    correlate: Correlate,
    spool: Option<SpoolRules>,
    circuits: CircuitRules,
    records: bool,
    has_forms: bool,
    has_strict_values: bool,
    has_older_vendors: bool,
}

/// Digits of the longest address: SMPP 3.4 §5.2.9 allows 20.
pub const NUMBER_LENGTH_MAX: usize = 20;
/// Vendors of one snapshot: places are 16 bits in the route table, and one is kept to say "none".
pub const VENDORS_MAX: usize = 4096;

impl Snapshot {
    /// Checks everything and compiles the tables. Costs milliseconds; never called on a shard.
    ///
    /// # Errors
    /// All mistakes, in the order of the input.
    pub fn compile(input: SnapshotInput) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let mut account_places = HashMap::with_capacity_and_hasher(input.accounts.len(), hash());
        let mut vendor_places = HashMap::with_capacity_and_hasher(input.vendors.len(), hash());
        for (place, account) in input.accounts.iter().enumerate() {
            if let Some(first) = account_places.insert(account.id, place as u32) {
                mistakes.push(Mistake::AccountTwice { first: first as usize, second: place });
            }
        }
        if input.vendors.len() > VENDORS_MAX {
            mistakes.push(Mistake::VendorsTooMany { max: VENDORS_MAX });
        }
        for (place, vendor) in input.vendors.iter().enumerate() {
            if let Some(first) = vendor_places.insert(vendor.id, place as u32) {
                mistakes.push(Mistake::VendorTwice { first: first as usize, second: place });
            }
            if vendor
                .error_map
                .iter()
                .any(|rule| [Some(rule.status), rule.to].contains(&Some(CommandStatus::ESME_ROK)))
            {
                mistakes.push(Mistake::ErrorMapOk { vendor: place });
            }
        }
        let mut numbers = owners(&input.accounts, &mut mistakes);
        numbers::add_keywords(&mut numbers, &input.keywords, &account_places, &mut mistakes);
        let networks = Networks::compile(&input.networks, &mut mistakes);
        check_limits(&input.limits, &mut mistakes);
        let limit_table =
            LimitTable::compile(&input.accounts, &input.vendors, &networks, &input.carriers, &mut mistakes);
        check_circuits(&input.circuits, &mut mistakes);
        let known =
            Known { accounts: &account_places, vendor_places: &vendor_places, vendors: &input.vendors };
        let routes = RouteTable::compile(&input.routes, &known, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let has_strict_values = input.vendors.iter().any(|vendor| vendor.strict_values);
        let has_older_vendors = input.vendors.iter().any(|vendor| !vendor.version.has_tlvs());
        let has_lengths = input.vendors.iter().any(|vendor| vendor.pdu_size_max > 0);
        let has_forms = has_strict_values || has_older_vendors || has_lengths;
        Ok(Self {
            version: input.version,
            has_forms,
            has_strict_values,
            has_older_vendors,
            accounts: input.accounts,
            vendors: input.vendors,
            account_places,
            vendor_places,
            numbers,
            networks,
            routes,
            limit_table,
            limits: input.limits,
            correlate: input.correlate,
            spool: input.spool,
            circuits: input.circuits,
            records: input.records,
        })
    }

    /// The version that the input named.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// All accounts, in the order of the input.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// All vendors, in the order of the input; the places that the route table speaks of.
    pub fn vendors(&self) -> &[Vendor] {
        &self.vendors
    }

    /// The account of that id.
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.account_places.get(&id).map(|place| &self.accounts[*place as usize])
    }

    /// The vendor of that id.
    pub fn vendor(&self, id: VendorId) -> Option<&Vendor> {
        self.vendor_places.get(&id).map(|place| &self.vendors[*place as usize])
    }

    /// The place of a vendor in [`Snapshot::vendors`].
    pub(crate) fn vendor_place(&self, id: VendorId) -> Option<u16> {
        self.vendor_places.get(&id).map(|place| *place as u16) // VENDORS_MAX is below 2^16
    }

    /// Who owns a destination of MO where no keyword fits. A leading `+` is skipped; anything but digits is owned by
    /// nobody.
    pub fn owner(&self, destination: &[u8]) -> Option<AccountId> {
        self.number(destination).and_then(NumberOwners::default_owner)
    }

    /// What is known of a destination of MO. A leading `+` is skipped.
    pub fn number(&self, destination: &[u8]) -> Option<&NumberOwners> {
        self.numbers.get(crate::route::without_plus(destination))
    }

    /// Whether an account may send from this address: not from a number of another one, unless it shares that number or
    /// is set to.
    #[inline]
    pub(crate) fn may_send_from(&self, account: &Account, source: &[u8]) -> bool {
        account.sources_of_others
            || self.numbers.is_empty()
            || self.number(source).is_none_or(|number| number.may_send(account.id))
    }

    /// The mobile networks of destinations, where known.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// The plan of a message, if any route leads somewhere.
    #[inline]
    pub fn route(&self, question: &RouteQuestion<'_>) -> Option<PlanIndex> {
        self.routes.find(question, &self.networks)
    }

    /// The compiled routes.
    pub fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// Whether a vendor does not take messages of every length and value.
    #[inline]
    pub(crate) fn has_forms(&self) -> bool {
        self.has_forms
    }

    /// Whether a vendor speaks SMPP 3.3.
    #[inline]
    pub(crate) fn has_older_vendors(&self) -> bool {
        self.has_older_vendors
    }

    /// Whether a vendor takes no reserved values.
    #[inline]
    pub(crate) fn has_strict_values(&self) -> bool {
        self.has_strict_values
    }

    /// How much may go through.
    pub fn limit_table(&self) -> &LimitTable {
        &self.limit_table
    }

    /// The place of an account in [`Snapshot::accounts`].
    pub(crate) fn account_place(&self, id: AccountId) -> Option<u32> {
        self.account_places.get(&id).copied()
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether and how receipts are matched.
    pub fn correlate(&self) -> Correlate {
        self.correlate
    }

    /// Rules of the spool; none when there is no spool.
    pub fn spool(&self) -> Option<&SpoolRules> {
        self.spool.as_ref()
    }

    /// When a vendor is ill, and for how long it is left alone.
    #[inline]
    pub fn circuit_rules(&self) -> &CircuitRules {
        &self.circuits
    }

    /// Whether records are made.
    pub fn records(&self) -> bool {
        self.records
    }
}

/// Looked up with keys from our own configuration and store only, so a fixed seed invites no flooding.
fn hash() -> FixedState {
    FixedState::with_seed(0x5eed_0f2e_1a7e_0001)
}

fn owners(accounts: &[Account], mistakes: &mut Vec<Mistake>) -> Numbers {
    let mut numbers = Numbers::with_hasher(hash());
    for (place, account) in accounts.iter().enumerate() {
        if account.rate > 0 && account.burst == 0 {
            mistakes.push(Mistake::BurstZero { account: place });
        }
        if account.unknown_status == CommandStatus::ESME_ROK {
            mistakes.push(Mistake::UnknownStatusOk { account: place });
        }
        for (index, number) in account.numbers.iter().enumerate() {
            match numbers::digits_of(number) {
                None => mistakes.push(Mistake::NumberInvalid { account: place, number: index }),
                Some(digits) if !numbers::give(&mut numbers, digits, account) => {
                    mistakes.push(Mistake::NumberTwice { account: place, number: index });
                }
                Some(_) => {}
            }
        }
    }
    numbers
}

fn check_circuits(rules: &CircuitRules, mistakes: &mut Vec<Mistake>) {
    let minutes = |span: Duration| span <= Duration::from_secs(3600);
    let checks = [
        ("circuit_failures_percent", rules.failures_percent <= 100),
        ("circuit_window", rules.window > Duration::ZERO && minutes(rules.window)),
        ("circuit_open_for", rules.open_for > Duration::ZERO && minutes(rules.open_for)),
        ("circuit_probes", rules.probes > 0),
        ("circuit_slow_after", minutes(rules.slow_after)),
        ("circuit_ramp_up", minutes(rules.ramp_up)),
    ];
    for (field, valid) in checks {
        if !valid {
            mistakes.push(Mistake::LimitInvalid { field });
        }
    }
}

fn check_limits(limits: &Limits, mistakes: &mut Vec<Mistake>) {
    let zero = Duration::ZERO;
    let checks = [
        ("messages_max", (1..=1 << 24).contains(&limits.messages_max)),
        ("deliveries_max", (1..=1 << 24).contains(&limits.deliveries_max)),
        ("queue_max", limits.queue_max > 0),
        ("queue_wait_max", limits.queue_wait_max > zero),
        ("delivery_queue_max", limits.delivery_queue_max > 0),
        ("delivery_wait_max", limits.delivery_wait_max > zero),
        ("store_wait_max", limits.store_wait_max > zero),
        ("remote_wait_max", limits.remote_wait_max > zero),
        ("pdu_size_max", limits.pdu_size_max >= 64),
        ("attempts_max", (1..=8).contains(&limits.attempts_max)),
    ];
    for (field, valid) in checks {
        if !valid {
            mistakes.push(Mistake::LimitInvalid { field });
        }
    }
}
