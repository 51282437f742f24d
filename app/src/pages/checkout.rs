//! `/checkout/return`: where Stripe's page leads back to. Looks at the payment at once, by the same
//! function that the webhook leads to, so that nobody waits for the mail to arrive.

use leptos::prelude::*;
use server::auth::{Permission, Who};
use server::engine::Engine;
use server::{entitlements, gate, subscriptions};

use crate::error::AppError;
use crate::layout::{self, Place};
use crate::{format, web};

/// `/checkout/return?session_id=…`
pub fn returned() -> AnyView {
    layout::members(Place::Checkout, Permission::SeeBilling, content)
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    let session_id = web::query_text("session_id").ok_or_else(AppError::not_found)?;
    let returned = subscriptions::returned(&engine, &who, &session_id).await?;
    engine.wake.notify_one();
    let plan = entitlements::of(&engine.db, &who.org_id, engine.clock.now()).await?.plan;
    let balance = gate::standing(&engine, &who.org_id).await?;
    let have = format!("{} available now.", format::with_unit(balance.available));
    let arrived = match returned.kind.as_str() {
        "subscription" => plan.paid,
        _ => balance.grants.iter().any(|grant| grant.source == "pack"),
    };
    let newest = subscriptions::invoices(&engine.db, &who.org_id, 1).await?;
    let paid = newest.first().is_some_and(|invoice| invoice.status == "paid");
    Ok(match (returned.status.as_str(), arrived) {
        ("complete", true) if returned.kind == "subscription" => {
            let title = format!("You are on {}", plan.tier_name);
            match plan.status.as_str() {
                "trialing" => {
                    let end = plan.period_end.map(format::day).unwrap_or_default();
                    let title = format!("Your trial of {} has begun", plan.tier_name);
                    outcome(&title, &format!("Nothing was charged. It runs until {end}. {have}"))
                }
                _ if paid => outcome(&title, &format!("Your payment went through. {have}")),
                _ => {
                    let about = "Your bank confirms the payment within some days; the plan's \
                                 credits come with it.";
                    outcome(&title, &format!("{about} {have}"))
                }
            }
        }
        ("complete", true) => outcome("Your credits are here", &format!("Thank you. {have}")),
        ("expired", _) => {
            let about = "Nothing was charged. You can start again whenever you like.";
            outcome("The checkout ran out of time", about)
        }
        _ => waiting(&session_id),
    })
}

fn outcome(title: &str, about: &str) -> AnyView {
    let (title, about) = (title.to_owned(), about.to_owned());
    view! {
        <section class="card stack" aria-labelledby="outcome">
            <h1 id="outcome">{title}</h1>
            <p>{about}</p>
            <div class="row">
                <a class="btn primary" href="/playground">"Open the playground"</a>
                <a class="btn" href="/dashboard">"Overview"</a>
                <a class="btn" href="/billing">"Billing"</a>
            </div>
        </section>
    }
    .into_any()
}

fn waiting(session_id: &str) -> AnyView {
    let session: String = form_urlencoded::byte_serialize(session_id.as_bytes()).collect();
    let again = format!("/checkout/return?session_id={session}");
    view! {
        <section class="card stack" aria-labelledby="waiting">
            <h1 id="waiting">"Your payment is on its way"</h1>
            <p>
                "The bank has not confirmed it yet. Credits arrive with the confirmation; you can \
                 close this page, nothing is lost."
            </p>
            <div class="row">
                <a class="btn primary" href=again>"Look again"</a>
                <a class="btn" href="/billing">"Billing"</a>
            </div>
        </section>
    }
    .into_any()
}
