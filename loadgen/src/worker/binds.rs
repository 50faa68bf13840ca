//! Sessions: opened, held, and opened again with growing pauses when the target drops them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use link::backoff::{Backoff, BackoffOptions};
use link::{CloseReason, Hub, LinkId, SessionConfig};
use runtime::Runtime;
use smpp::dialect::Dialect;
use smpp::field::{CommandStatus, Npi, Ton};
use smpp::pdu::{Bind, BindKind};
use smpp::session::Timers;

use super::Generator;
use crate::scenario::{Account, Scenario};

/// All sessions of one worker.
pub(crate) struct Slots {
    slots: Vec<Slot>,
    by_link: HashMap<LinkId, usize>,
    bound: usize,
    connecting: usize,
}

/// One session that shall stand.
pub(crate) struct Slot {
    pub(crate) account: u16,
    pub(crate) kind: BindKind,
    state: SlotState,
    backoff: Backoff,
    /// How often it was dropped or found nobody.
    retries: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SlotState {
    /// To be opened at this monotonic time, nanoseconds.
    Due(u64),
    /// Connecting or waiting for the bind's answer.
    Opening,
    Bound,
}

impl Slots {
    /// The sessions of the accounts that are this worker's.
    pub(crate) fn new(scenario: &Scenario, worker: usize) -> Slots {
        let mut slots = Vec::new();
        let options = BackoffOptions {
            first: scenario.target.reconnect_first,
            max: scenario.target.reconnect_max,
            ..BackoffOptions::default()
        };
        for (index, account) in scenario.accounts.iter().enumerate() {
            if index % scenario.workers != worker {
                continue;
            }
            let kinds = [
                (BindKind::Transceiver, account.binds.transceiver),
                (BindKind::Transmitter, account.binds.transmitter),
                (BindKind::Receiver, account.binds.receiver),
            ];
            for (kind, count) in kinds {
                slots.extend((0..count).map(|number| Slot {
                    account: index as u16,
                    kind,
                    state: SlotState::Due(0),
                    retries: 0,
                    backoff: Backoff::new(options, scenario.seed ^ (index as u64) << 32 ^ u64::from(number)),
                }));
            }
        }
        Slots { slots, by_link: HashMap::new(), bound: 0, connecting: 0 }
    }

    /// The sessions to open now; they count as opening from here on.
    pub(crate) fn take_due(&mut self, now: u64) -> Vec<usize> {
        if self.bound + self.connecting == self.slots.len() {
            return Vec::new();
        }
        let room = CONNECTING_MAX.saturating_sub(self.connecting);
        let due = |slot: &Slot| matches!(slot.state, SlotState::Due(at) if at <= now);
        let taken: Vec<usize> = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| due(slot))
            .map(|(index, _)| index)
            .take(room)
            .collect();
        for &index in &taken {
            self.slots[index].state = SlotState::Opening;
        }
        self.connecting += taken.len();
        taken
    }

    /// The connection stands and the bind is on its way.
    pub(crate) fn attached(&mut self, slot: usize, link: LinkId) {
        self.by_link.insert(link, slot);
    }

    /// The bind was accepted; tells whose session this is.
    pub(crate) fn bound(&mut self, link: LinkId) -> Option<&Slot> {
        let slot = &mut self.slots[*self.by_link.get(&link)?];
        slot.state = SlotState::Bound;
        slot.backoff.reset();
        self.bound += 1;
        self.connecting -= 1;
        Some(slot)
    }

    /// No connection came about.
    pub(crate) fn failed(&mut self, slot: usize, now: u64) {
        self.connecting -= 1;
        self.retry(slot, now);
    }

    /// The session ended; tells whose it was and whether it was bound.
    pub(crate) fn closed(&mut self, link: LinkId, now: u64) -> Option<(u16, bool)> {
        let index = self.by_link.remove(&link)?;
        let was_bound = self.slots[index].state == SlotState::Bound;
        if was_bound {
            self.bound -= 1;
        } else {
            self.connecting -= 1;
        }
        self.retry(index, now);
        Some((self.slots[index].account, was_bound))
    }

    /// Whose session this is.
    pub(crate) fn account(&self, link: LinkId) -> Option<u16> {
        self.by_link.get(&link).map(|&slot| self.slots[slot].account)
    }

    pub(crate) fn slot(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    pub(crate) fn all_bound(&self) -> bool {
        self.bound == self.slots.len()
    }

    /// Sessions bound, and all that shall be.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.bound, self.slots.len())
    }

    fn retry(&mut self, index: usize, now: u64) {
        self.slots[index].retries += 1;
        let wait = self.slots[index].backoff.next_wait();
        self.slots[index].state = SlotState::Due(now + wait.as_nanos() as u64);
    }
}

/// Opens one session. What comes of its bind is an event of its link.
pub(crate) async fn connect<R: Runtime>(hub: Hub<R, Generator>, index: usize) {
    let (account, kind, retries, scenario) = hub.with(|generator, _| {
        let scenario = generator.scenario.clone();
        let slot = generator.slots.slot(index);
        (slot.account, slot.kind, slot.retries, scenario)
    });
    let account = &scenario.accounts[usize::from(account)];
    let target = &scenario.target;
    let bind = Bind {
        system_id: account.system_id.as_bytes(),
        password: account.password.as_bytes(),
        system_type: account.system_type.as_bytes(),
        interface_version: INTERFACE_VERSION,
        addr_ton: Ton(0),
        addr_npi: Npi(0),
        address_range: b"",
    };
    let config = session(account, &scenario);
    let address = account.address_of(kind, retries, target);
    let connected = hub.connect(address, target.connect_timeout, config, kind, &bind, None).await;
    hub.with(|generator, links| match connected {
        Ok(link) => generator.attached(links, index, link),
        Err(error) => generator.connect_failed(links, index, address, &error),
    });
}

/// Why a bind failed, in words for the operator. A generic_nack is told as one: its status may well be 0.
pub(crate) fn refusal(account: &Account, status: CommandStatus, is_nack: bool) -> String {
    let name = status.name().map_or_else(|| format!("status {:#010x}", status.0), str::to_owned);
    let how = if is_nack { "answers its bind by generic_nack" } else { "refuses its bind" };
    format!("account {}: the target {how}: {name}", account.name)
}

/// Why no connection stands, in words for the operator.
pub(crate) fn outage(account: &Account, address: SocketAddr, error: &io::Error) -> String {
    format!("account {}: cannot connect to {address}: {error}", account.name)
}

/// Why a connection ended before its bind was answered.
pub(crate) fn ended(account: &Account, reason: CloseReason) -> String {
    format!("account {}: the connection ended before its bind was answered: {}", account.name, reason.label())
}

fn session(account: &Account, scenario: &Scenario) -> SessionConfig {
    SessionConfig {
        timers: Timers {
            bind: scenario.target.bind_timeout,
            response: scenario.target.response_timeout,
            enquire_link: account.enquire_every,
            inactivity: Duration::ZERO,
            ..Timers::default()
        },
        dialect: Dialect::tolerant(),
        ..SessionConfig::vendor_side(account.window)
    }
}

/// SMPP 3.4 §5.2.4.
const INTERFACE_VERSION: u8 = 0x34;

/// Connections being opened at once; more would meet the target's listen backlog.
const CONNECTING_MAX: usize = 128;
