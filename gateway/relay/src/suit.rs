//! Which of a customer's sessions suit a delivery: those that can be told it, and whose address range has the destination
//! of an MO where the customer's ranges are good for something.
//!
//! Of an account whose sessions are all alike, which nearly all are, nothing is looked at. What suits no session that
//! stands is parked, and what was parked is held until another session binds: handed back and asked for again, it would
//! stand before all else.

use crate::account::{AccountState, Receiver, Session};
use crate::address_range::{AddressRange, RangePolicy};
use crate::arena::Arena;
use crate::limit::Bucket;
use crate::message::{AccountId, Key, LinkKey};
use crate::older::unsayable_pdu;
use crate::open::Delivery;
use crate::relay::{Party, Relay};
use crate::snapshot::Snapshot;
use crate::store_op::{ParkedId, StoreOp};
use smpp::dialect::Dialect;
use smpp::field::CommandStatus;
use smpp::pdu::{BindKind, Pdu};
use smpp::text::receipt::{receipt_of, receipt_of_data};
use smpp::time::Instant;
use smpp::version::Version;
use smpp::wire::Frame;

/// Parked deliveries of one account that are held because no session suits them; 16 octets each. Beyond it they are handed
/// back, and asked for again after a while.
pub(crate) const UNSUITED_MAX: usize = 4_096;

/// What a session is bound with beside its kind and window.
#[derive(Clone, Debug, Default)]
pub struct SessionTraits {
    /// Which SMPP is spoken to it.
    pub version: Version,
    /// The destinations of MO that it serves; none = all.
    pub range: Option<AddressRange>,
}

/// What decides between sessions.
struct Wants<'a> {
    fits_33: bool,
    /// Of an MO, where ranges are good for something.
    destination: Option<&'a [u8]>,
    policy: RangePolicy,
}

impl<'a> Wants<'a> {
    fn of(delivery: &'a Delivery, policy: RangePolicy) -> Self {
        let fits_33 = unsayable_pdu(&delivery.pdu).is_none();
        let destination = if policy == RangePolicy::Ignore { None } else { destination_of_mo(&delivery.pdu) };
        Self { fits_33, destination, policy }
    }

    fn may_be_told(&self, session: &Session) -> bool {
        self.fits_33 || session.version == Version::V34
    }

    /// Whether the session's range has the destination; nothing without a range.
    fn in_range(&self, session: &Session) -> Option<bool> {
        let range = session.range.as_ref()?;
        self.destination.map(|destination| range.has(destination))
    }
}

/// Whether a session suits by what [`Wants::in_range`] says of it.
type Suits = fn(Option<bool>) -> bool;

fn has_it(in_range: Option<bool>) -> bool {
    in_range == Some(true)
}

fn has_no_range(in_range: Option<bool>) -> bool {
    in_range.is_none()
}

fn any(_: Option<bool>) -> bool {
    true
}

/// The destination of a whole PDU that is no receipt.
fn destination_of_mo(pdu: &[u8]) -> Option<&[u8]> {
    let frame = Frame::whole(pdu)?;
    match Pdu::decode(frame, &Dialect::tolerant()).ok()? {
        Pdu::DeliverSm(deliver) if receipt_of(&deliver).is_none() => Some(deliver.destination.digits),
        Pdu::DataSm(data) if receipt_of_data(&data).is_none() => Some(data.destination.digits),
        _ => None,
    }
}

impl AccountState {
    /// As [`AccountState::receiver`], among the sessions that suit the delivery.
    #[inline]
    pub(crate) fn receiver_for(
        &mut self,
        sessions: &Arena<Session>,
        delivery: &Delivery,
        snapshot: &Snapshot,
    ) -> Receiver {
        if !self.has_odd_sessions {
            return self.receiver(sessions, delivery.tried());
        }
        let policy = snapshot.account(self.id).map_or(RangePolicy::Ignore, |account| account.address_range);
        self.receiver_of_odd(sessions, delivery, policy)
    }

    #[cold]
    fn receiver_of_odd(
        &mut self,
        sessions: &Arena<Session>,
        delivery: &Delivery,
        policy: RangePolicy,
    ) -> Receiver {
        let wants = Wants::of(delivery, policy);
        let tried = delivery.tried();
        if wants.destination.is_none() {
            return self.receiver_that(sessions, tried, |session| wants.may_be_told(session));
        }
        let mut found = Receiver::None;
        let rounds: &[Suits] = match wants.policy {
            RangePolicy::Ignore => &[any],
            RangePolicy::Prefer => &[has_it, has_no_range, any],
            RangePolicy::Require => &[has_it, has_no_range],
        };
        for suits in rounds {
            let one = self.receiver_that(sessions, tried, |session| {
                wants.may_be_told(session) && suits(wants.in_range(session))
            });
            match one {
                Receiver::Free(_) => return one,
                Receiver::Busy => found = Receiver::Busy,
                Receiver::None => {}
            }
        }
        found
    }
}

impl Relay {
    /// As [`Relay::customer_bound`], for a session that speaks an older SMPP, or serves some addresses only.
    pub fn customer_bound_as(
        &mut self,
        now: Instant,
        account: AccountId,
        link: LinkKey,
        kind: BindKind,
        window: u32,
        traits: SessionTraits,
    ) -> bool {
        let Some(place) = self.accounts.place(&self.snapshot, account) else { return false };
        if self.parties.contains_key(&link) {
            return false;
        }
        let Some((key, session)) = self.sessions.insert() else { return false };
        *session = Session {
            link,
            account: place,
            may_submit: kind.may_submit(),
            may_receive: kind.may_receive() && window > 0,
            window,
            in_flight: 0,
            pace: {
                let rate = self.snapshot.account(account).map_or(0, |account| account.bind_rate);
                Bucket::new(rate, rate)
            },
            version: traits.version,
            range: traits.range,
        };
        let may_receive = session.may_receive;
        self.parties.insert(link, Party::Customer(key));
        if may_receive {
            let account = &mut self.accounts[place];
            account.receivers.push(key);
            account.parked_here = false;
            account.unpark.rounds_refused = 0; // this one may take it
            self.note_sessions(place);
            self.give_unsuited_back(place);
            self.announce_account(place);
            self.dispatch_deliveries(now, place);
            self.request_unpark(now, place);
        }
        true
    }

    /// Looks anew whether an account's sessions differ in what suits them.
    pub(crate) fn note_sessions(&mut self, place: u32) {
        let Self { accounts, sessions, .. } = self;
        let account = &mut accounts[place];
        account.has_odd_sessions = account
            .receivers
            .iter()
            .any(|key| sessions[*key].version != Version::V34 || sessions[*key].range.is_some());
    }

    /// Whether there are sessions of the account, and none of them suits this delivery, which none has been tried with.
    pub(crate) fn suits_nobody(&mut self, key: Key) -> bool {
        let Self { accounts, sessions, snapshot, deliveries, .. } = self;
        let delivery = &deliveries[key];
        let account = &mut accounts[delivery.account];
        if !account.has_odd_sessions || account.receivers.is_empty() || delivery.tries > 0 {
            return false;
        }
        account.receiver_for(sessions, delivery, snapshot) == Receiver::None
    }

    /// Whether the owner's sessions here all speak SMPP 3.3, which cannot say the message that was just put together.
    pub(crate) fn can_tell_no_session(&mut self, owner: AccountId) -> bool {
        let Self { accounts, sessions, snapshot, gather, .. } = self;
        let Some(place) = accounts.place(snapshot, owner) else { return false };
        let account = &accounts[place];
        account.has_odd_sessions
            && account.receivers.iter().all(|key| sessions[*key].version == Version::V33)
            && unsayable_pdu(&gather.whole).is_some()
    }

    /// What can never be told to this customer, whose version is fixed: the status that refuses it.
    pub(crate) fn never_told(&self, key: Key) -> Option<CommandStatus> {
        let delivery = &self.deliveries[key];
        let account = &self.accounts[delivery.account];
        if !account.has_odd_sessions {
            return None;
        }
        let is_fixed =
            self.snapshot.account(account.id).is_some_and(|account| account.version == Some(Version::V33));
        if !is_fixed {
            return None;
        }
        unsayable_pdu(&delivery.pdu).map(|_| CommandStatus::ESME_RINVMSGLEN)
    }

    /// A parked delivery that suits no session is held until another one binds.
    pub(crate) fn hold_unsuited(&mut self, now: Instant, key: Key, parked: ParkedId) {
        let place = self.deliveries[key].account;
        let account = &mut self.accounts[place];
        if account.unsuited.len() >= UNSUITED_MAX {
            return self.end_parked(now, key, Err(parked));
        }
        account.unsuited.push(parked);
        self.counters.traffic.deliveries_unsuited += 1;
        self.close_delivery(key);
        self.page_entry_done(now, place, false);
    }

    /// Sessions of an account came or went: what suited none may suit one now, here or elsewhere.
    pub(crate) fn give_unsuited_back(&mut self, place: u32) {
        let account = &mut self.accounts[place];
        let owner = account.id;
        for parked in core::mem::take(&mut account.unsuited) {
            self.store_ops.push_back(StoreOp::Return { account: owner, parked });
        }
    }
}
