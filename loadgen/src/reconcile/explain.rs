//! One message's story, from all ledgers.

use std::path::Path;

use ledger::{Kind, LedgerError, MessageKey, ReceiptField, Record};
use smpp::field::{CommandStatus, MessageState};

use super::case::differences;
use super::{Inputs, Joined, causes, of_worker, read};
use crate::reconcile::table::SITE;

/// What every ledger says of a message, in the order of time.
///
/// # Errors
///
/// A file cannot be read or is no ledger.
pub fn explain(inputs: &Inputs, key: MessageKey) -> Result<String, LedgerError> {
    let mut joined = Joined::default();
    joined.read_loadgen(inputs)?;
    joined.read_sims(inputs)?;
    let mut story = Story { key, joined: &joined, lines: Vec::new(), sent_receipt: None };
    for (index, path) in inputs.loadgen.iter().enumerate() {
        story.read(path, |record| of_worker(record, index))?;
    }
    let mut first_site = 0;
    for path in &inputs.sims {
        let (meta, _) = ledger::Reader::open(path)?;
        story.read(path, |record| Record { party: record.party + first_site, ..*record })?;
        first_site += meta.parties.len() as u16;
    }
    story.receipts();
    Ok(story.told())
}

struct Story<'a> {
    key: MessageKey,
    joined: &'a Joined,
    /// Unix time in nanoseconds, who, what.
    lines: Vec<(u64, String, String)>,
    sent_receipt: Option<Record>,
}

impl Story<'_> {
    fn read(&mut self, path: &Path, of_file: impl Fn(&Record) -> Record) -> Result<(), LedgerError> {
        let place = self.joined.table.get(self.key).map(|entry| (entry.link, entry.number));
        let mut records = Vec::new();
        read::read(path, None, |record| {
            let record = of_file(record);
            let is_answer = record.kind == Kind::AnsweredAgain && place == Some((record.link, record.number));
            if is_answer || record.key == self.key && record.kind != Kind::ReceiptReceived {
                records.push(record);
            }
        })?;
        for record in records {
            if record.kind == Kind::ReceiptSent {
                self.sent_receipt = Some(record);
            }
            let (who, what) = (self.who(&record), what(&record));
            self.lines.push((record.time_ns, who, what));
        }
        Ok(())
    }

    /// Receipts that name the message, at whichever account.
    fn receipts(&mut self) {
        for receipt in &self.joined.table.received {
            if receipt.owner != Some(self.key) {
                continue;
            }
            let mut what = format!("receipt received: {}", state(receipt.digest.message_state()));
            if let Some(sent) = &self.sent_receipt {
                let differing = differences(&sent.digest(), &receipt.digest, 0);
                if !differing.is_empty() {
                    what += &format!(" (differs from the site's in {})", differing.join(", "));
                }
            }
            if receipt.party != self.key.account {
                what += " AT ANOTHER ACCOUNT";
            }
            let who = format!("loadgen  {} session {}", self.account(receipt.party), receipt.link);
            self.lines.push((receipt.time_ns, who, what));
        }
    }

    fn told(mut self) -> String {
        if self.lines.is_empty() {
            return format!("No ledger knows {}.\n", self.key);
        }
        // Stable: what happened in one turn stays in the order in which it was written down.
        self.lines.sort_by_key(|(time, ..)| *time);
        let (first, last) = (self.lines[0].0, self.lines[self.lines.len() - 1].0);
        let near = (first.saturating_sub(AROUND_NS), last + AROUND_NS);
        let table = &self.joined.table;
        let around =
            table.events.iter().filter(|event| (near.0..=near.1).contains(&event.time_ns)).take(EVENTS_MAX);
        let events: Vec<_> = around
            .filter_map(|event| {
                let label = causes::label(event, &table.sites, &self.joined.accounts)?;
                let side = if event.party >= SITE { "site" } else { "loadgen" };
                Some((event.time_ns, side.to_owned(), format!("-- {label}")))
            })
            .collect();
        self.lines.extend(events);
        self.lines.sort_by_key(|(time, ..)| *time);
        let mut out = format!("{}\n", self.key);
        for (time, who, what) in &self.lines {
            out += &format!("{:>+12.6} s  {who:<32} {what}\n", (*time as f64 - first as f64) / 1e9);
        }
        out
    }

    fn who(&self, record: &Record) -> String {
        let of_site = matches!(
            record.kind,
            Kind::Accepted
                | Kind::Refused
                | Kind::LostResponse
                | Kind::ReceiptSent
                | Kind::ReceiptAcked
                | Kind::ReceiptDropped
                | Kind::MoSent
                | Kind::MoAcked
        );
        if of_site {
            let name = self.joined.table.sites.get(usize::from(record.party)).map_or("?", |site| &site.name);
            format!("site     {name} session {}", record.link)
        } else {
            format!("loadgen  {} session {}", self.account(record.party), record.link)
        }
    }

    fn account(&self, party: u16) -> &str {
        self.joined.accounts.get(usize::from(party)).map_or("?", |name| name)
    }
}

/// What a record says, in words.
fn what(record: &Record) -> String {
    let status = || status(record.status);
    match record.kind {
        Kind::Sent => format!("submit_sm {} sent, registered_delivery {}", record.number, record.state),
        Kind::Answered => format!("answered {}, id hash {:016x}", status(), record.id_hash),
        Kind::Unanswered => "no answer on a session that lived".into(),
        Kind::Abandoned if record.state == 1 => "no answer: the session was unbound".into(),
        Kind::Abandoned => "no answer: the session broke".into(),
        Kind::Withdrawn => "certainly not received whole; it will be sent again".into(),
        Kind::AnsweredAgain => format!("answered AGAIN {}, id hash {:016x}", status(), record.id_hash),
        Kind::Accepted => format!(
            "accepted, registered_delivery {}, id hash {:016x}{}",
            record.state,
            record.id_hash,
            if record.detail & Record::RECEIPT_OWED != 0 { "" } else { ", no receipt to come" }
        ),
        Kind::Refused => format!("refused {}", status()),
        Kind::LostResponse if record.detail == Record::NEVER_LEFT => "its answer never left".into(),
        Kind::LostResponse => "its answer left less than 1 s before the connection broke".into(),
        Kind::ReceiptSent => format!("receipt sent: {}", receipt(record)),
        Kind::ReceiptAcked => format!("receipt answered {}", status()),
        Kind::ReceiptDropped => "receipt given up".into(),
        Kind::MoSent => "MO sent".into(),
        Kind::MoAcked => format!("MO answered {}", status()),
        Kind::MoReceived if record.state == Record::MO_ELSEWHERE => "MO received AT ANOTHER ACCOUNT".into(),
        Kind::MoReceived => "MO received".into(),
        other => format!("{other:?}"),
    }
}

fn receipt(record: &Record) -> String {
    let digest = record.digest();
    let id = format!("id hash {:016x}", record.id_hash);
    format!("{}, {id}, handset {:04x}", state(digest.message_state()), digest.field(ReceiptField::Source))
}

fn state(number: u8) -> String {
    MessageState::from_u8(number).map_or_else(|| format!("state {number}"), |state| state.stat().to_owned())
}

fn status(number: u32) -> String {
    CommandStatus(number).name().map_or_else(|| format!("{number:#010x}"), str::to_owned)
}

/// Events of sessions and sites are told from so long before the message to so long after.
const AROUND_NS: u64 = 100_000_000;

/// Events told at most.
const EVENTS_MAX: usize = 50;
