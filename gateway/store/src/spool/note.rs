//! What a shard said of a message when it put it back, where that must outlive the process: without it a message of
//! unknown outcome would go out again after a restart whatever its policy says, and a fate would be decided anew. Few
//! messages have a note.

use relay::{Fate, VendorId};
use smpp::field::{CommandStatus, MessageState};

/// First byte of a note.
const VERSION: u8 = 1;
/// Version, flags, vendor, state and status of the fate.
const LENGTH: usize = 11;
/// A vendor may have a copy.
const MAYBE_SENT: u8 = 1;
/// Only the vendor that is named may get another.
const ONLY: u8 = 2;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Note {
    pub(super) maybe_sent: bool,
    pub(super) only: Option<VendorId>,
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
        value[1] = if self.maybe_sent { MAYBE_SENT } else { 0 } | if self.only.is_some() { ONLY } else { 0 };
        value[2..6].copy_from_slice(&self.only.map_or(0, |vendor| vendor.0).to_be_bytes());
        // No state has the number 0.
        value[6] = self.fate.map_or(0, |fate| fate.state.as_u8());
        value[7..].copy_from_slice(&self.fate.map_or(0, |fate| fate.status.0).to_be_bytes());
        value
    }

    /// Nothing when it was written by another version.
    pub(super) fn read(value: &[u8]) -> Option<Note> {
        let [VERSION, flags, a, b, c, d, state, e, f, g, h] = *<&[u8; LENGTH]>::try_from(value).ok()? else {
            return None;
        };
        let vendor = VendorId(u32::from_be_bytes([a, b, c, d]));
        let status = CommandStatus(u32::from_be_bytes([e, f, g, h]));
        Some(Note {
            maybe_sent: flags & MAYBE_SENT != 0,
            only: (flags & ONLY != 0).then_some(vendor),
            fate: MessageState::from_u8(state).map(|state| Fate { state, status }),
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
            Note { maybe_sent: true, ..Note::default() },
            Note { maybe_sent: true, only: Some(VendorId(0)), fate: None },
            Note { maybe_sent: false, only: Some(VendorId(u32::MAX)), fate: Some(fate) },
        ];
        for note in notes {
            assert_eq!(Note::read(&note.write()), Some(note));
        }
        assert_eq!(Note::read(&[]), None);
        assert_eq!(Note::read(&[2; LENGTH]), None);
    }
}
