//! What is read of Stripe's objects: the fields that the program acts on, and nothing else. Pure.
//!
//! Lenient where nothing depends on it (metadata may be null, an object may be expanded or only
//! named), strict where something does: a missing status or period is an error, never a guess.

mod invoice;
mod invoice_item;
mod method;
mod money;
mod subscription;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub use invoice::{Invoice, Line, Period};
pub use invoice_item::InvoiceItem;
pub use method::{Card, InvoiceSettings, PaymentMethod};
pub use money::{Charge, CreditNote, Dispute, InvoicePayment, PaymentError, PaymentIntent, Refund};
pub use subscription::{
    CurrentPhase, Item, Phase, PhaseDiscount, PhaseItem, Schedule, Subscription,
};

/// A page of a list.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct List<T> {
    /// The objects.
    pub data: Vec<T>,
    /// Whether more follow.
    #[serde(default)]
    pub has_more: bool,
}

/// Something that has an id, so that the next page can be asked for.
pub trait Identified {
    /// The id.
    fn id(&self) -> &str;
}

macro_rules! identified {
    ($($shape:ty),*) => {$(
        impl Identified for $shape {
            fn id(&self) -> &str {
                &self.id
            }
        }
    )*};
}
identified!(
    Product,
    Price,
    Line,
    Event,
    InvoiceItem,
    Charge,
    CreditNote,
    Dispute,
    InvoicePayment,
    PaymentIntent,
    Refund,
    Customer,
    Subscription,
    Invoice,
    Session
);

/// The metadata key whose value says whose product an object belongs to.
pub const TAG: &str = "product";

/// Metadata, empty where Stripe sends null.
pub type Metadata = BTreeMap<String, String>;

fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The id of an object that is named, expanded, or absent.
fn reference<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().or_else(|| value["id"].as_str()).map(str::to_owned))
}

/// `prod_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Product {
    /// Its id.
    pub id: String,
    /// Whether it is offered.
    pub active: bool,
    /// Its name.
    pub name: String,
    /// Its description.
    #[serde(default, deserialize_with = "nullable")]
    pub description: String,
    /// Our keys.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// Selling points.
    #[serde(default, deserialize_with = "nullable")]
    pub marketing_features: Vec<MarketingFeature>,
    /// In seconds.
    pub created: i64,
}

/// One selling point.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct MarketingFeature {
    /// The text.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
}

/// `price_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Price {
    /// Its id.
    pub id: String,
    /// Whether it is offered.
    pub active: bool,
    /// Three lowercase letters.
    pub currency: String,
    /// Minor units; null for tiered and decimal prices.
    pub unit_amount: Option<i64>,
    /// What it is a price of.
    #[serde(default, deserialize_with = "reference")]
    pub product: Option<String>,
    /// How often; null is once.
    pub recurring: Option<Recurring>,
    /// The name that programs know it by.
    pub lookup_key: Option<String>,
    /// Our keys.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// In seconds.
    pub created: i64,
}

/// How often a price is paid.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Recurring {
    /// day, week, month or year
    pub interval: String,
    /// Every so many of them.
    pub interval_count: i64,
    /// licensed or metered
    #[serde(default, deserialize_with = "nullable")]
    pub usage_type: String,
}

/// `cus_…`; a deleted one has nothing but its id.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Customer {
    /// Its id.
    pub id: String,
    /// Whether it was deleted.
    #[serde(default)]
    pub deleted: bool,
    /// Where invoices go.
    #[serde(default, deserialize_with = "nullable")]
    pub email: String,
    /// Our tag and the org's id.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// How its invoices are paid.
    #[serde(default, deserialize_with = "nullable")]
    pub invoice_settings: InvoiceSettings,
}

/// An object of which only the id is read.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Named {
    /// Its id.
    pub id: String,
}

/// `cs_…`
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Where the buyer is sent; gone once complete.
    pub url: Option<String>,
    /// subscription, payment or setup
    pub mode: String,
    /// open, complete or expired
    #[serde(default, deserialize_with = "nullable")]
    pub status: String,
    /// paid, unpaid or no_payment_required
    pub payment_status: String,
    /// Who pays.
    #[serde(default, deserialize_with = "reference")]
    pub customer: Option<String>,
    /// The org, as we said.
    pub client_reference_id: Option<String>,
    /// The subscription that it made.
    #[serde(default, deserialize_with = "reference")]
    pub subscription: Option<String>,
    /// The invoice of that subscription.
    #[serde(default, deserialize_with = "reference")]
    pub invoice: Option<String>,
    /// The payment that it made.
    #[serde(default, deserialize_with = "reference")]
    pub payment_intent: Option<String>,
    /// Minor units, with discounts and taxes.
    pub amount_total: Option<i64>,
    /// Three lowercase letters.
    pub currency: Option<String>,
    /// Our keys.
    #[serde(default, deserialize_with = "nullable")]
    pub metadata: Metadata,
    /// What is bought; only where it was asked for.
    pub line_items: Option<List<SessionLine>>,
}

/// A line of a checkout.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SessionLine {
    /// What is paid.
    pub price: Option<Named>,
    /// How many.
    pub quantity: Option<i64>,
}

/// A page of the customer portal.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Portal {
    /// Where the customer is sent.
    pub url: String,
}

/// `evt_…`, kept as it came.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// All of it.
    pub raw: Value,
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        let id = raw["id"].as_str().unwrap_or_default().to_owned();
        Ok(Self { id, raw })
    }
}
