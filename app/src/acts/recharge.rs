//! Switching auto-recharge on and off.

use leptos::prelude::*;
use server::auth::Permission;
use server::autorecharge::Wish;
use server::units::{Credits, MICRO, currency_exponent, parse_decimal};
use server::{catalog, recharges};

use crate::error::AppError;
use crate::{forms, session, web};

/// Switches auto-recharge on, or changes what is wanted of it.
#[server(prefix = "/api", endpoint = "save_recharge")]
pub async fn save_recharge(
    #[server(default)] threshold: String,
    #[server(default)] pack: String,
    #[server(default)] monthly_max: String,
) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    let threshold = parse_threshold(&threshold)?;
    let packs = catalog::current(&engine.db).await?.packs;
    let Some(chosen) = packs.iter().find(|one| one.price.id == pack) else {
        return Err(AppError::field("pack", "Choose one of the packs that are on sale."));
    };
    let monthly_max = parse_money(&monthly_max, &chosen.price.currency)
        .map_err(|message| AppError::field("monthly_max", message))?;
    recharges::save(&engine, &who, &Wish { threshold, price_id: pack, monthly_max }).await?;
    forms::done("Auto-recharge is on.").await?;
    web::redirect("/billing");
    Ok(())
}

/// Switches auto-recharge off.
#[server(prefix = "/api", endpoint = "stop_recharge")]
pub async fn stop_recharge() -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    recharges::stop(&engine, &who).await?;
    forms::done("Auto-recharge is off.").await?;
    web::redirect("/billing");
    Ok(())
}

fn parse_threshold(typed: &str) -> Result<Credits, AppError> {
    let plain: String = typed.chars().filter(|c| !matches!(c, ',' | ' ' | '\u{a0}')).collect();
    if plain.is_empty() {
        return Err(AppError::field("threshold", "Enter how many credits, such as 100."));
    }
    let wrong = |error| AppError::field("threshold", format!("The threshold {error}."));
    plain.parse::<Credits>().map_err(wrong)
}

/// Money as people type it, in minor units: `100`, `$1,250.50`. A comma stands between thousands
/// only, so that `12,50` is not taken for a hundred times as much.
fn parse_money(typed: &str, currency: &str) -> Result<i64, String> {
    let example = "Enter an amount such as 100 or 1,250.50.";
    let plain = typed.trim().trim_start_matches(['$', '€', '£', '¥']).trim();
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let is_short = first.len() <= 3 || !whole.contains(',');
    if first.is_empty() || !is_short || groups.any(|group| group.len() != 3) {
        return Err(example.to_owned());
    }
    let digits = whole.replace(',', "");
    let point = if plain.contains('.') { "." } else { "" };
    let micros = parse_decimal(&format!("{digits}{point}{fraction}"));
    let micros = micros.map_err(|_| example.to_owned())?;
    let scale = i128::from(10_i64.pow(currency_exponent(currency)));
    let minor = i128::from(micros) * scale;
    if minor < 0 || minor % i128::from(MICRO) != 0 {
        return Err(example.to_owned());
    }
    i64::try_from(minor / i128::from(MICRO)).map_err(|_| "This is too much.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_as_people_type_it_and_never_a_hundredfold() {
        let cases = [
            ("100", "usd", Some(10_000)),
            ("$1,250.50", "usd", Some(125_050)),
            (" 0.5 ", "usd", Some(50)),
            ("500", "jpy", Some(500)),
            ("1.234", "kwd", Some(1_234)),
            ("12,50", "usd", None),
            ("1234,567", "usd", None),
            ("1.005", "usd", None),
            ("1.5", "jpy", None),
            ("-5", "usd", None),
            ("", "usd", None),
            ("much", "usd", None),
            ("99999999999999999999", "usd", None),
        ];
        for (typed, currency, expected) in cases {
            assert_eq!(parse_money(typed, currency).ok(), expected, "{typed} {currency}");
        }
    }

    #[test]
    fn a_threshold_that_is_none_is_said_under_its_field() {
        assert_eq!(parse_threshold("1,000").ok(), Credits::from_whole(1_000));
        for typed in ["", "few"] {
            let error = parse_threshold(typed).expect_err("refused");
            assert!(error.fields.contains_key("threshold"), "{typed}");
        }
    }
}
