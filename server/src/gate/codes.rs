//! The closed list of what the gate answers. Pure words.

/// What the gate answers, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It may run.
    Allowed,
    /// The books of this wallet disagree; debits wait for an operator.
    WalletParked,
    /// A dated reason to refuse: dispute, fraud, an operator.
    Blocked,
    /// The subscription's payment is overdue past its grace.
    PaymentPastDue,
    /// The tier does not include the feature.
    FeatureNotIncluded,
    /// The tier does not include the model.
    ModelNotIncluded,
    /// The rate card has no price for this model: never free.
    PriceUnknown,
    /// Too many in this minute.
    RateLimited,
    /// As many as the tier gives in this day.
    LimitReached,
    /// The ceiling the org set for itself.
    CapReached,
    /// Not enough credits.
    InsufficientCredits,
}

impl Code {
    /// The word programs match.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::WalletParked => "wallet_parked",
            Self::Blocked => "blocked",
            Self::PaymentPastDue => "payment_past_due",
            Self::FeatureNotIncluded => "feature_not_included",
            Self::ModelNotIncluded => "model_not_included",
            Self::PriceUnknown => "price_unknown",
            Self::RateLimited => "rate_limited",
            Self::LimitReached => "limit_reached",
            Self::CapReached => "cap_reached",
            Self::InsufficientCredits => "insufficient_credits",
        }
    }

    /// The HTTP status of a write that was answered so.
    pub fn status(self) -> u16 {
        match self {
            Self::Allowed => 200,
            Self::InsufficientCredits | Self::CapReached | Self::PaymentPastDue => 402,
            Self::RateLimited => 429,
            _ => 403,
        }
    }

    /// Where the customer can change the answer: a word and a path on this site.
    pub fn next_step(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Allowed | Self::RateLimited | Self::WalletParked | Self::Blocked => None,
            Self::PaymentPastDue => Some(("update_payment", "/billing")),
            Self::FeatureNotIncluded | Self::ModelNotIncluded => Some(("upgrade", "/pricing")),
            Self::PriceUnknown => None,
            Self::LimitReached => Some(("upgrade", "/pricing")),
            Self::CapReached => Some(("raise_cap", "/billing#caps")),
            Self::InsufficientCredits => Some(("top_up", "/billing#packs")),
        }
    }
}
