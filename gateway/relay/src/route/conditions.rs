//! What a route may ask of a message beside its destination and customer.

use super::hours::Hours;
use super::without_plus;
use crate::message::AccountId;
use crate::network::{NetworkCode, Networks};
use core::cell::OnceCell;
use smpp::field::{Alphabet, DataCoding};

/// A campaign, by its name as [`AccountId::of_name`] makes ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CampaignId(pub u128);

impl CampaignId {
    /// The id of a campaign's name.
    pub fn of_name(name: &[u8]) -> Self {
        Self(AccountId::of_name(name).0)
    }
}

/// How a text is encoded, as far as routes and vendors tell encodings apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Encoding {
    /// The vendor's default alphabet, GSM 7-bit or ASCII.
    #[default]
    Gsm7,
    /// ISO 8859-1.
    Latin1,
    /// UCS-2.
    Ucs2,
    /// Octets, and all alphabets that stand for none of the others.
    Binary,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Gsm7, Self::Latin1, Self::Ucs2, Self::Binary];

    /// What a data_coding stands for (SMPP 3.4 §5.2.19).
    pub const fn of(data_coding: DataCoding) -> Self {
        match data_coding.alphabet() {
            Alphabet::PeerDefault | Alphabet::Gsm7 | Alphabet::Ascii => Self::Gsm7,
            Alphabet::Latin1 => Self::Latin1,
            Alphabet::Ucs2 => Self::Ucs2,
            _ => Self::Binary,
        }
    }

    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gsm7 => "gsm7",
            Self::Latin1 => "latin1",
            Self::Ucs2 => "ucs2",
            Self::Binary => "binary",
        }
    }
}

/// A set of encodings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Encodings(u8);

impl Encodings {
    /// Every encoding.
    pub const ALL: Self = Self(0b1111);
    /// None.
    pub const NONE: Self = Self(0);

    /// With one more.
    pub const fn with(self, encoding: Encoding) -> Self {
        Self(self.0 | 1 << encoding as u8)
    }

    /// True when it is among them.
    #[inline]
    pub const fn contains(self, encoding: Encoding) -> bool {
        self.0 & 1 << encoding as u8 != 0
    }

    /// Their names with commas.
    pub fn names(self) -> String {
        let names: Vec<&str> =
            Encoding::ALL.iter().filter(|one| self.contains(**one)).map(|one| one.name()).collect();
        names.join(", ")
    }
}

/// What is asked of a route table. Time is that of the arrival.
#[derive(Clone, Copy, Debug)]
pub struct RouteQuestion<'a> {
    /// Whose message it is.
    pub account: AccountId,
    /// Its source address.
    pub source: &'a [u8],
    /// Its destination address; a leading `+` is skipped.
    pub destination: &'a [u8],
    /// The campaign of its source, where known.
    pub campaign: Option<CampaignId>,
    /// How its text is encoded.
    pub encoding: Encoding,
    /// Seconds since 1970 UTC.
    pub unix_seconds: u64,
}

impl<'a> RouteQuestion<'a> {
    /// A question about a text in the default alphabet, without a source, at the beginning of time.
    pub fn new(account: AccountId, destination: &'a [u8]) -> Self {
        Self { account, source: b"", destination, campaign: None, encoding: Encoding::Gsm7, unix_seconds: 0 }
    }
}

/// All that must hold beside prefix and customer. The default holds always.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Conditions {
    /// The destination belongs to this network, or to one of this country.
    pub network: Option<NetworkCode>,
    /// The source begins with one of these; a leading `+` is skipped on both sides. Empty: any source.
    pub sources: Vec<Box<str>>,
    /// The source belongs to this campaign.
    pub campaign: Option<CampaignId>,
    /// The text is encoded so.
    pub encodings: Option<Encodings>,
    /// The message arrives within these hours.
    pub hours: Option<Hours>,
}

/// One kind of condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Of the destination's network.
    Network,
    /// Of the source address.
    Source,
    /// Of the source's campaign.
    Campaign,
    /// Of the text's encoding.
    Encoding,
    /// Of the time.
    Hours,
}

impl Condition {
    /// Its setting.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Source => "sources",
            Self::Campaign => "campaign",
            Self::Encoding => "encodings",
            Self::Hours => "hours",
        }
    }
}

impl Conditions {
    /// How many kinds there are; more come first.
    pub(super) fn count(&self) -> u32 {
        u32::from(self.network.is_some())
            + u32::from(!self.sources.is_empty())
            + u32::from(self.campaign.is_some())
            + u32::from(self.encodings.is_some())
            + u32::from(self.hours.is_some())
    }

    /// The first one that does not hold.
    pub(super) fn failing(&self, facts: &Facts<'_>) -> Option<Condition> {
        let question = facts.question;
        if self.network.is_some_and(|wanted| !facts.network().is_some_and(|code| wanted.covers(code))) {
            return Some(Condition::Network);
        }
        if !self.sources.is_empty() {
            let source = without_plus(question.source);
            let begins = |prefix: &str| source.starts_with(without_plus(prefix.as_bytes()));
            if !self.sources.iter().any(|prefix| begins(prefix)) {
                return Some(Condition::Source);
            }
        }
        if self.campaign.is_some() && self.campaign != question.campaign {
            return Some(Condition::Campaign);
        }
        if self.encodings.is_some_and(|wanted| !wanted.contains(question.encoding)) {
            return Some(Condition::Encoding);
        }
        if self.hours.is_some_and(|hours| !hours.contains(question.unix_seconds)) {
            return Some(Condition::Hours);
        }
        None
    }
}

/// A question, and what is looked up for it at most once.
pub(super) struct Facts<'a> {
    pub(super) question: &'a RouteQuestion<'a>,
    networks: &'a Networks,
    network: OnceCell<Option<NetworkCode>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(question: &'a RouteQuestion<'a>, networks: &'a Networks) -> Self {
        Self { question, networks, network: OnceCell::new() }
    }

    fn network(&self) -> Option<NetworkCode> {
        *self.network.get_or_init(|| {
            let index = self.networks.find(self.question.destination)?;
            Some(self.networks.network(index).code)
        })
    }
}
