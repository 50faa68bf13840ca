//! Answers on their way: kept back, given, lost; and the window they free.

use super::*;

impl<L: Copy> Site<L> {
    /// Gives an answer now or when it is due.
    pub(super) fn give_at(&mut self, now: Instant, due_ns: u64, answer: Answer) {
        if due_ns <= now.as_nanos() {
            self.give(now, answer);
        } else {
            self.wheel.insert(due_ns, Due::Answer(answer));
        }
    }

    /// Gives an answer, unless its connection is gone or a fault keeps it back.
    pub(super) fn give(&mut self, now: Instant, answer: Answer) {
        let Some(conn) = self.conn(answer.to).filter(|conn| !conn.ending) else {
            return self.lose_answer(now, answer);
        };
        if self.keeps_back(conn) {
            let conn = &mut self.conns[answer.to.slot as usize];
            if conn.held.len() < HELD_MAX {
                conn.held.push_back(answer);
            } else {
                self.lose_answer(now, answer);
            }
            return;
        }
        let recent_max = (self.options.behaviour.window.max as usize).clamp(RECENT_MIN, RECENT_MAX);
        let conn = &mut self.conns[answer.to.slot as usize];
        if answer.status.is_ok() {
            if conn.recent.len() >= recent_max {
                conn.recent.pop_front();
            }
            conn.recent.push_back(Recent { at: now, id: answer.id, key: answer.key });
        }
        let link = conn.link;
        self.actions.push_back(Action::Answer { link, answer });
        self.release_window(answer.to);
    }

    /// An answer could not be handed to the connection.
    pub(crate) fn answer_lost(&mut self, now: Instant, answer: Answer) {
        if let Some(conn) = self.conn_mut(answer.to) {
            conn.recent.retain(|recent| recent.key != answer.key);
        }
        self.lose_answer(now, answer);
    }

    /// The peer will never know what became of this message.
    pub(super) fn lose_answer(&mut self, now: Instant, answer: Answer) {
        if answer.status.is_ok() {
            self.doubt(now, answer.to.serial, answer.id, answer.key, Record::NEVER_LEFT);
        }
    }

    /// A connection broke: what was answered on it a moment before may not have arrived.
    pub(super) fn doubt_recent(&mut self, now: Instant, conn: &Conn<L>) {
        let broken_at = conn.frozen_at.unwrap_or(now);
        for recent in &conn.recent {
            if broken_at.saturating_since(recent.at) <= RECENT_AGE {
                self.doubt(now, conn.serial, recent.id, recent.key, Record::LEFT_BEFORE_BREAK);
            }
        }
    }

    /// Gives every answer that no fault keeps back any more.
    pub(super) fn release_answers(&mut self, now: Instant) {
        let slots: Vec<_> = self.conns.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let conn = &self.conns[slot];
            if !conn.held.is_empty() && !self.keeps_back(conn) {
                let held = std::mem::take(&mut self.conns[slot].held);
                held.into_iter().for_each(|answer| self.give(now, answer));
            }
        }
    }

    /// Reacts to a submit that filled the window.
    pub(super) fn keep_window(&mut self, which: ConnRef) {
        let window = self.options.behaviour.window;
        let Some(conn) = self.conn_mut(which) else { return };
        match window.on_exceed {
            OnFullWindow::StopRead if conn.unanswered >= window.max => self.pause(which, PAUSED_WINDOW, true),
            OnFullWindow::Close if conn.unanswered > window.max && !conn.ending => {
                conn.ending = true;
                let link = conn.link;
                self.actions.push_back(Action::Close { link });
            }
            _ => {}
        }
    }

    /// A submit is dealt with.
    pub(super) fn release_window(&mut self, which: ConnRef) {
        let max = self.options.behaviour.window.max;
        let Some(conn) = self.conn_mut(which) else { return };
        conn.unanswered = conn.unanswered.saturating_sub(1);
        if conn.paused & PAUSED_WINDOW != 0 && conn.unanswered < max {
            self.pause(which, PAUSED_WINDOW, false);
        }
    }

    /// Adds or takes a reason not to read.
    pub(super) fn pause(&mut self, which: ConnRef, reason: u8, paused: bool) {
        let Some(conn) = self.conn_mut(which) else { return };
        let before = conn.paused;
        conn.paused = if paused { before | reason } else { before & !reason };
        if (before == 0) != (conn.paused == 0) {
            let (link, paused) = (conn.link, conn.paused != 0);
            self.actions.push_back(Action::Pause { link, paused });
        }
    }

    fn keeps_back(&self, conn: &Conn<L>) -> bool {
        conn.frozen || self.faults.stall.as_ref().is_some_and(|fault| fault.covers(conn.ordinal))
    }

    fn doubt(&mut self, now: Instant, link: u32, id: u64, key: MessageKey, cause: u8) {
        self.counters.lost_responses += 1;
        let ids = self.options.behaviour.ids;
        let text = IdText::new(id, ids.format, ids.width, self.options.seed);
        let record = self.record(now, Kind::LostResponse, key);
        (record.id_hash, record.link, record.detail) = (id_hash(text.as_bytes()), link, cause);
    }
}

/// Answers kept back per connection, 64 octets each; more than this are lost. The window bounds a peer that keeps to it.
const HELD_MAX: usize = 65_536;

/// Answers remembered per connection, 32 octets each: the peer cannot have more unread than its window.
const RECENT_MAX: usize = 4_096;

/// A small window says little about what lies unread: a peer may exceed it.
const RECENT_MIN: usize = 64;

/// What was answered longer ago than this has been read by any peer that is alive: no excuse for a second copy.
const RECENT_AGE: Duration = Duration::from_secs(1);
