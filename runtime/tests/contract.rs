//! What both back ends must do alike. Every case runs on both; without io_uring it fails, unless that was given up by name.
//! Figures belong to the bench; the bounds here only tell "served" from "stuck".

mod contract {
    pub(crate) mod ending;
    pub(crate) mod fairness;
    pub(crate) mod placing;
    pub(crate) mod refusal;
    pub(crate) mod streams;
    pub(crate) mod support;
}

use contract::{ending, fairness, placing, refusal, streams};

/// Makes one test of each generic function: it runs on both back ends.
macro_rules! on_both_backends {
    ($($module:ident::$case:ident,)*) => {$(
        #[test]
        fn $case() {
            runtime::both_backends!($module::$case);
        }
    )*};
}

on_both_backends! {
    streams::echo,
    streams::duplex_on_one_stream,
    streams::write_waits_for_room,
    streams::a_live_connection_moves_to_another_shard,
    streams::a_listener_is_alone_on_its_port,
    streams::a_connect_keeps_its_deadline,
    streams::a_refused_connect_is_an_error,
    fairness::a_quiet_session_is_served_beside_a_firehose,
    fairness::work_from_the_first_turn_on_leaves_timers_served,
    fairness::two_executors_never_stall_beside_a_hog,
    fairness::yielding_lets_every_ready_task_run,
    fairness::a_plain_thread_and_a_shard_exchange_batches,
    ending::a_peer_that_closes_is_the_end_of_the_stream,
    ending::a_peer_that_resets_is_an_error,
    ending::our_reset_reaches_the_peer,
    ending::our_shutdown_wakes_our_reader,
    ending::a_dropped_stream_is_closed_at_once,
    ending::stop_drains_and_threads_join,
    ending::tasks_left_at_the_end_are_dropped,
    ending::a_panicking_task_ends_alone,
    ending::a_panic_of_main_is_reported_by_join,
    placing::a_shard_is_pinned_and_named,
    placing::a_core_that_does_not_exist_is_an_error,
    placing::a_spawned_task_starts_after_the_call,
    placing::sleep_is_never_early,
}

#[test]
fn io_uring_denied_by_a_filter_is_named() {
    refusal::in_child("child_without_io_uring");
}

#[test]
fn io_uring_without_lockable_memory_is_named() {
    refusal::in_child("child_without_locked_memory");
}

#[test]
fn a_thousand_connections_leak_no_descriptor() {
    refusal::in_child("child_counts_descriptors");
}

/// Run by their parents above, each in a process of its own; on their own they do nothing.
#[test]
fn child_without_io_uring() {
    refusal::if_child(refusal::without_io_uring);
}

#[test]
fn child_without_locked_memory() {
    refusal::if_child(refusal::without_locked_memory);
}

#[test]
fn child_counts_descriptors() {
    refusal::if_child(|| runtime::both_backends!(refusal::descriptors_stay_level));
}
