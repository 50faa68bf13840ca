//! What is shipped in `deploy/` fits the program: the annotated configuration is good, and every metric that an alert or a
//! dashboard names is exported.

use gateway_control::metrics::names::METRICS;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(name)
}

/// Every name with the prefix, as it stands in a text.
fn metric_names(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c)).filter(|word| word.starts_with("smppgw_")).collect()
}

#[test]
fn the_annotated_configuration_is_good() {
    let loaded = gateway_control::source::load(&deploy("gateway.toml"));
    let loaded = loaded.unwrap_or_else(|error| panic!("{error}"));
    let report = gateway_control::Report::of(&loaded.config, &loaded.built);
    assert_eq!(report.to_string(), "ok: 1 customers, 2 vendors with 8 binds, 1 routes");
}

/// The shipped unit and image may write to the state directory and nowhere else.
#[test]
fn records_go_where_the_shipped_unit_may_write() {
    let text = std::fs::read_to_string(deploy("gateway.toml")).unwrap() + "\n[cdr]\nsinks = [\"file\"]\n";
    let config = gateway_control::config::parse(&deploy("gateway.toml"), &text, &[]).unwrap();
    let unit = std::fs::read_to_string(deploy("smpp-gateway.service")).unwrap();
    let state = unit.lines().find_map(|line| line.strip_prefix("StateDirectory=")).unwrap();
    let writable = Path::new("/var/lib").join(state);
    assert_eq!(config.node.state_directory, writable);
    assert!(config.cdr.directory.starts_with(&writable), "{}", config.cdr.directory.display());
}

#[test]
fn alerts_and_dashboards_name_what_is_exported() {
    let exported: BTreeSet<String> = METRICS.iter().map(|metric| metric.exported_name()).collect();
    for file in ["prometheus-rules.yml", "grafana-dashboard.json"] {
        let text = std::fs::read_to_string(deploy(file)).unwrap();
        let names = metric_names(&text);
        assert!(names.len() > 10, "{file} names {names:?}");
        for name in names {
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(exported.contains(name), "{file} names {name}, which is not exported");
        }
    }
}
