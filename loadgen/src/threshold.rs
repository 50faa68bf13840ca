//! What must hold for a run to pass: `steady.submit.rt.p99 < 20ms`, `total.lost == 0`, `total.rate >= 100000`.
//!
//! ```text
//! threshold := operand operator operand
//! operator  := < | <= | > | >= | == | !=
//! operand   := number [ unit ] | metric            unit: ns us ms s m h % k
//! metric    := scope "." name                      scope: a phase, `total` or `sim`
//! ```
//!
//! Times are seconds, shares are fractions of one. A metric that was not measured (the simulator's ledgers were not
//! given) makes a threshold pending, and what is pending has not passed.

use std::collections::BTreeMap;
use std::fmt;

use crate::reconcile::Class;

/// Everything measured, by name.
pub type Metrics = BTreeMap<String, f64>;

/// One comparison.
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {
    text: String,
    left: Operand,
    operator: Operator,
    right: Operand,
}

/// What became of a threshold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// It held.
    Held,
    /// It did not.
    Failed,
    /// Something it names was not measured.
    Pending,
}

impl Threshold {
    /// Reads a threshold; `phases` are the names it may use beside `total` and `sim`.
    pub fn parse(text: &str, phases: &[&str]) -> Result<Threshold, String> {
        let (at, symbol, operator) = OPERATORS
            .iter()
            .filter_map(|(symbol, operator)| text.find(symbol).map(|at| (at, *symbol, *operator)))
            .min_by_key(|(at, symbol, _)| (*at, usize::MAX - symbol.len()))
            .ok_or_else(|| format!("{text:?} compares nothing; write \"total.lost == 0\""))?;
        Ok(Threshold {
            text: text.trim().to_owned(),
            left: operand(text[..at].trim(), phases)?,
            operator,
            right: operand(text[at + symbol.len()..].trim(), phases)?,
        })
    }

    /// Compares.
    pub fn judge(&self, metrics: &Metrics) -> Judgement {
        let (Some(left), Some(right)) = (self.left.value(metrics), self.right.value(metrics)) else {
            return Judgement::Pending;
        };
        let held = match self.operator {
            Operator::Less => left < right,
            Operator::LessOrEqual => left <= right,
            Operator::Greater => left > right,
            Operator::GreaterOrEqual => left >= right,
            Operator::Equal => left == right,
            Operator::Unequal => left != right,
        };
        if held { Judgement::Held } else { Judgement::Failed }
    }

    /// What the left side measured, if anything.
    pub fn measured(&self, metrics: &Metrics) -> Option<f64> {
        self.left.value(metrics)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Names of a phase's metrics (and of `total`): every latency in these percentiles.
pub const LATENCIES: [&str; 4] = ["submit.rt", "submit.st", "receipt.rt", "receipt.st"];

/// Names within a latency.
pub const QUANTILES: [(&str, f64); 8] = [
    ("min", 0.0),
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("max", 1.0),
];

/// Names of a phase's counts and rates (and of `total`).
pub const COUNTS: [&str; 10] = [
    "due",
    "sent",
    "ok",
    "errors",
    "unanswered",
    "receipts.received",
    "rate",
    "sent_rate",
    "receipt_rate",
    "error_share",
];

/// Names under `total` alone, measured by the generator.
pub const GENERATOR: [&str; 7] =
    ["lag.p50", "lag.p99", "lag.p99.9", "lag.max", "dropped", "queue_peak", "links_closed"];

/// Names under `total` alone, known after ledgers were joined.
pub const RECONCILED: [&str; 21] = [
    "lost",
    "duplicated",
    "misrouted",
    "altered",
    "unknown",
    "refused",
    "offences",
    "receipts.lost",
    "receipts.duplicated",
    "receipts.misrouted",
    "receipts.altered",
    "receipts.unknown",
    "mo.lost",
    "mo.duplicated",
    "mo.misrouted",
    "mo.altered",
    "excused.never_left",
    "excused.before_break",
    "excused.receipts",
    "excused.unanswered_recent",
    "excused.unanswered_old",
];

/// Names under `sim`, known after ledgers were joined.
pub const SIMULATOR: [&str; 2] = ["accepted", "ambiguous"];

#[derive(Clone, PartialEq, Debug)]
enum Operand {
    Number(f64),
    Metric(String),
}

impl Operand {
    fn value(&self, metrics: &Metrics) -> Option<f64> {
        match self {
            Operand::Number(number) => Some(*number),
            Operand::Metric(name) => metrics.get(name).copied(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

const OPERATORS: [(&str, Operator); 6] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

fn operand(text: &str, phases: &[&str]) -> Result<Operand, String> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return number(text).map(Operand::Number);
    }
    let (scope, name) =
        text.split_once('.').ok_or_else(|| format!("{text:?} is neither a number nor a metric"))?;
    let of_phase = || {
        let latency = LATENCIES.iter().find_map(|latency| name.strip_prefix(latency)?.strip_prefix('.'));
        COUNTS.contains(&name)
            || latency.is_some_and(|rest| rest == "mean" || QUANTILES.iter().any(|(known, _)| *known == rest))
    };
    let known = match scope {
        "total" => of_phase() || GENERATOR.contains(&name) || RECONCILED.contains(&name) || is_offence(name),
        "sim" => SIMULATOR.contains(&name),
        phase if phases.contains(&phase) => of_phase(),
        _ => return Err(format!("no phase is named {scope:?}")),
    };
    if known { Ok(Operand::Metric(text.to_owned())) } else { Err(format!("{scope} has no metric {name:?}")) }
}

/// `offence.lost_receipts`: how often a class of offences was committed.
fn is_offence(name: &str) -> bool {
    let class = name.strip_prefix("offence.");
    class.is_some_and(|class| Class::ALL.iter().any(|known| known.metric() == class))
}

fn number(text: &str) -> Result<f64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let factor = match text[split..].trim() {
        "" => 1.0,
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "%" => 0.01,
        "k" => 1000.0,
        unit => return Err(format!("{unit:?} is no unit")),
    };
    let digits = text[..split].replace('_', "");
    digits.parse::<f64>().map(|number| number * factor).map_err(|_| format!("{text:?} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        [
            ("steady.submit.rt.p99", 0.019),
            ("steady.submit.rt.p99.9", 0.040),
            ("total.rate", 120_000.0),
            ("total.lost", 0.0),
            ("total.duplicated", 3.0),
            ("sim.ambiguous", 3.0),
            ("steady.error_share", 0.04),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    #[test]
    fn thresholds_are_judged() {
        let check = |text: &str, expected| {
            let threshold = Threshold::parse(text, &["warmup", "steady"]).unwrap();
            assert_eq!(threshold.judge(&metrics()), expected, "{text}");
        };
        check("steady.submit.rt.p99 < 20ms", Judgement::Held);
        check("steady.submit.rt.p99<19000us", Judgement::Failed);
        check("steady.submit.rt.p99 <= 19000us", Judgement::Held);
        check("steady.submit.rt.p99.9 > 0.03s", Judgement::Held);
        check("total.rate >= 100k", Judgement::Held);
        check("total.rate >= 120_001", Judgement::Failed);
        check("total.lost == 0", Judgement::Held);
        check("total.lost != 0", Judgement::Failed);
        check("total.duplicated <= sim.ambiguous", Judgement::Held);
        check("steady.error_share < 5%", Judgement::Held);
        check("total.receipts.lost == 0", Judgement::Pending);
    }

    #[test]
    fn nonsense_is_refused() {
        let check = |text: &str, word: &str| {
            let message = Threshold::parse(text, &["steady"]).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
        };
        check("total.lost", "compares nothing");
        check("total.lost == ", "neither");
        check("other.rate > 1", "no phase");
        check("steady.lost == 0", "no metric");
        check("total.speed > 1", "no metric");
        check("steady.submit.rt.p98 < 1s", "no metric");
        check("total.lost == 1x", "no unit");
        check("total.lost == 1.2.3", "no number");
    }
}
