//! One record as others see it: a flat object whose keys are the columns of the table, so that file, database, HTTP and
//! `gateway trace` speak of the same things by the same names.

use super::Names;
use relay::{DeliveryRecord, Number, Record, RecordKind, ResolvedRecord, SettledRecord, SubmitRecord};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A record in words. What does not apply is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// [`Record::VERSION`].
    pub version: u8,
    /// `submit`, `duplicate`, `settled`, `delivery`, `resolved`.
    pub kind: String,
    /// When it began, RFC 3339, UTC, microseconds.
    pub at: String,
    /// The node that made it.
    pub node: u8,
    /// The shard that made it.
    pub shard: u8,
    /// Once given by this shard over all its lives.
    pub number: u64,
    /// Our id, 16 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_id: Option<String>,
    /// system_id of the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// The vendor that has it; else the last one tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// All vendors it was handed to, in order, with commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendors: Option<String>,
    /// The vendor's id, as its id rule spells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// Source address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its type of number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ton: Option<u8>,
    /// Destination address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Its type of number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_ton: Option<u8>,
    /// The customer's user_message_reference, else the sequence number of its request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<u32>,
    /// Sequence number of the customer's request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u32>,
    /// `submit_sm`, `data_sm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// data_coding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_coding: Option<u8>,
    /// esm_class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub esm_class: Option<u8>,
    /// Of a part of a long message: the reference of the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_reference: Option<u16>,
    /// Parts of the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_total: Option<u8>,
    /// Which part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_number: Option<u8>,
    /// `acked`, `nacked`, `expired_unsent`, `unknown`; `admitted`: acknowledged and in the spool, a `settled` follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why we refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// command_status that the customer was given or gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_status: Option<u32>,
    /// command_status of the vendor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor_status: Option<u32>,
    /// Copies handed to vendors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies: Option<u8>,
    /// A second copy may have arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub possible_duplicate: Option<bool>,
    /// Ways to a vendor that a message in the spool was on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<u16>,
    /// Microseconds from `at` until it had a place to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routed_us: Option<u64>,
    /// Until the last copy was handed to a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_us: Option<u64>,
    /// Until the vendor answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_us: Option<u64>,
    /// Until its end: the customer answered, the delivery taken or parked.
    pub ended_us: u64,
    /// What a receipt says: `DELIVRD` and so on; of a `settled` what one of ours would say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_state: Option<String>,
    /// The network's error code in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_error: Option<u32>,
    /// Whether no other follows. Present exactly when the delivery is a receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_final: Option<bool>,
    /// `taken`, `rejected`, `parked`, `orphan`, `uncorrelated`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The delivery had been parked before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was_parked: Option<bool>,
}

impl Line {
    /// A record in words.
    pub fn of(record: &Record, names: &Names) -> Line {
        let mut line = Line {
            version: Record::VERSION,
            at: instant(record.at),
            node: record.node,
            shard: record.shard.0,
            number: record.number,
            ..Line::default()
        };
        match &record.kind {
            RecordKind::Submit(submit) => line.add_submit("submit", submit, names),
            RecordKind::Duplicate(submit) => line.add_submit("duplicate", submit, names),
            RecordKind::Settled(settled) => line.add_settled(settled, names),
            RecordKind::Delivery(delivery) => line.add_delivery(delivery, names),
            RecordKind::Resolved(resolved) => line.add_resolved(resolved, names),
        }
        line
    }

    fn add_submit(&mut self, kind: &str, submit: &SubmitRecord, names: &Names) {
        self.kind = kind.into();
        self.gateway_id = submit.gateway_id.map(|id| id.to_string());
        self.customer = submit.account.map(|id| names.customer(id));
        let vendors: Vec<String> = submit.vendors().iter().map(|id| names.vendor(*id)).collect();
        self.vendor = submit.vendor().map(|id| names.vendor(id));
        self.vendors = (!vendors.is_empty()).then(|| vendors.join(","));
        self.vendor_id = submit.vendor_message_id.map(|id| printable(id.as_bytes()));
        self.add_addresses(&submit.source, &submit.destination);
        self.reference = Some(submit.customer_reference());
        self.sequence = Some(submit.sequence);
        self.command = Some(if submit.is_data { "data_sm" } else { "submit_sm" }.into());
        self.data_coding = Some(submit.data_coding);
        self.esm_class = Some(submit.esm_class);
        self.part_reference = submit.part.map(|part| part.reference);
        self.part_total = submit.part.map(|part| part.total);
        self.part_number = submit.part.map(|part| part.number);
        self.state = Some(state_label(submit.state).into());
        self.refusal = submit.refusal.map(|refusal| refusal.label().into());
        self.customer_status = submit.customer_status.map(|status| status.0);
        self.vendor_status = submit.vendor_status.map(|status| status.0);
        self.copies = Some(submit.copies);
        self.possible_duplicate = Some(submit.possible_duplicate);
        self.routed_us = submit.routed_after.map(micros);
        self.sent_us = submit.sent_after.map(micros);
        self.acknowledged_us = submit.acknowledged_after.map(micros);
        self.ended_us = micros(submit.answered_after);
    }

    fn add_settled(&mut self, settled: &SettledRecord, names: &Names) {
        self.kind = "settled".into();
        self.gateway_id = Some(settled.gateway_id.to_string());
        self.customer = Some(names.customer(settled.account));
        self.vendor = settled.vendor.map(|id| names.vendor(id));
        self.vendor_id = settled.vendor_message_id.map(|id| printable(id.as_bytes()));
        self.state = Some(state_label(settled.state()).into());
        self.vendor_status = settled.status.map(|status| status.0);
        self.possible_duplicate = Some(settled.possible_duplicate);
        self.tries = Some(settled.tries);
        self.ended_us = micros(settled.ended_after);
        self.receipt_state = settled.fate.map(|fate| fate.stat().into());
    }

    fn add_delivery(&mut self, delivery: &DeliveryRecord, names: &Names) {
        self.kind = "delivery".into();
        self.gateway_id = delivery.gateway_id.map(|id| id.to_string());
        self.customer = delivery.account.map(|id| names.customer(id));
        self.vendor = delivery.vendor.map(|id| names.vendor(id));
        self.vendor_id = delivery.vendor_message_id.map(|id| printable(id.as_bytes()));
        self.add_addresses(&delivery.source, &delivery.destination);
        self.customer_status = delivery.customer_status.map(|status| status.0);
        self.ended_us = micros(delivery.ended_after);
        if let Some(receipt) = delivery.receipt {
            self.receipt_state = receipt.state.map(|state| state.stat().into());
            self.receipt_error = receipt.error;
            self.receipt_final = Some(receipt.is_final);
        }
        self.outcome = Some(delivery.outcome.label().into());
        self.was_parked = Some(delivery.was_parked);
    }

    fn add_resolved(&mut self, resolved: &ResolvedRecord, names: &Names) {
        self.kind = "resolved".into();
        self.gateway_id = Some(resolved.gateway_id.to_string());
        self.customer = Some(names.customer(resolved.account));
        self.vendor = Some(names.vendor(resolved.vendor));
        self.vendor_id = resolved.vendor_message_id.map(|id| printable(id.as_bytes()));
        self.state = Some(state_label(resolved.state).into());
    }

    fn add_addresses(&mut self, source: &Number, destination: &Number) {
        self.source = Some(printable(source.digits()));
        self.source_ton = Some(source.ton.0);
        self.destination = Some(printable(destination.digits()));
        self.destination_ton = Some(destination.ton.0);
    }
}

fn state_label(state: relay::MessageState) -> &'static str {
    use relay::MessageState as S;
    match state {
        S::Parsed => "parsed",
        S::Admitted => "admitted",
        S::Queued => "queued",
        S::Written => "written",
        S::Acked => "acked",
        S::Nacked => "nacked",
        S::ExpiredUnsent => "expired_unsent",
        S::Unknown => "unknown",
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

/// Peers' octets as ASCII; what is not printable is escaped, so that a line stays a line.
pub(super) fn printable(octets: &[u8]) -> String {
    if octets.iter().all(u8::is_ascii_graphic) && !octets.contains(&b'\\') {
        return String::from_utf8_lossy(octets).into_owned();
    }
    octets.escape_ascii().to_string()
}

/// A time since 1970 UTC, as RFC 3339 with microseconds.
pub(super) fn instant(at: Duration) -> String {
    let at = i64::try_from(at.as_micros()).ok().and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
    format!("{:.6}", at.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_octets_cannot_break_a_line() {
        assert_eq!(printable(b"+4420"), "+4420");
        assert_eq!(printable(b"a\nb\\c\xff\""), "a\\nb\\\\c\\xff\\\"");
        assert_eq!(instant(Duration::from_micros(1_767_225_600_000_001)), "2026-01-01T00:00:00.000001Z");
    }
}
