//! The simulation: seeded stories of the whole system on one thread and a virtual clock. Customers, one to three nodes of
//! one to three shards, vendors, stores and connections around the real relays; one `u64` decides everything, and
//! the same seed tells the same story.
//!
//! ```text
//! scene, ids   who is there, and what a story draws        fault       what can go wrong, by name
//! world        clock, events, connections, nodes           invariant   what must hold, by name
//! ledger       what the world knows of every message       trace       a hash, and the last events
//! ```
//!
//! What is expected is computed from the ledger alone, never with functions of the relay.

#![forbid(unsafe_code)]

mod fault;
mod ids;
mod invariant;
mod ledger;
mod mutation;
mod random;
mod scene;
mod spool;
mod store;
mod story;
mod trace;
mod wire;
mod world;

pub use fault::{Fault, Faults};
pub use invariant::{Invariant, Violation};
pub use mutation::{Mutation, all as mutations, mutation_of_name};
pub use story::Story;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Tells the story of a seed.
///
/// # Errors
/// When an invariant is broken or a relay panics.
pub fn tell(seed: u64, mutation: Option<Mutation>) -> Result<Story, Box<Violation>> {
    let mut world = world::World::new(seed, mutation);
    catch_unwind(AssertUnwindSafe(|| world.run())).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let what = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
        Box::new(Violation { seed, what: what.to_owned(), events: world.trace.last() })
    })
}

/// The seeds that once failed, one a line; what stands behind `#` says why.
pub fn regression_seeds() -> Vec<u64> {
    let lines = include_str!("../seeds.txt").lines().filter_map(|line| line.split('#').next());
    lines.filter_map(|line| line.trim().parse().ok()).collect()
}
