//! What stands in the journal: messages, their settlements, and notes. Each entry begins with the message's id.

use super::note::Note;
use crate::OlderNames;
use relay::AccountId;

/// Kind of an entry: a message; the same one again when its first place was given up.
pub(super) const MESSAGE: u8 = 1;
/// Kind: a message is settled.
pub(super) const SETTLED: u8 = 2;
/// Kind: what is known of a message.
pub(super) const NOTE: u8 = 3;
/// Octets of an id.
pub(super) const ID: usize = 8;
/// First octet of a message. Version 1 had a hash of 32 bits for the account; it was never in a journal.
const VERSION: u8 = 2;
/// Version, account, accepted_at, expires_at.
pub(super) const HEAD: usize = 25;
/// The same in version 1.
const OLDER_HEAD: usize = 13;

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
        head[1..17].copy_from_slice(&self.account.0.to_be_bytes());
        head[17..21].copy_from_slice(&self.accepted_at.to_be_bytes());
        head[21..].copy_from_slice(&self.expires_at.to_be_bytes());
        head
    }

    pub(super) fn read(value: &'a [u8]) -> Option<Self> {
        let (head, pdu) = value.split_first_chunk::<HEAD>()?;
        let (version, head) = head.split_first()?;
        let (account, head) = head.split_first_chunk::<16>()?;
        let account = AccountId(u128::from_be_bytes(*account));
        let (accepted_at, expires_at) = (number(head, 0)?, number(head, 4)?);
        (*version == VERSION).then_some(Stored { account, accepted_at, expires_at, pdu })
    }

    /// Of version 1 or 2, as the library of earlier versions had it.
    pub(super) fn read_older(value: &'a [u8], names: &OlderNames) -> Option<Self> {
        if value.first() != Some(&1) {
            return Stored::read(value);
        }
        let (head, pdu) = value.split_at_checked(OLDER_HEAD)?;
        let account = names.account(number(head, 1)?);
        Some(Stored { account, accepted_at: number(head, 5)?, expires_at: number(head, 9)?, pdu })
    }
}

fn number(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_version_1_are_read() {
        let number = relay::older_number(b"acme");
        let row =
            [&[1][..], &number.to_be_bytes(), &7_u32.to_be_bytes(), &9_u32.to_be_bytes(), b"pdu"].concat();
        let stored = Stored::read_older(&row, &OlderNames::new(["acme"], [])).unwrap();
        assert_eq!((stored.account, stored.accepted_at), (AccountId::of_name(b"acme"), 7));
        assert_eq!((stored.expires_at, stored.pdu), (9, &b"pdu"[..]));
        assert!(Stored::read(&row).is_none(), "not in a journal");
        let again = [&stored.head()[..], stored.pdu].concat();
        for stored in [Stored::read(&again), Stored::read_older(&again, &OlderNames::default())] {
            let stored = stored.unwrap();
            assert_eq!((stored.account, stored.accepted_at), (AccountId::of_name(b"acme"), 7));
            assert_eq!((stored.expires_at, stored.pdu), (9, &b"pdu"[..]));
        }
        assert!(Stored::read_older(&[3; 40], &OlderNames::default()).is_none());
        (0..HEAD).for_each(|length| assert!(Stored::read(&again[..length]).is_none(), "{length}"));
    }
}
