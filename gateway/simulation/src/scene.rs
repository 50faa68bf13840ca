//! Where stories play: the accounts with their policies, the vendors, the routes, and what is drawn for each story.

use crate::fault::{Fault, Proneness};
use crate::ids::Spelling;
use crate::random::Random;
use relay::{
    Account, AccountId, CircuitRules, Correlate, KeywordRule, Limits, Mode, Rewrite, Route, Snapshot,
    SnapshotInput, SpoolRules, UnknownOutcome, Vendor, VendorId, WeightedVendor,
};
use smpp::field::CommandStatus;
use std::sync::Arc;
use std::time::Duration;

/// One customer of every story.
pub(crate) struct CustomerScene {
    pub(crate) name: &'static str,
    pub(crate) number: &'static str,
    pub(crate) policy: UnknownOutcome,
    pub(crate) unknown_status: CommandStatus,
    /// Messages per second, 0 = unlimited.
    pub(crate) rate: u32,
    pub(crate) mode: Mode,
    /// Wants the parts of an MO as one.
    pub(crate) reassemble: bool,
}

const fn customer(name: &'static str, number: &'static str, policy: UnknownOutcome) -> CustomerScene {
    CustomerScene {
        name,
        number,
        policy,
        unknown_status: CommandStatus::ESME_RUNKNOWNERR,
        rate: 0,
        mode: Mode::Relay,
        reassemble: false,
    }
}

/// The customers; another policy is another line.
pub(crate) const CUSTOMERS: [CustomerScene; 9] = [
    customer("acme", "18005550001", UnknownOutcome::Fail),
    CustomerScene { rate: 400, ..customer("globex", "18005550002", UnknownOutcome::Fail) },
    customer("initech", "18005550003", UnknownOutcome::RetryOther),
    CustomerScene {
        unknown_status: CommandStatus(0x0000_0401),
        ..customer("umbrella", "18005550004", UnknownOutcome::Fail)
    },
    customer("hooli", "18005550005", UnknownOutcome::RetryOther),
    CustomerScene { reassemble: true, ..customer("stark", "18005550006", UnknownOutcome::Fail) },
    customer("wayne", "18005550007", UnknownOutcome::RetryOther),
    CustomerScene {
        mode: Mode::StoreAndForward,
        ..customer("tyrell", "18005550008", UnknownOutcome::RetryOther)
    },
    CustomerScene { mode: Mode::StoreAndForward, ..customer("weyland", "18005550009", UnknownOutcome::Fail) },
];

/// One kind of MO to a number whose messages are gathered; customers by their places.
#[derive(Debug)]
pub(crate) struct SharedScene {
    pub(crate) number: &'static str,
    pub(crate) keyword: &'static str,
    /// Whose a message with this keyword is.
    pub(crate) owner: Option<usize>,
    /// Whose it is where no keyword fits, or where none is known.
    pub(crate) default: Option<usize>,
}

const fn shared(
    number: &'static str,
    keyword: &'static str,
    owner: Option<usize>,
    default: Option<usize>,
) -> SharedScene {
    SharedScene { number, keyword, owner, default }
}

const NOBODYS: &str = "18005559001";
const UMBRELLAS: &str = "18005559002";
const UMBRELLA: usize = 3;

/// MO by keyword: to a number of nobody's, to one with a default owner, and to the own one of a customer who wants its
/// messages whole.
pub(crate) const SHARED: [SharedScene; 6] = [
    shared(NOBODYS, "win", Some(5), None),
    shared(NOBODYS, "pay", Some(0), None),
    shared(NOBODYS, "stop", None, None),
    shared(UMBRELLAS, "pay", Some(4), Some(UMBRELLA)),
    shared(UMBRELLAS, "hello", Some(UMBRELLA), Some(UMBRELLA)),
    shared(CUSTOMERS[5].number, "hello", Some(5), Some(5)),
];
/// Words that no rule has.
const NO_KEYWORDS: [&str; 2] = ["stop", "hello"];

/// The vendors, in the order of the world's tables.
pub(crate) const VENDORS: [&str; 3] = ["north", "south", "east"];

/// Where handsets of submits are: by weight, two of them with another destination on the way to their vendors, by priority,
/// one vendor only, nowhere; and two whose routes have a policy of their own, the second one's changing destinations.
pub(crate) const DESTINATIONS: [(&str, Option<UnknownOutcome>); 8] = [
    ("1202555", None),
    ("+1202556", None),
    ("1202557", None),
    ("299555", None),
    ("3005", None),
    ("9", None),
    ("441555", Some(UnknownOutcome::Fail)),
    ("521555", Some(UnknownOutcome::RetryOther)),
];

/// Source addresses of a crowded story: some unknown outcomes and messages share both addresses.
pub(crate) const SOURCES_CROWDED: u64 = 20;
/// What takes the memory of unknown outcomes or of correlations from a node: then a receipt of a forgotten message may
/// fit another one with the same addresses, and nobody can tell. Not where messages share addresses.
const FORGETFUL: [Fault; 6] = [
    Fault::NodeCrash,
    Fault::ShardGone,
    Fault::Drain,
    Fault::StoreLosesTail,
    Fault::StoreLosesAll,
    Fault::SpoolAway, // a restart mends it
];

/// Configurations that a node may get: the first one of each start, with two vendors the other way round, without a vendor.
pub(crate) const VARIANTS: usize = 3;
/// The one that does not hold the vendor `east`.
const WITHOUT_EAST: usize = 2;

/// Vendors tried for one message.
pub(crate) const ATTEMPTS_MAX: u8 = 3;
/// How long a relay knows where the parts of a message went.
pub(crate) const PARTS_KNOWN_US: u64 = 60_000_000;
/// Until when customers send and misfortunes happen, microseconds.
pub(crate) const STORY_US: u64 = 1_200_000;
/// After that everything heals, and must have come to its end so much later.
pub(crate) const HEALING_US: u64 = 600_000_000;
/// How long a link waits for the answer to a submit.
pub(crate) const ANSWER_TIMER_US: u64 = 150_000;
/// How long a link that is to end waits for what is on it; less than a submit's timer, so that some is left.
pub(crate) const LEAVE_MAX_US: u64 = 100_000;
/// How long a link waits for the answer to a deliver_sm.
pub(crate) const DELIVER_TIMER_US: u64 = 120_000;
/// Until then a customer may refuse everything. At a try a second nobody could miss it.
pub(crate) const REFUSES_US: u64 = 300_000_000;
/// Times one delivery may be refused in that time, after all have bound: eleven rounds with doubling pauses of a minute at
/// most, three sessions in each, on each of three nodes, and as many again for what comes between.
pub(crate) const REFUSALS_MAX: u32 = 150;
/// How long the store may take.
pub(crate) const STORE_WAIT_US: u64 = 300_000;
/// How long another shard may take, where that covers a wait for a slot, for the kernel and for an answer; and where the
/// vendors' timers are longer than anybody waits for a shard, so that answers come late.
pub(crate) const REMOTE_WAIT_US: [u64; 2] = [700_000, 40_000];
/// A store keeps a receipt so long for its message.
pub(crate) const EARLY_WAIT_US: u64 = 1_500_000;
/// A receipt waits so long for its correlation at least: the time in the store, less stalls and air.
pub(crate) const EARLY_PROMISE_US: u64 = 1_400_000;
/// A submit that is not answered after this is late: each of three tries and three returns may wait for a queue, a
/// timer and another shard, and at last for the store.
pub(crate) const ANSWER_DEADLINE_US: u64 = 8_000_000;
/// The same for a vendor's deliver_sm: four looks into the store, three waits between, three sessions, another shard.
pub(crate) const ACKNOWLEDGE_DEADLINE_US: u64 = 8_000_000;
/// A part of an MO may wait so much longer, for the others: ten seconds, and a tick.
pub(crate) const GATHER_US: u64 = 10_100_000;

/// What is drawn for one story.
#[derive(Debug)]
pub(crate) struct Plan {
    /// No misfortune at all: the strictest expectations.
    pub(crate) faultless: bool,
    pub(crate) prone: Proneness,
    /// Shards of each node.
    pub(crate) nodes: Vec<u8>,
    /// One store for all nodes, instead of one each.
    pub(crate) shared_store: bool,
    pub(crate) strict: bool,
    pub(crate) limits: Limits,
    pub(crate) spool: SpoolRules,
    /// Spools sync that a message is on its way before it goes.
    pub(crate) sync_notes: bool,
    pub(crate) spellings: [Spelling; VENDORS.len()],
    /// The receipts of a vendor carry no number of the handset.
    pub(crate) numberless: [bool; VENDORS.len()],
    /// Messages share addresses; else each has its own, so that no receipt can be mistaken.
    pub(crate) crowded: bool,
    /// This customer refuses everything until [`REFUSES_US`].
    pub(crate) refuses: Option<usize>,
    /// Customers send messages of several parts, which share addresses.
    pub(crate) longs: bool,
    /// A record is made of every submit.
    pub(crate) records: bool,
    /// Requests of the story, about.
    pub(crate) messages: u64,
    /// Time between two misfortunes, microseconds, about.
    pub(crate) fault_gap_us: u64,
    pub(crate) snapshots: [Arc<Snapshot>; VARIANTS],
}

impl Plan {
    pub(crate) fn draw(seed: u64, random: &mut Random) -> Self {
        let faultless = seed.is_multiple_of(8);
        let nodes: Vec<u8> = (0..1 + random.below(3)).map(|_| 1 + random.below(3) as u8).collect();
        let strict = random.percent(80);
        let mut prone = if faultless { 0 } else { random.next() | random.next() & random.next() };
        let crowded = nodes.len() == 1 && random.percent(40);
        let longs = crowded || random.percent(25);
        if longs {
            FORGETFUL.iter().for_each(|fault| prone &= !(1 << *fault as u32));
        }
        let limits = draw_limits(random, faultless);
        let records = random.percent(50);
        let refuses = draw_refuses(prone, random);
        let spool = draw_spool(random, faultless);
        let mut spelling = || {
            let all = Spelling::ALL;
            if prone & 1 << Fault::ReceiptRecoded as u32 == 0 { all[0] } else { random.pick(&all).unwrap() }
        };
        let spellings = [spelling(), spelling(), spelling()];
        let numberless = [false, random.percent(15), random.percent(30)].map(|is| is && !crowded);
        Self {
            faultless,
            prone: Proneness(prone),
            nodes,
            shared_store: random.percent(60),
            strict,
            limits,
            spool,
            sync_notes: random.percent(30),
            spellings,
            numberless,
            crowded,
            refuses,
            longs,
            records,
            messages: random.between(100, 260),
            fault_gap_us: random.between(8_000, 60_000),
            snapshots: core::array::from_fn(|variant| {
                snapshot(variant, (strict, records), (limits, spool), (&spellings, &numberless))
            }),
        }
    }
}

/// Rarely: such a story is long.
fn draw_refuses(prone: u64, random: &mut Random) -> Option<usize> {
    let is_prone = prone & 1 << Fault::CustomerRefuses as u32 != 0;
    (is_prone && random.percent(15)).then(|| random.below(CUSTOMERS.len() as u64) as usize)
}

fn draw_limits(random: &mut Random, faultless: bool) -> Limits {
    let tight = !faultless && random.percent(30);
    let impatient = usize::from(!faultless && random.percent(40));
    Limits {
        messages_max: if tight { random.between(8, 30) as u32 } else { 300 },
        deliveries_max: if tight { random.between(6, 20) as u32 } else { 300 },
        queue_max: random.between(5, 30) as u32,
        queue_wait_max: Duration::from_millis(150),
        delivery_queue_max: random.between(1, 8) as u32,
        delivery_wait_max: Duration::from_millis(100),
        store_wait_max: Duration::from_micros(STORE_WAIT_US),
        remote_wait_max: Duration::from_micros(REMOTE_WAIT_US[impatient]),
        attempts_max: ATTEMPTS_MAX,
        ..Limits::default()
    }
}

/// Seconds are the unit of validity: where it is short, messages expire within the story. Else it is longer than all retries
/// after it, and only messages that are not sent again wait for its end.
fn draw_spool(random: &mut Random, faultless: bool) -> SpoolRules {
    let short = !faultless && random.percent(30);
    SpoolRules {
        validity: Duration::from_secs(if short { 1 + random.below(2) } else { 20 }),
        retry_first: Duration::from_millis(random.between(20, 100)),
        retry_max: Duration::from_millis(400),
        unknown_copies_max: random.below(3) as u8,
    }
}

fn snapshot(
    variant: usize,
    (strict, records): (bool, bool),
    (limits, spool): (Limits, SpoolRules),
    (spellings, numberless): (&[Spelling], &[bool]),
) -> Arc<Snapshot> {
    let accounts = CUSTOMERS.iter().map(|scene| Account {
        unknown_outcome: scene.policy,
        unknown_status: scene.unknown_status,
        numbers: numbers_of(scene),
        mode: scene.mode,
        reassemble: scene.reassemble,
        rate: scene.rate,
        burst: 10,
        ..Account::new(scene.name)
    });
    let rules = spellings.iter().zip(numberless);
    let vendors = VENDORS.iter().zip(rules).filter(|(name, _)| is_there(variant, name)).map(
        |(name, (spelling, numberless))| Vendor {
            rate_per_bind: if *name == "south" { 200 } else { 0 },
            throttle_pause: Duration::from_millis(30),
            id_rule: spelling.rule(),
            receipts_without_number: *numberless,
            ..Vendor::new(name)
        },
    );
    let input = SnapshotInput {
        version: variant as u64,
        accounts: accounts.collect(),
        vendors: vendors.collect(),
        routes: routes(variant),
        limits,
        // On the scale of a story, so that circuits open, close and let shares shrink in it.
        circuits: CircuitRules {
            window: Duration::from_millis(80),
            open_for: Duration::from_millis(40),
            probes: 3,
            slow_after: Duration::from_millis(60),
            ramp_up: Duration::from_millis(100),
            ..CircuitRules::default()
        },
        correlate: if strict { Correlate::Strict } else { Correlate::Relaxed },
        records,
        keywords: keywords(),
        spool: Some(spool),
        ..SnapshotInput::default()
    };
    Arc::new(Snapshot::compile(input).expect("a scene without mistakes"))
}

/// Whether a configuration holds this vendor.
fn is_there(variant: usize, vendor: &str) -> bool {
    variant != WITHOUT_EAST || vendor != "east"
}

fn routes(variant: usize) -> Vec<Route> {
    let weighted = |name: &str, weight| WeightedVendor {
        vendor: VendorId::of_name(name.as_bytes()),
        weight,
        price: None,
    };
    let route = |prefix: &str, priority, vendors| Route {
        prefix: prefix.into(),
        account: None,
        priority,
        unknown_outcome: None,
        vendors,
        ..Route::default()
    };
    let renamed = |route: Route, strip: &str, add: &str| {
        let (destination_strip, destination_add) = (strip.into(), add.into());
        Route { rewrite: Rewrite { source: None, destination_strip, destination_add }, ..route }
    };
    let overridden = |prefix, priority, vendor, policy| Route {
        unknown_outcome: Some(policy),
        ..route(prefix, priority, vec![weighted(vendor, 1)])
    };
    let (first, second) = if variant == 1 { ("south", "north") } else { ("north", "south") };
    let all = [("north", 40), ("south", 40), ("east", 20)];
    let all = all.into_iter().filter(|(name, _)| is_there(variant, name));
    let all: Vec<_> = all.map(|(name, weight)| weighted(name, weight)).collect();
    vec![
        renamed(route("1", 10, all.clone()), "1", "001"),
        route("1202557", 10, all),
        route("2", 10, vec![weighted(first, 1)]),
        route("2", 20, vec![weighted(second, 1)]),
        route("3", 10, vec![weighted("north", 1)]),
        overridden("4", 10, first, UnknownOutcome::Fail),
        overridden("4", 20, second, UnknownOutcome::Fail),
        renamed(overridden("5", 10, first, UnknownOutcome::RetryOther), "5", ""),
        overridden("5", 20, second, UnknownOutcome::RetryOther),
    ]
}

fn numbers_of(scene: &CustomerScene) -> Vec<Box<str>> {
    let shared = (scene.name == CUSTOMERS[UMBRELLA].name).then_some(UMBRELLAS);
    [scene.number].into_iter().chain(shared).map(Into::into).collect()
}

fn keywords() -> Vec<KeywordRule> {
    let rules = SHARED.iter().filter(|scene| !NO_KEYWORDS.contains(&scene.keyword));
    let rule = |scene: &SharedScene| {
        let owner = CUSTOMERS[scene.owner?].name;
        let account = AccountId::of_name(owner.as_bytes());
        Some(KeywordRule { number: scene.number.into(), keyword: scene.keyword.into(), account })
    };
    rules.filter_map(rule).collect()
}
