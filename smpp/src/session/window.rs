//! Requests of ours that wait for their answer, by sequence number.

use crate::field::CommandId;
use crate::time::Instant;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

/// Largest sequence number that we use; after it comes 1 again (SMPP 3.4 §5.1.4).
const SEQUENCE_MAX: u32 = 0x7FFF_FFFF;
/// Slots of a window that was never used beyond this many requests: an idle session must cost little.
const SLOTS_MIN: usize = 16;
/// Largest window, requests: bounds the table at 2 * 65,536 slots.
const WINDOW_MAX: u32 = 65_536;

/// A request that never got an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered<T> {
    /// What it was sent with.
    pub token: T,
    /// Whether the connection took its last octet: the peer may have acted on it. `false` proves it did not.
    pub written: bool,
}

/// A request whose answer did not come in time.
pub(super) struct Expired<T> {
    pub(super) token: T,
    pub(super) sequence: u32,
    pub(super) sent_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Slot<T> {
    sequence: NonZeroU32,
    command: CommandId,
    sent_at: Instant,
    /// Position in the outgoing stream behind its last octet.
    end: u64,
    token: T,
}

/// A table of slots indexed by sequence number modulo its size, which is a power of two of at least twice the
/// requests in it; a sequence number whose slot is still taken is skipped.
#[derive(Debug)]
pub(super) struct Window<T> {
    slots: Vec<Option<Slot<T>>>,
    /// Requests in the table.
    len: u32,
    /// The next sequence number to use.
    next: u32,
    /// No request older than this sequence number is in the table.
    oldest: u32,
    /// Most requests that may be in the table.
    max: u32,
}

impl<T: Copy> Window<T> {
    pub(super) fn new(max: u32) -> Self {
        Window { slots: Vec::new(), len: 0, next: 1, oldest: 1, max: max.min(WINDOW_MAX) }
    }

    pub(super) fn widen(&mut self, max: u32) {
        self.max = max.min(WINDOW_MAX);
    }

    /// The next free sequence number.
    pub(super) fn reserve(&mut self) -> u32 {
        if self.slots.is_empty() {
            return self.advance();
        }
        // At most half of the slots are taken, so one is free within a turn of the table.
        loop {
            let sequence = self.advance();
            if self.slots[self.index(sequence)].is_none() {
                return sequence;
            }
        }
    }

    /// Remembers a request under a number from [`Window::reserve`].
    pub(super) fn insert(&mut self, sequence: u32, command: CommandId, sent_at: Instant, end: u64, token: T) {
        assert!(self.len < self.max, "the window was checked before the request was written");
        if (self.len as usize + 1) * 2 > self.slots.len() {
            self.grow();
        }
        if self.len == 0 {
            self.oldest = sequence;
        }
        let sequence = NonZeroU32::new(sequence).unwrap_or(NonZeroU32::MIN);
        let index = self.index(sequence.get());
        self.slots[index] = Some(Slot { sequence, command, sent_at, end, token });
        self.len += 1;
    }

    /// Takes out the request with this number, whatever it was.
    pub(super) fn remove(&mut self, sequence: u32) -> Option<(T, Instant)> {
        self.remove_if(sequence, |_| true)
    }

    /// Takes out the request with this number, if `response` is the answer to that kind of request: a peer's
    /// own numbers may equal ours, and a wrong answer must not complete a request.
    pub(super) fn remove_answered(&mut self, sequence: u32, response: CommandId) -> Option<(T, Instant)> {
        self.remove_if(sequence, |command| command.response() == response)
    }

    /// Takes out the request with this number, if it is of this kind.
    pub(super) fn remove_request(&mut self, sequence: u32, request: CommandId) -> Option<T> {
        self.remove_if(sequence, |command| command == request).map(|(token, _)| token)
    }

    /// The lowest position behind a request that lies beyond this one.
    pub(super) fn first_end_after(&self, position: u64) -> Option<u64> {
        let ends = self.slots.iter().flatten().map(|slot| slot.end);
        ends.filter(|end| *end > position).min()
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// When the oldest unanswered request was sent; may be a little early, never late.
    pub(super) fn oldest_sent_at(&self) -> Option<Instant> {
        let mut sequence = self.oldest;
        while self.len > 0 && sequence != self.next {
            if let Some(slot) = self.slot(sequence) {
                return Some(slot.sent_at);
            }
            sequence = following(sequence);
        }
        None
    }

    /// Takes out the oldest request if it was sent `timer` or longer ago; a timer of zero is off.
    pub(super) fn expired(&mut self, now: Instant, timer: Duration) -> Option<Expired<T>> {
        if timer.is_zero() {
            return None;
        }
        while self.len > 0 && self.oldest != self.next {
            let sequence = self.oldest;
            if let Some(slot) = self.slot(sequence) {
                if now.saturating_since(slot.sent_at) < timer {
                    return None;
                }
                self.oldest = following(sequence);
                return self.remove(sequence).map(|(token, sent_at)| Expired { token, sequence, sent_at });
            }
            self.oldest = following(sequence);
        }
        None
    }

    /// Empties the table, oldest first; `taken` is the position up to which the connection took octets.
    pub(super) fn abandon(&mut self, taken: u64) -> Vec<Unanswered<T>> {
        let mut slots: Vec<Slot<T>> = self.slots.drain(..).flatten().collect();
        // Positions grow with every request, sequence numbers wrap.
        slots.sort_unstable_by_key(|slot| slot.end);
        self.len = 0;
        slots.iter().map(|slot| Unanswered { token: slot.token, written: slot.end <= taken }).collect()
    }

    fn remove_if(&mut self, sequence: u32, fits: impl Fn(CommandId) -> bool) -> Option<(T, Instant)> {
        if self.slots.is_empty() {
            return None;
        }
        let index = self.index(sequence);
        let slot = self.slots[index]?;
        if slot.sequence.get() != sequence || !fits(slot.command) {
            return None;
        }
        self.slots[index] = None;
        self.len -= 1;
        Some((slot.token, slot.sent_at))
    }

    fn slot(&self, sequence: u32) -> Option<&Slot<T>> {
        self.slots.get(self.index(sequence))?.as_ref().filter(|slot| slot.sequence.get() == sequence)
    }

    fn index(&self, sequence: u32) -> usize {
        sequence as usize & (self.slots.len().wrapping_sub(1))
    }

    fn advance(&mut self) -> u32 {
        let sequence = self.next;
        self.next = following(sequence);
        sequence
    }

    /// Doubles the table. Numbers that differ modulo the old size also differ modulo the new one.
    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(SLOTS_MIN);
        let old = core::mem::take(&mut self.slots);
        self.slots.resize(size, None);
        for slot in old.into_iter().flatten() {
            let index = self.index(slot.sequence.get());
            self.slots[index] = Some(slot);
        }
    }
}

fn following(sequence: u32) -> u32 {
    if sequence >= SEQUENCE_MAX { 1 } else { sequence + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn send(window: &mut Window<u32>, now: Instant, token: u32) -> u32 {
        let sequence = window.reserve();
        window.insert(sequence, CommandId::SUBMIT_SM, now, u64::from(token) * 10, token);
        sequence
    }

    #[test]
    fn answers_match_in_any_order_and_once() {
        let mut window = Window::new(100);
        let numbers: Vec<u32> = (0..100).map(|token| send(&mut window, at(0), token)).collect();
        for token in (0..100).rev() {
            let number = numbers[token as usize];
            assert_eq!(window.remove_answered(number, CommandId::DELIVER_SM_RESP), None);
            let answered = window.remove_answered(number, CommandId::SUBMIT_SM_RESP);
            assert_eq!(answered.map(|(token, _)| token), Some(token));
            assert_eq!(window.remove(number), None);
        }
        assert_eq!(window.len(), 0);
    }

    #[test]
    fn numbers_wrap_and_skip_those_still_waiting() {
        let mut window = Window::new(8);
        let first = send(&mut window, at(0), 0);
        window.next = SEQUENCE_MAX;
        assert_eq!(window.reserve(), SEQUENCE_MAX);
        assert_eq!(first, 1);
        assert_eq!(window.reserve(), 2, "1 still waits");
    }

    #[test]
    fn the_oldest_expires_first_and_only_when_due() {
        let mut window = Window::new(8);
        send(&mut window, at(1), 1);
        let second = send(&mut window, at(2), 2);
        send(&mut window, at(3), 3);
        window.remove(second);
        let timer = Duration::from_secs(10);
        assert_eq!(window.oldest_sent_at(), Some(at(1)));
        let mut expired = |now, timer| window.expired(now, timer).map(|expired| expired.token);
        assert_eq!(expired(at(10), timer), None);
        assert_eq!(expired(at(11), timer), Some(1));
        assert_eq!(expired(at(12), timer), None, "2 was answered");
        assert_eq!(expired(at(13), timer), Some(3));
        assert_eq!(expired(at(99), timer), None);
        assert_eq!(expired(at(99), Duration::ZERO), None);
    }

    #[test]
    fn abandoned_requests_say_whether_they_were_written() {
        let mut window = Window::new(8);
        for token in 1..=3 {
            send(&mut window, at(0), token);
        }
        let abandoned = window.abandon(20);
        let told: Vec<_> = abandoned.iter().map(|request| (request.token, request.written)).collect();
        assert_eq!(told, [(1, true), (2, true), (3, false)]);
        assert_eq!(window.len(), 0);
    }
}
