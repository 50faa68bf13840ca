//! Correlations of the embedded store. Several open messages may have one id, since vendors give ids twice; the receipt's
//! numbers decide between them ([`relay::choose`]).

use super::{DEMOTE_SLACK, Embedded};
use crate::recent::{self, KEY_MAX};
use fjall::Slice;
use relay::{Correlation, CorrelationKey, Finding, ReceiptNumbers, SAME_ID_MAX, choose};
use smpp::text::message_id::GatewayId;

impl Embedded {
    pub(super) fn remember(
        &mut self,
        now: u32,
        key: &CorrelationKey,
        correlation: &Correlation,
    ) -> fjall::Result<()> {
        let mut packed = [0; KEY_MAX];
        let packed = recent::pack_key(key, &mut packed);
        let shared = self.share(packed, correlation.gateway_id)?;
        self.counters.given_again += u64::from(shared);
        self.sequence += 1;
        let correlation = Correlation { shared, ..*correlation };
        self.recent.push(self.sequence, recent::pack_record(packed, &correlation));
        self.turn.born.push((self.sequence, *key));
        self.counters.remembered += 1;
        self.serve_early(now, packed)
    }

    /// A vendor gives an id: whether other open messages have it. They are marked; one of the same message goes, and
    /// where there are too many the oldest.
    fn share(&mut self, packed: &[u8], gateway_id: GatewayId) -> fjall::Result<bool> {
        let has_recent = self.recent.find(packed).next().is_some();
        if !has_recent && !self.has_old {
            return Ok(false);
        }
        let mut open: Vec<Correlation> = self.recent.find(packed).chain(self.old(packed)?).collect();
        open.sort_unstable_by_key(|one| (one.gateway_id != gateway_id, one.submitted_at, one.gateway_id));
        let is_again = open.first().is_some_and(|one| one.gateway_id == gateway_id);
        let others = open.len() - usize::from(is_again);
        if is_again || others >= SAME_ID_MAX {
            self.drop_key(packed, open[0].gateway_id)?;
            self.counters.displaced += u64::from(!is_again);
        }
        if others == 0 {
            return Ok(false);
        }
        for changed in self.recent.share(packed) {
            if !self.turn.is_born_here(changed.sequence) {
                self.turn.batch.insert(&self.recent_rows, changed.sequence.to_be_bytes(), changed.record);
            }
        }
        let mut old: Vec<Correlation> = self.old(packed)?.collect();
        if old.iter().any(|one| !one.shared) {
            old.iter_mut().for_each(|one| one.shared = true);
            self.turn.old.insert(Slice::new(packed), Some(recent::pack_list(&old)));
        }
        Ok(true)
    }

    /// The correlations of a key that are on disk only.
    pub(super) fn old(&self, packed: &[u8]) -> fjall::Result<impl Iterator<Item = Correlation> + use<>> {
        let value = match self.turn.old.get(packed) {
            _ if !self.has_old => None,
            Some(change) => change.clone(),
            None => self.old_rows.get(packed)?,
        };
        let list: Vec<Correlation> = value.iter().flat_map(|value| recent::list_of(value)).collect();
        Ok(list.into_iter())
    }

    pub(super) fn find(&mut self, key: &CorrelationKey, numbers: &ReceiptNumbers) -> fjall::Result<Finding> {
        let mut packed = [0; KEY_MAX];
        let packed = recent::pack_key(key, &mut packed);
        let found = if self.has_old {
            choose(self.recent.find(packed).chain(self.old(packed)?), numbers)
        } else {
            choose(self.recent.find(packed), numbers)
        };
        self.counters.count_finding(&found);
        Ok(found)
    }

    pub(super) fn forget(&mut self, key: &CorrelationKey, gateway_id: GatewayId) -> fjall::Result<()> {
        let mut packed = [0; KEY_MAX];
        let packed = recent::pack_key(key, &mut packed);
        self.counters.forgotten += u64::from(self.drop_key(packed, gateway_id)?);
        Ok(())
    }

    /// Drops a correlation wherever it is; false when there is none.
    pub(super) fn drop_key(&mut self, packed: &[u8], gateway_id: GatewayId) -> fjall::Result<bool> {
        if let Some(taken) = self.recent.take(packed, gateway_id) {
            if self.turn.is_born_here(taken.sequence) {
                self.counters.annihilated += 1; // never written, so nothing to take back
            } else {
                self.turn.batch.remove(&self.recent_rows, taken.sequence.to_be_bytes());
            }
            return Ok(true);
        }
        let mut old: Vec<Correlation> = self.old(packed)?.collect();
        let before = old.len();
        old.retain(|one| one.gateway_id != gateway_id);
        if old.len() == before {
            return Ok(false);
        }
        let left = (!old.is_empty()).then(|| recent::pack_list(&old));
        self.turn.old.insert(Slice::new(packed), left);
        self.counters.open_old = self.counters.open_old.saturating_sub(1);
        Ok(true)
    }

    /// Moves the oldest correlations to disk when there are more than may be in memory.
    pub(super) fn demote(&mut self) -> fjall::Result<()> {
        let mut left = self.turn.born.len() + DEMOTE_SLACK;
        while self.recent.len() > self.limits.recent_max && left > 0 {
            let Some(taken) = self.recent.take_oldest_if(|_| true) else { break };
            if !self.turn.is_born_here(taken.sequence) {
                self.turn.batch.remove(&self.recent_rows, taken.sequence.to_be_bytes());
            }
            let key = recent::key_of(&taken.record);
            let list: Vec<Correlation> =
                self.old(key)?.chain(recent::correlation_of(&taken.record)).collect();
            self.turn.old.insert(Slice::new(key), Some(recent::pack_list(&list)));
            self.has_old = true;
            self.counters.open_old += 1;
            self.counters.demoted += 1;
            left -= 1;
        }
        Ok(())
    }
}
