//! Many stories: what they must tell of, that a seed tells the same story again, and that old failures stay mended.

use gateway_simulation::{Fault, Story, regression_seeds, tell};

/// Stories of the normal run; `cargo xtask simulate` tells many more.
const STORIES: u64 = 1000;

fn told(seed: u64) -> Story {
    tell(seed, None).unwrap_or_else(|violation| panic!("{violation}"))
}

#[test]
fn every_story_ends_well_and_every_fault_happens_often() {
    let mut total = Story::default();
    for seed in 0..STORIES {
        total.add(&told(seed));
    }
    println!("{STORIES} stories: {total:?}");
    for fault in Fault::ALL {
        assert!(total.faults.of(fault) >= STORIES / 20, "{}: {}", fault.name(), total.faults.of(fault));
    }
    // The stories must tell of what they are about.
    assert!(total.messages > 100 * STORIES && total.accepted > 40 * STORIES, "{total:?}");
    assert!(total.refused > STORIES && total.unknown > STORIES && total.retries > STORIES / 2, "{total:?}");
    assert!(total.receipts > 20 * STORIES && total.taken > 20 * STORIES, "{total:?}");
    assert!(total.parked > STORIES && total.orphans > STORIES / 2, "{total:?}");
    assert!(total.early > STORIES && total.early_served > STORIES / 2, "{total:?}");
    assert!(total.across_nodes > STORIES && total.remote > STORIES && total.failovers > STORIES, "{total:?}");
    assert!(total.told_by_receipt > STORIES / 2, "{total:?}");
    assert!(total.ambiguous > STORIES / 100, "{total:?}");
    assert!(total.records > 30 * STORIES, "{total:?}");
    assert!(total.spooled > 10 * STORIES && total.handed_out > STORIES, "{total:?}");
    assert!(
        total.own_receipts > STORIES / 2 && total.wholes > STORIES && total.together > STORIES,
        "{total:?}"
    );
    assert!(total.no_room > STORIES, "{total:?}");
    // Most correlations are understood, or what is said of them says nothing.
    assert!(total.correlations * 10 > total.receipts * 7, "{total:?}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    for seed in 1_000_000..1_000_020 {
        assert_eq!(told(seed), told(seed), "seed {seed}");
    }
    assert_ne!(told(1).trace, told(2).trace);
}

#[test]
fn what_failed_once_is_well() {
    for seed in regression_seeds() {
        told(seed);
    }
}
