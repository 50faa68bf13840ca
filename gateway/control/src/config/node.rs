//! `[node]`: who this gateway is and where it keeps its state.

use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use std::path::{Path, PathBuf};

/// Identity and state of this node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name for operators: logs and metrics.
    pub name: String,
    /// Number of this node, part of every message id.
    pub id: u8,
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
            kind: Kind::Whole { min: 0, max: 255 },
            default: Fallback::Value("0"),
            help: "Number of this node, part of every message id. Two nodes with one number give the same ids to different messages.",
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
        state_directory: directory.join(section.text("state_directory")),
    }
}
