//! Criterion benchmarks of the pure crates; they stand in `benches/`, one file per crate or part. The program
//! `gate-trace` sends fixed traces through one shard, for `cargo xtask bench gate`.
//!
//! Run one with `cargo bench -p benches --bench codec`. A figure counts only from a machine that is otherwise
//! idle, and beside the figure of the commit before.
#![forbid(unsafe_code)]
