//! The arrows between our crates all point down (`DESIGN`, the house): who may depend on whom.

use super::Finding;
use crate::project::Metadata;

/// A member, what it may use, and what its tests may use besides.
const ARROWS: &[(&str, &[&str], &[&str])] = &[
    ("smpp", &[], &[]),
    ("test-needs", &[], &[]),
    ("journal", &[], &[]),
    ("runtime", &["test-needs"], &[]),
    ("link", &["smpp", "runtime"], &[]),
    ("gateway-relay", &["smpp"], &[]),
    ("gateway-simulation", &["smpp", "gateway-relay"], &[]),
    ("gateway-shard", &["smpp", "runtime", "link", "gateway-relay"], &[]),
    ("postgres-server", &["test-needs"], &[]),
    ("redis-server", &["test-needs"], &[]),
    ("gateway-store", &["smpp", "runtime", "journal", "gateway-relay"], &["redis-server"]),
    (
        "gateway-control",
        &["smpp", "runtime", "link", "gateway-relay", "gateway-shard", "gateway-store"],
        &["postgres-server"],
    ),
    (
        "gateway",
        &["smpp", "runtime", "link", "gateway-relay", "gateway-shard", "gateway-store", "gateway-control"],
        &["loadgen", "sim-smsc", "ledger", "postgres-server", "redis-server", "test-needs"],
    ),
    ("ledger", &["smpp"], &[]),
    ("loadgen", &["smpp", "runtime", "link", "ledger"], &["sim-smsc"]),
    ("sim-smsc", &["smpp", "runtime", "link", "ledger"], &[]),
    ("benches", &["smpp", "runtime", "link", "gateway-relay", "gateway-shard"], &[]),
    ("limit", &[], &[]),
    ("xtask", &["postgres-server", "test-needs"], &[]),
];

pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        let Some((_, normal, tests)) = ARROWS.iter().find(|(name, ..)| *name == package.name) else {
            findings.push(Finding::new(&package.name, 0, "a member that the arrows do not know"));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            let name = dependency.name.as_str();
            // Benches may lean on themselves through dev-dependencies of the same name.
            let for_tests = dependency.kind.as_deref() == Some("dev");
            if !normal.contains(&name) && !(for_tests && (tests.contains(&name) || name == package.name)) {
                findings.push(Finding::new(&package.name, 0, format!("has no arrow to {name}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::walls::crates::tests::metadata;

    #[test]
    fn an_arrow_upwards_is_found() {
        let upwards = metadata("smpp", "runtime", None, true);
        assert_eq!(check(&upwards), [Finding::new("smpp", 0, "has no arrow to runtime")]);
        assert_eq!(check(&metadata("link", "smpp", None, true)), []);
        assert_eq!(check(&metadata("link", "bytes", None, false)), []);
    }

    #[test]
    fn tests_may_use_more() {
        assert_eq!(check(&metadata("gateway", "sim-smsc", Some("dev"), true)), []);
        assert_eq!(check(&metadata("gateway", "sim-smsc", None, true)).len(), 1);
    }

    #[test]
    fn no_arrow_leads_back() {
        let order: Vec<&str> = ARROWS.iter().map(|(name, ..)| *name).collect();
        let at = |name: &str| order.iter().position(|other| *other == name).unwrap();
        for (name, normal, _) in ARROWS {
            for below in *normal {
                assert!(at(below) < at(name), "{name} -> {below}");
            }
        }
    }
}
