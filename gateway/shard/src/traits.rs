//! What a customer's bind says beside who it is: which SMPP it speaks, and which addresses its session serves.

use crate::app::ShardApp;
use crate::options::CustomerOptions;
use relay::{AccountId, AddressRange, SessionTraits};
use smpp::pdu::Bind;
use smpp::version::Version;

/// Accounts of which it was told that an address range is none; beyond it nothing is told of others. 16 octets each.
const RANGES_TOLD_MAX: usize = 10_000;

/// What the bind said, kept until its password is checked.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    interface_version: u8,
    /// At most 40 octets.
    address_range: Box<[u8]>,
}

impl Said {
    pub(crate) fn of(bind: &Bind<'_>) -> Self {
        Said { interface_version: bind.interface_version, address_range: bind.address_range.into() }
    }
}

impl CustomerOptions {
    /// Which SMPP is spoken on a session that was bound so.
    pub(crate) fn version_of(&self, said: &Said) -> Version {
        self.version.unwrap_or(Version::of_bind(said.interface_version))
    }
}

impl ShardApp {
    /// What the relay is told of a session. An address range that is none counts as not given.
    pub(crate) fn traits_of(&mut self, account: AccountId, said: &Said) -> SessionTraits {
        let Some(customer) = self.plan.customer_of(account) else { return SessionTraits::default() };
        let version = customer.version_of(said);
        if !customer.has_ranges {
            return SessionTraits { version, range: None };
        }
        let range = AddressRange::new(&said.address_range).unwrap_or_else(|error| {
            self.ranges_invalid += 1;
            if self.ranges_told.len() < RANGES_TOLD_MAX && self.ranges_told.insert(account) {
                tracing::warn!(
                    customer = %account,
                    address_range = %said.address_range.escape_ascii(),
                    %error,
                    "address_range of a bind is no pattern: ignored, here and when it comes again"
                );
            }
            None
        });
        SessionTraits { version, range }
    }
}
