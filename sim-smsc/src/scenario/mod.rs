//! Scenario files: read whole, with every mistake reported at once in its place.

mod behaviour;
mod node;
mod section;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;

pub use behaviour::{Behaviour, OnFullWindow, ResponseRule, SessionRule, WindowRule};
pub use node::Mistake;
pub(crate) use node::{Node, Value};
pub(crate) use section::{Mistakes, Section};

use crate::account::{AccountRule, Kinds};
use crate::faults::FaultSpec;
use runtime::BackendChoice;

/// Everything a run of the simulator needs to know.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// For people.
    pub name: String,
    /// All decisions depend on it.
    pub seed: u64,
    /// Run number in the keys of the MO it sends; see [`ledger::MessageKey::run`].
    pub run: u32,
    /// The file sets `run` whole, so no instance is drawn.
    pub run_is_set: bool,
    /// When the timeline of faults and MO begins.
    pub start: Start,
    /// Threads the sites are spread over, at least 1.
    pub shards: usize,
    /// Core of each shard; shards beyond the list are not pinned.
    pub cores: Vec<usize>,
    /// Which back end serves the sockets.
    pub backend: BackendChoice,
    /// Address of the control port; `None`: there is none.
    pub http: Option<SocketAddr>,
    /// The sites, at least one.
    pub sites: Vec<SiteSpec>,
    /// What befalls them.
    pub faults: Vec<FaultSpec>,
}

/// When the timeline begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Start {
    /// With the first submit at any site.
    #[default]
    FirstSubmit,
    /// When the ports are open.
    Ready,
}

/// One simulated site.
#[derive(Clone, Debug)]
pub struct SiteSpec {
    /// Its name, also in the ledger.
    pub name: String,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How it behaves.
    pub behaviour: Behaviour,
    /// Who may bind.
    pub accounts: Vec<AccountRule>,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Unreadable(String, std::io::Error),
    /// It says things that cannot be.
    #[error("{}", AllMistakes(.0))]
    Mistaken(Vec<Mistake>),
}

struct AllMistakes<'a>(&'a [Mistake]);

impl fmt::Display for AllMistakes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            write!(f, "{}{mistake}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl Scenario {
    /// Makes this start's messages unlike those of any other start of the same file.
    pub(crate) fn draw_instance(&mut self) {
        if !self.run_is_set {
            self.run = ledger::draw_instance(self.run);
        }
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Scenario, ScenarioError> {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).map_err(|error| ScenarioError::Unreadable(name.clone(), error))?;
        Scenario::parse(&text, &name)
    }

    /// Reads a text; `file` is how it is called in mistakes.
    pub fn parse(text: &str, file: &str) -> Result<Scenario, ScenarioError> {
        let (node, of_form) = Node::from_toml(text, file);
        let mistakes = Mistakes::default();
        let is_well_formed = of_form.is_empty();
        of_form.into_iter().for_each(|mistake| mistakes.add(mistake));
        let scenario = read_scenario(node, &mistakes);
        let mut found = mistakes.into_sorted();
        if !is_well_formed {
            // What was not read for its form is missing elsewhere; only the cause is of interest.
            found.retain(|mistake| mistake.path.is_empty());
        }
        if found.is_empty() { Ok(scenario) } else { Err(ScenarioError::Mistaken(found)) }
    }
}

/// Profiles that come with the program.
pub const PROFILES: [(&str, &str); 3] = [
    ("sinch-default", include_str!("../profiles/sinch-default.toml")),
    ("sinch-contract", include_str!("../profiles/sinch-contract.toml")),
    ("fast", include_str!("../profiles/fast.toml")),
];

fn read_scenario(node: Node, mistakes: &Mistakes) -> Scenario {
    let mut root = Section::new(node, "", mistakes);
    let mut run = root.section("run").unwrap_or_else(|| empty_section("run", mistakes));
    let name = run.string("name").unwrap_or_else(|| "unnamed".into());
    let seed = run.whole("seed", 0..=u64::MAX >> 1).unwrap_or(1);
    let run_set = run.whole("run", 0..=u32::MAX.into()).map(|run| run as u32);
    let start = run.choice("t0", &[("first-submit", Start::FirstSubmit), ("start", Start::Ready)]);
    let shards = run.whole("shards", 1..=SHARDS_MAX).unwrap_or(1) as usize;
    let cores =
        run.wholes("cores", 0..=4095).unwrap_or_default().into_iter().map(|core| core as usize).collect();
    let backend = run.string("backend").unwrap_or_else(|| "auto".into());
    let backend = BackendChoice::from_str(&backend).unwrap_or_else(|error| {
        run.wrong(&error.to_string());
        BackendChoice::Auto
    });
    run.finish();
    let http = match root.section("http") {
        Some(mut http) => {
            let is_off = http.take_if_text("listen", "off");
            let address = if is_off { None } else { Some(read_address(&mut http, "listen")) };
            http.finish();
            address
        }
        None => Some(SocketAddr::from(([127, 0, 0, 1], 0))),
    };
    let mut profiles = Profiles::new(root.take("profile"), mistakes);
    let mut sites = read_sites(&mut root, &mut profiles, mistakes);
    read_accounts(&mut root, &mut sites);
    for site in &sites {
        if site.spec.accounts.is_empty() {
            root.wrong(&format!("site {} has no [[account]]", site.spec.name));
        }
    }
    let faults = read_faults(&mut root, &sites);
    profiles.check_all();
    root.finish();
    let sites = sites.into_iter().map(|site| site.spec).collect();
    Scenario {
        name,
        seed,
        run: run_set.unwrap_or((seed as u32) << 16),
        run_is_set: run_set.is_some(),
        start: start.unwrap_or_default(),
        shards,
        cores,
        backend,
        http,
        sites,
        faults,
    }
}

/// A site while it is read: accounts need to know what its profile says of binds.
struct SiteDraft {
    spec: SiteSpec,
    binds_max: u32,
    over_bind: u32,
}

fn read_sites(root: &mut Section<'_>, profiles: &mut Profiles<'_>, mistakes: &Mistakes) -> Vec<SiteDraft> {
    let mut sites: Vec<SiteDraft> = Vec::new();
    let sections = root.sections("site");
    if sections.is_empty() {
        root.wrong("there is no [[site]]");
    }
    for (index, mut section) in sections.into_iter().enumerate() {
        let name = section.required("name");
        if sites.iter().any(|site| site.spec.name == name) {
            section.wrong(&format!("a second site is called {name}"));
        }
        let listen = read_address(&mut section, "listen");
        let profile = section.string("profile").unwrap_or_else(|| DEFAULT_PROFILE.into());
        let mut node = profiles.resolve(&profile, &section);
        for key in behaviour::SECTIONS {
            if let Some(over) = section.take(key) {
                let over =
                    Node { place: over.place.clone(), value: Value::Table([(key.into(), over)].into()) };
                node.merge(over, &behaviour::WHOLE);
            }
        }
        let draft = behaviour::read(Section::new(node, &format!("site[{index}]"), mistakes));
        section.finish();
        sites.push(SiteDraft {
            spec: SiteSpec { name, listen, behaviour: draft.behaviour, accounts: Vec::new() },
            binds_max: draft.binds_max,
            over_bind: draft.over_bind,
        });
    }
    sites
}

fn read_accounts(root: &mut Section<'_>, sites: &mut [SiteDraft]) {
    for mut section in root.sections("account") {
        let system_id = section.required("system_id");
        if system_id.len() > 15 {
            section.wrong("system_id has at most 15 characters");
        }
        let password = section.string("password");
        let kinds = read_kinds(&mut section);
        let binds_max = section.whole("max", 1..=u32::MAX.into());
        let over_bind = section.status("over");
        let names = section.strings("sites");
        for name in names.iter().flatten() {
            if !sites.iter().any(|site| site.spec.name == *name) {
                section.wrong(&format!("there is no site {name}"));
            }
        }
        for site in sites.iter_mut() {
            if names.as_ref().is_some_and(|names| !names.contains(&site.spec.name)) {
                continue;
            }
            if site.spec.accounts.iter().any(|account| account.system_id == system_id) {
                section.wrong(&format!("site {} has a second account {system_id}", site.spec.name));
            }
            site.spec.accounts.push(AccountRule {
                system_id: system_id.clone(),
                password: password.clone(),
                kinds,
                binds_max: binds_max.map_or(site.binds_max, |max| max as u32),
                over_bind: over_bind.unwrap_or(site.over_bind),
            });
        }
        section.finish();
    }
}

fn read_kinds(section: &mut Section<'_>) -> Kinds {
    let Some(names) = section.strings("bind_kinds") else { return Kinds::ALL };
    let has = |kind: &str| names.iter().any(|name| name == kind);
    let known = ["transmitter", "receiver", "transceiver"];
    if names.is_empty() || names.iter().any(|name| !known.contains(&name.as_str())) {
        section.wrong("bind_kinds are among transmitter, receiver, transceiver");
    }
    Kinds { transmitter: has(known[0]), receiver: has(known[1]), transceiver: has(known[2]) }
}

fn read_faults(root: &mut Section<'_>, sites: &[SiteDraft]) -> Vec<FaultSpec> {
    let sections = root.sections("fault");
    let faults: Vec<_> = sections.into_iter().filter_map(|section| FaultSpec::read(section, true)).collect();
    for name in faults.iter().filter_map(|fault| fault.site.as_ref()) {
        if !sites.iter().any(|site| site.spec.name == *name) {
            root.wrong(&format!("a fault names the site {name}, which is not there"));
        }
    }
    faults
}

fn read_address(section: &mut Section<'_>, key: &str) -> SocketAddr {
    let text = section.required(key);
    text.parse().unwrap_or_else(|_| {
        if !text.is_empty() {
            section.wrong(&format!("{key} must be an address such as 127.0.0.1:0, not {text}"));
        }
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn empty_section<'m>(path: &str, mistakes: &'m Mistakes) -> Section<'m> {
    Section::new(Node::from_json(&serde_json::json!({}), path), path, mistakes)
}

/// Profiles by name, those of the scenario before those of the program.
struct Profiles<'m> {
    own: BTreeMap<String, Node>,
    used: Vec<String>,
    mistakes: &'m Mistakes,
}

impl<'m> Profiles<'m> {
    fn new(node: Option<Node>, mistakes: &'m Mistakes) -> Profiles<'m> {
        let own = match node.map(|node| node.value) {
            Some(Value::Table(table)) => table,
            _ => BTreeMap::new(),
        };
        Profiles { own, used: Vec::new(), mistakes }
    }

    /// The profile with all it inherits laid underneath.
    fn resolve(&mut self, name: &str, user: &Section<'_>) -> Node {
        let mut layers = Vec::new();
        let mut next = Some(name.to_owned());
        while let Some(name) = next.take() {
            let Some(mut layer) = self.find(&name) else {
                user.wrong(&format!("there is no profile {name}"));
                break;
            };
            if layers.len() >= INHERIT_MAX {
                user.wrong(&format!("profile {name} inherits in a circle"));
                break;
            }
            self.used.push(name.clone());
            if let Value::Table(table) = &mut layer.value {
                next = match table.remove("inherits") {
                    Some(Node { value: Value::String(parent), .. }) => Some(parent),
                    Some(_) => {
                        user.wrong(&format!("inherits of profile {name} must be a name"));
                        None
                    }
                    // A profile of the scenario that names no parent still has every setting.
                    None if name != DEFAULT_PROFILE => Some(DEFAULT_PROFILE.into()),
                    None => None,
                };
            }
            layers.push(layer);
        }
        let mut whole = Node::from_json(&serde_json::json!({}), name);
        for layer in layers.into_iter().rev() {
            whole.merge(layer, &behaviour::WHOLE);
        }
        whole
    }

    fn find(&self, name: &str) -> Option<Node> {
        if let Some(node) = self.own.get(name) {
            return Some(node.clone());
        }
        let (_, text) = PROFILES.into_iter().find(|(known, _)| *known == name)?;
        Some(Node::from_toml(text, &format!("profile {name}")).0)
    }

    /// A profile that no site uses is read all the same: its mistakes count.
    fn check_all(&mut self) {
        for (name, node) in self.own.clone() {
            if !self.used.contains(&name) {
                let user = Section::new(node, &format!("profile.{name}"), self.mistakes);
                let node = self.resolve(&name, &user);
                behaviour::read(Section::new(node, &format!("profile.{name}"), self.mistakes));
            }
        }
    }
}

const DEFAULT_PROFILE: &str = "sinch-default";

/// Profiles in a chain; more is a circle.
const INHERIT_MAX: usize = 8;

/// Threads of one simulator; more sites than this share them.
const SHARDS_MAX: u64 = 64;

#[cfg(test)]
mod tests;
