//! Customers as a shard sees them: their sessions here, what other shards announced, and what waits for them.

use crate::address_range::AddressRange;
use crate::arena::{Arena, List};
use crate::limit::{Bucket, NO_LIMIT};
use crate::message::{AccountId, Key, LinkKey, ShardIndex};
use crate::snapshot::{Deduplicate, Mode, Snapshot, UnknownOutcome};
use crate::store_op::ParkedId;
use core::time::Duration;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use smpp::field::CommandStatus;
use smpp::time::Instant;
use smpp::version::Version;

/// Distinct accounts that one shard can know in its life. Each costs about 300 bytes.
pub(crate) const ACCOUNTS_MAX: usize = 1 << 20;

/// The place of nobody.
pub(crate) const NO_ACCOUNT: u32 = u32::MAX;

/// One bound session of a customer.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) link: LinkKey,
    pub(crate) account: u32,
    pub(crate) may_submit: bool,
    pub(crate) may_receive: bool,
    /// Unanswered deliver_sm allowed on it.
    pub(crate) window: u32,
    /// Unanswered deliver_sm on it; at most `window`.
    pub(crate) in_flight: u32,
    /// What it may submit.
    pub(crate) pace: Bucket,
    /// Which SMPP is spoken to it.
    pub(crate) version: Version,
    /// The destinations of MO that it serves, where that counts; none = all.
    pub(crate) range: Option<AddressRange>,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            link: LinkKey(0),
            account: 0,
            may_submit: false,
            may_receive: false,
            window: 0,
            in_flight: 0,
            pace: Bucket::default(),
            version: Version::default(),
            range: None,
        }
    }
}

/// One account.
#[derive(Debug)]
pub(crate) struct AccountState {
    pub(crate) id: AccountId,
    /// Which snapshot the next fields are of; see [`Accounts::current`].
    epoch: u32,
    /// False when the snapshot in force does not hold it.
    pub(crate) known: bool,
    pub(crate) mode: Mode,
    /// Place of its rate in the table of limits.
    pub(crate) limit: u32,
    /// Its place in the snapshot in force; of no use when it is not known.
    pub(crate) snapshot_place: u32,
    pub(crate) unknown_outcome: UnknownOutcome,
    pub(crate) unknown_status: CommandStatus,
    pub(crate) deduplicate: Deduplicate,
    pub(crate) deduplicate_window: Duration,
    /// Sessions here that may receive, in the order of binding.
    pub(crate) receivers: Vec<Key>,
    /// Where the round over `receivers` goes on.
    turn: usize,
    /// A page of parked deliveries is being handed out: to one session as long as that has slots, so that a page costs
    /// one write and one read, not one for each session.
    in_page: bool,
    /// Other shards with sessions that may receive.
    pub(crate) elsewhere: SmallVec<[(ShardIndex, u32); 2]>,
    /// Where the round over `elsewhere` goes on.
    turn_elsewhere: usize,
    /// Deliveries that wait for a window slot, oldest first.
    pub(crate) waiting: List,
    /// True while listed among the accounts that the tick looks at.
    pub(crate) watched: bool,
    pub(crate) unpark: Unpark,
    /// Parked here while nobody was known to have a session.
    pub(crate) parked_here: bool,
    /// A session speaks an older SMPP or serves some addresses only: see [`crate::suit`].
    pub(crate) has_odd_sessions: bool,
    /// Parked deliveries that suit no session here, held until another one binds; at most [`crate::suit::UNSUITED_MAX`].
    pub(crate) unsuited: Vec<ParkedId>,
}

/// How far the release of parked messages has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Unpark {
    /// A page was asked for at this time and has not come.
    pub(crate) asked: bool,
    /// Deliveries of the last pages that are open.
    pub(crate) open: u32,
    /// Ask again once few are open.
    pub(crate) more: bool,
    /// Some of the page came back: not at once again.
    pub(crate) failed: bool,
    /// When to ask, or to stop waiting for the answer.
    pub(crate) due: Option<Instant>,
    /// Of the last pages: entries that were taken, and answers that said not now.
    pub(crate) taken: u32,
    pub(crate) refused: u32,
    /// Rounds in a row in which sessions refused more than they took.
    pub(crate) rounds_refused: u8,
}

/// Whether a session can take a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receiver {
    /// This one can, now.
    Free(Key),
    /// There are sessions, all with full windows.
    Busy,
    /// There is none, or none that was not tried.
    None,
}

impl AccountState {
    /// The next session in the round with a free slot, leaving out `tried`.
    #[inline]
    pub(crate) fn receiver(&mut self, sessions: &Arena<Session>, tried: &[Key]) -> Receiver {
        self.receiver_that(sessions, tried, |_| true)
    }

    /// The same among those that suit.
    #[inline]
    pub(crate) fn receiver_that(
        &mut self,
        sessions: &Arena<Session>,
        tried: &[Key],
        suits: impl Fn(&Session) -> bool,
    ) -> Receiver {
        let count = self.receivers.len();
        let mut found = Receiver::None;
        for step in 0..count {
            let mut place = self.turn + step;
            if place >= count {
                place -= count;
            }
            let key = self.receivers[place];
            if tried.contains(&key) {
                continue;
            }
            let session = &sessions[key];
            if !suits(session) {
                continue;
            }
            if session.in_flight < session.window {
                self.turn = match place + 1 {
                    _ if self.in_page => place,
                    next if next < count => next,
                    _ => 0,
                };
                return Receiver::Free(key);
            }
            found = Receiver::Busy;
        }
        found
    }

    /// Begins a page of parked deliveries, with the session whose turn it is.
    pub(crate) fn begin_page(&mut self) {
        self.in_page = true;
    }

    /// Ends it; the next one goes to the next session.
    pub(crate) fn end_page(&mut self) {
        self.in_page = false;
        self.turn = (self.turn + 1).checked_rem(self.receivers.len()).unwrap_or_default();
    }

    /// The next shard in the round that announced sessions.
    pub(crate) fn shard_with_receivers(&mut self) -> Option<ShardIndex> {
        let count = self.elsewhere.len();
        if count == 0 {
            return None;
        }
        self.turn_elsewhere = (self.turn_elsewhere + 1) % count;
        Some(self.elsewhere[self.turn_elsewhere].0)
    }

    fn apply(&mut self, snapshot: &Snapshot) {
        let account = snapshot.account(self.id);
        self.known = account.is_some();
        if let Some(account) = account {
            self.mode = account.mode;
            let place = snapshot.account_place(self.id).unwrap_or_default();
            self.snapshot_place = place;
            self.limit = snapshot.limit_table().of_account(place);
            self.unknown_outcome = account.unknown_outcome;
            self.unknown_status = account.unknown_status;
            self.deduplicate = account.deduplicate;
            self.deduplicate_window = account.deduplicate_window;
        }
    }

    /// Another shard's announcement.
    pub(crate) fn announce(&mut self, shard: ShardIndex, receivers: u32) {
        self.elsewhere.retain(|(other, _)| *other != shard);
        if receivers > 0 {
            self.elsewhere.push((shard, receivers));
        }
    }

    pub(crate) fn drop_receiver(&mut self, session: Key) -> bool {
        let before = self.receivers.len();
        self.receivers.retain(|key| *key != session);
        self.turn = 0;
        self.receivers.len() < before
    }
}

/// All accounts that this shard has met.
#[derive(Debug)]
pub(crate) struct Accounts {
    states: Vec<AccountState>,
    places: HashMap<AccountId, u32, FixedState>,
    /// Grows with every snapshot.
    epoch: u32,
    /// Accounts with waiting deliveries or a due unpark, for the tick.
    pub(crate) watched: Vec<u32>,
}

impl Accounts {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            states: Vec::new(),
            places: HashMap::with_hasher(FixedState::with_seed(seed)),
            epoch: 0,
            watched: Vec::new(),
        }
    }

    /// The place of an account that the snapshot in force holds.
    pub(crate) fn place(&mut self, snapshot: &Snapshot, id: AccountId) -> Option<u32> {
        let place = match self.places.get(&id) {
            Some(place) => *place,
            None if snapshot.account(id).is_some() => self.place_any(snapshot, id)?,
            None => return None,
        };
        self.current(place, snapshot).known.then_some(place)
    }

    /// The place of an account, made when it is new: another shard may speak of it before our snapshot does.
    pub(crate) fn place_any(&mut self, snapshot: &Snapshot, id: AccountId) -> Option<u32> {
        if let Some(place) = self.places.get(&id) {
            return Some(*place);
        }
        if self.states.len() >= ACCOUNTS_MAX {
            return None;
        }
        let place = self.states.len() as u32;
        self.places.insert(id, place);
        self.states.push(AccountState {
            id,
            epoch: self.epoch,
            known: false,
            mode: Mode::Relay,
            limit: NO_LIMIT,
            snapshot_place: 0,
            unknown_outcome: UnknownOutcome::Fail,
            unknown_status: CommandStatus::ESME_RUNKNOWNERR,
            deduplicate: Deduplicate::Off,
            deduplicate_window: Duration::ZERO,
            receivers: Vec::new(),
            turn: 0,
            in_page: false,
            elsewhere: SmallVec::new(),
            turn_elsewhere: 0,
            waiting: List::default(),
            watched: false,
            unpark: Unpark::default(),
            parked_here: false,
            has_odd_sessions: false,
            unsuited: Vec::new(),
        });
        self.states[place as usize].apply(snapshot);
        Some(place)
    }

    /// There is another snapshot. What it says of an account is taken over when that is next looked at: to walk all of
    /// them would keep the shard from its links.
    pub(crate) fn apply(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// An account as the snapshot in force has it. Whoever reads what a snapshot says of an account comes through here.
    #[inline]
    pub(crate) fn current(&mut self, place: u32, snapshot: &Snapshot) -> &mut AccountState {
        let state = &mut self.states[place as usize];
        if state.epoch != self.epoch {
            state.epoch = self.epoch;
            state.apply(snapshot);
        }
        state
    }

    pub(crate) fn watch(&mut self, place: u32) {
        let state = &mut self.states[place as usize];
        if !state.watched {
            state.watched = true;
            self.watched.push(place);
        }
    }

    pub(crate) fn places(&self) -> core::ops::Range<u32> {
        0..self.states.len() as u32
    }
}

impl core::ops::Index<u32> for Accounts {
    type Output = AccountState;

    fn index(&self, place: u32) -> &AccountState {
        &self.states[place as usize]
    }
}

impl core::ops::IndexMut<u32> for Accounts {
    fn index_mut(&mut self, place: u32) -> &mut AccountState {
        &mut self.states[place as usize]
    }
}
