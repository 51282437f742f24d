//! `/admin/inbox/{id}`: one event whole, and the button that acts on it again.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use leptos_router::hooks::use_params_map;
use server::customers;
use server::engine::Engine;
use server::stripe::inbox::Entry;
use server::webhooks;

use super::inbox::badge;
use super::{org_link, pretty};
use crate::acts::desk::ReplayEvent;
use crate::error::AppError;
use crate::format;
use crate::forms::{self, FormState};
use crate::layout::{self, OperatorPlace};

/// `/admin/inbox/{id}`
pub fn event() -> AnyView {
    let id = use_params_map().get_untracked().get("id").unwrap_or_default();
    layout::operators(OperatorPlace::Inbox, |engine, _| async move { content(engine, id).await })
}

async fn content(engine: Engine, id: String) -> Result<AnyView, AppError> {
    let (event, payload) = webhooks::find(&engine.db, &id).await?;
    let org_id = match &event.customer_id {
        Some(customer) => customers::org_of(&mut &engine.db, customer).await?,
        None => None,
    };
    let state = forms::state::<ReplayEvent>().await?.about("event_id", &event.id);
    let back = view! { <a class="btn" href="/admin/inbox">"Inbox"</a> };
    let about = event.id.clone();
    Ok(view! {
        {layout::heading(&event.kind, about, back.into_any())}
        {facts(&event, org_id.as_deref())}
        {replay(&event, &state)}
        {said(payload)}
    }
    .into_any())
}

fn facts(event: &Entry, org_id: Option<&str>) -> AnyView {
    let org = org_id.map_or_else(|| "not known".into_any(), org_link);
    let settled = event.settled_at.map_or_else(|| "not yet".to_owned(), format::stamp);
    let error = event.last_error.clone().unwrap_or_else(|| "none".to_owned());
    view! {
        <section class="card stack" aria-labelledby="became">
            <h2 id="became">"What became of it"</h2>
            <dl class="lines">
                {line("Status", badge(&event.status))}
                {line("About", code(event.object_id.as_deref()))}
                {line("Customer", code(event.customer_id.as_deref()))}
                {line("Organisation", org)}
                {line("Received", format::stamp(event.received_at).into_any())}
                {line("Attempts", event.attempts.to_string().into_any())}
                {line("Ended", settled.into_any())}
                {line("Last error", error.into_any())}
            </dl>
        </section>
    }
    .into_any()
}

fn line(name: &'static str, value: AnyView) -> AnyView {
    view! {
        <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
        </div>
    }
    .into_any()
}

fn code(id: Option<&str>) -> AnyView {
    match id.map(str::to_owned) {
        Some(id) => view! { <code>{id}</code> }.into_any(),
        None => "none".into_any(),
    }
}

fn replay(event: &Entry, state: &FormState) -> AnyView {
    if event.status == "mode_mismatch" {
        let told = "It is of the other Stripe mode, and is never acted on here.".to_owned();
        return layout::notice("info", told, None);
    }
    let (id, error) = (event.id.clone(), forms::form_error(state));
    view! {
        <section class="card stack" aria-labelledby="again">
            <h2 id="again">"Act on it again"</h2>
            <p>
                "What it is about is looked at anew. What was done is not undone, and doing it \
                 twice changes nothing."
            </p>
            {error}
            <form class="row end" method="post" action=ReplayEvent::url()>
                <input type="hidden" name="event_id" value=id/>
                <button type="submit" class="btn primary">"Act on it again"</button>
            </form>
        </section>
    }
    .into_any()
}

fn said(payload: Option<String>) -> AnyView {
    let body = match payload {
        Some(payload) => {
            let text = pretty(&payload);
            let name = "What it said";
            view! {
                <pre class="code long" tabindex="0" role="region" aria-label=name>{text}</pre>
            }
            .into_any()
        }
        None => view! { <p class="mute">"What it said was not kept."</p> }.into_any(),
    };
    view! {
        <section class="card stack" aria-labelledby="said">
            <h2 id="said">"What it said"</h2>
            {body}
        </section>
    }
    .into_any()
}
