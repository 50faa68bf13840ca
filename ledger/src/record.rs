//! One line of a ledger.

use crate::{MessageKey, ReceiptDigest};

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// loadgen handed a submit_sm to a session; `state` is its registered_delivery, `detail` the number of its mix,
    /// `number` its sequence number, `extra` its [`addresses`](crate::addresses).
    Sent = 1,
    /// loadgen got the answer; `status` tells which, `id_hash` names the message id.
    Answered = 2,
    /// loadgen got a delivery receipt; `id_hash` names the message id in it, the digest what it says.
    ReceiptReceived = 3,
    /// loadgen got a mobile-originated message; `state` is [`Record::MO_ELSEWHERE`] when it belongs to another account.
    MoReceived = 4,
    /// sim-smsc took a submit_sm and answers status 0; `state` is its registered_delivery, `detail` holds
    /// [`Record::RECEIPT_OWED`] and [`Record::UNKEYED`], `extra` its [`addresses`](crate::addresses).
    Accepted = 5,
    /// sim-smsc answered a submit_sm with `status`.
    Refused = 6,
    /// sim-smsc sent a delivery receipt; the digest is what it says.
    ReceiptSent = 7,
    /// The receipt was answered with `status`.
    ReceiptAcked = 8,
    /// sim-smsc sent a mobile-originated message.
    MoSent = 9,
    /// The mobile-originated message was answered with `status`.
    MoAcked = 10,
    /// sim-smsc took a submit_sm but the peer may not have its answer: `detail` is [`Record::NEVER_LEFT`] or
    /// [`Record::LEFT_BEFORE_BREAK`]. A second acceptance of the same key may be no offence. Written beside `Accepted`.
    LostResponse = 11,
    /// The response timeout passed on a session that lived.
    Unanswered = 12,
    /// The session ended before the answer; `state` is 1 when it ended in order (unbind).
    Abandoned = 13,
    /// The submit_sm was certainly not received whole: its session ended, and it will be sent again.
    Withdrawn = 14,
    /// A response came for a request that was answered already, or never sent; `number` is its sequence number.
    AnsweredAgain = 15,
    /// A session is bound; `number` is the account's index at sim-smsc.
    LinkUp = 16,
    /// A session ended; `state` is 1 when in order (unbind). At sim-smsc `number` is the account and `status` the most
    /// submit_sm that were unanswered at once.
    LinkDown = 17,
    /// sim-smsc began a fault; `extra` is its name in eight octets.
    Fault = 18,
    /// The writer's own loop stood still; `extra` says for how many nanoseconds.
    Stall = 19,
    /// Everything before `time_ns` stands in this file before this record. A program that runs writes one at each flush.
    Mark = 20,
    /// The writer ended in order: nothing follows.
    End = 21,
    /// sim-smsc gave a receipt up: no receiver, refused for good, or too old.
    ReceiptDropped = 22,
}

impl Kind {
    /// The kind with this number, if there is one.
    pub const fn from_u8(number: u8) -> Option<Kind> {
        Some(match number {
            1 => Kind::Sent,
            2 => Kind::Answered,
            3 => Kind::ReceiptReceived,
            4 => Kind::MoReceived,
            5 => Kind::Accepted,
            6 => Kind::Refused,
            7 => Kind::ReceiptSent,
            8 => Kind::ReceiptAcked,
            9 => Kind::MoSent,
            10 => Kind::MoAcked,
            11 => Kind::LostResponse,
            12 => Kind::Unanswered,
            13 => Kind::Abandoned,
            14 => Kind::Withdrawn,
            15 => Kind::AnsweredAgain,
            16 => Kind::LinkUp,
            17 => Kind::LinkDown,
            18 => Kind::Fault,
            19 => Kind::Stall,
            20 => Kind::Mark,
            21 => Kind::End,
            22 => Kind::ReceiptDropped,
            _ => return None,
        })
    }
}

/// One thing that happened to one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// What happened.
    pub kind: Kind,
    /// Whom it concerns: account index at loadgen, site index at sim-smsc (an index into `Meta::parties`).
    pub party: u16,
    /// The message; zero where it is not known (a receipt at loadgen names only the message id).
    pub key: MessageKey,
    /// command_status of the answer; 0 where there is none.
    pub status: u32,
    /// Unix time in nanoseconds.
    pub time_ns: u64,
    /// [`id_hash`](crate::id_hash) of the message id; 0 where there is none.
    pub id_hash: u64,
    /// [`fingerprint`](crate::fingerprint) of the message; 0 where there is none.
    pub fingerprint: u64,
    /// message_state TLV of a receipt (SMPP 3.4 §5.2.28); registered_delivery of a submit_sm; 0 where there is none.
    pub state: u8,
    /// State that the stat word of a receipt means; flags of an acceptance.
    pub detail: u8,
    /// Number of the session within the writer, unique in its run; 0 where there is none.
    pub link: u32,
    /// Depends on the kind.
    pub number: u32,
    /// Depends on the kind.
    pub extra: u64,
}

impl Record {
    /// Octets of a record in a file.
    pub const SIZE: usize = 64;

    /// `state` of a [`Kind::MoReceived`] whose destination number belongs to another account than received it.
    pub const MO_ELSEWHERE: u8 = 1;

    /// Bit of `detail` of a [`Kind::Accepted`]: the site will send a receipt.
    pub const RECEIPT_OWED: u8 = 1;
    /// Bit of `detail` of a [`Kind::Accepted`]: the text had no key; the record's key is made of the message.
    pub const UNKEYED: u8 = 2;

    /// `detail` of a [`Kind::LostResponse`]: the answer was never handed to the kernel.
    pub const NEVER_LEFT: u8 = 1;
    /// `detail` of a [`Kind::LostResponse`]: the answer left less than a second before its connection broke.
    pub const LEFT_BEFORE_BREAK: u8 = 2;

    /// `status` of a [`Kind::ReceiptReceived`]: TLV and text name different ids.
    pub const IDS_DIFFER: u32 = 1;

    /// A record with nothing but its kind, party, key and time.
    pub fn new(kind: Kind, party: u16, key: MessageKey, time_ns: u64) -> Record {
        Record {
            kind,
            party,
            key,
            status: 0,
            time_ns,
            id_hash: 0,
            fingerprint: 0,
            state: 0,
            detail: 0,
            link: 0,
            number: 0,
            extra: 0,
        }
    }

    /// The id in the text of a [`Kind::ReceiptReceived`] whose TLV names another, if it is such a record.
    pub fn id_in_text(&self) -> Option<u64> {
        let differs = self.kind == Kind::ReceiptReceived && self.status & Self::IDS_DIFFER != 0;
        differs.then(|| u64::from(self.key.run) << 32 | u64::from(self.key.sequence))
    }

    /// Writes down that the text names another id than the TLV. loadgen knows no key for a receipt; its place holds it.
    pub fn set_id_in_text(&mut self, id_hash: u64) {
        self.status |= Self::IDS_DIFFER;
        self.key =
            MessageKey { run: (id_hash >> 32) as u32, sequence: id_hash as u32, ..MessageKey::default() };
    }

    /// What the receipt says, in a [`Kind::ReceiptSent`] or [`Kind::ReceiptReceived`].
    pub fn digest(&self) -> ReceiptDigest {
        ReceiptDigest::unpack(self.state, self.detail, self.number, self.fingerprint, self.extra)
    }

    /// Writes down what a receipt says.
    pub fn set_digest(&mut self, digest: &ReceiptDigest) {
        (self.state, self.detail, self.number, self.fingerprint, self.extra) = digest.pack();
    }

    /// Writes the little-endian form with its check.
    pub fn encode(&self, out: &mut [u8; Record::SIZE]) {
        out[0] = self.kind as u8;
        out[1] = self.state;
        out[2..4].copy_from_slice(&self.party.to_le_bytes());
        out[4..8].copy_from_slice(&self.status.to_le_bytes());
        out[8..16].copy_from_slice(&self.time_ns.to_le_bytes());
        out[16..24].copy_from_slice(&self.id_hash.to_le_bytes());
        out[24..32].copy_from_slice(&self.fingerprint.to_le_bytes());
        out[32..36].copy_from_slice(&self.key.run.to_le_bytes());
        out[36..40].copy_from_slice(&self.key.sequence.to_le_bytes());
        out[40..42].copy_from_slice(&self.key.account.to_le_bytes());
        out[42] = self.key.segment;
        out[43] = self.detail;
        out[44..48].copy_from_slice(&self.link.to_le_bytes());
        out[48..52].copy_from_slice(&self.number.to_le_bytes());
        out[52..60].copy_from_slice(&self.extra.to_le_bytes());
        let check = check(out);
        out[60..64].copy_from_slice(&check.to_le_bytes());
    }

    /// Reads it back; `None` when the check does not fit or the kind is unknown.
    pub fn decode(bytes: &[u8; Record::SIZE]) -> Option<Record> {
        if u32::from_le_bytes(array(bytes, 60)) != check(bytes) {
            return None;
        }
        Some(Record {
            kind: Kind::from_u8(bytes[0])?,
            state: bytes[1],
            party: u16::from_le_bytes(array(bytes, 2)),
            status: u32::from_le_bytes(array(bytes, 4)),
            time_ns: u64::from_le_bytes(array(bytes, 8)),
            id_hash: u64::from_le_bytes(array(bytes, 16)),
            fingerprint: u64::from_le_bytes(array(bytes, 24)),
            key: MessageKey {
                run: u32::from_le_bytes(array(bytes, 32)),
                sequence: u32::from_le_bytes(array(bytes, 36)),
                account: u16::from_le_bytes(array(bytes, 40)),
                segment: bytes[42],
            },
            detail: bytes[43],
            link: u32::from_le_bytes(array(bytes, 44)),
            number: u32::from_le_bytes(array(bytes, 48)),
            extra: u64::from_le_bytes(array(bytes, 52)),
        })
    }
}

/// Guards against blocks of zeros and torn pages, not against malice: a multiply and a fold for every 8 octets.
fn check(bytes: &[u8; Record::SIZE]) -> u32 {
    let mut mixed = 0x9E37_79B9_7F4A_7C15u64;
    for at in (0..56).step_by(8) {
        mixed = (mixed ^ u64::from_le_bytes(array(bytes, at))).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^= mixed >> 32;
    }
    mixed = (mixed ^ u64::from(u32::from_le_bytes(array(bytes, 56)))).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed >> 32) as u32
}

fn array<const N: usize>(bytes: &[u8; Record::SIZE], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        Record {
            kind: Kind::Answered,
            party: 3,
            key: MessageKey { run: 0x0102_0304, account: 5, sequence: 6_000_000, segment: 2 },
            status: 0,
            time_ns: 1_750_000_000_123_456_789,
            id_hash: 0xFEED,
            fingerprint: u64::MAX,
            state: 2,
            detail: 9,
            link: 70_000,
            number: 0x7FFF_FFFF,
            extra: 0x1122_3344_5566_7788,
        }
    }

    #[test]
    fn written_records_are_read_again() {
        let mut bytes = [0; Record::SIZE];
        sample().encode(&mut bytes);
        assert_eq!(Record::decode(&bytes), Some(sample()));
    }

    #[test]
    fn every_damaged_bit_is_noticed() {
        let mut bytes = [0; Record::SIZE];
        sample().encode(&mut bytes);
        for bit in 0..Record::SIZE * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(&damaged), None, "bit {bit}");
        }
        assert_eq!(Record::decode(&[0; Record::SIZE]), None);
    }

    #[test]
    fn kinds_keep_their_numbers() {
        for number in 0..=u8::MAX {
            if let Some(kind) = Kind::from_u8(number) {
                assert_eq!(kind as u8, number);
            }
        }
        assert_eq!((0..=u8::MAX).filter_map(Kind::from_u8).count(), 22);
    }

    #[test]
    fn digests_survive_a_record() {
        let mut record = sample();
        let digest = ReceiptDigest { state: 2, stat: 5, fields: [1, 2, 3, 4, 5, 6, 7, 8, 9, 0xFFFF] };
        record.set_digest(&digest);
        assert_eq!(record.digest(), digest);
        record.kind = Kind::ReceiptReceived;
        assert_eq!(record.id_in_text(), None);
        record.set_id_in_text(0x0102_0304_F5F6_F7F8);
        assert_eq!((record.id_in_text(), record.digest()), (Some(0x0102_0304_F5F6_F7F8), digest));
    }
}
