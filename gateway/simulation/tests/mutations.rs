//! That the simulation finds bugs: each of the relay's seeded bugs is caught, and the seed that caught it is shown.
#![cfg(feature = "mutations")]

use gateway_simulation::{mutations, tell};

/// Every bug is found within so many stories.
const STORIES: u64 = 400;

#[test]
fn every_seeded_bug_is_caught() {
    let mut missed = Vec::new();
    std::panic::set_hook(Box::new(|_| {})); // each find is a panic; what it says is shown below
    for mutation in mutations() {
        match (0..STORIES).find_map(|seed| tell(seed, Some(*mutation)).err()) {
            Some(violation) => {
                println!(
                    "{:<24} seed {:>3}: {:.120}",
                    format!("{mutation:?}"),
                    violation.seed,
                    violation.what
                );
            }
            None => missed.push(mutation),
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not caught in {STORIES} stories: {missed:?}");
    assert!(mutations().len() >= 8);
}
