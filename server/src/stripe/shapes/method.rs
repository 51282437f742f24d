//! What customers pay with. Pure.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::nullable;

/// `pm_…`; only its id where Stripe did no more than name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PaymentMethod {
    /// Its id.
    pub id: String,
    /// card, sepa_debit, link, …
    #[serde(default, rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Where it is a card.
    pub card: Option<Card>,
}

/// What is shown of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Card {
    /// visa, mastercard, amex, …
    #[serde(default, deserialize_with = "nullable")]
    pub brand: String,
    /// The last four digits.
    #[serde(default, deserialize_with = "nullable")]
    pub last4: String,
    /// Four digits.
    pub exp_year: i64,
    /// 1 to 12.
    pub exp_month: i64,
}

/// How a customer's invoices are paid.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct InvoiceSettings {
    /// What is charged when nothing else is named.
    #[serde(default, deserialize_with = "expandable")]
    pub default_payment_method: Option<PaymentMethod>,
}

/// A payment method that is named, expanded, or absent.
fn expandable<'de, D>(deserializer: D) -> Result<Option<PaymentMethod>, D::Error>
where
    D: Deserializer<'de>,
{
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(id) => Ok(Some(PaymentMethod { id, ..PaymentMethod::default() })),
        object => serde_json::from_value(object).map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_default_may_be_absent_named_or_expanded() {
        let read = |value: Value| {
            let settings = json!({ "default_payment_method": value });
            let settings: InvoiceSettings = serde_json::from_value(settings).expect("settings");
            settings.default_payment_method
        };
        assert_eq!(read(Value::Null), None);
        let named = read(json!("pm_1")).expect("named");
        assert_eq!((named.id.as_str(), named.card), ("pm_1", None));
        let card = json!({ "brand": "visa", "last4": "4242", "exp_year": 2034, "exp_month": 12 });
        let whole = read(json!({ "id": "pm_2", "type": "card", "card": card })).expect("whole");
        assert_eq!(whole.card.expect("a card").exp_year, 2034);
    }
}
