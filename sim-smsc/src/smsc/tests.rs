//! The site on a virtual clock.

use super::*;
use crate::receipts::Scratch;
use crate::simulator::read_fault;
use crate::testing::{bind, scenario, submit};

/// A site with its clock; connections are called by numbers.
struct Bench {
    site: Site<u32>,
    now: Instant,
    links: u32,
    seen: Vec<Action<u32>>,
    records: Vec<Record>,
    others: Vec<Record>,
    scratch: Scratch,
    /// Whether deliver_sm are answered at once with status 0.
    acks: bool,
}

const QUIET: &str = "response = { latency = 0 }\nrate = { limit = 0 }\nbinds = { max = 100 }\n\
                     receipts = { states = { DELIVRD = {} } }";

impl Bench {
    fn new(tables: &str) -> Bench {
        Bench::with(tables, "", "a", 1)
    }

    fn with(tables: &str, rest: &str, name: &str, seed: u64) -> Bench {
        let scenario = scenario(tables, rest);
        let site = scenario.sites[0].clone();
        let options = SiteOptions {
            index: 0,
            name: name.into(),
            seed,
            run: 9,
            behaviour: site.behaviour,
            accounts: site.accounts,
            faults: scenario.faults,
        };
        let now = Instant::from_nanos(1_000_000_000_000);
        Bench {
            site: Site::new(options, now, 1_751_414_340_000_000_000),
            now,
            links: 0,
            seen: Vec::new(),
            records: Vec::new(),
            others: Vec::new(),
            scratch: Scratch::default(),
            acks: true,
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.site.poll() {
            self.seen.push(action);
            if let Action::Deliver { item, .. } = action {
                let deliver =
                    self.site.deliver_sm(self.now, item, &mut self.scratch).expect("an item to send");
                let said = Said::of(&deliver);
                self.site.delivery_sent(self.now, item, &said);
                if self.acks {
                    self.site.delivered(self.now, item, CommandStatus::ESME_ROK);
                }
            }
        }
        // Sessions and faults have a test of their own.
        let of_messages =
            |record: &Record| !matches!(record.kind, Kind::LinkUp | Kind::LinkDown | Kind::Fault);
        let (records, others) = self.site.records().drain(..).partition(of_messages);
        self.records.extend::<Vec<_>>(records);
        self.others.extend::<Vec<_>>(others);
    }

    fn connect(&mut self) -> ConnRef {
        self.links += 1;
        let conn = self.site.connected(self.links);
        self.drain();
        conn
    }

    fn bound(&mut self, kind: BindKind) -> ConnRef {
        let conn = self.connect();
        self.site.bind_requested(self.now, conn, kind, &bind("gw", "pw"), 1);
        self.drain();
        conn
    }

    fn submit(&mut self, conn: ConnRef, sequence: u32) {
        let mut text = [0; MessageKey::TEXT_LENGTH];
        key(sequence).write(&mut text);
        self.site.submitted(self.now, conn, Asked::Submit, sequence, &submit(&text));
        self.drain();
    }

    fn wait(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(5) {
            self.now = self.now + Duration::from_millis(5);
            self.site.tick(self.now);
            self.drain();
        }
    }

    fn inject(&mut self, fault: &str) {
        self.site.inject(self.now, read_fault(fault).unwrap());
        self.drain();
    }

    /// Sequence and status of every answer so far.
    fn answers(&self) -> Vec<(u32, u32)> {
        self.seen
            .iter()
            .filter_map(|action| match action {
                Action::Answer { answer, .. } => Some((answer.sequence, answer.status.0)),
                _ => None,
            })
            .collect()
    }

    fn deliveries(&self) -> Vec<u32> {
        self.seen
            .iter()
            .filter_map(|action| match action {
                Action::Deliver { link, .. } => Some(*link),
                _ => None,
            })
            .collect()
    }

    fn items(&self) -> Vec<u32> {
        self.seen
            .iter()
            .filter_map(|action| match action {
                Action::Deliver { item, .. } => Some(*item),
                _ => None,
            })
            .collect()
    }

    fn recorded(&self, kind: Kind) -> usize {
        self.records.iter().filter(|record| record.kind == kind).count()
    }
}

fn key(sequence: u32) -> MessageKey {
    MessageKey { run: 1, account: 0, sequence, segment: 0 }
}

#[test]
fn a_message_is_answered_and_its_receipt_follows() {
    let mut bench = Bench::new(QUIET);
    let conn = bench.bound(BindKind::Transceiver);
    assert_eq!(bench.seen, [Action::AcceptBind { link: 1, sequence: 1 }]);
    bench.submit(conn, 7);
    assert_eq!(bench.answers(), [(7, 0)]);
    assert_eq!(bench.deliveries(), [1]);
    let kinds: Vec<_> = bench.records.iter().map(|record| (record.kind, record.key)).collect();
    assert_eq!(kinds, [(Kind::Accepted, key(7)), (Kind::ReceiptSent, key(7)), (Kind::ReceiptAcked, key(7))]);
    assert_eq!(bench.records[0].id_hash, bench.records[1].id_hash);
    assert_eq!(bench.records[1].state, 2);
    assert_eq!(bench.site.pending_len(), 0);
}

#[test]
fn binds_beyond_the_maximum_get_the_status_set() {
    let mut bench = Bench::new("binds = { max = 2, over = 0x05 }");
    let first = bench.bound(BindKind::Transceiver);
    bench.bound(BindKind::Transmitter);
    bench.bound(BindKind::Receiver);
    let last = *bench.seen.last().unwrap();
    assert_eq!(last, Action::RefuseBind { link: 3, sequence: 1, status: CommandStatus(5) });
    bench.site.closed(bench.now, first, true, &[], &[]);
    bench.bound(BindKind::Receiver);
    assert_eq!(bench.seen.last(), Some(&Action::AcceptBind { link: 4, sequence: 1 }));
}

#[test]
fn latency_delays_answers_and_order_can_be_kept() {
    let mut bench = Bench::new("response = { latency = '20ms' }\nrate = { limit = 0 }");
    let conn = bench.bound(BindKind::Transceiver);
    bench.submit(conn, 1);
    bench.wait(15);
    assert!(bench.answers().is_empty());
    bench.wait(10);
    assert_eq!(bench.answers(), [(1, 0)]);

    for (order, sorted) in [("any", false), ("in-order", true)] {
        let latency = "latency = { uniform = ['1ms', '900ms'] }";
        let mut bench = Bench::new(&format!(
            "response = {{ {latency}, order = '{order}' }}\nrate = {{ limit = 0 }}\nwindow = {{ max = 1000 }}"
        ));
        let conn = bench.bound(BindKind::Transceiver);
        (0..50).for_each(|sequence| bench.submit(conn, sequence));
        bench.wait(1_000);
        let answers = bench.answers();
        assert_eq!(answers.len(), 50);
        assert_eq!(answers.is_sorted(), sorted);
    }
}

#[test]
fn the_rate_is_kept_in_each_way() {
    for (reaction, answers_now, answers_later) in
        [("0x58", vec![(1, 0), (2, 0), (3, 0x58)], 3), ("'delay'", vec![(1, 0), (2, 0)], 3)]
    {
        let mut bench = Bench::new(&format!(
            "response = {{ latency = 0 }}\nrate = {{ limit = 2, burst = 2, on_exceed = {reaction} }}"
        ));
        let conn = bench.bound(BindKind::Transceiver);
        (1..=3).for_each(|sequence| bench.submit(conn, sequence));
        assert_eq!(bench.answers(), answers_now);
        bench.wait(510);
        assert_eq!(bench.answers().len(), answers_later);
    }
    let mut bench = Bench::new(
        "response = { latency = 0 }\nrate = { limit = 2, burst = 1, on_exceed = 'stop-read', scope = 'site' }",
    );
    let (one, two) = (bench.bound(BindKind::Transceiver), bench.bound(BindKind::Transceiver));
    bench.submit(one, 1);
    bench.submit(two, 2);
    assert_eq!(bench.answers().len(), 2);
    assert_eq!(bench.seen[3..4], [Action::Pause { link: 2, paused: true }]);
    bench.wait(510);
    assert!(bench.seen.contains(&Action::Pause { link: 2, paused: false }));
}

#[test]
fn the_window_is_kept_in_each_way() {
    let site = |reaction| {
        let window = format!("window = {{ max = 2, on_exceed = {reaction} }}");
        Bench::new(&format!("response = {{ latency = '50ms' }}\nrate = {{ limit = 0 }}\n{window}"))
    };
    let mut bench = site("'stop-read'");
    let conn = bench.bound(BindKind::Transceiver);
    bench.submit(conn, 1);
    assert_eq!(bench.seen.len(), 1);
    bench.submit(conn, 2);
    assert_eq!(bench.seen[1..], [Action::Pause { link: 1, paused: true }]);
    bench.wait(60);
    assert!(bench.seen.contains(&Action::Pause { link: 1, paused: false }));

    let mut bench = site("0x14");
    let conn = bench.bound(BindKind::Transceiver);
    (1..=3).for_each(|sequence| bench.submit(conn, sequence));
    bench.wait(60);
    assert_eq!(bench.answers(), [(1, 0), (2, 0), (3, 0x14)]);

    let mut bench = site("'close'");
    let conn = bench.bound(BindKind::Transceiver);
    (1..=3).for_each(|sequence| bench.submit(conn, sequence));
    assert_eq!(bench.seen.last(), Some(&Action::Close { link: 1 }));
}

/// Runs 500 messages over `binds` binds in the given order; returns each message's state and receipt time.
fn fates(binds: usize, reverse: bool, name: &str) -> Vec<(MessageKey, u8, u64)> {
    let states = "DELIVRD = { weight = 5, delay = { uniform = ['5ms', '400ms'] } }, UNDELIV = { weight = 3 }, \
                  NONE = { weight = 2 }";
    let mut bench = Bench::with(
        &format!("{}\nwindow = {{ max = 1000 }}", QUIET.replace("DELIVRD = {}", states)),
        "",
        name,
        3,
    );
    let conns: Vec<_> = (0..binds).map(|_| bench.bound(BindKind::Transceiver)).collect();
    for step in 0..500 {
        let sequence = if reverse { 499 - step } else { step };
        bench.submit(conns[step as usize % binds], sequence);
    }
    let start = bench.now;
    bench.wait(500);
    let sent = bench.records.iter().filter(|record| record.kind == Kind::ReceiptSent);
    let since = |time_ns: u64| (time_ns - bench.site.unix_ns(start)) / 5_000_000;
    let mut fates: Vec<_> = sent.map(|record| (record.key, record.state, since(record.time_ns))).collect();
    fates.sort();
    fates
}

#[test]
fn the_fate_of_a_message_does_not_depend_on_bind_order_or_site() {
    let expected = fates(1, false, "a");
    assert!((350..450).contains(&expected.len()), "{}", expected.len());
    assert_eq!(fates(4, false, "a"), expected);
    assert_eq!(fates(3, true, "a"), expected);
    assert_eq!(fates(2, false, "b"), expected);
}

#[test]
fn a_second_attempt_has_its_own_fate() {
    let mut bench = Bench::new(&QUIET.replace("DELIVRD = {}", "DELIVRD = {}, UNDELIV = {}"));
    let conn = bench.bound(BindKind::Transceiver);
    let mut differ = 0;
    for sequence in 0..100 {
        bench.records.clear();
        bench.submit(conn, sequence);
        bench.submit(conn, sequence);
        let states: Vec<_> =
            bench.records.iter().filter(|r| r.kind == Kind::ReceiptSent).map(|r| r.state).collect();
        differ += usize::from(states[0] != states[1]);
    }
    assert!((30..70).contains(&differ), "{differ}");
}

#[test]
fn receipts_wait_for_a_receiver_or_are_dropped() {
    let mut bench = Bench::new(QUIET);
    let tx = bench.bound(BindKind::Transmitter);
    bench.submit(tx, 1);
    assert!(bench.deliveries().is_empty());
    bench.bound(BindKind::Receiver);
    bench.wait(5);
    assert_eq!(bench.deliveries(), [2]);

    let mut bench = Bench::new(&QUIET.replace("states", "on_no_rx = 'drop', states"));
    let tx = bench.bound(BindKind::Transmitter);
    bench.submit(tx, 1);
    assert_eq!(bench.site.counters().receipts_dropped, 1);
    assert_eq!(bench.site.pending_len(), 0);
}

#[test]
fn routes() {
    for (route, check) in [
        ("same-bind", (|links: &[u32]| links.iter().all(|&link| link == 2)) as fn(&[u32]) -> bool),
        ("round-robin", |links| links.chunks(3).all(|three| three == [1, 2, 3])),
        ("any-rx", |links| (1..=3).all(|link| links.iter().filter(|&&one| one == link).count() > 5)),
    ] {
        let mut bench = Bench::new(&QUIET.replace("states", &format!("route = '{route}', states")));
        bench.bound(BindKind::Receiver);
        let conn = bench.bound(BindKind::Transceiver);
        bench.bound(BindKind::Transceiver);
        (0..30).for_each(|sequence| bench.submit(conn, sequence));
        let links = bench.deliveries();
        assert_eq!(links.len(), 30);
        assert!(check(&links), "{route}: {links:?}");
    }
}

#[test]
fn the_receipt_window_is_kept_and_unanswered_receipts_come_again() {
    let rules = "window = 2, redelivery = { first = '1s', factor = 2, max = '10s', lifetime = '5s' }, states";
    let mut bench = Bench::new(&QUIET.replace("states", rules));
    bench.acks = false;
    let conn = bench.bound(BindKind::Transceiver);
    (0..3).for_each(|sequence| bench.submit(conn, sequence));
    assert_eq!(bench.deliveries().len(), 2);
    let items = bench.items();
    bench.site.delivered(bench.now, items[0], CommandStatus::ESME_RX_T_APPN);
    bench.site.delivered(bench.now, items[1], CommandStatus::ESME_RX_P_APPN);
    bench.drain();
    assert_eq!(bench.deliveries().len(), 3, "there is room for the third");
    assert_eq!(bench.site.counters().receipts_refused, 1);
    bench.wait(900);
    assert_eq!(bench.deliveries().len(), 3);
    bench.wait(200);
    assert_eq!(bench.deliveries().len(), 4);
    // The second wait is longer than the lifetime allows in the end.
    bench.site.delivery_expired(bench.now, items[0]);
    bench.drain();
    bench.wait(2_100);
    assert_eq!(bench.deliveries().len(), 5);
    bench.site.delivery_expired(bench.now, items[0]);
    bench.wait(20_000);
    assert_eq!(bench.deliveries().len(), 5);
    assert_eq!(bench.site.counters().receipts_dropped, 1);
}

#[test]
fn receipts_of_a_lost_connection_go_to_another() {
    let mut bench = Bench::new(QUIET);
    bench.acks = false;
    let conn = bench.bound(BindKind::Transceiver);
    (0..3).for_each(|sequence| bench.submit(conn, sequence));
    let items = bench.items();
    bench.site.closed(bench.now, conn, false, &items[..1], &items[1..]);
    bench.drain();
    assert_eq!(bench.recorded(Kind::LostResponse), 3, "the answers given a moment ago are in doubt");
    bench.acks = true;
    bench.bound(BindKind::Receiver);
    bench.wait(5);
    assert_eq!(bench.deliveries()[3..], [2, 2, 2]);
    assert_eq!(bench.site.pending_len(), 0);
}

#[test]
fn oddities_of_receipts() {
    let mut bench = Bench::new(&QUIET.replace("states", "dup_p = 1, states"));
    let conn = bench.bound(BindKind::Transceiver);
    bench.submit(conn, 1);
    assert_eq!(bench.deliveries().len(), 2);

    let mut bench = Bench::new(&QUIET.replace("states", "before_resp_p = 1, states"));
    let conn = bench.bound(BindKind::Transceiver);
    bench.submit(conn, 1);
    assert_eq!((bench.deliveries().len(), bench.answers().len()), (1, 0));
    bench.wait(10);
    assert_eq!((bench.deliveries().len(), bench.answers().len()), (1, 1));

    let mut bench = Bench::new(&QUIET.replace("states", "hold = true, states"));
    let conn = bench.bound(BindKind::Transceiver);
    (0..5).for_each(|sequence| bench.submit(conn, sequence));
    bench.wait(100);
    assert_eq!(bench.deliveries().len(), 0);
    bench.site.release_receipts();
    bench.drain();
    assert_eq!(bench.deliveries().len(), 5);
}

#[test]
fn receipts_follow_registered_delivery() {
    for (registered, state, expected) in [
        (0, "DELIVRD", 0),
        (1, "DELIVRD", 1),
        (2, "DELIVRD", 0),
        (2, "UNDELIV", 1),
        (1, "NONE", 0),
        (1, "UNDELIV", 1),
    ] {
        let mut bench = Bench::new(&QUIET.replace("DELIVRD", state));
        let conn = bench.bound(BindKind::Transceiver);
        let mut view = submit(b"a message without a key");
        view.registered_delivery.0 = registered;
        bench.site.submitted(bench.now, conn, Asked::Submit, 1, &view);
        bench.drain();
        assert_eq!(bench.deliveries().len(), expected, "{registered} {state}");
        assert_eq!(bench.site.counters().unkeyed, 1);
    }
}

#[test]
fn a_full_store_of_receipts_refuses() {
    let mut bench = Bench::new(&QUIET.replace("states", "pending_max = 2, states"));
    let conn = bench.bound(BindKind::Transmitter);
    (1..=3).for_each(|sequence| bench.submit(conn, sequence));
    assert_eq!(bench.answers(), [(1, 0), (2, 0), (3, 0x14)]);
}

#[test]
fn mo_comes_at_its_rate_in_parts() {
    let mut bench = Bench::new(&format!("{QUIET}\nmo = {{ rate = 10, form = 'udh', count = 8 }}"));
    bench.bound(BindKind::Receiver);
    bench.site.begin(bench.now);
    bench.wait(500);
    assert_eq!(bench.recorded(Kind::MoSent), 10);
    bench.wait(5_000);
    assert_eq!(bench.recorded(Kind::MoSent), 16);
    assert_eq!(bench.recorded(Kind::MoAcked), 16);
    let mut keys: Vec<_> = bench.records.iter().map(|record| record.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 16);
    assert!(bench.records.iter().all(|r| r.kind == Kind::MoAcked || r.fingerprint != 0));
}

#[test]
fn refuse_closes_the_port() {
    let mut bench = Bench::new(QUIET);
    bench.inject(r#"{"kind":"refuse","for":"1s"}"#);
    assert_eq!(bench.seen, [Action::Listen { open: false }]);
    bench.connect();
    assert_eq!(bench.seen[1..], [Action::Reset { link: 1 }]);
    bench.wait(1_005);
    assert_eq!(bench.seen[2..], [Action::Listen { open: true }]);
}

#[test]
fn breaks_strike_their_share_and_newcomers_while_they_last() {
    for (kind, action) in [
        ("rst", (|link| Action::Reset { link }) as fn(u32) -> Action<u32>),
        ("fin", |link| Action::Close { link }),
        ("unbind", |link| Action::Unbind { link }),
    ] {
        let mut bench = Bench::new(QUIET);
        for _ in 0..4 {
            bench.bound(BindKind::Transceiver);
        }
        bench.seen.clear();
        bench.inject(&format!(r#"{{"kind":"{kind}","scope":{{"binds":0.5}}}}"#));
        assert_eq!(bench.seen, [action(2), action(4)], "{kind}");
        bench.bound(BindKind::Transceiver);
        assert_eq!(bench.seen[2..], [Action::AcceptBind { link: 5, sequence: 1 }], "{kind} is over at once");
        bench.inject(&format!(r#"{{"kind":"{kind}","for":"1s"}}"#));
        bench.seen.clear();
        bench.bound(BindKind::Transceiver);
        let expected = match kind {
            "unbind" => Action::RefuseBind { link: 6, sequence: 1, status: CommandStatus::ESME_RBINDFAIL },
            _ => action(6),
        };
        assert_eq!(bench.seen[0], expected);
    }
}

#[test]
fn half_open_freezes_old_and_new_and_resets_in_the_end() {
    let mut bench = Bench::new(&QUIET.replace("latency = 0", "latency = '20ms'"));
    let conn = bench.bound(BindKind::Transceiver);
    bench.submit(conn, 1);
    bench.seen.clear();
    bench.inject(r#"{"kind":"half-open","for":"1s"}"#);
    assert_eq!(bench.seen, [Action::Freeze { link: 1, frozen: true }]);
    bench.connect();
    assert_eq!(bench.seen[1..], [Action::Freeze { link: 2, frozen: true }]);
    bench.wait(900);
    assert!(bench.answers().is_empty(), "nothing leaves a frozen connection");
    assert!(bench.deliveries().is_empty());
    bench.seen.clear();
    bench.wait(200);
    let thawed = |link| [Action::Reset { link }, Action::Freeze { link, frozen: false }];
    assert_eq!(bench.seen, [thawed(1), thawed(2)].concat());
    bench.site.closed(bench.now, conn, false, &[], &[]);
    bench.drain();
    assert_eq!(bench.recorded(Kind::LostResponse), 1);
    bench.bound(BindKind::Receiver);
    bench.wait(5);
    assert_eq!(bench.deliveries(), [3], "the receipt survives");
}

#[test]
fn answers_given_just_before_a_freeze_are_in_doubt() {
    let mut bench = Bench::new(QUIET);
    let conn = bench.bound(BindKind::Transceiver);
    bench.submit(conn, 1);
    bench.wait(5_000);
    bench.submit(conn, 2);
    bench.inject(r#"{"kind":"half-open","for":"90s"}"#);
    bench.wait(90_005);
    bench.site.closed(bench.now, conn, false, &[], &[]);
    bench.drain();
    let doubted: Vec<_> =
        bench.records.iter().filter(|r| r.kind == Kind::LostResponse).map(|r| r.key).collect();
    assert_eq!(doubted, [key(2)]);
}

#[test]
fn half_open_may_resume() {
    let mut bench = Bench::new(QUIET);
    let conn = bench.bound(BindKind::Transceiver);
    bench.inject(r#"{"kind":"half-open","then":"resume"}"#);
    bench.submit(conn, 1);
    bench.wait(5_000);
    assert!(bench.answers().is_empty());
    bench.site.heal(bench.now);
    bench.drain();
    assert_eq!(bench.answers(), [(1, 0)]);
    assert_eq!(bench.deliveries(), [1]);
}

#[test]
fn stalled_answers_are_held_until_the_end() {
    let mut bench = Bench::new(QUIET);
    let conn = bench.bound(BindKind::Transceiver);
    bench.inject(r#"{"kind":"stall-responses","for":"1s"}"#);
    (0..5).for_each(|sequence| bench.submit(conn, sequence));
    assert_eq!((bench.answers().len(), bench.deliveries().len()), (0, 5));
    bench.wait(1_005);
    assert_eq!(bench.answers().len(), 5);
    assert_eq!(bench.recorded(Kind::LostResponse), 0);
}

#[test]
fn errors_and_throttle_refuse() {
    let mut bench = Bench::new(QUIET);
    let conn = bench.bound(BindKind::Transceiver);
    bench.inject(r#"{"kind":"errors","p":0.5,"mix":{"0x08":1,"0x45":1}}"#);
    (0..200).for_each(|sequence| bench.submit(conn, sequence));
    let refused = &bench.site.counters().refused;
    assert!((70..130).contains(&refused.total()));
    assert_eq!(refused.total(), refused.of(0x08) + refused.of(0x45));
    assert_eq!(bench.recorded(Kind::Refused) as u64, refused.total());

    let mut bench = Bench::new(QUIET);
    let conn = bench.bound(BindKind::Transceiver);
    bench.inject(r#"{"kind":"throttle","limit":10,"for":"1s"}"#);
    for sequence in 0..200 {
        bench.submit(conn, sequence);
        bench.wait(5);
    }
    assert!((9..=11).contains(&bench.site.counters().accepted), "{}", bench.site.counters().accepted);
    bench.submit(conn, 999);
    assert_eq!(bench.answers().last(), Some(&(999, 0)));
}

#[test]
fn lost_requests_and_lost_responses_differ() {
    let mut bench = Bench::new(QUIET);
    let conn = bench.bound(BindKind::Transceiver);
    bench.inject(r#"{"kind":"lose-request"}"#);
    bench.submit(conn, 1);
    assert_eq!((bench.answers().len(), bench.records.len()), (0, 0));
    bench.site.heal(bench.now);
    bench.inject(r#"{"kind":"lose-response"}"#);
    bench.submit(conn, 2);
    assert_eq!(bench.answers().len(), 0);
    let kinds: Vec<_> = bench.records.iter().map(|record| record.kind).collect();
    assert_eq!(kinds, [Kind::Accepted, Kind::LostResponse, Kind::ReceiptSent, Kind::ReceiptAcked]);
    assert_eq!(bench.records[0].id_hash, bench.records[1].id_hash);
    let counters = bench.site.counters();
    assert_eq!((counters.lost_requests, counters.lost_responses), (1, 1));
}

#[test]
fn slow_responses() {
    let mut bench = Bench::new(&QUIET.replace("latency = 0", "latency = '10ms'"));
    let conn = bench.bound(BindKind::Transceiver);
    bench.inject(r#"{"kind":"latency","factor":10,"add":"50ms"}"#);
    bench.submit(conn, 1);
    bench.wait(145);
    assert!(bench.answers().is_empty());
    bench.wait(10);
    assert_eq!(bench.answers().len(), 1);
}

#[test]
fn the_timeline_strikes_by_count() {
    let fault = "[[fault]]\nkind = 'rst'\nafter_submits = 3\nscope = { site = 'a' }\n\
                 [[fault]]\nkind = 'refuse'\nafter_submits = 1\nscope = { site = 'b' }";
    let text = "[[site]]\nname = 'b'\nlisten = '127.0.0.1:0'\n";
    let mut bench = Bench::with(QUIET, &format!("{text}{fault}"), "a", 1);
    let conn = bench.bound(BindKind::Transceiver);
    (1..=2).for_each(|sequence| bench.submit(conn, sequence));
    assert!(!bench.seen.contains(&Action::Reset { link: 1 }));
    bench.submit(conn, 3);
    assert_eq!(bench.seen.last(), Some(&Action::Reset { link: 1 }));
    assert_eq!(bench.site.counters().faults.of("rst"), 1);
    assert_eq!(bench.site.counters().faults.of("refuse"), 0);
}

#[test]
fn a_failed_answer_is_lost_once() {
    let mut bench = Bench::new(QUIET);
    let conn = bench.bound(BindKind::Transceiver);
    let mut text = [0; MessageKey::TEXT_LENGTH];
    key(1).write(&mut text);
    bench.site.submitted(bench.now, conn, Asked::Submit, 1, &submit(&text));
    let Some(Action::Answer { answer, .. }) = bench.site.poll() else { panic!("an answer comes first") };
    bench.site.answer_lost(bench.now, answer);
    bench.site.closed(bench.now, conn, false, &[], &[]);
    bench.drain();
    assert_eq!(bench.recorded(Kind::LostResponse), 1);
}

#[test]
fn sessions_and_faults_are_written_down() {
    let mut bench = Bench::new(QUIET);
    let conn = bench.bound(BindKind::Transceiver);
    (1..=3).for_each(|sequence| bench.submit(conn, sequence));
    bench.inject(r#"{"kind":"unbind"}"#);
    bench.site.closed(bench.now, conn, true, &[], &[]);
    bench.drain();
    let kinds: Vec<_> =
        bench.others.iter().map(|record| (record.kind, record.state, record.status)).collect();
    assert_eq!(kinds, [(Kind::LinkUp, 0, 0), (Kind::Fault, 0, 0), (Kind::LinkDown, 1, 1)]);
    assert_eq!(&bench.others[1].extra.to_le_bytes(), b"unbind\0\0");
    assert_eq!(bench.others[0].link, bench.others[2].link);
}

/// After a reset the same messages meet the same fate again, and MO are other messages.
#[test]
fn a_reset_forgets_messages_but_not_connections() {
    let mut bench = Bench::new(&QUIET.replace("latency = 0", "latency = '10ms'"));
    let conn = bench.bound(BindKind::Transceiver);
    bench.submit(conn, 1);
    bench.site.reset(bench.now, Some(bench.now));
    bench.drain();
    assert_eq!(bench.answers(), [(1, 0)], "what was unanswered is answered");
    assert_eq!((bench.site.counters().submits, bench.site.pending_len()), (0, 0));
    bench.submit(conn, 2);
    bench.wait(20);
    assert_eq!(bench.answers(), [(1, 0), (2, 0)]);
    assert_eq!(bench.site.sessions().count(), 1);
}
