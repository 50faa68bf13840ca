//! What is open: submits on their way to a vendor, deliveries on their way to a customer. Both are slots of an
//! arena whose buffers are used again.

use crate::early::Tells;
use crate::form::Form;
use crate::message::{HandOver, Key, LinkKey, MessageEvent, MessageKey, MessageState, ShardIndex};
use crate::route::{Encoding, PlanIndex};
use crate::snapshot::UnknownOutcome;
use crate::spool_op::Fate;
use crate::store_op::{CorrelationKey, ParkedId};
use crate::together::PartOf;
use smpp::error::Field;
use smpp::field::{CommandId, RegisteredDelivery};
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use smpp::version::Unsayable;

/// A closed slot keeps its buffer up to this size: nearly every PDU fits, and `messages_max` times this bounds what
/// idle slots hold.
pub(crate) const BUFFER_KEPT_MAX: usize = 1024;
/// Vendors that one message can be tried on; [`crate::Limits::attempts_max`] stays within.
pub(crate) const TRIES_MAX: usize = 8;
/// Sessions that one delivery is tried on before it is parked: one may be ill, two rarely are.
pub(crate) const DELIVERY_TRIES_MAX: usize = 3;

/// Who waits for the answer to a submit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// A customer's session, by this sequence number.
    Customer { session: Key, link: LinkKey, sequence: u32 },
    /// Another shard, by its hand-over.
    Shard { shard: ShardIndex, hand_over: HandOver },
    /// Nobody: the customer has its answer, and the spool the message. `tries` is how often it was deferred, `again`
    /// whether the spool handed it out.
    Spool { tries: u16, again: bool },
    /// Another node, on its session, by this sequence number.
    Node { link: LinkKey, sequence: u32 },
}

impl Origin {
    /// Whether somebody else decides about the message, and this shard only sends it.
    #[inline]
    pub(crate) const fn is_served(&self) -> bool {
        matches!(self, Self::Shard { .. } | Self::Node { .. })
    }
}

/// Where a message waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Nowhere: it is being worked on.
    Hands,
    /// In its vendor's queue.
    Queue,
    /// On its link.
    Link,
    /// With another shard; in the list of remote waits.
    Shard(ShardIndex),
    /// For the store; in the list of store waits.
    Store,
    /// For the spool to keep it; in the list of its waits.
    Spool,
}

/// One open submit.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) state: MessageState,
    pub(crate) place: Place,
    pub(crate) origin: Origin,
    pub(crate) command: CommandId,
    pub(crate) wants_receipt: bool,
    /// Which receipts its customer asked for.
    pub(crate) registered: RegisteredDelivery,
    /// Its receipts go before others.
    pub(crate) urgent: bool,
    /// A copy may be with a vendor although another is tried: a later no is not definite.
    pub(crate) maybe_sent: bool,
    /// Of a message in store and forward: copies of unknown outcome so far, in all rounds.
    pub(crate) unknown_copies: u8,
    /// It has its slot, and goes once the spool has noted that.
    pub(crate) is_noting: bool,
    /// The spool has noted it since it handed the message out; that holds for further copies, too.
    pub(crate) is_noted: bool,
    /// Vendors may have two copies of which none is answered.
    pub(crate) maybe_twice: bool,
    pub(crate) tries: u8,
    /// The first `tries` are vendors that had it.
    pub(crate) tried: [u16; TRIES_MAX],
    /// Times it came back unsent from where it had been handed to; within the bound of attempts it roams and gets
    /// new deadlines.
    pub(crate) returns: u8,
    /// Times it was handed to another shard; attempts and returns bound them, far below where the number wraps.
    pub(crate) hand_overs: u16,
    /// The policy when it was last handed to another shard. Its bytes went along, so that a new snapshot cannot say.
    pub(crate) policy: Option<UnknownOutcome>,
    pub(crate) account: u32,
    pub(crate) vendor: u16,
    pub(crate) link: Key,
    /// Its source and destination as one number, where a receipt may tell of it; see [`crate::in_flight`].
    pub(crate) addresses: u64,
    /// Of which long message it is a part.
    pub(crate) part_of: Option<PartOf>,
    /// By what the customer's resubmit is recognised. May be stale.
    pub(crate) resubmit: Key,
    pub(crate) plan: PlanIndex,
    /// Which snapshot `plan` speaks of.
    pub(crate) epoch: u32,
    pub(crate) draw: u64,
    pub(crate) gateway_id: GatewayId,
    pub(crate) submitted_at: u32,
    /// Its last copy went with other addresses than the customer's.
    pub(crate) is_rewritten: bool,
    /// Its last copy was written for a vendor of SMPP 3.3.
    pub(crate) is_older: bool,
    /// How its text is encoded.
    pub(crate) encoding: Encoding,
    /// A one-octet field with a reserved value, where a vendor takes none.
    pub(crate) reserved: Option<Field>,
    /// Why SMPP 3.3 cannot say it, where a vendor speaks that.
    pub(crate) unsayable: Option<Unsayable>,
    /// When its last copy went.
    pub(crate) sent_at: Instant,
    /// When its wait at `place` ends.
    pub(crate) deadline: Instant,
    /// As the customer sent it; empty while it is with another shard, unless a route changed its addresses.
    pub(crate) pdu: Vec<u8>,
    /// What goes to the vendor instead, where a route changes addresses or the vendor speaks SMPP 3.3; else empty.
    pub(crate) wire: Vec<u8>,
}

impl Message {
    /// Goes to the next state.
    ///
    /// # Panics
    /// When the event is not legal: the relay would be about to break a guarantee.
    #[inline]
    pub(crate) fn step(&mut self, event: MessageEvent) {
        match self.state.next(event) {
            Some(next) => self.state = next,
            None => panic!("{event:?} is not legal in {:?}", self.state),
        }
    }

    /// A slot that held another message before: all begins anew but for its buffer.
    #[inline]
    pub(crate) fn reset(&mut self) {
        let (pdu, mut wire) = (core::mem::take(&mut self.pdu), core::mem::take(&mut self.wire));
        wire.clear();
        *self = Self { pdu, wire, ..Self::default() };
    }

    /// What a vendor may look at. Nothing is known of its length while its bytes are elsewhere.
    #[inline]
    pub(crate) fn form(&self) -> Form {
        Form { length: self.pdu.len(), reserved: self.reserved, unsayable: self.unsayable }
    }

    /// Numbers one more hand-over to another shard of this message, which stands in slot `key`.
    pub(crate) fn hand_over(&mut self, key: Key) -> HandOver {
        self.hand_overs = self.hand_overs.wrapping_add(1);
        HandOver { message: MessageKey(key), number: self.hand_overs }
    }

    pub(crate) fn tried(&self) -> &[u16] {
        &self.tried[..usize::from(self.tries)]
    }

    /// Tries that are over, as the bound of attempts counts them.
    pub(crate) fn attempts(&self) -> u8 {
        self.tries
    }

    pub(crate) fn remember_try(&mut self, vendor: u16) {
        if usize::from(self.tries) < TRIES_MAX && !self.tried().contains(&vendor) {
            self.tried[usize::from(self.tries)] = vendor;
            self.tries += 1;
        }
    }
}

impl Default for Message {
    fn default() -> Self {
        Self {
            state: MessageState::Parsed,
            place: Place::Hands,
            origin: Origin::Customer { session: Key::NONE, link: LinkKey(0), sequence: 0 },
            command: CommandId::SUBMIT_SM,
            wants_receipt: false,
            registered: RegisteredDelivery::NONE,
            urgent: false,
            maybe_sent: false,
            unknown_copies: 0,
            is_noting: false,
            is_noted: false,
            maybe_twice: false,
            tries: 0,
            tried: [0; TRIES_MAX],
            returns: 0,
            hand_overs: 0,
            policy: None,
            account: 0,
            vendor: 0,
            link: Key::NONE,
            addresses: crate::in_flight::NO_ADDRESSES,
            part_of: None,
            resubmit: Key::NONE,
            plan: PlanIndex::default(),
            epoch: 0,
            draw: 0,
            gateway_id: GatewayId(0),
            submitted_at: 0,
            is_rewritten: false,
            is_older: false,
            encoding: Encoding::Gsm7,
            reserved: None,
            unsayable: None,
            sent_at: Instant::default(),
            deadline: Instant::default(),
            pdu: Vec::new(),
            wire: Vec::new(),
        }
    }
}

/// Who waits for the answer to a delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sender {
    /// A vendor's bind, by this sequence number.
    Vendor { link: Key, sequence: u32 },
    /// Another shard, by its key.
    Shard { shard: ShardIndex, delivery: crate::message::DeliveryKey },
    /// Another shard, by its key, for a part that is gathered here: it gets the vendor's answer.
    Part { shard: ShardIndex, delivery: crate::message::DeliveryKey },
    /// The store, which handed it out.
    Parked(ParkedId),
    /// A vendor that was answered already: the store keeps the receipt, and it may tell an unknown outcome.
    Nobody,
    /// The spool, which owes its customer this receipt.
    Spool { gateway_id: GatewayId, tries: u16, fate: Fate },
}

/// Where a delivery waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DeliveryPlace {
    /// Nowhere: it is being worked on.
    Hands,
    /// For the store to find its correlation; in the list of store waits.
    Finding,
    /// For its next look at unknown outcomes; in the list of this round.
    Early,
    /// For a window slot; in its account's list.
    Waiting,
    /// On a session.
    Session,
    /// With another shard; in the list of remote waits.
    Shard,
    /// For the store to park it; in the list of store waits.
    Parking,
    /// For the store to park it as an orphan; in the list of store waits.
    Orphaning,
    /// For the store to keep it until its message comes; in the list of store waits.
    Keeping,
    /// For other parts of its message; in the list of that message.
    Gathering,
    /// For the answer to the delivery that it hangs on; in no list.
    Twin,
    /// With the shard that gathers its message; in the list of parts elsewhere.
    PartElsewhere,
}

/// What is kept of a part of an MO that is gathered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathered {
    /// Which part it is; 0 = it is none.
    pub(crate) number: u8,
    /// Where its text lies in the PDU.
    pub(crate) text: (u32, u32),
    /// The next delivery that the vendor's answer to this one answers too: a copy, or a part of the same message.
    pub(crate) twin: Key,
    /// The message that this delivery carries whole.
    pub(crate) whole: Key,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { number: 0, text: (0, 0), twin: Key::NONE, whole: Key::NONE }
    }
}

/// One open delivery.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) place: DeliveryPlace,
    pub(crate) sender: Sender,
    pub(crate) command: CommandId,
    pub(crate) vendor: u16,
    pub(crate) account: u32,
    /// Of a receipt that can be matched.
    pub(crate) key: Option<CorrelationKey>,
    /// When it came from its vendor, seconds of Unix time.
    pub(crate) came_at: u32,
    /// The `submitted_at` of its correlation, once that is found.
    pub(crate) submitted_at: u32,
    /// Names a final receipt as its vendor sent it; 0 = it is none. See [`crate::seen::repetition_number`].
    pub(crate) content: u64,
    /// The message of its correlation, once that is found.
    pub(crate) gateway_id: GatewayId,
    /// The last receipt of its message.
    pub(crate) is_final: bool,
    /// What it tells.
    pub(crate) tells: Tells,
    /// Which spelling of its id is looked for.
    pub(crate) spelling: u8,
    /// Goes before others where it must wait.
    pub(crate) urgent: bool,
    pub(crate) shape: crate::receipt::Shape,
    pub(crate) early_round: u8,
    pub(crate) session: Key,
    pub(crate) tries: u8,
    /// The first `tries` are sessions that failed.
    pub(crate) tried: [Key; DELIVERY_TRIES_MAX],
    pub(crate) gathered: Gathered,
    /// When its wait at `place` ends.
    pub(crate) deadline: Instant,
    pub(crate) pdu: Vec<u8>,
    /// What goes to the customer instead, where its session speaks SMPP 3.3; else empty.
    pub(crate) wire: Vec<u8>,
}

impl Delivery {
    pub(crate) fn tried(&self) -> &[Key] {
        &self.tried[..usize::from(self.tries)]
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            place: DeliveryPlace::Hands,
            sender: Sender::Parked(ParkedId(0)),
            command: CommandId::DELIVER_SM,
            vendor: 0,
            account: 0,
            key: None,
            came_at: 0,
            submitted_at: 0,
            content: 0,
            gateway_id: GatewayId(0),
            is_final: false,
            tells: Tells::Unsure,
            spelling: 0,
            urgent: false,
            shape: crate::receipt::Shape::default(),
            early_round: 0,
            session: Key::NONE,
            tries: 0,
            tried: [Key::NONE; DELIVERY_TRIES_MAX],
            gathered: Gathered::default(),
            deadline: Instant::default(),
            pdu: Vec::new(),
            wire: Vec::new(),
        }
    }
}

impl Key {
    /// Names nothing: generation 0 is never open.
    pub(crate) const NONE: Self = Self { index: u32::MAX, generation: 0 };
}

/// Buffers that lost their slot while their bytes were with another shard or the store. Bounded: beyond it they are
/// freed.
#[derive(Debug, Default)]
pub(crate) struct SpareBuffers(Vec<Vec<u8>>);

/// Covers what one batch between shards holds; 1 MiB at most.
pub(crate) const SPARE_BUFFERS_MAX: usize = 1024;

impl SpareBuffers {
    /// Fills a slot's buffer with a copy, in a spare one when the slot's own is on its way.
    #[inline]
    pub(crate) fn fill(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) {
        if buffer.capacity() == 0
            && let Some(spare) = self.0.pop()
        {
            *buffer = spare;
        }
        buffer.clear();
        buffer.extend_from_slice(bytes);
    }

    /// Puts a buffer that came with its bytes into a slot, and keeps the slot's own.
    pub(crate) fn swap(&mut self, buffer: &mut Vec<u8>, arrived: Vec<u8>) {
        let own = core::mem::replace(buffer, arrived);
        self.keep(own);
    }

    /// Keeps a buffer for later.
    pub(crate) fn keep(&mut self, buffer: Vec<u8>) {
        if (1..=BUFFER_KEPT_MAX).contains(&buffer.capacity()) && self.0.len() < SPARE_BUFFERS_MAX {
            self.0.push(buffer);
        }
    }
}

/// Frees a closing slot's buffer where it is too big to keep.
#[inline]
pub(crate) fn trim(buffer: &mut Vec<u8>) {
    if buffer.capacity() > BUFFER_KEPT_MAX {
        *buffer = Vec::new();
    }
}
