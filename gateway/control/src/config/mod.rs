//! From a file and the environment to typed options, or to every mistake at once.
//!
//! ```text
//!   text --parse--> plain model (Config) --check--> no contradiction --build--> Plan, Snapshot, StoreOptions
//!   (TOML)          every value with its place                                  (what the layers take)
//! ```
//!
//! Only this module knows the file format. The plain model is what another source (a database) fills as well: `check`
//! and `build` are the same for both. One file per section; each lists its settings in a table, from which
//! `docs/settings.md` is written.

mod build;
mod cdr;
mod check;
mod customers;
mod document;
mod environment;
mod error_maps;
mod fixed;
mod listen;
mod mistake;
mod mo_routes;
mod networks;
mod node;
mod reader;
mod redis;
mod relay;
mod routes;
mod runtime;
mod secret;
mod session;
mod setting;
mod spool;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod value;
mod vendors;

pub use build::{Built, build, snapshot};
pub use cdr::Cdr;
pub use customers::Customer;
pub use document::settings_document;
pub use environment::PREFIX as ENVIRONMENT_PREFIX;
pub use error_maps::ErrorMap;
pub use fixed::keep_fixed;
pub use listen::Listen;
pub use mistake::{At, Mistake, Place};
pub use mo_routes::MoRoute;
pub use networks::Network;
pub use node::Node;
pub use redis::Redis;
pub use relay::Relay;
pub use routes::{Route, RouteVendor};
pub use runtime::Runtime;
pub use secret::{Credential, Secret};
pub use session::Session;
pub use spool::Spool;
pub use store::{Store, StoreKind, WriteOrder};
pub use tls::ListenTls;
pub use value::{HostPort, parse_time};
pub use vendors::Vendor;

use environment::Overrides;
use mistake::{Mistakes, Source};
use reader::{Reader, remedy_for_unknown};
use setting::SectionKind;
use std::fmt;
use std::path::Path;
use toml::de::DeTable;

/// One whole configuration, as plain data.
#[derive(Clone, Debug)]
pub struct Config {
    /// Grows with every change; 1 as read.
    pub version: u64,
    /// `[node]`.
    pub node: Node,
    /// `[runtime]`.
    pub runtime: Runtime,
    /// `[listen]`.
    pub listen: Listen,
    /// `[session]`.
    pub session: Session,
    /// `[store]`.
    pub store: Store,
    /// `[spool]`.
    pub spool: Spool,
    /// `[relay]`.
    pub relay: Relay,
    /// `[cdr]`.
    pub cdr: Cdr,
    /// `[[customer]]`.
    pub customers: Vec<Customer>,
    /// `[[vendor]]`.
    pub vendors: Vec<Vendor>,
    /// `[[route]]`.
    pub routes: Vec<Route>,
    /// `[[mo_route]]`.
    pub mo_routes: Vec<MoRoute>,
    /// `[[network]]`.
    pub networks: Vec<Network>,
    /// `[[error_map]]`.
    pub error_maps: Vec<ErrorMap>,
}

/// What a good configuration amounts to, for `gateway check-config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Customers.
    pub customers: usize,
    /// Vendors.
    pub vendors: usize,
    /// Binds to vendors, all together.
    pub binds: u64,
    /// Routes.
    pub routes: usize,
    /// What is right but deserves a look.
    pub warnings: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        let Report { customers, vendors, binds, routes, .. } = self;
        write!(f, "ok: {customers} customers, {vendors} vendors with {binds} binds, {routes} routes")
    }
}

/// Reads the file and the process's environment, and checks everything, without starting anything.
///
/// # Errors
/// All mistakes, in the order of the file, then of the environment.
pub fn check_config(path: &Path) -> Result<Report, Vec<Mistake>> {
    let config = load(path)?;
    let mut built = build(&config)?;
    // A name that cannot be resolved now is no mistake: the other vendors shall start.
    built.warnings.extend(crate::names::look_up(&mut built.names));
    Ok(Report {
        customers: config.customers.len(),
        vendors: config.vendors.len(),
        binds: config.vendors.iter().map(|vendor| u64::from(vendor.binds)).sum(),
        routes: config.routes.len(),
        warnings: built.warnings,
    })
}

/// Reads the file and the process's environment.
///
/// # Errors
/// All mistakes, in the order of the file, then of the environment.
pub fn load(path: &Path) -> Result<Config, Vec<Mistake>> {
    let text = std::fs::read(path).map_err(|error| error.to_string()).and_then(|bytes| {
        String::from_utf8(bytes)
            .map_err(|error| format!("is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
    });
    let text = text.map_err(|what| {
        let place = Source::new(path, "").place(0);
        vec![Mistake {
            place,
            what: format!("cannot be read: {what}"),
            remedy: "name a TOML file that can be read".into(),
        }]
    })?;
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    parse(path, &text, &variables)
}

/// Reads a text and overrides; `path` names it in mistakes, and paths within it are relative to its directory.
///
/// # Errors
/// All mistakes, in the order of the text, then of the environment.
pub fn parse(path: &Path, text: &str, variables: &[(String, String)]) -> Result<Config, Vec<Mistake>> {
    let mistakes = Mistakes::default();
    let source = Source::new(path, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let place = source.place(error.span().map_or(0, |span| span.start));
        mistakes.add(&place, format!("no TOML: {}", error.message()), "correct the line");
    }
    if !errors.is_empty() {
        return Err(mistakes.into_sorted()); // what stands in the file is not certain enough to judge
    }
    let overrides = Overrides::new(variables, &mistakes);
    let reader = Reader { source: &source, overrides: &overrides, mistakes: &mistakes };
    let config = read(&reader, root.get_ref(), path.parent().unwrap_or(Path::new("")));
    overrides.finish(&mistakes);
    check::check(&config, &mistakes);
    let mistakes = mistakes.into_sorted();
    if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
}

/// All sections, in the order of the file.
pub(crate) static SECTIONS: [&SectionKind; 14] = [
    &node::SECTION,
    &runtime::SECTION,
    &listen::SECTION,
    &session::SECTION,
    &store::SECTION,
    &spool::SECTION,
    &relay::SECTION,
    &cdr::SECTION,
    &customers::SECTION,
    &vendors::SECTION,
    &routes::SECTION,
    &mo_routes::SECTION,
    &networks::SECTION,
    &error_maps::SECTION,
];

fn read<'a>(reader: &'a Reader<'a>, root: &'a DeTable<'a>, directory: &Path) -> Config {
    let names = SECTIONS.iter().map(|section| section.name);
    for (key, _) in root.iter().filter(|(key, _)| !names.clone().any(|name| name == key.get_ref().as_ref())) {
        let what = format!("unknown section \"{}\"", key.get_ref());
        let remedy = remedy_for_unknown(key.get_ref(), names.clone());
        reader.mistakes.add(&reader.source.place(key.span().start), what, remedy);
    }
    let entries = |section: &'static SectionKind| reader.entries(root.get(section.name), section, "");
    Config {
        version: 1,
        node: node::read(&reader.section(root, &node::SECTION), directory),
        runtime: runtime::read(&reader.section(root, &runtime::SECTION)),
        listen: listen::read(&reader.section(root, &listen::SECTION), directory),
        session: session::read(&reader.section(root, &session::SECTION)),
        store: store::read(&reader.section(root, &store::SECTION), directory),
        spool: spool::read(&reader.section(root, &spool::SECTION)),
        relay: relay::read(&reader.section(root, &relay::SECTION)),
        cdr: cdr::read(&reader.section(root, &cdr::SECTION), directory),
        customers: entries(&customers::SECTION)
            .iter()
            .map(|entry| customers::read(entry, directory))
            .collect(),
        vendors: entries(&vendors::SECTION).iter().map(|entry| vendors::read(entry, directory)).collect(),
        routes: entries(&routes::SECTION).iter().map(routes::read).collect(),
        mo_routes: entries(&mo_routes::SECTION).iter().map(mo_routes::read).collect(),
        networks: entries(&networks::SECTION).iter().map(networks::read).collect(),
        error_maps: entries(&error_maps::SECTION).iter().map(error_maps::read).collect(),
    }
}
