//! Everything the ledgers say, by message key.

use std::collections::HashMap;

use ledger::{Kind, MessageKey, Meta, Record};

use super::{Returned, Site};

/// All that was read.
#[derive(Default)]
pub(super) struct Table {
    pub(super) run: u32,
    /// Sequences below this stand in `dense`: no more than the file has records, so a damaged sequence cannot
    /// make us allocate.
    pub(super) dense_max: u64,
    /// By account, then by sequence: first parts. Sequences are dense, so this is the fastest table there is.
    dense: Vec<Vec<Entry>>,
    /// Further parts of long messages and whatever is out of range.
    sparse: HashMap<MessageKey, Entry>,
    ids: HashMap<u64, MessageKey>,
    /// Receipts, until all answers are known.
    received: Vec<Received>,
    pub(super) unknown_receipts: Vec<Received>,
    pub(super) misrouted_receipts: Vec<(MessageKey, u16)>,
    pub(super) mobile: HashMap<MessageKey, Mobile>,
    pub(super) sites: Vec<Site>,
    pub(super) receipts: Returned,
    pub(super) begin: Option<u64>,
    pub(super) notes: Vec<String>,
    pub(super) accepted: u64,
    foreign: u64,
}

/// One message.
#[derive(Clone, Copy, Default)]
pub(super) struct Entry {
    pub(super) fingerprint: u64,
    pub(super) status: u32,
    pub(super) party: u16,
    pub(super) accepted: u16,
    pub(super) lost_responses: u16,
    /// Bit n: a receipt of message_state n.
    pub(super) states_sent: u16,
    pub(super) states_acknowledged: u16,
    pub(super) states_received: u16,
    pub(super) receipts_sent: u8,
    pub(super) receipts_received: u8,
    pub(super) sent: bool,
    pub(super) answered: bool,
    pub(super) altered: bool,
}

/// A receipt as an account got it.
#[derive(Clone, Copy)]
pub(super) struct Received {
    pub(super) id: u64,
    pub(super) time_ns: u64,
    pub(super) party: u16,
    state: u8,
}

/// One mobile-originated message.
#[derive(Clone, Copy, Default)]
pub(super) struct Mobile {
    fingerprint_sent: Option<u64>,
    fingerprint_received: Option<u64>,
    pub(super) sent: u16,
    pub(super) acknowledged: u16,
    pub(super) received: u16,
    pub(super) elsewhere: bool,
}

impl Mobile {
    pub(super) fn altered(&self) -> bool {
        self.fingerprint_sent.zip(self.fingerprint_received).is_some_and(|(sent, received)| sent != received)
    }
}

impl Table {
    /// Takes a record of loadgen.
    pub(super) fn add_loadgen(&mut self, record: &Record) {
        match record.kind {
            Kind::Sent => {
                self.begin = Some(self.begin.map_or(record.time_ns, |begin| begin.min(record.time_ns)));
                let entry = self.entry(record.key);
                entry.sent = true;
                entry.fingerprint = record.fingerprint;
                entry.party = record.party;
            }
            Kind::Answered => {
                if record.status == 0 {
                    self.ids.insert(record.id_hash, record.key);
                }
                let entry = self.entry(record.key);
                entry.answered = true;
                entry.status = record.status;
                entry.party = record.party;
            }
            Kind::ReceiptReceived => self.received.push(Received {
                id: record.id_hash,
                time_ns: record.time_ns,
                party: record.party,
                state: record.state,
            }),
            Kind::MoReceived => {
                let mobile = self.mobile.entry(record.key).or_default();
                mobile.received = mobile.received.saturating_add(1);
                mobile.fingerprint_received = Some(record.fingerprint);
                mobile.elsewhere |= record.state == Record::MO_ELSEWHERE;
            }
            _ => {}
        }
    }

    /// Gives receipts to their messages, once all answers are known.
    pub(super) fn join_receipts(&mut self) {
        for received in std::mem::take(&mut self.received) {
            self.receipts.received += 1;
            let Some(&key) = self.ids.get(&received.id) else {
                self.unknown_receipts.push(received);
                continue;
            };
            let entry = self.entry(key);
            if entry.party != received.party {
                self.misrouted_receipts.push((key, received.party));
                continue;
            }
            entry.receipts_received = entry.receipts_received.saturating_add(1);
            entry.states_received |= state_bit(received.state);
        }
    }

    /// Announces a simulator's ledger; returns the number of its first site.
    pub(super) fn begin_sim(&mut self, meta: &Meta) -> u16 {
        let first = self.sites.len() as u16;
        self.sites.extend(meta.parties.iter().map(|name| Site { name: name.clone(), ..Site::default() }));
        first
    }

    /// Takes a record of a simulator.
    pub(super) fn add_sim(&mut self, first_site: u16, record: &Record) {
        match record.kind {
            Kind::MoSent | Kind::MoAcked => return self.add_mobile(record),
            _ if record.key.run != self.run => {
                self.foreign += 1;
                return;
            }
            _ => {}
        }
        let second = record.time_ns.saturating_sub(self.begin.unwrap_or(record.time_ns)) / 1_000_000_000;
        if let Some(site) = self.sites.get_mut(usize::from(first_site + record.party)) {
            match record.kind {
                Kind::Accepted => {
                    site.accepted += 1;
                    count_second(&mut site.per_second, second);
                }
                Kind::Refused => site.refused += 1,
                Kind::ReceiptSent => site.receipts += 1,
                _ => {}
            }
        }
        match record.kind {
            Kind::Accepted => self.accepted += 1,
            Kind::ReceiptSent => self.receipts.sent += 1,
            Kind::ReceiptAcked if record.status == 0 => self.receipts.acknowledged += 1,
            _ => {}
        }
        let entry = self.entry(record.key);
        match record.kind {
            Kind::Accepted => {
                entry.accepted = entry.accepted.saturating_add(1);
                entry.altered |= entry.sent && entry.fingerprint != record.fingerprint;
            }
            Kind::LostResponse => entry.lost_responses = entry.lost_responses.saturating_add(1),
            Kind::ReceiptSent => {
                entry.receipts_sent = entry.receipts_sent.saturating_add(1);
                entry.states_sent |= state_bit(record.state);
            }
            Kind::ReceiptAcked if record.status == 0 => {
                // A simulator that does not repeat the state here means all it has sent.
                entry.states_acknowledged |=
                    if record.state == 0 { entry.states_sent } else { state_bit(record.state) };
            }
            _ => {}
        }
    }

    /// Every message, in the order of accounts and sequences.
    pub(super) fn entries(&self) -> impl Iterator<Item = (MessageKey, &Entry)> {
        let run = self.run;
        let dense = self.dense.iter().enumerate().flat_map(move |(account, entries)| {
            entries.iter().enumerate().map(move |(sequence, entry)| {
                let key = MessageKey { run, account: account as u16, sequence: sequence as u32, segment: 0 };
                (key, entry)
            })
        });
        let mut sparse: Vec<_> = self.sparse.iter().map(|(key, entry)| (*key, entry)).collect();
        sparse.sort_unstable_by_key(|(key, _)| *key);
        dense.chain(sparse).filter(|(_, entry)| entry.is_something())
    }

    pub(super) fn all_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        if self.foreign > 0 {
            notes.push(format!("{} records of other runs were left out", self.foreign));
        }
        notes
    }

    fn entry(&mut self, key: MessageKey) -> &mut Entry {
        let account = usize::from(key.account);
        if key.segment != 0 || u64::from(key.sequence) >= self.dense_max || key.run != self.run {
            return self.sparse.entry(key).or_default();
        }
        if self.dense.len() <= account {
            self.dense.resize_with(account + 1, Vec::new);
        }
        let entries = &mut self.dense[account];
        let sequence = key.sequence as usize;
        if entries.len() <= sequence {
            entries.resize(sequence + 1, Entry::default());
        }
        &mut entries[sequence]
    }

    fn add_mobile(&mut self, record: &Record) {
        let mobile = self.mobile.entry(record.key).or_default();
        if record.kind == Kind::MoSent {
            mobile.sent = mobile.sent.saturating_add(1);
            mobile.fingerprint_sent = Some(record.fingerprint);
        } else if record.status == 0 {
            mobile.acknowledged = mobile.acknowledged.saturating_add(1);
        }
    }
}

impl Entry {
    fn is_something(&self) -> bool {
        self.sent || self.answered || self.accepted > 0 || self.receipts_sent > 0
    }
}

fn state_bit(state: u8) -> u16 {
    1 << state.min(15)
}

fn count_second(seconds: &mut Vec<u32>, second: u64) {
    let second = second.min(SECONDS_MAX) as usize;
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    seconds[second] += 1;
}

/// Two days; what comes later is counted there.
const SECONDS_MAX: u64 = 172_800;
