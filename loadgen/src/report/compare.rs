//! Two runs side by side.

use super::Report;
use crate::progress::seconds;

/// A table of what differs between two runs. Says so when the runs took place under other conditions, because then
/// a difference means nothing.
pub fn compare(a: &Report, b: &Report) -> String {
    let mut out = format!(
        "A {} · {} · commit {}\nB {} · {} · commit {}\n",
        a.name, a.begin, a.commit, b.name, b.begin, b.commit
    );
    for (what, differs) in [
        ("machines", a.machine != b.machine),
        ("back ends", a.backend != b.backend),
        ("scenarios", a.scenario != b.scenario),
        ("seeds", a.seed != b.seed),
    ] {
        if differs {
            out += &format!("warning: the {what} differ\n");
        }
    }
    if a.code != 0 || b.code != 0 {
        out += &format!("warning: A ended {}, B ended {}\n", a.result, b.result);
    }
    out += &format!("{:<32} {:>14} {:>14} {:>9}\n", "", "A", "B", "change");
    for (name, was) in &a.metrics {
        let Some(is) = b.metrics.get(name) else { continue };
        if !SHOWN.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let time = name.contains(".rt.") || name.contains(".st.") || name.contains(".lag.");
        let cell = |value: f64| if time { seconds(value) } else { format!("{value:.0}") };
        let change = if *was == 0.0 { "-".into() } else { format!("{:+.1} %", 100.0 * (is - was) / was) };
        out += &format!("{name:<32} {:>14} {:>14} {change:>9}\n", cell(*was), cell(*is));
    }
    out
}

/// What is worth a line.
const SHOWN: [&str; 9] = [
    ".rate",
    ".errors",
    ".unanswered",
    "submit.rt.p50",
    "submit.rt.p99",
    "submit.rt.p99.9",
    "receipt.rt.p50",
    "receipt.rt.p99",
    ".lag.p99.9",
];
