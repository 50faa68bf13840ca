//! `[node]`: who this gateway is and where it keeps its state.

use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Identity and state of this node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name for operators: logs and metrics.
    pub name: String,
    /// Number of this node, part of every message id. Where `id_is_auto` it is found at the start; 0 until then.
    pub id: u8,
    /// Any free number will do.
    pub id_is_auto: bool,
    /// Another node's number is free after so long a silence.
    pub id_quiet: Duration,
    /// Directory of what must survive a restart; absolute, or relative to the working directory of the program.
    pub state_directory: PathBuf,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "node",
    entry_key: None,
    help: "Who this gateway is and where it keeps its state.",
    settings: &[
        Setting {
            key: "name",
            kind: Kind::Text { bytes_max: 64 },
            default: Fallback::Value("gateway"),
            help: "Name for operators, in logs and `build_info`.",
        },
        Setting {
            key: "id",
            kind: Kind::WholeOr { max: 255, word: "auto" },
            default: Fallback::Value("0"),
            help: "Number of this node, part of every message id. Where the store is Redis a number is leased there, and one that another node has is refused by its name; `auto` takes a free one, that of last time where it can.",
        },
        Setting {
            key: "id_quiet",
            kind: Kind::Time { min: Duration::from_secs(1), max: Duration::from_secs(30 * 86_400) },
            default: Fallback::Value("24h"),
            help: "A node that was not heard of in Redis for so long has lost its id: another may take it. One that ended in order gives it back at once, and the same state directory comes back at any time. A node that cannot reach Redis for longer, and runs, gives the same ids as who took it.",
        },
        Setting {
            key: "state_directory",
            kind: Kind::Path,
            default: Fallback::Value("state"),
            help: "Directory of what must survive a restart, relative to the file; made when it is missing. One process at a time may use it.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>, directory: &Path) -> Node {
    Node {
        name: section.text("name"),
        id: section.whole("id") as u8, // bounded by the table of settings
        id_is_auto: section.text("id") == "auto",
        id_quiet: section.time("id_quiet"),
        state_directory: directory.join(section.text("state_directory")),
    }
}
