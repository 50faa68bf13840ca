//! Receipts and acceptances that fit no message by themselves, compared with what other messages miss.

use std::collections::{BTreeMap, HashMap};

use ledger::{MessageKey, ReceiptField, Record, handset_of};

use super::case::{Case, Court, Open, differences};
use super::ids::Received;
use super::offence::{Class, Finding, Findings};

/// Cases that are not closed yet.
pub(super) struct Strays<'a> {
    court: &'a Court<'a>,
    cases: BTreeMap<MessageKey, (Case, Open)>,
    /// Receipts by what they say.
    by_digest: HashMap<u64, Vec<MessageKey>>,
    /// Handsets of acceptances without a key, each with the receipts it may still explain.
    unkeyed: HashMap<u16, u64>,
}

impl<'a> Strays<'a> {
    pub(super) fn new(court: &'a Court<'a>, cases: BTreeMap<MessageKey, (Case, Open)>) -> Strays<'a> {
        let mut by_digest: HashMap<u64, Vec<MessageKey>> = HashMap::new();
        for (key, (_, open)) in &cases {
            for sent in &open.sent {
                by_digest.entry(sent.digest().mix(court.ignored)).or_default().push(*key);
            }
        }
        Strays { court, cases, by_digest, unkeyed: HashMap::new() }
    }

    /// Closes every case. `nameless` are receipts for ids that no answer named; `unkeyed` acceptances without a key.
    pub(super) fn close(
        mut self,
        nameless: &[Received],
        unkeyed: &[Record],
        findings: &mut Findings,
        explained: &mut u64,
    ) {
        for record in unkeyed.iter().filter(|record| record.detail & Record::RECEIPT_OWED != 0) {
            *self.unkeyed.entry(handset_of(record.extra)).or_default() += 1;
        }
        self.odd_receipts(findings);
        for receipt in nameless {
            self.nameless(receipt, findings, explained);
        }
        self.lost_messages(unkeyed, findings);
        self.missing_receipts(findings);
    }

    /// Receipts that name a message whose site did not send them so: another message's, or altered.
    fn odd_receipts(&mut self, findings: &mut Findings) {
        let odd: Vec<(MessageKey, Received)> =
            self.cases.iter().flat_map(|(key, (_, open))| open.odd.iter().map(|odd| (*key, *odd))).collect();
        for (key, receipt) in odd {
            if let Some(other) = self.whose(&receipt, |other| other != key && other.account == key.account) {
                self.found(other, &receipt);
                let text = format!("names this message, says what the receipt of {other} says");
                self.add(findings, Class::SwappedReceipt, Some(key), receipt.time_ns, text);
                continue;
            }
            let ignored = self.court.ignored;
            let Some((case, open)) = self.cases.get_mut(&key) else { continue };
            let differing = |sent: &Record| differences(&sent.digest(), &receipt.digest, ignored);
            match open.sent.iter().min_by_key(|sent| differing(sent).len()) {
                Some(nearest) => {
                    let nearest = *nearest;
                    let text =
                        format!("differs from what the site sent in {}", differing(&nearest).join(", "));
                    open.missing.retain(|(missing, _)| missing.digest() != nearest.digest());
                    findings.add(case.finding(
                        Class::AlteredReceipt,
                        receipt.time_ns,
                        Some(nearest.party),
                        text,
                    ));
                }
                None if explained_by(&mut self.unkeyed, &receipt) => {}
                None => {
                    let text = "for a message that no site has sent a receipt for".into();
                    findings.add(case.finding(Class::UnknownReceipt, receipt.time_ns, None, text));
                }
            }
        }
    }

    /// A receipt for an id that no answer named.
    fn nameless(&mut self, receipt: &Received, findings: &mut Findings, explained: &mut u64) {
        let account = receipt.party;
        // The account was not told the id: no answer came, or one that named another copy. Digests are short, so that
        // other messages may say the same: who still misses it comes first.
        let is_untold = |key: MessageKey| {
            key.account == account && self.cases.get(&key).is_some_and(|(_, open)| open.id_unknown)
        };
        if let Some(key) = self.missed_by(receipt, is_untold).or_else(|| self.whose(receipt, is_untold)) {
            self.found(key, receipt);
            *explained += 1;
            return;
        }
        if let Some(key) = self.missed_by(receipt, |key| key.account == account) {
            self.found(key, receipt);
            let text = "its message id differs from the answer's".to_owned();
            return self.add(findings, Class::AlteredReceipt, Some(key), receipt.time_ns, text);
        }
        if let Some(key) = self.missed_by(receipt, |key| key.account != account) {
            self.found(key, receipt);
            let text = format!("received by {} under another id", self.court.account(account));
            return self.add(findings, Class::MisroutedReceipt, Some(key), receipt.time_ns, text);
        }
        if explained_by(&mut self.unkeyed, receipt) {
            return;
        }
        // Without simulators the handset is all there is to tell whose it is.
        if !self.court.with_sites && self.explained_by_handset(receipt) {
            *explained += 1;
            return;
        }
        let text = format!("received by {}, id hash {:016x}", self.court.account(account), receipt.id);
        self.add(findings, Class::UnknownReceipt, None, receipt.time_ns, text);
    }

    /// Messages that were answered 0 and that no site has: their key was altered, or they are lost. What is left of the
    /// acceptances without a key was never sent.
    fn lost_messages(&mut self, unkeyed: &[Record], findings: &mut Findings) {
        let mut by_addresses: HashMap<u64, Vec<&Record>> = HashMap::new();
        for record in unkeyed.iter().rev() {
            by_addresses.entry(record.extra).or_default().push(record);
        }
        for (case, open) in self.cases.values_mut() {
            let Some(addresses) = open.lost else { continue };
            let Some(answered) = case.of(ledger::Kind::Answered).next() else { continue };
            match by_addresses.get_mut(&addresses).and_then(Vec::pop) {
                Some(record) => {
                    let text = "its key was altered on the way".into();
                    findings.add(case.finding(Class::Altered, record.time_ns, Some(record.party), text));
                }
                None => {
                    let text = "answered 0, accepted by no site".into();
                    findings.add(case.finding(Class::Lost, answered.time_ns, None, text));
                }
            }
        }
        let left = unkeyed
            .iter()
            .filter(|record| by_addresses.get(&record.extra).is_some_and(|left| left.contains(record)));
        for record in left {
            let text = "a message without a key was accepted".into();
            findings.add(Finding {
                class: Class::Phantom,
                key: None,
                time_ns: record.time_ns,
                site: Some(record.party),
                text,
            });
        }
    }

    fn missing_receipts(&mut self, findings: &mut Findings) {
        for (case, open) in self.cases.values() {
            for (sent, acknowledged) in &open.missing {
                let account = self.court.account(case.key.account);
                if *acknowledged && case.answered_ok() {
                    let text = format!("acknowledged to the site, never received by {account}");
                    findings.add(case.finding(Class::LostReceipt, sent.time_ns, Some(sent.party), text));
                } else if !*acknowledged && self.court.rules.drained && case.answered_ok() {
                    let text = format!("the target never took it for {account}");
                    findings.add(case.finding(Class::UntakenReceipt, sent.time_ns, Some(sent.party), text));
                }
            }
        }
    }

    /// The message, among those allowed, whose receipt says this.
    fn whose(&self, receipt: &Received, is_allowed: impl Fn(MessageKey) -> bool) -> Option<MessageKey> {
        let keys = self.by_digest.get(&receipt.digest.mix(self.court.ignored))?;
        keys.iter().copied().find(|key| is_allowed(*key))
    }

    /// The same, among those that miss it.
    fn missed_by(&self, receipt: &Received, is_allowed: impl Fn(MessageKey) -> bool) -> Option<MessageKey> {
        let mix = receipt.digest.mix(self.court.ignored);
        let misses = |key: MessageKey| {
            let open = self.cases.get(&key).map(|(_, open)| open);
            open.is_some_and(|open| {
                open.missing.iter().any(|(sent, _)| sent.digest().mix(self.court.ignored) == mix)
            })
        };
        self.whose(receipt, |key| is_allowed(key) && misses(key))
    }

    fn explained_by_handset(&self, receipt: &Received) -> bool {
        let source = receipt.digest.field(ReceiptField::Source);
        self.cases.values().any(|(case, _)| {
            let sent = case.of(ledger::Kind::Sent).last();
            case.key.account == receipt.party
                && !case.answered_ok()
                && sent.is_some_and(|sent| handset_of(sent.extra) == source)
        })
    }

    /// The receipt of this message came, in whatever way.
    fn found(&mut self, key: MessageKey, receipt: &Received) {
        let ignored = self.court.ignored;
        if let Some((_, open)) = self.cases.get_mut(&key) {
            let mix = receipt.digest.mix(ignored);
            open.missing.retain(|(sent, _)| sent.digest().mix(ignored) != mix);
        }
    }

    fn add(
        &self,
        findings: &mut Findings,
        class: Class,
        key: Option<MessageKey>,
        time_ns: u64,
        text: String,
    ) {
        findings.add(Finding { class, key, time_ns, site: None, text });
    }
}

/// The receipt of a message that a site accepted without a key; what is wrong with that message is said elsewhere.
fn explained_by(unkeyed: &mut HashMap<u16, u64>, receipt: &Received) -> bool {
    let left = unkeyed.get_mut(&receipt.digest.field(ReceiptField::Source)).filter(|left| **left > 0);
    left.map(|left| *left -= 1).is_some()
}
