//! An SMSC that takes everything at once: what `loadgen calibrate` measures itself against, and what its tests bind to.
//!
//! It accepts every bind, answers every submit_sm with status 0 and a new id, and sends one DELIVRD receipt for each
//! message that asks for one, on any session of the account that may receive.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use ledger::{Kind, MessageKey, Meta, ReceiptDigest, Record, Writer, fingerprint, id_hash};
use link::{App, Closed, Event, Hub, HubOptions, LinkId, Links, SessionConfig};
use runtime::{Backend, Listener, Placement, Runtime, ShardThread, Stop};
use smpp::field::{CommandStatus, DataCoding, EsmClass, MessageState, RegisteredDelivery};
use smpp::pdu::{DeliverSm, Pdu, SubmitSm, SubmitSmResp};
use smpp::text::receipt::{Receipt, receipt_of};
use smpp::tlv::Tlvs;

/// How the SMSC behaves.
#[derive(Clone, Debug, Default)]
pub struct NullSmscOptions {
    /// Where its ledger is written, if it shall keep one.
    pub ledger: Option<PathBuf>,
    /// Run number for the head of that ledger.
    pub run: u32,
    /// Core of its thread; not pinned without one.
    pub core: Option<usize>,
    /// Answers every n-th message without taking it: a loss that `reconcile` must find. Zero never.
    pub lose_every: u64,
}

/// A running SMSC on a free port of the loopback.
pub struct NullSmsc {
    address: SocketAddr,
    stop: Stop,
    thread: ShardThread,
}

impl NullSmsc {
    /// Starts it on a thread of its own.
    ///
    /// # Errors
    ///
    /// No port, no thread, or no ledger file.
    pub fn start(backend: Backend, options: &NullSmscOptions) -> io::Result<NullSmsc> {
        runtime::on_backend!(backend, Self::start_on(options))
    }

    fn start_on<R: Runtime>(options: &NullSmscOptions) -> io::Result<NullSmsc> {
        let meta = Meta {
            program: "null-smsc".into(),
            run: options.run,
            seed: 0,
            parties: vec!["null".into()],
            rules: serde_json::Value::Null,
        };
        let ledger = options.ledger.as_ref().map(|path| Writer::create(path, &meta)).transpose()?;
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let unix_offset = unix.wrapping_sub(runtime::monotonic_nanos());
        let app = Smsc { ledger, unix_offset, lose_every: options.lose_every, ..Smsc::default() };
        let stop = Stop::new();
        let (sender, receiver) = mpsc::sync_channel(1);
        let placement = options.core.map_or(Placement::Floating, Placement::Core);
        let stopped = stop.clone();
        let thread = R::run(placement, "null-smsc", move || serve::<R>(app, stopped, sender))?;
        let address = receiver.recv().map_err(|_| io::Error::other("the null SMSC did not start"))??;
        Ok(NullSmsc { address, stop, thread })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it; its ledger is whole then.
    ///
    /// # Errors
    ///
    /// Its thread panicked.
    pub fn finish(self) -> io::Result<()> {
        self.stop.request();
        self.thread.join().map_err(|panic| io::Error::other(panic.to_string()))
    }
}

async fn serve<R: Runtime>(app: Smsc, stop: Stop, ready: mpsc::SyncSender<io::Result<SocketAddr>>) {
    let listener = match R::listen(SocketAddr::from(([127, 0, 0, 1], 0))) {
        Ok(listener) => std::rc::Rc::new(listener),
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let hub = Hub::<R, Smsc>::new(app, HubOptions::default());
    let _ = ready.send(Ok(listener.local_address()));
    let (accepting, accepted) = (listener.clone(), hub.clone());
    R::spawn(async move {
        while let Ok((stream, _)) = accepting.accept().await {
            // A refused connection is dropped, which the peer sees.
            let _ = accepted.attach(stream, SessionConfig::customer_side(WINDOW, WINDOW), &[]);
        }
    });
    stop.requested().await;
    listener.close();
    hub.stop();
    hub.with(|smsc, links| {
        smsc.record(links, Kind::End, MessageKey::default(), |_| {});
        smsc.ledger.take()
    });
}

#[derive(Default)]
struct Smsc {
    ledger: Option<Writer>,
    /// Unix time less monotonic time, nanoseconds.
    unix_offset: u64,
    lose_every: u64,
    taken: u64,
    /// Account of each session.
    accounts: HashMap<LinkId, Vec<u8>>,
    /// Sessions of each account that may receive.
    receivers: HashMap<Vec<u8>, Vec<LinkId>>,
    /// Receipts that wait for a window.
    waiting: HashMap<Vec<u8>, VecDeque<Pending>>,
    text: BytesMut,
}

/// A receipt, as sent and until it is answered.
#[derive(Clone, Copy)]
struct Pending {
    key: MessageKey,
    id: u64,
}

impl App for Smsc {
    type Token = Pending;

    fn on_event(&mut self, links: &mut Links<Pending>, id: LinkId, event: Event<'_, Pending>) {
        match event {
            Event::BindRequest { kind, bind, sequence } => {
                let account = bind.system_id.to_vec();
                if links.accept_bind(id, sequence, b"null").is_ok() {
                    self.accounts.insert(id, account.clone());
                    if kind.may_receive() {
                        self.receivers.entry(account).or_default().push(id);
                    }
                }
            }
            Event::Request { frame, pdu: Pdu::SubmitSm(submit), .. } => {
                self.submitted(links, id, frame.sequence_number(), &submit);
            }
            Event::Response { token, frame, .. } => {
                let status = frame.command_status().0;
                self.record(links, Kind::ReceiptAcked, token.key, |record| record.status = status);
                self.send_waiting(links, id);
            }
            _ => {}
        }
    }

    fn on_closed(&mut self, _links: &mut Links<Pending>, id: LinkId, _closed: Closed<Pending>) {
        let account = self.accounts.remove(&id);
        if let Some(receivers) = account.and_then(|account| self.receivers.get_mut(&account)) {
            receivers.retain(|link| *link != id);
        }
    }

    fn on_tick(&mut self, _links: &mut Links<Pending>) {}
}

impl Smsc {
    fn submitted(&mut self, links: &mut Links<Pending>, link: LinkId, sequence: u32, submit: &SubmitSm<'_>) {
        self.taken += 1;
        let id = self.taken;
        let mut digits = [0; 20];
        let message_id = decimal(id, &mut digits);
        let resp = Pdu::SubmitSmResp(SubmitSmResp { message_id, tlvs: Tlvs::default() });
        if links.respond(link, sequence, CommandStatus::ESME_ROK, &resp).is_err() {
            return;
        }
        if self.lose_every > 0 && id.is_multiple_of(self.lose_every) {
            return;
        }
        let found = MessageKey::find(submit.payload(), submit.esm_class.0, submit.data_coding.0);
        let key = found.unwrap_or_default();
        self.record(links, Kind::Accepted, key, |record| {
            (record.fingerprint, record.id_hash) = (fingerprint(submit), id_hash(message_id));
            (record.state, record.extra) = (submit.registered_delivery.0, ledger::addresses(submit));
            record.detail = submit.registered_delivery.0 & Record::RECEIPT_OWED;
        });
        if submit.registered_delivery.0 & 1 == 1 {
            let Some(account) = self.accounts.get(&link) else { return };
            let waiting = self.waiting.entry(account.clone()).or_default();
            waiting.push_back(Pending { key, id });
            self.send_waiting(links, link);
        }
    }

    /// Sends what receipts the windows of this session's account allow.
    fn send_waiting(&mut self, links: &mut Links<Pending>, link: LinkId) {
        let Some(account) = self.accounts.get(&link) else { return };
        let (Some(waiting), Some(receivers)) = (self.waiting.get_mut(account), self.receivers.get(account))
        else {
            return;
        };
        let mut sent = Vec::new();
        'receipts: while let Some(&pending) = waiting.front() {
            for _ in 0..receivers.len() {
                let to = receivers[(pending.id % receivers.len() as u64) as usize];
                let Some(digest) = (links.window_free(to) > 0)
                    .then(|| receipt(links, to, pending, &mut self.text, self.ledger.is_some()))
                    .flatten()
                else {
                    continue;
                };
                {
                    waiting.pop_front();
                    sent.push((pending, digest));
                    continue 'receipts;
                }
            }
            break;
        }
        for (pending, digest) in sent {
            self.record(links, Kind::ReceiptSent, pending.key, |record| record.set_digest(&digest));
        }
    }

    fn record(
        &mut self,
        links: &Links<Pending>,
        kind: Kind,
        key: MessageKey,
        fill: impl FnOnce(&mut Record),
    ) {
        let Some(ledger) = &mut self.ledger else { return };
        let state = if kind == Kind::ReceiptAcked { MessageState::Delivered as u8 } else { 0 };
        let time_ns = links.now().as_nanos().wrapping_add(self.unix_offset);
        let mut record = Record { state, ..Record::new(kind, 0, key, time_ns) };
        fill(&mut record);
        if ledger.append(&record).is_err() {
            self.ledger = None; // a ledger with a hole would accuse the innocent; a short one is noticed
        }
    }
}

/// Sends a receipt; tells what it says, where that is `wanted`.
fn receipt(
    links: &mut Links<Pending>,
    to: LinkId,
    pending: Pending,
    text: &mut BytesMut,
    wanted: bool,
) -> Option<ReceiptDigest> {
    let mut digits = [0; 20];
    text.clear();
    let fields = Receipt {
        id: decimal(pending.id, &mut digits),
        sub: b"001",
        dlvrd: b"001",
        submit_date: b"2601010000",
        done_date: b"2601010000",
        state: Some(MessageState::Delivered),
        err: b"000",
        ..Receipt::default()
    };
    fields.write(text);
    let address = smpp::field::Address { digits: b"12025550100", ..PLAIN };
    let deliver = DeliverSm {
        service_type: b"",
        source: address,
        destination: address,
        esm_class: EsmClass(4),
        protocol_id: 0,
        priority_flag: 0,
        schedule_delivery_time: b"",
        validity_period: b"",
        registered_delivery: RegisteredDelivery(0),
        replace_if_present_flag: 0,
        data_coding: DataCoding(0),
        sm_default_msg_id: 0,
        short_message: text,
        tlvs: Tlvs::default(),
    };
    let said = receipt_of(&deliver).filter(|_| wanted);
    let digest = said.map_or_else(ReceiptDigest::default, |said| ReceiptDigest::of(&deliver, &said));
    links.request(to, &Pdu::DeliverSm(deliver), pending).is_ok().then_some(digest)
}

/// Decimal digits of a number.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[at..];
        }
    }
}

const PLAIN: smpp::field::Address<'static> =
    smpp::field::Address { ton: smpp::field::Ton(1), npi: smpp::field::Npi(1), digits: b"" };

/// Unanswered requests in each direction of a session.
const WINDOW: u32 = 20_000;
