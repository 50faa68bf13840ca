//! Words between the shards of one node.

use super::World;
use super::event::Event;
use crate::fault::Fault;
use relay::{ShardIndex, ShardMessage};

impl World {
    pub(super) fn post(&mut self, from: usize, to: ShardIndex, message: ShardMessage) {
        let to = self.nodes[self.shards[from].node].first + usize::from(to.0);
        let lives = (self.shards[from].life, self.shards[to].life);
        let air = self.random.between(10, 200);
        let lane = from * self.shards.len() + to;
        let due = self.mail_lanes[lane].max(self.now + air);
        self.mail_lanes[lane] = due;
        self.at(due, Event::Mail { from, to, lives, message });
    }

    pub(super) fn mail(&mut self, from: usize, to: usize, lives: (u32, u32), message: ShardMessage) {
        let (from_lives, to_lives) = (self.shards[from].relay.is_some(), self.shards[to].relay.is_some());
        if lives != (self.shards[from].life, self.shards[to].life) || !from_lives {
            return; // lost with the shard that ended: nothing comes from it once the others are told
        }
        let may_come_back = message.may_come_back();
        if !to_lives && !may_come_back {
            return;
        }
        self.note("mail", from as u64, to as u64);
        let now = self.now();
        let first = self.nodes[self.shards[from].node].first;
        let is_closed = !to_lives;
        let (at, is_refused) = match is_closed || (may_come_back && self.strikes(Fault::MailRefused, 4)) {
            true => (from, true),
            false => (to, false),
        };
        if let Some(relay) = &mut self.shards[at].relay {
            if is_refused {
                relay.handle_undelivered(now, ShardIndex((to - first) as u8), message);
            } else {
                relay.handle_shard_message(now, ShardIndex((from - first) as u8), message);
            }
        }
        self.pump(at);
    }
}
