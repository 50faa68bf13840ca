//! What must hold at all times, and how a breach is told.

use core::fmt;

/// What must hold of every story.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invariant {
    /// Every submit on a session that survives gets exactly one answer, within the deadline.
    OneAnswer,
    /// Status 0 to a customer means that a vendor accepted the message.
    AcceptedMeansTaken,
    /// A second copy only where the policy allows one, within its bound, and only after an unknown outcome; in store and
    /// forward also after a crash (SF4).
    Copies,
    /// A definite no means that no vendor accepted a copy.
    NoMeansNo,
    /// A receipt or MO never reaches a customer that does not own it, and carries the id that was given.
    Owner,
    /// Every receipt and MO reaches its customer while the store kept its data; a vendor is only acknowledged when
    /// that is certain; in a story without faults exactly once.
    Delivered,
    /// The relay's counters are the world's own counts, and of every submit there is one record that tells its end.
    Counted,
    /// Order is kept from a customer's session to a vendor's link.
    Order,
    /// What is open stays within the limits, and nothing is left at the end.
    Bounded,
    /// MO and receipts of messages with a priority go before others where they were parked.
    Urgent,
    /// The parts of one message go to one vendor.
    Together,
    /// In store and forward: status 0 means that a crash would keep the message.
    Durable,
    /// In store and forward: what was acknowledged reaches a vendor, or its customer is told that none took it.
    Brought,
    /// In store and forward: what the gateway's own receipts say is so.
    Told,
}

impl Invariant {
    /// Its number in the list of guarantees.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneAnswer => "I1 one answer",
            Self::AcceptedMeansTaken => "I2 accepted means taken",
            Self::Copies => "I3 copies",
            Self::NoMeansNo => "I4 no means no",
            Self::Owner => "I5 owner",
            Self::Delivered => "I6 delivered",
            Self::Counted => "I7 counted",
            Self::Order => "I8 order",
            Self::Bounded => "I9 bounded",
            Self::Urgent => "I10 urgent first",
            Self::Together => "I11 parts together",
            Self::Durable => "SF1 durable",
            Self::Brought => "SF2 brought",
            Self::Told => "SF3 told",
        }
    }
}

/// A story that broke an invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Tells the story again.
    pub seed: u64,
    /// What was broken, or where a program panicked.
    pub what: String,
    /// What happened last, oldest first: time, event, two numbers.
    pub events: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            writeln!(f, "{event}")?;
        }
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

/// Ends the story when it is not so.
macro_rules! must {
    ($held:expr, $invariant:ident, $($what:tt)+) => {
        if !$held {
            panic!("{}: {}", $crate::invariant::Invariant::$invariant.name(), format_args!($($what)+));
        }
    };
}
pub(crate) use must;
