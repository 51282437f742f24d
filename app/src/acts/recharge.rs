//! Switching auto-recharge on and off.

use leptos::prelude::*;
use server::auth::Permission;
use server::autorecharge::{Wish, monthly_fault, threshold_fault};
use server::catalog::Resolved;
use server::recharges::{self, NO_PACK};

use crate::error::AppError;
use crate::forms::{self, typed};
use crate::{session, web};

/// Switches auto-recharge on, or changes what is wanted of it.
#[server(prefix = "/api", endpoint = "save_recharge")]
pub async fn save_recharge(
    #[server(default)] threshold: String,
    #[server(default)] pack: String,
    #[server(default)] monthly_max: String,
) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    let pack = recharges::pack_on_sale(&engine.db, &pack).await?;
    let wish = wish(&threshold, pack.as_ref(), &monthly_max)?;
    recharges::save(&engine, &who, &wish).await?;
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

/// What was typed, or everything that is wrong with it. An amount is read in the currency of the
/// pack, and as one with cents where there is no pack.
fn wish(threshold: &str, pack: Option<&Resolved>, most: &str) -> Result<Wish, AppError> {
    let (price, currency) = pack.map_or((0, "usd"), |pack| (pack.amount, pack.currency.as_str()));
    let threshold = typed::credits("The threshold", threshold);
    let threshold = sound(threshold, |typed| threshold_fault(*typed));
    let most = sound(typed::money(most, currency), |typed| match pack {
        Some(_) => monthly_fault(*typed, price, currency),
        None => None,
    });
    match (threshold, pack, most) {
        (Ok(threshold), Some(pack), Ok(monthly_max)) => {
            Ok(Wish { threshold, price_id: pack.price_id.clone(), monthly_max })
        }
        (threshold, pack, most) => Err(AppError::fields([
            ("threshold", threshold.err()),
            ("pack", pack.is_none().then(|| NO_PACK.to_owned())),
            ("monthly_max", most.err()),
        ])),
    }
}

/// What was read, unless there is something wrong with it.
fn sound<T>(read: Result<T, String>, fault: impl Fn(&T) -> Option<String>) -> Result<T, String> {
    let value = read?;
    fault(&value).map_or(Ok(value), Err)
}

#[cfg(test)]
mod tests {
    use server::units::Credits;

    use super::*;

    #[test]
    fn everything_that_is_wrong_is_said_at_once_and_under_its_field() {
        let euros = Resolved {
            price_id: "price_1".to_owned(),
            product_id: "prod_1".to_owned(),
            kind: "pack".to_owned(),
            name: "Small".to_owned(),
            version_id: None,
            per: None,
            per_count: 1,
            amount: 1_000,
            currency: "eur".to_owned(),
            credits: Credits::from_whole(500),
            expires_days: None,
            sold: true,
        };
        let good = wish("1,000", Some(&euros), "€20").expect("a wish");
        assert_eq!(good.threshold, Credits::from_whole(1_000).expect("fits"));
        assert_eq!((good.price_id.as_str(), good.monthly_max), ("price_1", 2_000));
        let all = ["monthly_max", "pack", "threshold"];
        let cases: [(&str, bool, &str, &[&str]); 9] = [
            ("few", false, "much", &all),
            ("", false, "", &all),
            ("few", true, "much", &["monthly_max", "threshold"]),
            ("0", true, "12,50", &["monthly_max", "threshold"]),
            ("-5", true, "20", &["threshold"]),
            ("12,50", true, "20", &["threshold"]),
            ("100", true, "9.99", &["monthly_max"]),
            ("100", false, "9.99", &["pack"]),
            ("2000000000", true, "1000000000", &["monthly_max", "threshold"]),
        ];
        for (threshold, sold, most, expected) in cases {
            let typed = format!("{threshold} {sold} {most}");
            let error = wish(threshold, sold.then_some(&euros), most).expect_err(&typed);
            let told: Vec<&str> = error.fields.keys().map(String::as_str).collect();
            assert_eq!(told, expected, "{typed}");
            assert!(error.message.is_empty() && error.fields.values().all(|m| !m.is_empty()));
        }
    }
}
