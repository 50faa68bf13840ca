//! A vendor that reads by the letter, over std's sockets: a PDU that is not strict ends the session, as foreign SMSCs do.
//! One session at a time; what it heard and how often it was bound can be asked for.

use super::{PATIENCE, wait_until};
use bytes::BytesMut;
use smpp::dialect::Dialect;
use smpp::field::{CommandId, CommandStatus};
use smpp::pdu::{BindKind, BindResp, DataSmResp, Pdu, SubmitSmResp};
use smpp::strict::Verdict;
use smpp::wire::Frame;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What happened so far.
#[derive(Default)]
struct Said {
    /// Messages that were strict, as they came.
    messages: Vec<Vec<u8>>,
    /// Responses and everything else that is no message, as it came.
    others: Vec<Vec<u8>>,
    /// What was not strict, with the reason; each ended a session.
    odd: Vec<String>,
    binds: u32,
    session: Option<TcpStream>,
}

pub struct StrictSmsc {
    pub address: SocketAddr,
    said: Arc<Mutex<Said>>,
}

impl StrictSmsc {
    /// Listens until the process ends.
    pub fn start() -> StrictSmsc {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let said = Arc::<Mutex<Said>>::default();
        let told = said.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &told);
            }
        });
        StrictSmsc { address, said }
    }

    /// Sends octets on the session that stands.
    pub fn send(&self, octets: &[u8]) {
        let mut said = self.said.lock().expect("no panic elsewhere");
        said.session.as_mut().expect("a session stands").write_all(octets).expect("the connection stands");
    }

    /// The messages so far.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        self.said.lock().expect("no panic elsewhere").messages.clone()
    }

    /// What was not strict, with the reason.
    pub fn odd(&self) -> Vec<String> {
        self.said.lock().expect("no panic elsewhere").odd.clone()
    }

    pub fn binds(&self) -> u32 {
        self.said.lock().expect("no panic elsewhere").binds
    }

    /// The PDU with this sequence number that is no message: an answer to what was sent.
    pub fn answer(&self, command: CommandId, sequence: u32) -> Vec<u8> {
        let mut found = None;
        wait_until(&format!("{command:?} with number {sequence} is there"), || {
            let said = self.said.lock().expect("no panic elsewhere");
            let fits = |pdu: &&Vec<u8>| {
                let frame = Frame::whole(pdu).expect("one PDU");
                (frame.command_id(), frame.sequence_number()) == (command, sequence)
            };
            found = said.others.iter().find(fits).cloned();
            found.is_some()
        });
        found.expect("it was found")
    }

    /// Every other PDU that is no message.
    pub fn others(&self) -> Vec<Vec<u8>> {
        self.said.lock().expect("no panic elsewhere").others.clone()
    }
}

/// Why a PDU is not to the letter.
pub fn fault(bytes: &[u8]) -> Option<String> {
    let frame = Frame::whole(bytes)?;
    let verdict = match Pdu::decode(frame, &Dialect::strict()) {
        Ok(Pdu::SubmitSm(submit)) => submit.verdict(frame),
        Ok(Pdu::DeliverSm(deliver)) => deliver.verdict(frame),
        Ok(Pdu::DataSm(data)) => data.verdict(frame),
        Ok(_) => Verdict::Strict,
        Err(error) => return Some(format!("{error}: {}", bytes.escape_ascii())),
    };
    (verdict != Verdict::Strict).then(|| format!("{verdict:?}: {}", bytes.escape_ascii()))
}

fn serve(mut stream: TcpStream, said: &Mutex<Said>) {
    stream.set_read_timeout(Some(PATIENCE)).expect("settable");
    while let Some(pdu) = next(&mut stream) {
        let mut said = said.lock().expect("no panic elsewhere");
        if let Some(fault) = fault(&pdu) {
            said.odd.push(fault);
            break;
        }
        let frame = Frame::whole(&pdu).expect("one PDU");
        let mut out = BytesMut::new();
        let (status, sequence) = (CommandStatus::ESME_ROK, frame.sequence_number());
        match frame.command_id() {
            CommandId::BIND_TRANSCEIVER => {
                said.binds += 1;
                said.session = stream.try_clone().ok();
                BindResp { system_id: b"strict", ..BindResp::default() }.encode(
                    BindKind::Transceiver,
                    status,
                    sequence,
                    &mut out,
                );
            }
            CommandId::SUBMIT_SM | CommandId::DATA_SM => {
                said.messages.push(pdu.clone());
                let id = said.messages.len().to_string();
                let message_id = id.as_bytes();
                match frame.command_id() {
                    CommandId::SUBMIT_SM => {
                        SubmitSmResp { message_id, ..SubmitSmResp::default() }
                            .encode(status, sequence, &mut out);
                    }
                    _ => {
                        DataSmResp { message_id, ..DataSmResp::default() }.encode(status, sequence, &mut out)
                    }
                }
            }
            CommandId::ENQUIRE_LINK => Pdu::EnquireLinkResp.encode(status, sequence, &mut out),
            CommandId::UNBIND => Pdu::UnbindResp.encode(status, sequence, &mut out),
            _ => said.others.push(pdu.clone()),
        }
        drop(said);
        if stream.write_all(&out).is_err() {
            break;
        }
    }
    said.lock().expect("no panic elsewhere").session = None;
}

fn next(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut pdu = length.to_vec();
    pdu.resize(u32::from_be_bytes(length) as usize, 0);
    stream.read_exact(&mut pdu[4..]).ok()?;
    Some(pdu)
}
