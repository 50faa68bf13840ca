//! Groups offences by what happened at the same time.

use std::collections::BTreeMap;

use ledger::{Kind, Record};

use super::Site;
use super::offence::Findings;
use super::table::SITE;

/// For each class the event near most of its offences: `4 of 4 within 10 ms of Chicago's unbind`.
pub(super) fn group(
    findings: &Findings,
    events: &[Record],
    sites: &[Site],
    accounts: &[String],
) -> BTreeMap<String, String> {
    let mut marks: Vec<(u64, String)> =
        events.iter().filter_map(|event| Some((event.time_ns, label(event, sites, accounts)?))).collect();
    marks.sort();
    let mut out = BTreeMap::new();
    for (class, times) in &findings.times {
        if let Some(text) = nearest(times, &marks) {
            out.insert(class.name().to_owned(), text);
        }
    }
    out
}

fn nearest(times: &[u64], marks: &[(u64, String)]) -> Option<String> {
    let mut near: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for &time in times {
        let from = marks.partition_point(|(at, _)| at + NEAR_NS < time);
        let mut seen: Vec<&str> = Vec::new();
        for (at, label) in
            marks[from..].iter().take_while(|(at, _)| *at <= time + NEAR_NS).take(MARKS_NEAR_MAX)
        {
            if !seen.contains(&label.as_str()) {
                seen.push(label);
                let (count, widest) = near.entry(label).or_default();
                *count += 1;
                *widest = (*widest).max(at.abs_diff(time));
            }
        }
    }
    let (label, (count, widest)) =
        near.into_iter().max_by_key(|(_, (count, widest))| (*count, u64::MAX - widest))?;
    let ms = widest.div_ceil(1_000_000).max(1);
    (2 * count >= times.len() as u64).then(|| format!("{count} of {} within {ms} ms of {label}", times.len()))
}

/// What happened, in words; none for what explains nothing.
pub(super) fn label(event: &Record, sites: &[Site], accounts: &[String]) -> Option<String> {
    let whose = if event.party >= SITE {
        sites.get(usize::from(event.party - SITE)).map_or("a site", |site| &site.name)
    } else {
        accounts.get(usize::from(event.party)).map_or("an account", |name| name)
    };
    Some(match event.kind {
        Kind::Fault => {
            let name = event.extra.to_le_bytes();
            format!("{whose}'s fault {}", String::from_utf8_lossy(&name).trim_end_matches('\0'))
        }
        Kind::LinkDown if event.state == 1 => format!("{whose}'s unbind"),
        Kind::LinkDown => format!("the broken session of {whose}"),
        Kind::Stall => format!("{whose}'s stall of {} ms", event.extra / 1_000_000),
        _ => return None,
    })
}

/// Offence and event belong together within this time.
const NEAR_NS: u64 = 100_000_000;

/// Events looked at for one offence.
const MARKS_NEAR_MAX: usize = 1_000;
