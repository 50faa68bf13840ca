//! Which vendor gets a message, now: the one procedure that the relay follows and that [`crate::explain`] shows.

use crate::arena::Arena;
use crate::form::takes;
use crate::health::Health;
use crate::limit::Limiter;
use crate::message::{Key, ShardIndex};
use crate::open::Message;
use crate::route::{Candidate, Chooser, Encoding, Standing};
use crate::snapshot::Snapshot;
use crate::vendor::{VendorLink, Vendors};
use smpp::time::Instant;

/// Where one more try can go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// On this bind, now; its pace has been paid.
    Link { vendor: u16, link: Key },
    /// Into the vendor's wait queue.
    Queue { vendor: u16 },
    /// To another shard's bind.
    Shard { vendor: u16, shard: ShardIndex },
    /// Vendors are up, none has room.
    Full,
    /// No vendor that was not tried is up.
    Down,
}

impl Choice {
    /// The vendor that gets it, by its place here.
    pub(crate) const fn vendor(self) -> Option<u16> {
        match self {
            Self::Link { vendor, .. } | Self::Queue { vendor } | Self::Shard { vendor, .. } => Some(vendor),
            Self::Full | Self::Down => None,
        }
    }
}

/// What a choice looks at: the vendors of a shard, or what somebody says of them.
pub(crate) trait Surroundings {
    /// What is known against a candidate's vendor.
    fn standing(&self, candidate: &Candidate) -> Standing;

    /// Where a message to this vendor of the snapshot would go, and whether that is as good as it gets. Nothing when the
    /// message was there before.
    fn way(&mut self, vendor: u16) -> Option<(bool, Choice)>;
}

/// The first vendor of the plan that can send at once or that is paced, else the first one that has room to wait. One that
/// is ill is tried when no other vendor is there.
#[inline]
pub(crate) fn first_choice(
    plan: &[Candidate],
    draw: u64,
    encoding: Encoding,
    surroundings: &mut impl Surroundings,
) -> Choice {
    let mut second = Choice::Down;
    let mut chooser = Chooser::new(plan, draw);
    while let Some(pick) = chooser.next(|candidate| match candidate.encodings.contains(encoding) {
        true => surroundings.standing(candidate),
        false => Standing::Unfit,
    }) {
        if pick.is_last_resort && matches!(second, Choice::Queue { .. } | Choice::Shard { .. }) {
            break;
        }
        let Some(way) = surroundings.way(pick.vendor) else { continue };
        match (way, second) {
            ((true, choice), _) => return choice,
            ((false, Choice::Down), _) => {}
            ((false, Choice::Full), Choice::Down) => second = Choice::Full,
            ((false, choice), Choice::Down | Choice::Full) => second = choice,
            _ => {}
        }
    }
    second
}

/// The vendors of this shard, as one message meets them.
pub(crate) struct Here<'a> {
    pub(crate) now: Instant,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) vendors: &'a mut Vendors,
    pub(crate) links: &'a mut Arena<VendorLink>,
    pub(crate) limiter: &'a mut Limiter,
    pub(crate) health: &'a Health,
    pub(crate) message: &'a Message,
    /// Binds on other shards will do where those here are busy.
    pub(crate) roams: bool,
}

impl Surroundings for Here<'_> {
    /// The worse of the vendor's circuit and of its own as a part of this plan.
    #[inline]
    fn standing(&self, candidate: &Candidate) -> Standing {
        let Some(place) = self.vendors.at(candidate.vendor) else { return Standing::Unfit };
        if !takes(self.snapshot, candidate, self.message.form()) {
            return Standing::Unfit;
        }
        let vendor = &self.vendors[place];
        if vendor.is_unbound() {
            return Standing::Unfit; // or its good name would keep its level's messages for those that are ill
        }
        let of_vendor = vendor.circuit.standing();
        if self.health.routes.is_empty() {
            return of_vendor;
        }
        let plan = self.snapshot.routes().identity(self.message.plan);
        let circuit = self.health.routes.get(plan, vendor.id);
        circuit.map_or(of_vendor, |circuit| of_vendor.worse(circuit.standing()))
    }

    #[inline]
    fn way(&mut self, vendor: u16) -> Option<(bool, Choice)> {
        let place = self.vendors.at(vendor).filter(|place| !self.message.tried().contains(place))?;
        let queue_max = self.snapshot.limits().queue_max;
        Some(self.vendors[place].way_of(self.now, self.links, self.limiter, queue_max, place, self.roams))
    }
}
