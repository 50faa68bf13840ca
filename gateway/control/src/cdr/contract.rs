//! What every sink must do, on files and on a real PostgreSQL; then the queue before them, and the memory.

use super::file::FileSink;
use super::postgres::PostgresSink;
use super::recent::{Key, Recent};
use super::scan::{Archive, Span};
use super::service::start_with;
use super::*;
use postgres_server::Postgres;
use relay::{
    Account, DeliveryOutcome, DeliveryRecord, LinkKey, MessageState, Number, Output, Relay, RelayOptions,
    ResolvedRecord, Route, SettledRecord, ShardIndex, SnapshotInput, SubmitRecord, Vendor, VendorMessageId,
    WeightedVendor,
};
use runtime::Full;
use shard::{RECORD_MAILBOX, RecordPort, RecordWord};
use smpp::field::{Address, CommandStatus};
use smpp::pdu::{BindKind, Pdu, SubmitSm};
use smpp::text::message_id::GatewayId;
use smpp::time::Instant;
use smpp::wire::Frame;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// 2026-01-01T00:00:00Z.
const WALL: u64 = 1_767_225_600;
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes while it is open.
pub(super) struct TestSink {
    open: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
}

impl TestSink {
    pub(super) fn write(&mut self, batch: &[Record]) -> Result<(), String> {
        if !self.open.load(Ordering::SeqCst) {
            return Err("closed".into());
        }
        self.written.fetch_add(batch.len() as u64, Ordering::SeqCst);
        Ok(())
    }
}

fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !so() {
        assert!(std::time::Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn snapshot() -> Arc<Snapshot> {
    let route = Route {
        prefix: "".into(),
        account: None,
        priority: 1,
        unknown_outcome: None,
        vendors: vec![WeightedVendor { vendor: VendorId::of_name(b"west"), weight: 1, price: None }],
        ..Route::default()
    };
    let input = SnapshotInput {
        accounts: vec![Account::new("acme"), Account::new("other")],
        vendors: vec![Vendor { id_rule: IdRule::HexToDecimal, ..Vendor::new("west") }],
        routes: vec![route],
        correlate: relay::Correlate::None,
        records: true,
        ..SnapshotInput::default()
    };
    Arc::new(Snapshot::compile(input).unwrap())
}

fn names() -> Arc<Names> {
    Arc::new(Names::of(&snapshot()))
}

fn acme() -> AccountId {
    AccountId::of_name(b"acme")
}

/// Records of accepted submits as a relay makes them, one for each destination; the vendor's ids are 0xA0 and up.
fn submits(destinations: &[&[u8]]) -> Vec<Record> {
    let options = RelayOptions {
        node: 1,
        shard: ShardIndex(0),
        shards: 1,
        started_at: Duration::from_secs(WALL),
        seed: 1,
    };
    let mut relay = Relay::new(options, snapshot());
    let (now, customer, bind) = (Instant::from_nanos(5), LinkKey(1), LinkKey(2));
    assert!(relay.customer_bound(now, acme(), customer, BindKind::Transceiver, 10));
    assert!(relay.vendor_bound(now, VendorId::of_name(b"west"), bind, BindKind::Transceiver, 10));
    for (place, destination) in destinations.iter().enumerate() {
        let submit = SubmitSm {
            source: Address { digits: b"AC\nME\t\\", ..Address::default() },
            destination: Address { digits: destination, ..Address::default() },
            ..SubmitSm::default()
        };
        let mut bytes = bytes::BytesMut::new();
        Pdu::SubmitSm(submit).encode(CommandStatus::ESME_ROK, 7, &mut bytes);
        let arrival = relay::Arrival { now, unix_seconds: WALL, link: customer, over_window: false };
        relay.handle_submit(arrival, Frame::whole(&bytes).unwrap(), &submit);
        let sent = std::iter::from_fn(|| relay.poll()).find_map(|output| match output {
            Output::SendSubmit { message, .. } => Some(message),
            _ => None,
        });
        let id = format!("{:X}", 0xA0 + place);
        relay.handle_answer(now, bind, sent.unwrap(), CommandStatus::ESME_ROK, id.as_bytes());
        while relay.poll().is_some() {}
    }
    let wall = |count: u64| Duration::from_secs(WALL) + Duration::from_micros(count);
    (0..).map_while(|count| relay.poll_record(now, wall(count))).collect()
}

fn submit_of(record: &Record) -> &SubmitRecord {
    let RecordKind::Submit(submit) = &record.kind else { panic!("{record:?}") };
    submit
}

fn id_of(record: &Record) -> GatewayId {
    submit_of(record).gateway_id.unwrap()
}

/// A final receipt for a submit, some seconds later.
fn receipt(of: &Record, number: u64) -> Record {
    let submit = submit_of(of);
    let kind = RecordKind::Delivery(DeliveryRecord {
        gateway_id: submit.gateway_id,
        account: submit.account,
        vendor: Some(VendorId::of_name(b"west")),
        vendor_message_id: submit.vendor_message_id,
        receipt: Some(relay::ReceiptFacts {
            state: Some(smpp::field::MessageState::Undeliverable),
            error: Some(13),
            is_final: true,
        }),
        outcome: DeliveryOutcome::Taken,
        customer_status: Some(CommandStatus::ESME_ROK),
        ..DeliveryRecord::default()
    });
    Record { number, at: of.at + Duration::from_secs(9), kind, ..*of }
}

/// One of each kind, on two days.
fn all_kinds() -> Vec<Record> {
    let mut records = submits(&[b"12025550123", b"12025550124"]);
    records.push(receipt(&records[0], 1_000));
    let mo = DeliveryRecord { outcome: DeliveryOutcome::Orphan, ..DeliveryRecord::default() };
    let tomorrow = Duration::from_secs(WALL + 86_400);
    records.push(Record { number: 1_001, at: tomorrow, kind: RecordKind::Delivery(mo), ..records[0] });
    let resolved = ResolvedRecord {
        gateway_id: id_of(&records[1]),
        account: acme(),
        vendor: VendorId::of_name(b"west"),
        vendor_message_id: VendorMessageId::new(b"x\\"),
        state: MessageState::Acked,
    };
    let at = records[1].at + Duration::from_secs(20);
    records.push(Record { number: 1_002, at, kind: RecordKind::Resolved(resolved), ..records[1] });
    let mut refused = *submit_of(&records[0]);
    (refused.gateway_id, refused.vendor_message_id) = (None, None);
    (refused.sequence, refused.refusal) = (8, Some(relay::Refusal::NoRoute));
    records.push(Record { number: 1_003, kind: RecordKind::Submit(refused), ..records[0] });
    let at = records[1].at + Duration::from_secs(30);
    let settled = RecordKind::Settled(settled(&records[1], None));
    records.push(Record { number: 1_004, at, kind: settled, ..records[1] });
    let mut again = *submit_of(&records[1]);
    again.vendor_message_id = None;
    let at = records[1].at + Duration::from_secs(40);
    records.push(Record { number: 1_005, at, kind: RecordKind::Duplicate(again), ..records[1] });
    records
}

/// What the spool's way told of a submit: taken under the id `5A`, or this fate.
fn settled(of: &Record, fate: Option<smpp::field::MessageState>) -> SettledRecord {
    let id = VendorMessageId::new(b"5A").filter(|_| fate.is_none());
    SettledRecord {
        gateway_id: id_of(of),
        account: acme(),
        vendor: Some(VendorId::of_name(b"west")),
        vendor_message_id: id,
        status: Some(CommandStatus::ESME_ROK),
        tries: 3,
        fate,
        possible_duplicate: true,
        ended_after: Duration::from_millis(4),
    }
}

fn file_options(directory: &Path) -> FileOptions {
    FileOptions {
        directory: directory.to_owned(),
        node: 1,
        size_max: 1 << 30,
        age_max: Duration::from_secs(3600),
        keep: None,
    }
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What lies in a sink is what was written, and is found by each of the three keys.
fn check_archive(archive: &Archive, records: &[Record]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let names = names();
    let find = |key: Key| {
        let span = Span { from: WALL - 10, to: u64::MAX };
        runtime.block_on(archive.find(&key, span, &names, false)).unwrap().lines
    };
    let line = |place: usize| Line::of(&records[place], &names);
    assert_eq!(find(Key::Id(id_of(&records[0]))), [line(0), line(2)]);
    let of_second = [line(1), line(4), line(6), line(7)];
    assert_eq!(find(Key::Id(id_of(&records[1]))), of_second);
    let west = VendorId::of_name(b"west");
    for spelling in [&b"A0"[..], b"160"] {
        assert_eq!(find(Key::Vendor(west, spelling.to_vec())), [line(0), line(2)], "{spelling:?}");
    }
    assert_eq!(find(Key::Customer(acme(), 7, b"12025550124".to_vec())), of_second);
    assert_eq!(find(Key::Vendor(west, b"5A".to_vec())), of_second);
    for nothing in [
        Key::Id(GatewayId(1)),
        Key::Vendor(west, b"B9".to_vec()),
        Key::Customer(acme(), 9, b"12025550123".to_vec()),
        Key::Customer(AccountId::of_name(b"other"), 7, b"12025550123".to_vec()),
    ] {
        assert_eq!(find(nothing.clone()), [], "{nothing:?}");
    }
}

#[test]
fn files_give_back_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let records = all_kinds();
    let mut sink = Sink::File(FileSink::open(file_options(directory.path()), names()).unwrap());
    sink.write(&records).unwrap();
    let archive = Archive::Files(file_options(directory.path()));
    check_archive(&archive, &records); // while the file is open
    sink.finish().unwrap();
    check_archive(&archive, &records);
    let [file] = &files(directory.path())[..] else { panic!("one file") };
    assert!(file.ends_with(".ndjson"), "{file}");
    let text = std::fs::read_to_string(directory.path().join(file)).unwrap();
    assert_eq!(text.lines().count(), records.len());
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(directory.path().join(file)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
}

#[test]
fn files_rotate_by_size_and_age_and_are_removed_by_age() {
    let directory = tempfile::tempdir().unwrap();
    let records = all_kinds();
    let by_size = FileOptions { size_max: 1, ..file_options(directory.path()) };
    let mut sink = FileSink::open(by_size, names()).unwrap();
    for count in 1..=3 {
        sink.write(&records).unwrap();
        assert_eq!(files(directory.path()).len(), count);
    }
    assert!(files(directory.path()).iter().all(|file| file.ends_with(".ndjson")));
    let by_age =
        FileOptions { age_max: Duration::ZERO, keep: Some(Duration::ZERO), ..file_options(directory.path()) };
    let mut sink = FileSink::open(FileOptions { keep: None, ..by_age.clone() }, names()).unwrap();
    sink.write(&records).unwrap();
    assert!(files(directory.path()).iter().any(|file| file.ends_with(".open")));
    sink.look_after().unwrap();
    assert_eq!(files(directory.path()).len(), 4);
    assert!(files(directory.path()).iter().all(|file| file.ends_with(".ndjson")));
    FileSink::open(by_age, names()).unwrap().look_after().unwrap();
    assert_eq!(files(directory.path()), Vec::<String>::new());
}

#[test]
fn what_a_crash_left_is_cut_and_completed() {
    let directory = tempfile::tempdir().unwrap();
    let left = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    left("cdr-1-a-1.ndjson.open", "{\"a\":1}\n{\"b\":2}\n{\"c\"");
    left("cdr-1-a-2.ndjson.open", "{\"half");
    left("cdr-2-a-1.ndjson.open", "another node's");
    drop(FileSink::open(file_options(directory.path()), names()).unwrap());
    assert_eq!(files(directory.path()), ["cdr-1-a-1.ndjson", "cdr-2-a-1.ndjson.open"]);
    let text = std::fs::read_to_string(directory.path().join("cdr-1-a-1.ndjson")).unwrap();
    assert_eq!(text, "{\"a\":1}\n{\"b\":2}\n");
}

fn postgres_options(server: &Postgres) -> PostgresOptions {
    PostgresOptions { url: server.url(), keep_days: None }
}

#[test]
fn the_table_gives_back_what_was_written_and_takes_nothing_twice() {
    let Some(server) = Postgres::start() else { return };
    let open = || PostgresSink::open(postgres_options(&server), names());
    let Err(missing) = open() else { panic!("no table yet") };
    assert!(missing.contains("gateway migrate"), "{missing}");
    assert_eq!(migrate(&server.url()).unwrap().len(), 1);
    assert_eq!(migrate(&server.url()).unwrap().len(), 0, "nothing is left to do");
    let records = all_kinds();
    let mut sink = open().unwrap();
    sink.write(&records).unwrap();
    check_archive(&Archive::Postgres(postgres_options(&server)), &records);
    // The same again, as after a lost answer: COPY refuses it as a whole, then only what is missing is taken.
    let mut more = records.clone();
    more.push(Record { number: 2_000, ..records[3] });
    assert!(sink.write(&more).is_err());
    sink.write(&more).unwrap();
    assert_eq!(server.ask("select count(*) from cdr"), "9");
    sink.look_after().unwrap();
    let partitions = "select count(*) from pg_inherits where inhparent = 'cdr'::regclass";
    assert_eq!(server.ask(partitions), "5", "two days of records, and three ahead");
    let keeps = PostgresOptions { keep_days: Some(1), ..postgres_options(&server) };
    let mut sink = PostgresSink::open(keeps, names()).unwrap();
    sink.look_after().unwrap();
    assert_eq!((server.ask(partitions), server.ask("select count(*) from cdr")), ("3".into(), "0".into()));
    server.ask("update refinery_schema_history set version = 99");
    let Err(newer) = open() else { panic!("a schema that we do not know") };
    assert!(newer.contains("99"), "{newer}");
}

fn cdr_options(when_full: WhenFull, queue_max: usize) -> CdrOptions {
    CdrOptions {
        node: 1,
        when_full,
        queue_max,
        recent_max: 0,
        mask_addresses: false,
        file: None,
        postgres: None,
    }
}

/// Pushes records with numbers from `from` on until there is no room or there are `max`; how many went.
fn push(port: &mut RecordPort, record: Record, from: u64, max: u64) -> u64 {
    for count in 0..max {
        let word = RecordWord::Keep(Record { number: from + count, ..record });
        if let Err(Full(_)) = port.words.push(word) {
            port.words.ring();
            return count;
        }
    }
    port.words.ring();
    max
}

#[test]
fn records_survive_kill_9_of_the_database_in_mid_stream() {
    let Some(mut server) = Postgres::start() else { return };
    migrate(&server.url()).unwrap();
    let options =
        CdrOptions { postgres: Some(postgres_options(&server)), ..cdr_options(WhenFull::Refuse, 20_000) };
    let (thread, mut ports) = start(&options, (*names()).clone(), 1).unwrap();
    let record = submits(&[b"12025550123"])[0];
    let counters = thread.counters();
    let written = || counters[0].1.written.load(Ordering::SeqCst);
    let mut pushed = 0;
    for round in 0..3 {
        let before = written();
        wait_until("records flow", || {
            pushed += push(&mut ports[0], record, pushed, 2_000);
            written() > before
        });
        server.kill();
        if round == 1 {
            wait_until("nothing more is taken", || {
                push(&mut ports[0], record, pushed, 1).eq(&0) || {
                    pushed += 1;
                    false
                }
            });
        } else {
            pushed += push(&mut ports[0], record, pushed, 2_000);
        }
        server.start_again();
    }
    wait_until("all is written", || written() == pushed);
    drop(ports);
    thread.join().unwrap();
    assert_eq!(server.ask("select count(*), count(distinct number) from cdr"), format!("{pushed}|{pushed}"));
    assert_eq!(counters[0].1.dropped.load(Ordering::SeqCst), 0);
    assert!(counters[0].1.failures.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_sink_that_stands_still_holds_nothing_up_before_its_queue_is_full() {
    let queue = 1_000;
    let record = submits(&[b"12025550123"])[0];
    for when_full in [WhenFull::Refuse, WhenFull::Drop] {
        let (open, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let sink = Sink::Test(TestSink { open: open.clone(), written: count.clone() });
        let (thread, mut ports) = start_with(&cdr_options(when_full, queue), names(), 1, vec![sink]).unwrap();
        let counters = thread.counters();
        let (counter, room) = (&counters[0].1, queue as u64 + RECORD_MAILBOX as u64);
        let mut pushed = 0;
        match when_full {
            WhenFull::Refuse => {
                wait_until("queue and mailbox are full", || {
                    pushed += push(&mut ports[0], record, pushed, 100);
                    pushed == room
                });
                assert_eq!(push(&mut ports[0], record, pushed, 1), 0);
            }
            WhenFull::Drop => wait_until("twice as many are taken", || {
                pushed += push(&mut ports[0], record, pushed, 100);
                pushed >= 2 * room
            }),
        }
        wait_until("the queue is full", || counter.waiting.load(Ordering::SeqCst) == queue as u64);
        open.store(true, Ordering::SeqCst);
        drop(ports);
        thread.join().unwrap();
        let (written, dropped) =
            (counter.written.load(Ordering::SeqCst), counter.dropped.load(Ordering::SeqCst));
        assert_eq!(written, count.load(Ordering::SeqCst));
        assert_eq!(written + dropped, pushed, "none is lost without being counted");
        assert_eq!(dropped > 0, when_full == WhenFull::Drop);
    }
}

#[test]
fn the_memory_finds_the_newest_by_three_keys_and_forgets_the_oldest() {
    let records = submits(&[b"1", b"2", b"2", b"3"]);
    let names = names();
    let mut recent = Recent::new(3);
    for record in &records[..3] {
        recent.add(record);
    }
    recent.add(&receipt(&records[1], 9));
    let west = VendorId::of_name(b"west");
    let numbers = |recent: &Recent, key: &Key| {
        recent.find(key, &names).iter().map(|record| record.number).collect::<Vec<_>>()
    };
    let number = |place: usize| records[place].number;
    let both = Key::Customer(acme(), 7, b"2".to_vec());
    assert_eq!(numbers(&recent, &both), [number(2), number(1), 9], "the newest message first");
    for spelling in [&b"A1"[..], b"161", b"a1"] {
        assert_eq!(numbers(&recent, &Key::Vendor(west, spelling.to_vec())), [number(1), 9]);
    }
    assert_eq!(numbers(&recent, &Key::Id(id_of(&records[0]))), [number(0)]);
    recent.add(&records[3]);
    for gone in [
        Key::Id(id_of(&records[0])),
        Key::Vendor(west, b"A0".to_vec()),
        Key::Customer(acme(), 7, b"1".to_vec()),
    ] {
        assert_eq!(numbers(&recent, &gone), [0; 0], "{gone:?}");
    }
    assert_eq!(numbers(&recent, &Key::Id(id_of(&records[3]))), [number(3)]);
}

#[test]
fn a_customer_is_told_of_its_own_messages_only() {
    let record = submits(&[b"1"])[0];
    let mut recent = Recent::new(3);
    recent.add(&record);
    let query = |account: &[u8], source: Option<&[u8]>| shard::Query {
        ticket: 1,
        account: AccountId::of_name(account),
        gateway_id: id_of(&record),
        source: source.map(|digits| Number::new(&Address { digits, ..Address::default() })),
    };
    let state = |recent: &Recent, account: &[u8], source| {
        recent
            .answer(&query(account, source))
            .map(|found| (found.state.stat(), found.final_at, found.error_code))
    };
    assert_eq!(state(&recent, b"acme", None), Some(("ENROUTE", None, 0)));
    assert_eq!(state(&recent, b"acme", Some(b"AC\nME\t\\")), Some(("ENROUTE", None, 0)));
    assert_eq!(state(&recent, b"acme", Some(b"4420")), None);
    assert_eq!(state(&recent, b"other", None), None);
    let receipt = receipt(&record, 9);
    recent.add(&receipt);
    assert_eq!(state(&recent, b"acme", None), Some(("UNDELIV", Some(receipt.at), 13)));
}

/// A spooled message is on its way until it is settled; then, as after an unknown outcome, the vendor's receipt counts.
#[test]
fn what_is_told_after_the_answer_is_the_customers_answer() {
    use smpp::field::MessageState as State;
    let mut first = submits(&[b"1"])[0];
    let mut submit = *submit_of(&first);
    let check = |first: &Record, later: &[RecordKind], expected: &str, is_final: bool| {
        let mut recent = Recent::new(3);
        recent.add(first);
        for (number, kind) in later.iter().enumerate() {
            recent.add(&Record { number: number as u64, kind: *kind, ..*first });
        }
        let query = shard::Query { ticket: 1, account: acme(), gateway_id: id_of(first), source: None };
        let found = recent.answer(&query).expect("it is known");
        assert_eq!((found.state.stat(), found.final_at.is_some()), (expected, is_final), "{later:?}");
    };
    // The vendor's receipt is known by its id alone.
    let receipt = |id: &[u8]| {
        RecordKind::Delivery(DeliveryRecord {
            vendor: Some(VendorId::of_name(b"west")),
            vendor_message_id: VendorMessageId::new(id),
            receipt: Some(relay::ReceiptFacts { state: Some(State::Delivered), error: None, is_final: true }),
            ..DeliveryRecord::default()
        })
    };
    submit.vendor_message_id = None;
    submit.state = MessageState::Admitted;
    first.kind = RecordKind::Submit(submit);
    let with_fate = |fate| RecordKind::Settled(settled(&first, fate));
    check(&first, &[], "ENROUTE", false);
    check(&first, &[with_fate(None)], "ENROUTE", false);
    check(&first, &[with_fate(None), receipt(b"5A")], "DELIVRD", true);
    check(&first, &[with_fate(None), receipt(b"5B")], "ENROUTE", false);
    check(&first, &[with_fate(Some(State::Expired))], "EXPIRED", true);
    check(&first, &[with_fate(Some(State::Undeliverable))], "UNDELIV", true);
    check(&first, &[with_fate(Some(State::Unknown))], "UNKNOWN", false);
    submit.state = MessageState::Unknown;
    first.kind = RecordKind::Submit(submit);
    let resolved = RecordKind::Resolved(ResolvedRecord {
        gateway_id: id_of(&first),
        account: acme(),
        vendor: VendorId::of_name(b"west"),
        vendor_message_id: VendorMessageId::new(b"77"),
        state: MessageState::Acked,
    });
    check(&first, &[], "UNKNOWN", false);
    check(&first, &[resolved], "ENROUTE", false);
    check(&first, &[resolved, RecordKind::Duplicate(submit), receipt(b"77")], "DELIVRD", true);
}

#[test]
fn masking_hides_the_last_digits_everywhere() {
    let directory = tempfile::tempdir().unwrap();
    let options = CdrOptions {
        mask_addresses: true,
        recent_max: 10,
        file: Some(file_options(directory.path())),
        ..cdr_options(WhenFull::Refuse, 1_000)
    };
    let (thread, mut ports) = start(&options, (*names()).clone(), 1).unwrap();
    let record = submits(&[b"12025550123"])[0];
    push(&mut ports[0], record, record.number, 1);
    let desk = thread.desk();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut found = Vec::new();
    wait_until("it is remembered", || {
        let key = Key::Customer(acme(), 7, b"12025550123".to_vec());
        found = runtime.block_on(desk.find(key)).unwrap_or_default();
        !found.is_empty()
    });
    assert_eq!(submit_of(&found[0]).destination.digits(), b"1202555****");
    drop(ports);
    thread.join().unwrap();
    let [file] = &files(directory.path())[..] else { panic!("one file") };
    let text = std::fs::read_to_string(directory.path().join(file)).unwrap();
    assert!(text.contains("1202555****") && !text.contains("0123\""), "{text}");
}
