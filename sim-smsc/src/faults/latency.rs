use std::time::Duration;

use crate::scenario::Section;

/// Answers take longer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowResponses {
    /// The usual latency times this.
    pub factor: f64,
    /// And so much on top.
    pub add: Duration,
}

impl SlowResponses {
    pub(crate) fn read(section: &mut Section<'_>) -> SlowResponses {
        SlowResponses {
            factor: section.number("factor", 0.0..=1e6).unwrap_or(1.0),
            add: section.duration("add").unwrap_or_default(),
        }
    }

    /// Never longer than a day.
    pub(crate) fn stretch(&self, usual: Duration) -> Duration {
        let seconds = usual.as_secs_f64() * self.factor + self.add.as_secs_f64();
        Duration::from_secs_f64(seconds.min(86_400.0))
    }
}
