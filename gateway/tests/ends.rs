//! How sessions begin and end: nothing that is owed is dropped, whoever ends it.

mod support;

use bytes::BytesMut;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{Bind, BindKind, Pdu, SubmitSm, SubmitSmResp};
use smpp::tlv::Tlvs;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use support::client::{Client, Heard};
use support::{Configuration, Gateway, wait_until};

const OK: CommandStatus = CommandStatus::ESME_ROK;

fn on_both_back_ends(test: fn(&str)) {
    test("tokio");
    if runtime::testing::glommio_allowed() {
        test("glommio");
    }
}

/// A gateway with one bind to a vendor that the test plays, and the customer `bulk`.
struct World {
    gateway: Gateway,
    listener: TcpListener,
    vendor: Client,
    _directory: tempfile::TempDir,
}

fn world(backend: &str, lines: &str, customer: &str, vendor: &str) -> World {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let configuration = Configuration::new(backend, 2)
        .with(lines)
        .customer("bulk", customer)
        .vendor("Chicago", address, 1, vendor)
        .route("", &["Chicago"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    let vendor = Client::accepted(&listener);
    gateway.wait_for_vendor_binds(1.0);
    World { gateway, listener, vendor, _directory: directory }
}

fn submit_sm() -> Pdu<'static> {
    Pdu::SubmitSm(SubmitSm {
        destination: smpp::field::Address { digits: b"12025550123", ..Default::default() },
        short_message: b"hello",
        ..SubmitSm::default()
    })
}

fn put(out: &mut BytesMut, sequence: u32, pdu: &Pdu<'_>) {
    pdu.encode(OK, sequence, out);
}

/// A vendor's answer, with an id of its own.
fn put_answer(out: &mut BytesMut, submit: &Heard) {
    let sequence = submit.frame().sequence_number();
    let message_id = sequence.to_string();
    put(
        out,
        sequence,
        &Pdu::SubmitSmResp(SubmitSmResp { message_id: message_id.as_bytes(), tlvs: Tlvs::default() }),
    );
}

/// The next PDU that is no enquire_link.
fn hear(client: &mut Client) -> Option<Heard> {
    loop {
        let heard = client.hear()?;
        if heard.command() != CommandId::ENQUIRE_LINK {
            return Some(heard);
        }
        client.acknowledge(&heard);
    }
}

fn hear_submits(vendor: &mut Client, count: usize) -> Vec<Heard> {
    let submits: Vec<Heard> = (0..count).map(|_| hear(vendor).expect("a submit")).collect();
    assert!(submits.iter().all(|heard| heard.command() == CommandId::SUBMIT_SM));
    submits
}

fn vendor_unbinds_with_answers(backend: &str) {
    for before in [0, 2, 5] {
        let mut world = world(backend, "", "", "");
        let mut customer = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bulk");
        for _ in 0..5 {
            customer.submit("12025550123", "hello", true);
        }
        let submits = hear_submits(&mut world.vendor, 5);
        let mut words = BytesMut::new();
        submits[..before].iter().for_each(|submit| put_answer(&mut words, submit));
        put(&mut words, 99, &Pdu::Unbind);
        submits[before..].iter().for_each(|submit| put_answer(&mut words, submit));
        world.vendor.raw(&words);
        for _ in 0..5 {
            let answer = hear(&mut customer).expect("an answer");
            assert_eq!(
                (answer.command(), answer.status()),
                (CommandId::SUBMIT_SM_RESP, OK),
                "{before} before"
            );
        }
        assert_eq!(hear(&mut world.vendor).map(|heard| heard.command()), Some(CommandId::UNBIND_RESP));
        assert!(hear(&mut world.vendor).is_none(), "then the end");
        let _next = Client::accepted(&world.listener);
        assert_eq!(world.gateway.metric("smppgw_vendor_unknown_total", &[]), 0.0);
    }
}

/// Five answers and an unbind in one segment, in any order: five customers get their answers.
#[test]
fn counts_answers_around_a_vendors_unbind() {
    on_both_back_ends(vendor_unbinds_with_answers);
}

fn vendor_unbinds_store_and_forward(backend: &str) {
    let mut world = world(backend, "", "mode = \"store_and_forward\"", "");
    let mut customer = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bulk");
    for _ in 0..5 {
        assert_eq!(customer.submit_and_hear("12025550123", "hello", false).status(), OK);
    }
    let submits = hear_submits(&mut world.vendor, 5);
    let mut words = BytesMut::new();
    put(&mut words, 99, &Pdu::Unbind);
    submits.iter().for_each(|submit| put_answer(&mut words, submit));
    world.vendor.raw(&words);
    assert_eq!(hear(&mut world.vendor).map(|heard| heard.command()), Some(CommandId::UNBIND_RESP));
    let mut vendor = Client::accepted(&world.listener);
    wait_until("all five are settled", || {
        world.gateway.metric("smppgw_spool_entries", &["kind=\"all\""]) == 0.0
    });
    assert_eq!(customer.submit_and_hear("12025550123", "the sixth", false).status(), OK);
    let sixth = hear(&mut vendor).expect("a submit");
    match sixth.pdu() {
        Pdu::SubmitSm(submit) => assert_eq!(submit.short_message, b"the sixth", "no second copies"),
        other => panic!("no submit_sm: {other:?}"),
    };
}

#[test]
fn sends_nothing_again_after_a_vendors_unbind() {
    on_both_back_ends(vendor_unbinds_store_and_forward);
}

fn vendor_unbinds_under_load(backend: &str) {
    let mut world = world(backend, "", "", "");
    let mut customer = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bulk");
    let first_sequence = customer.submit("12025550123", "first", false);
    let first = hear_submits(&mut world.vendor, 1);
    let mut words = BytesMut::new();
    put(&mut words, 99, &Pdu::Unbind);
    world.vendor.raw(&words);
    let unbinds = || world.gateway.log().contains("vendor unbinds");
    wait_until("the gateway knows", unbinds);
    customer.submit("12025550123", "second", false);
    // Were it sent here, it would come before the answer to this question.
    let mut question = BytesMut::new();
    put(&mut question, 100, &Pdu::EnquireLink);
    wait_until("it was taken", || world.gateway.metric("smppgw_submits_total", &[]) == 2.0);
    world.vendor.raw(&question);
    assert_eq!(hear(&mut world.vendor).map(|heard| heard.command()), Some(CommandId::ENQUIRE_LINK_RESP));
    let mut words = BytesMut::new();
    put_answer(&mut words, &first[0]);
    world.vendor.raw(&words);
    assert_eq!(hear(&mut world.vendor).map(|heard| heard.command()), Some(CommandId::UNBIND_RESP));
    let answers: Vec<Heard> = (0..2).map(|_| hear(&mut customer).expect("an answer")).collect();
    let of_first = answers.iter().find(|answer| answer.frame().sequence_number() == first_sequence);
    assert_eq!(of_first.map(Heard::status), Some(OK), "{answers:?}");
}

#[test]
fn sends_nothing_new_after_a_vendors_unbind() {
    on_both_back_ends(vendor_unbinds_under_load);
}

fn customer_submits_and_unbinds(backend: &str) {
    let mut world = world(backend, "", "", "");
    let mut customer = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bulk");
    let mut words = BytesMut::new();
    (2..=4).for_each(|sequence| put(&mut words, sequence, &submit_sm()));
    put(&mut words, 5, &Pdu::Unbind);
    customer.raw(&words);
    let submits = hear_submits(&mut world.vendor, 3);
    let mut words = BytesMut::new();
    submits.iter().for_each(|submit| put_answer(&mut words, submit));
    world.vendor.raw(&words);
    for _ in 0..3 {
        let answer = hear(&mut customer).expect("an answer");
        assert_eq!((answer.command(), answer.status()), (CommandId::SUBMIT_SM_RESP, OK));
        assert!(!answer.message_id().is_empty());
    }
    assert_eq!(hear(&mut customer).map(|heard| heard.command()), Some(CommandId::UNBIND_RESP));
    assert!(hear(&mut customer).is_none(), "then the end");
}

#[test]
fn answers_a_customer_before_its_unbind() {
    on_both_back_ends(customer_submits_and_unbinds);
}

fn customer_unbinds_vendor_is_slow(backend: &str) {
    let world = world(backend, "[session]\nfinish_timeout = \"300ms\"", "", "");
    let mut customer = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bulk");
    let mut words = BytesMut::new();
    put(&mut words, 2, &submit_sm());
    put(&mut words, 3, &Pdu::Unbind);
    let began = Instant::now();
    customer.raw(&words);
    assert_eq!(hear(&mut customer).map(|heard| heard.command()), Some(CommandId::UNBIND_RESP));
    assert!(began.elapsed() >= Duration::from_millis(300), "it was waited for");
    assert!(hear(&mut customer).is_none(), "then the end");
    wait_until("it is counted", || {
        world.gateway.metric("smppgw_link_errors_total", &["kind=\"overdue_end\""]) == 1.0
    });
}

#[test]
fn answers_an_unbind_although_a_vendor_is_slow() {
    on_both_back_ends(customer_unbinds_vendor_is_slow);
}

fn pipelines_its_bind(backend: &str) {
    let mut world = world(backend, "", "", "");
    // Some accounts are at home on the shard that accepts, others are handed over: the sum of both is shown.
    let mut customer = Client::connect(world.gateway.smpp);
    let mut words = BytesMut::new();
    let bind = Bind { system_id: b"bulk", password: b"secret", ..Bind::default() };
    bind.encode(BindKind::Transceiver, 1, &mut words);
    (2..=4).for_each(|sequence| put(&mut words, sequence, &submit_sm()));
    customer.raw(&words);
    let bound = hear(&mut customer).expect("an answer");
    assert_eq!((bound.command(), bound.status()), (CommandId::BIND_TRANSCEIVER_RESP, OK));
    let submits = hear_submits(&mut world.vendor, 3);
    let mut answers = BytesMut::new();
    submits.iter().for_each(|submit| put_answer(&mut answers, submit));
    world.vendor.raw(&answers);
    for sequence in 2..=4 {
        let answer = hear(&mut customer).expect("an answer");
        assert_eq!((answer.frame().sequence_number(), answer.status()), (sequence, OK));
    }
    assert!(world.gateway.metric("smppgw_binds_pipelined_total", &[]) <= 1.0);
}

#[test]
fn waits_with_what_follows_a_bind() {
    on_both_back_ends(pipelines_its_bind);
}

fn idle_customers(backend: &str) {
    let lines = "[session]\ninactivity = \"800ms\"\nenquire_link = \"0s\"";
    let world = world(backend, lines, "", "");
    let mut silent = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bulk");
    let mut pinging = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bulk");
    let silent = std::thread::spawn(move || {
        assert_eq!(silent.hear().expect("an unbind").pdu(), Pdu::Unbind);
        let mut answer = BytesMut::new();
        put(&mut answer, 1, &Pdu::UnbindResp);
        silent.raw(&answer);
        assert!(silent.hear().is_none(), "then the end");
    });
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2_400) {
        pinging.send(&Pdu::EnquireLink);
        assert_eq!(pinging.hear().expect("an answer").command(), CommandId::ENQUIRE_LINK_RESP);
        std::thread::sleep(Duration::from_millis(50));
    }
    silent.join().expect("unbound in order");
}

/// enquire_link is a sign of life; who gives none is unbound, not cut.
#[test]
fn unbinds_the_silent_and_keeps_the_idle() {
    on_both_back_ends(idle_customers);
}
