//! Faults as they begin and end.

use super::*;
use crate::faults::{Active, Change, FaultKind, OnHeal};

impl<L: Copy> Site<L> {
    /// A fault by hand; its trigger counts from now.
    pub(crate) fn inject(&mut self, now: Instant, fault: FaultSpec) {
        self.timeline.insert(fault, now, self.counters.submits);
        self.advance_timeline(now);
    }

    /// Ends every fault and forgets those to come.
    pub(crate) fn heal(&mut self, now: Instant) {
        let on_heal = self.faults.half_open.as_ref().map(|fault| fault.rule.on_heal);
        let refused = self.faults.refuse.is_some();
        self.timeline.clear();
        self.faults.heal();
        if let Some(on_heal) = on_heal {
            self.thaw(on_heal);
        }
        if refused {
            self.actions.push_back(Action::Listen { open: true });
        }
        self.release_answers(now);
        self.pump_all();
    }

    /// Names of the faults that are on, and the number of those in the timeline.
    pub(crate) fn faults(&self) -> (Vec<&'static str>, usize) {
        debug_assert!(!self.faults.is_healed() || self.faults.names().is_empty());
        (self.faults.names(), self.timeline.len())
    }

    pub(super) fn advance_timeline(&mut self, now: Instant) {
        if self.timeline.len() == 0 {
            return;
        }
        for change in self.timeline.advance(now, self.start, self.counters.submits) {
            match change {
                Change::Begin { kind, share, entry } => self.begin_fault(now, &kind, share, entry),
                Change::End { kind, entry } => self.end_fault(now, &kind, entry),
            }
        }
    }

    /// A connection that comes while a fault is on.
    pub(super) fn strike_newcomer(&mut self, slot: usize) {
        let conn = &mut self.conns[slot];
        let (link, ordinal) = (conn.link, conn.ordinal);
        let action = if self.faults.rst.as_ref().is_some_and(|fault| fault.covers(ordinal))
            || self.faults.refuse.is_some()
        {
            conn.ending = true;
            Action::Reset { link }
        } else if self.faults.fin.as_ref().is_some_and(|fault| fault.covers(ordinal)) {
            conn.ending = true;
            Action::Close { link }
        } else if self.faults.half_open.as_ref().is_some_and(|fault| fault.covers(ordinal)) {
            conn.frozen = true;
            Action::Freeze { link, frozen: true }
        } else {
            return;
        };
        self.actions.push_back(action);
    }

    fn begin_fault(&mut self, now: Instant, kind: &FaultKind, share: f64, entry: u32) {
        self.counters.faults.add(kind.name());
        self.record_fault(now, kind.name());
        self.faults.begin(kind, share, entry);
        match kind {
            FaultKind::Refuse(_) => self.actions.push_back(Action::Listen { open: false }),
            FaultKind::Rst(_) => self.end_each(self.faults.rst.clone(), |link| Action::Reset { link }),
            FaultKind::Fin(_) => self.end_each(self.faults.fin.clone(), |link| Action::Close { link }),
            FaultKind::Unbind(_) => self.unbind_each(self.faults.unbind.clone()),
            FaultKind::HalfOpen(_) => self.freeze_covered(now),
            _ => {}
        }
    }

    fn end_fault(&mut self, now: Instant, kind: &FaultKind, entry: u32) {
        if !self.faults.end(kind, entry) {
            return;
        }
        match kind {
            FaultKind::Refuse(_) => self.actions.push_back(Action::Listen { open: true }),
            FaultKind::HalfOpen(rule) => {
                self.thaw(rule.on_heal);
                self.release_answers(now);
                self.pump_all();
            }
            FaultKind::StallResponses(_) => self.release_answers(now),
            _ => {}
        }
    }

    /// Ends every connection that is covered. Their answers still due are lost.
    fn end_each<F>(&mut self, fault: Option<Active<F>>, action: impl Fn(L) -> Action<L>) {
        for (_, conn) in &mut self.conns {
            if !conn.ending && fault.as_ref().is_some_and(|fault| fault.covers(conn.ordinal)) {
                conn.ending = true;
                self.actions.push_back(action(conn.link));
            }
        }
    }

    fn unbind_each<F>(&mut self, fault: Option<Active<F>>) {
        for (_, conn) in &mut self.conns {
            let is_idle = conn.ending || conn.unbinding;
            if !is_idle && fault.as_ref().is_some_and(|fault| fault.covers(conn.ordinal)) {
                conn.unbinding = true;
                self.actions.push_back(Action::Unbind { link: conn.link });
            }
        }
    }

    fn freeze_covered(&mut self, now: Instant) {
        let Some(fault) = &self.faults.half_open else { return };
        for (_, conn) in &mut self.conns {
            if !conn.frozen && !conn.ending && fault.covers(conn.ordinal) {
                conn.frozen = true;
                conn.frozen_at = Some(now);
                self.actions.push_back(Action::Freeze { link: conn.link, frozen: true });
            }
        }
    }

    fn thaw(&mut self, on_heal: OnHeal) {
        for (_, conn) in self.conns.iter_mut().filter(|(_, conn)| conn.frozen) {
            let link = conn.link;
            conn.frozen = false;
            if on_heal == OnHeal::Reset {
                conn.ending = true;
                // It is thawed after the reset only, so that nothing unread in it is processed.
                self.actions.push_back(Action::Reset { link });
            } else {
                conn.frozen_at = None;
            }
            self.actions.push_back(Action::Freeze { link, frozen: false });
        }
    }
}
