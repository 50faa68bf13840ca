//! Writes anew what an earlier version left in the directory, once, when it is opened: customers and vendors were hashes of
//! 32 bits there. Rows are told by their version, so that what a crash interrupts goes on with the next start.

use super::Embedded;
use crate::recent::{self, KEY_MAX};
use crate::rows::{HEAD, VERSION_TAG, number_at, parked_key, shelf_key};
use crate::shelf::class_of;
use crate::{OlderNames, VERSION};
use fjall::{Keyspace, Slice};
use relay::{Correlation, CorrelationKey, VendorMessageId};

/// In the table of shelves, where no shelf has such a name: the version of all rows.
pub(super) const FORMAT_KEY: &[u8] = b"format";
/// Octets of a customer or vendor in earlier versions.
const OLDER_NAME: usize = 4;
/// Rows of one batch, so that memory stays within some megabytes.
const BATCH_ROWS: usize = 4096;

/// A row in its new form.
type Renewed = (Slice, Slice);

impl Embedded {
    /// See the module.
    pub(super) fn renew_older(&mut self) -> fjall::Result<()> {
        if self.shelf_rows.get(FORMAT_KEY)?.is_some_and(|format| *format == [VERSION]) {
            return Ok(());
        }
        let names = self.limits.older.clone();
        let mut renewed = 0;
        renewed += self.renew(&self.recent_rows, |key, value| {
            let (kept_under, correlation) = older_record(value, &names)?;
            let mut packed = [0; KEY_MAX];
            let record = recent::pack_record(recent::pack_key(&kept_under, &mut packed), &correlation);
            Some((Slice::new(key), record))
        })?;
        renewed += self.renew(&self.old_rows, |key, value| {
            let kept_under = older_key(key, &names)?;
            let correlation = Correlation::from_older(value.get(1..)?, |number| names.account(number))?;
            let mut packed = [0; KEY_MAX];
            let key = Slice::new(recent::pack_key(&kept_under, &mut packed));
            Some((key, recent::pack_list(&[correlation])))
        })?;
        renewed += self.renew(&self.parked_rows, |key, value| {
            let account = names.account(older_name(key)?);
            Some((Slice::new(&parked_key(account.0, number_at(key, OLDER_NAME))), with_version(value)))
        })?;
        renewed += self.renew(&self.orphan_rows, |key, value| {
            let (head, rest) = value.split_at_checked(HEAD)?;
            let (vendor, pdu) = rest.split_at_checked(OLDER_NAME)?;
            let vendor = names.vendor(older_name(vendor)?).0.to_be_bytes();
            let value: Slice = [head, &vendor, pdu].concat().into();
            Some((Slice::new(key), with_version(&value)))
        })?;
        // The last: by them a restart finds what is parked.
        renewed += self.renew(&self.shelf_rows, |key, value| {
            let name = (names.account(older_name(key)?).0, class_of(key.len() == OLDER_NAME));
            Some((shelf_key(name), with_version(value)))
        })?;
        let mut batch = self.database.batch();
        batch.insert(&self.shelf_rows, FORMAT_KEY, [VERSION]);
        batch.durability(Some(self.persist)).commit()?;
        if renewed > 0 {
            tracing::info!(directory = %self.limits.directory.display(), rows = renewed, "entries of an older version written anew");
        }
        Ok(())
    }

    /// Gives how many rows were written anew. One that is cut is dropped.
    fn renew(
        &self,
        rows: &Keyspace,
        renew: impl Fn(&[u8], &[u8]) -> Option<Renewed>,
    ) -> fjall::Result<usize> {
        let (mut batch, mut in_batch, mut renewed) = (self.database.batch(), 0, 0);
        for row in rows.iter() {
            let (key, value) = row.into_inner()?;
            match value.first() {
                _ if Embedded::is_tide(&key) => continue, // how far it has come
                Some(&VERSION) => continue,
                Some(1..VERSION) => {}
                found => {
                    return Err(fjall::Error::InvalidTag((VERSION_TAG, found.copied().unwrap_or(0))));
                }
            }
            match renew(&key, &value) {
                Some((new_key, value)) => {
                    if new_key != key {
                        batch.remove(rows, key);
                    }
                    batch.insert(rows, new_key, value);
                    renewed += 1;
                }
                None => batch.remove(rows, key),
            }
            in_batch += 1;
            if in_batch == BATCH_ROWS {
                std::mem::replace(&mut batch, self.database.batch())
                    .durability(Some(self.persist))
                    .commit()?;
                in_batch = 0;
            }
        }
        batch.durability(Some(self.persist)).commit()?;
        Ok(renewed)
    }
}

fn older_name(octets: &[u8]) -> Option<u32> {
    octets.first_chunk::<OLDER_NAME>().map(|name| u32::from_be_bytes(*name))
}

fn older_key(key: &[u8], names: &OlderNames) -> Option<CorrelationKey> {
    let vendor = names.vendor(older_name(key)?);
    Some(CorrelationKey { vendor, id: VendorMessageId::new(&key[OLDER_NAME..])? })
}

/// `version, packed correlation (17, and addresses where it says so; 16 in version 1), vendor (4), id`.
fn older_record(record: &[u8], names: &OlderNames) -> Option<(CorrelationKey, Correlation)> {
    let (version, rest) = record.split_first()?;
    let length = if *version == 1 { 16 } else { Correlation::older_length(rest)? };
    let (packed, key) = rest.split_at_checked(length)?;
    Some((older_key(key, names)?, Correlation::from_older(packed, |number| names.account(number))?))
}

fn with_version(value: &[u8]) -> Slice {
    let mut value = value.to_vec();
    if let Some(version) = value.first_mut() {
        *version = VERSION;
    }
    value.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{found, turn, unpark_for};
    use crate::{Store, StoreOptions};
    use relay::{AccountId, DeliveryKey, ReceiptNumbers, StoreAnswer, StoreOp, VendorId, older_number};
    use std::path::Path;

    /// What version 3 wrote for one message and two parked deliveries of acme's at west.
    fn older_directory(directory: &Path) {
        let options = StoreOptions::new(directory.to_path_buf());
        let mut store = Embedded::open(&options).unwrap();
        let (acme, west) = (older_number(b"acme"), older_number(b"west"));
        let packed = |id: u64| {
            [&acme.to_le_bytes()[..], &id.to_le_bytes(), &1_800_000_000_u32.to_le_bytes(), &[1]].concat()
        };
        let key = |id: &[u8]| [&west.to_be_bytes()[..], id].concat();
        let record = |id: u64, name: &[u8]| [&[3][..], &packed(id), &key(name)].concat();
        store.turn.batch.insert(&store.recent_rows, 5_u64.to_be_bytes(), record(7, b"77"));
        let first = [&[1][..], &packed(6)[..16], &key(b"66")].concat();
        store.turn.batch.insert(&store.recent_rows, 4_u64.to_be_bytes(), first);
        store.turn.batch.insert(&store.old_rows, key(b"88"), [&[3][..], &packed(8)].concat());
        let parked = |id: u64| [&acme.to_be_bytes()[..], &id.to_be_bytes()].concat();
        for (id, text) in [(1_u64, b"one"), (2, b"two")] {
            let value = [&[3, 0, 0, 0, 9][..], text].concat();
            store.turn.batch.insert(&store.parked_rows, parked(id), value);
        }
        let shelf: Vec<u8> = [1_u64, 3, 2, 1].iter().flat_map(|number| number.to_be_bytes()).collect();
        let shelf = [&[3, 0, 0, 0, 0][..], &shelf].concat();
        store.turn.batch.insert(&store.shelf_rows, acme.to_be_bytes(), shelf);
        let orphan = [&[3, 0, 0, 0, 9][..], &west.to_be_bytes(), b"pdu"].concat();
        store.turn.batch.insert(&store.orphan_rows, 3_u64.to_be_bytes(), orphan);
        store.turn.batch.remove(&store.shelf_rows, FORMAT_KEY);
        store.flush().unwrap();
    }

    #[test]
    fn reads_a_directory_of_an_older_version() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("store");
        older_directory(&place);
        // A salvage, which knows no names, leaves them as they are.
        let told = crate::salvage(&place).unwrap().unwrap();
        assert!(told.text.contains("entries of version 1"), "{told}");
        let options =
            StoreOptions { older: OlderNames::new(["acme", "globex"], ["west"]), ..StoreOptions::new(place) };
        for round in 0..2 {
            let mut store = Store::embedded(&options).unwrap();
            let vendor = VendorId::of_name(b"west");
            let find = |id: &[u8]| StoreOp::Find {
                delivery: DeliveryKey::from_u64(1),
                key: CorrelationKey { vendor, id: VendorMessageId::new(id).unwrap() },
                // It was kept without a number.
                numbers: ReceiptNumbers::new(b"12025550111", b""),
            };
            let answers = turn(&mut store, vec![find(b"66"), find(b"77"), find(b"88"), find(b"99")]);
            assert_eq!(found(&answers), [Some(6), Some(7), Some(8), None], "round {round}");
            let StoreAnswer::Found { outcome: Ok(one), .. } = &answers[1] else { panic!("{answers:?}") };
            let one = one.fits().unwrap();
            assert_eq!((one.account, one.urgent), (AccountId::of_name(b"acme"), true));
            let answers = turn(&mut store, vec![unpark_for(AccountId::of_name(b"acme"), 9)]);
            let StoreAnswer::Unparked { entries, .. } = &answers[0] else { panic!("{answers:?}") };
            assert_eq!(entries.iter().map(|one| &one.pdu[..]).collect::<Vec<_>>(), [b"one", b"two"]);
            assert_eq!(store.counters().orphans_now, 1);
        }
    }

    #[test]
    fn refuses_a_directory_of_a_newer_version() {
        let directory = tempfile::tempdir().unwrap();
        let options = StoreOptions::new(directory.path().join("store"));
        let mut store = Embedded::open(&options).unwrap();
        store.turn.batch.insert(&store.recent_rows, 5_u64.to_be_bytes(), [VERSION + 1, 0, 0]);
        store.flush().unwrap();
        drop(store);
        let Err(error) = Store::embedded(&options) else { panic!("it was opened") };
        assert!(error.to_string().contains("use the program that wrote them"), "{error}");
    }
}
