//! A blocking SMPP client over std's sockets: as plain as a test needs it, and independent of `link`.

use super::PATIENCE;
use bytes::BytesMut;
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandId, CommandStatus, RegisteredDelivery};
use smpp::pdu::{Bind, BindKind, DeliverSmResp, Pdu, SubmitSm};
use smpp::wire::Frame;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

pub struct Client {
    stream: TcpStream,
    sequence: u32,
    /// deliver_sm acknowledged so far.
    pub deliveries: u32,
}

/// One PDU, owned.
#[derive(Clone, Debug)]
pub struct Heard(pub Vec<u8>);

impl Heard {
    pub fn frame(&self) -> Frame<'_> {
        Frame::whole(&self.0).expect("one PDU")
    }

    pub fn command(&self) -> CommandId {
        self.frame().command_id()
    }

    pub fn status(&self) -> CommandStatus {
        self.frame().command_status()
    }

    pub fn pdu(&self) -> Pdu<'_> {
        Pdu::decode(self.frame(), &Dialect::tolerant()).expect("decodable")
    }

    /// The message id of a submit_sm_resp.
    pub fn message_id(&self) -> String {
        match self.pdu() {
            Pdu::SubmitSmResp(resp) => String::from_utf8_lossy(resp.message_id).into_owned(),
            other => panic!("no submit_sm_resp: {other:?}"),
        }
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).expect("the port is open"))
    }

    /// On a connection that stands.
    pub fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).expect("settable");
        stream.set_nodelay(true).expect("settable");
        Client { stream, sequence: 0, deliveries: 0 }
    }

    /// Connects and binds; the bind must be accepted.
    pub fn bound(address: SocketAddr, kind: BindKind, system_id: &str) -> Client {
        let mut client = Client::connect(address);
        assert_eq!(client.bind(kind, system_id, "secret").status(), CommandStatus::ESME_ROK);
        client
    }

    /// The same where the gateway may close the connection instead, as when it has no descriptor to spare.
    pub fn bound_if_let_in(address: SocketAddr, kind: BindKind, system_id: &str) -> Option<Client> {
        let mut client = Client::connect(address);
        let bind = client.bind_octets(kind, system_id, "secret");
        client.stream.write_all(&bind).ok()?;
        let answer = client.hear()?;
        assert_eq!(answer.status(), CommandStatus::ESME_ROK);
        Some(client)
    }

    /// The other end: takes one connection as a vendor does, and accepts its bind.
    pub fn accepted(listener: &TcpListener) -> Client {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("settable");
        stream.set_nodelay(true).expect("settable");
        let mut client = Client { stream, sequence: 0, deliveries: 0 };
        let bind = client.hear().expect("a bind");
        let mut out = BytesMut::new();
        let kind = BindKind::of_command(bind.command()).expect("a bind");
        let resp = smpp::pdu::BindResp { system_id: b"vendor", tlvs: smpp::tlv::Tlvs::default() };
        resp.encode(kind, CommandStatus::ESME_ROK, bind.frame().sequence_number(), &mut out);
        client.raw(&out);
        client
    }

    pub fn bind(&mut self, kind: BindKind, system_id: &str, password: &str) -> Heard {
        self.send_bind(kind, system_id, password);
        self.hear().expect("an answer to the bind")
    }

    /// Asks to be bound, and waits for nothing.
    pub fn send_bind(&mut self, kind: BindKind, system_id: &str, password: &str) {
        let bind = self.bind_octets(kind, system_id, password);
        self.raw(&bind);
    }

    fn bind_octets(&mut self, kind: BindKind, system_id: &str, password: &str) -> BytesMut {
        let bind = Bind {
            system_id: system_id.as_bytes(),
            password: password.as_bytes(),
            interface_version: 0x34,
            ..Bind::default()
        };
        let mut out = BytesMut::new();
        self.sequence += 1;
        bind.encode(kind, self.sequence, &mut out);
        out
    }

    /// Sends a request; its sequence number.
    pub fn send(&mut self, pdu: &Pdu<'_>) -> u32 {
        self.sequence += 1;
        let mut out = BytesMut::new();
        pdu.encode(CommandStatus::ESME_ROK, self.sequence, &mut out);
        self.raw(&out);
        self.sequence
    }

    pub fn submit(&mut self, destination: &str, text: &str, receipt: bool) -> u32 {
        self.send(&Pdu::SubmitSm(SubmitSm {
            source: Address { digits: b"12025550100", ..Address::default() },
            destination: Address { digits: destination.as_bytes(), ..Address::default() },
            registered_delivery: RegisteredDelivery(u8::from(receipt)),
            short_message: text.as_bytes(),
            ..SubmitSm::default()
        }))
    }

    /// Submits and waits for the answer, acknowledging what is delivered meanwhile.
    pub fn submit_and_hear(&mut self, destination: &str, text: &str, receipt: bool) -> Heard {
        let sequence = self.submit(destination, text, receipt);
        loop {
            let heard = self.hear().expect("an answer to the submit");
            if heard.command() == CommandId::SUBMIT_SM_RESP {
                assert_eq!(heard.frame().sequence_number(), sequence);
                return heard;
            }
            self.acknowledge(&heard);
        }
    }

    /// Waits for the next deliver_sm and acknowledges it.
    pub fn hear_delivery(&mut self) -> Heard {
        loop {
            let heard = self.hear().expect("a delivery");
            let delivered = heard.command() == CommandId::DELIVER_SM;
            self.acknowledge(&heard);
            if delivered {
                return heard;
            }
        }
    }

    /// Answers deliver_sm and enquire_link with status 0.
    pub fn acknowledge(&mut self, heard: &Heard) {
        let answer = match heard.command() {
            CommandId::DELIVER_SM => {
                self.deliveries += 1;
                Pdu::DeliverSmResp(DeliverSmResp::default())
            }
            CommandId::ENQUIRE_LINK => Pdu::EnquireLinkResp,
            _ => return,
        };
        let mut out = BytesMut::new();
        answer.encode(CommandStatus::ESME_ROK, heard.frame().sequence_number(), &mut out);
        self.raw(&out);
    }

    /// Sends any octets.
    pub fn raw(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).expect("the connection stands");
    }

    /// The next PDU; `None` at the end of the connection.
    pub fn hear(&mut self) -> Option<Heard> {
        let mut length = [0; 4];
        if let Err(error) = self.stream.read_exact(&mut length) {
            assert!(error.kind() != std::io::ErrorKind::WouldBlock, "nothing came in {PATIENCE:?}");
            return None;
        }
        let total = u32::from_be_bytes(length) as usize;
        let mut pdu = length.to_vec();
        pdu.resize(total, 0);
        self.stream.read_exact(&mut pdu[4..]).ok()?;
        Some(Heard(pdu))
    }
}
