//! What each message says. Pure: content follows from the seed, the account and the message's number alone, so the
//! same seed gives the same messages on any number of threads.

use ledger::MessageKey;
use smpp::field::{Address, DataCoding, EsmClass, Npi, RegisteredDelivery, Ton};
use smpp::pdu::SubmitSm;
use smpp::tlv::Tlvs;

use crate::random::SplitMix;
use crate::scenario::{Encoding, Form, Length, Mix, Pattern, Scenario, Weighted};

/// All messages of a run, made on demand.
#[derive(Debug)]
pub struct Corpus {
    seed: u64,
    run: u32,
    /// Which account sends message *i* of the run.
    accounts: Weighted<u16>,
    /// Each account's own mixes.
    mixes: Vec<Option<Weighted<u16>>>,
    bodies: Vec<Mix>,
    receipts: Vec<bool>,
    fillers: [Vec<u8>; 3],
}

/// What was decided about one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The message; its segment is 0.
    pub key: MessageKey,
    /// Number of parts, at least 1.
    pub segments: u8,
    mix: u16,
    encoding: Encoding,
    length: u16,
    source: u64,
    destination: u64,
    filler: u16,
}

impl Plan {
    /// Number of its mix, as ledgers hold it: 255 for all from there on.
    pub fn mix(&self) -> u8 {
        self.mix.min(255) as u8
    }
}

impl Corpus {
    /// The messages of a scenario.
    pub fn new(scenario: &Scenario) -> Corpus {
        let weights = |account: usize| {
            let own = scenario.mixes.iter().enumerate().filter(|(_, mix)| mix.account == account);
            own.map(|(index, mix)| (index as u16, mix.share)).collect::<Vec<_>>()
        };
        let mixes: Vec<Option<Weighted<u16>>> =
            (0..scenario.accounts.len()).map(|account| Weighted::new(weights(account))).collect();
        let shares = (0..scenario.accounts.len())
            .map(|account| (account as u16, weights(account).iter().map(|(_, share)| share).sum()))
            .collect();
        Corpus {
            seed: scenario.seed,
            run: scenario.run,
            accounts: Weighted::new(shares).expect("a scenario has a mix, and its share is at least 1"),
            mixes,
            bodies: scenario.mixes.clone(),
            receipts: scenario.accounts.iter().map(|account| account.receipts.expect).collect(),
            fillers: [
                filler(scenario.seed, GSM7_WORDS),
                filler(scenario.seed, LATIN1_WORDS),
                filler(scenario.seed, UCS2_WORDS),
            ],
        }
    }

    /// The account that sends message `index` of the run.
    pub fn account(&self, index: u64) -> u16 {
        let random =
            SplitMix::new(self.seed ^ PURPOSE_ACCOUNT ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15)).next();
        self.accounts.pick(random as u32)
    }

    /// Whether an account sends anything at all.
    pub fn sends(&self, account: u16) -> bool {
        self.mixes.get(usize::from(account)).is_some_and(Option::is_some)
    }

    /// Decides about a message of an account that sends.
    pub fn plan(&self, account: u16, sequence: u32) -> Plan {
        let key = MessageKey { run: self.run, account, sequence, segment: 0 };
        let mut random = SplitMix::new(key.hash(self.seed, PURPOSE_CONTENT, 0));
        let draw = random.next();
        let mixes = self.mixes[usize::from(account)].as_ref().expect("only accounts with a mix send");
        let mix_index = mixes.pick(draw as u32);
        let mix = &self.bodies[usize::from(mix_index)];
        let encoding = mix.encodings.pick((draw >> 32) as u32);
        let draw = random.next();
        let segments = mix.segments.pick(draw as u32);
        let Length::Uniform(from, to) = mix.length;
        let length = from + ((draw >> 32) as u32 % u32::from(to - from + 1)) as u16;
        let filler = random.next();
        Plan {
            key,
            segments,
            mix: mix_index,
            encoding,
            length: length.min(encoding.characters_max(segments, mix.form)),
            source: random.next(),
            destination: random.next(),
            filler: (filler % (FILLER_LENGTH - TEXT_MAX) as u64) as u16,
        }
    }

    /// Writes one part as a whole submit_sm (SMPP 3.4 §4.4.1) with sequence number 0; returns its fingerprint.
    /// Nothing is allocated once `out` has grown to the largest message.
    pub fn compose(&self, plan: &Plan, segment: u8, out: &mut Vec<u8>) -> u64 {
        let mix = &self.bodies[usize::from(plan.mix)];
        let key = MessageKey { segment, ..plan.key };
        let part = Part { plan, mix, key, filler: &self.fillers[plan.encoding as usize] };
        part.compose(self.registered_delivery(plan.key.account), out)
    }

    /// registered_delivery of every message of an account.
    pub fn registered_delivery(&self, account: u16) -> u8 {
        u8::from(self.receipts[usize::from(account)])
    }
}

struct Part<'a> {
    plan: &'a Plan,
    mix: &'a Mix,
    key: MessageKey,
    filler: &'a [u8],
}

impl Part<'_> {
    fn compose(&self, receipt: u8, out: &mut Vec<u8>) -> u64 {
        let (plan, mix) = (self.plan, self.mix);
        let esm_class = if plan.segments > 1 { ESM_CLASS_UDHI } else { 0 };
        out.clear();
        out.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]);
        c_octets(mix.service_type.as_bytes(), out);
        let (source, source_at) = address(&mix.sources, plan.source, out);
        let (destination, destination_at) = address(&mix.destinations, plan.destination, out);
        out.extend_from_slice(&[esm_class, mix.protocol_id, 0, 0]); // priority 0, no schedule
        c_octets(mix.validity_period.as_bytes(), out);
        out.extend_from_slice(&[receipt, 0, plan.encoding.data_coding(), 0, 0]);
        let text_at = out.len();
        self.text(out);
        let text_end = out.len();
        out[text_at - 1] = (text_end - text_at) as u8;
        out.extend_from_slice(&mix.tlvs);
        let length = out.len() as u32;
        out[..4].copy_from_slice(&length.to_be_bytes());
        ledger::fingerprint(&SubmitSm {
            service_type: mix.service_type.as_bytes(),
            source: view(source, &out[source_at..]),
            destination: view(destination, &out[destination_at..]),
            esm_class: EsmClass(esm_class),
            protocol_id: mix.protocol_id,
            priority_flag: 0,
            schedule_delivery_time: b"",
            validity_period: mix.validity_period.as_bytes(),
            registered_delivery: RegisteredDelivery(receipt),
            replace_if_present_flag: 0,
            data_coding: DataCoding(plan.encoding.data_coding()),
            sm_default_msg_id: 0,
            short_message: &out[text_at..text_end],
            tlvs: Tlvs::new(&out[text_end..]),
        })
    }

    /// User data header, key, filler.
    fn text(&self, out: &mut Vec<u8>) {
        let Plan { segments, encoding, .. } = *self.plan;
        let reference = self.key.sequence as u16;
        let [high, low] = reference.to_be_bytes();
        match (segments > 1, self.mix.form) {
            (false, _) => {}
            (true, Form::Udh8) => out.extend_from_slice(&[5, 0, 3, low, segments, self.key.segment + 1]),
            (true, Form::Udh16) => {
                out.extend_from_slice(&[6, 8, 4, high, low, segments, self.key.segment + 1])
            }
        }
        let mut key = [0; MessageKey::TEXT_LENGTH];
        self.key.write(&mut key);
        let last = self.key.segment + 1 == segments;
        let length = if last { self.plan.length } else { encoding.characters_max(segments, self.mix.form) };
        let rest = usize::from(length) - MessageKey::TEXT_LENGTH;
        let from = usize::from(self.plan.filler);
        if encoding == Encoding::Ucs2 {
            for octet in key {
                out.extend_from_slice(&[0, octet]);
            }
            out.extend_from_slice(&self.filler[from * 2..(from + rest) * 2]);
        } else {
            out.extend_from_slice(&key);
            out.extend_from_slice(&self.filler[from..from + rest]);
        }
    }
}

/// The ledger's [`addresses`](ledger::addresses) of a submit_sm that [`Corpus::compose`] wrote.
pub fn addresses_of(pdu: &[u8]) -> u64 {
    let mut rest = pdu.get(16..).unwrap_or_default();
    let mut next = |skip: usize| {
        rest = rest.get(skip..).unwrap_or_default();
        let end = rest.iter().position(|octet| *octet == 0).unwrap_or(rest.len());
        let (text, behind) = rest.split_at(end);
        rest = behind.get(1..).unwrap_or_default();
        text
    };
    next(0); // service_type
    let (source, destination) = (next(2), next(2)); // behind ton and npi
    ledger::addresses_of(source, destination)
}

/// Appends a C-octet string.
fn c_octets(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(text);
    out.push(0);
}

/// Appends an address drawn from the patterns; returns its pattern and where its digits stand.
fn address<'a>(patterns: &'a [Pattern], random: u64, out: &mut Vec<u8>) -> (&'a Pattern, usize) {
    let pattern = &patterns[(random % patterns.len() as u64) as usize];
    let mut digits = random / patterns.len() as u64;
    out.extend_from_slice(&[pattern.ton, pattern.npi]);
    let at = out.len();
    for &character in &pattern.text {
        if character == b'#' {
            out.push(b'0' + (digits % 10) as u8);
            digits /= 10;
        } else {
            out.push(character);
        }
    }
    out.push(0);
    (pattern, at)
}

fn view<'a>(pattern: &Pattern, digits: &'a [u8]) -> Address<'a> {
    Address { ton: Ton(pattern.ton), npi: Npi(pattern.npi), digits: &digits[..pattern.text.len()] }
}

/// Characters of `words` in a seeded order, as octets (one or two a character, as the words are written).
fn filler(seed: u64, words: &[&[u8]]) -> Vec<u8> {
    let mut random = SplitMix::new(seed ^ PURPOSE_FILLER);
    let mut out = Vec::new();
    while out.len() < FILLER_LENGTH * 2 {
        out.extend_from_slice(words[(random.next() % words.len() as u64) as usize]);
    }
    out
}

const ESM_CLASS_UDHI: u8 = 0x40;
const PURPOSE_ACCOUNT: u64 = 0x6163_636F;
const PURPOSE_CONTENT: u64 = 0x636F_6E74;
const PURPOSE_FILLER: u64 = 0x6669_6C6C;

/// Characters of filler from which each message takes a stretch; enough that neighbours differ.
const FILLER_LENGTH: usize = 4096;

/// Longest text of a part in characters.
const TEXT_MAX: usize = 160;

/// Octets that a careless recoding would change stand in each list: `@` is 0x00 in GSM 7-bit, `_` is 0x11.
const GSM7_WORDS: &[&[u8]] = &[
    b"Your code is ",
    b"\x00home ",
    b"\x11under\x11 ",
    b"7\x05ves ",
    b"please call ",
    b"\x01 5 ",
    b"Stra\x1Ee ",
];
const LATIN1_WORDS: &[&[u8]] =
    &[b"votre code ", b"d\xE9j\xE0 vu ", b"\xA3 20 ", b"ma\xF1ana ", b"f\xFCr Sie ", b"na\xEFve "];
const UCS2_WORDS: &[&[u8]] = &[
    b"\0K\0o\0d\0 ",
    b"\x04\x1F\x04\x40\x04\x38\x04\x32\x04\x35\x04\x42\0 ",
    b"\x4F\x60\x59\x7D\0 ",
    b"\x20\xAC\0 \x002\x000\0 ",
    b"\x03\xB1\x03\xB2\x03\xB3\0 ",
];

#[cfg(test)]
mod tests {
    use super::*;
    use smpp::dialect::Dialect;
    use smpp::pdu::Pdu;
    use smpp::wire::Deframer;

    fn scenario(seed: u64, body: &str) -> Scenario {
        let text = format!(
            r####"
            run = {{ name = "t", seed = {seed} }}
            target = {{ address = "127.0.0.1:2775" }}
            account = [
                {{ name = "a", system_id = "a", binds = {{ trx = 1 }} }},
                {{ name = "b", system_id = "b", binds = {{ trx = 1 }} }},
            ]
            mix = [
                {{ account = "a", share = 20, body = {body}, source = ["Example", "1202555####"], tlvs = ["1401:0a0b"] }},
                {{ account = "b", share = 80 }},
            ]
            phase = [{{ name = "p", rate = 1, for = "1s" }}]
            "####
        );
        Scenario::parse(&text).unwrap()
    }

    const ALL: &str = r#"{ encoding = { gsm7 = 1, latin1 = 1, ucs2 = 1 }, segments = { "1" = 1, "3" = 1 }, length = { uniform = [24, 160] } }"#;

    #[test]
    fn the_same_seed_makes_the_same_messages() {
        let all = |seed| {
            let corpus = Corpus::new(&scenario(seed, ALL));
            let mut out = Vec::new();
            let mut bytes = Vec::new();
            for sequence in 0..200 {
                let plan = corpus.plan(0, sequence);
                for segment in 0..plan.segments {
                    corpus.compose(&plan, segment, &mut out);
                    bytes.extend_from_slice(&out);
                }
            }
            (bytes, (0..1000).map(|index| corpus.account(index)).collect::<Vec<_>>())
        };
        assert_eq!(all(1), all(1));
        assert_ne!(all(1).0, all(2).0);
        assert_ne!(all(1).1, all(2).1);
    }

    #[test]
    fn shares_are_kept() {
        let corpus = Corpus::new(&scenario(3, ALL));
        let of_a = (0..100_000).filter(|&index| corpus.account(index) == 0).count();
        assert!(of_a.abs_diff(20_000) < 600, "{of_a}");
        assert!(corpus.sends(0) && !corpus.sends(9));
    }

    /// Every message decodes strictly, carries its key, and has the fingerprint that was told.
    #[test]
    fn messages_are_legal_and_carry_their_key() {
        for form in ["udh8", "udh16"] {
            let body = ALL.replace("{ encoding", &format!("{{ form = \"{form}\", encoding"));
            let corpus = Corpus::new(&scenario(5, &body));
            let mut out = Vec::new();
            for sequence in 0..500 {
                let plan = corpus.plan(0, sequence);
                for segment in 0..plan.segments {
                    let fingerprint = corpus.compose(&plan, segment, &mut out);
                    let mut deframer = Deframer::new(4096);
                    let mut cursor = 0;
                    let frame = deframer.next(&out, &mut cursor).unwrap().unwrap();
                    let Ok(Pdu::SubmitSm(pdu)) = Pdu::decode(frame, &Dialect::default()) else {
                        panic!("{out:x?}")
                    };
                    let payload = pdu.payload();
                    let key = MessageKey::find(payload, pdu.esm_class.0, pdu.data_coding.0).unwrap();
                    assert_eq!(key, MessageKey { segment, ..plan.key });
                    assert_eq!(ledger::fingerprint(&pdu), fingerprint);
                    assert_eq!(addresses_of(&out), ledger::addresses(&pdu));
                    assert!(payload.len() <= 160, "{}", payload.len());
                    assert!(pdu.data_coding.0 == 0 || payload.len() <= 140);
                    assert_eq!(pdu.registered_delivery.0, 1);
                }
            }
        }
    }
}
