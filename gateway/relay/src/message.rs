//! What travels: keys, the states of a submitted message, and the parties' stable names.

use core::fmt;

/// Names one open submit of this shard. Opaque; a key that outlived its message is recognised and ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct MessageKey(pub(crate) Key);

/// Names one open deliver_sm or data_sm on its way to a customer. Opaque; stale keys are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct DeliveryKey(pub(crate) Key);

/// Place and generation in an arena: 8 bytes, `Copy`, never reused while its generation lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

impl MessageKey {
    /// The key as one number, for tokens and traces.
    pub const fn as_u64(self) -> u64 {
        self.0.as_u64()
    }

    /// The inverse of [`MessageKey::as_u64`]. A number that never was a key names no message.
    pub const fn from_u64(number: u64) -> Self {
        Self(Key::from_u64(number))
    }
}

impl DeliveryKey {
    /// The key as one number, for tokens and traces.
    pub const fn as_u64(self) -> u64 {
        self.0.as_u64()
    }

    /// The inverse of [`DeliveryKey::as_u64`]. A number that never was a key names no delivery.
    pub const fn from_u64(number: u64) -> Self {
        Self(Key::from_u64(number))
    }
}

impl Key {
    const fn as_u64(self) -> u64 {
        ((self.generation as u64) << 32) | self.index as u64
    }

    const fn from_u64(number: u64) -> Self {
        Self { index: number as u32, generation: (number >> 32) as u32 }
    }
}

/// A customer's or vendor's connection, as the shard names it. The relay only compares it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct LinkKey(pub u64);

/// One hand-over of an open submit to another shard. An answer names the hand-over it is about: one that comes after
/// [`crate::Limits::remote_wait_max`] may find the message on its way to another vendor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HandOver {
    /// The asking shard's key.
    pub message: MessageKey,
    /// Counts the hand-overs of this message.
    pub number: u16,
}

/// A shard of this node, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord, Default)]
pub struct ShardIndex(pub u8);

/// A customer's account: its whole name in a number, see [`crate::name`]. Stable across snapshots and restarts, because
/// the correlation store keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u128);

/// A vendor: its whole name in a number, or 120 bits of a hash where it is longer than 15 octets. Stable across snapshots
/// and restarts, because the correlation store keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct VendorId(pub u128);

impl AccountId {
    /// The id of a name.
    pub fn of_name(system_id: &[u8]) -> Self {
        Self(crate::name::number_of(system_id))
    }

    /// What stands for an account of an earlier version whose name is not known any more: nobody's.
    pub const fn of_older_number(number: u32) -> Self {
        Self(crate::name::nobodys(number))
    }

    /// A number to spread accounts by, over shards; two may have the same.
    pub fn spread(self) -> u64 {
        crate::name::spread(self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::name::show(self.0, f)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::name::show(self.0, f)
    }
}

impl VendorId {
    /// The id of a name.
    pub fn of_name(name: &[u8]) -> Self {
        Self(crate::name::number_of(name))
    }

    /// What stands for a vendor of an earlier version whose name is not known any more: nobody's.
    pub const fn of_older_number(number: u32) -> Self {
        Self(crate::name::nobodys(number))
    }

    /// A number to spread vendors by, over shards and nodes; two may have the same.
    pub fn spread(self) -> u64 {
        crate::name::spread(self.0)
    }
}

impl fmt::Debug for VendorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::name::show(self.0, f)
    }
}

impl fmt::Display for VendorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::name::show(self.0, f)
    }
}

/// Where a submitted message stands. A closed set; [`MessageState::next`] is the whole table, and
/// `tests/golden/message_states.txt` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MessageState {
    /// Decoded, nothing decided.
    #[default]
    Parsed,
    /// Has the right to enter; looks for a vendor. Provably unsent.
    Admitted,
    /// Waits for a slot of a vendor's window. Provably unsent.
    Queued,
    /// Handed to a link or to another shard. Whether its last byte reached the kernel is known to the link
    /// alone, so the relay takes it as written until the link proves it unsent.
    Written,
    /// A vendor took it; the customer is answered once the store allows.
    Acked,
    /// Refused, by the vendor or by us before it was sent.
    Nacked,
    /// Nobody waits for it any more or its time ran out, and it was never sent.
    ExpiredUnsent,
    /// Written, and no answer will come: the vendor may or may not have it.
    Unknown,
}

/// What can happen to a submitted message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageEvent {
    /// It passed all checks of entry.
    Admit,
    /// It was put into a vendor's wait queue.
    Wait,
    /// It was handed to a link or a shard.
    Hand,
    /// The link proved that its last byte never left.
    ProveUnsent,
    /// The vendor answered with status 0.
    Accept,
    /// The vendor answered with a temporary error and another vendor may be tried.
    TryOther,
    /// The vendor answered with an error, or we refuse it.
    Refuse,
    /// Its time in the queue ran out or its customer went away.
    Expire,
    /// The link was lost, or the vendor's answer did not come in time.
    Lose,
    /// The customer's policy allows another copy after an unknown outcome.
    RetryUnknown,
}

impl MessageState {
    /// All states, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Parsed,
        Self::Admitted,
        Self::Queued,
        Self::Written,
        Self::Acked,
        Self::Nacked,
        Self::ExpiredUnsent,
        Self::Unknown,
    ];

    /// The state after `event`, or nothing when the event is not legal here.
    pub const fn next(self, event: MessageEvent) -> Option<Self> {
        use MessageEvent as E;
        Some(match (self, event) {
            (Self::Parsed, E::Admit) => Self::Admitted,
            (Self::Admitted, E::Wait) => Self::Queued,
            (Self::Admitted | Self::Queued, E::Hand) => Self::Written,
            (Self::Queued, E::ProveUnsent) => Self::Admitted, // its vendor went away while it waited
            (Self::Written, E::ProveUnsent | E::TryOther) => Self::Admitted,
            (Self::Written, E::Accept) => Self::Acked,
            (Self::Parsed | Self::Admitted | Self::Queued | Self::Written, E::Refuse) => Self::Nacked,
            (Self::Admitted | Self::Queued, E::Expire) => Self::ExpiredUnsent,
            (Self::Written, E::Lose) => Self::Unknown,
            (Self::Unknown, E::RetryUnknown) => Self::Admitted,
            _ => return None,
        })
    }

    /// True when the vendor provably has not got it, so that moving it cannot make a second copy.
    pub const fn is_unsent(self) -> bool {
        matches!(self, Self::Parsed | Self::Admitted | Self::Queued)
    }
}

impl MessageEvent {
    /// All events, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Admit,
        Self::Wait,
        Self::Hand,
        Self::ProveUnsent,
        Self::Accept,
        Self::TryOther,
        Self::Refuse,
        Self::Expire,
        Self::Lose,
        Self::RetryUnknown,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_golden_one() {
        let mut table = String::from("state");
        for event in MessageEvent::ALL {
            table.push_str(&format!(" {event:?}"));
        }
        table.push('\n');
        for state in MessageState::ALL {
            table.push_str(&format!("{state:?}"));
            for event in MessageEvent::ALL {
                match state.next(event) {
                    Some(next) => table.push_str(&format!(" {next:?}")),
                    None => table.push_str(" -"),
                }
            }
            table.push('\n');
        }
        assert_eq!(table, include_str!("../tests/golden/message_states.txt"), "new table:\n{table}");
    }

    #[test]
    fn keys_survive_the_way_through_a_token() {
        let key = MessageKey(Key { index: 7, generation: 9 });
        assert_eq!(MessageKey::from_u64(key.as_u64()), key);
    }

    #[test]
    fn names_have_stable_ids() {
        assert_eq!(AccountId::of_name(b"a").to_string(), "a");
        assert_eq!(crate::older_number(b"a"), 0xe40c_292c);
    }
}
