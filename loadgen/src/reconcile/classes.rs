//! Which offence each message committed, if any.

use std::collections::BTreeMap;

use ledger::MessageKey;

use super::table::{Entry, Table};
use super::{Reconciliation, Returned};

/// Judges everything in the table.
pub(super) fn classify(mut table: Table, parties: &[String], unknown_status: u32) -> Reconciliation {
    let mut judge = Judge { out: Reconciliation::default(), parties, unknown_status };
    judge.out.receipts = table.receipts;
    judge.out.accepted = table.accepted;
    judge.out.notes = table.all_notes();
    judge.out.begin_unix_ns = table.begin.unwrap_or_default();
    for (key, entry) in table.entries() {
        judge.message(key, entry);
        judge.receipts_of(key, entry);
    }
    judge.strays(&table);
    judge.mobile(&table);
    judge.out.sites = table.sites;
    judge.out
}

struct Judge<'a> {
    out: Reconciliation,
    parties: &'a [String],
    unknown_status: u32,
}

impl Judge<'_> {
    fn message(&mut self, key: MessageKey, entry: &Entry) {
        if !entry.sent && !entry.answered {
            if entry.accepted > 0 {
                self.out.phantom += 1;
                self.offend("phantom messages", key, || {
                    format!("accepted {} times, never sent", entry.accepted)
                });
            }
            return;
        }
        self.out.sent += 1;
        match (entry.answered, entry.status) {
            (false, _) => self.out.unanswered += 1,
            (true, 0) => self.out.delivered += 1,
            (true, status) if status == self.unknown_status => {
                self.out.unknown += 1;
                self.out.unknown_accepted += u64::from(entry.accepted > 0);
            }
            (true, _) => {
                self.out.refused += 1;
                self.out.refused_but_accepted += u64::from(entry.accepted > 0);
            }
        }
        if entry.answered && entry.status == 0 && entry.accepted == 0 {
            self.out.lost += 1;
            let account = self.party(entry.party);
            self.offend("lost messages", key, || format!("answered 0 to {account}, accepted by no site"));
        }
        let extra = u64::from(entry.accepted.saturating_sub(1));
        let explained = extra.min(u64::from(entry.lost_responses));
        self.out.ambiguous += explained;
        if extra > explained {
            self.out.duplicated += extra - explained;
            self.offend("duplicated messages", key, || {
                format!("accepted {} times, {} answers did not leave", entry.accepted, entry.lost_responses)
            });
        }
        if entry.altered {
            self.out.altered += 1;
            self.offend("altered messages", key, || "accepted with another fingerprint than sent".into());
        }
    }

    fn receipts_of(&mut self, key: MessageKey, entry: &Entry) {
        let missing = (entry.states_acknowledged & !entry.states_received).count_ones();
        let strange = (entry.states_received & !entry.states_sent).count_ones();
        let owned = entry.answered && entry.status == 0;
        let altered = if entry.receipts_sent > 0 { strange.min(missing.max(1)) } else { 0 };
        let lost = if owned { missing.saturating_sub(altered) } else { 0 };
        let twice = entry.receipts_received.saturating_sub(entry.receipts_sent.max(1));
        self.out.receipts.altered += u64::from(altered);
        self.out.receipts.lost += u64::from(lost);
        self.out.receipts.duplicated += u64::from(twice);
        if altered > 0 {
            self.offend("altered receipts", key, || {
                format!(
                    "states {} sent, {} received",
                    states(entry.states_sent),
                    states(entry.states_received)
                )
            });
        }
        if lost > 0 {
            let account = self.party(entry.party);
            self.offend("lost receipts", key, || {
                format!("acknowledged to the site, never received by {account}")
            });
        }
        if twice > 0 {
            self.offend("duplicated receipts", key, || {
                format!("{} sent, {} received", entry.receipts_sent, entry.receipts_received)
            });
        }
    }

    /// Receipts that found no message of their account.
    fn strays(&mut self, table: &Table) {
        self.out.receipts.misrouted = table.misrouted_receipts.len() as u64;
        for (key, party) in table.misrouted_receipts.iter().take(OFFENDERS_MAX) {
            let (owner, receiver) = (self.party(key.account), self.party(*party));
            self.offend("misrouted receipts", *key, || format!("of {owner}, received by {receiver}"));
        }
        self.out.receipts.unknown = table.unknown_receipts.len() as u64;
        let named = table.unknown_receipts.iter().take(OFFENDERS_MAX).map(|receipt| {
            let account = self.party(receipt.party);
            format!("received by {account} at unix time {} ns, id hash {:016x}", receipt.time_ns, receipt.id)
        });
        let named: Vec<String> = named.collect();
        if !named.is_empty() {
            self.out.offenders.insert("receipts for unknown ids".into(), named);
        }
    }

    fn mobile(&mut self, table: &Table) {
        let mut out = Returned::default();
        let sorted: BTreeMap<_, _> = table.mobile.iter().collect();
        for (key, mobile) in sorted {
            out.sent += u64::from(mobile.sent);
            out.acknowledged += u64::from(mobile.acknowledged);
            out.received += u64::from(mobile.received);
            let known = !table.sites.is_empty();
            let mut offence = |bad: bool, count: &mut u64, class: &str, text: &str| {
                if bad {
                    *count += 1;
                    self.offend(class, *key, || text.into());
                }
            };
            let lost = mobile.acknowledged > 0 && mobile.received == 0;
            offence(lost, &mut out.lost, "lost MO", "acknowledged to the site, never received");
            let twice = mobile.received > mobile.sent.max(1);
            offence(twice, &mut out.duplicated, "duplicated MO", "received more often than sent");
            offence(
                mobile.elsewhere,
                &mut out.misrouted,
                "misrouted MO",
                "its number belongs to another account",
            );
            offence(
                mobile.altered(),
                &mut out.altered,
                "altered MO",
                "received with another fingerprint than sent",
            );
            let unknown = known && mobile.sent == 0;
            offence(unknown, &mut out.unknown, "unknown MO", "received, never sent");
        }
        self.out.mo = out;
    }

    fn offend(&mut self, class: &str, key: MessageKey, what: impl FnOnce() -> String) {
        if !self.out.offenders.contains_key(class) {
            self.out.offenders.insert(class.to_owned(), Vec::new());
        }
        let Some(named) = self.out.offenders.get_mut(class) else { return };
        if named.len() < OFFENDERS_MAX {
            let mut text = [0; MessageKey::TEXT_LENGTH];
            key.write(&mut text);
            named.push(format!("{key} {}: {}", String::from_utf8_lossy(&text), what()));
        }
    }

    fn party(&self, party: u16) -> String {
        self.parties.get(usize::from(party)).cloned().unwrap_or_else(|| format!("account {party}"))
    }
}

fn states(bits: u16) -> String {
    let named: Vec<String> = (0..16).filter(|bit| bits & 1 << bit != 0).map(|bit| bit.to_string()).collect();
    if named.is_empty() { "none".into() } else { named.join("+") }
}

/// Offenders named in each class; the rest is counted.
const OFFENDERS_MAX: usize = 20;
