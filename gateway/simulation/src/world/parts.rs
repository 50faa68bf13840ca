//! MO to numbers that customers share, some of several parts: how they are made, and whose each part may be.

use super::World;
use super::event::Event;
use crate::fault::Fault;
use crate::invariant::must;
use crate::ledger::{Content, MoMessage};
use crate::scene::*;
use crate::wire::{self, Cut};
use bytes::BytesMut;
use core::ops::Range;
use relay::LinkKey;
use smpp::field::ReceiptWanted;

impl World {
    /// A handset sends to a number by keyword, or a message that it had to cut.
    pub(super) fn mo_in_parts(&mut self) {
        let at = self.random.below(SHARED.len() as u64) as usize;
        let vendor = self.random.below(VENDORS.len() as u64) as usize;
        let total = 1 + self.random.below(3) as u8;
        let node = self.random.below(self.nodes.len() as u64) as usize;
        let missing = if total > 1 && self.strikes(Fault::PartMissing, 10) {
            1 + self.random.below(total.into()) as u8
        } else {
            0
        };
        let (message, first) = (self.ledger.messages.len() as u32, self.ledger.upwards.len() as u32);
        let sent = u32::from(total) - u32::from(missing > 0);
        let shared = &SHARED[at];
        let in_tlvs = self.random.percent(30);
        self.ledger.messages.push(MoMessage { shared, first, sent, total, missing, node, in_tlvs });
        for _ in 0..sent {
            let upward = self.new_upward(vendor, Content::Part { message });
            self.story.messages += 1;
            let wait = self.random.below(40_000);
            self.later(wait, Event::Emit { upward });
            if self.strikes(Fault::PartTwice, 10) {
                let again = wait + self.random.below(60_000);
                self.later(again, Event::Emit { upward });
            }
        }
    }

    /// The bind for a part: those of one message go to one node, but for a misfortune.
    pub(super) fn bind_for_part(&mut self, message: u32, all: &[LinkKey]) -> Option<LinkKey> {
        let node = self.ledger.messages[message as usize].node;
        let here: Vec<LinkKey> = all.iter().copied().filter(|link| self.link(*link).node == node).collect();
        if here.is_empty() || (here.len() < all.len() && self.strikes(Fault::PartElsewhere, 20)) {
            return self.random.pick(all);
        }
        self.random.pick(&here)
    }

    /// A shard that is gone would gather what comes to its node: for as long as the node goes on without it, vendors keep
    /// some of their parts.
    pub(super) fn misses_parts(&self, node: usize) -> bool {
        self.shards_of(node).any(|shard| self.shards[shard].relay.is_none())
            && self
                .ledger
                .upwards
                .iter()
                .any(|upward| !upward.acknowledged && matches!(upward.content, Content::Part { .. }))
    }

    pub(super) fn part_pdu(&self, upward: u32, message: u32, sequence: u32) -> BytesMut {
        let MoMessage { shared, total, in_tlvs, .. } = self.ledger.messages[message as usize];
        let number = self.ledger.messages[message as usize].number_of(upward);
        let cut = Cut { number, total, reference: message as u8, in_tlvs };
        wire::part(upward, shared.number.as_bytes(), shared.keyword, cut, sequence)
    }

    /// What goes to, or is parked for, a customer is its own; several parts at once are a whole message of one who wants
    /// its messages so.
    pub(super) fn check_owner(&self, account: usize, upwards: &Range<u32>) {
        let first = &self.ledger.upwards[upwards.start as usize];
        let owner = self.ledger.owner(first.content);
        if let Content::Part { message } = first.content {
            let message = &self.ledger.messages[message as usize];
            let is_default = message.shared.default == Some(account) && !self.plan.faultless;
            must!(
                owner == Some(account) || is_default,
                Owner,
                "part {} goes to another customer",
                upwards.start
            );
            if upwards.len() > 1 {
                let is_whole =
                    message.missing == 0 && *upwards == (message.first..message.first + message.sent);
                must!(is_whole, Delivered, "{upwards:?} is no whole of {message:?}");
                must!(
                    CUSTOMERS[account].reassemble,
                    Delivered,
                    "{upwards:?} is joined for one who wants parts"
                );
            }
            return;
        }
        must!(upwards.len() == 1, Delivered, "{upwards:?} in one delivery");
        must!(owner == Some(account), Owner, "upward {} goes to another customer", upwards.start);
        must!(!self.is_unasked(first.content), Owner, "upward {} was not asked for", upwards.start);
    }

    /// A receipt for which its customer did not ask.
    pub(super) fn is_unasked(&self, content: Content) -> bool {
        let Content::Receipt { copy, is_final } = content else { return false };
        let registered = wire::registered(self.ledger.copies[copy as usize].submit, true);
        match is_final {
            true => registered.receipt() == ReceiptWanted::OnFailure, // all that end are delivered
            false => !registered.wants_intermediate(),
        }
    }
}
