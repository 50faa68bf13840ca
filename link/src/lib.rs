//! An SMPP session on a real connection, shared by the gateway, sim-smsc and loadgen.
//!
//! One [`Hub`] per shard thread owns the connections of that thread:
//!
//! ```text
//!   socket ──readable──▶ reader task ─bytes─▶ Session (pure) ─Event─▶ App::on_event
//!      ▲                  (one a link)                                  │ Links::request / respond
//!      └───one write a turn◀── flusher task ◀──"touched"── outbox ◀─────┘
//! ```
//!
//! What it guarantees:
//!
//! * PDUs are parsed in place in one receive buffer that all links of the thread share; a link keeps only the
//!   tail of a PDU that is not complete yet. Send buffers are lent while there is something to send.
//! * Every link that was touched in a turn is written once, after all that was ready has been handled: many
//!   PDUs per receive and per send.
//! * [`App::on_closed`] comes exactly once per link and tells which requests were certainly not sent.
//! * A panic while a link's bytes are handled ends that link only, and is counted.
//! * Nothing grows without bound: links, outboxes, lent buffers each have a named maximum.
#![forbid(unsafe_code)]

pub mod accept;
mod app;
pub mod backoff;
mod bell;
mod counters;
mod entry;
mod feed;
mod hub;
pub mod limits;
mod links;
mod tls;

pub use app::{App, CloseReason, Closed, LinkId};
pub use bell::Bell;
pub use counters::Counters;
pub use hub::{Hub, HubOptions};
pub use links::Links;
pub use smpp::session::{Event, SessionConfig};
pub use tls::{Received, Tls, TlsClient, TlsFailure, TlsServer, TlsTrust, TlsUnusable};

/// Why something could not be handed to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// As many requests are unanswered as the window allows.
    WindowFull,
    /// The session is not in a state in which this may be sent.
    NotBound,
    /// The link is gone, or is being closed.
    Closed,
    /// The peer does not read: [`limits::OUTBOX_MAX`] octets wait already.
    OutboxFull,
    /// The bytes are not one whole PDU.
    Malformed,
}

impl From<smpp::session::SendError> for SendError {
    fn from(error: smpp::session::SendError) -> Self {
        match error {
            smpp::session::SendError::WindowFull => SendError::WindowFull,
            smpp::session::SendError::Illegal => SendError::NotBound,
            smpp::session::SendError::Malformed => SendError::Malformed,
        }
    }
}
