//! `gateway route explain`: why a message would go where, by a configuration or by a running gateway. Nothing is sent.

use crate::trace::{ask, encoded};
use anyhow::{Context, bail};
use control::{RouteAsked, RouteExplained, explain_route};
use std::fmt::Write;
use std::net::ToSocketAddrs;
use std::path::PathBuf;

/// What to ask about routes.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Why a message would go where. Nothing is sent.
    Explain(Arguments),
}

/// The message, and whom to ask.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A configuration; its vendors are assumed to be bound and well
    #[arg(long, required_unless_present = "url", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// HTTP port of a running gateway, such as http://127.0.0.1:9400; its vendors are as they are
    #[arg(long)]
    url: Option<String>,
    /// Source address
    #[arg(long, default_value = "")]
    from: String,
    /// Destination address
    #[arg(long)]
    to: String,
    /// system_id of the customer
    #[arg(long)]
    customer: String,
    /// data_coding of the text
    #[arg(long, default_value_t = 0)]
    data_coding: u8,
    /// When it arrives: a moment such as 2026-01-31T08:00:00Z, or seconds since 1970 (default: now)
    #[arg(long)]
    at: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// # Errors
/// When the configuration is wrong or the gateway cannot be asked.
pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    let Command::Explain(arguments) = command;
    let asked = RouteAsked {
        from: arguments.from.clone(),
        to: arguments.to.clone(),
        customer: arguments.customer.clone(),
        data_coding: arguments.data_coding,
        at: arguments.at.as_deref().map(moment).transpose()?,
    };
    let explained = match (&arguments.url, &arguments.config) {
        (Some(url), _) => by_node(url, &asked)?,
        (None, Some(file)) => by_file(file, asked)?,
        (None, None) => bail!("name a configuration or a running gateway: --config or --url"),
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&explained)?);
    } else {
        print!("{}", explained.text());
    }
    Ok(())
}

/// Seconds since 1970, from these or from a moment.
fn moment(text: &str) -> anyhow::Result<u64> {
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let moment: jiff::Timestamp = text.parse().with_context(|| format!("--at {text}"))?;
    u64::try_from(moment.as_second()).context("--at before 1970")
}

fn by_file(file: &std::path::Path, asked: RouteAsked) -> anyhow::Result<RouteExplained> {
    let tell = |mistakes: Vec<control::config::Mistake>| {
        let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!(mistakes.join("\n"))
    };
    let config = control::config::load(file).map_err(tell)?;
    let snapshot = control::config::snapshot(&config).map_err(tell)?;
    Ok(explain_route(&snapshot, asked, None))
}

fn by_node(url: &str, asked: &RouteAsked) -> anyhow::Result<RouteExplained> {
    let host = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let mut addresses = host.to_socket_addrs().with_context(|| format!("--url {url}"))?;
    let address = addresses.next().with_context(|| format!("--url {url}: no address"))?;
    let mut path = String::from("/api/v1/routes/explain?");
    // Writing to a String cannot fail.
    let _ = write!(
        path,
        "from={}&to={}&customer={}&data_coding={}",
        encoded(&asked.from),
        encoded(&asked.to),
        encoded(&asked.customer),
        asked.data_coding
    );
    if let Some(at) = asked.at {
        let _ = write!(path, "&at={at}");
    }
    let (status, body) = ask(address, &path).with_context(|| format!("the gateway at {address}"))?;
    if status != 200 {
        bail!("HTTP status {status}: {}", body.trim());
    }
    serde_json::from_str(&body).context("an answer that cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_number_of_seconds() {
        assert_eq!(moment("1767225600").unwrap(), 1_767_225_600);
        assert_eq!(moment("2026-01-01T00:00:00Z").unwrap(), 1_767_225_600);
        assert_eq!(moment("2026-01-01T02:00:00+02:00").unwrap(), 1_767_225_600);
        assert!(moment("yesterday").is_err());
    }
}
