//! What an operator does for one org with one press: giving credits, and looking at Stripe anew.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::clock::Millis;
use server::customers::Known;
use server::ids;

use crate::acts::admin::{GrantCredits, LookAnew};
use crate::error::AppError;
use crate::forms::{self, FormState, Input};
use crate::islands::Enhance;

/// The key that is sent with a form, so that it does its work once however often it is sent. A form
/// that comes back keeps its own, since nobody may know whether it did its work.
pub fn key(state: &FormState, now: Millis) -> String {
    state.value("key").map_or_else(|| ids::new("form", now), str::to_owned)
}

/// Gives credits.
pub async fn grant(org_id: &str, now: Millis) -> Result<AnyView, AppError> {
    let state = forms::state::<GrantCredits>().await?.about("org", org_id);
    let credits = Input { name: "credits", label: "Credits", unit: "credits", ..Input::default() };
    let reason = Input {
        name: "reason",
        label: "Reason",
        hint: "The customer reads it in the statement.",
        ..Input::default()
    };
    let (credits, reason) = (forms::field(&state, credits), forms::field(&state, reason));
    let (error, key, org) = (forms::form_error(&state), key(&state, now), org_id.to_owned());
    Ok(view! {
        <section class="card stack" id="grant" aria-labelledby="grant-title">
            <h2 id="grant-title">"Grant credits"</h2>
            <Enhance>
                <form class="stack" method="post" action=GrantCredits::url() novalidate>
                    {error}
                    {credits}
                    {reason}
                    <input type="hidden" name="org" value=org/>
                    <input type="hidden" name="key" value=key/>
                    {forms::submit("Grant")}
                </form>
            </Enhance>
            <p class="mute fine">"They never expire. The same form sent twice grants once."</p>
        </section>
    }
    .into_any())
}

/// Looks at Stripe anew.
pub async fn look(org_id: &str, customer: Option<&Known>) -> Result<AnyView, AppError> {
    let state = forms::state::<LookAnew>().await?.about("org", org_id);
    let (error, org) = (forms::form_error(&state), org_id.to_owned());
    let about = match customer {
        Some(Known { deleted_at: Some(_), released_at: None, .. }) => {
            "Its customer was deleted at Stripe. What is left of what it paid is frozen until \
             `customers release` at the command line lets it be used again; what Stripe still has \
             can be read once more."
        }
        Some(Known { deleted_at: Some(_), .. }) => {
            "Its customer was deleted at Stripe, and what was paid through it was released. What \
             Stripe still has can be read once more."
        }
        Some(_) => {
            "Everything that Stripe has of this organisation is read once more, as its webhooks \
             would make us. Safe to repeat."
        }
        None => "This organisation has bought nothing yet, so there is nothing to look at.",
    };
    Ok(view! {
        <section class="card stack" aria-labelledby="look">
            <h2 id="look">"Stripe"</h2>
            <p class="mute fine">{about}</p>
            <Enhance>
                <form class="stack" method="post" action=LookAnew::url()>
                    {error}
                    <input type="hidden" name="org" value=org/>
                    <button type="submit" class="btn full">"Look at Stripe anew"</button>
                </form>
            </Enhance>
        </section>
    }
    .into_any())
}
