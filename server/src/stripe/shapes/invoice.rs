//! What is read of an invoice and its lines, wherever the version of the shape keeps it. Pure.

use serde::Deserialize;

use super::{List, nullable, reference};

/// `in_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Invoice {
    /// Its id.
    pub id: String,
    /// Whose it is.
    #[serde(deserialize_with = "reference")]
    pub customer: Option<String>,
    /// draft, open, paid, void or uncollectible; null is a draft.
    #[serde(default, deserialize_with = "nullable")]
    pub status: String,
    /// The number people read.
    pub number: Option<String>,
    /// Minor units.
    pub total: i64,
    /// What is to be paid of it, in minor units: the customer's balance is taken off.
    #[serde(default, deserialize_with = "nullable")]
    pub amount_due: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// Stripe's page for it.
    pub hosted_invoice_url: Option<String>,
    /// Stripe's PDF of it.
    pub invoice_pdf: Option<String>,
    /// In seconds.
    pub created: i64,
    /// The first of its lines.
    pub lines: List<Line>,
    #[serde(default, deserialize_with = "nullable")]
    parent: Parent,
    #[serde(default, deserialize_with = "reference")]
    subscription: Option<String>,
}

impl Invoice {
    /// The subscription it belongs to, wherever the shape keeps it. (A13)
    pub fn subscription(&self) -> Option<&str> {
        let details = self.parent.subscription_details.as_ref();
        details.and_then(|d| d.subscription.as_deref()).or(self.subscription.as_deref())
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Parent {
    subscription_details: Option<SubscriptionDetails>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct SubscriptionDetails {
    #[serde(default, deserialize_with = "reference")]
    subscription: Option<String>,
}

/// `il_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Line {
    /// Its id.
    pub id: String,
    /// Minor units, before discounts and taxes.
    pub amount: i64,
    /// What it is for, as it is written on the invoice.
    pub description: Option<String>,
    /// How many.
    pub quantity: Option<i64>,
    /// What it pays for.
    pub period: Period,
    #[serde(default, deserialize_with = "nullable")]
    parent: LineParent,
    #[serde(default, deserialize_with = "nullable")]
    pricing: Pricing,
    #[serde(default, deserialize_with = "reference")]
    price: Option<String>,
    #[serde(default, deserialize_with = "reference")]
    subscription_item: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    proration: bool,
}

/// Half open, in seconds.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Period {
    /// From.
    pub start: i64,
    /// Until.
    pub end: i64,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct LineParent {
    subscription_item_details: Option<ItemDetails>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct ItemDetails {
    #[serde(default, deserialize_with = "reference")]
    subscription_item: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    proration: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Pricing {
    price_details: Option<PriceDetails>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct PriceDetails {
    #[serde(default, deserialize_with = "reference")]
    price: Option<String>,
}

impl Line {
    /// The price it was computed from.
    pub fn price(&self) -> Option<&str> {
        let details = self.pricing.price_details.as_ref();
        details.and_then(|d| d.price.as_deref()).or(self.price.as_deref())
    }

    /// The subscription item it pays for.
    pub fn item(&self) -> Option<&str> {
        let details = self.parent.subscription_item_details.as_ref();
        details.and_then(|d| d.subscription_item.as_deref()).or(self.subscription_item.as_deref())
    }

    /// Whether it is for a part of a period.
    pub fn is_proration(&self) -> bool {
        let details = self.parent.subscription_item_details.as_ref();
        details.map_or(self.proration, |details| details.proration)
    }
}
