//! What a run promises, as its scenario says; it travels in the head of loadgen's ledger.

use ledger::ReceiptField;
use serde::{Deserialize, Serialize};

/// What is held against the target, and what is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// command_status by which the target says that it cannot know what became of a message.
    pub unknown_status: u32,
    /// Fields of a receipt that the target may rewrite, by [`ReceiptField::name`]. The id it may always rewrite.
    pub rewrites: Vec<String>,
    /// Messages of one loadgen session arrive in order on each session of a site.
    pub order: bool,
    /// All parts of a long message are accepted by one site, in order.
    pub parts_at_one_site: bool,
    /// Where the messages of each mix must be accepted; empty = anywhere.
    pub expect_sites: Vec<String>,
    /// What each site allows.
    pub limits: Vec<Limit>,
    /// The run waited until all receipts were there, so what is missing is missing.
    pub drained: bool,
    /// Excused duplicates that are tolerated; none: 1 % of the messages sent, at least 1,000.
    pub excused_max: Option<u64>,
    /// Copies of receipts that are tolerated beyond those excused.
    pub duplicate_receipts_max: u64,
    /// A simulator whose loop stood still for longer spoils the run; nanoseconds.
    pub stall_max_ns: u64,
}

/// What a site allows one of its accounts or binds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limit {
    /// The site.
    pub site: String,
    /// Of each bind, not of each account.
    pub per_bind: bool,
    /// Submits a second; 0 = any.
    pub rate: f64,
    /// Submits that may come at once beyond the rate.
    pub burst: f64,
    /// Unanswered submits of one bind; 0 = any.
    pub window: u32,
    /// Binds of an account at once; 0 = any.
    pub binds: u32,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            unknown_status: UNKNOWN_STATUS,
            rewrites: Vec::new(),
            order: false,
            parts_at_one_site: false,
            expect_sites: Vec::new(),
            limits: Vec::new(),
            drained: true,
            excused_max: None,
            duplicate_receipts_max: 0,
            stall_max_ns: STALL_MAX_NS,
        }
    }
}

impl Rules {
    /// Bits by [`ReceiptField`] that are not compared.
    pub(super) fn ignored_fields(&self) -> u16 {
        let named = |field: &&ReceiptField| self.rewrites.iter().any(|name| name == field.name());
        ReceiptField::ALL.iter().filter(named).fold(0, |bits, field| bits | 1 << *field as u16)
    }

    pub(super) fn excused_max(&self, sent: u64) -> u64 {
        self.excused_max.unwrap_or((sent / 100).max(EXCUSED_MIN))
    }
}

/// ESME_RUNKNOWNERR (SMPP 3.4 §5.1.3).
const UNKNOWN_STATUS: u32 = 0xFF;

/// A second: longer than any response time that a scenario is likely to judge by.
pub(crate) const STALL_MAX_NS: u64 = 1_000_000_000;

/// A few full windows: what one broken site with some binds leaves in doubt.
const EXCUSED_MIN: u64 = 1_000;
