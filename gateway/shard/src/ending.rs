//! The end of a link in order: nothing new, what has not left goes elsewhere, what is open is answered or awaited by its
//! session, then unbind. `docs/decisions/0034-orderly-ends.md`.

use crate::app::{Peer, ShardApp, Token, key_of};
use link::{LinkId, Links};
use smpp::session::State;

impl ShardApp {
    /// The session of a link ends in order, by its peer's unbind or for inactivity: the relay uses it no more.
    pub(crate) fn on_ending(&mut self, links: &mut Links<Token>, id: LinkId) {
        let now = links.now();
        let peer_unbinds = links.state(id) == Some(State::Finishing);
        match self.peer(id) {
            Some(Peer::Customer(peer)) => {
                if !peer_unbinds {
                    let (system_id, peer) = (peer.system_id.escape_ascii(), links.peer_address(id));
                    tracing::info!(%system_id, ?peer, "unbinding a customer who is silent");
                }
                self.relay.customer_ending(now, key_of(id));
            }
            Some(Peer::Vendor(peer)) => {
                let report = peer.report;
                let (vendor, unanswered) = (&self.vendors[report].name, links.in_flight(id));
                if peer_unbinds {
                    tracing::info!(%vendor, unanswered, "vendor unbinds: its answers are awaited");
                }
                self.relay.vendor_leaving(now, key_of(id));
            }
            Some(Peer::Node(_)) => self.relay.vendor_leaving(now, key_of(id)),
            Some(Peer::NodeSession(_)) | None => {}
        }
        self.take_back(links, id);
    }

    /// Ends a link that the relay uses no more.
    pub(crate) fn end_in_order(&mut self, links: &mut Links<Token>, id: LinkId) {
        links.end(id);
        self.take_back(links, id);
        self.carry_out(links);
    }

    /// What was handed to the link and has not left goes elsewhere.
    fn take_back(&mut self, links: &mut Links<Token>, id: LinkId) {
        let unsent = links.take_back(id);
        self.relay.vendor_unsent(links.now(), key_of(id), &crate::egress::messages(&unsent));
        for token in unsent {
            if let Token::Delivery(delivery) = token {
                self.relay.delivery_failed(links.now(), delivery);
            }
        }
    }
}
