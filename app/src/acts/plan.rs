//! Deciding about the plan: another one, seats, add-ons, and taking back what was planned or
//! cancelled.

use leptos::prelude::*;
use server::auth::Permission;
use server::subscriptions::{self, Decided, When};

use crate::error::AppError;
use crate::{format, forms, session, web};

/// Goes on with a change of plan that was previewed.
#[server(prefix = "/api", endpoint = "confirm_change")]
pub async fn confirm_change(#[server(default)] price: String) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    if price.is_empty() {
        return Err(AppError::field("price", "Choose a plan."));
    }
    match subscriptions::confirm(&engine, &who, &price).await? {
        Decided::Page(url) => web::redirect(&url),
        Decided::Done(when) => {
            let message = match when {
                When::Now => "The plan is changed.".to_owned(),
                When::At(at) => format!("The plan changes on {}.", format::day(at)),
            };
            forms::done(&message).await?;
            web::redirect("/billing");
        }
    }
    Ok(())
}

/// Takes back what was planned for the end of the period.
#[server(prefix = "/api", endpoint = "undo_change")]
pub async fn undo_change() -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    subscriptions::undo(&engine, &who).await?;
    forms::done("Nothing changes at the end of the period: the plan stays as it is.").await?;
    web::redirect("/billing");
    Ok(())
}

/// Takes a cancellation back.
#[server(prefix = "/api", endpoint = "keep_plan")]
pub async fn keep_plan() -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    subscriptions::keep(&engine, &who).await?;
    forms::done("The plan goes on.").await?;
    web::redirect("/billing");
    Ok(())
}

/// Lets a paused plan go on.
#[server(prefix = "/api", endpoint = "resume_plan")]
pub async fn resume_plan() -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    match subscriptions::resume(&engine, &who).await? {
        Some(url) => web::redirect(&url),
        None => {
            forms::done("The plan goes on.").await?;
            web::redirect("/billing");
        }
    }
    Ok(())
}

/// Sets how many seats are paid.
#[server(prefix = "/api", endpoint = "set_seats")]
pub async fn set_seats(#[server(default)] seats: String) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    let count = parse_count(&seats, "seats", "Enter how many seats, such as 5.")?;
    let when = subscriptions::set_seats(&engine, &who, count).await?;
    let seats = format::count(count, "seat", "seats");
    forms::done(&told(when, &format!("You have {seats}."), &seats)).await?;
    web::redirect("/billing");
    Ok(())
}

/// Sets how many of an add-on are paid.
#[server(prefix = "/api", endpoint = "set_addon")]
pub async fn set_addon(
    #[server(default)] price: String,
    #[server(default)] quantity: String,
) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    let count = parse_count(&quantity, "quantity", "Enter how many, 0 for none.")?;
    let when = subscriptions::set_addon(&engine, &who, &price, count).await?;
    let many = format!("{count} of it");
    forms::done(&told(when, &format!("You have {many}."), &many)).await?;
    web::redirect("/billing");
    Ok(())
}

fn told(when: Option<When>, now: &str, then: &str) -> String {
    match when {
        None => "Nothing was changed: it was like that already.".to_owned(),
        Some(When::Now) => now.to_owned(),
        Some(When::At(at)) => {
            format!("From {} on you pay for {then}. Until then nothing changes.", format::day(at))
        }
    }
}

fn parse_count(typed: &str, field: &str, wrong: &str) -> Result<i64, AppError> {
    let typed = typed.trim();
    let digits = !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_digit());
    let count = typed.parse().ok().filter(|_| digits);
    count.ok_or_else(|| AppError::field(field, wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_digits_and_nothing_else() {
        assert_eq!(parse_count(" 12 ", "seats", "no").expect("a count"), 12);
        for typed in ["", "-1", "1.5", "many", "1e3", "99999999999999999999"] {
            let error = parse_count(typed, "seats", "no").expect_err("refused");
            assert_eq!(error.fields.get("seats").map(String::as_str), Some("no"), "{typed}");
        }
    }
}
