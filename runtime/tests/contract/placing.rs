//! Threads, tasks and time.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use runtime::{Placement, Runtime, allowed_cores};

use super::support::on_a_shard;

pub(crate) fn a_shard_is_pinned_and_named<R: Runtime>() {
    let core = *allowed_cores().last().unwrap();
    let (tell, seen) = std::sync::mpsc::channel();
    let shard = R::run(Placement::Core(core), "pinned-1", move || async move {
        let name = std::thread::current().name().map(str::to_owned);
        tell.send((allowed_cores(), name)).unwrap();
    });
    shard.unwrap().join().unwrap();
    assert_eq!(seen.recv().unwrap(), (vec![core], Some("pinned-1".to_owned())));
    assert!(!allowed_cores().is_empty());
}

pub(crate) fn a_core_that_does_not_exist_is_an_error<R: Runtime>() {
    let refused = R::run(Placement::Core(1000), "nowhere", || async {});
    let error = refused.expect_err("there is no such core");
    assert!(error.to_string().contains("1000"), "{error}");
}

pub(crate) fn a_spawned_task_starts_after_the_call<R: Runtime>() {
    on_a_shard::<R, _, _, _>(|| async {
        let started = Rc::new(Cell::new(false));
        let starts = Rc::clone(&started);
        R::spawn(async move { starts.set(true) });
        assert!(!started.get(), "a borrow may be held across a spawn");
        R::yield_now().await;
        assert!(started.get());
    });
}

pub(crate) fn sleep_is_never_early<R: Runtime>() {
    on_a_shard::<R, _, _, _>(|| async {
        for millis in [0, 1, 3, 10] {
            let duration = Duration::from_millis(millis);
            let started = Instant::now();
            R::sleep(duration).await;
            assert!(started.elapsed() >= duration);
        }
    });
}
