//! What can go wrong, one name for each kind. A story is prone to a random half of them, so that each also appears
//! without the others; all are counted.

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $kind:ident $name:literal,)*) => {
        /// A kind of misfortune.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Fault { $($(#[doc = $doc])* $kind,)* }

        impl Fault {
            /// All kinds.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$kind),*];

            /// The word for reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

faults! {
    /// A vendor's connection breaks: requests that the kernel took whole are of unknown outcome, others are unsent.
    CutVendor "cut-vendor",
    /// A customer's connection breaks.
    CutCustomer "cut-customer",
    /// A vendor's connection stands and nothing passes, until a timer of ours ends it.
    HalfOpenVendor "half-open-vendor",
    /// A customer's connection stands and nothing passes.
    HalfOpenCustomer "half-open-customer",
    /// A connection takes many times longer.
    SlowLink "slow-link",
    /// Nothing passes towards the peer for a while.
    CloggedOut "clogged-out",
    /// Nothing passes from the peer for a while.
    CloggedIn "clogged-in",
    /// Some connections stop one by one, and go on in another order.
    Swizzle "swizzle",
    /// A link refuses to send.
    LinkRefuses "link-refuses",
    /// Answers overtake one another.
    AnswerReordered "answer-reordered",
    /// An answer comes twice.
    AnswerTwice "answer-twice",
    /// An answer comes after its timer.
    AnswerLate "answer-late",
    /// An answer to a request that was never made on its link.
    AnswerToNothing "answer-to-nothing",
    /// An answer never comes; the vendor may have the message.
    AnswerMissing "answer-missing",
    /// A vendor takes everything and answers nothing for a while.
    VendorSilent "vendor-silent",
    /// A vendor dies after it answered, and is away for a while.
    VendorDies "vendor-dies",
    /// A vendor answers everything with ESME_RTHROTTLED for a while.
    VendorThrottles "vendor-throttles",
    /// A vendor says no for now.
    VendorBusy "vendor-busy",
    /// A vendor gives an id that it gave to another message.
    IdGivenTwice "id-given-twice",
    /// A receipt comes before the answer that names its id.
    ReceiptEarly "receipt-early",
    /// A receipt comes twice.
    ReceiptTwice "receipt-twice",
    /// A receipt comes on another bind of the node.
    ReceiptElsewhere "receipt-on-another-bind",
    /// A receipt comes on another node.
    ReceiptOtherNode "receipt-on-another-node",
    /// A receipt spells the id in another way than the answer.
    ReceiptRecoded "receipt-recoded",
    /// A customer says no for now to a delivery.
    CustomerBusy "customer-busy",
    /// A closed link does not name a delivery that was on it.
    ListMisses "list-misses",
    /// A customer refuses every delivery for minutes.
    CustomerRefuses "customer-refuses",
    /// A customer does not answer a delivery.
    CustomerSilent "customer-silent",
    /// A customer answers twice.
    CustomerTwice "customer-answers-twice",
    /// A store does nothing for a while, then all of it.
    StoreStalls "store-stalls",
    /// A store says that it is away.
    StoreAway "store-away",
    /// A store has no room to park.
    StoreFull "store-full",
    /// A store forgets what it did in its last milliseconds.
    StoreLosesTail "store-loses-tail",
    /// A store forgets everything.
    StoreLosesAll "store-loses-all",
    /// A node's store says that it can keep no more correlations, and later that it can.
    StoreNoRoom "store-no-room",
    /// A word that something was parked on another node is lost.
    HintLost "hint-lost",
    /// A spool syncs much later.
    SpoolStalls "spool-stalls",
    /// A spool has no room.
    SpoolFull "spool-full",
    /// A spool fails, until its node starts again.
    SpoolAway "spool-away",
    /// A crash takes what a spool had not synced.
    SpoolLosesTail "spool-loses-tail",
    /// A part of an MO comes to another node than the others.
    PartElsewhere "part-on-another-node",
    /// A part of an MO comes twice.
    PartTwice "part-twice",
    /// A part of an MO never comes.
    PartMissing "part-missing",
    /// All relays of a node end between two outputs.
    NodeCrash "node-crash",
    /// One shard of a node ends.
    ShardGone "shard-gone",
    /// Another configuration.
    ConfigurationSwap "configuration-swap",
    /// The wall clock of a node jumps.
    WallJump "wall-clock-jump",
    /// A node is told to drain, ends and comes back.
    Drain "drain",
    /// A mailbox between two shards is full.
    MailRefused "mail-refused",
}

/// How often each kind happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults([u64; Fault::ALL.len()]);

impl Default for Faults {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Faults {
    pub(crate) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }

    /// How often this kind happened.
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// How often anything happened.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The kinds that a story is prone to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proneness(pub(crate) u64);

const _: () = assert!(Fault::ALL.len() <= 64);

impl Proneness {
    pub(crate) fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u32) != 0
    }
}
