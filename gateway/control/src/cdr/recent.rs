//! The memory of recent messages: a ring of the newest ones with three ways to find one. Old ones are overwritten.

use super::{Names, ended_us};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use relay::{
    AccountId, DeliveryRecord, Record, RecordKind, ResolvedRecord, SettledRecord, SubmitRecord, VendorId,
    VendorMessageId,
};
use shard::{QueriedState, Query};
use smpp::field::MessageState;
use smpp::text::message_id::{GatewayId, ID_LENGTH_MAX};
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

/// Records kept beside a message's own: receipts come once or twice. Further ones are still written by the sinks.
const LATER_MAX: usize = 8;
/// Messages told of for one reference and destination: a customer that numbers from 1 again and again has many.
const SAME_REFERENCE_MAX: usize = 16;
/// One entry with its places in three maps, and one receipt, octets.
pub(super) const ENTRY_OCTETS: usize = size_of::<Entry>() + 3 * 2 * 16 + size_of::<Record>();

/// How a message is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    /// By our id.
    Id(GatewayId),
    /// By a vendor and its id, in any spelling that its id rule knows.
    Vendor(VendorId, Vec<u8>),
    /// By a customer, its reference and the destination.
    Customer(AccountId, u32, Vec<u8>),
}

struct Entry {
    id: GatewayId,
    submit: Record,
    later: Vec<Record>,
    /// The message before it with the same hash of customer, reference and destination.
    earlier: Option<GatewayId>,
}

pub(super) struct Recent {
    ring: Vec<Entry>,
    /// Where the next one goes.
    next: usize,
    max: usize,
    by_id: HashMap<GatewayId, u32, FixedState>,
    /// By a hash, since what is found is compared anyhow.
    by_vendor: HashMap<u64, GatewayId, FixedState>,
    by_reference: HashMap<u64, GatewayId, FixedState>,
    hash: FixedState,
}

impl Recent {
    /// A memory of at most `max` messages, at least 1.
    pub(super) fn new(max: usize) -> Recent {
        // Vendors choose ids, customers references: an attacker must not be able to choose collisions.
        let seed = runtime::monotonic_nanos();
        let map = || FixedState::with_seed(seed);
        Recent {
            ring: Vec::new(),
            next: 0,
            max: max.max(1),
            by_id: HashMap::with_hasher(map()),
            by_vendor: HashMap::with_hasher(map()),
            by_reference: HashMap::with_hasher(map()),
            hash: FixedState::with_seed(seed ^ 1),
        }
    }

    pub(super) fn add(&mut self, record: &Record) {
        match &record.kind {
            RecordKind::Submit(submit) => {
                if let Some(id) = submit.gateway_id {
                    self.add_submit(id, record, submit);
                }
            }
            RecordKind::Delivery(delivery) => {
                let about = delivery.gateway_id.or_else(|| self.about(delivery));
                self.add_later(about, record);
            }
            RecordKind::Duplicate(submit) => self.add_later(submit.gateway_id, record),
            RecordKind::Settled(SettledRecord { gateway_id, .. })
            | RecordKind::Resolved(ResolvedRecord { gateway_id, .. }) => {
                self.add_later(Some(*gateway_id), record);
            }
        }
    }

    fn add_submit(&mut self, id: GatewayId, record: &Record, submit: &SubmitRecord) {
        let vendor_hash = self.vendor_hash(record);
        let reference_hash = self.reference_hash(submit);
        let earlier = reference_hash.and_then(|hash| self.by_reference.insert(hash, id));
        if let Some(hash) = vendor_hash {
            self.by_vendor.insert(hash, id);
        }
        let entry = Entry { id, submit: *record, later: Vec::new(), earlier };
        let place = self.next;
        if place < self.ring.len() {
            let old = std::mem::replace(&mut self.ring[place], entry);
            self.forget(&old, place);
        } else {
            self.ring.push(entry);
        }
        self.by_id.insert(id, place as u32);
        self.next = (place + 1) % self.max;
    }

    /// Takes the maps' words for an overwritten message out, where they still speak of it.
    fn forget(&mut self, old: &Entry, place: usize) {
        if self.by_id.get(&old.id) == Some(&(place as u32)) {
            self.by_id.remove(&old.id);
        }
        for record in std::iter::once(&old.submit).chain(&old.later) {
            if let Some(hash) = self.vendor_hash(record)
                && self.by_vendor.get(&hash) == Some(&old.id)
            {
                self.by_vendor.remove(&hash);
            }
        }
        let RecordKind::Submit(submit) = &old.submit.kind else { return };
        if let Some(hash) = self.reference_hash(submit)
            && self.by_reference.get(&hash) == Some(&old.id)
        {
            self.by_reference.remove(&hash);
        }
    }

    fn add_later(&mut self, about: Option<GatewayId>, record: &Record) {
        let Some((id, place)) = about.and_then(|id| Some((id, *self.by_id.get(&id)?))) else { return };
        let later = &mut self.ring[place as usize].later;
        let over = if later.len() < LATER_MAX { None } else { later.pop() }; // the last word counts most
        later.push(*record);
        if let Some(hash) = over.and_then(|over| self.vendor_hash(&over)) {
            self.by_vendor.remove(&hash);
        }
        if let Some(hash) = self.vendor_hash(record) {
            self.by_vendor.insert(hash, id);
        }
    }

    /// The message of a receipt that the relay could not match: a vendor and its id are exact all the same.
    fn about(&self, delivery: &DeliveryRecord) -> Option<GatewayId> {
        let (vendor, id) = (delivery.vendor?, delivery.vendor_message_id?);
        self.of_vendor(vendor, id.as_bytes()).map(|entry| entry.id)
    }

    /// All records of the messages that fit, each message's in order.
    pub(super) fn find(&self, key: &Key, names: &Names) -> Vec<Record> {
        let mut found = Vec::new();
        let mut tell = |entry: &Entry| {
            found.push(entry.submit);
            found.extend(&entry.later);
        };
        match key {
            Key::Id(id) => self.entry(*id).into_iter().for_each(&mut tell),
            Key::Vendor(vendor, id) => {
                let spellings = spellings(*vendor, id, names);
                let entry = spellings.iter().find_map(|id| self.of_vendor(*vendor, id.as_bytes()));
                entry.into_iter().for_each(&mut tell);
            }
            Key::Customer(account, reference, destination) => {
                let hash = self.hash.hash_one((account, reference, &destination[..]));
                let mut next = self.by_reference.get(&hash).copied();
                for _ in 0..SAME_REFERENCE_MAX {
                    let Some(entry) = next.and_then(|id| self.entry(id)) else { break };
                    if let RecordKind::Submit(submit) = &entry.submit.kind
                        && submit.account == Some(*account)
                        && submit.customer_reference() == *reference
                        && submit.destination.digits() == &destination[..]
                    {
                        tell(entry);
                    }
                    next = entry.earlier;
                }
            }
        }
        found
    }

    /// What a customer's query_sm is answered with; only for its own messages.
    pub(super) fn answer(&self, query: &Query) -> Option<QueriedState> {
        let entry = self.entry(query.gateway_id)?;
        let RecordKind::Submit(submit) = &entry.submit.kind else { return None };
        let fits = |source: &relay::Number| source.digits() == submit.source.digits();
        if submit.account != Some(query.account) || !query.source.as_ref().is_none_or(fits) {
            return None;
        }
        let receipts = entry.later.iter().filter_map(|record| match &record.kind {
            RecordKind::Delivery(delivery) => Some((record, delivery.receipt?)),
            _ => None,
        });
        // A final receipt stands, whatever comes after it.
        let last =
            receipts.clone().find(|(_, receipt)| receipt.is_final).or_else(|| receipts.clone().next_back());
        // Else what the spool's way, or a receipt without an owner, told of it after its answer.
        let (state, ended) = entry.later.iter().rev().find_map(told).unwrap_or((
            match submit.state {
                relay::MessageState::Admitted => MessageState::Enroute, // in the spool
                state => network_state(state),
            },
            ended_us(&entry.submit),
        ));
        Some(match last {
            Some((record, receipt)) => QueriedState {
                state: receipt.state.unwrap_or(MessageState::Unknown),
                final_at: receipt.is_final.then_some(record.at),
                error_code: receipt.error.unwrap_or(0).min(255) as u8,
            },
            None => {
                let is_final = state != MessageState::Enroute && state != MessageState::Unknown;
                let ended = Duration::from_micros(ended);
                QueriedState { state, final_at: is_final.then_some(ended), error_code: 0 }
            }
        })
    }

    fn entry(&self, id: GatewayId) -> Option<&Entry> {
        self.by_id.get(&id).map(|place| &self.ring[*place as usize])
    }

    fn of_vendor(&self, vendor: VendorId, id: &[u8]) -> Option<&Entry> {
        let entry = self.entry(*self.by_vendor.get(&self.hash.hash_one((vendor, id)))?)?;
        let mut records = std::iter::once(&entry.submit).chain(&entry.later);
        let same =
            |record| vendors_name(record).is_some_and(|(by, found)| by == vendor && found.as_bytes() == id);
        records.any(same).then_some(entry)
    }

    fn vendor_hash(&self, record: &Record) -> Option<u64> {
        let (vendor, id) = vendors_name(record)?;
        Some(self.hash_of((vendor, id.as_bytes())))
    }

    fn reference_hash(&self, submit: &SubmitRecord) -> Option<u64> {
        let account = submit.account?;
        Some(self.hash_of((account, submit.customer_reference(), submit.destination.digits())))
    }

    fn hash_of(&self, key: impl Hash) -> u64 {
        self.hash.hash_one(key)
    }
}

/// Who has a message, and by which id, as far as this record tells.
fn vendors_name(record: &Record) -> Option<(VendorId, VendorMessageId)> {
    match &record.kind {
        RecordKind::Submit(submit) => Some((submit.vendor()?, submit.vendor_message_id?)),
        RecordKind::Settled(settled) => Some((settled.vendor?, settled.vendor_message_id?)),
        RecordKind::Resolved(resolved) => Some((resolved.vendor, resolved.vendor_message_id?)),
        RecordKind::Duplicate(_) | RecordKind::Delivery(_) => None,
    }
}

/// State and end of a message as a record after the submit's own tells it.
fn told(record: &Record) -> Option<(MessageState, u64)> {
    let state = match &record.kind {
        RecordKind::Settled(settled) => settled.fate.unwrap_or(MessageState::Enroute),
        RecordKind::Resolved(resolved) => network_state(resolved.state),
        RecordKind::Submit(_) | RecordKind::Duplicate(_) | RecordKind::Delivery(_) => return None,
    };
    Some((state, ended_us(record)))
}

fn network_state(state: relay::MessageState) -> MessageState {
    match state {
        relay::MessageState::Acked => MessageState::Enroute,
        relay::MessageState::Nacked => MessageState::Rejected,
        relay::MessageState::ExpiredUnsent => MessageState::Expired,
        _ => MessageState::Unknown,
    }
}

/// A vendor's id as it may be kept: as it is, as an answer of the vendor spells it, as a receipt does.
pub(super) fn spellings(vendor: VendorId, id: &[u8], names: &Names) -> Vec<VendorMessageId> {
    let rule = names.id_rule(vendor);
    let (mut response, mut receipt) = ([0; ID_LENGTH_MAX], [0; ID_LENGTH_MAX]);
    let all = [Some(id), rule.response_key(id, &mut response), rule.receipt_key(id, &mut receipt)];
    let mut spellings: Vec<VendorMessageId> =
        all.into_iter().flatten().filter_map(VendorMessageId::new).collect();
    spellings.dedup();
    spellings
}
