//! What stands in a segment: its header, batches, entries. All numbers are big-endian, all checksums CRC-32C.

use std::fmt;

/// Octets of a segment's header.
pub(crate) const HEADER: usize = 64;
/// Octets of a batch's head.
pub(crate) const BATCH_HEAD: usize = 48;
/// Octets before an entry's own.
pub const ENTRY_HEAD: usize = 17;
/// A batch is never longer, with its head: what an opening holds in memory at once. A longer length is damage.
pub const BATCH_OCTETS_MAX: usize = 16 << 20;
/// The version that this program writes and reads.
pub(crate) const VERSION: u32 = 1;
const HEADER_MAGIC: &[u8; 8] = b"SMPPJRNL";
pub(crate) const BATCH_MAGIC: &[u8; 4] = b"BtCh";

/// The offset of an entry: octets of all batches before it since the journal began. Names it for good.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An entry as it was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Where it is.
    pub position: Position,
    /// Grows by one with each entry; leaves numbers out where a commit failed.
    pub sequence: u64,
    /// What its writer said.
    pub kind: u8,
    /// Its octets.
    pub octets: &'a [u8],
    /// Something before it is damaged or missing, so that others may be missing too. Never set by an opening.
    pub behind_damage: bool,
}

/// The beginning of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) number: u32,
    /// Offset of its first batch. All before it was synced when the segment was made, and what follows that offset in
    /// the segment before it is void.
    pub(crate) base: u64,
    /// The last sequence number given before.
    pub(crate) sequence: u64,
    pub(crate) salt: u64,
}

/// Why a header cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeaderError {
    Damaged,
    Version(u32),
}

impl Header {
    pub(crate) fn write(&self) -> [u8; HEADER] {
        let mut octets = [0; HEADER];
        octets[..8].copy_from_slice(HEADER_MAGIC);
        octets[8..12].copy_from_slice(&VERSION.to_be_bytes());
        octets[12..16].copy_from_slice(&self.number.to_be_bytes());
        octets[16..24].copy_from_slice(&self.base.to_be_bytes());
        octets[24..32].copy_from_slice(&self.sequence.to_be_bytes());
        octets[32..40].copy_from_slice(&self.salt.to_be_bytes());
        let crc = crc32c::crc32c(&octets[..HEADER - 4]);
        octets[HEADER - 4..].copy_from_slice(&crc.to_be_bytes());
        octets
    }

    pub(crate) fn read(octets: &[u8]) -> Result<Header, HeaderError> {
        let octets: &[u8; HEADER] = octets.try_into().map_err(|_| HeaderError::Damaged)?;
        if octets[..8] != *HEADER_MAGIC || crc32c::crc32c(&octets[..HEADER - 4]) != u32_at(octets, HEADER - 4)
        {
            return Err(HeaderError::Damaged);
        }
        match u32_at(octets, 8) {
            VERSION => Ok(Header {
                number: u32_at(octets, 12),
                base: u64_at(octets, 16),
                sequence: u64_at(octets, 24),
                salt: u64_at(octets, 32),
            }),
            other => Err(HeaderError::Version(other)),
        }
    }
}

/// The beginning of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BatchHead {
    /// Octets of its entries.
    pub(crate) length: u32,
    pub(crate) count: u32,
    /// Its own offset.
    pub(crate) at: u64,
    /// Number of its first entry.
    pub(crate) sequence: u64,
    /// All before this offset was synced when the batch was written.
    pub(crate) synced: u64,
    pub(crate) body_crc: u32,
}

impl BatchHead {
    pub(crate) fn write(&self, salt: u64) -> [u8; BATCH_HEAD] {
        let mut octets = [0; BATCH_HEAD];
        octets[..4].copy_from_slice(BATCH_MAGIC);
        octets[4..8].copy_from_slice(&self.length.to_be_bytes());
        octets[8..12].copy_from_slice(&self.count.to_be_bytes());
        octets[12..20].copy_from_slice(&self.at.to_be_bytes());
        octets[20..28].copy_from_slice(&self.sequence.to_be_bytes());
        octets[28..36].copy_from_slice(&self.synced.to_be_bytes());
        octets[36..40].copy_from_slice(&self.body_crc.to_be_bytes());
        let crc = salted(salt, &octets[..BATCH_HEAD - 4]);
        octets[BATCH_HEAD - 4..].copy_from_slice(&crc.to_be_bytes());
        octets
    }

    /// Nothing when it is none, or one of another journal.
    pub(crate) fn read(octets: &[u8], salt: u64) -> Option<BatchHead> {
        let octets: &[u8; BATCH_HEAD] = octets.try_into().ok()?;
        if octets[..4] != *BATCH_MAGIC
            || salted(salt, &octets[..BATCH_HEAD - 4]) != u32_at(octets, BATCH_HEAD - 4)
        {
            return None;
        }
        let head = BatchHead {
            length: u32_at(octets, 4),
            count: u32_at(octets, 8),
            at: u64_at(octets, 12),
            sequence: u64_at(octets, 20),
            synced: u64_at(octets, 28),
            body_crc: u32_at(octets, 36),
        };
        (head.length as usize + BATCH_HEAD <= BATCH_OCTETS_MAX && head.synced <= head.at).then_some(head)
    }
}

fn salted(salt: u64, octets: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_be_bytes()), octets)
}

/// Appends an entry whose octets are these parts, one after the other.
pub(crate) fn push_entry(out: &mut Vec<u8>, kind: u8, sequence: u64, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let start = out.len();
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.push(kind);
    out.extend_from_slice(&sequence.to_be_bytes());
    let crc = parts.iter().fold(crc32c::crc32c(&out[start..]), |crc, part| crc32c::crc32c_append(crc, part));
    out.extend_from_slice(&crc.to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The first entry of these octets and how long it is; nothing when it is damaged or cut.
pub(crate) fn read_entry(octets: &[u8], position: Position) -> Option<(Entry<'_>, usize)> {
    let (head, rest) = octets.split_at_checked(ENTRY_HEAD)?;
    let length = u32_at(head, 0) as usize;
    let body = rest.get(..length)?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..ENTRY_HEAD - 4]), body);
    let sequence = u64_at(head, 5);
    let entry = Entry { position, sequence, kind: head[4], octets: body, behind_damage: false };
    (crc == u32_at(head, ENTRY_HEAD - 4)).then_some((entry, ENTRY_HEAD + length))
}

/// The entries of a batch whose body begins at this offset; false when they are not what its head says.
pub(crate) fn entries_of<'a>(head: &BatchHead, body: &'a [u8], mut visit: impl FnMut(Entry<'a>)) -> bool {
    let mut at = 0;
    for nth in 0..u64::from(head.count) {
        let position = Position(head.at + (BATCH_HEAD + at) as u64);
        let Some((entry, length)) = body.get(at..).and_then(|rest| read_entry(rest, position)) else {
            return false;
        };
        if entry.sequence != head.sequence + nth {
            return false;
        }
        visit(entry);
        at += length;
    }
    at == body.len()
}

pub(crate) fn u32_at(octets: &[u8], at: usize) -> u32 {
    octets[at..at + 4].try_into().map_or(0, u32::from_be_bytes)
}

pub(crate) fn u64_at(octets: &[u8], at: usize) -> u64 {
    octets[at..at + 8].try_into().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written() {
        let header = Header { number: 7, base: 1 << 40, sequence: 9, salt: 5 };
        assert_eq!(Header::read(&header.write()), Ok(header));
        let mut body = Vec::new();
        push_entry(&mut body, 1, 10, &[b"ab", b"c"]);
        push_entry(&mut body, 2, 11, &[]);
        let (length, body_crc) = (body.len() as u32, crc32c::crc32c(&body));
        let head = BatchHead { length, count: 2, at: 100, sequence: 10, synced: 90, body_crc };
        assert_eq!(BatchHead::read(&head.write(5), 5), Some(head));
        assert_eq!(BatchHead::read(&head.write(5), 6), None, "of another journal");
        let mut found = Vec::new();
        assert!(entries_of(&head, &body, |entry| found.push((
            entry.position.0,
            entry.sequence,
            entry.kind,
            entry.octets.to_vec()
        ))));
        assert_eq!(found, [(148, 10, 1, b"abc".to_vec()), (168, 11, 2, vec![])]);
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let flips = |octets: &[u8], holds: &dyn Fn(&[u8]) -> bool| {
            assert!(holds(octets));
            for bit in 0..octets.len() * 8 {
                let mut bad = octets.to_vec();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(!holds(&bad), "bit {bit}");
            }
        };
        flips(&Header { number: 7, base: 8, sequence: 9, salt: 5 }.write(), &|octets| {
            Header::read(octets).is_ok()
        });
        let head = BatchHead { length: 10, count: 2, at: 100, sequence: 10, synced: 90, body_crc: 1 };
        flips(&head.write(5), &|octets| BatchHead::read(octets, 5).is_some());
        let mut entry = Vec::new();
        push_entry(&mut entry, 1, 10, &[b"abc"]);
        flips(&entry, &|octets| read_entry(octets, Position(0)).is_some());
    }
}
