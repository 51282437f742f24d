//! Words of the API that may become more: each enum keeps a word that it does not know, so that a
//! new one breaks no program.

macro_rules! open_words {
    (
        $(#[$about:meta])*
        $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// The word itself.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                Ok(Self::from(&*word))
            }
        }
    };
}

pub(crate) use open_words;

open_words! {
    /// Why: the closed list of the API, and whatever it says that is newer than this crate.
    Code {
        /// It may run; only in a decision.
        Allowed = "allowed",
        /// 402: the credits do not suffice.
        InsufficientCredits = "insufficient_credits",
        /// 402: the ceiling that the org set for itself.
        CapReached = "cap_reached",
        /// 402: the subscription's payment is overdue past its grace.
        PaymentPastDue = "payment_past_due",
        /// 403: the tier does not include the feature.
        FeatureNotIncluded = "feature_not_included",
        /// 403: the tier does not include the model.
        ModelNotIncluded = "model_not_included",
        /// 403: the rate card has no price for it.
        PriceUnknown = "price_unknown",
        /// 403: as much as the tier gives in this day or period.
        LimitReached = "limit_reached",
        /// 403: dispute, fraud or an operator.
        Blocked = "blocked",
        /// 403: the API key may ask, but not spend.
        ScopeMissing = "scope_missing",
        /// 403: the books of this wallet are being checked.
        WalletParked = "wallet_parked",
        /// 400: the request is wrong; `param` says where.
        InvalidRequest = "invalid_request",
        /// 400: a write came without its key.
        IdempotencyKeyRequired = "idempotency_key_required",
        /// 401: the API key is unknown or revoked.
        Unauthenticated = "unauthenticated",
        /// 404: it does not exist, or is another org's.
        NotFound = "not_found",
        /// 409: the hold was captured, released or charged at its end.
        HoldNotOpen = "hold_not_open",
        /// 409: the first request with this key is still under way.
        IdempotencyInProgress = "idempotency_in_progress",
        /// 409: what this key did was taken back; a new key is needed.
        OperationReversed = "operation_reversed",
        /// 413: over 1 MiB.
        TooLarge = "too_large",
        /// 422: the key came with another request before.
        IdempotencyKeyReused = "idempotency_key_reused",
        /// 429: too many in this minute.
        RateLimited = "rate_limited",
        /// 500: a fault of the gate; nothing was half done.
        Internal = "internal",
        /// 503: the gate is busy or stopping; nothing was half done.
        Unavailable = "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_not_known_is_kept() {
        let known: Code = serde_json::from_str("\"cap_reached\"").expect("a code");
        assert_eq!(known, Code::CapReached);
        let newer: Code = serde_json::from_str("\"moon_\\u0070hase\"").expect("a code");
        assert_eq!(newer, Code::Other("moon_phase".to_owned()));
        assert_eq!(serde_json::to_string(&newer).expect("JSON"), "\"moon_phase\"");
        assert!(serde_json::from_str::<Code>("7").is_err());
    }
}
