//! Nodes that want one number, with a real Redis: who gets which, and from which second on.

use super::*;
use redis_server::RedisServer;

fn options(
    directory: &std::path::Path,
    wanted: Wanted,
    quiet: Duration,
    server: Option<&RedisServer>,
) -> NodeIdOptions {
    NodeIdOptions {
        directory: directory.to_owned(),
        wanted,
        holder: format!("gw at {}", directory.file_name().unwrap().display()),
        quiet,
        redis: server.map(|server| RedisOptions::new(&server.url())),
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn number_of(taken: &Result<NodeId, NodeIdError>) -> Result<u8, String> {
    taken.as_ref().map(NodeId::number).map_err(ToString::to_string)
}

#[test]
fn a_number_is_one_nodes_until_it_is_given_back() {
    let Some(server) = RedisServer::start() else { return };
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let of =
        |directory: &tempfile::TempDir, wanted| take(&options(directory.path(), wanted, DAY, Some(&server)));
    let first = of(&a, Wanted::Number(0));
    assert_eq!(number_of(&first), Ok(0));
    let refused = number_of(&of(&b, Wanted::Number(0))).unwrap_err();
    let name = a.path().file_name().unwrap().display().to_string();
    assert!(refused.contains(&name) && refused.contains("id_quiet"), "{refused}");
    let second = of(&b, Wanted::Auto);
    assert_eq!(number_of(&second), Ok(1));
    // A kill: the same directory comes back at once, and begins above what it may have given.
    let mut first = first.unwrap();
    let now = unix_seconds();
    first.move_on(now).unwrap();
    drop(first);
    let first = of(&a, Wanted::Number(0)).unwrap();
    assert!(first.ids_from().as_secs() > now + AHEAD_SECONDS_MIN, "{:?}", first.ids_from());
    assert!(number_of(&of(&b, Wanted::Number(0))).is_err(), "its own is in use, too");
    // In order: free for others, who begin above the newest second.
    let newest = now + 1_000;
    first.keep(move || newest).unwrap().end(true).unwrap();
    drop(second);
    let taken = of(&b, Wanted::Number(0)).unwrap();
    assert_eq!((taken.number(), taken.ids_from().as_secs()), (0, newest + 1));
    // A node has one number: the one it had before is free.
    let c = tempfile::tempdir().unwrap();
    assert_eq!(number_of(&of(&c, Wanted::Number(1))), Ok(1));
}

#[test]
fn silence_frees_a_number_after_its_time_and_the_taker_begins_above() {
    let Some(server) = RedisServer::start() else { return };
    let (a, b, c) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let quiet = Duration::from_millis(500);
    let mut first = take(&options(a.path(), Wanted::Number(7), quiet, Some(&server))).unwrap();
    first.move_on(unix_seconds()).unwrap();
    let (number, second) = (first.number, first.mark.second);
    assert!(matches!(first.asker.as_mut().unwrap().renew(number, second), Ok(Word::Yours { .. })));
    let long = options(b.path(), Wanted::Number(7), DAY, Some(&server));
    assert!(matches!(take(&long), Err(NodeIdError::Taken { number: 7, .. })));
    let end = Instant::now() + Duration::from_secs(30);
    let taken = loop {
        match take(&options(c.path(), Wanted::Number(7), quiet, Some(&server))) {
            Ok(taken) => break taken,
            Err(NodeIdError::Taken { silent_for, .. }) => assert!(silent_for < quiet && Instant::now() < end),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(taken.ids_from().as_secs(), second + 1);
    // Who had it goes on, and is told.
    let word = first.asker.as_mut().unwrap().renew(number, second);
    assert!(matches!(word, Ok(Word::Taken { number: 7, .. })), "{word:?}");
}

#[test]
fn a_free_number_is_the_one_of_last_time() {
    let Some(server) = RedisServer::start() else { return };
    let directories: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let of = |at: usize| take(&options(directories[at].path(), Wanted::Auto, DAY, Some(&server)));
    let nodes: Vec<_> = (0..3).map(of).collect();
    assert_eq!(nodes.iter().map(number_of).collect::<Vec<_>>(), [Ok(0), Ok(1), Ok(2)]);
    drop(nodes);
    assert_eq!(number_of(&of(2)), Ok(2));
    assert_eq!(number_of(&of(1)), Ok(1));
}

#[test]
fn without_redis_the_number_of_last_time_is_used() {
    let Some(mut server) = RedisServer::start() else { return };
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(number_of(&take(&options(a.path(), Wanted::Auto, DAY, Some(&server)))), Ok(0));
    server.kill();
    assert_eq!(number_of(&take(&options(a.path(), Wanted::Auto, DAY, Some(&server)))), Ok(0));
    let stranger = take(&options(b.path(), Wanted::Auto, DAY, Some(&server)));
    assert!(matches!(stranger, Err(NodeIdError::Away(_))));
    assert_eq!(number_of(&take(&options(b.path(), Wanted::Number(4), DAY, Some(&server)))), Ok(4));
}

/// A node that is alone: a clock that was set back across a kill gives no second again.
#[test]
fn the_newest_second_is_kept_in_the_state_directory() {
    let directory = tempfile::tempdir().unwrap();
    let of = || take(&options(directory.path(), Wanted::Number(3), DAY, None)).unwrap();
    assert_eq!(of().ids_from(), Duration::ZERO);
    let newest = unix_seconds() + 100_000;
    let mut node = of();
    node.move_on(newest).unwrap();
    drop(node);
    assert_eq!(of().ids_from().as_secs(), newest + AHEAD_SECONDS + 1);
    let newer = newest + 3 * AHEAD_SECONDS;
    of().keep(move || newer).unwrap().end(true).unwrap();
    assert_eq!(of().ids_from().as_secs(), newer + 1);
    of().keep(|| 0).unwrap().end(true).unwrap();
    assert_eq!(of().ids_from().as_secs(), newer + 1, "a life that gave no id");
}
