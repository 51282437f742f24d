//! The front door: what the product is, before anybody signs up. Words to replace with your own.

use leptos::prelude::*;
use server::catalog;

use crate::error::AppError;
use crate::format;
use crate::layout;

/// `/`
pub fn landing() -> AnyView {
    layout::front("Pay for what you use", "/", |engine, who| async move {
        let catalog = catalog::current(&engine.db).await?;
        let free = catalog.tiers.iter().find(|tier| tier.free);
        let offer = free.map(|tier| {
            format!("{} a month are free. No card needed.", format::with_unit(tier.terms.included))
        });
        let (label, href) = match who {
            Some(_) => ("Open the playground", "/playground"),
            None => ("Start free", "/sign-up"),
        };
        Ok::<_, AppError>(view! {
            <div class="hero stack loose">
                <div class="stack">
                    <h1>"Text, images and video, priced by the piece"</h1>
                    <p>
                        "Every request says what it costs before it runs. An allowance each month, \
                         alerts before it ends, and a cap that holds."
                    </p>
                </div>
                <div class="row">
                    <a class="btn primary" href=href>{label}</a>
                    <a class="btn" href="/pricing">"See the prices"</a>
                </div>
                <p class="mute fine">{offer}</p>
            </div>
            <section class="grid" aria-label="What you get">{reasons()}</section>
        }
        .into_any())
    })
}

fn reasons() -> Vec<AnyView> {
    let reasons = [
        (
            "A price you know",
            "A published rate card turns work into credits. Each answer carries its cost and what \
             is left.",
        ),
        (
            "Told in time",
            "At 70, 90 and 100 percent you hear from us, in the app and by mail. Your own cap \
             stops use where you say.",
        ),
        (
            "One API, one page",
            "The same credits pay for the playground and for your programs, and every movement has \
             its cause in the statement.",
        ),
    ];
    let card = |(title, text): (&'static str, &'static str)| {
        view! {
            <article class="card stack tight">
                <h2>{title}</h2>
                <p class="mute">{text}</p>
            </article>
        }
        .into_any()
    };
    reasons.into_iter().map(card).collect()
}
