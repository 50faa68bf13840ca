//! What a shard said of a message when it put it back, where that must outlive the process: without it a message of
//! unknown outcome would go out again after a restart whatever its policy says, and a fate would be decided anew. Few
//! messages have a note.

use relay::Fate;
use smpp::field::{CommandStatus, MessageState};

/// First byte of a note.
const VERSION: u8 = 1;
/// Version, flags, copies of unknown outcome, three octets that earlier versions used, state and status of the fate.
const LENGTH: usize = 11;
/// A vendor may have a copy.
const MAYBE_SENT: u8 = 1;
/// No copy may follow. Earlier versions meant by it that only the vendor that is named may get one, for a policy that is no
/// more: another must not, and none may be tried alone any more.
const LAST: u8 = 2;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Note {
    /// Copies of unknown outcome so far.
    pub(super) unknown_copies: u8,
    /// No copy may follow the last of them.
    pub(super) is_last: bool,
    pub(super) fate: Option<Fate>,
}

impl Note {
    /// Nothing is known of most messages that wait.
    pub(super) fn is_empty(&self) -> bool {
        *self == Note::default()
    }

    pub(super) fn write(&self) -> [u8; LENGTH] {
        let mut value = [0; LENGTH];
        value[0] = VERSION;
        value[1] = if self.unknown_copies > 0 { MAYBE_SENT } else { 0 } | if self.is_last { LAST } else { 0 };
        value[2] = self.unknown_copies;
        // No state has the number 0.
        value[6] = self.fate.map_or(0, |fate| fate.state.as_u8());
        value[7..].copy_from_slice(&self.fate.map_or(0, |fate| fate.status.0).to_be_bytes());
        value
    }

    /// Nothing when it was written by another version.
    pub(super) fn read(value: &[u8]) -> Option<Note> {
        let [VERSION, flags, copies, _, _, _, state, e, f, g, h] = *<&[u8; LENGTH]>::try_from(value).ok()?
        else {
            return None;
        };
        let status = CommandStatus(u32::from_be_bytes([e, f, g, h]));
        let fate = MessageState::from_u8(state).map(|state| Fate { state, status });
        Some(Note {
            // Earlier versions did not count.
            unknown_copies: if flags & MAYBE_SENT != 0 { copies.max(1) } else { 0 },
            is_last: flags & LAST != 0,
            fate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        let fate = Fate { state: MessageState::Unknown, status: CommandStatus::ESME_RUNKNOWNERR };
        let notes = [
            Note::default(),
            Note { unknown_copies: 1, ..Note::default() },
            Note { unknown_copies: 3, is_last: true, fate: None },
            Note { fate: Some(fate), ..Note::default() },
        ];
        for note in notes {
            assert_eq!(Note::read(&note.write()), Some(note));
        }
        // Earlier versions did not count.
        let maybe = [VERSION, MAYBE_SENT, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(Note::read(&maybe), Some(Note { unknown_copies: 1, ..Note::default() }));
        // What an earlier version tied to one vendor goes to none: its customer is told that nobody knows.
        let tied = [VERSION, MAYBE_SENT | LAST, 0, 0, 0, 7, 0, 0, 0, 0, 0];
        assert_eq!(Note::read(&tied), Some(Note { unknown_copies: 1, is_last: true, fate: None }));
        assert_eq!(Note::read(&[]), None);
        assert_eq!(Note::read(&[2; LENGTH]), None);
    }
}
