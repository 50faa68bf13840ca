//! Changes while a node runs.

use super::*;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A task that looks, as the control thread runs it.
struct Running {
    standing: StandingView,
    published: Receiver<(u64, usize)>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(live: Live) -> Running {
        let standing = live.standing();
        let (sender, published) = channel();
        let (end, ends) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let publish = move |built: Built| {
                let version = built.plan.snapshot.version();
                sender.send((version, built.plan.vendors.len())).unwrap();
            };
            let work = async {
                tokio::select! {
                    () = live.run(publish) => {}
                    _ = ends => {}
                }
            };
            blocking(work).unwrap();
        });
        Running { standing, published, end: Some(end), thread: Some(thread) }
    }

    /// The next version and its vendors.
    fn next(&self) -> (u64, usize) {
        self.published.recv_timeout(PATIENCE).expect("a version is published")
    }

    fn wait_until(&self, what: &str, so: impl Fn(&Standing) -> bool) -> Arc<Standing> {
        let end = Instant::now() + PATIENCE;
        loop {
            let standing = self.standing.load_full();
            if so(&standing) {
                return standing;
            }
            assert!(Instant::now() < end, "waited in vain until {what}: {standing:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.end.take());
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

fn vendor(name: &str) -> String {
    format!(
        "insert into vendors (name, addresses, system_id, password_file) values ('{name}', '{{127.0.0.1:1}}', 'gw01', 'secret')"
    )
}

#[test]
fn a_hint_brings_a_change_at_once_and_a_look_brings_it_without() {
    let Some(bench) = Bench::start() else { return };
    bench.fill();
    bench.write_file("");
    let text = std::fs::read_to_string(bench.file()).unwrap();
    for (poll, without_hints) in [("1h", false), ("20ms", true)] {
        std::fs::write(bench.file(), text.replace("100ms", poll)).unwrap();
        if without_hints {
            bench.server.ask("create or replace function pg_temp.none() returns void language sql as ''");
            bench.server.ask("alter table vendors disable trigger vendors_note_change");
        }
        let running = Running::start(bench.load().unwrap().live.unwrap());
        let looked = running.standing.load().looked_at_ns;
        running.wait_until("it looks", |standing| standing.looked_at_ns > looked);
        let name = if without_hints { "quiet" } else { "loud" };
        let version = if without_hints {
            // As a trigger does, but for the hint.
            bench.server.ask(&format!(
                "begin; {}; insert into config_versions (author) values ('x'); commit",
                vendor(name)
            ));
            3
        } else {
            bench.server.ask(&vendor(name));
            2
        };
        assert_eq!(running.next(), (version, version as usize));
        let standing = running.wait_until("it is in force", |standing| standing.version.number == version);
        assert_eq!((standing.origin, standing.rejected), (Origin::Postgres, 0));
    }
}

#[test]
fn what_is_wrong_is_told_and_what_was_in_force_stays() {
    let Some(bench) = Bench::start() else { return };
    bench.fill();
    let running = Running::start(bench.load().unwrap().live.unwrap());
    bench.server.ask("set gateway.author = 'bob'; insert into routes (prefix) values ('44')");
    let standing = running.wait_until("it is refused", |standing| standing.rejected == 1);
    assert_eq!((standing.version.number, standing.origin), (1, Origin::Postgres));
    let rejection = standing.rejection.as_ref().unwrap();
    assert_eq!((rejection.version.number, rejection.version.author.as_str()), (2, "bob"));
    assert_eq!(rejection.mistakes.len(), 1);
    let kept = || last_good::read(&bench.node.path().join("state/configuration.json")).unwrap().unwrap();
    assert_eq!(kept().version.number, 1);
    // Another mistake is another version; the good one after both is taken.
    bench.server.ask("insert into routes (prefix) values ('45')");
    running.wait_until("it is refused, too", |standing| {
        standing.rejection.as_ref().is_some_and(|rejection| rejection.mistakes.len() == 2)
    });
    bench.server.ask(&format!("begin; delete from routes where id > 1; {}; commit", vendor("east")));
    assert_eq!(running.next(), (4, 2), "nothing was published before");
    let standing = running.wait_until("it is in force", |standing| standing.version.number == 4);
    assert!(standing.rejection.is_none() && standing.rejected == 2);
    running.wait_until("it is kept", |_| kept().version.number == 4);
}

#[test]
fn a_database_that_goes_and_comes_changes_nothing_until_its_rows_do() {
    let Some(mut bench) = Bench::start() else { return };
    bench.fill();
    let running = Running::start(bench.load().unwrap().live.unwrap());
    let mut in_force = 1;
    for round in 0..2 {
        bench.server.kill();
        let standing = running.wait_until("it is noticed", |standing| standing.away.is_some());
        assert_eq!(standing.version.number, in_force, "what is in force stays");
        bench.server.start_again();
        running.wait_until("it is back", |standing| standing.away.is_none());
        bench.server.ask(&vendor(&format!("v{round}")));
        let (version, vendors) = running.next();
        assert!(version > in_force && vendors == 2 + round, "{version}, {vendors}");
        in_force = version; // numbers may jump when the server was killed
        running.wait_until("it is in force", |standing| standing.version.number == version);
    }
    assert_eq!(running.standing.load().rejected, 0);
}

#[test]
fn a_start_without_the_database_takes_its_rows_once_it_is_there() {
    let Some(mut bench) = Bench::start() else { return };
    bench.fill();
    bench.load().unwrap();
    bench.server.ask(&vendor("east"));
    bench.server.kill();
    let loaded = bench.load().unwrap();
    assert_eq!(loaded.config.version, 1);
    let running = Running::start(loaded.live.unwrap());
    bench.server.start_again();
    assert_eq!(running.next(), (2, 2));
    let standing = running.wait_until("it is in force", |standing| standing.origin == Origin::Postgres);
    assert!(standing.away.is_none());
}

#[test]
fn a_schema_that_changes_under_a_node_is_told_and_mended() {
    let Some(bench) = Bench::start() else { return };
    bench.fill();
    let running = Running::start(bench.load().unwrap().live.unwrap());
    bench.server.ask("insert into refinery_schema_history (version, name) values (99, 'later')");
    bench.server.ask(&vendor("east"));
    let standing = running.wait_until("it is refused", |standing| standing.rejected == 1);
    let mistakes = &standing.rejection.as_ref().unwrap().mistakes;
    assert!(mistakes[0].what.contains("the schema has version 99"), "{mistakes:?}");
    assert_eq!(standing.version.number, 1);
    bench.server.ask("delete from refinery_schema_history where version = 99");
    assert_eq!(running.next(), (2, 2));
    running.wait_until("nothing is refused any more", |standing| standing.rejection.is_none());
}

/// Two transactions at once: the one that began first commits last, and none of the two is missed.
#[test]
fn versions_grow_in_the_order_of_commits() {
    let Some(bench) = Bench::start() else { return };
    let order = blocking(async {
        let connect = async || {
            let (client, connection) =
                tokio_postgres::connect(&bench.server.url(), tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        };
        let (first, second) = (connect().await, connect().await);
        first.batch_execute(&format!("begin; {}", vendor("a"))).await.unwrap();
        let waiting = tokio::spawn(async move {
            second.batch_execute(&format!("begin; {}; commit", vendor("b"))).await.unwrap();
        });
        let blocked = "select count(*) from pg_locks where not granted";
        while first.query_one(blocked, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        first.batch_execute(&format!("{}; commit", vendor("c"))).await.unwrap();
        waiting.await.unwrap();
    });
    order.unwrap();
    assert_eq!(
        bench.server.ask("select string_agg(version::text, ',' order by at) from config_versions"),
        "1,2"
    );
    assert_eq!(bench.load().unwrap().config.vendors.len(), 3);
}
