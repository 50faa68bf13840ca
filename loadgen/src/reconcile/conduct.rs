//! What holds over many messages: order, parts, sites, limits.

use std::collections::HashMap;

use ledger::{Kind, MessageKey, Record};

use super::Site;
use super::offence::{Class, Finding, Findings};
use super::rules::{Limit, Rules};
use super::table::{SITE, Table};

/// Watches acceptances as they are read, in each site's order.
#[derive(Default)]
pub(super) struct Conduct {
    /// Number of the last message of each session of loadgen on each session of a site.
    last: HashMap<(u32, u16, u32), u32>,
    /// Token buckets by limit and by account or bind: tokens, time in nanoseconds.
    buckets: HashMap<(usize, u32), (f64, u64)>,
    /// Messages by account and sequence: first site, last part, and whether they were found split.
    parts: HashMap<(u16, u32), (u16, u8, bool)>,
}

impl Conduct {
    /// A submit that a site took or refused. The table knows of it already.
    pub(super) fn saw(&mut self, record: &Record, rules: &Rules, table: &Table, findings: &mut Findings) {
        if !matches!(record.kind, Kind::Accepted | Kind::Refused) {
            return;
        }
        for (index, limit) in rules.limits.iter().enumerate() {
            let is_here =
                table.sites.get(usize::from(record.party)).is_some_and(|site| site.name == limit.site);
            if is_here && limit.rate > 0.0 {
                self.spend(index, limit, record, findings);
            }
        }
        let Some(entry) = table.get(record.key).filter(|entry| entry.sent > 0) else { return };
        if record.kind == Kind::Refused {
            return;
        }
        let mut offend = |class, text| {
            let (key, site) = (Some(record.key), Some(record.party));
            findings.add(Finding { class, key, time_ns: record.time_ns, site, text });
        };
        if let Some(expected) = rules.expect_sites.get(usize::from(entry.mix)).filter(|name| !name.is_empty())
        {
            let name = table.sites.get(usize::from(record.party)).map_or("", |site| &site.name);
            if name != expected {
                offend(Class::WrongSite, format!("accepted by {name}, its mix expects {expected}"));
            }
        }
        // What came again after a refusal or a lost session is out of order by right.
        let is_first = entry.accepted == 1 && !entry.is(super::table::Entry::REFUSED) && entry.sent == 1;
        if rules.order && is_first {
            let last = self.last.entry((entry.link, record.party, record.link)).or_insert(entry.number);
            if entry.number < *last {
                offend(Class::OutOfOrder, "accepted behind a message that was sent after it".into());
            } else {
                *last = entry.number;
            }
        }
        if rules.parts_at_one_site && is_first {
            self.part(record.key, record.party, &mut offend);
        }
    }

    fn part(&mut self, key: MessageKey, site: u16, offend: &mut impl FnMut(Class, String)) {
        let MessageKey { account, sequence, segment, .. } = key;
        let (first_site, last, is_split) =
            self.parts.entry((account, sequence)).or_insert((site, segment, false));
        if *is_split {
            return;
        }
        *is_split = *first_site != site || segment < *last;
        if *first_site != site {
            offend(Class::Split, "its parts are at several sites".into());
        } else if segment < *last {
            offend(Class::Split, format!("part {} was accepted behind part {}", segment + 1, *last + 1));
        } else {
            *last = segment;
        }
    }

    fn spend(&mut self, index: usize, limit: &Limit, record: &Record, findings: &mut Findings) {
        let who = if limit.per_bind { record.link } else { record.number };
        let full = limit.burst.max(1.0);
        let (tokens, at) = self.buckets.entry((index, who)).or_insert((full, record.time_ns));
        let since = record.time_ns.saturating_sub(*at) as f64 / 1e9;
        *tokens = (*tokens + since * limit.rate).min(full) - 1.0;
        *at = (*at).max(record.time_ns);
        if *tokens < -TOLERANCE {
            *tokens = 0.0;
            let what = if limit.per_bind { "bind" } else { "account" };
            findings.add(Finding {
                class: Class::OverLimit,
                key: Some(record.key),
                time_ns: record.time_ns,
                site: Some(record.party),
                text: format!("more than {}/s and {full} at once on one {what}", limit.rate),
            });
        }
    }

    /// Windows and binds, by the sessions of the sites.
    pub(super) fn sessions(events: &[Record], rules: &Rules, sites: &[Site], findings: &mut Findings) {
        let mut standing: HashMap<(u16, u32), u32> = HashMap::new();
        for event in events.iter().filter(|event| event.party >= SITE) {
            let site = event.party - SITE;
            let here =
                |limit: &&Limit| sites.get(usize::from(site)).is_some_and(|known| known.name == limit.site);
            let mut offend = |text| {
                let class = Class::OverLimit;
                findings.add(Finding { class, key: None, time_ns: event.time_ns, site: Some(site), text });
            };
            let count = standing.entry((site, event.number)).or_default();
            match event.kind {
                Kind::LinkUp => {
                    *count += 1;
                    for limit in rules.limits.iter().filter(here).filter(|limit| limit.binds > 0) {
                        if *count > limit.binds {
                            offend(format!("{count} binds of one account, {} allowed", limit.binds));
                        }
                    }
                }
                Kind::LinkDown => {
                    *count = count.saturating_sub(1);
                    for limit in rules.limits.iter().filter(here).filter(|limit| limit.window > 0) {
                        if event.status > limit.window {
                            offend(format!(
                                "{} submits unanswered on one bind, {} allowed",
                                event.status, limit.window
                            ));
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Clocks of site and limiter need not agree to the last token.
const TOLERANCE: f64 = 0.5;
