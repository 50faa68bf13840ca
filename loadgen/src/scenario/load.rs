//! How much is sent, and when.

use std::time::Duration;

use super::fields::Fields;
use super::value;

/// How messages arrive.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Who sets the pace.
    pub model: Model,
    /// How due times are spread.
    pub arrivals: Arrivals,
    /// Due messages that wait for a free window, over all accounts of a worker; 24 octets each. Beyond it messages
    /// are dropped, and the run is invalid.
    pub queue_max: usize,
}

/// Who sets the pace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    /// The schedule: a message is due at its time whatever became of those before it.
    Open,
    /// The target: every window is kept full.
    Closed,
}

/// How due times are spread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrivals {
    /// At equal distances.
    Constant,
    /// Independently of one another.
    Poisson,
}

/// A part of the run with its own statistics.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Name in thresholds and reports.
    pub name: String,
    /// Rates, one after another.
    pub rate: Vec<Span>,
    /// The rate as it was written.
    pub rate_text: String,
    /// Length, all spans together; zero for a drain.
    pub duration: Duration,
    /// Whether it counts into `total`.
    pub record: bool,
    /// Set for the last phase: nothing is sent, what is under way is waited for.
    pub drain: Option<Drain>,
}

impl Phase {
    /// Messages planned.
    pub fn messages(&self) -> f64 {
        self.rate.iter().map(Span::messages).sum()
    }
}

/// When the end of a run is reached.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// At the latest.
    pub max: Duration,
    /// Also when no answer and no receipt came for so long; zero never.
    pub quiet: Duration,
    /// So much longer the sessions stay once everything came, for what comes twice and late.
    pub linger: Duration,
}

/// A stretch of time in which the rate changes evenly.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Span {
    /// Messages a second at its begin.
    pub from: f64,
    /// Messages a second at its end.
    pub to: f64,
    /// Its length.
    pub duration: Duration,
}

impl Span {
    /// Messages planned.
    pub fn messages(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.duration.as_secs_f64()
    }
}

/// A stretch of time to shade in plots.
#[derive(Clone, PartialEq, Debug)]
pub struct FaultSpan {
    /// What is broken.
    pub name: String,
    /// From the first due message.
    pub at: Duration,
    /// For how long.
    pub duration: Duration,
}

pub(crate) fn load(fields: &Fields<'_>) -> Load {
    let models = [("open", Model::Open), ("closed", Model::Closed)];
    let arrivals = [("constant", Arrivals::Constant), ("poisson", Arrivals::Poisson)];
    let load = Load {
        model: fields.choice("model", &models).unwrap_or(Model::Open),
        arrivals: fields.choice("arrivals", &arrivals).unwrap_or(Arrivals::Constant),
        queue_max: fields.integer_or("queue_max", QUEUE_MAX, 1..=1_000_000_000) as usize,
    };
    fields.finish();
    load
}

pub(crate) fn phases(root: &Fields<'_>, model: Model) -> Vec<Phase> {
    let tables = root.tables("phase");
    let count = tables.len();
    let mut phases: Vec<Phase> = Vec::new();
    for (index, fields) in tables.iter().enumerate() {
        let phase = phase(fields, model);
        if phase.drain.is_some() && index + 1 != count {
            fields.wrong("until", "only the last phase can be a drain");
        }
        if phases.iter().any(|other| other.name == phase.name) {
            fields.wrong("name", &format!("{:?} is used twice", phase.name));
        }
        phases.push(phase);
    }
    if !phases.iter().any(|phase| phase.drain.is_none()) {
        root.wrong("phase", "at least one that sends is needed");
    }
    if phases.len() > PHASES_MAX {
        root.wrong("phase", &format!("at most {PHASES_MAX}"));
    }
    phases
}

pub(crate) fn fault(fields: &Fields<'_>) -> FaultSpan {
    let span = FaultSpan {
        name: fields.string("name").unwrap_or_default(),
        at: fields.duration_or("at", Duration::ZERO),
        duration: fields.duration_or("for", Duration::from_secs(1)),
    };
    fields.finish();
    span
}

fn phase(fields: &Fields<'_>, model: Model) -> Phase {
    let name = fields.string("name").unwrap_or_default();
    if name.is_empty()
        || !name.bytes().all(|c| c.is_ascii_alphanumeric() || b"_-".contains(&c))
        || RESERVED.contains(&&*name)
    {
        fields
            .wrong("name", &format!("must be letters, digits, - and _, and none of {}", RESERVED.join(", ")));
    }
    let rate_text = match fields.value("rate") {
        None => "0".to_owned(),
        Some(toml::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let drain = drain(fields);
    let duration = match (fields.duration_or_none("for"), drain.is_some()) {
        (Some(duration), false) => duration,
        (None, true) => Duration::ZERO,
        (Some(_), true) => {
            fields.wrong("for", "a drain ends by itself; its limit is `max`");
            Duration::ZERO
        }
        (None, false) => {
            fields.wrong("for", "missing: how long shall the phase last?");
            Duration::ZERO
        }
    };
    let rate = value::rate(&rate_text, duration).unwrap_or_else(|message| {
        fields.wrong("rate", &message);
        Vec::new()
    });
    if drain.is_none() && model == Model::Open && fields.value("rate").is_none() {
        fields.wrong("rate", "missing: how many messages a second?");
    }
    let phase = Phase { name, rate, rate_text, duration, record: fields.bool_or("record", true), drain };
    fields.finish();
    phase
}

fn drain(fields: &Fields<'_>) -> Option<Drain> {
    let until = fields.choice("until", &[("receipts-complete", ())]);
    let max = fields.duration_or("max", DRAIN_MAX);
    let quiet = fields.duration_or("quiet", Duration::ZERO);
    let linger = fields.duration_or("linger", LINGER);
    until.map(|()| Drain { max, quiet, linger })
}

/// Names that mean something else in thresholds.
const RESERVED: [&str; 2] = ["total", "sim"];

/// A phase's number travels in eight bits with each request.
const PHASES_MAX: usize = 200;

/// A second copy of a receipt usually follows the first within a second.
const LINGER: Duration = Duration::from_secs(1);

const DRAIN_MAX: Duration = Duration::from_secs(60);

/// At 100,000 messages/s a target may stand still for 50 s; 120 MB.
const QUEUE_MAX: i64 = 5_000_000;
