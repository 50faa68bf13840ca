//! What shards of one node send each other, and the boxes between them.

use link::Tls;
use relay::ShardMessage;
use runtime::{Receiver, Sender, mailbox};
use std::os::fd::OwnedFd;

/// One word from shard to shard.
#[derive(Debug)]
pub enum Mail {
    /// From relay to relay.
    Relay(ShardMessage),
    /// A connection whose account lives with you, and what was read from it, from its bind on.
    Handover {
        /// The connection.
        socket: OwnedFd,
        /// What was read.
        octets: Vec<u8>,
        /// What encrypts it; what was read is plain text all the same.
        tls: Option<Box<Tls>>,
    },
}

/// Words that a box holds. One box for each ordered pair of shards; a word has 56 octets, its PDU apart.
pub(crate) const MAILBOX_CAPACITY: usize = 8_192;
/// Words taken from a box at a time, so that one busy neighbour does not starve the links.
pub(crate) const MAILBOX_BATCH: usize = 256;

/// One shard's ends of all boxes.
pub struct Post {
    /// To each shard, in their order; none to itself.
    pub(crate) to: Vec<Option<Sender<Mail>>>,
    /// From each other shard, with its index.
    pub(crate) from: Vec<(u8, Receiver<Mail>)>,
}

/// The boxes between this many shards: one [`Post`] for each.
pub fn mesh(shards: u8) -> Vec<Post> {
    let mut posts: Vec<Post> = (0..shards).map(|_| Post { to: Vec::new(), from: Vec::new() }).collect();
    for from in 0..shards {
        for to in 0..shards {
            if from == to {
                posts[usize::from(from)].to.push(None);
                continue;
            }
            let (sender, receiver) = mailbox(MAILBOX_CAPACITY);
            posts[usize::from(from)].to.push(Some(sender));
            posts[usize::from(to)].from.push((from, receiver));
        }
    }
    posts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_can_write_to_every_other() {
        let mut posts = mesh(3);
        for post in &posts {
            assert_eq!((post.to.len(), post.from.len()), (3, 2));
        }
        let word = Mail::Relay(ShardMessage::ParkedFor { account: relay::AccountId(1) });
        posts[0].to[2].as_mut().expect("a box to shard 2").push(word).expect("room");
        let mut got = Vec::new();
        for (from, receiver) in &mut posts[2].from {
            if receiver.try_receive(&mut got, 8) > 0 {
                assert_eq!(*from, 0);
            }
        }
        assert_eq!(got.len(), 1);
    }
}
