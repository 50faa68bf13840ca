//! Optional per customer: the same message submitted again within a window is not sent again. All sessions of an account
//! are on one shard, and so is what is remembered of its messages.

use crate::admit::Submission;
use crate::arena::{Arena, List};
use crate::message::{AccountId, Key, MessageState};
use crate::open::Message;
use crate::relay::Relay;
use crate::snapshot::Deduplicate;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use smpp::tlv::Tag;
use xxhash_rust::xxh3::Xxh3;

/// Messages that one shard remembers, of all customers who want it. About 180 bytes each: 44 MiB,
/// taken only where a customer uses it. It covers 4,300 messages a second for the default window of 60 s; over it the
/// oldest goes.
pub(crate) const RESUBMITS_MAX: u32 = 262_144;
/// What they take on one shard at most, octets: the slots, in a vector that grows by doubling, and the map.
pub(crate) const RESUBMITS_OCTETS: u64 =
    RESUBMITS_MAX as u64 * (2 * crate::arena::slot_octets::<Resubmit>() as u64 + 48);

/// What is known of a message that may be submitted again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resubmit {
    fingerprint: u128,
    outcome: Outcome,
    gateway_id: GatewayId,
    /// When its window ends.
    deadline: Instant,
}

impl Default for Resubmit {
    fn default() -> Self {
        Self {
            fingerprint: 0,
            outcome: Outcome::Open,
            gateway_id: GatewayId(0),
            deadline: Instant::default(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// Not answered yet.
    Open,
    /// A vendor took it.
    Accepted,
    /// The customer was told that nobody knows.
    Unknown,
}

/// What a submit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Novelty {
    /// Not seen, or the customer's to decide.
    New,
    /// The first one is not answered yet.
    Open,
    /// The first one was accepted under this id.
    Accepted(GatewayId),
}

#[derive(Debug)]
pub(crate) struct Resubmits {
    entries: Arena<Resubmit>,
    /// Oldest first.
    order: List,
    by_fingerprint: HashMap<u128, Key, FixedState>,
}

impl Resubmits {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: Arena::new(RESUBMITS_MAX),
            order: List::default(),
            by_fingerprint: HashMap::with_hasher(FixedState::with_seed(seed)),
        }
    }

    fn novelty(&self, now: Instant, fingerprint: u128) -> Novelty {
        let Some(key) = self.by_fingerprint.get(&fingerprint) else { return Novelty::New };
        let entry = &self.entries[*key];
        match entry.outcome {
            Outcome::Open => Novelty::Open,
            Outcome::Accepted if now < entry.deadline => Novelty::Accepted(entry.gateway_id),
            Outcome::Accepted | Outcome::Unknown => Novelty::New,
        }
    }

    /// Remembers a message that enters; what stood there was judged and is over. Nothing when all room is taken by open
    /// messages. Says whether another one had to go.
    fn insert(&mut self, fingerprint: u128, id: GatewayId, deadline: Instant) -> (Option<Key>, bool) {
        if let Some(key) = self.by_fingerprint.get(&fingerprint) {
            self.remove(*key);
        }
        let mut was_full = false;
        if self.entries.open() >= RESUBMITS_MAX {
            was_full = true;
            match self.entries.first(&self.order) {
                Some(oldest) if self.entries[oldest].outcome != Outcome::Open => self.remove(oldest),
                _ => return (None, was_full),
            }
        }
        let Some((key, entry)) = self.entries.insert() else { return (None, was_full) };
        *entry = Resubmit { fingerprint, outcome: Outcome::Open, gateway_id: id, deadline };
        self.entries.push_back(&mut self.order, key);
        self.by_fingerprint.insert(fingerprint, key);
        (Some(key), was_full)
    }

    fn remove(&mut self, key: Key) {
        self.by_fingerprint.remove(&self.entries[key].fingerprint);
        self.entries.remove(&mut self.order, key);
        self.entries.close(key);
    }

    /// A message is closed.
    pub(crate) fn end(&mut self, message: &Message) {
        let Some(entry) = self.entries.get_mut(message.resubmit) else { return };
        debug_assert!(entry.gateway_id == message.gateway_id);
        match message.state {
            MessageState::Acked => entry.outcome = Outcome::Accepted,
            _ if message.maybe_sent => entry.outcome = Outcome::Unknown,
            _ => self.remove(message.resubmit),
        }
    }

    /// The customer holds an id for a message that stays open.
    pub(crate) fn accept(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.outcome = Outcome::Accepted;
        }
    }

    /// A receipt shows that a vendor has a message after all.
    pub(crate) fn resolve(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(key)
            && entry.outcome == Outcome::Unknown
        {
            entry.outcome = Outcome::Accepted;
        }
    }

    /// Drops those whose window is over. An open one, or one with a longer window, holds up those behind it: they are
    /// judged by their own deadline all the same.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(key) = self.entries.first(&self.order) {
            let entry = &self.entries[key];
            if entry.outcome == Outcome::Open || now < entry.deadline {
                return;
            }
            self.remove(key);
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.entries.open()
    }
}

impl Relay {
    /// Whether the customer submitted this before, where it wants to be asked; with what to remember it by.
    pub(crate) fn novelty(
        &self,
        now: Instant,
        account: u32,
        submission: &Submission<'_>,
    ) -> (Novelty, Option<u128>) {
        let account = &self.accounts[account];
        match fingerprint(self.options.seed, account.id, account.deduplicate, submission) {
            Some(fingerprint) => (self.resubmits.novelty(now, fingerprint), Some(fingerprint)),
            None => (Novelty::New, None),
        }
    }

    pub(crate) fn remember_submit(&mut self, now: Instant, key: Key, fingerprint: u128) {
        let message = &mut self.messages[key];
        let deadline = now + self.accounts[message.account].deduplicate_window;
        let (resubmit, was_full) = self.resubmits.insert(fingerprint, message.gateway_id, deadline);
        message.resubmit = resubmit.unwrap_or(Key::NONE);
        self.counters.traffic.resubmits_forgotten += u64::from(was_full);
    }
}

/// Parts of one long message may carry the same text.
const SEGMENT_TAGS: [Tag; 3] = [Tag::SAR_MSG_REF_NUM, Tag::SAR_TOTAL_SEGMENTS, Tag::SAR_SEGMENT_SEQNUM];

/// What a message is recognised by; nothing when it cannot be. 128 bits, so that among the 2^18 messages remembered one
/// submit in 2^110 is taken for another by chance. Peers cannot aim: the seed is not theirs, and each account is apart.
fn fingerprint(
    seed: u64,
    account: AccountId,
    deduplicate: Deduplicate,
    submission: &Submission<'_>,
) -> Option<u128> {
    let mut hash = Xxh3::with_seed(seed);
    let mut part = |octets: &[u8]| {
        hash.update(&(octets.len() as u64).to_le_bytes());
        hash.update(octets);
    };
    part(&account.0.to_le_bytes());
    match deduplicate {
        Deduplicate::Off => return None,
        Deduplicate::Tlv(tag) => {
            part(&tag.0.to_le_bytes());
            part(submission.tlvs.find(tag)?);
        }
        Deduplicate::Content => {
            part(submission.source);
            part(submission.destination);
            part(&[submission.esm_class.0, submission.data_coding.0]);
            let payload = submission.tlvs.find(Tag::MESSAGE_PAYLOAD);
            part(if submission.short_message.is_empty() {
                payload.unwrap_or_default()
            } else {
                submission.short_message
            });
            for tag in SEGMENT_TAGS {
                part(submission.tlvs.find(tag).unwrap_or_default());
            }
        }
    }
    Some(hash.digest128())
}
