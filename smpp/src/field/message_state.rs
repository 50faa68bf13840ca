//! `message_state` (SMPP 3.4 §5.2.28) and its words in receipt text (SMPP 3.4 Appendix B).

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum MessageState {
    /// On its way.
    Enroute = 1,
    /// Delivered.
    Delivered = 2,
    /// Its validity ended.
    Expired = 3,
    /// Deleted.
    Deleted = 4,
    /// Cannot be delivered.
    Undeliverable = 5,
    /// Accepted; peers send it also as an intermediate state.
    Accepted = 6,
    /// Not known.
    Unknown = 7,
    /// Rejected.
    Rejected = 8,
}

impl MessageState {
    /// Every state.
    pub const ALL: [MessageState; 8] = [
        MessageState::Enroute,
        MessageState::Delivered,
        MessageState::Expired,
        MessageState::Deleted,
        MessageState::Undeliverable,
        MessageState::Accepted,
        MessageState::Unknown,
        MessageState::Rejected,
    ];

    /// The state with this number on the wire.
    #[inline]
    pub const fn from_u8(value: u8) -> Option<MessageState> {
        match value {
            1..=8 => Some(Self::ALL[value as usize - 1]),
            _ => None,
        }
    }

    /// The number on the wire.
    #[inline]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The word of the `stat` field of a receipt text.
    pub const fn stat(self) -> &'static str {
        match self {
            MessageState::Enroute => "ENROUTE",
            MessageState::Delivered => "DELIVRD",
            MessageState::Expired => "EXPIRED",
            MessageState::Deleted => "DELETED",
            MessageState::Undeliverable => "UNDELIV",
            MessageState::Accepted => "ACCEPTD",
            MessageState::Unknown => "UNKNOWN",
            MessageState::Rejected => "REJECTD",
        }
    }

    /// The state whose `stat` word this is, in any case of letters.
    pub fn from_stat(word: &[u8]) -> Option<MessageState> {
        Self::ALL.into_iter().find(|state| state.stat().as_bytes().eq_ignore_ascii_case(word))
    }

    /// Whether nothing better can follow. Accepted and Unknown are not: real peers send Delivered after either.
    #[inline]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            MessageState::Delivered
                | MessageState::Expired
                | MessageState::Deleted
                | MessageState::Undeliverable
                | MessageState::Rejected
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_go_both_ways() {
        for state in MessageState::ALL {
            assert_eq!(MessageState::from_u8(state.as_u8()), Some(state));
            assert_eq!(MessageState::from_stat(state.stat().as_bytes()), Some(state));
        }
        assert_eq!(MessageState::from_u8(0), None);
        assert_eq!(MessageState::from_u8(9), None);
        assert_eq!(MessageState::from_stat(b"delivrd"), Some(MessageState::Delivered));
        assert_eq!(MessageState::from_stat(b"BUFFRED"), None);
    }
}
