//! Parts of MO that wait for one another: until the first one tells by its keyword whose they are or, where the owner
//! wants its messages whole, until all are there. The vendor waits with them: each part is answered with what became
//! of the message.
//!
//! ```text
//! part -> Waiting -- owner known, wants parts --------------> Passing: each part to the owner as it comes
//!            |  \--- time over, table full, cannot be joined ----^
//!            |
//!            +------ owner known, wants it whole, all there -> Joined -> answered with status 0 -> Answered
//! ```
//!
//! Passing and Answered are memory: late parts find their owner and what a vendor sends again is answered like its first
//! copy. A part whose number came before with another text is of another message under the same reference.

use crate::arena::{Arena, List, slot_octets};
use crate::message::{AccountId, Key, ShardIndex, VendorId};
use crate::open::{DeliveryPlace, Gathered};
use crate::part::MoPart;
use crate::refusal::DeliveryRefusal;
use crate::relay::Relay;
use crate::snapshot::Snapshot;
use bytes::BytesMut;
use core::hash::BuildHasher;
use core::time::Duration;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smpp::dialect::Dialect;
use smpp::field::{CommandStatus, DataCoding};
use smpp::pdu::{DataSm, DeliverSm, Pdu};
use smpp::text::segment::{Marking, PARTS_MAX, write_whole};
use smpp::time::Instant;
use smpp::tlv::Tlvs;
use smpp::wire::Frame;

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
    total: u8,
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

    fn destination(&self) -> &[u8] {
        &self.destination[..usize::from(self.destination_length)]
    }
}

/// Whose a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Owner {
    /// Its first part will tell.
    AsksFirst,
    /// This account's.
    Is(AccountId),
    /// No keyword fits and the number has no owner.
    Nobody,
}

/// How far a message is; see the head of this file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
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
    name: MessageName,
    stage: Stage,
    owner: Owner,
    /// The parts that wait, each once, as they came.
    parts: List,
    /// Of the text of each part that came, by number from 1; 0 = it did not come.
    hashes: Vec<u32>,
    /// How many came.
    came: u8,
    /// Of the parts that wait.
    octets: usize,
    data_coding: DataCoding,
    /// Nothing stands against making one of the parts: one coding, no other header.
    may_be_joined: bool,
    deadline: Instant,
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
    fn start(&mut self, now: Instant, name: MessageName, owner: Owner) {
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
    fn hash_of(&mut self, number: u8) -> &mut u32 {
        &mut self.hashes[usize::from(number) - 1]
    }

    fn note(&mut self, number: u8, hash: u32) {
        let known = core::mem::replace(self.hash_of(number), hash);
        self.came += u8::from(known == 0);
    }

    fn is_complete(&self) -> bool {
        self.came == self.name.total
    }
}

/// All messages that one shard gathers or remembers.
#[derive(Debug)]
pub(crate) struct Gather {
    messages: Arena<Gathering>,
    places: HashMap<MessageName, Key, FixedState>,
    /// Messages in [`Stage::Waiting`], by deadline.
    waiting: List,
    /// Messages that are only remembered, by deadline.
    remembered: List,
    /// Of all parts that wait here.
    octets: usize,
    /// Deliveries: parts with the shard that gathers them, by deadline.
    pub(crate) elsewhere: List,
    /// Time of the last tick, for those who answer without knowing the time.
    clock: Instant,
    /// Working space of the joining.
    tlvs: BytesMut,
    whole: BytesMut,
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
    fn open(&mut self, now: Instant, name: MessageName, owner: Owner) -> Option<Key> {
        if self.messages.open() >= MO_GATHERED_MAX {
            let oldest = self.messages.first(&self.remembered)?;
            self.forget(oldest);
        }
        let (key, message) = self.messages.insert()?;
        message.start(now, name, owner);
        self.messages.push_back(&mut self.waiting, key);
        self.places.insert(name, key);
        Some(key)
    }

    /// Keeps a message in mind that waits for nothing more.
    fn remember(&mut self, now: Instant, key: Key, stage: Stage) {
        self.leave(key);
        let message = &mut self.messages[key];
        message.stage = stage;
        message.deadline = now + MO_REMEMBER_MAX;
        self.messages.push_back(&mut self.remembered, key);
    }

    /// Takes a message out of the list it is in.
    fn leave(&mut self, key: Key) {
        match self.messages[key].stage {
            Stage::Waiting => self.messages.remove(&mut self.waiting, key),
            Stage::Passing | Stage::Answered => self.messages.remove(&mut self.remembered, key),
            Stage::Joined(_) => {}
        }
    }

    /// Closes a message that has no part waiting.
    fn forget(&mut self, key: Key) {
        self.leave(key);
        let message = &self.messages[key];
        assert!(message.parts.is_empty());
        self.places.remove(&message.name);
        self.messages.close(key);
    }
}

/// Never 0.
fn hash_of(text: &[u8]) -> u32 {
    HASHES.hash_one(text) as u32 | 1
}

impl Owner {
    /// Whose the message is that this part belongs to.
    fn of(snapshot: &Snapshot, destination: &[u8], part: &MoPart, pdu: &[u8]) -> Self {
        let Some(number) = snapshot.number(destination) else { return Self::Nobody };
        if number.has_keywords() && part.part.number != 1 {
            return Self::AsksFirst;
        }
        number.owner(part.data_coding, part.text(pdu)).map_or(Self::Nobody, Self::Is)
    }

    /// The account, the number's own where the first part is missing.
    fn account(self, snapshot: &Snapshot, destination: &[u8]) -> Option<AccountId> {
        match self {
            Self::Is(account) => Some(account),
            Self::Nobody => None,
            Self::AsksFirst => snapshot.owner(destination),
        }
    }
}

impl Relay {
    /// A part of a message that is gathered here.
    pub(crate) fn gather(&mut self, now: Instant, key: Key, part: &MoPart, name: MessageName) {
        self.counters.traffic.mo_parts += 1;
        let delivery = &mut self.deliveries[key];
        let number = part.part.number;
        delivery.gathered = Gathered { number, text: part.text_place(), ..Gathered::default() };
        let hash = hash_of(part.text(&delivery.pdu));
        if let Some(message) = self.gather.places.get(&name).copied() {
            let known = *self.gather.messages[message].hash_of(number);
            if known == 0 || known == hash {
                return self.gather_more(now, message, key, part, hash);
            }
            self.give_up(now, message); // the reference is used again
        }
        let owner = Owner::of(&self.snapshot, name.destination(), part, &self.deliveries[key].pdu);
        match self.gather.open(now, name, owner) {
            Some(message) => self.wait_for_parts(now, message, key, part, hash),
            None => {
                self.counters.traffic.mo_gather_full += 1;
                self.give_part(now, key, part);
            }
        }
    }

    /// A part of a message that is known: one more, or one that came before.
    fn gather_more(&mut self, now: Instant, message: Key, key: Key, part: &MoPart, hash: u32) {
        let gathering = &mut self.gather.messages[message];
        let is_copy = *gathering.hash_of(part.part.number) != 0;
        match gathering.stage {
            Stage::Waiting if is_copy => self.wait_for_copy(now, message, key),
            Stage::Waiting => self.wait_for_parts(now, message, key, part, hash),
            Stage::Joined(whole) => self.hang(whole, key),
            Stage::Answered => self.answer_vendor(key, CommandStatus::ESME_ROK),
            Stage::Passing => {
                gathering.note(part.part.number, hash);
                if part.part.number == 1 {
                    let destination = gathering.name.destination();
                    gathering.owner = Owner::of(&self.snapshot, destination, part, &self.deliveries[key].pdu);
                }
                let owner = gathering.owner.account(&self.snapshot, gathering.name.destination());
                self.gather.remember(now, message, Stage::Passing);
                self.give_to_owner(now, key, owner);
            }
        }
    }

    /// Puts a part with those that wait, and looks whether they have waited for it.
    fn wait_for_parts(&mut self, now: Instant, message: Key, key: Key, part: &MoPart, hash: u32) {
        let delivery = &mut self.deliveries[key];
        delivery.place = DeliveryPlace::Gathering;
        let gathering = &mut self.gather.messages[message];
        if gathering.came == 0 {
            gathering.data_coding = part.data_coding;
        }
        if gathering.owner == Owner::AsksFirst {
            gathering.owner = Owner::of(&self.snapshot, gathering.name.destination(), part, &delivery.pdu);
        }
        gathering.may_be_joined &= part.is_plain && part.data_coding == gathering.data_coding;
        gathering.note(part.part.number, hash);
        self.deliveries.push_back(&mut gathering.parts, key);
        if self.holds_too_much(message, key) {
            return self.pass(now, message);
        }
        self.settle_gathering(now, message);
    }

    /// The same part again, while its message waits: answered with its first copy.
    fn wait_for_copy(&mut self, now: Instant, message: Key, key: Key) {
        let number = self.deliveries[key].gathered.number;
        let mut first = self.deliveries.first(&self.gather.messages[message].parts);
        while let Some(part) = first
            && self.deliveries[part].gathered.number != number
        {
            first = self.deliveries.after(part);
        }
        let first = first.expect("a part that came waits while its message does");
        self.hang(first, key);
        if self.holds_too_much(message, key) {
            self.pass(now, message);
        }
    }

    /// Adds a part's octets; whether that is more than may wait.
    fn holds_too_much(&mut self, message: Key, key: Key) -> bool {
        let octets = self.deliveries[key].pdu.len();
        self.gather.messages[message].octets += octets;
        self.gather.octets += octets;
        let is_full = self.gather.octets > MO_GATHERED_OCTETS_MAX;
        self.counters.traffic.mo_gather_full += u64::from(is_full);
        is_full
    }

    /// Lets the vendor's answer to one delivery answer another.
    fn hang(&mut self, on: Key, key: Key) {
        let twin = core::mem::replace(&mut self.deliveries[on].gathered.twin, key);
        let delivery = &mut self.deliveries[key];
        delivery.place = DeliveryPlace::Twin;
        let mut last = key;
        while self.deliveries[last].gathered.twin != Key::NONE {
            last = self.deliveries[last].gathered.twin;
        }
        self.deliveries[last].gathered.twin = twin;
    }

    /// Delivers what waits, as soon as it is known how.
    fn settle_gathering(&mut self, now: Instant, message: Key) {
        let gathering = &self.gather.messages[message];
        let owner = match gathering.owner {
            Owner::AsksFirst => return,
            Owner::Is(account) => self.snapshot.account(account).filter(|account| account.reassemble),
            Owner::Nobody => None,
        };
        match owner.map(|account| account.id) {
            Some(owner) if gathering.may_be_joined => {
                if gathering.is_complete() && !self.join(now, message, owner) {
                    self.pass(now, message);
                }
            }
            _ => self.pass(now, message),
        }
    }

    /// Gives each part that waits to the owner, and the late ones from now on.
    fn pass(&mut self, now: Instant, message: Key) {
        self.gather.remember(now, message, Stage::Passing);
        self.release_parts(message, |relay, key, owner| relay.give_to_owner(now, key, owner));
    }

    /// Takes all parts off a message.
    fn release_parts(&mut self, message: Key, release: impl Fn(&mut Self, Key, Option<AccountId>)) {
        let gathering = &mut self.gather.messages[message];
        let owner = gathering.owner.account(&self.snapshot, gathering.name.destination());
        self.gather.octets -= core::mem::take(&mut gathering.octets);
        while let Some(key) = self.deliveries.first(&self.gather.messages[message].parts) {
            self.deliveries.remove(&mut self.gather.messages[message].parts, key);
            self.deliveries[key].place = DeliveryPlace::Hands;
            release(self, key, owner);
        }
    }

    /// Another message came under its name.
    fn give_up(&mut self, now: Instant, message: Key) {
        match self.gather.messages[message].stage {
            Stage::Waiting => {
                self.counters.traffic.mo_incomplete += 1;
                self.pass(now, message);
            }
            Stage::Joined(whole) => self.deliveries[whole].gathered.whole = Key::NONE,
            Stage::Passing | Stage::Answered => {}
        }
        self.gather.forget(message);
    }

    /// Makes one delivery of all parts; the others hang on it. False when the whole would be too long, or is not to be
    /// had from the first part.
    fn join(&mut self, now: Instant, message: Key, owner: AccountId) -> bool {
        let mut parts = [Key::NONE; PARTS_MAX];
        let parts = self.in_order(message, &mut parts);
        let first = parts[0];
        if !self.write_whole(parts) {
            return false;
        }
        let pdu = &mut self.deliveries[first].pdu;
        pdu.clear();
        pdu.extend_from_slice(&self.gather.whole);
        self.release_parts(message, |_, _, _| {});
        for part in &parts[1..] {
            self.hang(first, *part);
        }
        self.gather.leave(message);
        self.gather.messages[message].stage = Stage::Joined(first);
        self.deliveries[first].gathered.whole = message;
        self.counters.traffic.mo_reassembled += 1;
        self.give_to(now, first, owner);
        true
    }

    /// The parts of a complete message by their numbers.
    fn in_order<'a>(&self, message: Key, parts: &'a mut [Key; PARTS_MAX]) -> &'a [Key] {
        let gathering = &self.gather.messages[message];
        let mut next = self.deliveries.first(&gathering.parts);
        while let Some(key) = next {
            parts[usize::from(self.deliveries[key].gathered.number) - 1] = key;
            next = self.deliveries.after(key);
        }
        &parts[..usize::from(gathering.name.total)]
    }

    /// Writes the whole PDU into the working space.
    fn write_whole(&mut self, parts: &[Key]) -> bool {
        let deliveries = &self.deliveries;
        let Gather { tlvs, whole, .. } = &mut self.gather;
        let text = |key: &Key| {
            let part = &deliveries[*key];
            crate::part::octets(&part.pdu, part.gathered.text)
        };
        // What the vendor's own dialect let pass is read again here, whichever it was.
        let first = Frame::whole(&deliveries[parts[0]].pdu)
            .and_then(|frame| Pdu::decode(frame, &Dialect::tolerant()).ok());
        tlvs.clear();
        whole.clear();
        let is_written = match first {
            Some(Pdu::DeliverSm(pdu)) if write_whole(&pdu.tlvs, parts.iter().map(text), tlvs) => {
                let esm_class = pdu.esm_class.with_user_data_header(false);
                DeliverSm { esm_class, short_message: &[], tlvs: Tlvs::new(tlvs), ..pdu }.encode(
                    CommandStatus::ESME_ROK,
                    0,
                    whole,
                );
                true
            }
            Some(Pdu::DataSm(pdu)) if write_whole(&pdu.tlvs, parts.iter().map(text), tlvs) => {
                let esm_class = pdu.esm_class.with_user_data_header(false);
                DataSm { esm_class, tlvs: Tlvs::new(tlvs), ..pdu }.encode(CommandStatus::ESME_ROK, 0, whole);
                true
            }
            _ => false,
        };
        is_written && whole.len() <= self.snapshot.limits().pdu_size_max as usize
    }

    /// The vendor was told what became of a whole message. After a no it sends the parts again.
    pub(crate) fn whole_answered(&mut self, message: Key, status: CommandStatus) {
        if self.gather.messages.get(message).is_none() {
            return;
        }
        if status == CommandStatus::ESME_ROK {
            self.gather.remember(self.gather.clock, message, Stage::Answered);
        } else {
            self.gather.forget(message);
        }
    }

    /// A part that is not gathered: to whom it belongs by itself.
    pub(crate) fn give_part(&mut self, now: Instant, key: Key, part: &MoPart) {
        let pdu = &self.deliveries[key].pdu;
        let destination = part.destination(pdu);
        let owner = Owner::of(&self.snapshot, destination, part, pdu).account(&self.snapshot, destination);
        self.give_to_owner(now, key, owner);
    }

    /// Ends what waited, or was remembered, long enough.
    pub(crate) fn expire_gathers(&mut self, now: Instant) {
        self.gather.clock = now;
        while let Some(message) = self.gather.messages.first(&self.gather.waiting)
            && self.gather.messages[message].deadline <= now
        {
            self.counters.traffic.mo_incomplete += 1;
            self.pass(now, message);
        }
        while let Some(message) = self.gather.messages.first(&self.gather.remembered)
            && self.gather.messages[message].deadline <= now
        {
            self.gather.forget(message);
        }
        self.expire_parts_elsewhere(now);
    }

    /// A drain begins: the missing parts would be refused, so the vendor keeps the whole message.
    pub(crate) fn refuse_gathered(&mut self) {
        while let Some(message) = self.gather.messages.first(&self.gather.waiting) {
            self.release_parts(message, |relay, key, _| {
                relay.refuse_delivery(key, DeliveryRefusal::Draining);
            });
            self.gather.forget(message);
        }
    }
}
