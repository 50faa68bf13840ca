//! Judges one suspect message by its whole story. Pure: records in, findings out.

use std::collections::HashMap;

use ledger::{Kind, MessageKey, ReceiptDigest, Record};

use super::Excused;
use super::ids::Received;
use super::offence::{Class, Finding, Findings};
use super::rules::Rules;

/// When sessions ended.
#[derive(Default)]
pub(super) struct Ends {
    /// Sessions of loadgen that broke.
    pub(super) of_load: HashMap<u32, u64>,
    /// Sessions of sites, however they ended.
    pub(super) of_sites: HashMap<(u16, u32), u64>,
}

impl Ends {
    /// The session broke within a second of the receipt: its acknowledgement may not have arrived.
    fn may_have_lost(&self, receipt: &Received) -> bool {
        self.broke_after(receipt.link, receipt.time_ns)
    }

    /// A session of loadgen broke within a second of this.
    pub(super) fn broke_after(&self, link: u32, time_ns: u64) -> bool {
        self.of_load.get(&link).is_some_and(|end| *end >= time_ns && end - time_ns < RECENT_NS)
    }

    /// A session of a site ended after this, and before the run did.
    pub(super) fn ended_before(&self, record: &Record, end_ns: u64) -> bool {
        self.of_sites.get(&(record.party, record.link)).is_some_and(|end| *end < end_ns)
    }

    /// A session of a site ended after this.
    pub(super) fn ended_after(&self, record: &Record) -> bool {
        self.of_sites.get(&(record.party, record.link)).is_some_and(|end| *end >= record.time_ns)
    }
}

/// What every case is judged by.
pub(super) struct Court<'a> {
    pub(super) rules: &'a Rules,
    pub(super) ignored: u16,
    pub(super) ends: &'a Ends,
    pub(super) accounts: &'a [String],
    pub(super) with_sites: bool,
}

/// One message with everything that happened to it.
pub(super) struct Case {
    pub(super) key: MessageKey,
    /// In the order of time.
    pub(super) records: Vec<Record>,
    /// Responses beyond the one that was waited for.
    pub(super) again: Vec<Record>,
    /// Receipts that name it, at any account.
    pub(super) receipts: Vec<Received>,
}

/// What a case leaves to be compared with other cases.
#[derive(Default)]
pub(super) struct Open {
    /// Receipts that its site sent and that did not come: the record, and whether it was acknowledged.
    pub(super) missing: Vec<(Record, bool)>,
    /// Receipts that came to its account and that its site did not send so.
    pub(super) odd: Vec<Received>,
    /// All its site sent.
    pub(super) sent: Vec<Record>,
    /// Its account cannot know the id of (one of) its copies.
    pub(super) id_unknown: bool,
    /// Accepted nowhere although answered 0; with the addresses.
    pub(super) lost: Option<u64>,
}

impl Court<'_> {
    /// Judges what can be judged by this case alone.
    pub(super) fn judge(&self, case: &Case, findings: &mut Findings, excused: &mut Excused) -> Open {
        let mut open = Open::default();
        self.answers(case, findings, excused);
        if self.with_sites {
            self.acceptances(case, findings, excused, &mut open);
            self.receipts(case, findings, excused, &mut open);
        } else {
            self.receipts_alone(case, findings, excused);
        }
        open
    }

    /// How the target answered.
    fn answers(&self, case: &Case, findings: &mut Findings, excused: &mut Excused) {
        let answered = case.first(Kind::Answered);
        let sent_ns = case.first(Kind::Sent).map_or(0, |record| record.time_ns);
        let mut add =
            |class, record: &Record, text| findings.add(case.finding(class, record.time_ns, None, text));
        match (answered, case.first(Kind::Unanswered), case.last(Kind::Abandoned)) {
            (Some(_), ..) => {}
            (None, Some(unanswered), _) => {
                let waited = seconds(unanswered.time_ns.saturating_sub(sent_ns));
                let late = case.again.first().map_or(String::new(), |again| {
                    format!("; answered after {}", seconds(again.time_ns.saturating_sub(sent_ns)))
                });
                add(
                    Class::Unanswered,
                    unanswered,
                    format!("no answer after {waited} on a session that lived{late}"),
                );
            }
            (None, None, Some(abandoned)) if abandoned.state == 1 => {
                add(Class::Unanswered, abandoned, "the target unbound while it owed the answer".into());
            }
            (None, None, Some(abandoned)) => {
                let recent = abandoned.time_ns.saturating_sub(sent_ns) < RECENT_NS;
                excused.unanswered_recent += u64::from(recent);
                excused.unanswered_old += u64::from(!recent);
            }
            (None, None, None) => {}
        }
        if answered.is_some() {
            for again in &case.again {
                let text = format!("answered again with status {:#x}", again.status);
                add(Class::AnsweredTwice, again, text);
            }
        }
    }

    /// What sites took.
    fn acceptances(&self, case: &Case, findings: &mut Findings, excused: &mut Excused, open: &mut Open) {
        let accepted: Vec<&Record> = case.of(Kind::Accepted).collect();
        let Some(sent) = case.last(Kind::Sent) else {
            if let Some(first) = accepted.first() {
                let text = format!("accepted {} times, never sent", accepted.len());
                findings.add(case.finding(Class::Phantom, first.time_ns, Some(first.party), text));
                // Its receipts follow from it.
                open.id_unknown = true;
            }
            return;
        };
        let answered = case.first(Kind::Answered);
        let status = answered.map(|record| record.status);
        if accepted.is_empty() {
            if status == Some(0) {
                open.lost = Some(sent.extra);
            }
            return;
        }
        open.id_unknown = status != Some(0) || accepted.len() > 1;
        let doubt = |accepted: &Record| {
            case.of(Kind::LostResponse)
                .find(|doubt| doubt.id_hash == accepted.id_hash && doubt.party == accepted.party)
        };
        if let Some(status) = status.filter(|status| *status != 0 && *status != self.rules.unknown_status) {
            if accepted.iter().all(|accepted| doubt(accepted).is_some()) {
                excused.add(doubt(accepted[0]).map_or(0, |doubt| doubt.detail));
            } else {
                let (at, text) =
                    (accepted[0], format!("answered with status {status:#x}, accepted by a site"));
                findings.add(case.finding(Class::RefusedButAccepted, at.time_ns, Some(at.party), text));
            }
        }
        self.copies(case, &accepted, doubt, findings, excused);
        if let Some(altered) = accepted.iter().find(|accepted| accepted.fingerprint != sent.fingerprint) {
            let text = "accepted with another content than sent".into();
            findings.add(case.finding(Class::Altered, altered.time_ns, Some(altered.party), text));
        } else if let Some(altered) = accepted.iter().find(|accepted| accepted.state != sent.state) {
            // A target may want receipts of its own accord; it may not keep them from who asked.
            if sent.state != 0 || !case.receipts.is_empty() {
                let text = format!("registered_delivery {} sent, {} at the site", sent.state, altered.state);
                let (time_ns, site) = (altered.time_ns, Some(altered.party));
                findings.add(case.finding(Class::ReceiptRequestAltered, time_ns, site, text));
            }
        }
    }

    /// Each acceptance after the first needs an excuse of an earlier one: its answer did not leave, or left less than a
    /// second before its connection broke; and loadgen had no answer yet, so the target could not know.
    fn copies<'r>(
        &self,
        case: &'r Case,
        accepted: &[&Record],
        doubt: impl Fn(&Record) -> Option<&'r Record>,
        findings: &mut Findings,
        excused: &mut Excused,
    ) {
        let answered_ns = case.first(Kind::Answered).map_or(u64::MAX, |record| record.time_ns);
        for (earlier, copy) in accepted.iter().zip(accepted.iter().skip(1)) {
            match doubt(earlier) {
                Some(doubt) if copy.time_ns <= answered_ns => excused.add(doubt.detail),
                Some(_) => {
                    let text = "accepted again after loadgen had its answer".to_owned();
                    findings.add(case.finding(Class::Duplicated, copy.time_ns, Some(copy.party), text));
                }
                None => {
                    let text = format!("accepted {} times, the answer to the first left", accepted.len());
                    findings.add(case.finding(Class::Duplicated, copy.time_ns, Some(copy.party), text));
                }
            }
        }
    }

    /// What became of receipts, by what the site sent.
    fn receipts(&self, case: &Case, findings: &mut Findings, excused: &mut Excused, open: &mut Open) {
        let sent: Vec<Record> = case.of(Kind::ReceiptSent).copied().collect();
        let (own, elsewhere): (Vec<&Received>, Vec<&Received>) =
            case.receipts.iter().partition(|receipt| receipt.party == case.key.account);
        for receipt in &elsewhere {
            let (owner, receiver) = (self.account(case.key.account), self.account(receipt.party));
            let text = format!("of {owner}, received by {receiver}");
            findings.add(case.finding(Class::MisroutedReceipt, receipt.time_ns, None, text));
        }
        if case.of(Kind::Accepted).nth(1).is_some() {
            // Of several copies each has a receipt, and the account knows one id at most.
            if case.receipts.is_empty() && case.answered_ok() {
                open.missing.extend(sent.first().map(|first| (*first, case.acknowledged(first))));
            }
            open.sent = sent;
            return;
        }
        let mut heard: HashMap<u8, Vec<&Received>> = HashMap::new();
        for receipt in &own {
            let mix = receipt.digest.mix(self.ignored);
            if receipt.ids_differ {
                let text = "TLV and text name different ids".into();
                findings.add(case.finding(Class::AlteredReceipt, receipt.time_ns, None, text));
            }
            if sent.iter().any(|sent| sent.digest().mix(self.ignored) == mix) || receipt.ids_differ {
                heard.entry(receipt.digest.message_state()).or_default().push(receipt);
            } else {
                open.odd.push(**receipt);
            }
        }
        let mut states: Vec<u8> = sent.iter().map(|sent| sent.digest().message_state()).collect();
        states.sort_unstable();
        states.dedup();
        for state in states {
            let of_state: Vec<&Record> =
                sent.iter().filter(|sent| sent.digest().message_state() == state).collect();
            let heard = heard.get(&state).map_or(&[][..], Vec::as_slice);
            match heard.len() {
                0 if elsewhere.iter().any(|receipt| receipt.digest.message_state() == state) => {}
                0 => open.missing.push((*of_state[0], case.acknowledged(of_state[0]))),
                _ => {
                    self.receipt_copies(case, &of_state, heard, findings, excused);
                    self.receipt_refused(case, &of_state, findings);
                }
            }
        }
        open.sent = sent;
    }

    /// A copy is due for each attempt of the site that was acknowledged, or whose session ended before it could be; and
    /// one may come for each session of loadgen that ended within a second of a receipt.
    fn receipt_copies(
        &self,
        case: &Case,
        sent: &[&Record],
        heard: &[&Received],
        findings: &mut Findings,
        excused: &mut Excused,
    ) {
        let acknowledged = case.acknowledgements(sent[0]);
        let unanswered = sent.len().saturating_sub(acknowledged);
        let excused_by_site = unanswered.min(sent.iter().filter(|sent| self.ends.ended_after(sent)).count());
        let excused_by_load = heard.iter().filter(|receipt| self.ends.may_have_lost(receipt)).count();
        let due = acknowledged.max(1) + excused_by_site;
        let extra = heard.len().saturating_sub(due);
        excused.receipts += extra.min(excused_by_load) as u64;
        for receipt in heard.iter().rev().take(extra.saturating_sub(excused_by_load)) {
            let text = format!("sent {} times, received {} times", sent.len(), heard.len());
            findings.add(case.finding(Class::DuplicatedReceipt, receipt.time_ns, None, text));
        }
    }

    /// The account has it, and yet the site was told an error each time.
    fn receipt_refused(&self, case: &Case, sent: &[&Record], findings: &mut Findings) {
        let refused = case.of(Kind::ReceiptAcked).any(|ack| ack.status != 0);
        if refused && case.acknowledgements(sent[0]) == 0 && self.rules.drained {
            let text = "received by its account, refused to the site each time".into();
            findings.add(case.finding(Class::UntakenReceipt, sent[0].time_ns, Some(sent[0].party), text));
        }
    }

    /// What can be said of receipts without knowing what sites sent.
    fn receipts_alone(&self, case: &Case, findings: &mut Findings, excused: &mut Excused) {
        let Some(answered) = case.first(Kind::Answered).filter(|_| case.answered_ok()) else { return };
        let asked = case.last(Kind::Sent).is_some_and(|sent| sent.state & 3 == 1);
        if case.receipts.is_empty() && asked && self.rules.drained {
            let text = "asked for, none came".into();
            findings.add(case.finding(Class::MissingReceipt, answered.time_ns, None, text));
        }
        for receipt in &case.receipts {
            if receipt.party != case.key.account {
                let (owner, receiver) = (self.account(case.key.account), self.account(receipt.party));
                let text = format!("of {owner}, received by {receiver}");
                findings.add(case.finding(Class::MisroutedReceipt, receipt.time_ns, None, text));
            }
        }
        let lost_ack = case.receipts.iter().any(|receipt| self.ends.may_have_lost(receipt));
        let mut by_state: HashMap<u8, u64> = HashMap::new();
        for receipt in case.receipts.iter().filter(|receipt| receipt.party == case.key.account) {
            let count = by_state.entry(receipt.digest.message_state()).or_default();
            *count += 1;
            if *count > 1 && lost_ack {
                excused.receipts += 1;
            } else if *count > 1 {
                let text = format!("received {count} times");
                findings.add(case.finding(Class::DuplicatedReceipt, receipt.time_ns, None, text));
            }
        }
    }

    pub(super) fn account(&self, party: u16) -> String {
        self.accounts.get(usize::from(party)).cloned().unwrap_or_else(|| format!("account {party}"))
    }
}

impl Case {
    pub(super) fn finding(&self, class: Class, time_ns: u64, site: Option<u16>, text: String) -> Finding {
        Finding { class, key: Some(self.key), time_ns, site, text }
    }

    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.kind == kind)
    }

    fn first(&self, kind: Kind) -> Option<&Record> {
        self.of(kind).next()
    }

    fn last(&self, kind: Kind) -> Option<&Record> {
        self.of(kind).last()
    }

    pub(super) fn answered_ok(&self) -> bool {
        self.first(Kind::Answered).is_some_and(|record| record.status == 0)
    }

    fn acknowledged(&self, sent: &Record) -> bool {
        self.acknowledgements(sent) > 0
    }

    /// Acknowledgements with status 0 of receipts of this state.
    fn acknowledgements(&self, sent: &Record) -> usize {
        let state = sent.digest().message_state();
        let of_this = |ack: &&Record| ack.status == 0 && (ack.state == state || ack.state == 0);
        self.of(Kind::ReceiptAcked).filter(of_this).count()
    }
}

/// Names of the fields in which two receipts differ.
pub(super) fn differences(sent: &ReceiptDigest, received: &ReceiptDigest, ignored: u16) -> Vec<&'static str> {
    let mut names = Vec::new();
    if sent.state != received.state {
        names.push("message_state TLV");
    }
    if sent.stat != received.stat {
        names.push("stat");
    }
    for field in ledger::ReceiptField::ALL {
        if ignored & 1 << field as u16 == 0 && sent.field(field) != received.field(field) {
            names.push(field.name());
        }
    }
    names
}

pub(super) fn seconds(nanoseconds: u64) -> String {
    format!("{:.3} s", nanoseconds as f64 / 1e9)
}

/// What was said longer before a session's end than this has been read by any peer that lived.
pub(super) const RECENT_NS: u64 = 1_000_000_000;
