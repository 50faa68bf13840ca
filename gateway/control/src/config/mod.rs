//! From a file and the environment to typed options, or to every mistake at once.
//!
//! ```text
//!   text --parse--> plain model (Config) --check--> no contradiction --build--> Plan, Snapshot, StoreOptions
//!   (TOML, rows)    every value with its place                                  (what the layers take)
//! ```
//!
//! Only this module knows the file format. Rows of a database become the same kind of document (`rows`), so that tables of
//! settings, `check` and `build` are the same for both sources. One file per section; each lists its settings in a table, from which
//! `docs/settings.md` is written.

mod brands;
mod build;
mod campaigns;
mod cdr;
mod check;
mod cluster;
mod customers;
mod dialect;
mod document;
mod environment;
mod error_maps;
mod fixed;
mod limits;
mod listen;
mod mistake;
mod mo_routes;
mod networks;
mod node;
mod numbers;
mod reader;
mod redis;
mod relay;
mod removed;
mod routes;
pub(crate) mod rows;
mod runtime;
mod secret;
mod session;
pub(crate) mod setting;
mod source;
mod spool;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod value;
mod vendors;
mod version;

pub use brands::Brand;
pub use build::{Built, build, snapshot};
pub use campaigns::Campaign;
pub use cdr::Cdr;
pub use cluster::Cluster;
pub use customers::Customer;
pub use document::settings_document;
pub use environment::PREFIX as ENVIRONMENT_PREFIX;
pub use error_maps::ErrorMap;
pub use fixed::keep_fixed;
pub use limits::Limits;
pub use listen::Listen;
pub use mistake::{At, Mistake, Place};
pub use mo_routes::MoRoute;
pub use networks::Network;
pub use node::Node;
pub use numbers::Number;
pub use redis::Redis;
pub use relay::Relay;
pub use routes::{Route, RouteVendor};
pub use runtime::Runtime;
pub use secret::{Credential, Secret};
pub use session::Session;
pub use source::{Source, SourceKind};
pub use spool::Spool;
pub use store::{Store, StoreKind, WriteOrder};
pub use tls::ListenTls;
pub(crate) use value::hexadecimal;
#[cfg(test)]
pub(crate) use value::show_time;
pub use value::{HostPort, parse_time};
pub use vendors::Vendor;

use environment::Overrides;
use mistake::Mistakes;
pub(crate) use mistake::Places;
use reader::{Reader, remedy_for_unknown};
use rows::{Numbers, Rows, Table};
use setting::SectionKind;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// One whole configuration, as plain data.
#[derive(Clone, Debug)]
pub struct Config {
    /// Grows with every change; that of the rows, or 1 as read from a file.
    pub version: u64,
    /// `[node]`.
    pub node: Node,
    /// `[source]`.
    pub source: Source,
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
    /// `[limits]`.
    pub limits: Limits,
    /// `[[number]]`.
    pub numbers: Vec<Number>,
    /// `[[campaign]]`.
    pub campaigns: Vec<Campaign>,
    /// `[[brand]]`.
    pub brands: Vec<Brand>,
    /// `[[error_map]]`.
    pub error_maps: Vec<ErrorMap>,
    /// `[cluster]`.
    pub cluster: Cluster,
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

impl Report {
    /// Of what was read and compiled.
    pub fn of(config: &Config, built: &Built) -> Report {
        Report {
            customers: config.customers.len(),
            vendors: config.vendors.len(),
            binds: config
                .vendors
                .iter()
                .map(|vendor| u64::from(vendor.binds_max() + vendor.receivers_max()))
                .sum(),
            routes: config.routes.len(),
            warnings: built.warnings.clone(),
        }
    }
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

/// Reads the file and the process's environment. What lies in a database is not read: see [`crate::source::load`].
///
/// # Errors
/// All mistakes, in the order of the file, then of the environment.
pub fn load(path: &Path) -> Result<Config, Vec<Mistake>> {
    NodeFile::read(path)?.parse(None)
}

/// The file of a node as it was at the start, and the environment: what each version of a database is read beside.
#[derive(Clone)]
pub struct NodeFile {
    path: PathBuf,
    text: String,
    variables: Vec<(String, String)>,
}

impl NodeFile {
    /// Reads it, without judging what stands in it.
    ///
    /// # Errors
    /// That it cannot be read.
    pub fn read(path: &Path) -> Result<NodeFile, Vec<Mistake>> {
        let text = std::fs::read(path).map_err(|error| error.to_string()).and_then(|bytes| {
            String::from_utf8(bytes)
                .map_err(|error| format!("is not UTF-8 at byte {}", error.utf8_error().valid_up_to()))
        });
        let text = text.map_err(|what| {
            let place = Places::of_text(path, "").place(0);
            vec![Mistake {
                place,
                what: format!("cannot be read: {what}"),
                remedy: "name a TOML file that can be read".into(),
            }]
        })?;
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(NodeFile { path: path.to_path_buf(), text, variables })
    }

    /// Reads and checks everything; the rows take the place of the sections that have tables.
    ///
    /// # Errors
    /// All mistakes, in the order of the file, then of the rows and the environment.
    pub(crate) fn parse(&self, rows: Option<(u64, &Rows)>) -> Result<Config, Vec<Mistake>> {
        let nothing = Rows::new();
        let (version, rows) = rows.unwrap_or((FILE_VERSION, &nothing));
        parse_with(&self.path, &self.text, &self.variables, Entries::OfSource(version, rows))
    }

    /// The same with all sections from the file, whatever it says about its source: for an import.
    ///
    /// # Errors
    /// All mistakes, in the order of the file, then of the environment.
    pub(crate) fn parse_alone(&self) -> Result<Config, Vec<Mistake>> {
        parse_with(&self.path, &self.text, &self.variables, Entries::OfFile)
    }

    /// The same with another environment.
    #[cfg(test)]
    pub(crate) fn with_variables(self, variables: Vec<(String, String)>) -> NodeFile {
        NodeFile { variables, ..self }
    }

    /// Its path and its text.
    pub(crate) fn path_and_text(&self) -> (&Path, &str) {
        (&self.path, &self.text)
    }
}

/// Where the sections come from that may lie in a database.
#[derive(Clone, Copy)]
enum Entries<'a> {
    /// From the file.
    OfFile,
    /// From where the file says; if that is a database, these rows of this version.
    OfSource(u64, &'a Rows),
}

/// Reads a text and overrides; `path` names it in mistakes, and paths within it are relative to its directory.
///
/// # Errors
/// All mistakes, in the order of the text, then of the environment.
pub fn parse(path: &Path, text: &str, variables: &[(String, String)]) -> Result<Config, Vec<Mistake>> {
    parse_with(path, text, variables, Entries::OfSource(FILE_VERSION, &Rows::new()))
}

fn parse_with(
    path: &Path,
    text: &str,
    variables: &[(String, String)],
    entries: Entries<'_>,
) -> Result<Config, Vec<Mistake>> {
    let mistakes = Mistakes::default();
    let places = Places::of_text(path, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let place = places.place(error.span().map_or(0, |span| span.start));
        mistakes.add(&place, format!("no TOML: {}", error.message()), "correct the line");
    }
    if !errors.is_empty() {
        return Err(mistakes.into_sorted()); // what stands in the file is not certain enough to judge
    }
    let overrides = Overrides::new(variables, &mistakes);
    let nothing = Rows::new();
    let (version, rows) = match entries {
        Entries::OfFile => (FILE_VERSION, &nothing),
        Entries::OfSource(version, rows) => (version, rows),
    };
    let numbers = Numbers::of(rows);
    let (row_root, row_places) = rows::document(rows, &numbers);
    let file = Document {
        reader: Reader { places: &places, overrides: &overrides, mistakes: &mistakes },
        root: root.get_ref(),
    };
    let rows = Document {
        reader: Reader { places: &row_places, overrides: &overrides, mistakes: &mistakes },
        root: &row_root,
    };
    let rows = matches!(entries, Entries::OfSource(..)).then_some(&rows);
    let config = read(&file, rows, version, path.parent().unwrap_or(Path::new("")));
    overrides.finish(&mistakes, |section, key| {
        // A row may come and go while the environment stays.
        let has_key = |table: &Table| table.section.setting(key).is_some();
        config.source.kind == SourceKind::Postgres && Table::named(section).is_some_and(has_key)
    });
    check::check(&config, &mistakes);
    if matches!(entries, Entries::OfSource(..)) {
        check::check_node(&config, &mistakes);
    }
    let mistakes = mistakes.into_sorted();
    if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
}

/// Version of a configuration that comes from a file.
const FILE_VERSION: u64 = 1;

/// Sections and how they are read.
struct Document<'a> {
    reader: Reader<'a>,
    root: &'a DeTable<'a>,
}

/// All sections, in the order of the file.
pub(crate) static SECTIONS: [&SectionKind; 20] = [
    &node::SECTION,
    &source::SECTION,
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
    &limits::SECTION,
    &numbers::SECTION,
    &campaigns::SECTION,
    &brands::SECTION,
    &error_maps::SECTION,
    &cluster::SECTION,
];

fn read<'a>(
    file: &'a Document<'a>,
    rows: Option<&'a Document<'a>>,
    version: u64,
    directory: &Path,
) -> Config {
    let Document { reader, root } = file;
    let names = SECTIONS.iter().map(|section| section.name);
    for (key, _) in root.iter().filter(|(key, _)| !names.clone().any(|name| name == key.get_ref().as_ref())) {
        let what = format!("unknown section \"{}\"", key.get_ref());
        let remedy = remedy_for_unknown(key.get_ref(), names.clone());
        reader.mistakes.add(&reader.places.place(key.span().start), what, remedy);
    }
    let node = node::read(&reader.section(root, &node::SECTION), directory);
    let source = source::read(&reader.section(root, &source::SECTION), directory, &node.state_directory);
    let rows = rows.filter(|_| source.kind == SourceKind::Postgres);
    let entries = |section: &'static SectionKind| match (rows, Table::of(section)) {
        (Some(rows), Some(table)) => {
            refuse_in_file(file, table);
            rows.reader.entries(rows.root.get(section.name), section, "")
        }
        _ => reader.entries(root.get(section.name), section, ""),
    };
    Config {
        version,
        runtime: runtime::read(&reader.section(root, &runtime::SECTION)),
        listen: listen::read(&reader.section(root, &listen::SECTION), directory),
        session: session::read(&reader.section(root, &session::SECTION)),
        store: store::read(&reader.section(root, &store::SECTION), directory),
        spool: spool::read(&reader.section(root, &spool::SECTION)),
        relay: relay::read(&reader.section(root, &relay::SECTION)),
        cdr: cdr::read(&reader.section(root, &cdr::SECTION), directory, &node.state_directory),
        customers: entries(&customers::SECTION)
            .iter()
            .map(|entry| customers::read(entry, directory))
            .collect(),
        vendors: entries(&vendors::SECTION).iter().map(|entry| vendors::read(entry, directory)).collect(),
        routes: entries(&routes::SECTION).iter().map(routes::read).collect(),
        mo_routes: entries(&mo_routes::SECTION).iter().map(mo_routes::read).collect(),
        networks: entries(&networks::SECTION).iter().map(networks::read).collect(),
        limits: limits::read(&reader.section(root, &limits::SECTION)),
        numbers: entries(&numbers::SECTION).iter().map(numbers::read).collect(),
        campaigns: entries(&campaigns::SECTION).iter().map(campaigns::read).collect(),
        brands: entries(&brands::SECTION).iter().map(brands::read).collect(),
        error_maps: entries(&error_maps::SECTION).iter().map(error_maps::read).collect(),
        cluster: cluster::read(&reader.section(root, &cluster::SECTION), directory),
        node,
        source,
    }
}

/// One truth only: what stands in the file would be ignored, and its writer would not know.
fn refuse_in_file(file: &Document<'_>, table: &Table) {
    let Some((key, _)) = file.root.iter().find(|(key, _)| key.get_ref() == table.section.name) else {
        return;
    };
    let what = format!("[[{}]] stands in the file, but [source] kind is \"postgres\"", table.section.name);
    let remedy = format!("bring it into the table {} with `gateway import`, and remove it here", table.name);
    file.reader.mistakes.add(&file.reader.places.place(key.span().start), what, remedy);
}
