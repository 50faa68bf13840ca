//! What a test message is called and what became of it, written down.
//!
//! Every message `loadgen` sends and every mobile-originated message `sim-smsc` sends begins with a
//! [`MessageKey`] in its text. Both programs write a ledger: a file of fixed-size [`Record`]s, one for each
//! thing that happened to a message. Joining the ledgers of both sides (`loadgen reconcile`) tells exactly
//! which message was lost, duplicated, misrouted or altered on the way between them.
//!
//! ```text
//! loadgen ledger:   Sent, Answered, Unanswered, Abandoned, Withdrawn, AnsweredAgain, ReceiptReceived, MoReceived
//! sim-smsc ledger:  Accepted, Refused, LostResponse, ReceiptSent, ReceiptAcked, ReceiptDropped, MoSent, MoAcked, Fault
//! both:             LinkUp, LinkDown, Stall, Mark, End
//! ```
//!
//! Guarantees: a key survives every coding the two programs use and is told from accidental text by a 32-bit
//! check; a ledger that was cut off (by `kill -9`, by a full disk) reads up to its last whole record; nothing
//! here panics on the content of a file or of a message.

#![forbid(unsafe_code)]

mod digest;
mod file;
mod fingerprint;
mod key;
mod record;

pub use digest::{ReceiptDigest, ReceiptField, addresses, addresses_of, handset_of, sender_of};
pub use file::{LedgerError, Meta, Reader, Tail, Writer};
pub use fingerprint::{fingerprint, fingerprint_mo, id_hash};
pub use key::{MessageKey, draw_instance};
pub use record::{Kind, Record};
