//! The result in words.

use std::collections::BTreeMap;

use ledger::MessageKey;

use super::offence::{Class, Finding, Findings};
use super::table::Table;
use super::{Excused, Reconciliation, Returned};

impl Reconciliation {
    /// The one line that matters.
    pub fn verdict(&self) -> String {
        if let Some(reason) = self.invalid.first() {
            return format!("verdict: INVALID: {reason}");
        }
        let count = |class: Class| self.classes.get(class.name()).copied().unwrap_or(0);
        let mut parts = vec![
            format!("{} lost", self.lost),
            format!("{} misrouted", self.misrouted()),
            format!("{} altered", self.altered + self.mo.altered),
            format!("{} duplicated", self.duplicated),
        ];
        let told = [
            Class::Lost,
            Class::Duplicated,
            Class::Altered,
            Class::MisroutedReceipt,
            Class::MisroutedMo,
            Class::AlteredMo,
            Class::LostReceipt,
            Class::AlteredReceipt,
            Class::DuplicatedReceipt,
            Class::UnknownReceipt,
        ];
        let others = Class::ALL.into_iter().filter(|class| !told.contains(class) && count(*class) > 0);
        parts.extend(others.map(|class| format!("{} {}", count(class), class.name())));
        parts.push(format!("{} unknown outcome", self.unknown));
        parts.push(format!("{} refused", self.refused));
        parts.push(format!("{} without an answer", self.unanswered));
        parts.push(format!("{} excused", self.ambiguous));
        let Returned { lost, duplicated, misrouted, altered, unknown, .. } = self.receipts;
        format!(
            "verdict: {}; receipts: {lost} lost, {misrouted} misrouted, {altered} altered, {duplicated} duplicated, \
             {unknown} unknown",
            parts.join(", ")
        )
    }

    /// A page of text.
    pub fn text(&self) -> String {
        let mut out = format!(
            "messages  {} sent = {} delivered + {} refused + {} unknown + {} unanswered\n",
            self.sent, self.delivered, self.refused, self.unknown, self.unanswered
        );
        out += &format!("accepted  {} by the sites", self.accepted);
        for site in &self.sites {
            let share = 100.0 * site.accepted as f64 / self.accepted.max(1) as f64;
            out += &format!(" · {} {} ({share:.1} %)", site.name, site.accepted);
        }
        out.push('\n');
        let Returned { sent, acknowledged, received, .. } = self.receipts;
        out += &format!("receipts  {sent} sent, {acknowledged} acknowledged, {received} received\n");
        if self.mo.sent + self.mo.received > 0 {
            let Returned { sent, received, lost, duplicated, misrouted, altered, .. } = self.mo;
            out += &format!(
                "MO        {sent} sent, {received} received: {lost} lost, {duplicated} duplicated, {misrouted} misrouted, \
                 {altered} altered\n"
            );
        }
        if self.excused != Excused::default() {
            out += &self.excuses();
        }
        for note in &self.notes {
            out += &format!("note      {note}\n");
        }
        if !self.unjudged.is_empty() {
            out += &format!("unknown   without a simulator's ledger: {}\n", self.unjudged.join(", "));
        }
        for reason in &self.invalid {
            out += &format!("INVALID   {reason}\n");
        }
        for (class, offenders) in &self.offenders {
            let count = self.classes.get(class).map_or(String::new(), |count| format!(" ({count})"));
            let cause = self.causes.get(class).map_or(String::new(), |cause| format!(": {cause}"));
            out += &format!("{class}{count}{cause}\n");
            for offender in offenders {
                out += &format!("    {offender}\n");
            }
        }
        if let Some(first) = self.offenders.values().flatten().find(|text| text.contains('/')) {
            let key = first.split(' ').next().unwrap_or_default();
            out += &format!("The story of one: loadgen explain {key} --loadgen FILE --sim FILE\n");
        }
        out += &self.verdict();
        out.push('\n');
        out
    }

    fn excuses(&self) -> String {
        let Excused {
            never_left,
            before_break,
            receipts,
            unanswered_recent,
            unanswered_old,
            nameless_receipts,
        } = self.excused;
        format!(
            "excused   copies: {never_left} after an answer that never left, {before_break} after one that left within \
             1 s of a break · {receipts} copies of receipts · no answer: {unanswered_recent} sent within 1 s of a break, \
             {unanswered_old} earlier · {nameless_receipts} receipts for messages without an answer\n"
        )
    }
}

/// The named offenders, each with key, time from the first message, site and what it did.
pub(super) fn offenders(findings: &Findings, table: &Table) -> BTreeMap<String, Vec<String>> {
    let begin = table.begin.unwrap_or_default();
    let line = |finding: &Finding| {
        let mut words = Vec::new();
        if let Some(key) = finding.key {
            let mut text = [0; MessageKey::TEXT_LENGTH];
            key.write(&mut text);
            words.push(format!("{key} {}", String::from_utf8_lossy(&text)));
        }
        words.push(format!("at {:+.3} s", (finding.time_ns as f64 - begin as f64) / 1e9));
        if let Some(site) = finding.site.and_then(|site| table.sites.get(usize::from(site))) {
            words.push(format!("at {}", site.name));
        }
        format!("{}: {}", words.join(" "), finding.text)
    };
    findings
        .named
        .iter()
        .map(|(class, named)| (class.name().to_owned(), named.iter().map(line).collect()))
        .collect()
}
