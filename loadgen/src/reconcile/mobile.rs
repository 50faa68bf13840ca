//! Messages from handsets.

use ledger::{Kind, Record};

use super::Returned;
use super::case::{Ends, RECENT_NS};
use super::offence::{Class, Finding, Findings};
use super::table::Table;

/// Judges every MO; `end` forgives what a site sent in the run's last second.
pub(super) fn judge(table: &Table, ends: &Ends, findings: &mut Findings) -> Returned {
    let mut out = Returned::default();
    let with_sites = !table.sites.is_empty();
    let mut unkeyed: Vec<&Record> = table.mobile_unkeyed.iter().collect();
    for (key, records) in &table.mobile {
        let of = |kind: Kind| records.iter().filter(move |record| record.kind == kind);
        let acknowledged = of(Kind::MoAcked).filter(|record| record.status == 0).count();
        let (sent, received) = (of(Kind::MoSent).count(), of(Kind::MoReceived).count());
        let first = records.first().map_or(0, |record| record.time_ns);
        let during_run = |record: &Record| {
            (table.span.0..table.span.1.saturating_sub(RECENT_NS)).contains(&record.time_ns)
        };
        if received == 0 && !records.iter().any(during_run) {
            continue;
        }
        out.sent += sent as u64;
        out.acknowledged += acknowledged as u64;
        out.received += received as u64;
        let site = of(Kind::MoSent).next().map(|record| record.party);
        let mut offend = |class, text: &str| {
            findings.add(Finding { class, key: Some(*key), time_ns: first, site, text: text.into() })
        };
        let fingerprint = of(Kind::MoSent).next().map(|record| record.fingerprint);
        if received == 0 && acknowledged > 0 {
            let addresses = of(Kind::MoSent).next().map(|record| record.extra);
            match unkeyed.iter().position(|record| Some(record.extra) == addresses) {
                Some(at) => {
                    unkeyed.swap_remove(at);
                    out.received += 1;
                    offend(Class::AlteredMo, "its key was altered on the way");
                }
                None => offend(Class::LostMo, "acknowledged to the site, never received"),
            }
        } else if received == 0 && is_ignored(records, ends, table) {
            offend(Class::UntakenMo, "sent on a session that lived, never answered");
        } else if with_sites && sent == 0 {
            offend(Class::UnknownMo, "received, never sent");
        } else if of(Kind::MoReceived).any(|record| record.state == Record::MO_ELSEWHERE) {
            offend(Class::MisroutedMo, "its number belongs to another account");
        } else if fingerprint
            .is_some_and(|sent| of(Kind::MoReceived).any(|record| record.fingerprint != sent))
        {
            offend(Class::AlteredMo, "received with another content than sent");
        } else if received > due(records, ends, acknowledged) {
            offend(Class::DuplicatedMo, "received more often than sent");
        }
    }
    for record in unkeyed {
        out.received += 1;
        if with_sites {
            let text = "received without a key, never sent".into();
            findings.add(Finding {
                class: Class::UnknownMo,
                key: None,
                time_ns: record.time_ns,
                site: None,
                text,
            });
        }
    }
    out
}

/// Nothing was said of it, although there was time and no session ended.
fn is_ignored(records: &[Record], ends: &Ends, table: &Table) -> bool {
    let mut sent = records.iter().filter(|record| record.kind == Kind::MoSent);
    let answered = records.iter().any(|record| record.kind == Kind::MoAcked);
    let had_time = |record: &Record| record.time_ns + 2 * RECENT_NS < table.span.1;
    let died = |record: &Record| ends.ended_before(record, table.span.1);
    !answered
        && sent.next().is_some_and(|first| had_time(first) && !died(first))
        && sent.all(|again| !died(again))
}

/// Copies that may come: one for each attempt that was acknowledged or whose session ended, and one for each session of
/// loadgen that broke within a second of a copy.
fn due(records: &[Record], ends: &Ends, acknowledged: usize) -> usize {
    let of = |kind: Kind| records.iter().filter(move |record| record.kind == kind);
    let attempts = of(Kind::MoSent).count();
    let broken = of(Kind::MoSent).filter(|sent| ends.ended_after(sent));
    let lost_acks = of(Kind::MoReceived).filter(|received| ends.broke_after(received.link, received.time_ns));
    acknowledged.max(1) + attempts.saturating_sub(acknowledged).min(broken.count()) + lost_acks.count()
}
