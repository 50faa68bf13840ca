//! First reading: a short form of every message, enough to tell the innocent from the suspects.

use std::collections::{BTreeMap, HashMap};

use ledger::{Kind, MessageKey, Record, handset_of};

use super::ids::{Ids, Received};
use super::{Returned, Site};

/// All that was read.
#[derive(Default)]
pub(super) struct Table {
    pub(super) run: u32,
    /// Bits of receipt fields that are not compared.
    pub(super) ignored: u16,
    /// Sequences below this stand in `dense`: no more than the file has records, so a damaged sequence cannot
    /// make us allocate.
    pub(super) dense_max: u64,
    /// By account, then by sequence: first parts. Sequences are dense, so this is the fastest table there is.
    dense: Vec<Vec<Entry>>,
    /// Further parts of long messages and whatever is out of range.
    sparse: HashMap<MessageKey, Entry>,
    pub(super) ids: Ids,
    /// Receipts as accounts got them.
    pub(super) received: Vec<Received>,
    /// Responses for which no request waited.
    pub(super) again: Vec<Record>,
    /// Sessions, faults and stalls of both sides, in the order they were read; sites count from `SITE`.
    pub(super) events: Vec<Record>,
    /// Acceptances of messages without a key, while the run lasted.
    pub(super) unkeyed: Vec<Record>,
    pub(super) mobile: BTreeMap<MessageKey, Vec<Record>>,
    /// MO without a key, as accounts got them.
    pub(super) mobile_unkeyed: Vec<Record>,
    pub(super) sites: Vec<Site>,
    pub(super) receipts: Returned,
    /// Unix time of the first message sent, nanoseconds.
    pub(super) begin: Option<u64>,
    /// Unix times of the first and last record of loadgen, nanoseconds.
    pub(super) span: (u64, u64),
    pub(super) accepted: u64,
    pub(super) foreign: u64,
    ordinal: u32,
}

/// One message, in short.
#[derive(Clone, Copy, Default)]
pub(super) struct Entry {
    fingerprint: u64,
    pub(super) addresses: u64,
    /// Sums of what receipts say, as sent by sites and as received.
    said: u64,
    heard: u64,
    pub(super) status: u32,
    /// loadgen's session and the message's sequence number there.
    pub(super) link: u32,
    pub(super) number: u32,
    /// When the last acceptance was read.
    pub(super) accepted_as: u32,
    pub(super) site: u16,
    pub(super) mix: u8,
    pub(super) sent: u8,
    pub(super) answered: u8,
    pub(super) accepted: u8,
    receipts_owed: u8,
    receipts_sent: u8,
    receipts_acknowledged: u8,
    receipts_received: u8,
    pub(super) registered_delivery: u8,
    flags: u8,
}

impl Entry {
    /// The response timeout passed, the session ended, or the message was withdrawn.
    const UNANSWERED: u8 = 1;
    /// A site accepted something else than was sent.
    const ALTERED: u8 = 2;
    /// A site refused it before.
    pub(super) const REFUSED: u8 = 4;
    /// The rest of the story is in doubt.
    const DOUBTED: u8 = 8;

    pub(super) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn is_something(&self) -> bool {
        self.sent > 0 || self.answered > 0 || self.accepted > 0 || self.receipts_sent > 0
    }

    pub(super) fn asks_for_receipt(&self) -> bool {
        self.registered_delivery & 3 == 1
    }

    /// Whether the whole story must be read. `with_sites`: simulators' ledgers were given.
    pub(super) fn is_suspect(&self, unknown_status: u32, with_sites: bool, drained: bool) -> bool {
        if self.sent != 1 || self.answered != 1 || self.flags & !Self::REFUSED != 0 {
            return true;
        }
        if !with_sites {
            let missing =
                drained && self.status == 0 && self.asks_for_receipt() && self.receipts_received == 0;
            return missing || self.receipts_received > 1;
        }
        let as_told = if self.status == 0 { self.accepted == 1 } else { self.accepted == 0 };
        let receipts = self.receipts_sent == self.receipts_owed
            && self.receipts_acknowledged == self.receipts_sent
            && self.receipts_received == self.receipts_sent
            && self.said == self.heard;
        let nobody_knows = self.status == unknown_status && self.accepted <= 1;
        !(as_told || nobody_knows) || !receipts
    }
}

impl Table {
    /// Takes a record of loadgen. `links_from` tells the sessions of several ledgers apart.
    pub(super) fn add_loadgen(&mut self, record: &Record) {
        self.span = (self.span.0.min(record.time_ns), self.span.1.max(record.time_ns));
        match record.kind {
            Kind::Sent => {
                self.begin = Some(self.begin.map_or(record.time_ns, |begin| begin.min(record.time_ns)));
                let entry = self.entry(record.key);
                entry.sent = entry.sent.saturating_add(1);
                (entry.fingerprint, entry.addresses) = (record.fingerprint, record.extra);
                (entry.link, entry.number) = (record.link, record.number);
                (entry.registered_delivery, entry.mix) = (record.state, record.detail);
            }
            Kind::Answered => {
                if record.status == 0 {
                    self.ids.insert(record.id_hash, record.key);
                }
                let entry = self.entry(record.key);
                entry.answered = entry.answered.saturating_add(1);
                entry.status = record.status;
            }
            Kind::Unanswered | Kind::Abandoned | Kind::Withdrawn => {
                self.entry(record.key).flags |= Entry::UNANSWERED;
            }
            Kind::ReceiptReceived => self.received.push(Received::of(record)),
            Kind::MoReceived if record.key == MessageKey::default() => self.mobile_unkeyed.push(*record),
            Kind::MoReceived => self.mobile.entry(record.key).or_default().push(*record),
            Kind::AnsweredAgain => self.again.push(*record),
            Kind::LinkUp | Kind::LinkDown | Kind::Stall => self.events.push(*record),
            _ => {}
        }
    }

    /// Gives receipts to their messages, once all answers are known.
    pub(super) fn join_receipts(&mut self) {
        let mut received = std::mem::take(&mut self.received);
        self.receipts.received = received.len() as u64;
        let ignored = self.ignored;
        for receipt in &mut received {
            let owner =
                self.ids.owner(receipt, |key| self.get(key).map_or(0, |entry| handset_of(entry.addresses)));
            receipt.owner = owner;
            if let Some(key) = owner {
                let entry = self.entry(key);
                entry.receipts_received = entry.receipts_received.saturating_add(1);
                entry.heard = entry.heard.wrapping_add(receipt.digest.mix(ignored));
                if key.account != receipt.party || receipt.ids_differ {
                    entry.flags |= Entry::DOUBTED;
                }
            }
        }
        self.received = received;
    }

    /// Takes a record of a simulator; `party` is the site's number among all sites.
    pub(super) fn add_sim(&mut self, record: &Record) {
        match record.kind {
            Kind::MoSent | Kind::MoAcked => {
                return self.mobile.entry(record.key).or_default().push(*record);
            }
            Kind::LinkUp | Kind::LinkDown | Kind::Fault | Kind::Stall => {
                return self.events.push(Record { party: record.party + SITE, ..*record });
            }
            Kind::Mark | Kind::End => return,
            Kind::Accepted if record.detail & Record::UNKEYED != 0 => {
                if (self.span.0..=self.span.1).contains(&record.time_ns) {
                    self.unkeyed.push(*record);
                }
                return;
            }
            _ if record.key.run != self.run => {
                self.foreign += 1;
                return;
            }
            _ => {}
        }
        self.count_at_site(record);
        self.ordinal += 1;
        let (ordinal, ignored) = (self.ordinal, self.ignored);
        let entry = self.entry(record.key);
        match record.kind {
            Kind::Accepted => {
                entry.accepted = entry.accepted.saturating_add(1);
                entry.receipts_owed += record.detail & Record::RECEIPT_OWED;
                (entry.site, entry.accepted_as) = (record.party, ordinal);
                if entry.sent > 0
                    && (entry.fingerprint != record.fingerprint || entry.registered_delivery != record.state)
                {
                    entry.flags |= Entry::ALTERED;
                }
            }
            Kind::Refused => entry.flags |= Entry::REFUSED,
            Kind::LostResponse | Kind::ReceiptDropped => entry.flags |= Entry::DOUBTED,
            Kind::ReceiptSent => {
                entry.receipts_sent = entry.receipts_sent.saturating_add(1);
                entry.said = entry.said.wrapping_add(record.digest().mix(ignored));
            }
            Kind::ReceiptAcked if record.status == 0 => {
                entry.receipts_acknowledged = entry.receipts_acknowledged.saturating_add(1);
            }
            Kind::ReceiptAcked => entry.flags |= Entry::DOUBTED,
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

    pub(super) fn get(&self, key: MessageKey) -> Option<&Entry> {
        if key.segment != 0 || u64::from(key.sequence) >= self.dense_max || key.run != self.run {
            return self.sparse.get(&key);
        }
        self.dense.get(usize::from(key.account))?.get(key.sequence as usize)
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

    fn count_at_site(&mut self, record: &Record) {
        let second = record.time_ns.saturating_sub(self.begin.unwrap_or(record.time_ns)) / 1_000_000_000;
        if let Some(site) = self.sites.get_mut(usize::from(record.party)) {
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
    }
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

/// Parties from here on are sites, below it loadgen's accounts; only in [`Table::events`].
pub(super) const SITE: u16 = 1 << 15;
