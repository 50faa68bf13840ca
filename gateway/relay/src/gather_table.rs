//! The table of MO that one shard gathers or remembers: plain book-keeping, its rules stand in `gather.rs`.

use crate::arena::{Arena, List, slot_octets};
use crate::message::{AccountId, Key, ShardIndex, VendorId};
use crate::part::MoPart;
use crate::snapshot::Snapshot;
use bytes::BytesMut;
use core::hash::BuildHasher;
use core::time::Duration;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smpp::field::DataCoding;
use smpp::text::segment::{Marking, PARTS_MAX};
use smpp::time::Instant;

/// How long parts wait for the others of their message. Vendors' own timers are of this order: waiting longer would only
/// bring the parts a second time.
pub const MO_GATHER_MAX: Duration = Duration::from_secs(10);
/// How long a message is remembered after its last part, for what comes late or again: longer than vendors wait for an
/// answer, shorter than it takes a handset to come round to the same reference.
pub const MO_REMEMBER_MAX: Duration = Duration::from_secs(30);
/// MO that one shard gathers or remembers; each costs about 2 kB at most. Memory yields to what waits; when all wait,
/// a part of one more is delivered alone.
pub const MO_GATHERED_MAX: u32 = 8192;
/// Octets of the parts that wait on one shard; they are among its open deliveries. Over it a message is delivered part
/// by part.
pub const MO_GATHERED_OCTETS_MAX: usize = 16 << 20;
/// Digits of the longest sender that is told apart, of a data_sm: SMPP 3.4 §4.7.1.
const SOURCE_LENGTH_MAX: usize = 64;
/// The same on every shard, or parts of one message would be gathered on several.
const HASHES: FixedState = FixedState::with_seed(0x5eed_0f2e_1a7e_0002);

/// What the table and its index take at most, octets; the parts themselves are open deliveries. A hash table that is
/// always full and always changing settles at up to four places for each entry.
pub(crate) const TABLE_OCTETS_MAX: usize = MO_GATHERED_MAX as usize
    * (2 * slot_octets::<Gathering>()
        + 4 * size_of::<(MessageName, Key)>()
        + PARTS_MAX.next_power_of_two() * size_of::<u32>());

/// What the parts of one message have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct MessageName {
    vendor: VendorId,
    marking: Marking,
    reference: u16,
    /// A reused reference rarely has the same count.
    pub(crate) total: u8,
    source_length: u8,
    destination_length: u8,
    source: [u8; SOURCE_LENGTH_MAX],
    destination: [u8; crate::NUMBER_LENGTH_MAX],
}

impl MessageName {
    const NONE: Self = Self {
        vendor: VendorId(0),
        marking: Marking::Udh8,
        reference: 0,
        total: 0,
        source_length: 0,
        destination_length: 0,
        source: [0; SOURCE_LENGTH_MAX],
        destination: [0; crate::NUMBER_LENGTH_MAX],
    };

    /// Nothing when an address is longer than SMPP allows.
    pub(crate) fn new(vendor: VendorId, part: &MoPart, pdu: &[u8]) -> Option<Self> {
        let (marking, reference, total) = (part.part.marking, part.part.reference, part.part.total);
        let mut name = Self { vendor, marking, reference, total, ..Self::NONE };
        let source = part.source(pdu);
        let destination = crate::route::without_plus(part.destination(pdu));
        name.source.get_mut(..source.len())?.copy_from_slice(source);
        name.destination.get_mut(..destination.len())?.copy_from_slice(destination);
        (name.source_length, name.destination_length) = (source.len() as u8, destination.len() as u8);
        Some(name)
    }

    /// The shard that gathers it.
    pub(crate) fn shard(&self, shards: u8) -> ShardIndex {
        ShardIndex((HASHES.hash_one(self) % u64::from(shards.max(1))) as u8)
    }

    pub(crate) fn destination(&self) -> &[u8] {
        &self.destination[..usize::from(self.destination_length)]
    }
}

/// Whose a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// Its first part will tell.
    AsksFirst,
    /// This account's.
    Is(AccountId),
    /// No keyword fits and the number has no owner.
    Nobody,
}

/// How far a message is; see the head of `gather.rs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// In the list of what waits; its parts are in its own list.
    Waiting,
    /// In the list of what is remembered.
    Passing,
    /// Delivered whole by this delivery, which is open. In no list.
    Joined(Key),
    /// In the list of what is remembered: delivered whole, and the vendor was told so.
    Answered,
}

/// One message of which parts came.
#[derive(Debug)]
pub(crate) struct Gathering {
    pub(crate) name: MessageName,
    pub(crate) stage: Stage,
    pub(crate) owner: Owner,
    /// The parts that wait, each once, as they came.
    pub(crate) parts: List,
    /// Of the text of each part that came, by number from 1; 0 = it did not come.
    pub(crate) hashes: Vec<u32>,
    /// How many came.
    pub(crate) came: u8,
    /// Of the parts that wait.
    pub(crate) octets: usize,
    pub(crate) data_coding: DataCoding,
    /// Nothing stands against making one of the parts: one coding, no other header.
    pub(crate) may_be_joined: bool,
    pub(crate) deadline: Instant,
}

impl Default for Gathering {
    fn default() -> Self {
        Self {
            name: MessageName::NONE,
            stage: Stage::Waiting,
            owner: Owner::AsksFirst,
            parts: List::default(),
            hashes: Vec::new(),
            came: 0,
            octets: 0,
            data_coding: DataCoding::DEFAULT,
            may_be_joined: true,
            deadline: Instant::default(),
        }
    }
}

impl Gathering {
    pub(crate) fn start(&mut self, now: Instant, name: MessageName, owner: Owner) {
        self.hashes.clear();
        self.hashes.resize(usize::from(name.total), 0);
        *self = Self {
            name,
            owner,
            hashes: core::mem::take(&mut self.hashes),
            deadline: now + MO_GATHER_MAX,
            ..Self::default()
        };
    }

    /// The hash of a part's text, 0 when it did not come; `number` is 1 to the total of its name.
    pub(crate) fn hash_of(&mut self, number: u8) -> &mut u32 {
        &mut self.hashes[usize::from(number) - 1]
    }

    pub(crate) fn note(&mut self, number: u8, hash: u32) {
        let known = core::mem::replace(self.hash_of(number), hash);
        self.came += u8::from(known == 0);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.came == self.name.total
    }
}

/// All messages that one shard gathers or remembers.
#[derive(Debug)]
pub(crate) struct Gather {
    pub(crate) messages: Arena<Gathering>,
    pub(crate) places: HashMap<MessageName, Key, FixedState>,
    /// Messages in [`Stage::Waiting`], by deadline.
    pub(crate) waiting: List,
    /// Messages that are only remembered, by deadline.
    pub(crate) remembered: List,
    /// Of all parts that wait here.
    pub(crate) octets: usize,
    /// Deliveries: parts with the shard that gathers them, by deadline.
    pub(crate) elsewhere: List,
    /// Time of the last tick, for those who answer without knowing the time.
    pub(crate) clock: Instant,
    /// Working space of the joining.
    pub(crate) tlvs: BytesMut,
    pub(crate) whole: BytesMut,
}

impl Gather {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            messages: Arena::new(MO_GATHERED_MAX),
            places: HashMap::with_hasher(FixedState::with_seed(seed)),
            waiting: List::default(),
            remembered: List::default(),
            octets: 0,
            elsewhere: List::default(),
            clock: Instant::default(),
            tlvs: BytesMut::new(),
            whole: BytesMut::new(),
        }
    }

    /// A place for one more message, that of the oldest memory at need.
    pub(crate) fn open(&mut self, now: Instant, name: MessageName, owner: Owner) -> Option<Key> {
        if self.messages.open() >= MO_GATHERED_MAX {
            let oldest = self.messages.first(&self.remembered)?; // none: all wait
            self.forget(oldest);
        }
        let (key, message) = self.messages.insert()?;
        message.start(now, name, owner);
        self.messages.push_back(&mut self.waiting, key);
        self.places.insert(name, key);
        Some(key)
    }

    /// Keeps a message in mind that waits for nothing more.
    pub(crate) fn remember(&mut self, now: Instant, key: Key, stage: Stage) {
        self.leave(key);
        let message = &mut self.messages[key];
        message.stage = stage;
        message.deadline = now + MO_REMEMBER_MAX;
        self.messages.push_back(&mut self.remembered, key);
    }

    /// Takes a message out of the list it is in.
    pub(crate) fn leave(&mut self, key: Key) {
        match self.messages[key].stage {
            Stage::Waiting => self.messages.remove(&mut self.waiting, key),
            Stage::Passing | Stage::Answered => self.messages.remove(&mut self.remembered, key),
            Stage::Joined(_) => {}
        }
    }

    /// Closes a message that has no part waiting.
    pub(crate) fn forget(&mut self, key: Key) {
        self.leave(key);
        let message = &self.messages[key];
        assert!(message.parts.is_empty());
        self.places.remove(&message.name);
        self.messages.close(key);
    }
}

/// Never 0.
pub(crate) fn hash_of(text: &[u8]) -> u32 {
    HASHES.hash_one(text) as u32 | 1
}

impl Owner {
    /// Whose the message is that this part belongs to.
    pub(crate) fn of(snapshot: &Snapshot, destination: &[u8], part: &MoPart, pdu: &[u8]) -> Self {
        let Some(number) = snapshot.number(destination) else { return Self::Nobody };
        if number.has_keywords() && part.part.number != 1 {
            return Self::AsksFirst;
        }
        number.owner(part.data_coding, part.text(pdu)).map_or(Self::Nobody, Self::Is)
    }

    /// The account, the number's own where the first part is missing.
    pub(crate) fn account(self, snapshot: &Snapshot, destination: &[u8]) -> Option<AccountId> {
        match self {
            Self::Is(account) => Some(account),
            Self::Nobody => None,
            Self::AsksFirst => snapshot.owner(destination),
        }
    }
}
