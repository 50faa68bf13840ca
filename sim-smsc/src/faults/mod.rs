//! Misfortunes a site can be told to suffer. Each is off by default; [`Faults::heal`] ends them all.
//!
//! A fault is described by a [`FaultSpec`] (in the scenario or over the control port), waits in the
//! [`Timeline`](timeline::Timeline) until its time or message count comes, and is then set here, where the site
//! looks at every step. One fault of a kind at a time: a second of the same kind takes the place of the first.

mod errors;
mod fin;
mod half_open;
mod latency;
mod lose_request;
mod lose_response;
mod refuse;
mod rst;
mod stall;
mod throttle;
mod timeline;
mod unbind;

use std::time::Duration;

pub use errors::Errors;
pub use fin::Fin;
pub use half_open::{HalfOpen, OnHeal};
pub use latency::SlowResponses;
pub use lose_request::LoseRequest;
pub use lose_response::LoseResponse;
pub use refuse::Refuse;
pub use rst::Rst;
pub use stall::StallResponses;
pub use throttle::Throttle;
pub(crate) use timeline::{Change, Timeline};
pub use unbind::Unbind;

use crate::scenario::Section;

/// One fault of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpec {
    /// What happens.
    pub kind: FaultKind,
    /// When it begins.
    pub trigger: Trigger,
    /// How long it lasts; `None`: until healed. A fault that strikes once (rst, fin, unbind) is then over at once.
    pub lasts: Option<Duration>,
    /// Name of the site it strikes; `None`: all.
    pub site: Option<String>,
    /// Share of the site's connections it strikes, 0.0 ..= 1.0.
    pub share: f64,
}

/// When a fault begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trigger {
    /// So long after the start of the timeline.
    At(Duration),
    /// When the site has seen so many submits.
    AfterSubmits(u64),
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // each is described on its rule
pub enum FaultKind {
    Refuse(Refuse),
    Rst(Rst),
    Fin(Fin),
    Unbind(Unbind),
    HalfOpen(HalfOpen),
    StallResponses(StallResponses),
    Errors(Errors),
    Throttle(Throttle),
    LoseResponse(LoseResponse),
    LoseRequest(LoseRequest),
    Latency(SlowResponses),
}

impl FaultKind {
    /// Every name a scenario may use.
    pub const NAMES: [&'static str; 11] = [
        "refuse",
        "rst",
        "fin",
        "unbind",
        "half-open",
        "stall-responses",
        "errors",
        "throttle",
        "lose-response",
        "lose-request",
        "latency",
    ];

    /// Its name in a scenario.
    pub fn name(&self) -> &'static str {
        let index = match self {
            FaultKind::Refuse(_) => 0,
            FaultKind::Rst(_) => 1,
            FaultKind::Fin(_) => 2,
            FaultKind::Unbind(_) => 3,
            FaultKind::HalfOpen(_) => 4,
            FaultKind::StallResponses(_) => 5,
            FaultKind::Errors(_) => 6,
            FaultKind::Throttle(_) => 7,
            FaultKind::LoseResponse(_) => 8,
            FaultKind::LoseRequest(_) => 9,
            FaultKind::Latency(_) => 10,
        };
        Self::NAMES[index]
    }

    /// Whether it strikes once and, unless it is told to last, is over.
    pub(crate) fn strikes_once(&self) -> bool {
        matches!(self, FaultKind::Rst(_) | FaultKind::Fin(_) | FaultKind::Unbind(_))
    }

    fn read(name: &str, section: &mut Section<'_>) -> Option<FaultKind> {
        Some(match name {
            "refuse" => FaultKind::Refuse(Refuse),
            "rst" => FaultKind::Rst(Rst),
            "fin" => FaultKind::Fin(Fin),
            "unbind" => FaultKind::Unbind(Unbind),
            "half-open" => FaultKind::HalfOpen(HalfOpen::read(section)),
            "stall-responses" => FaultKind::StallResponses(StallResponses),
            "errors" => FaultKind::Errors(Errors::read(section)),
            "throttle" => FaultKind::Throttle(Throttle::read(section)),
            "lose-response" => FaultKind::LoseResponse(LoseResponse::read(section)),
            "lose-request" => FaultKind::LoseRequest(LoseRequest::read(section)),
            "latency" => FaultKind::Latency(SlowResponses::read(section)),
            _ => return None,
        })
    }
}

impl FaultSpec {
    /// Reads `[[fault]]`, or the body of a request to the control port (then `at` may be missing: now).
    pub(crate) fn read(mut section: Section<'_>, needs_trigger: bool) -> Option<FaultSpec> {
        let name = section.required("kind");
        let trigger = match (section.duration("at"), section.whole("after_submits", 1..=u64::MAX >> 1)) {
            (Some(_), Some(_)) => {
                section.wrong("at and after_submits exclude each other");
                Trigger::At(Duration::ZERO)
            }
            (Some(at), None) => Trigger::At(at),
            (None, Some(count)) => Trigger::AfterSubmits(count),
            (None, None) => {
                if needs_trigger {
                    section.wrong("needs at or after_submits");
                }
                Trigger::At(Duration::ZERO)
            }
        };
        let lasts = section.duration("for");
        let (mut site, mut share) = (None, 1.0);
        if let Some(mut scope) = section.section("scope") {
            site = scope.string("site");
            share = read_share(&mut scope);
            scope.finish();
        }
        let kind = FaultKind::read(&name, &mut section);
        if kind.is_none() && !name.is_empty() {
            section.wrong(&format!("kind must be one of {}", FaultKind::NAMES.join(", ")));
        }
        section.finish();
        Some(FaultSpec { kind: kind?, trigger, lasts, site, share })
    }
}

/// `binds = "all"` or a share.
fn read_share(scope: &mut Section<'_>) -> f64 {
    match scope.take_if_text("binds", "all") {
        true => 1.0,
        false => scope.probability("binds").unwrap_or(1.0),
    }
}

/// A fault that is on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Active<F> {
    pub(crate) rule: F,
    /// Share of the connections it strikes.
    share: f64,
    /// The entry of the timeline it comes from: only that one ends it.
    entry: u32,
}

impl<F> Active<F> {
    /// Whether it strikes the connection with this ordinal number: every n-th, so that shares are exact.
    pub(crate) fn covers(&self, ordinal: u64) -> bool {
        let before = (ordinal as f64 * self.share).floor();
        let after = ((ordinal + 1) as f64 * self.share).floor();
        after > before
    }
}

/// What a site suffers at the moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct Faults {
    pub(crate) refuse: Option<Active<Refuse>>,
    pub(crate) rst: Option<Active<Rst>>,
    pub(crate) fin: Option<Active<Fin>>,
    pub(crate) unbind: Option<Active<Unbind>>,
    pub(crate) half_open: Option<Active<HalfOpen>>,
    pub(crate) stall: Option<Active<StallResponses>>,
    pub(crate) errors: Option<Active<Errors>>,
    pub(crate) throttle: Option<Active<throttle::Throttling>>,
    pub(crate) lose_response: Option<Active<LoseResponse>>,
    pub(crate) lose_request: Option<Active<LoseRequest>>,
    pub(crate) latency: Option<Active<SlowResponses>>,
}

impl Faults {
    /// Ends everything.
    pub(crate) fn heal(&mut self) {
        *self = Faults::default();
    }

    pub(crate) fn is_healed(&self) -> bool {
        *self == Faults::default()
    }

    /// Names of what is on.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let on = [
            self.refuse.is_some(),
            self.rst.is_some(),
            self.fin.is_some(),
            self.unbind.is_some(),
            self.half_open.is_some(),
            self.stall.is_some(),
            self.errors.is_some(),
            self.throttle.is_some(),
            self.lose_response.is_some(),
            self.lose_request.is_some(),
            self.latency.is_some(),
        ];
        FaultKind::NAMES.into_iter().zip(on).filter_map(|(name, on)| on.then_some(name)).collect()
    }

    /// Turns one on.
    pub(crate) fn begin(&mut self, kind: &FaultKind, share: f64, entry: u32) {
        fn set<F>(field: &mut Option<Active<F>>, rule: F, share: f64, entry: u32) {
            *field = Some(Active { rule, share, entry });
        }
        match kind.clone() {
            FaultKind::Refuse(rule) => set(&mut self.refuse, rule, share, entry),
            FaultKind::Rst(rule) => set(&mut self.rst, rule, share, entry),
            FaultKind::Fin(rule) => set(&mut self.fin, rule, share, entry),
            FaultKind::Unbind(rule) => set(&mut self.unbind, rule, share, entry),
            FaultKind::HalfOpen(rule) => set(&mut self.half_open, rule, share, entry),
            FaultKind::StallResponses(rule) => set(&mut self.stall, rule, share, entry),
            FaultKind::Errors(rule) => set(&mut self.errors, rule, share, entry),
            FaultKind::Throttle(rule) => set(&mut self.throttle, rule.start(), share, entry),
            FaultKind::LoseResponse(rule) => set(&mut self.lose_response, rule, share, entry),
            FaultKind::LoseRequest(rule) => set(&mut self.lose_request, rule, share, entry),
            FaultKind::Latency(rule) => set(&mut self.latency, rule, share, entry),
        }
    }

    /// Turns the one of this entry off; `false` when another has taken its place.
    pub(crate) fn end(&mut self, kind: &FaultKind, entry: u32) -> bool {
        fn clear<F>(field: &mut Option<Active<F>>, entry: u32) -> bool {
            field.take_if(|active| active.entry == entry).is_some()
        }
        match kind {
            FaultKind::Refuse(_) => clear(&mut self.refuse, entry),
            FaultKind::Rst(_) => clear(&mut self.rst, entry),
            FaultKind::Fin(_) => clear(&mut self.fin, entry),
            FaultKind::Unbind(_) => clear(&mut self.unbind, entry),
            FaultKind::HalfOpen(_) => clear(&mut self.half_open, entry),
            FaultKind::StallResponses(_) => clear(&mut self.stall, entry),
            FaultKind::Errors(_) => clear(&mut self.errors, entry),
            FaultKind::Throttle(_) => clear(&mut self.throttle, entry),
            FaultKind::LoseResponse(_) => clear(&mut self.lose_response, entry),
            FaultKind::LoseRequest(_) => clear(&mut self.lose_request, entry),
            FaultKind::Latency(_) => clear(&mut self.latency, entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Mistakes, Node};

    fn read(json: serde_json::Value) -> Result<FaultSpec, Vec<String>> {
        let mistakes = Mistakes::default();
        let spec = FaultSpec::read(Section::new(Node::from_json(&json, "body"), "", &mistakes), false);
        let mistakes = mistakes.into_sorted();
        if mistakes.is_empty() {
            Ok(spec.expect("a fault without mistakes"))
        } else {
            Err(mistakes.iter().map(ToString::to_string).collect())
        }
    }

    #[test]
    fn default_is_healed_and_heal_clears_every_field() {
        let mut faults = Faults::default();
        assert!(faults.is_healed());
        for (entry, name) in FaultKind::NAMES.into_iter().enumerate() {
            let spec = read(serde_json::json!({ "kind": name })).unwrap();
            assert_eq!(spec.kind.name(), name);
            faults.begin(&spec.kind, 1.0, entry as u32);
            assert_eq!(faults.names().len(), entry + 1);
        }
        assert_eq!(faults.names(), FaultKind::NAMES);
        faults.heal();
        assert!(faults.is_healed());
        assert!(faults.names().is_empty());
    }

    #[test]
    fn only_its_own_entry_ends_a_fault() {
        let mut faults = Faults::default();
        let kind = FaultKind::Refuse(Refuse);
        faults.begin(&kind, 1.0, 1);
        faults.begin(&kind, 1.0, 2);
        assert!(!faults.end(&kind, 1));
        assert!(faults.end(&kind, 2));
        assert!(faults.is_healed());
    }

    #[test]
    fn shares_are_exact() {
        for (share, expected) in [(0.0, 0), (0.25, 25), (0.5, 50), (1.0, 100)] {
            let active = Active { rule: Refuse, share, entry: 0 };
            assert_eq!((0..100).filter(|&ordinal| active.covers(ordinal)).count(), expected);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = read(serde_json::json!({
            "kind": "half-open", "at": "1s", "after_submits": 5, "then": "explode", "scope": { "binds": 2, "site": 7 }
        }));
        assert_eq!(
            wrong.unwrap_err(),
            [
                "body: at and after_submits exclude each other",
                "body: scope.binds: must be a number from 0 to 1",
                "body: scope.site: must be a text in quotes",
                "body: then: must be one of reset, resume",
            ]
        );
        assert!(read(serde_json::json!({ "kind": "earthquake" })).is_err());
        assert!(read(serde_json::json!({})).is_err());
    }
}
