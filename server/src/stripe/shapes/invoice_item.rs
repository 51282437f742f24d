//! What is read of something that an invoice takes along. Pure.

use serde::Deserialize;

use super::{Metadata, nullable, reference};

/// `ii_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct InvoiceItem {
    /// Its id.
    pub id: String,
    /// The invoice it is on; none while it waits for the next.
    #[serde(default, deserialize_with = "reference")]
    pub invoice: Option<String>,
    /// Minor units.
    pub amount: i64,
    /// Our keys.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
}
