//! What happens to the nodes while the load runs, when, and what came of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use postgres_server::Postgres;
use serde_json::Value;

use super::Node;
use super::files::{self, LATE};
use crate::http;

/// The vendor is inserted after this share of the time, the node killed after that one.
const INSERT_AFTER: f64 = 0.25;
const KILL_AFTER: f64 = 0.55;
/// Place of the node that is killed.
const KILLED: usize = 1;
/// Within so much of the INSERT each node relays its first message to the vendor. Nodes show their counters four times a
/// second: a quarter of a second of what is measured may be that.
const TAKEN_UP_GOAL: Duration = Duration::from_secs(1);
/// Width of a moment in the report.
const MARK_SECONDS: f64 = 0.5;
/// When to give up.
const TAKEN_UP_MAX: Duration = Duration::from_secs(10);

/// The course of the demo.
pub(super) struct Events {
    started: Instant,
    insert_at: Duration,
    kill_at: Duration,
    inserted: Option<Instant>,
    /// From the INSERT to the first message relayed to the vendor, by node.
    taken_up: Vec<Option<Duration>>,
    killed: bool,
}

impl Events {
    pub(super) fn new(seconds: u64) -> Events {
        let share = |part: f64| Duration::from_secs_f64(seconds as f64 * part);
        Events {
            started: Instant::now(),
            insert_at: share(INSERT_AFTER),
            kill_at: share(KILL_AFTER),
            inserted: None,
            taken_up: vec![None; files::NODES],
            killed: false,
        }
    }

    /// What is going to happen.
    pub(super) fn heading(&self) -> String {
        format!(
            "{} nodes, one database, one Redis; {LATE} is INSERTed at {:.0} s, node {} is killed at {:.0} s",
            files::NODES,
            self.insert_at.as_secs_f64(),
            KILLED + 1,
            self.kill_at.as_secs_f64(),
        )
    }

    /// For the report of the load: name, begin and length in seconds.
    pub(super) fn marks(&self) -> [(String, f64, f64); 2] {
        let mark = |name: String, at: Duration| (name, at.as_secs_f64(), MARK_SECONDS);
        [
            mark(format!("INSERT of {LATE}"), self.insert_at),
            mark(format!("kill -9 of node {}", KILLED + 1), self.kill_at),
        ]
    }

    /// Lets happen what is due; lines about it.
    ///
    /// # Errors
    /// When the vendor is not taken up, or a node does not answer.
    pub(super) fn happen(
        &mut self,
        postgres: &Postgres,
        late_site: SocketAddr,
        nodes: &mut [Node],
    ) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        let elapsed = self.started.elapsed();
        if self.inserted.is_none() && elapsed >= self.insert_at {
            let statement = files::insert_vendor(late_site);
            self.inserted = Some(Instant::now());
            postgres.ask(&statement);
            lines.push(format!("{:.1} s: {statement}", elapsed.as_secs_f64()));
        }
        if let Some(inserted) = self.inserted {
            self.look(inserted, nodes, &mut lines)?;
        }
        if !self.killed && elapsed >= self.kill_at && self.taken_up.iter().all(Option::is_some) {
            let program = nodes[KILLED].program.take().context("the node runs")?;
            program.kill()?;
            self.killed = true;
            lines.push(format!("{:.1} s: kill -9 of node {}", elapsed.as_secs_f64(), KILLED + 1));
        }
        Ok(lines)
    }

    /// Asks the nodes that have not yet relayed to the vendor whether they have.
    fn look(&mut self, inserted: Instant, nodes: &[Node], lines: &mut Vec<String>) -> anyhow::Result<()> {
        for (place, node) in nodes.iter().enumerate().filter(|(_, node)| node.program.is_some()) {
            if self.taken_up[place].is_some() {
                continue;
            }
            let since = inserted.elapsed();
            let state: Value = serde_json::from_str(&http::get(node.http, "/state")?)?;
            if accepted(&state) > 0 {
                self.taken_up[place] = Some(since);
                lines.push(format!(
                    "node {} relays to {LATE} {:.2} s after the INSERT",
                    place + 1,
                    since.as_secs_f64()
                ));
            } else if since > TAKEN_UP_MAX {
                bail!(
                    "node {} does not relay to {LATE} {} s after the INSERT",
                    place + 1,
                    TAKEN_UP_MAX.as_secs()
                );
            }
        }
        Ok(())
    }

    /// For the page.
    pub(super) fn lines(&self) -> Vec<String> {
        let times = self.taken_up.iter().map(|time| match time {
            Some(time) => format!("{:.2} s", time.as_secs_f64()),
            None => "never".into(),
        });
        vec![
            format!(
                "insert     {LATE} took its first message after {}, node by node (shown every 0.25 s)",
                times.collect::<Vec<_>>().join(", ")
            ),
            format!("kill -9    node {}{}", KILLED + 1, if self.killed { "" } else { " was not killed" }),
        ]
    }

    /// # Errors
    /// When something did not happen, or too late.
    pub(super) fn judge(&self) -> anyhow::Result<()> {
        ensure!(self.killed, "no node was killed: the load ended too soon");
        let in_time = |time: &Option<Duration>| time.is_some_and(|time| time < TAKEN_UP_GOAL);
        ensure!(self.taken_up.iter().all(in_time), "{LATE} was taken up too late: {:?}", self.taken_up);
        Ok(())
    }
}

/// Messages that the late vendor took from this node.
fn accepted(state: &Value) -> u64 {
    let vendors = state["vendors"].as_array().into_iter().flatten();
    vendors.filter(|vendor| vendor["name"] == LATE).filter_map(|vendor| vendor["accepted"].as_u64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendor_is_found_in_the_state() {
        let state =
            serde_json::json!({"vendors": [{"name": "x", "accepted": 3}, {"name": LATE, "accepted": 2}]});
        assert_eq!(accepted(&state), 2);
        assert_eq!(accepted(&Value::Null), 0);
    }

    #[test]
    fn a_course_that_was_not_run_is_no_success() {
        let mut events = Events::new(45);
        assert!(events.judge().is_err());
        events.killed = true;
        assert!(events.judge().is_err());
        events.taken_up.fill(Some(Duration::from_millis(300)));
        events.judge().unwrap();
        events.taken_up[2] = Some(Duration::from_secs(2));
        assert!(events.judge().is_err());
    }
}
