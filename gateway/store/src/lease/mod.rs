//! What nodes lease from one another: tokens of limits.

pub mod rates;
