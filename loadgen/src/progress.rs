//! What is shown while a run goes on: a moving bar on a terminal, a line a second elsewhere.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::measure::Interval;
use crate::scenario::Scenario;

/// How progress is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ui {
    /// A bar when standard error is a terminal, lines otherwise.
    Auto,
    /// A line a second.
    Line,
    /// A bar.
    Tui,
    /// Nothing.
    #[default]
    None,
}

impl std::str::FromStr for Ui {
    type Err = String;

    fn from_str(text: &str) -> Result<Ui, String> {
        match text {
            "auto" => Ok(Ui::Auto),
            "line" => Ok(Ui::Line),
            "tui" => Ok(Ui::Tui),
            "none" => Ok(Ui::None),
            other => Err(format!("{other:?} is none of auto, line, tui, none")),
        }
    }
}

/// Shows seconds as they pass, on standard error.
pub(crate) struct Progress {
    ui: Ui,
    bar: Option<ProgressBar>,
    /// Ends of the sending phases in seconds from the begin, with their names; the drain comes last.
    phases: Vec<(f64, String)>,
}

impl Progress {
    pub(crate) fn new(ui: Ui, scenario: &Scenario) -> Progress {
        let ui = match ui {
            Ui::Auto if std::io::stderr().is_terminal() => Ui::Tui,
            Ui::Auto => Ui::Line,
            other => other,
        };
        let mut end = Duration::ZERO;
        let phases = scenario.phases.iter().map(|phase| {
            end += phase.duration;
            (if phase.drain.is_some() { f64::INFINITY } else { end.as_secs_f64() }, phase.name.clone())
        });
        let bar = (ui == Ui::Tui).then(|| bar(&scenario.name, scenario.duration()));
        Progress { ui, bar, phases: phases.collect() }
    }

    /// A second is over.
    pub(crate) fn second(&mut self, interval: &Interval) {
        if self.ui == Ui::None {
            return;
        }
        let line = self.line(interval);
        match &self.bar {
            Some(bar) => {
                bar.set_position(interval.second + 1);
                bar.set_message(line);
            }
            // Who closed standard error does not want to see it.
            None => {
                let _ = writeln!(std::io::stderr(), "{:>4}s {line}", interval.second + 1);
            }
        }
    }

    /// A little time passed.
    pub(crate) fn tick(&mut self) {
        if let Some(bar) = &self.bar {
            bar.tick();
        }
    }

    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
    }

    fn line(&self, interval: &Interval) -> String {
        let phase = self.phases.iter().find(|(end, _)| (interval.second as f64) < *end);
        let phase = phase.map_or("", |(_, name)| name.as_str());
        let mut line = format!(
            "{phase:<10} {:>8}/s answered {:>8}/s receipts · p50 {} p99 {} · {} in flight, {} waiting, {} sessions",
            interval.ok,
            interval.receipts,
            seconds(interval.submit_rt.quantile(0.5)),
            seconds(interval.submit_rt.quantile(0.99)),
            interval.in_flight,
            interval.queued,
            interval.links,
        );
        if interval.errors > 0 {
            line += &format!(", {} errors", interval.errors);
        }
        line
    }
}

/// Seconds for people: three digits and a unit.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        v if v < 1e-3 => format!("{:.0} us", v * 1e6),
        v if v < 10e-3 => format!("{:.2} ms", v * 1e3),
        v if v < 100e-3 => format!("{:.1} ms", v * 1e3),
        v if v < 1.0 => format!("{:.0} ms", v * 1e3),
        v => format!("{v:.2} s"),
    }
}

fn bar(name: &str, duration: Duration) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos:>3}/{len}s {wide_msg}");
    let bar = ProgressBar::with_draw_target(Some(duration.as_secs().max(1)), ProgressDrawTarget::stderr());
    bar.set_prefix(name.to_owned());
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}
