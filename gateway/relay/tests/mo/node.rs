//! A node of relays in memory: shards that hear one another at once, a store that keeps everything, customers who
//! answer when they are told to.

use gateway_relay::{
    Account, AccountId, Arrival, Correlate, DeliveryKey, KeywordRule, LinkKey, Output, Relay, RelayOptions,
    ShardIndex, ShardMessage, Snapshot, SnapshotInput, StoreAnswer, StoreOp, Vendor, VendorId,
};
use smpp::dialect::Dialect;
use smpp::field::{Address, CommandStatus, DataCoding, EsmClass};
use smpp::pdu::{BindKind, DeliverSm, Pdu};
use smpp::text::segment::{Marking, Part};
use smpp::time::Instant;
use smpp::tlv::{Tag, Tlvs, write_tlv};
use smpp::wire::Frame;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// `shop` wants its messages whole, the others do not. 100 is shared and belongs to `home`, 200 is shared and belongs
/// to nobody, 300 is `shop`'s alone, 400 `bank`'s alone.
pub(crate) const ACCOUNTS: [&str; 3] = ["shop", "bank", "home"];
pub(crate) const START: Instant = Instant::from_nanos(1_000_000_000);

pub(crate) struct Node {
    pub(crate) relays: Vec<Relay>,
    pub(crate) now: Instant,
    sequence: u32,
    /// What each customer got, live or parked, in order; orphans under "".
    pub(crate) got: Vec<(&'static str, Got)>,
    /// The vendor's answers by sequence number.
    pub(crate) answers: BTreeMap<u32, Vec<CommandStatus>>,
    /// Deliveries that customers have not answered yet: shard and key.
    pub(crate) open: Vec<(usize, DeliveryKey)>,
    /// Customers answer at once.
    pub(crate) prompt: bool,
    pub(crate) store_is_away: bool,
    /// What is delivered is not read.
    pub(crate) is_deaf: bool,
    /// Mailboxes between shards are full.
    pub(crate) mail_is_full: bool,
}

/// A delivery as the customer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) text: Vec<u8>,
    /// Its place among parts, if it is one.
    pub(crate) part: Option<Part>,
    pub(crate) in_payload: bool,
    pub(crate) has_header: bool,
    pub(crate) data_coding: u8,
    pub(crate) parked: bool,
}

/// What a vendor sends.
#[derive(Clone, Debug)]
pub(crate) struct Sent<'a> {
    pub(crate) source: &'a str,
    pub(crate) number: &'a str,
    pub(crate) part: Option<Part>,
    pub(crate) text: &'a [u8],
    pub(crate) data_coding: u8,
    pub(crate) in_payload: bool,
    /// Another element in the header.
    pub(crate) ports: bool,
}

impl Sent<'_> {
    pub(crate) fn new<'a>(number: &'a str, part: Option<Part>, text: &'a [u8]) -> Sent<'a> {
        Sent { source: "4479", number, part, text, data_coding: 0, in_payload: false, ports: false }
    }
}

pub(crate) fn part(marking: Marking, reference: u16, total: u8, number: u8) -> Part {
    Part { marking, reference, total, number }
}

pub(crate) fn account(name: &str) -> AccountId {
    AccountId::of_name(name.as_bytes())
}

pub(crate) fn customer_link(name: &str) -> LinkKey {
    LinkKey(ACCOUNTS.iter().position(|account| *account == name).expect("a customer") as u64 + 1)
}

fn vendor_link(shard: usize) -> LinkKey {
    LinkKey(100 + shard as u64)
}

impl Node {
    pub(crate) fn new(shards: u8) -> Node {
        let with = |name: &str, numbers: &[&str], reassemble| Account {
            numbers: numbers.iter().map(|number| (*number).into()).collect(),
            reassemble,
            ..Account::new(name)
        };
        let rule = |number: &str, keyword: &str, name| KeywordRule {
            number: number.into(),
            keyword: keyword.into(),
            account: account(name),
        };
        let input = SnapshotInput {
            accounts: vec![
                with("shop", &["300"], true),
                with("bank", &["400"], false),
                with("home", &["100"], false),
            ],
            vendors: vec![Vendor::new("west")],
            keywords: vec![
                rule("100", "win", "shop"),
                rule("100", "pay", "bank"),
                rule("200", "win", "shop"),
                rule("200", "pay", "bank"),
            ],
            correlate: Correlate::Strict,
            ..SnapshotInput::default()
        };
        let snapshot = Arc::new(Snapshot::compile(input).expect("no mistake"));
        let relay = |shard| {
            let shard = ShardIndex(shard);
            let options = RelayOptions { node: 1, shard, shards, started_at: Duration::ZERO, seed: 1 };
            Relay::new(options, Arc::clone(&snapshot))
        };
        let mut node = Node {
            relays: (0..shards).map(relay).collect(),
            now: START,
            sequence: 0,
            got: Vec::new(),
            answers: BTreeMap::new(),
            open: Vec::new(),
            prompt: true,
            store_is_away: false,
            is_deaf: false,
            mail_is_full: false,
        };
        for shard in 0..usize::from(shards) {
            let (id, link) = (VendorId::of_name(b"west"), vendor_link(shard));
            assert!(node.relays[shard].vendor_bound(START, id, link, BindKind::Transceiver, 100));
        }
        node.pump();
        node
    }

    pub(crate) fn bind(&mut self, name: &str, shard: usize) {
        let link = customer_link(name);
        let relay = &mut self.relays[shard];
        assert!(relay.customer_bound(self.now, account(name), link, BindKind::Receiver, 10_000));
        self.pump();
    }

    /// The vendor delivers on its bind with this shard; the sequence number.
    pub(crate) fn send(&mut self, shard: usize, sent: &Sent<'_>) -> u32 {
        let bytes = self.encode(sent);
        assert!(self.send_octets(shard, &bytes));
        self.sequence
    }

    /// The same with octets of the test's own, once they are decodable for a tolerant reader.
    pub(crate) fn send_octets(&mut self, shard: usize, bytes: &[u8]) -> bool {
        let frame = Frame::whole(bytes).expect("one PDU");
        let link = vendor_link(shard);
        let arrival = Arrival { now: self.now, unix_seconds: 2_000_000_000, link, over_window: false };
        match Pdu::decode(frame, &Dialect::tolerant()) {
            Ok(Pdu::DeliverSm(pdu)) => self.relays[shard].handle_deliver(arrival, frame, &pdu),
            Ok(Pdu::DataSm(pdu)) => self.relays[shard].handle_deliver_data(arrival, frame, &pdu),
            _ => return false,
        }
        self.pump();
        true
    }

    pub(crate) fn encode(&mut self, sent: &Sent<'_>) -> bytes::BytesMut {
        self.sequence += 1;
        let mut payload = bytes::BytesMut::new();
        let mut tlvs = bytes::BytesMut::new();
        write_tlv(&mut tlvs, Tag(0x1403), b"own");
        if let Some(part) = sent.part {
            part.write_udh(&mut payload);
            if part.marking == Marking::Sar {
                part.write_sar(&mut tlvs);
            }
        }
        if sent.ports {
            assert!(!payload.is_empty(), "a header to add the ports to");
            payload[0] += 6;
            payload.extend_from_slice(&[5, 4, 0x0b, 0x84, 0x23, 0xf0]);
        }
        let has_header = !payload.is_empty();
        payload.extend_from_slice(sent.text);
        if sent.in_payload {
            write_tlv(&mut tlvs, Tag::MESSAGE_PAYLOAD, &payload);
            payload.clear();
        }
        let pdu = DeliverSm {
            service_type: b"X",
            source: Address { digits: sent.source.as_bytes(), ..Address::default() },
            destination: Address { digits: sent.number.as_bytes(), ..Address::default() },
            esm_class: EsmClass(0x80).with_user_data_header(has_header),
            data_coding: DataCoding(sent.data_coding),
            short_message: &payload,
            tlvs: Tlvs::new(&tlvs),
            ..DeliverSm::default()
        };
        let mut bytes = bytes::BytesMut::new();
        pdu.encode(CommandStatus::ESME_ROK, self.sequence, &mut bytes);
        bytes
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        for relay in &mut self.relays {
            relay.handle_tick(self.now);
        }
        self.pump();
    }

    /// Customers answer all that is open with this status.
    pub(crate) fn customers_answer(&mut self, status: CommandStatus) {
        for (shard, delivery) in std::mem::take(&mut self.open) {
            self.relays[shard].customer_answered(self.now, delivery, status);
        }
        self.pump();
    }

    /// Carries out everything that the relays want done.
    pub(crate) fn pump(&mut self) {
        loop {
            let mut is_quiet = true;
            for shard in 0..self.relays.len() {
                while let Some(output) = self.relays[shard].poll() {
                    is_quiet = false;
                    self.output(shard, output);
                }
                while let Some(op) = self.relays[shard].poll_store() {
                    is_quiet = false;
                    self.store(shard, op);
                }
                while let Some((to, message)) = self.relays[shard].poll_shard() {
                    is_quiet = false;
                    self.mail(shard, to, message);
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn output(&mut self, shard: usize, output: Output) {
        match output {
            Output::AnswerDeliver { sequence, status, link, .. } => {
                assert_eq!(link, vendor_link(shard));
                self.answers.entry(sequence).or_default().push(status);
            }
            Output::SendDeliver { link, delivery } => {
                let name = ACCOUNTS[link.0 as usize - 1];
                let octets = self.relays[shard].delivery_bytes(delivery);
                assert!(Frame::whole(octets).is_some());
                if !self.is_deaf {
                    self.got.push((name, read(octets, false)));
                }
                if self.prompt {
                    self.relays[shard].customer_answered(self.now, delivery, CommandStatus::ESME_ROK);
                } else {
                    self.open.push((shard, delivery));
                }
            }
            Output::Drained => {}
            other => panic!("not expected: {other:?}"),
        }
    }

    fn store(&mut self, shard: usize, op: StoreOp) {
        if self.store_is_away {
            if let Some(answer) = op.away() {
                self.relays[shard].handle_store_answer(self.now, answer);
            }
            return;
        }
        let answer = match op {
            StoreOp::Park { delivery, account: owner, urgent, pdu } => {
                assert!(urgent, "an MO goes before receipts, on whichever shard it was gathered");
                let name = ACCOUNTS.iter().find(|name| account(name) == owner).expect("a customer");
                if !self.is_deaf {
                    self.got.push((name, read(&pdu, true)));
                }
                StoreAnswer::Parked { delivery, account: owner, outcome: Ok(()), pdu }
            }
            StoreOp::ParkOrphan { delivery, pdu, .. } => {
                if !self.is_deaf {
                    self.got.push(("", read(&pdu, true)));
                }
                StoreAnswer::OrphanParked { delivery, outcome: Ok(()), pdu }
            }
            StoreOp::Unpark { account, .. } => {
                StoreAnswer::Unparked { account, entries: Vec::new(), more: false }
            }
            // A damaged part may look like a receipt.
            StoreOp::Find { delivery, .. } if self.is_deaf => {
                StoreAnswer::Found { delivery, outcome: Ok(gateway_relay::Finding::Nothing) }
            }
            StoreOp::KeepEarly { delivery, pdu, .. } if self.is_deaf => {
                StoreAnswer::EarlyKept { delivery, outcome: Ok(()), pdu }
            }
            other => panic!("not expected: {other:?}"),
        };
        self.relays[shard].handle_store_answer(self.now, answer);
    }

    fn mail(&mut self, from: usize, to: ShardIndex, message: ShardMessage) {
        if self.mail_is_full && message.may_come_back() {
            return self.relays[from].handle_undelivered(self.now, to, message);
        }
        let to = &mut self.relays[usize::from(to.0)];
        to.handle_shard_message(self.now, ShardIndex(from as u8), message);
    }

    /// The sum of a counter over all shards.
    pub(crate) fn count(&self, counter: impl Fn(&gateway_relay::Traffic) -> u64) -> u64 {
        self.relays.iter().map(|relay| counter(&relay.counters().traffic)).sum()
    }

    /// The texts that a customer got.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let of = self.got.iter().filter(|(account, _)| *account == name);
        of.map(|(_, got)| String::from_utf8_lossy(&got.text).into_owned()).collect()
    }

    /// The vendor's answer to each of these, none while it waits.
    pub(crate) fn answers_to(&self, sequences: &[u32]) -> Vec<Option<CommandStatus>> {
        let answer = |sequence| {
            let answers = self.answers.get(sequence)?;
            assert_eq!(answers.len(), 1, "one answer for each request");
            answers.first().copied()
        };
        sequences.iter().map(answer).collect()
    }
}

fn read(pdu: &[u8], parked: bool) -> Got {
    let frame = Frame::whole(pdu).expect("one PDU");
    let Pdu::DeliverSm(pdu) = Pdu::decode(frame, &Dialect::strict()).expect("decodable") else {
        panic!("a deliver_sm")
    };
    assert_eq!((pdu.service_type, pdu.tlvs.find(Tag(0x1403))), (&b"X"[..], Some(&b"own"[..])));
    assert!(pdu.esm_class.has_reply_path());
    let has_header = pdu.esm_class.has_user_data_header();
    let text = match smpp::text::segment::Udh::split(pdu.payload()) {
        Some((_, text)) if has_header => text,
        _ => pdu.payload(),
    };
    Got {
        text: text.to_vec(),
        part: Part::find(has_header, pdu.payload(), &pdu.tlvs),
        in_payload: pdu.tlvs.find(Tag::MESSAGE_PAYLOAD).is_some(),
        has_header,
        data_coding: pdu.data_coding.0,
        parked,
    }
}
