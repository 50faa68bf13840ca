//! The sending end of a mailbox with what waits for room in it. A shard never waits for a reader: two shards
//! that wait for each other would stand still for ever.

use runtime::{Full, Sender};
use std::collections::VecDeque;

/// Words that may wait for a reader that does not come; about 150 octets each. More are not asked for.
pub(crate) const WAITING_MAX: usize = 65_536;

/// A mailbox's sending end.
pub(crate) struct Outgoing<M> {
    sender: Sender<M>,
    /// Words that must not be lost, oldest first. Between shards bounded by what asks for them: one answer a
    /// question. Towards the store its user stops at [`WAITING_MAX`].
    waiting: VecDeque<M>,
    pushed: bool,
}

impl<M: Send> Outgoing<M> {
    pub(crate) fn new(sender: Sender<M>) -> Self {
        Outgoing { sender, waiting: VecDeque::new(), pushed: false }
    }

    /// Sends, or gives the word back when there is no room: the caller has a better use for it than waiting.
    pub(crate) fn offer(&mut self, word: M) -> Result<(), M> {
        if !self.waiting.is_empty() {
            return Err(word);
        }
        self.sender.push(word).map_err(|Full(word)| word)?;
        self.pushed = true;
        Ok(())
    }

    /// Sends in order, keeping the word until there is room.
    pub(crate) fn keep(&mut self, word: M) {
        if let Err(word) = self.offer(word) {
            self.waiting.push_back(word);
        }
    }

    /// Moves what waits, and wakes the reader once if anything was sent since the last time.
    pub(crate) fn flush(&mut self) {
        while let Some(word) = self.waiting.pop_front() {
            if let Err(Full(word)) = self.sender.push(word) {
                self.waiting.push_front(word);
                break;
            }
            self.pushed = true;
        }
        if std::mem::take(&mut self.pushed) {
            self.sender.ring();
        }
    }

    /// Whether it is of no use to send: the reader is gone, or far behind.
    pub(crate) fn is_stuck(&self) -> bool {
        self.sender.is_closed() || self.waiting.len() >= WAITING_MAX
    }

    /// Whether nobody will ever read what is sent.
    pub(crate) fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }

    /// Gives up what waits; how many words that were.
    pub(crate) fn forget(&mut self) -> usize {
        std::mem::take(&mut self.waiting).len()
    }

    /// Words that wait for room.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::mailbox;

    #[test]
    fn order_is_kept_when_the_mailbox_is_full() {
        let (sender, mut receiver) = mailbox(2);
        let mut outgoing = Outgoing::new(sender);
        let mut got = Vec::new();
        for word in 0..7 {
            outgoing.keep(word);
        }
        assert_eq!(outgoing.waiting(), 5);
        assert_eq!(outgoing.offer(99), Err(99), "nothing overtakes what waits");
        while got.len() < 7 {
            receiver.try_receive(&mut got, 16);
            outgoing.flush();
        }
        assert_eq!(got, (0..7).collect::<Vec<_>>());
        assert_eq!(outgoing.waiting(), 0);
    }

    #[test]
    fn a_reader_that_is_gone_or_far_behind_is_told() {
        let (sender, receiver) = mailbox(1);
        let mut outgoing = Outgoing::new(sender);
        for word in 0..=WAITING_MAX {
            assert!(!outgoing.is_stuck());
            outgoing.keep(word);
        }
        assert!(outgoing.is_stuck() && !outgoing.is_gone());
        let (sender, gone) = mailbox::<usize>(1);
        drop((receiver, gone));
        let gone = Outgoing::new(sender);
        assert!(gone.is_stuck() && gone.is_gone());
    }
}
