//! What earlier versions called accounts and vendors: a hash of 32 bits. Names of the configuration that have one such
//! number alone are found again; what belongs to any other is kept until it is too old, and given to nobody.

use relay::{AccountId, VendorId, older_number};
use std::collections::HashMap;

/// Names of the configuration by the numbers of earlier versions. Bounded by the configuration.
#[derive(Clone, Debug, Default)]
pub struct OlderNames {
    accounts: HashMap<u32, Option<AccountId>>,
    vendors: HashMap<u32, Option<VendorId>>,
}

impl OlderNames {
    /// Of the names of all customers and vendors.
    pub fn new<'a>(
        accounts: impl IntoIterator<Item = &'a str>,
        vendors: impl IntoIterator<Item = &'a str>,
    ) -> OlderNames {
        let mut names = OlderNames::default();
        for name in accounts {
            let id = AccountId::of_name(name.as_bytes());
            let known = names.accounts.entry(older_number(name.as_bytes())).or_insert(Some(id));
            *known = known.filter(|known| *known == id); // of two names nobody knows which it was
        }
        for name in vendors {
            let id = VendorId::of_name(name.as_bytes());
            let known = names.vendors.entry(older_number(name.as_bytes())).or_insert(Some(id));
            *known = known.filter(|known| *known == id);
        }
        names
    }

    pub(crate) fn account(&self, number: u32) -> AccountId {
        self.accounts.get(&number).copied().flatten().unwrap_or(AccountId::of_older_number(number))
    }

    pub(crate) fn vendor(&self, number: u32) -> VendorId {
        self.vendors.get(&number).copied().flatten().unwrap_or(VendorId::of_older_number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_name_by_its_older_number_where_no_other_has_it() {
        let [one, other] = ["client-s1d6o", "client-xa4s7"];
        assert_eq!(older_number(one.as_bytes()), older_number(other.as_bytes()));
        let names = OlderNames::new(["acme", "acme", one, other], ["west"]);
        assert_eq!(names.account(older_number(b"acme")), AccountId::of_name(b"acme"));
        assert_eq!(names.vendor(older_number(b"west")), VendorId::of_name(b"west"));
        let number = older_number(one.as_bytes());
        assert_eq!(names.account(number), AccountId::of_older_number(number));
        assert_eq!(names.account(7), AccountId::of_older_number(7));
    }
}
