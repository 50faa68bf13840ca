//! The most memory that a configuration lets the node take; printed at the start, by `check-config` and as a metric.

use crate::config::Built;
use relay::Limits;
use shard::VendorOptions;
use shard::limits::{MemoryBound, NodeSize, PDU_STEADY, Summand, memory_bound};
use store::spool::{SPOOL_MAILBOX_LENGTH, SpoolOptions};
use store::{STORE_MAILBOX_LENGTH, StoreOptions};

/// Passwords: 1,024 that wait, 20 MiB while one is hashed, and the memory of those that were right, octets.
const PASSWORDS_OCTETS: u64 = 32 << 20;

/// Sessions of other nodes counted for each slot of a vendor that shares its binds; each comes with a link of ours or of
/// the vendor's. Larger clusters take some KiB more for each.
const NODES_COUNTED: u64 = 8;

/// Links that a vendor costs.
fn links_of(vendor: &VendorOptions) -> u64 {
    u64::from(vendor.binds) * if vendor.is_shared { 1 + NODES_COUNTED } else { 1 }
}

/// The bound for so many shards and customers' links.
pub fn bound_of(built: &Built, links_max: u32, shards: u64) -> MemoryBound {
    let (vendors, customers) = (&built.plan.vendors, &built.plan.customers);
    let limits = built.plan.snapshot.limits();
    let mut bound = memory_bound(&NodeSize {
        shards,
        customers: customers.len() as u64,
        // Each shard rounds its part up.
        links_max: u64::from(links_max) + shards,
        window_max: customers.iter().map(|customer| u64::from(customer.window)).max().unwrap_or(0),
        vendor_binds: vendors.iter().map(links_of).sum(),
        vendor_windows: vendors.iter().map(|vendor| links_of(vendor) * u64::from(vendor.window)).sum(),
        limits: *limits,
        store_octets: built.store.as_ref().map_or(0, StoreOptions::octets_max),
        store_mailbox: STORE_MAILBOX_LENGTH as u64,
        spool_octets: built.spool.as_ref().map_or(0, SpoolOptions::octets_in_memory_max),
        spool_mailbox: built.spool.as_ref().map_or(0, |_| SPOOL_MAILBOX_LENGTH as u64),
    });
    if let Some(cdr) = &built.cdr {
        let drafts = Limits::SUBMIT_DRAFT_OCTETS as u64 * u64::from(limits.messages_max)
            + Limits::DELIVERY_DRAFT_OCTETS as u64 * u64::from(limits.deliveries_max);
        let steady = cdr.octets_max(shards) + 2 * shards * drafts;
        // Under `refuse` what was open when the queue became full still leaves its record.
        let open = u64::from(limits.messages_max) + u64::from(limits.deliveries_max);
        let worst = steady + 2 * shards * open * size_of::<shard::RecordWord>() as u64;
        bound.summands.push(Summand { holder: "records", worst, steady });
    }
    bound.summands.push(Summand {
        holder: "limits",
        worst: relay::LIMITS_OCTETS,
        steady: relay::LIMITS_OCTETS,
    });
    let circuits = shards * Limits::ROUTE_CIRCUIT_OCTETS_MAX;
    let together = shards * Limits::TOGETHER_OCTETS_MAX;
    bound.summands.push(Summand { holder: "circuits of routes", worst: circuits, steady: circuits });
    bound.summands.push(Summand { holder: "parts of long messages", worst: together, steady: together });
    if built.plan.snapshot.routes().has_rewrites() {
        // What goes to the vendor stands beside what the customer sent.
        let messages = shards * u64::from(limits.messages_max);
        let (worst, steady) = (messages * u64::from(limits.pdu_size_max), messages * PDU_STEADY);
        bound.summands.push(Summand { holder: "rewritten messages", worst, steady });
    }
    bound.summands.push(Summand { holder: "passwords", worst: PASSWORDS_OCTETS, steady: PASSWORDS_OCTETS });
    bound
}
