//! `/billing/change`: what another plan would cost and give, before anybody confirms it.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::{Permission, Who};
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
    let preview = subscriptions::preview(&engine, &who, &price).await?;
    let about = format!("From {} to {}.", preview.from, preview.to);
    let back = view! { <a class="btn" href="/billing">"Back to billing"</a> };
    Ok(view! {
        {layout::heading("Change plan", about, back.into_any())}
        {card(&preview, &form)}
    }
    .into_any())
}

fn card(preview: &Preview, form: &FormState) -> AnyView {
    let (title, button) = match preview.when {
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
    let error = forms::field_error(form, "price");
    let (form_error, price) = (forms::form_error(form), preview.price_id.clone());
    view! {
        <section class="card stack" aria-labelledby="preview">
            <h2 id="preview">{title}</h2>
            <dl class="lines">
                {lines}
                <div>
                    <dt><strong>"Charged now"</strong></dt>
                    <dd class="num"><strong>{charged(preview)}</strong></dd>
                </div>
                <div><dt>"From the next period on"</dt><dd class="num">{renewal(preview)}</dd></div>
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
            <p class="mute fine">{note(preview)}</p>
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
    if before == after { said(after) } else { format!("{}, now {}", said(after), said(before)) }
}

fn note(preview: &Preview) -> &'static str {
    match preview.when {
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
