//! The statement of a wallet.

use serde::Deserialize;

use crate::credits::Credits;

/// One movement of a wallet.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Movement {
    /// `op_…`
    pub id: String,
    /// Its place in the wallet's order.
    pub seq: i64,
    /// grant, consume, hold, capture, expire, …
    pub kind: String,
    /// What changed in the available credits; negative where they became fewer.
    pub credits: Credits,
    /// Why, for people.
    #[serde(default)]
    pub cause: String,
    /// The usage it paid for.
    pub usage: Option<String>,
    /// What could be spent afterwards.
    pub balance: Credits,
    /// When, RFC 3339 UTC.
    pub at: String,
}
