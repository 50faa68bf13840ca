//! What a shard is built from and told: plain data, made by the control plane, which alone knows the file and
//! the database.

use crate::refusal_log::RefusalLog;
use crate::report::ReportSlot;
use arc_swap::ArcSwap;
use ipnet::IpNet;
use link::TlsClient;
use link::backoff::BackoffOptions;
use relay::{AccountId, Snapshot, VendorId};
use smpp::dialect::Dialect;
use smpp::field::{Npi, Ton};
use smpp::pdu::BindKind;
use smpp::session::Timers;
use smpp::version::Version;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Where the newest addresses of a vendor lie. Names are resolved by control, never on a shard; a shard takes what lies
/// here at each attempt to connect. Empty while no name could be resolved.
pub type AddressSlot = Arc<ArcSwap<Vec<SocketAddr>>>;

/// A slot with these addresses.
pub fn address_slot(addresses: Vec<SocketAddr>) -> AddressSlot {
    Arc::new(ArcSwap::from_pointee(addresses))
}

/// One shard's fixed part: given once, at start.
#[derive(Clone)]
pub struct ShardOptions {
    /// Which shard of the node, from 0.
    pub index: u8,
    /// Shards of the node.
    pub shards: u8,
    /// Number of the node, part of every message id.
    pub node: u8,
    /// Unix time of the first second of which ids may be given: no earlier life of the node's number gave one of it.
    pub ids_from: Duration,
    /// Customers' links that this shard may hold; vendors' binds come on top of them.
    pub links_max: usize,
    /// Accepted connections whose bind was not read yet, on the shard that listens. The next one is closed.
    pub greetings_max: usize,
    /// Seed of everything that is left to chance: jitter, hash tables.
    pub seed: u64,
    /// What we call ourselves towards customers: system_id of bind_resp, at most 15 octets.
    pub system_id: Vec<u8>,
    /// Where this shard shows its counters.
    pub report: ReportSlot,
    /// Where refused binds are told; all shards of the node share it.
    pub refusals: Arc<RefusalLog>,
}

/// One whole configuration of the data plane. Immutable; published to every shard.
#[derive(Debug)]
pub struct Plan {
    /// Who may do what, and where messages go.
    pub snapshot: Arc<Snapshot>,
    /// Customers' sessions.
    pub customers: Vec<CustomerOptions>,
    /// Vendors' binds.
    pub vendors: Vec<VendorOptions>,
    /// Timers of customers' sessions.
    pub customer_timers: Timers,
    /// Longest PDU taken from a customer or vendor, octets.
    pub pdu_size_max: u32,
}

impl Plan {
    /// The customer with this system_id.
    pub fn customer(&self, system_id: &[u8]) -> Option<&CustomerOptions> {
        self.customer_of(AccountId::of_name(system_id)).filter(|customer| *customer.system_id == *system_id)
    }

    /// The customer with this account.
    pub fn customer_of(&self, account: AccountId) -> Option<&CustomerOptions> {
        let place = self.customers.binary_search_by_key(&account, |customer| customer.account).ok()?;
        Some(&self.customers[place])
    }

    /// Puts the customers in the order that [`Plan::customer`] needs. To be called once, before publishing.
    pub fn sort(&mut self) {
        self.customers.sort_unstable_by_key(|customer| customer.account);
    }
}

/// Bind kinds that a customer may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindKinds {
    /// bind_transmitter.
    pub transmitter: bool,
    /// bind_receiver.
    pub receiver: bool,
    /// bind_transceiver.
    pub transceiver: bool,
}

impl BindKinds {
    /// All three.
    pub const ALL: BindKinds = BindKinds { transmitter: true, receiver: true, transceiver: true };

    /// Whether this kind is among them.
    pub const fn allows(self, kind: BindKind) -> bool {
        match kind {
            BindKind::Transmitter => self.transmitter,
            BindKind::Receiver => self.receiver,
            BindKind::Transceiver => self.transceiver,
        }
    }
}

/// A customer's sessions.
#[derive(Clone, Debug)]
pub struct CustomerOptions {
    /// Its account; [`AccountId::of_name`] of the system_id.
    pub account: AccountId,
    /// What it binds with.
    pub system_id: Box<[u8]>,
    /// Which binds it may use.
    pub bind_kinds: BindKinds,
    /// Sessions at the same time.
    pub binds_max: u32,
    /// Requests that may be unanswered on one session, each way.
    pub window: u32,
    /// Networks that it may bind from; empty = from anywhere.
    pub networks: Vec<IpNet>,
    /// How it deviates.
    pub dialect: Dialect,
    /// Which SMPP is spoken to it; none = as it binds.
    pub version: Option<Version>,
    /// Whether the address ranges of its binds are good for something.
    pub has_ranges: bool,
}

impl CustomerOptions {
    /// Whether it may bind from this address. An IPv4 address that came as an IPv6 one is the IPv4 address.
    pub fn may_come_from(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&address))
    }
}

/// A vendor's binds.
#[derive(Clone, Debug)]
pub struct VendorOptions {
    /// Which vendor; [`VendorId::of_name`] of the name.
    pub id: VendorId,
    /// Whose these binds are where they are numbered and leased: `id`, or an id of their own for the receivers that a
    /// vendor has beside its other binds.
    pub binds_id: VendorId,
    /// Its name, for logs and metrics.
    pub name: Box<str>,
    /// Where it is, tried in this order.
    pub addresses: AddressSlot,
    /// Whether its links are encrypted: whom to trust, and for which name its certificate must be good.
    pub tls: Option<TlsClient>,
    /// Who we are there.
    pub system_id: Box<str>,
    /// And how we prove it.
    pub password: Secret,
    /// Asked for by some.
    pub system_type: Box<str>,
    /// What we bind as.
    pub bind_kind: BindKind,
    /// Which SMPP we say to speak, and do.
    pub version: Version,
    /// Type of number of `address_range`.
    pub addr_ton: Ton,
    /// Numbering plan of `address_range`.
    pub addr_npi: Npi,
    /// The addresses that we say to serve; some give no receipts without.
    pub address_range: Box<str>,
    /// Binds over all shards of the node; 0 for a vendor that is switched off.
    pub binds: u32,
    /// Whether `binds` are those of all nodes together, so that this one keeps those whose slots it holds.
    pub is_shared: bool,
    /// Requests that may be unanswered on one bind.
    pub window: u32,
    /// Timers of its sessions.
    pub timers: Timers,
    /// How it deviates.
    pub dialect: Dialect,
    /// How soon to come back after a link was lost.
    pub reconnect: BackoffOptions,
}

impl VendorOptions {
    /// The same vendor's receivers beside these binds: so many, shared by all nodes or not.
    pub fn receivers(&self, binds: u32, is_shared: bool) -> VendorOptions {
        // No vendor has a name that holds a NUL.
        let binds_id = VendorId::of_name(&[self.name.as_bytes(), b"\0receivers"].concat());
        VendorOptions { binds_id, bind_kind: BindKind::Receiver, binds, is_shared, ..self.clone() }
    }

    /// Whether these are receivers beside other binds.
    pub fn are_beside(&self) -> bool {
        self.binds_id != self.id
    }

    /// Whether a link made with these options is as one made with the others: no need to make it anew. Addresses count
    /// for the next link only, a window is changed on the link that stands.
    pub(crate) fn is_same_link(&self, other: &VendorOptions) -> bool {
        self.tls == other.tls
            && self.system_id == other.system_id
            && self.password == other.password
            && self.system_type == other.system_type
            && self.bind_kind == other.bind_kind
            && self.version == other.version
            && (self.addr_ton, self.addr_npi) == (other.addr_ton, other.addr_npi)
            && self.address_range == other.address_range
            && self.timers == other.timers
            && self.dialect == other.dialect
    }
}

/// A password. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Hides it from logs.
    pub fn new(secret: &str) -> Self {
        Secret(secret.into())
    }

    /// The password itself, for the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}
