//! What control and a shard say to each other. (SMPP already owns the word command.)

use crate::options::Plan;
use link::LinkId;
use relay::AccountId;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

/// All that control may ask of a shard.
#[derive(Debug)]
pub enum Directive {
    /// Use this configuration from now on.
    Publish(Arc<Plan>),
    /// The answer to a [`BindQuestion`].
    Bind(BindAnswer),
    /// Take no new messages, answer what is in flight, unbind, end.
    Drain,
}

/// All that a shard tells control.
#[derive(Debug)]
pub enum Notice {
    /// May this bind stand?
    Bind(BindQuestion),
    /// Everything is answered and unbound; the shard ends.
    Drained,
}

/// Names one bind that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The link that waits.
    pub link: LinkId,
    /// The sequence number of its bind.
    pub sequence: u32,
}

/// Whether a password is right is not decided on a shard: hashing takes milliseconds.
pub struct BindQuestion {
    /// To be given back.
    pub ticket: Ticket,
    /// The account that the system_id named.
    pub account: AccountId,
    /// What it binds with.
    pub system_id: Box<[u8]>,
    /// Its proof.
    pub password: Box<[u8]>,
    /// Whence it came.
    pub peer: SocketAddr,
    /// Dead once nobody waits for the answer: the link is gone, or the bind was refused.
    pub waits: Weak<()>,
}

impl std::fmt::Debug for BindQuestion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BindQuestion")
            .field("ticket", &self.ticket)
            .field("system_id", &self.system_id.escape_ascii().to_string())
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// Whether a bind may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindAnswer {
    /// The password is right.
    Right(Ticket),
    /// It is wrong.
    Wrong(Ticket),
    /// Nobody could tell in time: too many binds wait. The peer may try again.
    Busy(Ticket),
}
