//! `[runtime]`: shards, cores and the I/O back end.

use super::reader::Section;
use super::setting::{Fallback, Kind, SectionKind, Setting};
use runtime::BackendChoice;

/// How many shards run, where and on what.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The I/O back end asked for.
    pub backend: BackendChoice,
    /// Number of shards; 0 = chosen by the number of cores.
    pub shards: u32,
    /// Core of each shard; empty = the allowed cores in order.
    pub cores: Vec<usize>,
}

pub(crate) static SECTION: SectionKind = SectionKind {
    name: "runtime",
    entry_key: None,
    help: "Shards, cores and the I/O back end.",
    settings: &[
        Setting {
            key: "backend",
            kind: Kind::Choice(&["auto", "glommio", "tokio"]),
            default: Fallback::Value("auto"),
            help: "`glommio` is io_uring, `tokio` is epoll. `auto` takes the one that measured faster, `tokio`; `glommio` refuses to start where io_uring is not allowed.",
        },
        Setting {
            key: "shards",
            kind: Kind::Whole { min: 0, max: 256 },
            default: Fallback::Value("0"),
            help: "Data shards, one thread each. 0 = as many as allowed cores, or as a container's CPU quota gives, less one where there are more than two (control threads use it). Pinned, unless there is a quota.",
        },
        Setting {
            key: "cores",
            kind: Kind::Wholes { max: 4095 },
            default: Fallback::Absent,
            help: "Core of shard 0, of shard 1 and so on. Left out: the allowed cores in order.",
        },
    ],
};

pub(crate) fn read(section: &Section<'_>) -> Runtime {
    let cores: Vec<usize> = section.wholes("cores").into_iter().map(|core| core as usize).collect();
    let shards = section.whole_u32("shards");
    let mut distinct = cores.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() != cores.len() {
        section.mistake("cores", "cores names a core twice", "give each shard a core of its own");
    }
    if !cores.is_empty() && shards != 0 && cores.len() != shards as usize {
        let what = format!("cores names {} cores for {shards} shards", cores.len());
        section.mistake("cores", &what, "name one core for each shard, or leave out one of the two");
    }
    let backend = match section.text("backend").as_str() {
        "glommio" => BackendChoice::Glommio,
        "tokio" => BackendChoice::Tokio,
        _ => BackendChoice::Auto,
    };
    Runtime { backend, shards, cores }
}
