//! What a session is built from.

use super::state::Role;
use super::timers::Timers;
use crate::dialect::Dialect;
use crate::version::Version;

/// What a session is built from. Plain data; [`SessionConfig::customer_side`] and
/// [`SessionConfig::vendor_side`] give the usual values.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// Which end of the session we are.
    pub role: Role,
    /// Requests that we may have unanswered, 1 ..= 65,536. Costs up to 80 octets each while in use.
    pub window_out_max: u32,
    /// Requests of the peer that may be unanswered by us before [`Event::Request`] says `over_window`.
    pub window_in_max: u32,
    /// Longest PDU that is accepted, octets, header included.
    pub pdu_size_max: u32,
    /// The timers of SMPP 3.4 §7.2.
    pub timers: Timers,
    /// How this peer deviates from the standard.
    pub dialect: Dialect,
    /// Which SMPP is spoken to it.
    pub version: Version,
    /// Whether deliver_sm and data_sm from the SMSC are accepted on a transmitter bind: some SMSCs send
    /// receipts there.
    pub deliver_on_transmitter: bool,
}

impl SessionConfig {
    /// We are the SMSC: a customer binds to us.
    pub fn customer_side(window_in_max: u32, window_out_max: u32) -> Self {
        SessionConfig {
            role: Role::Smsc,
            window_out_max,
            window_in_max,
            pdu_size_max: crate::limits::PDU_SIZE_MAX_DEFAULT,
            timers: Timers::default(),
            dialect: Dialect::default(),
            version: Version::default(),
            deliver_on_transmitter: false,
        }
    }

    /// We are the ESME: we bind to a vendor.
    pub fn vendor_side(window_out_max: u32) -> Self {
        SessionConfig {
            role: Role::Esme,
            window_out_max,
            window_in_max: window_out_max.max(1_000),
            dialect: Dialect::tolerant(),
            deliver_on_transmitter: true,
            ..Self::customer_side(0, 1)
        }
    }
}
