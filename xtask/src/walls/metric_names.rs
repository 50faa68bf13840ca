//! Metric names stand in one list: no string elsewhere in the gateway looks like one.

use super::Finding;
use super::source::Source;

const LIST: &str = "gateway/control/src/metrics/names.rs";
/// How our metric names begin; `PREFIX` of the list, with its underscore. A test holds them together.
const PREFIX: &str = "smppgw_";

pub(super) fn check(sources: &[Source]) -> Vec<Finding> {
    let bound = sources.iter().filter(|source| source.path.starts_with("gateway/") && source.path != LIST);
    bound
        .flat_map(|source| {
            source.before_tests(&source.code).flat_map(move |(number, line)| {
                let names = line.split('"').skip(1).step_by(2).filter(|text| is_metric(text));
                names.map(move |name| {
                    Finding::new(&source.path, number, format!("metric name {name} outside the list"))
                })
            })
        })
        .collect()
}

fn is_metric(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    plain && text.len() > PREFIX.len() && text.starts_with(PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_list_are_found() {
        for (path, text, count) in [
            ("gateway/shard/src/a.rs", "count(\"smppgw_submits_total\");", 1),
            ("gateway/shard/src/a.rs", "put(\"smppgw_vendor_links\", \"smppgw_shards\");", 2),
            (LIST, "count(\"smppgw_submits_total\");", 0),
            ("gateway/shard/src/a.rs", "prefix(\"smppgw_\");", 0),
            ("gateway/shard/src/a.rs", "name(\"gateway_relay\");", 0),
            ("gateway/shard/src/a.rs", "setting(\"queue_max_bytes\");", 0),
        ] {
            assert_eq!(check(&[Source::new(path, text)]).len(), count, "{path}: {text}");
        }
    }

    #[test]
    fn the_list_has_this_prefix() {
        let list = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../gateway/control/src/metrics/names.rs"
        ));
        let declared = format!("pub const PREFIX: &str = \"{}\";", PREFIX.trim_end_matches('_'));
        assert!(list.unwrap().contains(&declared), "no {declared} in {LIST}");
    }
}
