//! `/billing/change`: what another plan would cost and give, before anybody confirms it.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::{Permission, Who};
use server::clock::Millis;
use server::engine::Engine;
use server::subscriptions::{self, Preview, When};
use server::units::{Credits, money};

use crate::acts::plan::ConfirmChange;
use crate::error::AppError;
use crate::forms::{self, FormState};
use crate::islands::Enhance;
use crate::layout::{self, Place};
use crate::{format, web};

/// `/billing/change?price=…`
pub fn change() -> AnyView {
    layout::members(Place::Billing, Permission::ManageBilling, content)
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    let price = web::query_text("price").ok_or_else(AppError::not_found)?;
    let form = forms::state::<ConfirmChange>().await?;
    let trial = subscriptions::current(&engine.db, &who.org_id).await?;
    let trial = trial.filter(|current| current.is_trial()).and_then(|trial| trial.trial_end);
    let preview = subscriptions::preview(&engine, &who, &price).await?;
    let about = format!("From {} to {}.", preview.from, preview.to);
    let back = view! { <a class="btn" href="/billing">"Back to billing"</a> };
    Ok(view! {
        {layout::heading("Change plan", about, back.into_any())}
        {card(&preview, trial, &form)}
    }
    .into_any())
}

fn card(preview: &Preview, trial: Option<Millis>, form: &FormState) -> AnyView {
    let trial = trial.filter(|_| preview.when == When::Now && preview.charged_now <= 0);
    let (title, button) = match preview.when {
        When::Now if trial.is_some() => {
            ("This applies now".to_owned(), format!("Change to {}", preview.to))
        }
        When::Now => ("This applies now".to_owned(), "Continue to confirm".to_owned()),
        When::At(at) => {
            let day = format::day(at);
            (format!("This applies on {day}"), format!("Change on {day}"))
        }
    };
    let lines = preview.lines.iter().map(|(text, amount)| {
        let amount = money(*amount, &preview.currency);
        view! { <div><dt>{text.clone()}</dt><dd class="num">{amount}</dd></div> }
    });
    let lines: Vec<_> = lines.collect();
    let sum = if preview.lines.is_empty() { "strong" } else { "sum" };
    let later = match trial {
        Some(end) => format!("After the trial, from {}", format::day(end)),
        None => "From the next period on".to_owned(),
    };
    let error = forms::field_error(form, "price");
    let (form_error, price) = (forms::form_error(form), preview.price_id.clone());
    view! {
        <section class="card stack" aria-labelledby="preview">
            <h2 id="preview">{title}</h2>
            <dl class="lines">
                {lines}
                <div class=sum>
                    <dt>"Charged now"</dt>
                    <dd class="num">{charged(preview)}</dd>
                </div>
                <div><dt>{later}</dt><dd class="num">{renewal(preview)}</dd></div>
                <div><dt>"Credits now"</dt><dd class="num">{credits_now(preview)}</dd></div>
                <div><dt>"Credits each month"</dt><dd class="num">{credits(preview)}</dd></div>
            </dl>
            <Enhance>
                <form class="stack" method="post" action=ConfirmChange::url()>
                    <input type="hidden" name="price" value=price/>
                    {form_error}
                    {error}
                    <div class="row end">
                        <a class="btn" href="/billing">"Keep what I have"</a>
                        <button type="submit" class="btn primary">{button}</button>
                    </div>
                </form>
            </Enhance>
            <p class="mute fine">{note(preview, trial.is_some())}</p>
        </section>
    }
    .into_any()
}

fn charged(preview: &Preview) -> String {
    match preview.charged_now {
        ..=0 => "Nothing".to_owned(),
        amount => money(amount, &preview.currency),
    }
}

/// `$99.00 a month`
fn renewal(preview: &Preview) -> String {
    let amount = money(preview.renews_at, &preview.currency);
    match (&preview.per.0, preview.per.1) {
        (per, 1) => format!("{amount} a {per}"),
        (per, count) => format!("{amount} every {count} {per}s"),
    }
}

fn credits_now(preview: &Preview) -> String {
    match preview.credits_now.is_positive() {
        true => format::movement(preview.credits_now),
        false => "No change".to_owned(),
    }
}

fn credits(preview: &Preview) -> String {
    let (before, after) = preview.included;
    let said = |credits: Credits| format::credits(credits);
    if before == after {
        said(after)
    } else {
        format!("{}, instead of {}", said(after), said(before))
    }
}

fn note(preview: &Preview, trial: bool) -> &'static str {
    match preview.when {
        When::Now if trial => "Your trial goes on. Nothing is charged before it ends.",
        When::Now => {
            "What is left of the paid period is counted to the second. Taxes and discounts are on \
             the invoice. Credits you have used stay used, and packs are not touched."
        }
        When::At(_) => {
            "Until then you keep everything you have paid for, and you can take this back on the \
             billing page."
        }
    }
}
