//! A node's spool in memory, as `spool_op.rs` promises it: what it accepts is durable after the next sync, and a crash
//! undoes some or all of what was not synced.

use relay::{AccountId, Fate, MessageKey, SpoolAnswer, SpoolEntry, SpoolOp, SpoolOutage, UNTIL_ITS_END};
use smpp::text::message_id::GatewayId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Entries of one page, whatever was asked for: small, so that pages end in the middle of everything.
const PAGE_MAX: usize = 3;

/// What a shard asks, or that it will ask nothing more.
#[derive(Debug)]
pub(crate) enum Ask {
    Op(SpoolOp),
    Gone,
}

/// What was done by one operation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Nothing,
    Accepted(GatewayId),
    /// That a message is on its way.
    Noted,
    Settled(GatewayId),
    /// Due again, because their shard is gone.
    TakenBack(Vec<GatewayId>),
    /// Handed out after its validity.
    HandedOutLate(Vec<GatewayId>),
}

#[derive(Debug)]
struct Entry {
    account: AccountId,
    accepted_at: u32,
    expires_at: u32,
    pdu: Vec<u8>,
    note: Note,
    /// What follows is known to the process alone.
    tries: u16,
    due: u64,
    lent_to: Option<usize>,
    /// Nothing hastens it.
    held: bool,
    is_durable: bool,
}

#[derive(Debug)]
enum Undo {
    Accept(GatewayId),
    Settle(GatewayId, Entry),
    Note(GatewayId, Note),
}

/// What a shard said of a message when it put it back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Note {
    unknown_copies: u8,
    is_last: bool,
    fate: Option<Fate>,
}

#[derive(Debug, Default)]
pub(crate) struct Spool {
    entries: BTreeMap<GatewayId, Entry>,
    /// What was written and not synced, the oldest first.
    journal: Vec<Undo>,
    /// What came while it syncs.
    pub(crate) queue: VecDeque<(usize, u32, Ask)>,
    /// What it answers after its sync, with shard and life.
    pub(crate) answers: Vec<(usize, u32, SpoolAnswer)>,
    pub(crate) syncs: bool,
    /// The process that has it open.
    pub(crate) life: u32,
    pub(crate) full: bool,
    /// It does nothing more in this process.
    pub(crate) away: bool,
    /// A sync that begins before this moment ends after it.
    pub(crate) stalled_until: u64,
}

impl Spool {
    /// Carries out one operation of a shard.
    pub(crate) fn run(&mut self, now: u64, unix: u32, shard: usize, ask: Ask) -> (Deed, Option<SpoolAnswer>) {
        match ask {
            Ask::Gone => (Deed::TakenBack(self.take_back(shard)), None),
            Ask::Op(op) if self.away => (Deed::Nothing, op.away()),
            Ask::Op(SpoolOp::Accept { message, gateway_id, account, accepted_at, expires_at, pdu }) => {
                if self.full {
                    let answer = accepted(message, gateway_id, Err(SpoolOutage::Full), pdu);
                    return (Deed::Nothing, Some(answer));
                }
                let copy = pdu.clone();
                let entry = Entry {
                    account,
                    accepted_at,
                    expires_at,
                    pdu,
                    note: Note::default(),
                    tries: 0,
                    due: 0,
                    lent_to: Some(shard),
                    held: false,
                    is_durable: false,
                };
                assert!(self.entries.insert(gateway_id, entry).is_none(), "an id was spooled twice");
                self.journal.push(Undo::Accept(gateway_id));
                (Deed::Accepted(gateway_id), Some(accepted(message, gateway_id, Ok(()), copy)))
            }
            Ask::Op(SpoolOp::Sending { message, gateway_id, unknown_copies }) => {
                let entry = self.entries.get_mut(&gateway_id).expect("sends what is not there");
                assert!(entry.lent_to == Some(shard), "sends what was not lent");
                self.journal.push(Undo::Note(gateway_id, entry.note));
                entry.note = Note { unknown_copies: unknown_copies + 1, is_last: true, fate: None };
                (Deed::Noted, Some(SpoolAnswer::Noted { message, gateway_id, outcome: Ok(()) }))
            }
            Ask::Op(SpoolOp::Settle { gateway_id }) => {
                let entry = self.entries.remove(&gateway_id).expect("settled what is not there");
                assert!(entry.lent_to == Some(shard), "settled what was not lent");
                self.journal.push(Undo::Settle(gateway_id, entry));
                (Deed::Settled(gateway_id), None)
            }
            Ask::Op(SpoolOp::Defer { gateway_id, after, tries, unknown_copies, fate }) => {
                let entry = self.entries.get_mut(&gateway_id).expect("deferred what is not there");
                assert!(entry.lent_to == Some(shard), "deferred what was not lent");
                entry.held = after == UNTIL_ITS_END;
                let mut after = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
                if fate.is_none() {
                    after = after.min(u64::from(entry.expires_at.saturating_sub(unix)) * 1_000_000);
                }
                let note = Note { unknown_copies, is_last: false, fate };
                if note != entry.note {
                    self.journal.push(Undo::Note(gateway_id, entry.note));
                }
                (entry.tries, entry.note) = (tries, note);
                (entry.lent_to, entry.due) = (None, now + after);
                (Deed::Nothing, None)
            }
            Ask::Op(SpoolOp::Due { count_max }) => self.hand_out(now, unix, shard, count_max as usize),
            Ask::Op(SpoolOp::Hasten) => {
                let waiting =
                    self.entries.values_mut().filter(|entry| entry.lent_to.is_none() && !entry.held);
                waiting.for_each(|entry| entry.due = entry.due.min(now));
                (Deed::Nothing, None)
            }
        }
    }

    fn hand_out(
        &mut self,
        now: u64,
        unix: u32,
        shard: usize,
        count_max: usize,
    ) -> (Deed, Option<SpoolAnswer>) {
        let is_due = |entry: &Entry| entry.lent_to.is_none() && entry.due <= now;
        let mut due: Vec<(u64, GatewayId)> = self
            .entries
            .iter()
            .filter(|(_, entry)| is_due(entry))
            .map(|(id, entry)| (entry.due, *id))
            .collect();
        due.sort_unstable();
        let count = due.len().min(PAGE_MAX).min(count_max);
        let (mut entries, mut late) = (Vec::new(), Vec::new());
        for (_, gateway_id) in &due[..count] {
            let Some(entry) = self.entries.get_mut(gateway_id) else { continue };
            (entry.lent_to, entry.held) = (Some(shard), false);
            let left = Duration::from_secs(entry.expires_at.saturating_sub(unix).into());
            if left.is_zero() {
                late.push(*gateway_id);
            }
            entries.push(SpoolEntry {
                gateway_id: *gateway_id,
                account: entry.account,
                accepted_at: entry.accepted_at,
                left,
                tries: entry.tries,
                unknown_copies: entry.note.unknown_copies,
                is_last: entry.note.is_last,
                fate: entry.note.fate,
                pdu: entry.pdu.clone(),
            });
        }
        let answer = SpoolAnswer::Due { unix_seconds: unix, entries, more: due.len() > count };
        (Deed::HandedOutLate(late), Some(answer))
    }

    /// All that was written is durable now.
    pub(crate) fn sync(&mut self) {
        self.syncs = false;
        for undo in self.journal.drain(..) {
            if let Undo::Accept(id) = undo
                && let Some(entry) = self.entries.get_mut(&id)
            {
                entry.is_durable = true;
            }
        }
    }

    /// The process dies, and with it maybe the machine: of what was not synced only the oldest `kept` of a thousand
    /// survive. What is settled no more.
    pub(crate) fn crash(&mut self, kept: usize) -> Vec<GatewayId> {
        self.queue.clear();
        self.answers.clear();
        let kept = self.journal.len() * kept / 1000;
        let mut back = Vec::new();
        for undo in self.journal.drain(kept..).rev() {
            match undo {
                Undo::Accept(id) => {
                    self.entries.remove(&id);
                }
                Undo::Settle(id, entry) => {
                    self.entries.insert(id, entry);
                    back.push(id);
                }
                Undo::Note(id, note) => {
                    if let Some(entry) = self.entries.get_mut(&id) {
                        entry.note = note;
                    }
                }
            }
        }
        self.close();
        back
    }

    /// The process ends: what it alone knew is forgotten.
    pub(crate) fn close(&mut self) {
        self.sync();
        (self.life, self.away, self.full) = (0, false, false);
        for entry in self.entries.values_mut() {
            (entry.tries, entry.due, entry.lent_to, entry.is_durable) = (0, 0, None, true);
            entry.held = false;
        }
    }

    /// A shard is gone: what it had is due again.
    fn take_back(&mut self, shard: usize) -> Vec<GatewayId> {
        let its = self.entries.iter_mut().filter(|(_, entry)| entry.lent_to == Some(shard));
        let back = its.map(|(id, entry)| {
            (entry.due, entry.lent_to) = (0, None);
            entry.note.unknown_copies = entry.note.unknown_copies.max(1);
            *id
        });
        back.collect()
    }

    /// True for a message that a crash would keep.
    pub(crate) fn is_durable(&self, id: GatewayId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.is_durable)
    }

    /// True for a message that a shard has.
    pub(crate) fn is_lent(&self, id: GatewayId) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.lent_to.is_some())
    }

    /// All that waits is due: also what waits for its end, whose clock may have jumped.
    pub(crate) fn hand_out_all(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.due = 0);
    }

    /// What is not settled.
    pub(crate) fn ids(&self) -> impl ExactSizeIterator<Item = GatewayId> + '_ {
        self.entries.keys().copied()
    }
}

fn accepted(
    message: MessageKey,
    gateway_id: GatewayId,
    outcome: Result<(), SpoolOutage>,
    pdu: Vec<u8>,
) -> SpoolAnswer {
    SpoolAnswer::Accepted { message, gateway_id, outcome, pdu }
}
