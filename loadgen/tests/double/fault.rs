//! What one fault of the double is: where it strikes, what it does, and what the judge must say.

use std::time::Duration;

use super::message::{Message, Response};
use super::proxy::Passing;

/// One row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// Which PDUs it may strike.
    pub(crate) on: On,
    pub(crate) act: Act,
    /// One in so many of these, drawn by the key of the message.
    pub(crate) one_in: u64,
    /// Which of them come into question.
    pub(crate) only: fn(&Passing) -> bool,
    /// The class that must be named; none where nothing may be charged.
    pub(crate) class: Option<&'static str>,
    pub(crate) count: Count,
    pub(crate) setup: Setup,
}

/// Which PDUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum On {
    Submit,
    SubmitResp,
    Receipt,
    ReceiptResp,
    Mo,
    MoResp,
    /// Binds, enquire_link, unbind and their answers: passed on as they are.
    Other,
}

/// What the double does.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// Nothing.
    Pass,
    /// Passes nothing on and answers nothing.
    Swallow,
    /// Passes nothing on and answers with this status, a submit with an id of its own.
    Answer(u32),
    /// Passes it on twice; the second answer to a request is swallowed.
    Twice,
    /// Passes it on at once, and again so much later.
    TwiceLate(Duration),
    /// Changes fields of a message.
    Alter(fn(&mut Message)),
    /// Changes fields of an answer.
    AlterResponse(fn(&mut Response)),
    /// Lets the next of the same session overtake it.
    Overtake,
    /// Exchanges the message ids with the next of the same account.
    ExchangeIds,
    /// Passes it on so much later.
    Hold(Duration),
    /// Holds all of a session back and passes them on together, so much later.
    Gather(Duration),
    /// A submit goes to the other site.
    OtherSite,
    /// A submit goes to both sites; the other one's answer is swallowed.
    BothSites,
    /// A submit goes to the first session of its account at the site.
    OneSession,
    /// A receipt or MO goes to a session of another account.
    OtherAccount,
    /// Passes it on, and a changed copy besides whose answer is swallowed.
    Forge(fn(&mut Message)),
    /// Writes each message id otherwise, in answers and receipts alike.
    Rename,
    /// Opens one session more at the site of each account.
    ExtraBind,
    /// Ends the session on both sides.
    Cut,
}

/// How many offences the judge must count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    /// As many as the double struck.
    Strikes,
    /// Two for each strike: it took two messages.
    Pairs,
    /// At least one: how it is counted depends on times.
    Some,
}

/// What a run has beside the common scenario.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    /// Lines of `[target]`.
    pub(crate) target: &'static str,
    /// Lines of each `[[mix]]`; `SITE` stands for the site of the account.
    pub(crate) mix: &'static str,
    /// Lines at the end of the load scenario.
    pub(crate) load: &'static str,
    /// Instead of the usual rate and length of the run.
    pub(crate) steady: Option<&'static str>,
    /// Instead of the usual rate and number of MO.
    pub(crate) mobile: Option<&'static str>,
    /// Instead of the usual linger of the drain.
    pub(crate) linger: Option<&'static str>,
    /// Instead of the usual window.
    pub(crate) window: Option<u32>,
    /// Lines of each `[[site]]`.
    pub(crate) site: &'static str,
    /// Lines at the end of the simulator's scenario.
    pub(crate) sites: &'static str,
    /// Each account submits by one session.
    pub(crate) one_session: bool,
    /// Both sites number their messages from 1.
    pub(crate) numbered_alike: bool,
}

impl Fault {
    pub(crate) const fn new(
        name: &'static str,
        on: On,
        one_in: u64,
        act: Act,
        class: Option<&'static str>,
    ) -> Fault {
        let count = match act {
            Act::ExchangeIds => Count::Pairs,
            _ => Count::Strikes,
        };
        let setup = Setup {
            target: "",
            mix: "",
            load: "",
            steady: None,
            mobile: None,
            linger: None,
            window: None,
            site: "",
            sites: "",
            one_session: false,
            numbered_alike: false,
        };
        Fault { name, on, act, one_in, only: |_| true, class, count, setup }
    }

    /// Strikes without which a row shows nothing.
    pub(crate) const fn strikes_min(&self) -> u64 {
        match self.act {
            Act::Pass => 0,
            Act::Cut | Act::ExtraBind | Act::Gather(_) => 1,
            _ => 3,
        }
    }

    /// Strikes one in so many.
    pub(crate) const fn one_in(mut self, one_in: u64) -> Fault {
        self.one_in = one_in;
        self
    }

    pub(crate) const fn only(mut self, only: fn(&Passing) -> bool) -> Fault {
        self.only = only;
        self
    }

    pub(crate) const fn counted(mut self, count: Count) -> Fault {
        self.count = count;
        self
    }

    pub(crate) const fn target(mut self, lines: &'static str) -> Fault {
        self.setup.target = lines;
        self
    }

    pub(crate) const fn mix(mut self, lines: &'static str) -> Fault {
        self.setup.mix = lines;
        self
    }

    pub(crate) const fn load(mut self, lines: &'static str) -> Fault {
        self.setup.load = lines;
        self
    }

    pub(crate) const fn steady(mut self, lines: &'static str) -> Fault {
        self.setup.steady = Some(lines);
        self
    }

    pub(crate) const fn mobile(mut self, settings: &'static str) -> Fault {
        self.setup.mobile = Some(settings);
        self
    }

    pub(crate) const fn linger(mut self, linger: &'static str) -> Fault {
        self.setup.linger = Some(linger);
        self
    }

    pub(crate) const fn window(mut self, window: u32) -> Fault {
        self.setup.window = Some(window);
        self
    }

    pub(crate) const fn site(mut self, lines: &'static str) -> Fault {
        self.setup.site = lines;
        self
    }

    pub(crate) const fn sites(mut self, lines: &'static str) -> Fault {
        self.setup.sites = lines;
        self
    }

    pub(crate) const fn one_session(mut self) -> Fault {
        self.setup.one_session = true;
        self
    }

    pub(crate) const fn numbered_alike(mut self) -> Fault {
        self.setup.numbered_alike = true;
        self
    }
}

impl On {
    pub(crate) const fn is_response(self) -> bool {
        matches!(self, On::SubmitResp | On::ReceiptResp | On::MoResp)
    }

    /// What answers this.
    pub(crate) const fn response(self) -> On {
        match self {
            On::Submit => On::SubmitResp,
            On::Receipt => On::ReceiptResp,
            On::Mo => On::MoResp,
            other => other,
        }
    }
}
