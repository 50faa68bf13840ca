//! Bounds the copies of a message in store and forward: copies of which nobody knows whether a vendor has them.
//!
//! A vendor that takes messages and never answers would get, and deliver, the same message in every round. So only
//! [`crate::SpoolRules::unknown_copies_max`] copies follow ones of unknown outcome. Then the message stays in the spool until a
//! receipt tells what became of it or its validity ends, and its customer is told that nobody knows.

use crate::message::Key;
use crate::mutation::mutated;
use crate::open::Origin;
use crate::relay::Relay;
use crate::spool_op::{SpoolOp, UNTIL_ITS_END};

impl Relay {
    /// True when no copy may follow that many of unknown outcome.
    pub(crate) fn has_copies_enough(&self, unknown_copies: u8) -> bool {
        let rules = self.snapshot.spool().copied().unwrap_or_default();
        unknown_copies > rules.unknown_copies_max && !mutated!(self, CopiesWithoutBound)
    }

    /// Puts a message back that is not to be sent again.
    pub(crate) fn hold_spooled(&mut self, key: Key) {
        let message = &self.messages[key];
        let Origin::Spool { tries, .. } = message.origin else { return };
        let unknown_copies = message.unknown_copies;
        let gateway_id = self.leave_spooled(key);
        self.counters.spool.held += 1;
        let (after, fate) = (UNTIL_ITS_END, None);
        self.spool.ops.push_back(SpoolOp::Defer { gateway_id, after, tries, unknown_copies, fate });
    }
}
