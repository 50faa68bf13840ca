//! Connections of the double: who is at their other end, and how they begin and end.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use bytes::BytesMut;
use smpp::wire::write_header_only;
use smpp::{BindKind, CommandId, CommandStatus, Dialect, Frame, Pdu};

use super::fault::{Act, On};
use super::message::header;
use super::proxy::{PATIENCE, Shared, State, Waiting, read};

/// Index of a leg; a leg that ended keeps its own.
pub(crate) type LegId = usize;

/// One connection.
pub(crate) struct Leg {
    pub(super) stream: TcpStream,
    /// Which site it leads to; none: a customer's.
    pub(crate) site: Option<usize>,
    /// Whose it is, once it is bound.
    pub(crate) account: Option<usize>,
    kind: Option<BindKind>,
    /// The leg at the other side; none for a leg of the double's own.
    pub(crate) peer: Option<LegId>,
    pub(super) sequence: u32,
    pub(super) waiting: HashMap<u32, Waiting>,
    pub(super) is_open: bool,
}

impl State {
    pub(super) fn add_leg(&mut self, shared: &Arc<Shared>, stream: TcpStream, site: Option<usize>) -> LegId {
        assert!(self.legs.len() < LEGS_MAX, "sessions come and go without end");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a TCP socket");
        let reader = stream.try_clone().expect("a file descriptor");
        let leg = self.legs.len();
        self.legs.push(Leg {
            stream,
            site,
            account: None,
            kind: None,
            peer: None,
            sequence: 0,
            waiting: HashMap::new(),
            is_open: true,
        });
        let shared = shared.clone();
        self.readers.push(std::thread::spawn(move || read(&shared, leg, reader)));
        leg
    }

    /// A customer binds: the same at the site of its account.
    pub(super) fn bind(&mut self, shared: &Arc<Shared>, leg: LegId, sequence: u32, bytes: &[u8]) {
        let frame = Frame::whole(bytes).expect("a whole PDU");
        let kind = BindKind::of_command(frame.command_id());
        let system_id = match Pdu::decode(frame, &Dialect::tolerant()) {
            Ok(Pdu::BindTransmitter(bind) | Pdu::BindReceiver(bind) | Pdu::BindTransceiver(bind)) => {
                bind.system_id.to_vec()
            }
            other => panic!("{other:?} is no bind"),
        };
        let known = self.accounts.iter().position(|(name, _)| name.as_bytes() == system_id);
        let account = known.expect("an account of the scenario");
        let home = self.accounts[account].1;
        let own = match self.fault.act {
            Act::OtherSite | Act::BothSites => Some(1 - home),
            Act::ExtraBind => Some(home),
            _ => None,
        };
        if let Some(site) = own.filter(|site| self.own_leg(account, *site).is_none()) {
            self.open_own(shared, account, site, bytes);
            self.strikes += u64::from(matches!(self.fault.act, Act::ExtraBind));
        }
        let stream = TcpStream::connect(self.sites[home]).expect("the site listens");
        let to = self.add_leg(shared, stream, Some(home));
        for (one, other) in [(leg, to), (to, leg)] {
            let leg = &mut self.legs[one];
            (leg.account, leg.kind, leg.peer) = (Some(account), kind, Some(other));
        }
        self.request(to, bytes, Some((leg, sequence)), On::Other, None);
    }

    /// Opens and binds a leg that no customer asked for. Returns when it is bound.
    fn open_own(&mut self, shared: &Arc<Shared>, account: usize, site: usize, bind: &[u8]) {
        let mut stream = TcpStream::connect(self.sites[site]).expect("the site listens");
        let mut bytes = bind.to_vec();
        bytes[4..8].copy_from_slice(&CommandId::BIND_TRANSCEIVER.0.to_be_bytes());
        stream.write_all(&bytes).expect("the site reads");
        let mut head = [0; 16];
        stream.read_exact(&mut head).expect("an answer");
        let mut rest = vec![0; header(&head, 0) as usize - head.len()];
        stream.read_exact(&mut rest).expect("a whole answer");
        assert_eq!(header(&head, 8), 0, "the site refuses a bind of the double's own");
        let leg = self.add_leg(shared, stream, Some(site));
        let leg = &mut self.legs[leg];
        (leg.account, leg.kind, leg.sequence) =
            (Some(account), Some(BindKind::Transceiver), header(bind, 12));
    }

    /// The double's own leg at the other site, for the account of this customer's leg.
    pub(crate) fn elsewhere(&self, customer: LegId) -> LegId {
        let leg = &self.legs[customer];
        let account = leg.account.expect("it is bound");
        let home = leg.peer.and_then(|peer| self.legs[peer].site).expect("it leads to a site");
        self.own_leg(account, 1 - home).expect("opened with the first bind")
    }

    /// The double's own leg of an account at a site.
    fn own_leg(&self, account: usize, site: usize) -> Option<LegId> {
        self.legs.iter().position(|leg| {
            leg.is_open && leg.peer.is_none() && leg.account == Some(account) && leg.site == Some(site)
        })
    }

    /// The first leg of this account at the customer's side that may receive.
    pub(crate) fn receiver_of(&self, account: usize) -> Option<LegId> {
        self.first_leg(|leg| {
            leg.site.is_none() && leg.account == Some(account) && leg.kind.is_some_and(BindKind::may_receive)
        })
    }

    /// The first leg of this account at its site that may submit.
    pub(crate) fn sender_of(&self, account: usize) -> Option<LegId> {
        self.first_leg(|leg| {
            leg.site.is_some() && leg.account == Some(account) && leg.kind.is_some_and(BindKind::may_submit)
        })
    }

    pub(crate) fn account_count(&self) -> usize {
        self.accounts.len()
    }

    fn first_leg(&self, is_it: impl Fn(&Leg) -> bool) -> Option<LegId> {
        self.legs.iter().position(|leg| leg.is_open && is_it(leg))
    }

    pub(super) fn unbind_own(&mut self) {
        let own = |leg: &Leg| leg.is_open && leg.peer.is_none() && leg.site.is_some();
        let legs: Vec<LegId> = (0..self.legs.len()).filter(|leg| own(&self.legs[*leg])).collect();
        for leg in legs {
            let mut bytes = BytesMut::new();
            write_header_only(&mut bytes, CommandId::UNBIND, CommandStatus::ESME_ROK, 0);
            self.request(leg, &bytes, None, On::Other, None);
        }
    }

    /// A leg was closed by whoever is there: its peer is told.
    pub(super) fn ended(&mut self, leg: LegId) {
        self.legs[leg].is_open = false;
        let _ = self.legs[leg].stream.shutdown(Shutdown::Both);
        if let Some(peer) = self.legs[leg].peer {
            let _ = self.legs[peer].stream.shutdown(Shutdown::Write);
        }
    }

    /// Ends a session on both sides, at once.
    pub(crate) fn cut(&mut self, leg: LegId) {
        for leg in [Some(leg), self.legs[leg].peer].into_iter().flatten() {
            self.legs[leg].is_open = false;
            let _ = self.legs[leg].stream.shutdown(Shutdown::Both);
        }
    }
}

/// Connections of one run, those that came after a cut included.
const LEGS_MAX: usize = 64;
