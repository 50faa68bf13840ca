//! What stands in the journal: messages, their settlements, and notes. Each entry begins with the message's id.

use super::note::Note;
use relay::AccountId;

/// Kind of an entry: a message; the same one again when its first place was given up.
pub(super) const MESSAGE: u8 = 1;
/// Kind: a message is settled.
pub(super) const SETTLED: u8 = 2;
/// Kind: what is known of a message.
pub(super) const NOTE: u8 = 3;
/// Octets of an id.
pub(super) const ID: usize = 8;
/// First octet of a message.
const VERSION: u8 = 1;
/// Version, account, accepted_at, expires_at.
pub(super) const HEAD: usize = 13;

/// An entry, read.
pub(super) enum Read<'a> {
    Message(u64, Stored<'a>),
    Settled(u64),
    Note(u64, Note),
    /// Of a version that this program does not know, named by its first octet.
    Unknown(u8),
}

pub(super) fn read(kind: u8, octets: &[u8]) -> Read<'_> {
    let Some((id, rest)) = octets.split_at_checked(ID) else { return Read::Unknown(kind) };
    let id = u64::from_be_bytes(id.try_into().unwrap_or_default());
    let unknown = Read::Unknown(rest.first().copied().unwrap_or(kind));
    match kind {
        MESSAGE => Stored::read(rest).map_or(unknown, |stored| Read::Message(id, stored)),
        SETTLED => Read::Settled(id),
        NOTE => Note::read(rest).map_or(unknown, |note| Read::Note(id, note)),
        other => Read::Unknown(other),
    }
}

/// A message as it is kept.
pub(super) struct Stored<'a> {
    pub(super) account: AccountId,
    pub(super) accepted_at: u32,
    pub(super) expires_at: u32,
    pub(super) pdu: &'a [u8],
}

impl<'a> Stored<'a> {
    /// All but the PDU.
    pub(super) fn head(&self) -> [u8; HEAD] {
        let mut head = [VERSION; HEAD];
        for (nth, number) in [self.account.0, self.accepted_at, self.expires_at].into_iter().enumerate() {
            head[1 + 4 * nth..5 + 4 * nth].copy_from_slice(&number.to_be_bytes());
        }
        head
    }

    pub(super) fn read(value: &'a [u8]) -> Option<Self> {
        let (head, pdu) = value.split_at_checked(HEAD)?;
        let number = |at: usize| head.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        let (account, accepted_at, expires_at) = (AccountId(number(1)?), number(5)?, number(9)?);
        (head[0] == VERSION).then_some(Stored { account, accepted_at, expires_at, pdu })
    }
}
