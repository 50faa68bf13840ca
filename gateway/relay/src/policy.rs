//! The choices of operators about customers, vendors and receipts, as the relay's code names them.

use core::time::Duration;
use smpp::field::{CommandStatus, StatusClass};
use smpp::tlv::Tag;

/// When a customer's message is acknowledged, and what the gateway owes it from then on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// With the vendor's verdict; nothing is owed after it.
    #[default]
    Relay,
    /// Once the spool has it. Until its validity ends it is brought to a vendor, or its customer is told.
    StoreAndForward,
}

/// Default of [`SpoolRules::unknown_copies_max`]: a link that is lost twice in a row is bad luck, three times rarely is,
/// and each further copy may be one more message on a handset.
const UNKNOWN_COPIES_MAX: u8 = 2;

/// How the spool's messages are treated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpoolRules {
    /// Validity of a message that names none; at most 7 days.
    pub validity: Duration,
    /// First pause after a failed round; doubles with each.
    pub retry_first: Duration,
    /// Longest pause, before the quarter that is left to chance.
    pub retry_max: Duration,
    /// Copies of one message that may follow copies of unknown outcome.
    pub unknown_copies_max: u8,
}

impl Default for SpoolRules {
    fn default() -> Self {
        Self {
            validity: Duration::from_secs(24 * 3600),
            retry_first: Duration::from_secs(5),
            retry_max: Duration::from_secs(300),
            unknown_copies_max: UNKNOWN_COPIES_MAX,
        }
    }
}

/// What to do with a written message whose link was lost or whose answer did not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UnknownOutcome {
    /// Tell the customer so, with one distinct status. Never a second copy.
    #[default]
    Fail,
    /// Send another copy to another vendor, within the bound of attempts.
    RetryOther,
}

/// How a message that a customer submits again is recognised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Deduplicate {
    /// Not at all: every submit is a new message.
    #[default]
    Off,
    /// By the value of this TLV; a message without it is a new one.
    Tlv(Tag),
    /// By source, destination, esm_class, data_coding and body, the numbers of a segment included.
    Content,
}

/// What one status of a vendor means here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ErrorRule {
    /// The vendor's status; not ESME_ROK.
    pub status: CommandStatus,
    /// What the customer is told instead; not ESME_ROK. The status itself where it is left out.
    pub to: Option<CommandStatus>,
    /// What follows from it; what its class says where it is left out.
    pub class: Option<StatusClass>,
}

/// Whether receipts can be matched, and what a customer waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Correlate {
    /// No store: receipts are acknowledged, counted and dropped; MO reaches only customers who are bound.
    None,
    /// The customer is answered after its correlation is kept.
    #[default]
    Strict,
    /// The customer is answered at once; a crash may lose the correlations of a few milliseconds.
    Relaxed,
}
