//! A file system in memory that can lose, tear and flip what was written, fill up, and fail. For tests and simulation.
//!
//! What a disk may do is modelled by sectors: after a power cut each sector that was written and not synced is there or
//! not, whatever the order of writing; lengths and names that were not synced are the old or the new ones. The end of
//! the process alone loses nothing.

use crate::Files;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

/// Octets that are written whole or not at all.
const SECTOR: usize = 512;

/// A file: the octets that a process sees, and those that are on disk for sure.
#[derive(Clone, Default)]
struct Node {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since the last sync.
    dirty: BTreeSet<usize>,
}

/// Handle of an open file.
pub struct SimulatedFile(usize);

/// What goes wrong, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Octets that all files together may have; a write over it leaves a part and fails. 0: no bound.
    pub octets_max: usize,
    /// So many more operations that change anything succeed, then `failing` of them fail.
    pub fail_after: Option<u32>,
    /// How many fail then; afterwards all is well again.
    pub failing: u32,
    /// A sync that fails has written everything all the same.
    pub fails_late: bool,
}

#[derive(Clone, Default)]
struct State {
    nodes: Vec<Node>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    folders: BTreeSet<String>,
    faults: Faults,
}

/// See the module. Clones are the same file system.
#[derive(Clone, Default)]
pub struct Simulated(Rc<RefCell<State>>);

impl Simulated {
    /// Another one with the same contents.
    pub fn copy(&self) -> Simulated {
        Simulated(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// From now on this goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.0.borrow_mut().faults = faults;
    }

    /// The power goes. `chance` is asked of each thing that was not synced: whether it is on disk.
    pub fn cut_power(&self, mut chance: impl FnMut() -> bool) {
        let mut state = self.0.borrow_mut();
        for node in &mut state.nodes {
            let keeps_length = chance();
            let length = if keeps_length { node.seen.len() } else { node.durable.len() };
            let mut octets = node.durable.clone();
            octets.resize(length, 0);
            for sector in &node.dirty {
                let from = (sector * SECTOR).min(length);
                let to = ((sector + 1) * SECTOR).min(length).min(node.seen.len());
                if from < to && chance() {
                    octets[from..to].copy_from_slice(&node.seen[from..to]);
                }
            }
            *node = Node { seen: octets.clone(), durable: octets, dirty: BTreeSet::new() };
        }
        let State { names, durable_names, .. } = &mut *state;
        let changed: BTreeSet<String> = names
            .keys()
            .chain(durable_names.keys())
            .filter(|name| names.get(*name) != durable_names.get(*name))
            .cloned()
            .collect();
        for name in changed {
            let keeps = chance();
            let node = if keeps { names.get(&name) } else { durable_names.get(&name) }.copied();
            match node {
                Some(node) => names.insert(name, node),
                None => names.remove(&name),
            };
        }
        *durable_names = names.clone();
    }

    /// Every file and its octets.
    pub fn dump(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.0.borrow();
        state.names.iter().map(|(name, node)| (name.clone(), state.nodes[*node].seen.clone())).collect()
    }

    /// Puts other octets into a file, on disk at once.
    pub fn set(&self, path: &str, octets: Vec<u8>) {
        let mut state = self.0.borrow_mut();
        let node = Node { seen: octets.clone(), durable: octets, dirty: BTreeSet::new() };
        match state.names.get(path).copied() {
            Some(at) => state.nodes[at] = node,
            None => {
                state.nodes.push(node);
                let at = state.nodes.len() - 1;
                state.names.insert(path.to_owned(), at);
                state.durable_names.insert(path.to_owned(), at);
            }
        }
    }

    /// Removes everything whose name begins with this.
    pub fn lose(&self, prefix: &str) {
        let mut state = self.0.borrow_mut();
        state.names.retain(|name, _| !name.starts_with(prefix));
        state.durable_names.retain(|name, _| !name.starts_with(prefix));
        state.folders.retain(|name| !name.starts_with(prefix));
    }

    /// Fails if it is time to.
    fn change(&self) -> io::Result<std::cell::RefMut<'_, State>> {
        let mut state = self.0.borrow_mut();
        match &mut state.faults {
            Faults { fail_after: Some(0), failing: 0, .. } => state.faults.fail_after = None,
            Faults { fail_after: Some(0), failing, .. } => {
                *failing -= 1;
                return Err(io::Error::other("simulated"));
            }
            Faults { fail_after: Some(left), .. } => *left -= 1,
            Faults { fail_after: None, .. } => {}
        }
        Ok(state)
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Files for Simulated {
    type File = SimulatedFile;

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        self.change()?.folders.insert(folder.to_owned());
        Ok(())
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.0.borrow();
        let prefix = format!("{folder}/");
        let names: Vec<String> =
            state.names.keys().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect();
        if names.is_empty() && !state.folders.contains(folder) { Err(not_found()) } else { Ok(names) }
    }

    fn create(&self, path: &str) -> io::Result<SimulatedFile> {
        let mut state = self.change()?;
        state.nodes.push(Node::default());
        let at = state.nodes.len() - 1;
        state.names.insert(path.to_owned(), at);
        Ok(SimulatedFile(at))
    }

    fn open(&self, path: &str) -> io::Result<SimulatedFile> {
        self.0.borrow().names.get(path).map(|at| SimulatedFile(*at)).ok_or_else(not_found)
    }

    fn length(&self, file: &SimulatedFile) -> io::Result<u64> {
        Ok(self.0.borrow().nodes[file.0].seen.len() as u64)
    }

    fn read_at(&self, file: &SimulatedFile, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.0.borrow();
        let octets = state.nodes[file.0].seen.get(at as usize..).unwrap_or_default();
        let read = octets.len().min(into.len());
        into[..read].copy_from_slice(&octets[..read]);
        Ok(read)
    }

    fn write_at(&self, file: &SimulatedFile, at: u64, octets: &[u8]) -> io::Result<()> {
        let failed = self.change().err();
        let mut state = self.0.borrow_mut();
        let others: usize = state.names.values().map(|node| state.nodes[*node].seen.len()).sum();
        let max = state.faults.octets_max;
        let node = &mut state.nodes[file.0];
        let end = at as usize + octets.len();
        let grows = end.saturating_sub(node.seen.len());
        let is_full = max > 0 && others + grows > max;
        // A write that fails has written a part.
        let part = if failed.is_some() || is_full { octets.len() / 2 } else { octets.len() };
        let to = at as usize + part;
        if node.seen.len() < to {
            node.seen.resize(to, 0);
        }
        node.seen[at as usize..to].copy_from_slice(&octets[..part]);
        node.dirty.extend(at as usize / SECTOR..to.div_ceil(SECTOR));
        match (failed, is_full) {
            (Some(error), _) => Err(error),
            (None, true) => Err(io::ErrorKind::StorageFull.into()),
            (None, false) => Ok(()),
        }
    }

    fn cut(&self, file: &SimulatedFile, length: u64) -> io::Result<()> {
        let mut state = self.change()?;
        let node = &mut state.nodes[file.0];
        node.seen.truncate(length as usize);
        node.dirty.retain(|sector| sector * SECTOR < length as usize);
        Ok(())
    }

    fn sync(&self, file: &SimulatedFile) -> io::Result<()> {
        let failed = self.change().err();
        let mut state = self.0.borrow_mut();
        let fails_late = state.faults.fails_late;
        let node = &mut state.nodes[file.0];
        let dirty = std::mem::take(&mut node.dirty);
        if failed.is_none() || fails_late {
            node.durable.resize(node.seen.len(), 0);
            for sector in dirty {
                let from = (sector * SECTOR).min(node.seen.len());
                let to = ((sector + 1) * SECTOR).min(node.seen.len());
                node.durable[from..to].copy_from_slice(&node.seen[from..to]);
            }
        }
        // Else what was to be written is dropped: a later sync succeeds without it, as Linux has it.
        failed.map_or(Ok(()), Err)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.change()?;
        if let Some(node) = state.names.remove(from) {
            state.names.insert(to.to_owned(), node);
            return Ok(());
        }
        if !state.folders.remove(from) {
            return Err(not_found());
        }
        state.folders.insert(to.to_owned());
        let prefix = format!("{from}/");
        let inside: Vec<String> =
            state.names.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
        for name in inside {
            if let Some(node) = state.names.remove(&name) {
                state.names.insert(format!("{to}/{}", &name[prefix.len()..]), node);
            }
        }
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.change()?.names.remove(path).map(drop).ok_or_else(not_found)
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.change()?;
        let is_inside = |name: &String| name.rsplit_once('/').map_or("", |(above, _)| above) == folder;
        let State { names, durable_names, .. } = &mut *state;
        durable_names.retain(|name, _| !is_inside(name));
        durable_names.extend(
            names.iter().filter(|(name, _)| is_inside(name)).map(|(name, node)| (name.clone(), *node)),
        );
        Ok(())
    }
}
