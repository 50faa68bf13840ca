//! `gateway migrate`, `import` and `export`: what is done with a database, not with a running gateway.

use anyhow::{Context, bail};
use clap::Args;
use control::config::Config;
use std::path::{Path, PathBuf};

/// Which database.
#[derive(Args)]
pub(crate) struct Which {
    /// The configuration of a node, TOML, which names the database.
    #[arg(long, required_unless_present = "postgres_url")]
    config: Option<PathBuf>,
    /// The database itself: postgres://user:password@host/database.
    #[arg(long, conflicts_with = "config")]
    postgres_url: Option<String>,
}

/// What to import, and where.
#[derive(Args)]
pub(crate) struct Import {
    /// The file whose customers, vendors, routes ... are taken, TOML.
    file: PathBuf,
    /// Whose change it is; without it, the database's user.
    #[arg(long)]
    author: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Brings the schemas up to date.
pub(crate) fn migrate(which: &Which) -> anyhow::Result<()> {
    let urls = match (&which.postgres_url, &which.config) {
        (Some(url), _) => vec![url.clone()],
        (None, Some(file)) => {
            let config = load(file)?;
            let source = config.source.postgres_url();
            let records = config.cdr.postgres_url().filter(|url| Some(url) != source.as_ref());
            source.into_iter().chain(records).collect()
        }
        (None, None) => Vec::new(),
    };
    if urls.is_empty() {
        bail!("the configuration names no database: set [source] postgres_url or [cdr] postgres");
    }
    for url in urls {
        control::migrate(&url)?.iter().for_each(|name| println!("applied {name}"));
    }
    println!("the schema is up to date");
    Ok(())
}

/// From a file into the tables.
pub(crate) fn import(arguments: &Import) -> anyhow::Result<()> {
    let url = arguments.which.url()?;
    let version = control::source::import(&arguments.file, &url, arguments.author.as_deref())?;
    println!("version {} by {} is in the database", version.number, version.author);
    Ok(())
}

/// From the tables to standard output.
pub(crate) fn export(which: &Which) -> anyhow::Result<()> {
    print!("{}", control::source::export(&which.url()?)?);
    Ok(())
}

impl Which {
    /// The connection string of the configuration's database.
    fn url(&self) -> anyhow::Result<String> {
        if let Some(url) = &self.postgres_url {
            return Ok(url.clone());
        }
        let config = load(self.config.as_deref().context("no database is named")?)?;
        config.source.postgres_url().context("the configuration names no database: set [source] postgres_url")
    }
}

fn load(file: &Path) -> anyhow::Result<Config> {
    control::config::load(file).map_err(|mistakes| {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(mistakes.join("\n"))
    })
}
