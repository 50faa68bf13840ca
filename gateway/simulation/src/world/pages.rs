//! What is urgent: how it is marked where it is parked, and that it goes first where it is handed out.

use super::World;
use super::node::Unparked;
use crate::invariant::must;
use crate::ledger::{Content, Sending};
use crate::scene::*;
use crate::wire;
use core::ops::Range;
use relay::{AccountId, ParkedEntry};
use smpp::text::message_id::GatewayId;

impl World {
    /// What shall be parked is marked as urgent where it is.
    pub(super) fn check_urgent(&mut self, shard: usize, urgent: bool, pdu: &[u8]) {
        if wire::content(pdu).is_some_and(|(text, _)| wire::numbers_in(text, b'u').is_none()) {
            self.meet_own_receipt(shard, pdu);
        }
        let Some(upwards) = self.upwards_in(pdu) else { return };
        let content = self.ledger.upwards[upwards.start as usize].content;
        let is_urgent = self.ledger.is_urgent(content);
        must!(urgent == is_urgent, Urgent, "upward {} is parked, urgent: {urgent}", upwards.start);
    }

    fn meet_own_receipt(&mut self, shard: usize, pdu: &[u8]) {
        let view = wire::content(pdu).and_then(|(_, receipt)| receipt);
        let id = view.and_then(|view| GatewayId::parse(view.id?.value));
        let state = view.and_then(|view| view.state);
        if let (Some(id), Some(state)) = (id, state) {
            self.own_receipt(shard, id, state.value);
        }
    }

    /// A page of what was parked: what is urgent in it shall go first.
    pub(super) fn note_page(&mut self, shard: usize, account: AccountId, entries: &[ParkedEntry]) {
        for entry in entries {
            let Some(upwards) = self.upwards_in(&entry.pdu) else { continue };
            let (upward, parked) = (upwards.start, entry.parked);
            let urgent = self.ledger.is_urgent(self.ledger.upwards[upward as usize].content);
            self.shards[shard].page.push(Unparked { account, parked, upward, urgent });
        }
    }

    /// Something goes to a customer's session: nothing urgent of the same page may wait behind it.
    pub(super) fn check_page(&mut self, shard: usize, account: usize, upward: u32) {
        let was_offered = core::mem::replace(&mut self.ledger.upwards[upward as usize].was_offered, true);
        let account = AccountId::of_name(CUSTOMERS[account].name.as_bytes());
        let page = &mut self.shards[shard].page;
        let is_it = |one: &Unparked| (one.account, one.upward) == (account, upward);
        let Some(at) = page.iter().position(is_it) else { return };
        let one = page.remove(at);
        let is_passed = |other: &Unparked| other.account == account && other.urgent && !one.urgent;
        let passed = page[..at].iter().any(is_passed);
        // What its vendor, or the spool, gave again goes its own way.
        let is_own = matches!(self.ledger.upwards[upward as usize].content, Content::Own { .. });
        let is_live = |sending: &Sending| sending.upward == upward && !sending.answered;
        let is_excused = was_offered || !passed || is_own || self.ledger.sendings.iter().any(is_live);
        must!(is_excused, Urgent, "upward {upward} goes before what is urgent: {page:?}");
    }

    /// A link refused it: what is behind it goes first.
    pub(super) fn leave_page(&mut self, shard: usize, pdu: &[u8]) {
        if let Some(Range { start, .. }) = self.upwards_in(pdu) {
            self.ledger.upwards[start as usize].was_offered = true;
            self.shards[shard].page.retain(|one| one.upward != start);
        }
    }
}
