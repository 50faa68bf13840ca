//! What carriers of the United States allow, as data. Figures and their sources: `docs/decisions/0019-limits.md`.

/// A network as far as limits differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// AT&T; also what nobody knows better.
    Att,
    /// T-Mobile with Sprint and Metro.
    TMobile,
    /// Verizon.
    Verizon,
    /// Another one that is known.
    Other,
    /// One of another country: nothing of all this holds there.
    Foreign,
    /// Nobody knows which network the destination is on.
    Unknown,
}

impl Carrier {
    /// The carrier of a network by the word that the table of networks has for it. Case does not count.
    pub fn of_word(word: &str) -> Self {
        let is = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
        if is(&["att", "at&t"]) {
            Self::Att
        } else if is(&["tmobile", "t-mobile", "sprint", "metro"]) {
            Self::TMobile
        } else if is(&["verizon"]) {
            Self::Verizon
        } else if word.is_empty() {
            Self::Unknown
        } else {
            Self::Other
        }
    }
}

/// Whose rate AT&T counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttScope {
    /// All numbers of the campaign together.
    Campaign,
    /// Each number of the campaign for itself.
    Number,
}

/// What AT&T allows a campaign of a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttRule {
    /// The letter of the class.
    pub class: char,
    /// Segments a minute.
    pub per_minute: u32,
    /// Of what.
    pub scope: AttScope,
}

const fn rule(class: char, per_minute: u32, scope: AttScope) -> AttRule {
    AttRule { class, per_minute, scope }
}

/// All classes. S: the newest of three figures; Y and Z from one older table.
pub const ATT_RULES: [AttRule; 15] = [
    rule('A', 4_500, AttScope::Campaign),
    rule('B', 4_500, AttScope::Campaign),
    rule('C', 2_400, AttScope::Campaign),
    rule('D', 2_400, AttScope::Campaign),
    rule('E', 240, AttScope::Campaign),
    rule('F', 240, AttScope::Campaign),
    rule('G', 60, AttScope::Number),
    rule('K', 4_500, AttScope::Campaign),
    rule('N', 60, AttScope::Number),
    rule('P', 2_400, AttScope::Campaign),
    rule('S', 9_000, AttScope::Campaign),
    rule('T', 75, AttScope::Campaign),
    rule('W', 15, AttScope::Campaign),
    rule('X', 4_500, AttScope::Campaign),
    rule('Y', 720, AttScope::Number),
];

/// The last class, apart because the table is by letter.
pub const ATT_TRIAL: AttRule = rule('Z', 6, AttScope::Number);

/// The rule of a class.
pub fn att_rule(class: char) -> Option<AttRule> {
    ATT_RULES.into_iter().chain([ATT_TRIAL]).find(|rule| rule.class == class)
}

/// T-Mobile's tiers of brands, and the segments a day that each may send; 0 = uncapped.
pub const TMOBILE_TIERS: [(&str, u32); 6] = [
    ("top", 200_000),
    ("high_mid", 40_000),
    ("low_mid", 10_000),
    ("low", 2_000),
    ("sole_proprietor", 1_000),
    ("government", 0),
];

/// Segments a day of a tier; nothing when there is no such tier.
pub fn tmobile_cap(tier: &str) -> Option<u32> {
    TMOBILE_TIERS.iter().find(|(name, _)| *name == tier).map(|(_, cap)| *cap)
}

/// What holds for numbers where nothing is said of one. All can be changed; 0 switches one off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CarrierRules {
    /// Segments a second of a toll-free number, thousandths.
    pub toll_free_milli: u64,
    /// Segments a second of a short code, thousandths.
    pub short_code_milli: u64,
    /// Segments a second of a long code without a campaign, thousandths.
    pub long_code_milli: u64,
    /// Segments a minute to Verizon of a long code with a campaign.
    pub verizon_per_minute: u32,
    /// AT&T's rates of campaigns.
    pub att: bool,
    /// T-Mobile's caps of brands.
    pub tmobile: bool,
}

impl Default for CarrierRules {
    fn default() -> Self {
        Self {
            toll_free_milli: 3_000,
            short_code_milli: 100_000,
            long_code_milli: 1_000,
            verizon_per_minute: 6_000,
            att: true,
            tmobile: true,
        }
    }
}

/// Of a carrier's minute, the part that may come at once: a twentieth.
const MINUTE_BURST_PARTS: u32 = 20;
/// What a slow campaign may send at once where that is no more than a quarter of its minute, so that a message of some
/// segments passes.
const MINUTE_BURST_MIN: u32 = 12;

/// Rate (thousandths a second) and burst for so many a minute, such that no minute, wherever the carrier lets it
/// begin, holds more: `60 * rate + burst <= per_minute`.
pub fn by_minute(per_minute: u32, burst: Option<u32>) -> (u64, u32) {
    let even = (per_minute / MINUTE_BURST_PARTS).max(MINUTE_BURST_MIN.min(per_minute / 4));
    let burst = burst.unwrap_or(even).clamp(1, per_minute.max(2) - 1);
    let rate_milli = u64::from(per_minute.saturating_sub(burst)) * 1000 / 60;
    (rate_milli.max(1), burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_holds_more_than_the_carrier_allows() {
        for rule in ATT_RULES.into_iter().chain([ATT_TRIAL]) {
            for burst in [None, Some(1), Some(50), Some(100_000)] {
                let (rate_milli, burst) = by_minute(rule.per_minute, burst);
                assert!(rate_milli * 60 / 1000 + u64::from(burst) <= u64::from(rule.per_minute), "{rule:?}");
            }
            let (rate_milli, _) = by_minute(rule.per_minute, None);
            let used = rate_milli * 60 * 100 / 1000 / u64::from(rule.per_minute);
            assert!(used >= if rule.per_minute >= 240 { 94 } else { 74 }, "{rule:?}: {used} %");
        }
    }

    #[test]
    fn the_tables_hold_each_class_and_tier_once() {
        assert_eq!(att_rule('E').unwrap().per_minute, 240);
        assert_eq!(att_rule('Z').unwrap().scope, AttScope::Number);
        assert_eq!(att_rule('Q'), None);
        assert_eq!(
            (tmobile_cap("low"), tmobile_cap("government"), tmobile_cap("x")),
            (Some(2000), Some(0), None)
        );
        for (place, rule) in ATT_RULES.iter().enumerate() {
            assert!(ATT_RULES[place + 1..].iter().all(|other| other.class > rule.class));
        }
        assert_eq!(Carrier::of_word("T-Mobile"), Carrier::TMobile);
        assert_eq!(Carrier::of_word("uscellular"), Carrier::Other);
    }
}
