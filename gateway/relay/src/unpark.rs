//! Releasing what was parked, once its owner is there: pages from the store, in order, within the sessions'
//! windows, until nothing is left.

use crate::account::{AccountState, NO_ACCOUNT, Unpark};
use crate::message::{AccountId, Key};
use crate::mutation::mutated;
use crate::open::Sender;
use crate::relay::Relay;
use crate::shard_message::ShardMessage;
use crate::snapshot::{Correlate, Limits};
use crate::store_op::{ParkedEntry, ParkedId, StoreOp, command_of};
use core::time::Duration;
use smpp::field::CommandId;
use smpp::time::Instant;

/// Entries of one page. A page is in memory as a whole: some 75 KiB of PDUs. The store's round trip of a
/// millisecond is paid once for as many.
const PAGE_MAX: u32 = 256;
/// The next page is asked for when so few of those before are open, so that sessions need not wait for the store.
/// An account thus has at most `PAGE_MAX + PAGE_AHEAD` parked messages in memory.
const PAGE_AHEAD: u32 = PAGE_MAX / 2;
/// How long to let a session be that could not take what was parked.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest pause after rounds in which sessions refused more than they took; it doubles up to there. A customer that is
/// well again waits as long at most, and one that refuses everything is asked by a page a minute.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The pause after so many rounds in a row that were refused.
fn pause_after(rounds_refused: u8) -> Duration {
    const DOUBLINGS_MAX: u8 = 6; // 64 s
    let doublings = rounds_refused.saturating_sub(1).min(DOUBLINGS_MAX);
    RETRY_AFTER.saturating_mul(1 << doublings).min(RETRY_MAX)
}

/// Entries of one page where so many deliveries may wait for a slot: half, so that what comes from vendors has room.
fn page_max(delivery_queue_max: u32) -> u32 {
    PAGE_MAX.min(delivery_queue_max / 2).max(1)
}

/// See [`PAGE_AHEAD`]; with a page more it is within the queue as well.
fn page_ahead(delivery_queue_max: u32) -> u32 {
    PAGE_AHEAD.min(delivery_queue_max / 4)
}

impl Relay {
    /// Asks for a page, or notes that another is wanted.
    pub(crate) fn request_unpark(&mut self, now: Instant, place: u32) {
        if self.snapshot.correlate() == Correlate::None || self.draining {
            return;
        }
        let Limits { store_wait_max, delivery_queue_max, .. } = *self.snapshot.limits();
        let account = &mut self.accounts[place];
        if account.receivers.is_empty() {
            return;
        }
        if self.records.is_full() {
            return self.unpark_later(now, place);
        }
        let Unpark { asked, open, failed, .. } = account.unpark;
        if asked || open > page_ahead(delivery_queue_max) || (failed && open > 0) {
            account.unpark.more = true;
            return;
        }
        account.unpark.asked = true;
        account.unpark.more = false;
        account.unpark.failed = false;
        account.unpark.due = Some(now + store_wait_max);
        self.store_ops
            .push_back(StoreOp::Unpark { account: account.id, count_max: page_max(delivery_queue_max) });
        self.accounts.watch(place);
    }

    /// A page came.
    pub(crate) fn unparked(&mut self, now: Instant, place: u32, mut entries: Vec<ParkedEntry>, more: bool) {
        let account = &mut self.accounts[place];
        let owner = account.id;
        account.unpark.asked = false;
        account.unpark.due = None;
        account.unpark.more |= more;
        account.unpark.open += entries.len() as u32;
        if entries.is_empty() {
            // More, and nothing of it to be had: asked again at once, it would say so for ever.
            account.unpark.failed |= more;
            return self.page_done(now, place);
        }
        account.begin_page();
        if mutated!(self, UrgentLast) {
            entries.reverse();
        }
        for ParkedEntry { parked, pdu } in entries {
            self.counters.traffic.unparked += 1;
            let command = command_of(&pdu).unwrap_or(CommandId::DELIVER_SM);
            let (pdu, malformed) = match self.strict_of_kept(pdu, [CommandId::DELIVER_SM, CommandId::DATA_SM])
            {
                Ok(pdu) => (pdu, None),
                Err((pdu, error)) => (pdu, Some(error)),
            };
            match self.insert_delivery(Sender::Parked(parked), command, place) {
                Some(key) => {
                    self.spare.swap(&mut self.deliveries[key].pdu, pdu);
                    self.record_unparked(now, key);
                    match malformed {
                        None => self.deliver(now, key),
                        // Whoever is offered it ends the session, now and at each bind.
                        Some(error) => self.taken(now, key, error.status()),
                    }
                }
                None => {
                    self.store_ops.push_back(StoreOp::Return { account: owner, parked });
                    self.page_entry_done(now, place, true);
                }
            }
        }
        self.accounts[place].end_page();
    }

    /// One parked message was taken (`Ok`) or not (`Err`).
    pub(crate) fn end_parked(&mut self, now: Instant, key: Key, outcome: Result<ParkedId, ParkedId>) {
        let place = self.deliveries[key].account;
        let account = self.accounts[place].id;
        self.accounts[place].unpark.taken += u32::from(outcome.is_ok());
        self.store_ops.push_back(match outcome {
            Ok(parked) => StoreOp::Release { account, parked },
            Err(parked) => StoreOp::Return { account, parked },
        });
        self.close_delivery(key);
        self.page_entry_done(now, place, outcome.is_err());
    }

    pub(crate) fn page_entry_done(&mut self, now: Instant, place: u32, failed: bool) {
        let unpark = &mut self.accounts[place].unpark;
        unpark.failed |= failed;
        unpark.open -= 1;
        if unpark.open == 0 && !unpark.asked {
            self.page_done(now, place);
        } else if unpark.open <= page_ahead(self.snapshot.limits().delivery_queue_max)
            && unpark.more
            && !unpark.failed
        {
            self.request_unpark(now, place);
        }
    }

    /// A session says not now to something that was parked.
    pub(crate) fn parked_refused(&mut self, place: u32) {
        if !mutated!(self, RefusedAtOnce) {
            self.accounts[place].unpark.refused += 1;
        }
    }

    fn page_done(&mut self, now: Instant, place: u32) {
        let AccountState { unpark, receivers, .. } = &mut self.accounts[place];
        let (taken, refused) = (core::mem::take(&mut unpark.taken), core::mem::take(&mut unpark.refused));
        let is_refused = refused > taken;
        unpark.rounds_refused = if is_refused { unpark.rounds_refused.saturating_add(1) } else { 0 };
        if unpark.failed || (unpark.more && receivers.is_empty()) {
            unpark.failed = false;
            self.unpark_later(now, place);
        } else if unpark.more {
            self.request_unpark(now, place);
        }
    }

    fn unpark_later(&mut self, now: Instant, place: u32) {
        let unpark = &mut self.accounts[place].unpark;
        if !unpark.asked {
            let due = now + pause_after(unpark.rounds_refused);
            unpark.due = Some(unpark.due.map_or(due, |before| before.min(due)));
        }
        unpark.more = true;
        self.accounts.watch(place);
    }

    /// Something was parked for an account: whoever has its sessions shall ask for it.
    pub(crate) fn note_parked(&mut self, now: Instant, place: u32) {
        if place == NO_ACCOUNT {
            return; // configured away; asked for when it binds again
        }
        let account = &mut self.accounts[place];
        if !account.receivers.is_empty() {
            return self.unpark_later(now, place);
        }
        match account.elsewhere.first() {
            Some((shard, _)) => {
                let parked_for = ShardMessage::ParkedFor { account: account.id };
                self.shard_messages.push_back((*shard, parked_for));
            }
            None => account.parked_here = true,
        }
    }

    /// A store parked something after its delivery was given up: whoever was told then may have asked before it was
    /// there.
    pub(crate) fn parked_late(&mut self, now: Instant, owner: AccountId) {
        if let Some(place) = self.accounts.place_any(&self.snapshot, owner) {
            self.note_parked(now, place);
        }
    }

    /// Another node parked something for an account: asked for at once where the account has sessions here, unless
    /// these have just failed.
    pub(crate) fn parked_elsewhere(&mut self, now: Instant, owner: AccountId) {
        if let Some(place) = self.accounts.place(&self.snapshot, owner) {
            match self.accounts[place].unpark.due {
                Some(_) => self.accounts[place].unpark.more = true,
                None => self.request_unpark(now, place),
            }
        }
    }

    /// Every account with sessions here asks again.
    pub(crate) fn ask_again(&mut self, now: Instant) {
        for place in self.accounts.places() {
            if self.accounts[place].unpark.due.is_none() {
                self.request_unpark(now, place);
            }
        }
    }

    /// What the tick does for an account: late stores and pages that shall be asked for again.
    pub(crate) fn unpark_tick(&mut self, now: Instant, place: u32) {
        let unpark = &mut self.accounts[place].unpark;
        if unpark.due.is_some_and(|due| due <= now) {
            unpark.due = None;
            if unpark.asked {
                unpark.asked = false; // the store died over it
                self.counters.traffic.store_outages += 1;
            }
            if self.accounts[place].receivers.is_empty() {
                // Gone since. Whoever has a session now shall ask, and finds what was given back by now.
                return self.note_parked(now, place);
            }
            self.request_unpark(now, place);
        }
    }
}
