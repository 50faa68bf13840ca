//! What goes wrong in a story, and how everybody comes back.

use super::World;
use crate::scene::*;
use gateway_relay::{DeliveryKey, LinkKey, MessageKey};
use std::sync::Arc;

impl World {
    pub(super) fn misfortune(&mut self) {
        let sessions: Vec<LinkKey> = self.sessions.keys().copied().collect();
        let links: Vec<LinkKey> = self.links.keys().copied().collect();
        match self.random.below(12) {
            0..=2 => {
                if let Some(link) = self.random.pick(&links) {
                    self.cut_vendor(link);
                }
            }
            3..=5 => {
                let vendor = self.random.below(2) as usize;
                self.bind_vendor(vendor);
            }
            6 | 7 => {
                if let Some(link) = self.random.pick(&sessions) {
                    self.cut_customer(link);
                }
            }
            8 | 9 => {
                let account = self.random.below(3) as usize;
                self.bind_customer(account);
            }
            10 => {
                self.store.away = !self.store.away && self.random.percent(30);
                self.store_was_away |= self.store.away;
            }
            _ => {
                let (shard, variant) = (u64::from(self.any_shard()), self.random.below(2));
                let (now, snapshot) = (self.now(), Arc::clone(&self.snapshots[variant as usize]));
                self.relays[shard as usize].apply_snapshot(now, snapshot);
                self.pump(shard as u8);
            }
        }
    }

    pub(super) fn cut_vendor(&mut self, link: LinkKey) {
        let Some(gone) = self.links.remove(&link) else { return };
        let now = self.now();
        let keys = |written: bool| -> Vec<MessageKey> {
            gone.flights.iter().filter(|flight| flight.2 == written).map(|flight| flight.0).collect()
        };
        self.relays[usize::from(gone.shard)].vendor_closed(now, link, &keys(true), &keys(false));
        self.pump(gone.shard);
        for upward in gone.upwards.into_values() {
            self.later(10, Event::Upward { upward }); // unanswered: the vendor sends it again
        }
    }

    pub(super) fn cut_customer(&mut self, link: LinkKey) {
        let Some(gone) = self.sessions.remove(&link) else { return };
        for submit in self.submits.iter_mut().filter(|submit| submit.session == link) {
            submit.session_lost = true;
        }
        let deliveries: Vec<DeliveryKey> = gone.outstanding.keys().copied().collect();
        let now = self.now();
        self.relays[usize::from(gone.shard)].customer_closed(now, link, &deliveries);
        self.pump(gone.shard);
    }

    /// No more misfortune: everybody is there, so everything must come to its end.
    pub(super) fn heal(&mut self) {
        self.healing = true;
        self.store.away = false;
        for vendor in 0..VENDORS.len() {
            self.bind_vendor(vendor);
        }
        for account in 0..ACCOUNTS.len() {
            self.bind_customer(account);
        }
    }
}
