//! What the target promises, and what it may do: the judge's rules.

use std::time::Duration;

use ledger::ReceiptField;

use super::fields::Fields;
use super::{Drain, Mix, Phase};
use crate::reconcile::{Limit, Rules, STALL_MAX_NS};

/// Rules of a scenario: `[expect]`, with what other sections say.
pub(crate) fn rules(
    root: &Fields<'_>,
    unknown_status: u32,
    rewrites: Vec<String>,
    mixes: &[Mix],
    phases: &[Phase],
    stall_max: Duration,
) -> Rules {
    let expect = root.section_or_empty("expect");
    let drain: Option<Drain> = phases.last().and_then(|phase| phase.drain);
    let rules = Rules {
        unknown_status,
        rewrites,
        order: expect.bool_or("order", false),
        parts_at_one_site: expect
            .choice("parts", &[("one-site", true), ("any-site", false)])
            .unwrap_or(false),
        expect_sites: mixes.iter().map(|mix| mix.expect_site.clone()).collect(),
        limits: expect.tables("limit").iter().map(limit).collect(),
        drained: drain.is_some(),
        excused_max: expect
            .value("excused_max")
            .is_some()
            .then(|| expect.integer_or("excused_max", 0, 0..=i64::MAX) as u64),
        duplicate_receipts_max: expect.integer_or("duplicate_receipts_max", 0, 0..=i64::MAX) as u64,
        stall_max_ns: stall_max.as_nanos() as u64,
    };
    expect.finish();
    rules
}

/// Names of receipt fields that the target may rewrite.
pub(crate) fn rewrites(target: &Fields<'_>) -> Vec<String> {
    let names = target.strings("rewrites");
    let known: Vec<_> = ReceiptField::ALL.iter().map(|field| field.name()).collect();
    for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
        target
            .wrong("rewrites", &format!("{name:?} is no field of a receipt; known are {}", known.join(", ")));
    }
    names
}

fn limit(fields: &Fields<'_>) -> Limit {
    let per_bind = fields.choice("per", &[("bind", true), ("account", false)]).unwrap_or(true);
    let rate = fields.integer_or("rate", 0, 0..=NUMBER_MAX) as f64;
    let limit = Limit {
        site: fields.string("site").unwrap_or_default(),
        per_bind,
        rate,
        burst: fields.integer_or("burst", (rate as i64).max(1), 1..=NUMBER_MAX) as f64,
        window: fields.integer_or("window", 0, 0..=NUMBER_MAX) as u32,
        binds: fields.integer_or("binds", 0, 0..=NUMBER_MAX) as u32,
    };
    if limit.rate == 0.0 && limit.window == 0 && limit.binds == 0 {
        fields.wrong("site", "a limit limits nothing; write rate, window or binds");
    }
    fields.finish();
    limit
}

/// The longest time a simulator's loop may stand still.
pub(crate) const STALL_MAX: Duration = Duration::from_nanos(STALL_MAX_NS);

/// Far beyond any limit that a site has.
const NUMBER_MAX: i64 = 10_000_000;
