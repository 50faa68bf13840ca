//! What the relay asks of a store, and the store's answers. A store keeps correlations (vendor and vendor's
//! message id -> customer and our id) and parked messages; how and where is its own affair.
//!
//! What the relay relies on:
//! * Operations of one relay take effect in the order given, so that a `Find` after a `Remember` finds it.
//! * Every operation that names a delivery or a message gets exactly one answer, or none when the store died:
//!   the relay then stops waiting after [`crate::Limits::store_wait_max`].
//! * `Parked`, `EarlyKept`, `OrphanParked` and (strict order) `Remembered` are answered only when the entry survives a
//!   restart of the node.
//! * An entry given out by `Unpark` is not given out again before its `Return` or the store's restart.

use crate::early::EarlyReceipt;
use crate::handset::{Finding, Handset, ReceiptNumbers};
use crate::message::{AccountId, DeliveryKey, MessageKey, VendorId};
use crate::name;
use crate::own_addresses::OwnAddresses;
use smpp::field::{CommandId, RegisteredDelivery};
use smpp::text::message_id::GatewayId;

/// A message id of at most 65 octets, normalised by its vendor's id rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VendorMessageId {
    length: u8,
    octets: [u8; Self::LENGTH_MAX],
}

impl VendorMessageId {
    /// 64 octets by SMPP 3.4 §5.2.23, one more for peers that count the NUL in.
    pub const LENGTH_MAX: usize = smpp::text::message_id::ID_LENGTH_MAX;

    /// Copies `id`; nothing when it is empty or longer than the standard allows.
    pub fn new(id: &[u8]) -> Option<Self> {
        if id.is_empty() || id.len() > Self::LENGTH_MAX {
            return None;
        }
        let mut octets = [0; Self::LENGTH_MAX];
        octets[..id.len()].copy_from_slice(id);
        Some(Self { length: id.len() as u8, octets })
    }

    /// The octets of the id.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }
}

impl core::fmt::Debug for VendorMessageId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

/// Under what correlations are kept: ids of two vendors never meet, and several open messages may share one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct CorrelationKey {
    /// The vendor that gave the id.
    pub vendor: VendorId,
    /// Its id, normalised.
    pub id: VendorMessageId,
}

/// What is kept of a message whose receipt is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Correlation {
    /// Who owns the message.
    pub account: AccountId,
    /// The id that its customer was given.
    pub gateway_id: GatewayId,
    /// When it was submitted, seconds since 1970 UTC; fits till 2106.
    pub submitted_at: u32,
    /// Its receipts go before others where they must wait.
    pub urgent: bool,
    /// Which receipts its customer asked for; of an earlier version 0, and then all are.
    pub registered: RegisteredDelivery,
    /// The number that the message went to, as the vendor got it: a receipt must fit it.
    pub handset: Handset,
    /// Marks the sender, as the vendor got it; see [`crate::handset`].
    pub sender: u16,
    /// Another message of the same id was open at the same time. The store says so.
    pub shared: bool,
    /// The customer's own addresses, where a route changed one of them on the way to the vendor.
    pub addresses: Option<OwnAddresses>,
}

/// Open messages of one id that a store keeps at most; one more takes the place of the oldest. A vendor that gives one id
/// to all messages must not make every look-up a search through them.
pub const SAME_ID_MAX: usize = 16;

impl Correlation {
    /// Of a message whose handset is not known.
    pub const fn new(account: AccountId, gateway_id: GatewayId, submitted_at: u32) -> Self {
        let (handset, sender, shared) = (Handset::NONE, 0, false);
        let (urgent, registered) = (false, RegisteredDelivery::NONE);
        Self {
            account,
            gateway_id,
            submitted_at,
            urgent,
            registered,
            handset,
            sender,
            shared,
            addresses: None,
        }
    }

    /// Octets of the longest packed form; below 256, so that one octet holds a length.
    pub const PACKED_LENGTH_MAX: usize =
        Self::HEAD + name::PACKED_LENGTH_MAX + OwnAddresses::PACKED_LENGTH_MAX;
    /// Octets before the account.
    const HEAD: usize = 23;
    /// The flag of an urgent message.
    const URGENT: u8 = 1;
    /// The flag of one whose addresses follow.
    const ADDRESSES: u8 = 2;
    /// The flag of a shared id.
    const SHARED: u8 = 4;
    /// Where the bits of registered_delivery stand among the flags: the two of the receipt, and the intermediate one.
    const RECEIPT_SHIFT: u32 = 3;
    const INTERMEDIATE: u8 = 0x20;
    /// Octets of the form that earlier versions wrote: account as a hash, gateway id, time.
    const OLDER_PLAIN: usize = 16;

    /// The packed form: gateway id, time, number of the handset, mark of the sender, flags, the account's name, and the
    /// customer's addresses where there are any. Gives the octets used.
    pub fn pack(&self, into: &mut [u8; Self::PACKED_LENGTH_MAX]) -> usize {
        into[..8].copy_from_slice(&self.gateway_id.0.to_be_bytes());
        into[8..12].copy_from_slice(&self.submitted_at.to_be_bytes());
        into[12..20].copy_from_slice(&self.handset.to_bytes());
        into[20..22].copy_from_slice(&self.sender.to_be_bytes());
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        into[22] = flag(self.urgent, Self::URGENT)
            | flag(self.addresses.is_some(), Self::ADDRESSES)
            | flag(self.shared, Self::SHARED)
            | (self.registered.0 & 3) << Self::RECEIPT_SHIFT
            | flag(self.registered.wants_intermediate(), Self::INTERMEDIATE);
        let length = Self::HEAD + name::pack(self.account.0, &mut into[Self::HEAD..]);
        self.addresses.as_ref().map_or(length, |addresses| length + addresses.pack(&mut into[length..]))
    }

    /// Reads the packed form; nothing when its length is wrong.
    pub fn from_bytes(packed: &[u8]) -> Option<Self> {
        let (gateway_id, rest) = packed.split_first_chunk::<8>()?;
        let (submitted_at, rest) = rest.split_first_chunk::<4>()?;
        let (handset, rest) = rest.split_first_chunk::<8>()?;
        let (sender, rest) = rest.split_first_chunk::<2>()?;
        let (flags, rest) = rest.split_first()?;
        let (account, rest) = name::unpack(rest)?;
        let addresses = match flags & Self::ADDRESSES {
            0 if rest.is_empty() => None,
            0 => return None,
            _ => Some(OwnAddresses::unpack(rest)?),
        };
        Some(Self {
            account: AccountId(account),
            gateway_id: GatewayId(u64::from_be_bytes(*gateway_id)),
            submitted_at: u32::from_be_bytes(*submitted_at),
            urgent: flags & Self::URGENT != 0,
            registered: RegisteredDelivery(
                flags >> Self::RECEIPT_SHIFT & 3
                    | if flags & Self::INTERMEDIATE != 0 { RegisteredDelivery::INTERMEDIATE } else { 0 },
            ),
            handset: Handset::from_bytes(*handset),
            sender: u16::from_be_bytes(*sender),
            shared: flags & Self::SHARED != 0,
            addresses,
        })
    }

    /// Octets of a packed form of an earlier version, with flags, that something else follows; nothing when it is cut.
    pub fn older_length(begin: &[u8]) -> Option<usize> {
        let (head, behind) = begin.split_at_checked(Self::OLDER_PLAIN + 1)?;
        let addresses = match head[Self::OLDER_PLAIN] & Self::ADDRESSES {
            0 => 0,
            _ => OwnAddresses::packed_length(behind)?,
        };
        Some(Self::OLDER_PLAIN + 1 + addresses)
    }

    /// Reads what an earlier version packed, also without flags: the account by the hash of its name, no number of the
    /// handset. Nothing when the length is wrong.
    pub fn from_older(packed: &[u8], account_of: impl Fn(u32) -> AccountId) -> Option<Self> {
        let (packed, rest) = packed.split_first_chunk::<{ Self::OLDER_PLAIN }>()?;
        let (flags, behind) = rest.split_first().map_or((0, rest), |(flags, behind)| (*flags, behind));
        let addresses = match flags & Self::ADDRESSES {
            0 if behind.is_empty() => None,
            0 => return None,
            _ => Some(OwnAddresses::unpack(behind)?),
        };
        let [a0, a1, a2, a3, g0, g1, g2, g3, g4, g5, g6, g7, t0, t1, t2, t3] = *packed;
        Some(Self {
            account: account_of(u32::from_le_bytes([a0, a1, a2, a3])),
            gateway_id: GatewayId(u64::from_le_bytes([g0, g1, g2, g3, g4, g5, g6, g7])),
            submitted_at: u32::from_le_bytes([t0, t1, t2, t3]),
            urgent: flags & Self::URGENT != 0,
            registered: RegisteredDelivery::NONE,
            handset: Handset::NONE,
            sender: 0,
            shared: false,
            addresses,
        })
    }
}

const _: () = assert!(Correlation::PACKED_LENGTH_MAX < 256);

/// Names a parked message that was handed out, within its account; the store gives it. Says nothing of the order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ParkedId(pub u64);

/// What the relay asks. `pdu` buffers come back in the answer, so that they can be used again.
#[derive(Debug, PartialEq, Eq)]
pub enum StoreOp {
    /// Keep the correlation; answered by `Remembered`. With relaxed order nobody waits for the answer.
    Remember {
        /// Whose customer waits for the answer.
        message: MessageKey,
        /// Under what.
        key: CorrelationKey,
        /// What.
        correlation: Correlation,
    },
    /// Look for the message of a receipt, leaving its correlation in place; answered by `Found`. [`crate::choose`] decides
    /// between messages that share the id.
    Find {
        /// The receipt that waits.
        delivery: DeliveryKey,
        /// Under what.
        key: CorrelationKey,
        /// The numbers in the receipt.
        numbers: ReceiptNumbers,
    },
    /// Keep a receipt that no open message fits, for a time; answered by `EarlyKept`. Then, and whenever a message of its id
    /// is remembered, the store looks whether one fits. If so it parks what [`crate::receipt_for`] writes, says `ParkedFor`
    /// to all, and with a final receipt drops the correlation. Never refused for want of room: the oldest gives way.
    KeepEarly {
        /// Whose vendor waits for its answer.
        delivery: DeliveryKey,
        /// Under what its message will be kept.
        key: CorrelationKey,
        /// What decides whether a message fits.
        receipt: EarlyReceipt,
        /// The PDU as the vendor sent it.
        pdu: Vec<u8>,
    },
    /// Drop the correlation of a message whose final receipt was taken or parked; others of the same id stay. No answer.
    Forget {
        /// Under what.
        key: CorrelationKey,
        /// Of which message.
        gateway_id: GatewayId,
        /// The correlation's own `submitted_at`: a store may keep each day apart.
        submitted_at: u32,
    },
    /// Keep a whole PDU for an account until it binds; answered by `Parked`.
    Park {
        /// Whose vendor waits for its answer.
        delivery: DeliveryKey,
        /// The owner.
        account: AccountId,
        /// Handed out before what is not.
        urgent: bool,
        /// The PDU as the customer shall get it, sequence number to be patched.
        pdu: Vec<u8>,
    },
    /// Keep a whole PDU whose owner is not known; answered by `OrphanParked`. The oldest gives way where there is no room.
    ParkOrphan {
        /// Whose vendor waits for its answer.
        delivery: DeliveryKey,
        /// Whence it came.
        vendor: VendorId,
        /// The PDU as the vendor sent it.
        pdu: Vec<u8>,
    },
    /// Hand out parked messages of an account, the urgent ones first, the oldest of each first; answered by
    /// `Unparked`.
    Unpark {
        /// The owner.
        account: AccountId,
        /// At most so many.
        count_max: u32,
    },
    /// The customer took a parked message: drop it. No answer.
    Release {
        /// The owner.
        account: AccountId,
        /// Which.
        parked: ParkedId,
    },
    /// The customer could not take a parked message: it may be handed out again. No answer.
    Return {
        /// The owner.
        account: AccountId,
        /// Which.
        parked: ParkedId,
    },
}

impl StoreOp {
    /// True for a word that changes what is stored and has no answer: where it vanished, a delivery would stay lent, or a
    /// correlation be kept, until its time to live ends.
    pub const fn must_be_told(&self) -> bool {
        matches!(self, Self::Forget { .. } | Self::Release { .. } | Self::Return { .. })
    }

    /// The answer when there is no store that works; none where none is waited for.
    pub fn away(self) -> Option<StoreAnswer> {
        let away = StoreOutage::Away;
        match self {
            Self::Remember { message, .. } => Some(StoreAnswer::Remembered { message, outcome: Err(away) }),
            Self::Find { delivery, .. } => Some(StoreAnswer::Found { delivery, outcome: Err(away) }),
            Self::Park { delivery, account, pdu, .. } => {
                Some(StoreAnswer::Parked { delivery, account, outcome: Err(away), pdu })
            }
            Self::KeepEarly { delivery, pdu, .. } => {
                Some(StoreAnswer::EarlyKept { delivery, outcome: Err(away), pdu })
            }
            Self::ParkOrphan { delivery, pdu, .. } => {
                Some(StoreAnswer::OrphanParked { delivery, outcome: Err(away), pdu })
            }
            Self::Unpark { account, .. } => {
                // Not "nothing is there": it is asked again after a while.
                Some(StoreAnswer::Unparked { account, entries: Vec::new(), more: true })
            }
            Self::Forget { .. } | Self::Release { .. } | Self::Return { .. } => None,
        }
    }
}

/// Why a store could not do it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreOutage {
    /// The account's or the node's room for parked messages is used up.
    Full,
    /// The store does not work now.
    Away,
}

/// One parked message, handed out.
#[derive(Debug, PartialEq, Eq)]
pub struct ParkedEntry {
    /// Its name for `Release` and `Return`.
    pub parked: ParkedId,
    /// The PDU as it was parked.
    pub pdu: Vec<u8>,
}

/// What a store answers.
#[derive(Debug, PartialEq, Eq)]
pub enum StoreAnswer {
    /// Answers `Remember`.
    Remembered {
        /// As asked.
        message: MessageKey,
        /// Kept, or why not.
        outcome: Result<(), StoreOutage>,
    },
    /// Answers `Find`.
    Found {
        /// As asked.
        delivery: DeliveryKey,
        /// What was found, or why nobody knows.
        outcome: Result<Finding, StoreOutage>,
    },
    /// Answers `Park`.
    Parked {
        /// As asked.
        delivery: DeliveryKey,
        /// As asked: the delivery may have been given up by now, and the owner shall hear of it all the same.
        account: AccountId,
        /// Durable, or why not.
        outcome: Result<(), StoreOutage>,
        /// The buffer, for use again; its content is not looked at.
        pdu: Vec<u8>,
    },
    /// Answers `KeepEarly`.
    EarlyKept {
        /// As asked.
        delivery: DeliveryKey,
        /// Durable, or why not.
        outcome: Result<(), StoreOutage>,
        /// The buffer, for use again; its content is not looked at, but where it fits an unknown outcome.
        pdu: Vec<u8>,
    },
    /// Answers `ParkOrphan`.
    OrphanParked {
        /// As asked.
        delivery: DeliveryKey,
        /// Durable, or why not.
        outcome: Result<(), StoreOutage>,
        /// The buffer, for use again; its content is not looked at.
        pdu: Vec<u8>,
    },
    /// Answers `Unpark`.
    Unparked {
        /// As asked.
        account: AccountId,
        /// The urgent ones first, the oldest of each first.
        entries: Vec<ParkedEntry>,
        /// True when the account has more that could be handed out, or when nobody can tell now.
        more: bool,
    },
    /// Answers nothing: something was parked for an account, by another node or by the store itself.
    ParkedFor {
        /// The owner.
        account: AccountId,
    },
    /// Answers nothing: words about parked messages may have been missed, so whoever can take some shall ask.
    AskAgain,
    /// Answers nothing: whether correlations can be kept now. Until the first word they can.
    Room {
        /// False: submits that want a receipt are refused.
        receipts: bool,
    },
}

/// The command of a parked PDU, read from its header: deliver_sm or data_sm.
pub(crate) fn command_of(pdu: &[u8]) -> Option<CommandId> {
    let [_, _, _, _, a, b, c, d, ..] = *pdu else { return None };
    let command = CommandId(u32::from_be_bytes([a, b, c, d]));
    (command == CommandId::DELIVER_SM || command == CommandId::DATA_SM).then_some(command)
}
