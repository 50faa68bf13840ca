//! What the world knows of every message: the exact record that the invariants are judged by.

use crate::scene::{CUSTOMERS, DESTINATIONS, SharedScene, VENDORS};
use relay::{LinkKey, Mode, UnknownOutcome};
use smpp::field::CommandId;
use smpp::text::message_id::GatewayId;
use std::collections::BTreeMap;

/// No copy.
pub(crate) const NONE: u32 = u32::MAX;
/// Vendors count their ids from here: all from the same number, so that ids of different vendors meet.
pub(crate) const FIRST_ID: u64 = 0xABC_0000;

/// How a customer's request was answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Accepted,
    No,
    Unknown,
}

/// One request of a customer.
#[derive(Debug)]
pub(crate) struct Submit {
    pub(crate) account: usize,
    pub(crate) link: LinkKey,
    /// The relay that got it.
    pub(crate) shard: usize,
    /// The life of that relay.
    pub(crate) life: u32,
    /// Records that were made of it.
    pub(crate) records: u32,
    pub(crate) wants_receipt: bool,
    /// Names its source address.
    pub(crate) source: u64,
    /// Its source is the number of this customer instead.
    pub(crate) source_of: Option<usize>,
    /// In the scene's table.
    pub(crate) destination: usize,
    /// Names the handset within its destination.
    pub(crate) handset: u64,
    pub(crate) command: CommandId,
    /// The long message that it is a part of, in its table.
    pub(crate) long: Option<u32>,
    /// When the gateway got it.
    pub(crate) arrived: Option<u64>,
    pub(crate) session_lost: bool,
    pub(crate) verdict: Option<Verdict>,
    /// Our id, as first seen: in the answer, in a correlation, or in a receipt.
    pub(crate) gateway_id: Option<GatewayId>,
    pub(crate) last_copy: u32,
    pub(crate) copies_accepted: u32,
    /// Its priority is above 0: its receipts go before others.
    pub(crate) urgent: bool,
    /// It came while its relay was told that no receipt could be kept.
    pub(crate) no_room: bool,
    /// In store and forward: it was in a spool that was opened again.
    pub(crate) came_back: bool,
    /// The shard that had it is gone: what it, or another one for it, did last is not known.
    pub(crate) taken_back: bool,
    /// The spool handed it out after its validity.
    pub(crate) expired: bool,
    /// It has left the spool.
    pub(crate) settled: bool,
    /// The gateway's own receipt about it.
    pub(crate) own_receipt: u32,
}

/// A long message of a customer: its parts follow one another among the submits.
#[derive(Clone, Debug)]
pub(crate) struct Long {
    pub(crate) parts: core::ops::Range<u32>,
    pub(crate) reference: u8,
    /// Marked by TLVs, else by a header.
    pub(crate) in_tlvs: bool,
    /// What its relay had gone through when its first part came: its life, crashes of its node, configurations.
    pub(crate) before: Option<(u32, u32, u32)>,
    /// When one of its parts was last sent.
    pub(crate) sent_at: u64,
}

impl Submit {
    /// What its unknown outcomes are subject to: the route's policy, else the customer's.
    pub(crate) fn policy(&self) -> UnknownOutcome {
        DESTINATIONS[self.destination].1.unwrap_or(CUSTOMERS[self.account].policy)
    }

    pub(crate) fn mode(&self) -> Mode {
        CUSTOMERS[self.account].mode
    }

    /// More than one vendor may have it.
    pub(crate) fn may_repeat(&self) -> bool {
        self.policy() == UnknownOutcome::RetryOther
    }

    /// The digits of its source and destination.
    pub(crate) fn addresses(&self) -> (String, String) {
        let own = self.source_of.map(|owner| CUSTOMERS[owner].number.to_string());
        (own.unwrap_or_else(|| format!("1202{:07}", self.source)), self.handset_digits())
    }

    /// The digits of its destination.
    pub(crate) fn handset_digits(&self) -> String {
        format!("{}{:06}", DESTINATIONS[self.destination].0, self.handset)
    }
}

/// Where one copy stands, as far as the gateway can know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CopyState {
    InFlight,
    /// The link said that it never left.
    Unsent,
    Refused,
    Accepted,
    /// The link was lost or the timer ran out.
    Unknown,
}

/// One sending to a vendor.
#[derive(Debug)]
pub(crate) struct Copy {
    pub(crate) submit: u32,
    /// The copy before it of the same submit.
    pub(crate) previous: u32,
    pub(crate) vendor: usize,
    /// Where it went, as the vendor saw it.
    pub(crate) destination: Box<[u8]>,
    pub(crate) shard: usize,
    pub(crate) state: CopyState,
    /// It was refused for good.
    pub(crate) for_good: bool,
    /// How often its node had crashed.
    pub(crate) crashes: u32,
    /// How often its node's spool had lost what was not synced.
    pub(crate) cuts: u32,
    /// The vendor's number for it, once it accepted.
    pub(crate) id: u64,
    pub(crate) receipts_taken: u32,
    /// Where its correlation is, and since when.
    pub(crate) kept: Option<(usize, u64)>,
    /// The store lost its correlation.
    pub(crate) lost: bool,
    /// It went, by a word of a shard or with a receipt that nobody asked for.
    pub(crate) forgotten: bool,
    /// A final receipt was taken or parked: the correlation may go.
    pub(crate) served: bool,
}

/// What a vendor wants to get rid of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    Receipt {
        copy: u32,
        is_final: bool,
    },
    /// To this customer's number, or to nobody's.
    Mo(Option<usize>),
    /// One part of an MO, or all of it.
    Part {
        message: u32,
    },
    /// A receipt that the gateway wrote.
    Own {
        submit: u32,
    },
}

/// An MO to a number whose messages are gathered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MoMessage {
    pub(crate) shared: &'static SharedScene,
    /// Its parts in order, as upwards from this one on.
    pub(crate) first: u32,
    pub(crate) sent: u32,
    /// Parts that each of them speaks of.
    pub(crate) total: u8,
    /// The part that is never sent; 0 = all are.
    pub(crate) missing: u8,
    /// The node that its vendor sends it to.
    pub(crate) node: usize,
    /// Its parts are marked by TLVs, else by a header.
    pub(crate) in_tlvs: bool,
}

impl MoMessage {
    /// Which part this is, from 1.
    pub(crate) fn number_of(&self, upward: u32) -> u8 {
        let number = (upward - self.first) as u8 + 1;
        number + u8::from(self.missing > 0 && number >= self.missing)
    }
}

/// One receipt or MO.
#[derive(Debug)]
pub(crate) struct Upward {
    pub(crate) vendor: usize,
    pub(crate) content: Content,
    /// When a gateway first got it, and which node.
    pub(crate) first_seen: Option<(u64, usize)>,
    /// It went to a session before: what goes again may be a second try.
    pub(crate) was_offered: bool,
    /// Times a customer that refuses everything refused it while nobody bound any more.
    pub(crate) refusals: u32,
    /// The vendor was acknowledged.
    pub(crate) acknowledged: bool,
    /// It came back for good: too long, or nobody's.
    pub(crate) taken: u32,
    /// Stores that hold it for its customer.
    pub(crate) parked: u32,
    /// The store that keeps it as an orphan.
    pub(crate) orphan: Option<usize>,
    /// A store keeps it, or kept it, until its message comes.
    pub(crate) early: bool,
    /// A store lost it after it had said that it was kept.
    pub(crate) lost: bool,
}

/// One deliver_sm of a vendor; its index is its sequence number less one.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) upward: u32,
    pub(crate) link: LinkKey,
    pub(crate) arrived: u64,
    pub(crate) answered: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) submits: Vec<Submit>,
    pub(crate) copies: Vec<Copy>,
    pub(crate) longs: Vec<Long>,
    pub(crate) upwards: Vec<Upward>,
    pub(crate) sendings: Vec<Sending>,
    pub(crate) messages: Vec<MoMessage>,
    /// Messages that a spool kept, by their ids.
    pub(crate) spooled: BTreeMap<GatewayId, u32>,
    /// Copies by vendor and id; a vendor may give one to several.
    pub(crate) by_id: [Vec<Vec<u32>>; VENDORS.len()],
    /// All ids that were given, with their submits; sorted at the end.
    pub(crate) given: Vec<(GatewayId, u32)>,
}

impl Ledger {
    /// The copies of a submit, the last one first.
    pub(crate) fn copies_of(&self, submit: u32) -> impl Iterator<Item = &Copy> + '_ {
        let mut next = self.submits[submit as usize].last_copy;
        core::iter::from_fn(move || {
            let copy = self.copies.get(next as usize)?;
            next = copy.previous;
            Some(copy)
        })
    }

    /// The copies behind a vendor's number.
    pub(crate) fn copies_by_id(&self, vendor: usize, id: u64) -> &[u32] {
        let at = id.checked_sub(FIRST_ID);
        at.and_then(|at| self.by_id[vendor].get(at as usize)).map_or(&[], Vec::as_slice)
    }

    /// The customer that a receipt or MO belongs to.
    pub(crate) fn owner(&self, content: Content) -> Option<usize> {
        match content {
            Content::Receipt { copy, .. } => {
                Some(self.submits[self.copies[copy as usize].submit as usize].account)
            }
            Content::Mo(owner) => owner,
            Content::Part { message } => self.messages[message as usize].shared.owner,
            Content::Own { submit } => Some(self.submits[submit as usize].account),
        }
    }

    /// Whether it goes before others where it waits: MO, and what is about a message of priority.
    pub(crate) fn is_urgent(&self, content: Content) -> bool {
        match content {
            Content::Receipt { copy, .. } => self.submits[self.copies[copy as usize].submit as usize].urgent,
            Content::Own { submit } => self.submits[submit as usize].urgent,
            Content::Mo(_) | Content::Part { .. } => true,
        }
    }
}
