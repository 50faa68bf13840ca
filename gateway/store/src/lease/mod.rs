//! What the nodes of one gateway share in portions, leased from Redis.

pub mod node_id;
pub mod rates;
pub mod slots;
