//! Peers that speak SMPP 3.3: what goes to them is said as that version says it, see [`smpp::version`].
//!
//! A message is judged at the door, like every form ([`crate::form`]), so that a vendor of 3.3 is not tried with what it
//! cannot be told. A delivery is judged when a session is chosen ([`crate::suit`]). What the customer or vendor sent is
//! kept beside it: another try may go to a peer that understands more.

use crate::message::Key;
use crate::open::{DeliveryPlace, trim};
use crate::relay::Relay;
use bytes::BytesMut;
use smpp::dialect::Dialect;
use smpp::pdu::Pdu;
use smpp::version::{Unsayable, Version, unsayable, write_in_33};
use smpp::wire::Frame;

/// Why SMPP 3.3 cannot say a whole PDU that may leave.
pub(crate) fn unsayable_pdu(pdu: &[u8]) -> Option<Unsayable> {
    let frame = Frame::whole(pdu)?;
    unsayable(&Pdu::decode(frame, &Dialect::tolerant()).ok()?)
}

/// Writes a PDU as SMPP 3.3 says it; `out` stays empty where it goes as it is.
fn write_older(pdu: &[u8], to_esme: bool, text: &mut BytesMut, out: &mut Vec<u8>) {
    out.clear();
    text.clear();
    let frame = Frame::whole(pdu);
    let read = frame.and_then(|frame| Some((frame, Pdu::decode(frame, &Dialect::tolerant()).ok()?)));
    let Some((frame, pdu)) = read else { return };
    if let Ok(true) = write_in_33(&pdu, to_esme, frame.sequence_number(), text) {
        out.extend_from_slice(text);
    }
}

impl Relay {
    /// A message is about to go on a vendor's link. One that was routed before its vendor became one of 3.3 goes as it
    /// is.
    #[inline]
    pub(crate) fn say_to_vendor(&mut self, key: Key, link: Key) {
        if self.vendor_links[link].version == Version::V34 {
            return;
        }
        let message = &mut self.messages[key];
        let bytes = if message.wire.is_empty() { &message.pdu } else { &message.wire };
        write_older(bytes, false, &mut self.text, &mut self.rewritten);
        if !self.rewritten.is_empty() {
            core::mem::swap(&mut message.wire, &mut self.rewritten);
            message.is_older = true;
        }
    }

    /// A message is about to go anywhere: what was written for a vendor of 3.3 is of no use any more.
    #[inline]
    pub(crate) fn forget_older(&mut self, key: Key) {
        let message = &mut self.messages[key];
        if core::mem::replace(&mut message.is_older, false) {
            message.wire.clear();
            trim(&mut message.wire);
        }
    }

    /// A delivery is about to go on a customer's session.
    #[inline]
    pub(crate) fn say_to_customer(&mut self, key: Key) {
        let delivery = &mut self.deliveries[key];
        debug_assert!(delivery.place == DeliveryPlace::Session);
        delivery.wire.clear();
        if self.sessions[delivery.session].version == Version::V33 {
            write_older(&delivery.pdu, true, &mut self.text, &mut delivery.wire);
        }
    }
}
