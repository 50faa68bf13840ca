//! Records: what became of each message, for accounts, for looking up, for disputes. One struct, of nearly fixed size,
//! without heap memory, so that making one allocates nothing. Message text is never in it. How one is made:
//! `drafts.rs`.

use crate::message::{AccountId, MessageState, ShardIndex, VendorId};
use crate::open::TRIES_MAX;
use crate::refusal::Refusal;
use crate::store_op::VendorMessageId;
use core::time::Duration;
use smpp::field::{Address, CommandStatus, MessageState as NetworkState, Npi, Ton};
use smpp::text::message_id::GatewayId;
use smpp::text::segment::Part;

/// One thing that happened to a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// The node that made it.
    pub node: u8,
    /// The shard that made it.
    pub shard: ShardIndex,
    /// Grows by one with each record of a shard and begins with the nanoseconds of the shard's start, so that node, shard
    /// and number together are given once over all lives.
    pub number: u64,
    /// Wall time since 1970 UTC at which it began: the submit was accepted, the delivery came in.
    pub at: Duration,
    /// What it was.
    pub kind: RecordKind,
}

impl Record {
    /// Version of the form; grows with every change that readers must know of.
    pub const VERSION: u8 = 1;
}

/// What a record tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordKind {
    /// A customer's submit, from its coming to its answer. Exactly one for each but for duplicates. With the customer's
    /// mode store and forward it ends with the spool's word, in state `Admitted`, and [`Self::Settled`] follows.
    Submit(SubmitRecord),
    /// A submit that was recognised as an earlier message, and answered with the id of that one, which is the id here.
    Duplicate(SubmitRecord),
    /// A message that the spool had is settled for good.
    Settled(SettledRecord),
    /// A receipt or MO that found its end: taken, refused, parked, orphaned.
    Delivery(DeliveryRecord),
    /// An unknown outcome that became known after the customer was answered.
    Resolved(ResolvedRecord),
}

/// An address as it stood in the PDU, at most 20 octets (SMPP 3.4 §5.2.9); a longer one of a data_sm is cut.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Number {
    /// Type of number.
    pub ton: Ton,
    /// Numbering plan.
    pub npi: Npi,
    length: u8,
    octets: [u8; Self::LENGTH_MAX],
}

impl Number {
    /// Longest address kept, octets.
    pub const LENGTH_MAX: usize = 20;

    /// Copies an address.
    pub fn new(address: &Address<'_>) -> Self {
        let length = address.digits.len().min(Self::LENGTH_MAX);
        let mut octets = [0; Self::LENGTH_MAX];
        octets[..length].copy_from_slice(&address.digits[..length]);
        Self { ton: address.ton, npi: address.npi, length: length as u8, octets }
    }

    /// The digits (or letters).
    pub fn digits(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    /// The same with its last `count` octets as `*`.
    pub fn masked(mut self, count: usize) -> Self {
        let length = usize::from(self.length);
        self.octets[length.saturating_sub(count)..length].fill(b'*');
        self
    }
}

impl Default for Number {
    fn default() -> Self {
        Self::new(&Address::default())
    }
}

/// A customer's submit. Times count from [`Record::at`], the moment it was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SubmitRecord {
    /// Our id; none when it was refused before it got one.
    pub gateway_id: Option<GatewayId>,
    /// Whose; none when the link was not bound.
    pub account: Option<AccountId>,
    /// Whom it was handed to, in order; provably unsent copies are not among them.
    pub(crate) vendors: [VendorId; TRIES_MAX],
    pub(crate) vendor_count: u8,
    /// Who accepted it.
    pub(crate) accepted_by: Option<VendorId>,
    /// Copies handed to vendors; may be more than vendors are listed.
    pub copies: u8,
    /// When a first place was found for it.
    pub routed_after: Option<Duration>,
    /// When the last copy was handed to a link or another shard.
    pub sent_after: Option<Duration>,
    /// When a vendor answered last.
    pub acknowledged_after: Option<Duration>,
    /// When it was closed, which is when the customer was answered.
    pub answered_after: Duration,
    /// From whom.
    pub source: Number,
    /// To whom.
    pub destination: Number,
    /// The customer's user_message_reference, where it gave one.
    pub reference: Option<u16>,
    /// The sequence number of the customer's request.
    pub sequence: u32,
    /// True for data_sm.
    pub is_data: bool,
    /// data_coding.
    pub data_coding: u8,
    /// esm_class.
    pub esm_class: u8,
    /// Which part of a long message it is.
    pub part: Option<Part>,
    /// What the customer was told; none when its session had gone.
    pub customer_status: Option<CommandStatus>,
    /// What the last vendor that answered said.
    pub vendor_status: Option<CommandStatus>,
    /// The id of the vendor that accepted it, normalised by that vendor's id rule.
    pub vendor_message_id: Option<VendorMessageId>,
    /// How it ended.
    pub state: MessageState,
    /// Why we said no, where it was us.
    pub refusal: Option<Refusal>,
    /// Vendors may have two copies: of two the outcome is unknown, or of one, and another was accepted.
    pub possible_duplicate: bool,
}

impl SubmitRecord {
    /// Whom it was handed to, in order.
    pub fn vendors(&self) -> &[VendorId] {
        &self.vendors[..usize::from(self.vendor_count)]
    }

    /// Who has it; else whom it was handed to last.
    pub fn vendor(&self) -> Option<VendorId> {
        self.accepted_by.or_else(|| self.vendors().last().copied())
    }

    /// The customer's name for it: its user_message_reference, else its sequence number.
    pub fn customer_reference(&self) -> u32 {
        self.reference.map_or(self.sequence, u32::from)
    }

    pub(crate) fn handed(&mut self, vendor: VendorId) {
        self.copies = self.copies.saturating_add(1);
        if usize::from(self.vendor_count) < TRIES_MAX {
            self.vendors[usize::from(self.vendor_count)] = vendor;
            self.vendor_count += 1;
        }
    }

    pub(crate) fn unsent(&mut self) {
        self.copies = self.copies.saturating_sub(1);
        self.vendor_count = self.vendor_count.min(self.copies);
        self.sent_after = None;
    }
}

/// What a receipt says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiptFacts {
    /// The state, where it is one of the standard's.
    pub state: Option<NetworkState>,
    /// The network's error code, where there is one.
    pub error: Option<u32>,
    /// True when no other follows.
    pub is_final: bool,
}

/// What became of a receipt or MO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DeliveryOutcome {
    /// The customer took it.
    #[default]
    Taken,
    /// The customer refused it for good.
    Rejected,
    /// It waits on disk for its customer. Another record follows when that has it.
    Parked,
    /// Nobody owns it; kept apart.
    Orphan,
    /// Acknowledged and dropped, since there is no store to match it with.
    Uncorrelated,
    /// No message of ours fits it yet; kept for a while. Another record follows when one comes that does.
    Early,
    /// Sent again by its vendor, and answered again.
    Repeated,
    /// Its customer did not ask for it; acknowledged, and dropped.
    Unasked,
}

impl DeliveryOutcome {
    /// The word for files and tables.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Rejected => "rejected",
            Self::Parked => "parked",
            Self::Orphan => "orphan",
            Self::Uncorrelated => "uncorrelated",
            Self::Early => "early",
            Self::Repeated => "repeated",
            Self::Unasked => "unasked",
        }
    }
}

/// A receipt or MO. [`Record::at`] is when it came in, or was handed out by the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeliveryRecord {
    /// The message that a receipt is about, where it is known.
    pub gateway_id: Option<GatewayId>,
    /// Whose, where it is known.
    pub account: Option<AccountId>,
    /// Whence; none when it comes out of the store, which does not keep that.
    pub vendor: Option<VendorId>,
    /// The vendor's id for the message, normalised by its id rule.
    pub vendor_message_id: Option<VendorMessageId>,
    /// What it says; none for an MO.
    pub receipt: Option<ReceiptFacts>,
    /// From whom.
    pub source: Number,
    /// To whom.
    pub destination: Number,
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// The customer's answer, where it gave one.
    pub customer_status: Option<CommandStatus>,
    /// True when it had been parked before.
    pub was_parked: bool,
    /// When that was certain.
    pub ended_after: Duration,
}

/// What became of a message that the customer was told is accepted before a vendor had it. [`Record::at`] is when its last
/// way to a vendor began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SettledRecord {
    /// Our id of the message.
    pub gateway_id: GatewayId,
    /// Whose.
    pub account: AccountId,
    /// Who has it, or the last one that was tried on the last way.
    pub vendor: Option<VendorId>,
    /// The vendor's id for it, normalised by its id rule.
    pub vendor_message_id: Option<VendorMessageId>,
    /// The last word of a vendor, or the status that a receipt of ours tells.
    pub status: Option<CommandStatus>,
    /// Ways to a vendor that it was on, since the spool was opened.
    pub tries: u16,
    /// Why no vendor has it for certain; none when one took it.
    pub fate: Option<NetworkState>,
    /// Vendors may have two copies: of two the outcome is unknown, or of one, and another was accepted.
    pub possible_duplicate: bool,
    /// When that was certain.
    pub ended_after: Duration,
}

impl SettledRecord {
    /// How it ended, in the words of submits.
    pub fn state(&self) -> MessageState {
        match self.fate {
            None => MessageState::Acked,
            Some(NetworkState::Expired) => MessageState::ExpiredUnsent,
            Some(NetworkState::Unknown) => MessageState::Unknown,
            Some(_) => MessageState::Nacked,
        }
    }
}

/// A later receipt told what became of a message of unknown outcome.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResolvedRecord {
    /// Our id of the message.
    pub gateway_id: GatewayId,
    /// Whose.
    pub account: AccountId,
    /// Who had it.
    pub vendor: VendorId,
    /// The vendor's id for it, normalised by its id rule.
    pub vendor_message_id: Option<VendorMessageId>,
    /// What it is now.
    pub state: MessageState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_masked_from_its_end() {
        let check = |digits: &[u8], expected: &[u8]| {
            let number = Number::new(&Address { digits, ..Address::default() });
            assert_eq!(number.masked(4).digits(), expected);
        };
        check(b"12025550123", b"1202555****");
        check(b"123", b"***");
        check(b"", b"");
        check(&[b'7'; 65], b"7777777777777777****");
    }

    #[test]
    fn a_record_stays_small() {
        // Each waits in queues by the ten thousand.
        assert!(size_of::<Record>() <= 480, "{}", size_of::<Record>());
    }
}
