//! Bytes that a peer should not send, and configurations that should not start: each gets what the standard or a
//! reader would expect, is counted, and nobody else notices.

mod support;

use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{BindKind, Pdu};
use std::process::Command;
use support::client::Client;
use support::{Configuration, Gateway, sites, wait_until};

/// A PDU with any header and any body, its length as it should be.
fn pdu(command: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = 16 + body.len() as u32;
    [&length.to_be_bytes()[..], &command.to_be_bytes(), &[0; 4], &sequence.to_be_bytes(), body].concat()
}

struct World {
    gateway: Gateway,
    sim: sim_smsc::Running,
    _directory: tempfile::TempDir,
}

fn world() -> World {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sim = sites(directory.path(), &["Chicago"], "fast", "");
    let configuration = Configuration::new("auto", 1)
        .customer("good", "")
        .customer("bad", "")
        .vendor("Chicago", sim.address("Chicago").expect("a site"), 1, "")
        .route("1", &["Chicago"]);
    let gateway = Gateway::start(directory.path(), &configuration);
    gateway.wait_for_vendor_binds(1.0);
    World { gateway, sim, _directory: directory }
}

/// The other customer's session works before and after.
fn while_another_works(story: impl FnOnce(&World)) {
    let world = world();
    let mut good = Client::bound(world.gateway.smpp, BindKind::Transceiver, "good");
    assert_eq!(good.submit_and_hear("12025550123", "before", false).status(), CommandStatus::ESME_ROK);
    story(&world);
    assert_eq!(good.submit_and_hear("12025550123", "after", false).status(), CommandStatus::ESME_ROK);
    assert_eq!(world.gateway.metric("smppgw_panics_total", &[]), 0.0);
    world.sim.stop().expect("the simulator ends");
}

#[test]
fn bytes_that_are_no_pdus_close_the_connection_before_the_bind() {
    while_another_works(|world| {
        let garbage: [&[u8]; 5] = [
            b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\0\0\0\x0f\0\0\0\x09\0\0\0\0\0\0\0\x01",
            b"\xff\xff\xff\xff\0\0\0\x09\0\0\0\0\0\0\0\x01",
            b"\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x01",
        ];
        for octets in garbage {
            let mut client = Client::connect(world.gateway.smpp);
            client.raw(octets);
            let nack = client.hear().expect("a generic_nack");
            assert_eq!(
                (nack.command(), nack.status()),
                (CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDLEN)
            );
            assert!(client.hear().is_none(), "the connection ends: {octets:?}");
        }
        wait_until("they are counted", || world.gateway.metric("smppgw_greetings_failed_total", &[]) >= 5.0);
    });
}

#[test]
fn bytes_that_are_no_pdus_close_a_bound_session() {
    while_another_works(|world| {
        let mut client = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bad");
        client.raw(b"\0\x10\0\0\0\0\0\x04\0\0\0\0\0\0\0\x05");
        let nack = client.hear().expect("a generic_nack");
        assert_eq!(
            (nack.command(), nack.status()),
            (CommandId::GENERIC_NACK, CommandStatus::ESME_RINVCMDLEN)
        );
        assert!(client.hear().is_none());
        wait_until("it is counted", || world.gateway.metric("smppgw_link_errors_total", &["framing"]) >= 1.0);
    });
}

#[test]
fn a_bound_session_survives_what_can_be_answered() {
    while_another_works(|world| {
        let mut client = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bad");
        let submit_sm = CommandId::SUBMIT_SM.0;
        // command, body, what is answered, with which status
        let cases: [(u32, &[u8], CommandId, Option<CommandStatus>); 6] = [
            (0x0000_0999, b"", CommandId::GENERIC_NACK, Some(CommandStatus::ESME_RINVCMDID)),
            (submit_sm, b"", CommandId::SUBMIT_SM_RESP, None),
            (submit_sm, b"no NUL anywhere in this body", CommandId::SUBMIT_SM_RESP, None),
            (submit_sm, b"\0\x01\x01123\0\x01\x01456\0\0\0", CommandId::SUBMIT_SM_RESP, None),
            (CommandId::DELIVER_SM.0, b"", CommandId::DELIVER_SM_RESP, Some(CommandStatus::ESME_RINVBNDSTS)),
            (
                CommandId::BIND_RECEIVER.0,
                b"\0\0\0\x34\0\0\0",
                CommandId::BIND_RECEIVER_RESP,
                Some(CommandStatus::ESME_RALYBND),
            ),
        ];
        for (sequence, (command, body, answer, status)) in (100..).zip(cases) {
            client.raw(&pdu(command, sequence, body));
            let heard = client.hear().expect("an answer");
            assert_eq!((heard.command(), heard.frame().sequence_number()), (answer, sequence));
            match status {
                Some(status) => assert_eq!(heard.status(), status, "{command:#x}"),
                None => assert_ne!(heard.status(), CommandStatus::ESME_ROK, "{command:#x}"),
            }
        }
        let ok = client.submit_and_hear("12025550123", "still here", false);
        assert_eq!(ok.status(), CommandStatus::ESME_ROK);
        for kind in ["undecodable", "illegal", "unknown"] {
            wait_until(kind, || world.gateway.get("/metrics").1.contains(kind));
        }
    });
}

#[test]
fn every_truncation_of_a_submit_is_survived() {
    while_another_works(|world| {
        let mut client = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bad");
        let body =
            b"\0\x01\x0112025550100\0\x01\x0112025550123\0\0\0\0\0\0\0\0\0\0\x05hello\x04\x24\0\x03abc";
        for cut in 0..body.len() {
            client.raw(&pdu(CommandId::SUBMIT_SM.0, cut as u32 + 1_000, &body[..cut]));
            let heard = client.hear().expect("an answer");
            assert_eq!(heard.frame().sequence_number(), cut as u32 + 1_000);
        }
    });
}

#[test]
fn binds_that_may_not_stand_are_refused() {
    while_another_works(|world| {
        let refused = |kind, system_id, password| {
            let mut client = Client::connect(world.gateway.smpp);
            let status = client.bind(kind, system_id, password).status();
            assert!(client.hear().is_none(), "the connection ends after a refusal");
            status
        };
        assert_eq!(refused(BindKind::Transceiver, "good", "wrong"), CommandStatus::ESME_RINVPASWD);
        assert_eq!(refused(BindKind::Transceiver, "nobody", "secret"), CommandStatus::ESME_RINVPASWD);
    });
}

#[test]
fn what_has_no_route_or_no_right_is_refused_with_its_status() {
    while_another_works(|world| {
        let mut client = Client::bound(world.gateway.smpp, BindKind::Transceiver, "bad");
        let no_route = client.submit_and_hear("4915550123", "no route", false);
        assert_eq!(no_route.status(), CommandStatus::ESME_RINVDSTADR);
        let mut receiver = Client::bound(world.gateway.smpp, BindKind::Receiver, "bad");
        receiver.submit("12025550123", "no right", false);
        assert_eq!(receiver.hear().expect("an answer").status(), CommandStatus::ESME_RINVBNDSTS);
        client.send(&Pdu::QuerySm(smpp::pdu::QuerySm { message_id: b"1", ..Default::default() }));
        assert_eq!(client.hear().expect("an answer").status(), CommandStatus::ESME_RQUERYFAIL);
    });
}

/// Nothing of a wrong configuration starts, and every mistake is told at once with its place.
#[test]
fn a_wrong_configuration_never_starts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let configuration = Configuration::new("auto", 1)
        .with("[sesion]\nwindow = 1")
        .customer("twice", "")
        .customer("twice", "rate = -5")
        .route("12x", &["nowhere"]);
    let file = configuration.write(directory.path());
    for command in ["run", "check-config"] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_gateway")).arg(command).arg(&file).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{command}");
        let told = String::from_utf8_lossy(&output.stderr);
        for mistake in ["sesion", "rate", "12x", "nowhere"] {
            assert!(told.contains(mistake), "{command} does not tell of {mistake}:\n{told}");
        }
        assert!(told.contains("gateway.toml:"), "with its place:\n{told}");
        assert!(output.stdout.is_empty(), "no ready line");
    }
    assert!(!directory.path().join("state").exists(), "nothing was made");
}

#[test]
fn two_gateways_do_not_share_a_port_or_a_state_directory() {
    let world = world();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let configuration = Configuration::new("auto", 1)
        .customer("good", "")
        .with_ports(world.gateway.smpp, "127.0.0.1:0".parse().expect("an address"));
    let file = configuration.write(directory.path());
    let output = Command::new(env!("CARGO_BIN_EXE_gateway")).arg("run").arg(&file).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("SMPP port"), "{told}");
    world.sim.stop().expect("the simulator ends");
}
