//! An absent customer: its receipts are parked while it only sends, and come out when its receivers bind.

use std::io::{BufRead, stdin};
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::customer::State;
use super::report::Release;
use super::{Drive, RETRY_PAUSE, Role, SILENCE_MAX};
use crate::wire;

impl Drive<'_> {
    /// Says that everything is parked, waits for a line on standard input, binds receivers, and waits until each
    /// parked receipt came once.
    pub(super) fn release(&mut self) -> anyhow::Result<Release> {
        let already = self.world.tally.counts.receipts;
        ensure!(already == 0, "{already} receipts came although nobody was bound to receive them");
        let parked = self.world.tally.counts.receipts_acknowledged;
        println!("{}", serde_json::json!({"ready": true, "program": "limit-drive", "parked": parked}));
        self.wait_for_line()?;
        self.world.loading = true;
        let begun = self.world.clock.nanos();
        for _ in 0..self.options.binds {
            self.connect(wire::BIND_RECEIVER)?;
        }
        let (mut progress, mut progress_at) = (0, begun);
        while self.world.tally.counts.receipts < parked {
            self.turn(Some(RETRY_PAUSE))?;
            let counts = &self.world.tally.counts;
            let sum = counts.receipts + counts.receipts_wrong + counts.receipts_twice;
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
        Ok(Release {
            parked,
            seconds,
            receipts_per_second: self.world.tally.counts.receipts as f64 / seconds,
        })
    }

    fn receivers_bound(&self) -> usize {
        let bound = |role: &Role| matches!(role, Role::Customer(customer) if customer.is_receiver() && customer.state == State::Bound);
        self.peers.iter().filter(|peer| peer.alive && bound(&peer.role)).count()
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
                Err(TryRecvError::Disconnected) => anyhow::bail!("standard input cannot be read"),
            }
        }
    }
}
