//! What the relay asks of the spool, and the spool's answers. The spool is the durable log of messages that were
//! acknowledged and are not settled yet; how and where is its own affair.
//!
//! What the relay relies on:
//! * Operations of one relay take effect in the order given.
//! * `Accept`, `Sending` and `Due` get exactly one answer each, or none when the spool died; the others none.
//! * `Accepted` with `Ok` is answered only when the message survives a power cut. It is then lent to the asking shard, as
//!   is what `Due` hands out, until its `Settle` or `Defer`; a lent message is handed to nobody else.
//! * After a restart every message that was not settled is handed out again, in the order of acceptance, and with what its
//!   last `Defer` said but for the number of tries; after a power cut maybe without the latter.
//! * A message is never dropped but by `Settle`.

use crate::message::{AccountId, MessageKey};
use core::time::Duration;
use smpp::field::{CommandStatus, MessageState};
use smpp::text::message_id::GatewayId;

/// Defers a message until its validity ends, whatever vendor comes back. Another life of the spool hands it out at once all
/// the same.
pub const UNTIL_ITS_END: Duration = Duration::MAX;

/// What became of a spooled message for good, when no vendor took it: what a receipt of ours says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fate {
    /// Its final state.
    pub state: MessageState,
    /// The last status that a vendor, or we, had for it.
    pub status: CommandStatus,
}

/// What the relay asks. `pdu` buffers come back in the answer, so that they can be used again.
#[derive(Debug, PartialEq, Eq)]
pub enum SpoolOp {
    /// Keep a message for good; answered by `Accepted`.
    Accept {
        /// Whose customer waits for the answer.
        message: MessageKey,
        /// Our id; the spool's name for it.
        gateway_id: GatewayId,
        /// Who owns it.
        account: AccountId,
        /// When it came, seconds since 1970 UTC.
        accepted_at: u32,
        /// When its validity ends, in the same seconds.
        expires_at: u32,
        /// The whole PDU as the customer sent it.
        pdu: Vec<u8>,
    },
    /// A vendor has it, or the customer was told that none has: drop it. No answer.
    Settle {
        /// Which.
        gateway_id: GatewayId,
    },
    /// A copy is about to go, and no other may follow it where its outcome stays unknown; answered by `Noted`. Until the
    /// message is settled or deferred, `unknown_copies` counts this one too.
    Sending {
        /// Which of the asking shard's messages.
        message: MessageKey,
        /// Which.
        gateway_id: GatewayId,
        /// Copies of unknown outcome before this one.
        unknown_copies: u8,
    },
    /// Not now: hand it out again after a while, or when its validity ends if that is sooner. No answer.
    Defer {
        /// Which.
        gateway_id: GatewayId,
        /// The while; [`UNTIL_ITS_END`] for a message that is not to be tried again.
        after: Duration,
        /// Times it was deferred, this one included.
        tries: u16,
        /// Copies of unknown outcome so far: vendors may have them.
        unknown_copies: u8,
        /// Decided, and only its receipt is owed: its validity does not count any more.
        fate: Option<Fate>,
    },
    /// Hand out what is due, the longest due first; answered by `Due`.
    Due {
        /// At most so many.
        count_max: u32,
    },
    /// A vendor is back: all that is deferred is due now, but for what waits for its end. No answer.
    Hasten,
}

impl SpoolOp {
    /// The answer when there is no spool that works; none where none is waited for.
    pub fn away(self) -> Option<SpoolAnswer> {
        match self {
            Self::Accept { message, gateway_id, pdu, .. } => {
                Some(SpoolAnswer::Accepted { message, gateway_id, outcome: Err(SpoolOutage::Away), pdu })
            }
            Self::Sending { message, gateway_id, .. } => {
                Some(SpoolAnswer::Noted { message, gateway_id, outcome: Err(SpoolOutage::Away) })
            }
            Self::Due { .. } => Some(SpoolAnswer::Due { unix_seconds: 0, entries: Vec::new(), more: false }),
            Self::Settle { .. } | Self::Defer { .. } | Self::Hasten => None,
        }
    }
}

/// Why the spool could not keep a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpoolOutage {
    /// It holds as many messages, or octets, as it may.
    Full,
    /// It does not work now.
    Away,
}

/// One message, handed out.
#[derive(Debug, PartialEq, Eq)]
pub struct SpoolEntry {
    /// Its name.
    pub gateway_id: GatewayId,
    /// Who owns it.
    pub account: AccountId,
    /// When it came, seconds since 1970 UTC.
    pub accepted_at: u32,
    /// What is left of its validity; zero when that is over.
    pub left: Duration,
    /// Times it was deferred since the spool was opened.
    pub tries: u16,
    /// Copies of unknown outcome so far: vendors may have them.
    pub unknown_copies: u8,
    /// No copy may follow the last of them.
    pub is_last: bool,
    /// Only its receipt is owed.
    pub fate: Option<Fate>,
    /// The whole PDU as the customer sent it.
    pub pdu: Vec<u8>,
}

/// What the spool answers.
#[derive(Debug, PartialEq, Eq)]
pub enum SpoolAnswer {
    /// Answers `Accept`.
    Accepted {
        /// As asked.
        message: MessageKey,
        /// As asked.
        gateway_id: GatewayId,
        /// Durable, or why not.
        outcome: Result<(), SpoolOutage>,
        /// The PDU as it was given.
        pdu: Vec<u8>,
    },
    /// Answers `Sending`.
    Noted {
        /// As asked.
        message: MessageKey,
        /// As asked.
        gateway_id: GatewayId,
        /// Written, so that it survives this process, and a power cut where that is configured; or why not.
        outcome: Result<(), SpoolOutage>,
    },
    /// Answers `Due`.
    Due {
        /// The wall clock, seconds since 1970 UTC; 0 when the spool is away.
        unix_seconds: u32,
        /// The longest due first.
        entries: Vec<SpoolEntry>,
        /// True when more is due.
        more: bool,
    },
}
