//! What tests need beside a Rust toolchain: one table of how each is found and installed.

mod debian;
mod foreign_crates;
mod npm;
mod python;

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, bail};
use test_needs::WITHOUT_VARIABLE;

/// Names the Python with the packages to the tests; without it they look for `python3`.
const PYTHON_VARIABLE: &str = "SMPPLIB_PYTHON";
/// The same for `smpp.twisted`.
const TWISTED_VARIABLE: &str = "SMPPTWISTED_PYTHON";
/// Names the `node_modules` that has `smpp`.
const NODE_VARIABLE: &str = "SMPP_NODE_MODULES";

/// One need.
#[derive(Debug)]
struct Need {
    /// Its name on the command line.
    name: &'static str,
    wanted: Wanted,
    source: Source,
}

/// Which tests need it today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    /// Unit tests and all others.
    ByUnitTests,
    /// Tests with real programs.
    ByTests,
    /// No test yet: installed when it is asked for.
    OnDemand,
}

/// Where it comes from.
#[derive(Debug)]
enum Source {
    /// A Debian package. It is there when `check` runs to its end without an error.
    Debian { package: &'static str, check: &'static [&'static str] },
    /// Debian's PostgreSQL, which keeps its programs apart by version.
    PostgreSql,
    /// Packages of PyPI, apart by blanks, in a virtual environment in the target folder.
    Python { package: &'static str, module: &'static str },
    /// A package of npm, in a folder in the target folder.
    Npm { package: &'static str },
    /// A crate of others, fetched for a package of its own in the target folder.
    Crate { name: &'static str },
    /// A right that only the machine can give.
    Kernel { remedy: &'static str },
}

static TABLE: [Need; 12] = [
    Need {
        name: "redis",
        wanted: Wanted::ByUnitTests,
        source: Source::Debian { package: "redis-server", check: &["redis-server", "--version"] },
    },
    Need { name: "postgresql", wanted: Wanted::ByUnitTests, source: Source::PostgreSql },
    // The tests find out themselves: only `runtime` knows all that io_uring must offer.
    Need {
        name: "io_uring",
        wanted: Wanted::ByUnitTests,
        source: Source::Kernel {
            remedy: "allow io_uring (seccomp profile, kernel.io_uring_disabled) and `ulimit -l`",
        },
    },
    Need {
        name: "tshark",
        wanted: Wanted::ByTests,
        source: Source::Debian { package: "tshark", check: &["tshark", "--version"] },
    },
    Need {
        name: "smpplib",
        wanted: Wanted::ByTests,
        source: Source::Python { package: "smpplib", module: "smpplib" },
    },
    Need {
        name: "kannel",
        wanted: Wanted::ByTests,
        source: Source::Debian { package: "kannel", check: &["test", "-x", "/usr/sbin/bearerbox"] },
    },
    Need {
        name: "net-smpp",
        wanted: Wanted::ByTests,
        source: Source::Debian { package: "libnet-smpp-perl", check: &["perl", "-MNet::SMPP", "-e", "1"] },
    },
    Need {
        name: "smpp.twisted3",
        wanted: Wanted::ByTests,
        source: Source::Python {
            package: "smpp.twisted3 pyOpenSSL service_identity",
            module: "smpp.twisted.client",
        },
    },
    Need {
        name: "aiosmpplib",
        wanted: Wanted::OnDemand,
        source: Source::Python { package: "aiosmpplib", module: "aiosmpplib" },
    },
    Need { name: "node-smpp", wanted: Wanted::ByTests, source: Source::Npm { package: "smpp" } },
    Need { name: "rusmpp", wanted: Wanted::OnDemand, source: Source::Crate { name: "rusmpp" } },
    Need { name: "rusmppc", wanted: Wanted::OnDemand, source: Source::Crate { name: "rusmppc" } },
];

impl Need {
    /// True when it is there; what only tests can find out counts as there.
    fn is_there(&self, target: &Path) -> bool {
        match self.source {
            Source::Debian { check, .. } => debian::runs(check),
            Source::PostgreSql => debian::has_postgresql(),
            Source::Python { module, .. } => python::imports(target, module),
            Source::Npm { package } => npm::requires(target, package),
            Source::Crate { name } => foreign_crates::is_fetched(target, name),
            Source::Kernel { .. } => true,
        }
    }

    /// Installs it; the error says what went wrong.
    fn install(&self, target: &Path) -> anyhow::Result<()> {
        println!("== installing {}", self.name);
        match self.source {
            Source::Debian { package, .. } => debian::install(&[package]),
            Source::PostgreSql => debian::install(&["postgresql"]),
            Source::Python { package, .. } => python::install(target, package),
            Source::Npm { package } => npm::install(target, package),
            Source::Crate { name } => foreign_crates::fetch(target, name),
            Source::Kernel { remedy } => bail!("no package gives it: {remedy}"),
        }
    }

    /// What a person does about it by hand.
    fn remedy(&self) -> String {
        match self.source {
            Source::Debian { package, .. } => {
                format!("as root: `apt-get update && apt-get install {package}`")
            }
            Source::PostgreSql => "as root: `apt-get update && apt-get install postgresql`".to_owned(),
            Source::Kernel { remedy } => remedy.to_owned(),
            Source::Python { .. } | Source::Npm { .. } | Source::Crate { .. } => {
                format!("`cargo xtask test --install {}`, with a way to its registry", self.name)
            }
        }
    }
}

/// What the tests are told about their needs.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Environment variables of the tests.
    pub(crate) environment: Vec<(&'static str, OsString)>,
    /// Names given up on purpose.
    pub(crate) without: Vec<&'static str>,
}

/// Sees to it that what the tests need is there, or was given up by name in `without`.
///
/// # Errors
/// For each need that is missing: why, and the remedy. Also for a name that is not known.
pub(crate) fn prepare(target: &Path, without: &[String], quick: bool) -> anyhow::Result<Prepared> {
    let without = known(without, "--without")?;
    let limit = if quick { Wanted::ByUnitTests } else { Wanted::ByTests };
    let mut missing = Vec::new();
    for need in TABLE.iter().filter(|need| need.wanted <= limit && !without.contains(&need.name)) {
        if need.is_there(target) {
            continue;
        }
        let installed = if quick {
            Err(anyhow::anyhow!("--quick installs nothing"))
        } else {
            need.install(target).and_then(|()| confirm(need, target))
        };
        if let Err(why) = installed {
            missing.push(format!(
                "{} is missing ({why:#})\n  remedy: {}\n  or: --without {}, which skips its tests",
                need.name,
                need.remedy(),
                need.name
            ));
        }
    }
    if !missing.is_empty() {
        bail!("tests cannot run here:\n{}", missing.join("\n"));
    }
    let environment = vec![
        (PYTHON_VARIABLE, python::program(target).into_os_string()),
        (TWISTED_VARIABLE, python::program(target).into_os_string()),
        (NODE_VARIABLE, npm::modules(target).into_os_string()),
        (WITHOUT_VARIABLE, without.join(",").into()),
    ];
    Ok(Prepared { environment, without })
}

/// Installs needs by name, or `all` of them, and says of each what became of it.
///
/// # Errors
/// When one is not known or cannot be installed; the others are installed all the same.
pub(crate) fn install(target: &Path, names: &[String]) -> anyhow::Result<()> {
    let all = names.iter().any(|name| name == "all");
    let names = if all { TABLE.iter().map(|need| need.name).collect() } else { known(names, "--install")? };
    let mut failed = Vec::new();
    let mut lines = Vec::new();
    for need in TABLE.iter().filter(|need| names.contains(&need.name)) {
        let word = if need.is_there(target) {
            "there".to_owned()
        } else {
            match need.install(target).and_then(|()| confirm(need, target)) {
                Ok(()) => "installed".to_owned(),
                Err(why) => {
                    failed.push(need.name);
                    format!("FAILED: {why:#}; remedy: {}", need.remedy())
                }
            }
        };
        lines.push(format!("{:<14} {word}", need.name));
    }
    println!("== needs\n{}", lines.join("\n"));
    if failed.is_empty() { Ok(()) } else { bail!("not installed: {}", failed.join(", ")) }
}

fn confirm(need: &Need, target: &Path) -> anyhow::Result<()> {
    need.is_there(target).then_some(()).context("it was installed and is still not found")
}

/// The names as the table spells them.
fn known(names: &[String], option: &str) -> anyhow::Result<Vec<&'static str>> {
    let mut found = Vec::new();
    for name in names {
        let Some(need) = TABLE.iter().find(|need| need.name == name) else {
            let all: Vec<&str> = TABLE.iter().map(|need| need.name).collect();
            bail!("{option} {name}: no such need; there are {}", all.join(", "));
        };
        found.push(need.name);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn refuses_unknown_names_and_lists_the_known() {
        let error = known(&names(&["redis", "reddis"]), "--without").unwrap_err().to_string();
        assert!(error.starts_with("--without reddis: no such need; there are redis, postgresql"), "{error}");
        assert_eq!(known(&names(&["tshark", "redis"]), "--without").unwrap(), ["tshark", "redis"]);
    }

    #[test]
    fn each_need_has_a_name_of_its_own() {
        for (at, need) in TABLE.iter().enumerate() {
            assert!(TABLE[at + 1..].iter().all(|other| other.name != need.name), "{}", need.name);
            assert!(!need.remedy().is_empty());
        }
    }

    #[test]
    fn names_a_missing_need_with_its_remedy() {
        let need = Need {
            name: "unheard-of",
            wanted: Wanted::ByTests,
            source: Source::Debian { package: "unheard-of-server", check: &["/nowhere/unheard-of"] },
        };
        assert!(!need.is_there(Path::new("/nowhere")));
        assert_eq!(need.remedy(), "as root: `apt-get update && apt-get install unheard-of-server`");
    }
}
