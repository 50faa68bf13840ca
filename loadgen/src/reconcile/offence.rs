//! What can be wrong, each with its one name.

use std::collections::BTreeMap;

use ledger::MessageKey;

/// A class of offences. One cause is of one class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Answered with status 0, accepted by no site.
    Lost,
    /// Accepted more often than sent, and no excuse.
    Duplicated,
    /// Accepted with another field than sent.
    Altered,
    /// The site saw another registered_delivery than was sent.
    ReceiptRequestAltered,
    /// Accepted, never sent.
    Phantom,
    /// Answered with an error, accepted by a site.
    RefusedButAccepted,
    /// A second answer to one submit_sm.
    AnsweredTwice,
    /// An answer to a submit_sm that was never sent.
    UnknownAnswer,
    /// Not answered on a session that lived, or that the target unbound in order.
    Unanswered,
    /// Accepted in another order than sent.
    OutOfOrder,
    /// Parts of one message at several sites, or out of order.
    Split,
    /// Accepted by another site than the mix expects.
    WrongSite,
    /// More than a site allows.
    OverLimit,
    /// Excused more often than the criteria tolerate.
    ExcusedTooOften,
    /// Acknowledged to the site, never received by the account.
    LostReceipt,
    /// Sent by the site, never acknowledged, never received.
    UntakenReceipt,
    /// Asked for, none came; only without simulators' ledgers.
    MissingReceipt,
    /// Received by another account than the message's.
    MisroutedReceipt,
    /// A field differs from what the site sent.
    AlteredReceipt,
    /// Names one message, is another's.
    SwappedReceipt,
    /// Received more often than sent, and no excuse.
    DuplicatedReceipt,
    /// For an id that no answer named.
    UnknownReceipt,
    /// Acknowledged to the site, never received.
    LostMo,
    /// Sent by the site on a session that lived, never answered.
    UntakenMo,
    /// Received more often than sent, and no excuse.
    DuplicatedMo,
    /// Its number belongs to another account.
    MisroutedMo,
    /// Received with another field than sent.
    AlteredMo,
    /// Received, never sent.
    UnknownMo,
}

impl Class {
    /// All of them, in the order of reports.
    pub const ALL: [Class; 28] = [
        Class::Lost,
        Class::Duplicated,
        Class::Altered,
        Class::ReceiptRequestAltered,
        Class::Phantom,
        Class::RefusedButAccepted,
        Class::AnsweredTwice,
        Class::UnknownAnswer,
        Class::Unanswered,
        Class::OutOfOrder,
        Class::Split,
        Class::WrongSite,
        Class::OverLimit,
        Class::ExcusedTooOften,
        Class::LostReceipt,
        Class::UntakenReceipt,
        Class::MissingReceipt,
        Class::MisroutedReceipt,
        Class::AlteredReceipt,
        Class::SwappedReceipt,
        Class::DuplicatedReceipt,
        Class::UnknownReceipt,
        Class::LostMo,
        Class::UntakenMo,
        Class::DuplicatedMo,
        Class::MisroutedMo,
        Class::AlteredMo,
        Class::UnknownMo,
    ];

    /// As reports, JSON and tests call it.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Lost => "lost",
            Class::Duplicated => "duplicated",
            Class::Altered => "altered",
            Class::ReceiptRequestAltered => "receipt request altered",
            Class::Phantom => "phantom",
            Class::RefusedButAccepted => "refused but accepted",
            Class::AnsweredTwice => "answered twice",
            Class::UnknownAnswer => "unknown answers",
            Class::Unanswered => "unanswered",
            Class::OutOfOrder => "out of order",
            Class::Split => "split",
            Class::WrongSite => "wrong site",
            Class::OverLimit => "over limit",
            Class::ExcusedTooOften => "excused too often",
            Class::LostReceipt => "lost receipts",
            Class::UntakenReceipt => "untaken receipts",
            Class::MissingReceipt => "missing receipts",
            Class::MisroutedReceipt => "misrouted receipts",
            Class::AlteredReceipt => "altered receipts",
            Class::SwappedReceipt => "swapped receipts",
            Class::DuplicatedReceipt => "duplicated receipts",
            Class::UnknownReceipt => "unknown receipts",
            Class::LostMo => "lost MO",
            Class::UntakenMo => "untaken MO",
            Class::DuplicatedMo => "duplicated MO",
            Class::MisroutedMo => "misrouted MO",
            Class::AlteredMo => "altered MO",
            Class::UnknownMo => "unknown MO",
        }
    }

    /// As thresholds call it, after `total.`.
    pub fn metric(self) -> String {
        self.name().replace(' ', "_")
    }
}

/// One offence.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) class: Class,
    pub(super) key: Option<MessageKey>,
    pub(super) time_ns: u64,
    /// The site it happened at, where it is known.
    pub(super) site: Option<u16>,
    pub(super) text: String,
}

/// All offences: the first of each class by name, the rest counted.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) counts: BTreeMap<Class, u64>,
    pub(super) named: BTreeMap<Class, Vec<Finding>>,
    /// Times of all, for the grouping by cause; bounded by [`TIMES_MAX`] a class.
    pub(super) times: BTreeMap<Class, Vec<u64>>,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        *self.counts.entry(finding.class).or_default() += 1;
        let times = self.times.entry(finding.class).or_default();
        if times.len() < TIMES_MAX {
            times.push(finding.time_ns);
        }
        let named = self.named.entry(finding.class).or_default();
        if named.len() < OFFENDERS_MAX {
            named.push(finding);
        }
    }

    pub(super) fn count(&self, class: Class) -> u64 {
        self.counts.get(&class).copied().unwrap_or(0)
    }
}

/// Offenders named in each class; the rest is counted.
const OFFENDERS_MAX: usize = 20;

/// Times kept of each class, 8 octets each.
const TIMES_MAX: usize = 100_000;
