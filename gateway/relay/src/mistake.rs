//! What can be wrong with a configuration that the relay is to follow.

/// One thing wrong with a [`SnapshotInput`](crate::SnapshotInput). Indices point into it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// Two accounts have one id: the same name twice, or two names with one hash.
    AccountTwice {
        /// The first.
        first: usize,
        /// The other.
        second: usize,
    },
    /// Two vendors have one id.
    VendorTwice {
        /// The first.
        first: usize,
        /// The other.
        second: usize,
    },
    /// More vendors than routing can name.
    VendorsTooMany {
        /// At most so many.
        max: usize,
    },
    /// A rate without a burst lets nothing through.
    BurstZero {
        /// The account.
        account: usize,
    },
    /// ESME_ROK would claim success for an unknown outcome.
    UnknownStatusOk {
        /// The account.
        account: usize,
    },
    /// A source number is not 1 to 20 digits.
    SourceNumberInvalid {
        /// The source number.
        number: usize,
    },
    /// A source number stands there already.
    SourceNumberTwice {
        /// The one that came later.
        number: usize,
    },
    /// The campaign of a source number is not among the campaigns.
    SourceCampaignUnknown {
        /// The source number.
        number: usize,
    },
    /// A campaign's class is none, or its brand is not among the brands.
    CampaignInvalid {
        /// The campaign.
        campaign: usize,
    },
    /// More limits than a node has room for.
    LimitsTooMany {
        /// At most so many.
        max: usize,
    },
    /// A number is not 1 to 20 digits.
    NumberInvalid {
        /// The account.
        account: usize,
        /// Which of its numbers.
        number: usize,
    },
    /// Two accounts claim one number.
    NumberTwice {
        /// The account that came later.
        account: usize,
        /// Which of its numbers.
        number: usize,
    },
    /// A keyword's number is not 1 to 20 digits.
    KeywordNumberInvalid {
        /// The rule.
        rule: usize,
    },
    /// A keyword is not 1 to 20 characters, or holds white space or a control character.
    KeywordInvalid {
        /// The rule.
        rule: usize,
    },
    /// A number has this keyword already.
    KeywordTwice {
        /// The rule that came later.
        rule: usize,
    },
    /// A keyword's account does not exist.
    KeywordAccountUnknown {
        /// The rule.
        rule: usize,
    },
    /// An error map turns an error into success, or success into an error.
    ErrorMapOk {
        /// The vendor.
        vendor: usize,
    },
    /// A prefix is not 0 to 20 digits.
    PrefixInvalid {
        /// The route.
        route: usize,
    },
    /// A route names an account that does not exist.
    RouteAccountUnknown {
        /// The route.
        route: usize,
    },
    /// A route names a vendor that does not exist.
    RouteVendorUnknown {
        /// The route.
        route: usize,
        /// Which of its vendors.
        vendor: usize,
    },
    /// A route names a vendor that another route of the same prefix, customer and priority, or itself, names.
    RouteVendorTwice {
        /// The route.
        route: usize,
        /// Which of its vendors.
        vendor: usize,
    },
    /// A route without a vendor.
    RouteEmpty {
        /// The route.
        route: usize,
    },
    /// A vendor with weight 0 would never be chosen, or weights overflow.
    WeightInvalid {
        /// The route.
        route: usize,
        /// Which of its vendors.
        vendor: usize,
    },
    /// More vendors behind one prefix and customer than a message can be tried on.
    RouteVendorsTooMany {
        /// The route that exceeded it.
        route: usize,
        /// At most so many.
        max: usize,
    },
    /// A route shall take the cheapest vendor, and one has no price.
    PriceMissing {
        /// The route.
        route: usize,
        /// Which of its vendors.
        vendor: usize,
    },
    /// A rewrite's part is longer than an address or no digits.
    RewriteInvalid {
        /// The route.
        route: usize,
    },
    /// More different rewrites than can be named.
    RewritesTooMany {
        /// At most so many.
        max: usize,
    },
    /// A network's prefix is not 1 to 20 digits.
    NetworkPrefixInvalid {
        /// The rule.
        network: usize,
    },
    /// An earlier rule has this prefix already.
    NetworkPrefixTwice {
        /// The rule that came later.
        network: usize,
    },
    /// A country code is not three digits, a network code is not two or three, or the carrier's name is too long.
    NetworkCodeInvalid {
        /// The rule.
        network: usize,
    },
    /// More different networks than can be named.
    NetworksTooMany {
        /// At most so many.
        max: usize,
    },
    /// A bound is zero or outside its range; the field's name.
    LimitInvalid {
        /// The field of [`Limits`](crate::Limits) or [`CircuitRules`].
        field: &'static str,
    },
}
