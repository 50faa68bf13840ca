//! When the double strikes, and how.

use std::time::{Duration, Instant};

use super::fault::{Act, On};
use super::message::{Message, Response};
use super::proxy::{Held, Passing, State};

impl State {
    /// Passes a PDU on, or does what the fault says.
    pub(crate) fn handle(&mut self, passing: Passing) {
        if let Act::Rename = self.fault.act {
            return self.rename(passing);
        }
        if let Some(first) = self.take_partner(&passing) {
            return self.meet(first, passing);
        }
        if self.strikes_at(&passing) { self.strike(passing) } else { self.pass(&passing) }
    }

    fn strikes_at(&self, passing: &Passing) -> bool {
        let Some(key) = passing.key else { return false };
        let again = self.struck.contains(&key);
        passing.on == self.fault.on
            && (self.fault.only)(passing)
            && key.hash(SEED, 0, 0).is_multiple_of(self.fault.one_in)
            // A site that got no answer sends again, and the second answer passes.
            && !(again && matches!(passing.on, On::ReceiptResp | On::MoResp | On::Submit))
    }

    fn strike(&mut self, mut passing: Passing) {
        match self.fault.act {
            Act::Pass | Act::Rename | Act::ExtraBind => return self.pass(&passing),
            Act::Overtake | Act::ExchangeIds => {
                return self.hold(passing, PARTNER_PATIENCE, true);
            }
            Act::Gather(delay) => return self.gather(passing, delay),
            Act::OneSession => return self.pass_by_one_session(passing),
            Act::Swallow => {}
            Act::Answer(status) => self.answer_itself(&passing, status),
            Act::Twice => {
                self.pass(&passing);
                self.pass_copy(&passing, &passing.bytes);
            }
            Act::TwiceLate(delay) => {
                self.pass(&passing);
                self.hold(passing.clone(), delay, false);
            }
            Act::Alter(alter) => {
                alter_message(&mut passing.bytes, alter);
                self.pass(&passing);
            }
            Act::AlterResponse(alter) => {
                let mut response = Response::read(&passing.bytes);
                alter(&mut response);
                passing.bytes = response.write();
                self.pass(&passing);
            }
            Act::Hold(delay) => self.hold(passing.clone(), delay, false),
            Act::OtherSite => {
                passing.to = self.elsewhere(passing.from);
                self.pass(&passing);
            }
            Act::BothSites => {
                self.pass(&passing);
                let to = self.elsewhere(passing.from);
                self.request(to, &passing.bytes, None, passing.on, None);
            }
            Act::OtherAccount => {
                let account = self.legs[passing.to].account.expect("it is bound");
                let other = (account + 1) % self.account_count();
                passing.to = self.receiver_of(other).expect("every account can receive");
                self.pass(&passing);
            }
            Act::Forge(alter) => {
                self.pass(&passing);
                let mut forged = passing.bytes.clone();
                alter_message(&mut forged, alter);
                self.pass_copy(&passing, &forged);
            }
            Act::Cut => self.cut(passing.from),
        }
        self.count(&passing);
    }

    /// What is sent again was counted before.
    fn count(&mut self, passing: &Passing) {
        let key = passing.key.expect("only keyed PDUs are struck");
        self.strikes += u64::from(self.struck.insert(key));
    }

    /// A PDU of its kind besides: a request whose answer goes nowhere, or a second response.
    fn pass_copy(&mut self, like: &Passing, bytes: &[u8]) {
        if like.on.is_response() {
            self.answer(like.to, like.sequence, bytes);
        } else {
            self.request(like.to, bytes, None, like.on, None);
        }
    }

    fn answer_itself(&mut self, passing: &Passing, status: u32) {
        let is_submit = passing.on == On::Submit;
        let id = if is_submit && status == 0 { format!("77{:08}", self.strikes) } else { String::new() };
        let response = Response::new(is_submit, status, id.as_bytes());
        self.answer(passing.from, passing.sequence, &response.write());
    }

    fn hold(&mut self, passing: Passing, delay: Duration, for_partner: bool) {
        self.held.push(Held { due: Instant::now() + delay, for_partner, passing });
    }

    fn gather(&mut self, passing: Passing, delay: Duration) {
        let first = self.held.iter().find(|held| held.passing.from == passing.from);
        let due = first.map_or_else(|| Instant::now() + delay, |held| held.due);
        if first.is_none() {
            self.count(&passing);
        }
        self.held.push(Held { due, for_partner: false, passing });
    }

    fn pass_by_one_session(&mut self, mut passing: Passing) {
        let account = self.legs[passing.from].account.expect("it is bound");
        let to = self.sender_of(account).expect("it has a session");
        if to != passing.to {
            self.count(&passing);
            passing.to = to;
        }
        self.pass(&passing);
    }

    /// What was kept back until this came.
    fn take_partner(&mut self, passing: &Passing) -> Option<Passing> {
        let same_account = |one: usize, other: usize| self.legs[one].account == self.legs[other].account;
        let is_partner = |held: &Held| {
            held.for_partner
                && held.passing.on == passing.on
                && match self.fault.act {
                    Act::Overtake => held.passing.from == passing.from,
                    _ => same_account(held.passing.to, passing.to) && (self.fault.only)(passing),
                }
        };
        let index = self.held.iter().position(is_partner)?;
        Some(self.held.remove(index).passing)
    }

    fn meet(&mut self, mut first: Passing, mut second: Passing) {
        self.count(&first);
        if let Act::ExchangeIds = self.fault.act {
            exchange_ids(&mut first, &mut second);
        }
        self.pass(&second);
        self.pass(&first);
    }

    fn rename(&mut self, mut passing: Passing) {
        let other = |id: &[u8]| [b"g-", id].concat();
        match passing.on {
            On::SubmitResp => {
                let mut response = Response::read(&passing.bytes);
                response.id = other(&response.id);
                passing.bytes = response.write();
            }
            On::Receipt => alter_message(&mut passing.bytes, |receipt| {
                let id = other(&receipt.receipt_id());
                receipt.set_receipt_id(&id);
            }),
            _ => return self.pass(&passing),
        }
        self.strikes += 1;
        self.pass(&passing);
    }
}

fn alter_message(bytes: &mut Vec<u8>, alter: impl FnOnce(&mut Message)) {
    let mut message = Message::read(bytes);
    alter(&mut message);
    *bytes = message.write();
}

fn exchange_ids(first: &mut Passing, second: &mut Passing) {
    if first.on == On::SubmitResp {
        let (mut one, mut other) = (Response::read(&first.bytes), Response::read(&second.bytes));
        std::mem::swap(&mut one.id, &mut other.id);
        (first.bytes, second.bytes) = (one.write(), other.write());
    } else {
        let (mut one, mut other) = (Message::read(&first.bytes), Message::read(&second.bytes));
        let (id_of_one, id_of_other) = (one.receipt_id(), other.receipt_id());
        one.set_receipt_id(&id_of_other);
        other.set_receipt_id(&id_of_one);
        (first.bytes, second.bytes) = (one.write(), other.write());
    }
}

/// Decides which messages are struck.
const SEED: u64 = 45;

/// What waits for a partner passes unharmed after so long.
const PARTNER_PATIENCE: Duration = Duration::from_millis(500);
