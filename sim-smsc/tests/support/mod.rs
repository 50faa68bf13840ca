//! A blocking SMPP client, small and plain, to look at the simulator from outside.

#![allow(dead_code)] // each test file uses its part

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use ledger::MessageKey;
use smpp::field::{Address, CommandId, CommandStatus, DataCoding, EsmClass, Npi, RegisteredDelivery, Ton};
use smpp::pdu::{Bind, DeliverSmResp, Pdu, SubmitSm};
use smpp::tlv::Tlvs;
use smpp::wire::Deframer;

pub(crate) struct Client {
    stream: TcpStream,
    deframer: Deframer,
    input: Vec<u8>,
    cursor: usize,
}

/// What the tests want to know of a PDU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) command: CommandId,
    pub(crate) status: CommandStatus,
    pub(crate) sequence: u32,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).expect("the port is open");
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, deframer: Deframer::new(70_000), input: Vec::new(), cursor: 0 }
    }

    pub(crate) fn bound(address: SocketAddr) -> Client {
        let mut client = Client::connect(address);
        assert_eq!(client.bind("gw", "pw"), CommandStatus::ESME_ROK);
        client
    }

    pub(crate) fn bind(&mut self, system_id: &str, password: &str) -> CommandStatus {
        let bind = Bind {
            system_id: system_id.as_bytes(),
            password: password.as_bytes(),
            system_type: b"",
            interface_version: 0x34,
            addr_ton: Ton(0),
            addr_npi: Npi(0),
            address_range: b"",
        };
        self.say(&Pdu::BindTransceiver(bind), 1);
        self.hear().expect("an answer to the bind").status
    }

    pub(crate) fn say(&mut self, pdu: &Pdu<'_>, sequence: u32) {
        let mut out = BytesMut::new();
        pdu.encode(CommandStatus::ESME_ROK, sequence, &mut out);
        self.stream.write_all(&out).unwrap();
    }

    pub(crate) fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    pub(crate) fn submit(&mut self, sequence: u32) {
        let mut out = BytesMut::new();
        encode_submit(0, sequence, sequence, &mut out);
        self.write(&out);
    }

    pub(crate) fn ack(&mut self, sequence: u32) {
        let mut out = BytesMut::new();
        encode_ack(sequence, &mut out);
        self.write(&out);
    }

    /// The next PDU; `None` at the end of the stream or a reset.
    pub(crate) fn hear(&mut self) -> Option<Heard> {
        loop {
            let Client { deframer, input, cursor, .. } = self;
            if let Some(frame) = deframer.next(input, cursor).expect("whole frames") {
                return Some(Heard {
                    command: frame.command_id(),
                    status: frame.command_status(),
                    sequence: frame.sequence_number(),
                    body: frame.body().to_vec(),
                });
            }
            self.cursor = 0;
            self.input.resize(65_536, 0);
            let read = read_some(&mut self.stream, &mut self.input);
            self.input.truncate(read);
            if read == 0 {
                return None;
            }
        }
    }

    pub(crate) fn split(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }
}

/// What came, or 0 at the end of the stream or a reset. A read with a timeout may be interrupted, also where nothing happened
/// to the connection.
pub(crate) fn read_some(stream: &mut TcpStream, into: &mut [u8]) -> usize {
    loop {
        match stream.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.unwrap_or(0),
        }
    }
}

pub(crate) fn encode_submit(account: u16, number: u32, sequence: u32, out: &mut BytesMut) {
    let mut text = [0; MessageKey::TEXT_LENGTH];
    MessageKey { run: 1, account, sequence: number, segment: 0 }.write(&mut text);
    let address = |digits| Address { ton: Ton(1), npi: Npi(1), digits };
    let submit = SubmitSm {
        service_type: b"",
        source: address(&b"12025550100"[..]),
        destination: address(&b"13125550199"[..]),
        esm_class: EsmClass(0),
        protocol_id: 0,
        priority_flag: 0,
        schedule_delivery_time: b"",
        validity_period: b"",
        registered_delivery: RegisteredDelivery(1),
        replace_if_present_flag: 0,
        data_coding: DataCoding(0),
        sm_default_msg_id: 0,
        short_message: &text,
        tlvs: Tlvs::default(),
    };
    Pdu::SubmitSm(submit).encode(CommandStatus::ESME_ROK, sequence, out);
}

pub(crate) fn encode_ack(sequence: u32, out: &mut BytesMut) {
    let resp = DeliverSmResp { message_id: b"", tlvs: Tlvs::default() };
    Pdu::DeliverSmResp(resp).encode(CommandStatus::ESME_ROK, sequence, out);
}

/// One HTTP request without a library; returns status and body.
pub(crate) fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n");
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

pub(crate) fn scenario(site: &str, rest: &str) -> String {
    format!(
        "[[site]]\nname = 'A'\nlisten = '127.0.0.1:0'\nprofile = 'fast'\n{site}\n\
         [[account]]\nsystem_id = 'gw'\npassword = 'pw'\n{rest}\n"
    )
}
