//! What the nodes of one gateway share in portions, leased from Redis.

pub mod rates;
pub mod slots;
