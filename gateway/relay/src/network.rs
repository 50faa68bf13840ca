//! Which mobile network a destination belongs to, where a prefix tells. Ported numbers are not known here: a prefix
//! says to whom a range was given.

use crate::route::trie::Trie;
use crate::route::without_plus;
use crate::snapshot::{Mistake, NUMBER_LENGTH_MAX};
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

/// Different networks of one snapshot; the world has about 2,500.
pub const NETWORKS_MAX: usize = 16_384;
/// Longest name of a carrier, bytes.
const CARRIER_BYTES_MAX: usize = 32;

/// A mobile country code, and the network's code within it (ITU-T E.212).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NetworkCode {
    /// 0..=999, written with three digits.
    mcc: u16,
    /// The network's code; a rule may know the country alone. `01` and `001` are two networks.
    mnc: Option<Mnc>,
}

/// Code of a network within its country.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Mnc {
    code: u16,
    /// 2 or 3.
    digits: u8,
}

impl NetworkCode {
    /// Reads a country code of three digits and a network code of two or three; an empty one is left open.
    pub fn new(mcc: &str, mnc: &str) -> Option<Self> {
        let number = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.parse().ok());
        let mcc = number(mcc).flatten().filter(|_| mcc.len() == 3)?;
        let mnc = match mnc.len() {
            0 => None,
            2 | 3 => Some(Mnc { code: number(mnc).flatten()?, digits: mnc.len() as u8 }),
            _ => return None,
        };
        Some(Self { mcc, mnc })
    }

    /// Reads both in one: `310260`, or `310` for the whole country.
    pub fn parse(text: &str) -> Option<Self> {
        let (mcc, mnc) = text.split_at_checked(3)?;
        Self::new(mcc, mnc)
    }

    /// True when `other` is this network, or any of the country where this names no network.
    pub fn covers(self, other: Self) -> bool {
        self.mcc == other.mcc && (self.mnc.is_none() || self.mnc == other.mnc)
    }

    /// The country's code, 0..=999.
    pub fn mcc(self) -> u16 {
        self.mcc
    }

    /// True when it names one network, not a whole country.
    pub fn names_network(self) -> bool {
        self.mnc.is_some()
    }
}

impl fmt::Display for NetworkCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.mcc)?;
        match self.mnc {
            Some(Mnc { code, digits }) => write!(f, "{code:0width$}", width = usize::from(digits)),
            None => Ok(()),
        }
    }
}

/// One rule, as configured.
#[derive(Clone, Debug)]
pub struct NetworkRule {
    /// 1 to 20 digits that the destination begins with. A leading `+` is skipped.
    pub prefix: Box<str>,
    /// The network.
    pub code: NetworkCode,
    /// The carrier's name, as limits and reports name it; empty where it is not known.
    pub carrier: Box<str>,
}

/// A network that destinations belong to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Network {
    /// Its code.
    pub code: NetworkCode,
    /// The carrier's name; empty where it is not known.
    pub carrier: Box<str>,
}

/// A network of one [`Networks`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NetworkIndex(pub u16);

/// All networks, compiled. Immutable; a look-up allocates nothing.
#[derive(Debug)]
pub struct Networks {
    trie: Trie,
    networks: Vec<Network>,
}

impl Networks {
    pub(crate) fn compile(rules: &[NetworkRule], mistakes: &mut Vec<Mistake>) -> Self {
        let mut trie = Trie::new();
        let mut networks = Vec::new();
        let mut places: BTreeMap<Network, u32> = BTreeMap::new();
        let mut prefixes: BTreeSet<&[u8]> = BTreeSet::new();
        for (at, rule) in rules.iter().enumerate() {
            let prefix = without_plus(rule.prefix.as_bytes());
            if !(1..=NUMBER_LENGTH_MAX).contains(&prefix.len()) || !prefix.iter().all(u8::is_ascii_digit) {
                mistakes.push(Mistake::NetworkPrefixInvalid { network: at });
                continue;
            }
            if !prefixes.insert(prefix) {
                mistakes.push(Mistake::NetworkPrefixTwice { network: at });
                continue;
            }
            if rule.carrier.len() > CARRIER_BYTES_MAX {
                mistakes.push(Mistake::NetworkCodeInvalid { network: at });
                continue;
            }
            let network = Network { code: rule.code, carrier: rule.carrier.clone() };
            let place = *places.entry(network.clone()).or_insert_with(|| {
                networks.push(network);
                networks.len() as u32 - 1
            });
            trie.insert(prefix, place);
        }
        if networks.len() > NETWORKS_MAX {
            mistakes.push(Mistake::NetworksTooMany { max: NETWORKS_MAX });
        }
        Self { trie, networks }
    }

    /// The network of a destination, by its longest known prefix. A leading `+` is skipped.
    #[inline]
    pub fn find(&self, destination: &[u8]) -> Option<NetworkIndex> {
        if self.networks.is_empty() {
            return None;
        }
        self.trie.longest(without_plus(destination)).map(|place| NetworkIndex(place as u16))
    }

    /// What is known of a network that [`Networks::find`] gave.
    pub fn network(&self, index: NetworkIndex) -> &Network {
        &self.networks[usize::from(index.0)]
    }

    /// All networks, each once; [`NetworkIndex`] is their place.
    pub fn all(&self) -> &[Network] {
        &self.networks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(prefix: &str, code: &str, carrier: &str) -> NetworkRule {
        NetworkRule {
            prefix: prefix.into(),
            code: NetworkCode::parse(code).unwrap(),
            carrier: carrier.into(),
        }
    }

    #[test]
    fn codes_are_read_as_they_are_written() {
        for (text, valid) in [
            ("310", true),
            ("310260", true),
            ("26201", true),
            ("262001", true),
            ("31", false),
            ("3102", false),
            ("3102600", false),
            ("31026x", false),
            ("+10260", false),
            ("31é", false),
            ("", false),
        ] {
            assert_eq!(NetworkCode::parse(text).map(|code| code.to_string()), valid.then(|| text.into()));
        }
        let covers = |a: &str, b: &str| {
            let code = |text| NetworkCode::parse(text).unwrap();
            code(a).covers(code(b))
        };
        assert!(covers("310", "310260") && covers("310260", "310260") && covers("310", "310"));
        assert!(!covers("310260", "310") && !covers("311", "310260") && !covers("26201", "262001"));
    }

    #[test]
    fn the_longest_prefix_tells_the_network() {
        let mut mistakes = Vec::new();
        let rules = [
            rule("1", "310", ""),
            rule("1202555", "310260", "tmobile"),
            rule("+120255501", "310410", "att"),
            rule("1312", "310410", "att"),
        ];
        let networks = Networks::compile(&rules, &mut mistakes);
        assert_eq!(mistakes, []);
        assert_eq!(networks.all().len(), 3);
        for (destination, expected) in [
            ("12025550199", Some("310410 att")),
            ("+12025559999", Some("310260 tmobile")),
            ("13125550100", Some("310410 att")),
            ("14045550100", Some("310 ")),
            ("447700900000", None),
            ("", None),
        ] {
            let found = networks.find(destination.as_bytes()).map(|index| networks.network(index));
            let found = found.map(|network| format!("{} {}", network.code, network.carrier));
            assert_eq!(found.as_deref(), expected, "{destination}");
        }
    }

    #[test]
    fn all_mistakes_come_at_once() {
        let mut mistakes = Vec::new();
        let long = "x".repeat(CARRIER_BYTES_MAX + 1);
        let rules = [
            rule("", "310", ""),
            rule("12x", "310", ""),
            rule("44", "234", ""),
            rule("+44", "23415", ""),
            rule("49", "262", &long),
        ];
        Networks::compile(&rules, &mut mistakes);
        assert_eq!(
            mistakes,
            [
                Mistake::NetworkPrefixInvalid { network: 0 },
                Mistake::NetworkPrefixInvalid { network: 1 },
                Mistake::NetworkPrefixTwice { network: 3 },
                Mistake::NetworkCodeInvalid { network: 4 },
            ]
        );
    }
}
