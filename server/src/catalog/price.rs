//! Whether a price can be sold for its product. Pure.

use crate::stripe::shapes::{Price, TAG};
use crate::units;

use super::parse::{Definition, Kind, Problem};

/// Checks a price against the product it is of; says what keeps it from being sold.
pub fn check(price: &Price, product: &Definition, tag: &str) -> Result<(), Problem> {
    let wrong = |name: &str, message: String| {
        Err(Problem { object_id: price.id.clone(), name: name.to_owned(), message })
    };
    if let Some(other) = price.metadata.get(TAG).filter(|other| *other != tag) {
        // C9
        return wrong(TAG, format!("says “{other}”, but its product is of “{tag}”"));
    }
    if !units::is_currency(&price.currency) {
        return wrong("currency", format!("“{}” is not a currency we know", price.currency));
    }
    let Some(amount) = price.unit_amount.filter(|amount| *amount >= 0) else {
        return wrong("unit_amount", "must be a fixed amount; tiers are not sold".to_owned());
    };
    match (&product.kind, &price.recurring) {
        (Kind::Pack { .. }, Some(_)) => {
            wrong("recurring", "a pack is paid once; make this price one-time".to_owned())
        }
        (Kind::Pack { .. }, None) if amount == 0 => {
            wrong("unit_amount", "a pack must cost something".to_owned())
        }
        (Kind::Plan { .. } | Kind::Addon { .. }, None) if amount > 0 => {
            wrong("recurring", "a plan is paid again and again; make it recurring".to_owned())
        }
        (_, Some(every)) if !matches!(&*every.interval, "day" | "week" | "month" | "year") => {
            wrong("recurring", format!("the interval “{}” is unknown", every.interval))
        }
        (_, Some(every)) if every.usage_type == "metered" => {
            wrong("recurring", "metered prices are not sold; the gate does the metering".to_owned())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::parse::Terms;
    use crate::stripe::shapes::Recurring;
    use crate::units::Credits;

    fn define(kind: Kind) -> Definition {
        Definition { kind, rank: 0, highlight: false }
    }

    #[test]
    fn prices_must_fit_their_product() {
        let plan = define(Kind::Plan { tier: "pro".into(), terms: Terms::default() });
        let pack = define(Kind::Pack { credits: Credits::from_micros(1), expires_days: None });
        let every = |interval: &str| {
            Some(Recurring { interval: interval.into(), interval_count: 1, ..Recurring::default() })
        };
        let base = Price { currency: "usd".into(), unit_amount: Some(100), ..Price::default() };
        let monthly = Price { recurring: every("month"), ..base.clone() };
        let tagged = |tag: &str| {
            let metadata = [(TAG.to_owned(), tag.to_owned())].into();
            Price { metadata, ..monthly.clone() }
        };
        let cases = [
            (&monthly, &plan, None),
            (&base, &pack, None),
            (&tagged("ours"), &plan, None),
            (&tagged("theirs"), &plan, Some(TAG)),
            (&base, &plan, Some("recurring")),
            (&monthly, &pack, Some("recurring")),
            (&Price { unit_amount: None, ..monthly.clone() }, &plan, Some("unit_amount")),
            (&Price { unit_amount: Some(0), ..base.clone() }, &plan, None),
            (&Price { unit_amount: Some(0), ..base.clone() }, &pack, Some("unit_amount")),
            (&Price { recurring: every("aeon"), ..base.clone() }, &plan, Some("recurring")),
            (&Price { currency: "dollars".into(), ..monthly.clone() }, &plan, Some("currency")),
            (&Price { currency: "xyz".into(), ..monthly.clone() }, &plan, Some("currency")),
            (&Price { currency: "jpy".into(), ..monthly.clone() }, &plan, None),
        ];
        for (candidate, product, expected) in cases {
            let name = check(candidate, product, "ours").err().map(|problem| problem.name);
            assert_eq!(name.as_deref(), expected, "{candidate:?}");
        }
    }
}
