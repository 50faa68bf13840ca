//! Metric names stand in one list: no string elsewhere in the gateway looks like one.

use super::Finding;
use super::source::Source;

const LIST: &str = "gateway/control/src/metrics/names.rs";
/// How our metric names begin.
const PREFIXES: [&str; 2] = ["gateway_", "smpp_"];
/// How a metric's name ends when it counts or measures something.
const SUFFIXES: [&str; 4] = ["_total", "_seconds", "_bytes", "_ratio"];

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
    plain
        && PREFIXES.iter().any(|prefix| text.starts_with(prefix))
        && SUFFIXES.iter().any(|suffix| text.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_outside_the_list_are_found() {
        for (path, text, count) in [
            ("gateway/shard/src/a.rs", "count(\"gateway_submits_total\");", 1),
            (LIST, "count(\"gateway_submits_total\");", 0),
            ("gateway/shard/src/a.rs", "name(\"gateway_relay\");", 0),
            ("gateway/shard/src/a.rs", "setting(\"queue_max_bytes\");", 0),
        ] {
            assert_eq!(check(&[Source::new(path, text)]).len(), count, "{path}: {text}");
        }
    }
}
