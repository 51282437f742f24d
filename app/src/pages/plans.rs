//! Plans and packs as they are shown, from the catalog alone.

use leptos::prelude::*;
use server::catalog::{Interval, Overage, Pack, Price, Tier};
use server::units::{Credits, money};

use crate::format;
use crate::layout::icons::{self, icon};

/// The price for every month, where there is one.
pub fn monthly(tier: &Tier) -> Option<&Price> {
    priced(tier, Interval::Month)
}

/// The price for every year, where there is one.
pub fn yearly(tier: &Tier) -> Option<&Price> {
    priced(tier, Interval::Year)
}

fn priced(tier: &Tier, interval: Interval) -> Option<&Price> {
    let every = |price: &&Price| price.interval == Some(interval) && price.interval_count == 1;
    tier.prices.iter().find(every)
}

/// The amount as it is said: `$79`, `$12.50`.
pub fn amount(price: &Price) -> String {
    let text = money(price.amount, &price.currency);
    text.strip_suffix(".00").map(str::to_owned).unwrap_or(text)
}

/// `a month`, `every 3 months`
pub fn every(price: &Price) -> String {
    let unit = price.interval.map_or("", Interval::word);
    match (unit, price.interval_count) {
        ("", _) => "once".to_owned(),
        (unit, 1) => format!("a {unit}"),
        (unit, count) => format!("every {count} {unit}s"),
    }
}

/// The same, by the seat where it is paid so: `a month for each seat`
pub fn each(tier: &Tier, price: &Price) -> String {
    let every = every(price);
    if tier.terms.per_seat { format!("{every} for each seat") } else { every }
}

/// How long a plan can be tried for nothing, for those who never had one: `14 days free`
pub fn trial(tier: &Tier) -> Option<String> {
    let days = tier.terms.trial_days?;
    let days = format!("{} free", format::count(days, "day", "days"));
    Some(match tier.terms.trial_credits.is_positive() {
        true => format!("{days}, with {}", format::with_unit(tier.terms.trial_credits)),
        false => days,
    })
}

/// `2,000 credits a month`, for each seat where it is paid so
pub fn included(tier: &Tier) -> String {
    let whole = format::with_unit(tier.terms.included);
    if tier.terms.per_seat {
        return format!("{whole} a month for each seat");
    }
    format!("{whole} a month")
}

/// Two radio buttons; the style sheet shows the prices of the one that is chosen.
pub fn period_switch(tiers: &[Tier], yearly: bool) -> AnyView {
    let saving = months_free(tiers).map(|months| {
        let text = format!("{} free", format::count(months, "month", "months"));
        view! { <span class="badge key">{text}</span> }
    });
    view! {
        <fieldset class="seg">
            <legend class="sr">"Billing period"</legend>
            <label>
                <input type="radio" name="period" id="month" checked=!yearly/>
                "Monthly"
            </label>
            <label>
                <input type="radio" name="period" id="year" checked=yearly/>
                "Yearly "
                {saving}
            </label>
        </fieldset>
    }
    .into_any()
}

/// How many months a year's payment saves on every tier that has both prices: the least of them.
pub fn months_free(tiers: &[Tier]) -> Option<i64> {
    let saved = tiers.iter().filter_map(|tier| {
        let (month, year) = (monthly(tier)?.amount, yearly(tier)?.amount);
        (12 * month - year).checked_div(month)
    });
    saved.min().filter(|months| *months > 0)
}

/// What a tier's page says: its selling points, or what its terms say where it has none.
pub fn points(tier: &Tier) -> Vec<String> {
    if !tier.marketing.is_empty() {
        return tier.marketing.clone();
    }
    let mut points = vec![included(tier)];
    points.push(overage(tier));
    if !tier.terms.features.is_empty() {
        let features: Vec<&str> = tier.terms.features.iter().map(String::as_str).collect();
        points.push(features.join(", "));
    }
    points
}

/// What happens past the allowance.
pub fn overage(tier: &Tier) -> String {
    let currency = tier.prices.first().map_or("usd", |price| price.currency.as_str());
    match tier.terms.overage {
        Overage::Deny => "Stops at the allowance".to_owned(),
        Overage::Allow { price } => {
            format!("Then {} a credit, up to your cap", format::unit_price(price, currency))
        }
    }
}

/// A list with ticks.
pub fn ticks(points: Vec<String>) -> AnyView {
    let item = |point| view! { <li>{icon(icons::TICK)} <span>{point}</span></li> };
    let items: Vec<_> = points.into_iter().map(item).collect();
    view! { <ul>{items}</ul> }.into_any()
}

/// How long a pack is good for.
pub fn pack_validity(pack: &Pack) -> String {
    match pack.expires_days {
        None => "Never expires".to_owned(),
        Some(days) => format!("Valid for {}", format::count(days, "day", "days")),
    }
}

/// `$0.02 a credit`
pub fn pack_rate(pack: &Pack) -> String {
    let price = &pack.price;
    format!("{} a credit", format::price_each(price.amount, pack.credits, &price.currency))
}

/// Credits in words for a table.
pub fn credits_cell(credits: Credits) -> String {
    if credits.is_positive() { format::credits(credits) } else { "None".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(interval: Interval, amount: i64) -> Price {
        Price {
            id: "price_1".to_owned(),
            currency: "usd".to_owned(),
            amount,
            interval: Some(interval),
            interval_count: 1,
            lookup_key: None,
        }
    }

    fn tier(month: i64, year: i64) -> Tier {
        Tier {
            product_id: "prod_1".to_owned(),
            tier: "pro".to_owned(),
            name: "Pro".to_owned(),
            description: String::new(),
            marketing: Vec::new(),
            rank: 1,
            highlight: false,
            free: false,
            version_id: "tv_1".to_owned(),
            terms: server::catalog::Terms::default(),
            prices: vec![price(Interval::Month, month), price(Interval::Year, year)],
        }
    }

    #[test]
    fn a_years_saving_is_told_in_months() {
        let cases = [
            (vec![tier(2_900, 29_000)], Some(2)),
            (vec![tier(2_900, 29_000), tier(1_000, 11_000)], Some(1)),
            (vec![tier(1_000, 12_000)], None),
            (vec![], None),
        ];
        for (tiers, months) in cases {
            assert_eq!(months_free(&tiers), months);
        }
    }

    #[test]
    fn prices_are_said_without_empty_cents() {
        assert_eq!(amount(&price(Interval::Month, 7_900)), "$79");
        assert_eq!(amount(&price(Interval::Month, 1_250)), "$12.50");
        assert_eq!(every(&price(Interval::Year, 1)), "a year");
    }
}
