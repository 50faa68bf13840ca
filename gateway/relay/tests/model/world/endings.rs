//! Stories with an end of their own: a drain while the load goes on, and a shard that ends without a word.

use super::World;
use crate::scene::*;

impl World {
    /// All shards drain in the middle of the story; customers and vendors do not notice and go on.
    pub(crate) fn run_into_drain(mut self) -> Story {
        self.everybody_binds();
        let load = 20 + self.random.below(200);
        while self.now_ms < STORY_MS / 2 {
            self.turn(5);
            self.traffic(load);
        }
        let before = self.submits.len();
        self.drain();
        // A vendor that is not answered, a queue, the store: each wait of the story's limits ends far below this.
        while self.now_ms < STORY_MS / 2 + HEALING_MS && self.drained < self.relays.len() as u32 {
            self.turn(5);
            self.submit();
        }
        assert_eq!(self.drained as usize, self.relays.len(), "a shard did not drain under load");
        self.submit(); // even a drained shard answers
        for (number, submit) in self.submits.iter().enumerate() {
            assert!(submit.session_lost || submit.answers == 1, "message {number} was not answered");
            let came_late = number >= before;
            assert!(
                !came_late || (submit.hands == 0 && submit.gateway_id.is_none()),
                "message {number} got in"
            );
        }
        self.story
    }

    /// A shard ends in the middle of the story, with its links and all that it held. The others go on.
    pub(crate) fn run_without_a_shard(mut self) -> Story {
        self.everybody_binds();
        let load = 20 + self.random.below(200);
        while self.now_ms < STORY_MS {
            self.turn(5);
            self.traffic(load);
            if self.now_ms == STORY_MS / 2 && self.relays.len() > 1 {
                self.lose_shard();
            }
        }
        self.come_to_an_end();
        assert!(self.is_quiet(), "still going on: {:?}", self.events);
        assert_eq!(self.drained as usize, self.shards().len());
        for (number, submit) in self.submits.iter().enumerate() {
            assert!(submit.session_lost || submit.answers == 1, "message {number} was not answered");
            let allowed = if ACCOUNTS[submit.account] == "initech" { u32::from(ATTEMPTS_MAX) } else { 1 };
            assert!(submit.copies_open <= allowed, "message {number}: {} copies", submit.copies_open);
        }
        for upward in &self.upwards {
            assert!(upward.acked, "{:?} was never acknowledged", upward.carried);
        }
        self.story
    }

    fn lose_shard(&mut self) {
        let lost = self.any_shard();
        self.gone.insert(lost);
        // Connections end with their shard: customers hear nothing more, vendors send again what was not answered.
        let sessions: Vec<_> = self.sessions.extract_if(.., |_, session| session.shard == lost).collect();
        for submit in &mut self.submits {
            submit.session_lost |= sessions.iter().any(|(link, _)| *link == submit.session);
        }
        let links: Vec<_> = self.links.extract_if(.., |_, bind| bind.shard == lost).collect();
        for upward in links.into_iter().flat_map(|(_, bind)| bind.upwards.into_values()) {
            self.later(10, Event::Upward { upward });
        }
        for shard in self.shards() {
            let now = self.now();
            self.relays[usize::from(shard)].shard_gone(now, gateway_relay::ShardIndex(lost));
            self.pump(shard);
        }
    }
}
