//! MO by keyword and in parts: relays driven directly, on one shard and on several, against what must hold whatever the
//! order of the parts.

mod node;
mod scripted;
mod shuffled;
