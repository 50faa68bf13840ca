//! Who may name which of the world's crates: a crate that is not a dependency cannot be named.

use super::Finding;
use crate::project::Metadata;

/// A crate of others, and the only members that may depend on it.
const OWNERS: &[(&str, &[&str])] = &[
    ("glommio", &["runtime"]),
    ("tokio", &["runtime", "gateway-store", "gateway-control", "sim-smsc"]),
    ("libc", &["runtime"]),
    ("axum", &["gateway-control", "sim-smsc"]),
    ("hyper", &["gateway-control"]),
    ("tokio-postgres", &["gateway-control"]),
    ("fred", &["gateway-store"]),
    ("fjall", &["gateway-store"]),
    ("prometheus-client", &["gateway-control"]),
    ("mio", &["limit"]),
];

pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &metadata.packages {
        // Tests may use what they like.
        let own = package.dependencies.iter().filter(|dependency| dependency.kind.as_deref() != Some("dev"));
        for dependency in own {
            let owners = OWNERS.iter().find(|(name, _)| *name == dependency.name);
            if let Some((name, owners)) = owners
                && !owners.contains(&package.name.as_str())
            {
                let what = format!("depends on {name}, which only {} may", owners.join(", "));
                findings.push(Finding::new(&package.name, 0, what));
            }
        }
    }
    findings
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::project::{Dependency, Package};

    /// A workspace of one member with one dependency.
    pub(in crate::walls) fn metadata(
        package: &str,
        dependency: &str,
        kind: Option<&str>,
        ours: bool,
    ) -> Metadata {
        let dependency = Dependency {
            name: dependency.to_owned(),
            kind: kind.map(str::to_owned),
            path: ours.then(|| dependency.into()),
        };
        let package =
            Package { name: package.to_owned(), dependencies: vec![dependency], targets: Vec::new() };
        Metadata { packages: vec![package], target_directory: "target".into() }
    }

    #[test]
    fn each_crate_has_its_owners() {
        assert_eq!(check(&metadata("runtime", "glommio", None, false)), []);
        assert_eq!(check(&metadata("link", "glommio", None, false)).len(), 1);
        assert_eq!(check(&metadata("gateway-shard", "axum", None, false)).len(), 1);
        assert_eq!(check(&metadata("gateway", "tokio", Some("dev"), false)), []);
    }
}
