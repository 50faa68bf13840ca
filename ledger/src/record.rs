//! One line of a ledger.

use crate::MessageKey;

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// loadgen handed a submit_sm to a connection.
    Sent = 1,
    /// loadgen got the answer; `status` tells which, `id_hash` names the message id.
    Answered = 2,
    /// loadgen got a delivery receipt; `id_hash` names the message id in it, `state` the message state.
    ReceiptReceived = 3,
    /// loadgen got a mobile-originated message; `state` is [`Record::MO_ELSEWHERE`] when it belongs to another account.
    MoReceived = 4,
    /// sim-smsc took a submit_sm and answered status 0.
    Accepted = 5,
    /// sim-smsc answered a submit_sm with `status`.
    Refused = 6,
    /// sim-smsc sent a delivery receipt; `state` is the message state in it.
    ReceiptSent = 7,
    /// The receipt was answered with `status`.
    ReceiptAcked = 8,
    /// sim-smsc sent a mobile-originated message.
    MoSent = 9,
    /// The mobile-originated message was answered with `status`.
    MoAcked = 10,
    /// sim-smsc took a submit_sm but the answer did not leave (a fault swallowed it): whoever sent it cannot know,
    /// so a second acceptance of the same key is no offence. Written beside `Accepted`.
    LostResponse = 11,
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
    /// message_state of a receipt (SMPP 3.4 §5.2.28); 0 where there is none.
    pub state: u8,
}

impl Record {
    /// Octets of a record in a file.
    pub const SIZE: usize = 48;

    /// `state` of a [`Kind::MoReceived`] whose destination number belongs to another account than received it.
    pub const MO_ELSEWHERE: u8 = 1;

    /// A record with nothing but its kind, party, key and time.
    pub fn new(kind: Kind, party: u16, key: MessageKey, time_ns: u64) -> Record {
        Record { kind, party, key, status: 0, time_ns, id_hash: 0, fingerprint: 0, state: 0 }
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
        out[43] = 0;
        let check = check(out);
        out[44..48].copy_from_slice(&check.to_le_bytes());
    }

    /// Reads it back; `None` when the check does not fit or the kind is unknown.
    pub fn decode(bytes: &[u8; Record::SIZE]) -> Option<Record> {
        if u32::from_le_bytes(array(bytes, 44)) != check(bytes) {
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
        })
    }
}

/// Guards against blocks of zeros and torn pages, not against malice: a multiply and a fold for every 8 octets.
fn check(bytes: &[u8; Record::SIZE]) -> u32 {
    let mut mixed = 0x9E37_79B9_7F4A_7C15u64;
    for at in (0..40).step_by(8) {
        mixed = (mixed ^ u64::from_le_bytes(array(bytes, at))).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^= mixed >> 32;
    }
    mixed = (mixed ^ u64::from(u32::from_le_bytes(array(bytes, 40)))).wrapping_mul(0xD6E8_FEB8_6659_FD93);
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
            status: 0x58,
            time_ns: 1_750_000_000_123_456_789,
            id_hash: 0xFEED,
            fingerprint: u64::MAX,
            state: 2,
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
        assert_eq!((0..=u8::MAX).filter_map(Kind::from_u8).count(), 11);
    }
}
