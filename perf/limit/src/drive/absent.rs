//! Receipts that come later: parked for customers that only send, or withheld by the SMSC until the target was started
//! again.

use std::io::{BufRead, stdin};
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::customer::State;
use super::report::Release;
use super::{Drive, RETRY_PAUSE, Role, SILENCE_MAX};
use crate::wire;

impl Drive<'_> {
    /// Says that everything is parked, waits for a line on standard input, binds receivers, and waits until each
    /// parked receipt came once.
    pub(super) fn release_parked(&mut self) -> anyhow::Result<Release> {
        let already = self.world.tally.counts.receipts;
        ensure!(already == 0, "{already} receipts came although nobody was bound to receive them");
        let parked = self.world.tally.counts.receipts_acknowledged;
        say_ready("parked", parked);
        self.wait_for_line()?;
        let begun = self.world.clock.nanos();
        self.bind_receivers()?;
        self.receive(parked, begun)
    }

    /// Says how many receipts are withheld, waits for a line, and begins anew: the target's binds and receivers for
    /// the customers first, then every receipt.
    pub(super) fn send_withheld(&mut self) -> anyhow::Result<Release> {
        let withheld = std::mem::take(&mut self.world.withheld);
        say_ready("open", withheld.len() as u64);
        self.wait_for_line()?;
        self.world.withholding = false;
        // What is left of the old connections is not served any more.
        for peer in &mut self.peers {
            peer.alive = false;
        }
        let first = self.peers.len();
        let deadline =
            self.world.clock.nanos() + Duration::from_secs(self.options.patience).as_nanos() as u64;
        while self.receivers_bound() == 0 || self.smscs_from(first).is_empty() {
            ensure!(self.world.clock.nanos() < deadline, "the target is not ready again");
            if self.receivers_alive() == 0 {
                self.bind_receivers()?;
            }
            self.turn(Some(RETRY_PAUSE))?;
        }
        let begun = self.world.clock.nanos();
        let smscs = self.smscs_from(first);
        for (place, index) in withheld.iter().enumerate() {
            if let Role::Smsc(smsc) = &mut self.peers[smscs[place % smscs.len()]].role {
                smsc.add_waiting(*index);
            }
        }
        for smsc in smscs {
            self.peer_turn(mio::Token(smsc), true);
        }
        self.receive(withheld.len() as u64, begun)
    }

    /// Waits until that many receipts came and were acknowledged.
    fn receive(&mut self, expected: u64, begun: u64) -> anyhow::Result<Release> {
        self.world.loading = true;
        let (mut progress, mut progress_at) = (0, begun);
        while self.world.tally.counts.receipts < expected
            || self.world.tally.counts.receipts_acknowledged < expected
        {
            self.turn(Some(RETRY_PAUSE))?;
            let counts = &self.world.tally.counts;
            let sum = counts.receipts
                + counts.receipts_wrong
                + counts.receipts_twice
                + counts.receipts_acknowledged;
            let now = self.world.clock.nanos();
            if sum != progress {
                (progress, progress_at) = (sum, now);
            } else if now - progress_at > SILENCE_MAX.as_nanos() as u64 {
                eprintln!("nothing came for {} s", SILENCE_MAX.as_secs());
                break;
            }
        }
        let seconds = (self.world.clock.nanos() - begun) as f64 / 1e9;
        self.world.loading = false;
        ensure!(self.receivers_bound() > 0, "no receiver was accepted");
        let receipts = self.world.tally.counts.receipts;
        Ok(Release { expected, seconds, receipts_per_second: receipts as f64 / seconds })
    }

    fn bind_receivers(&mut self) -> anyhow::Result<()> {
        (0..self.options.binds).try_for_each(|_| self.connect(wire::BIND_RECEIVER))
    }

    fn receivers(&self, state: impl Fn(State) -> bool) -> usize {
        let is_one = |role: &Role| matches!(role, Role::Customer(customer) if customer.is_receiver() && state(customer.state));
        self.peers.iter().filter(|peer| peer.alive && is_one(&peer.role)).count()
    }

    fn receivers_bound(&self) -> usize {
        self.receivers(|state| state == State::Bound)
    }

    fn receivers_alive(&self) -> usize {
        self.receivers(|state| state != State::Refused)
    }

    /// Bound connections of the target to the SMSC, those from this place on.
    fn smscs_from(&self, first: usize) -> Vec<usize> {
        let is_bound = |role: &Role| matches!(role, Role::Smsc(smsc) if smsc.bound);
        (first..self.peers.len())
            .filter(|place| self.peers[*place].alive && is_bound(&self.peers[*place].role))
            .collect()
    }

    /// Serves the connections meanwhile: the target asks for signs of life.
    fn wait_for_line(&mut self) -> anyhow::Result<()> {
        let (told, line) = channel();
        // It ends with the line, or with standard input.
        std::thread::spawn(move || told.send(stdin().lock().lines().next()));
        loop {
            match line.try_recv() {
                Ok(line) => return line.context("standard input ended")?.map(drop).map_err(Into::into),
                Err(TryRecvError::Empty) => self.turn(Some(Duration::from_millis(5)))?,
                Err(TryRecvError::Disconnected) => bail!("standard input cannot be read"),
            }
        }
    }
}

fn say_ready(what: &str, count: u64) {
    println!("{}", serde_json::json!({"ready": true, "program": "limit-drive", what: count}));
}
