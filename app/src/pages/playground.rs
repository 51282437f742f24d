//! `/playground`: a piece of work of the offline model, sold through the gate. The example to
//! replace with a product of your own.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::{Permission, Who};
use server::engine::Engine;
use server::gate::{self, AuthorizeRequest, Decision};
use server::ids;
use server::units::Credits;

use crate::acts::playground::{OUTCOME, Outcome, Play};
use crate::error::AppError;
use crate::forms::{self, FormState};
use crate::islands::Enhance;
use crate::layout::{self, Place};
use crate::model::{self, Work};
use crate::{format, web};

/// `/playground`
pub fn playground() -> AnyView {
    layout::members(Place::Playground, Permission::Use, content)
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    let mut offers = Vec::new();
    for work in Work::ALL {
        let request = AuthorizeRequest {
            org_id: who.org_id.clone(),
            meter: Some(work.meter().to_owned()),
            ..AuthorizeRequest::default()
        };
        offers.push((work, gate::authorize(&engine, &request).await?));
    }
    let outcome: Option<Outcome> = forms::take(OUTCOME).await?;
    let form = forms::state::<Play>().await?;
    let key = ids::new("play", engine.clock.now());
    let available = offers.first().map_or(Credits::ZERO, |(_, offer)| offer.balance.available);
    let about = format!("{} available", format::with_unit(available));
    let link = view! { <a class="btn" href="/credits">"Statement"</a> };
    Ok(view! {
        {layout::heading("Playground", about, link.into_any())}
        <div class="main-side">
            {order(&form, &offers, outcome.as_ref(), &engine, key)}
            {match outcome {
                Some(outcome) => result(outcome),
                None => waiting(),
            }}
        </div>
    }
    .into_any())
}

fn waiting() -> AnyView {
    let about = "Say what it should be about, choose a kind, and see what it costs first.";
    layout::empty("Nothing made yet", about, ().into_any())
}

fn order(
    form: &FormState,
    offers: &[(Work, Decision)],
    outcome: Option<&Outcome>,
    engine: &Engine,
    key: String,
) -> AnyView {
    let typed = form.value("prompt").or(outcome.map(|outcome| outcome.prompt.as_str()));
    let typed = typed.or(web::query_text("prompt").as_deref()).unwrap_or_default().to_owned();
    let chosen = form.value("work").and_then(Work::parse).or(outcome.map(|outcome| outcome.work));
    let chosen = chosen.unwrap_or(Work::Text);
    let kinds: Vec<AnyView> =
        offers.iter().map(|(work, offer)| kind(*work, offer, chosen == *work, engine)).collect();
    let prompt_error = forms::field_error(form, "prompt");
    let invalid = form.error("prompt").map(|_| "true");
    let form_error = forms::form_error(form);
    let work_error = forms::field_error(form, "work");
    view! {
        <section class="card stack" aria-labelledby="order">
            <h2 id="order">"Make something"</h2>
            <Enhance>
                <form class="stack" method="post" action=Play::url() novalidate>
                    {form_error}
                    <div class="field">
                        <label for="prompt">"About"</label>
                        <textarea
                            class="input tall"
                            id="prompt"
                            name="prompt"
                            rows="3"
                            maxlength="300"
                            aria-describedby="prompt-error"
                            aria-invalid=invalid
                        >
                            {typed}
                        </textarea>
                        {prompt_error}
                    </div>
                    <fieldset class="stack tight">
                        <legend class="fine">"Kind and price"</legend>
                        {kinds}
                        {work_error}
                    </fieldset>
                    <input type="hidden" name="key" value=key/>
                    {forms::submit("Make it, for the price above")}
                </form>
            </Enhance>
            <p class="mute fine">
                "Rate card " {engine.rates.version.clone()}
                ". The same form sent twice is charged once."
            </p>
        </section>
    }
    .into_any()
}

fn kind(work: Work, offer: &Decision, chosen: bool, engine: &Engine) -> AnyView {
    let label = super::meter_label(&engine.rates, work.meter());
    let price = match offer.credits.is_positive() {
        true => format::with_unit(offer.credits),
        false => {
            let meter = engine.rates.meters.get(work.meter());
            let rate = meter.and_then(|meter| meter.rate_for(None)).unwrap_or_default();
            format::with_unit(rate)
        }
    };
    let refusal = (!offer.allowed).then(|| {
        let message = offer.message.clone();
        view! { <small class="mute">{message}</small> }
    });
    view! {
        <label class="check spread-check">
            <input type="radio" name="work" value=work.meter() checked=chosen/>
            <span>
                {label}
                " "
                {refusal}
            </span>
            <span class="strong nowrap">{price}</span>
        </label>
    }
    .into_any()
}

fn result(outcome: Outcome) -> AnyView {
    if !outcome.allowed {
        return view! {
            <section class="stack" aria-label="Outcome" id="outcome">
                {layout::notice("bad", outcome.message, outcome.next_step)}
            </section>
        }
        .into_any();
    }
    let made = match outcome.work {
        Work::Text => view! { <p>{model::text(&outcome.prompt)}</p> }.into_any(),
        Work::Image | Work::Video => {
            let picture = model::picture(&outcome.prompt, outcome.work == Work::Video);
            view! { <div inner_html=picture></div> }.into_any()
        }
    };
    let told = |text: &str| text.parse().map_or(text.to_owned(), format::with_unit);
    let again = outcome.replayed.then_some(" It was charged before, and not again.");
    view! {
        <section class="card stack" aria-label="Outcome" id="outcome">
            <h2>"Made"</h2>
            {made}
            <dl class="lines">
                <div>
                    <dt>"Charged"</dt>
                    <dd>{told(&outcome.credits)}</dd>
                </div>
                <div class="sum">
                    <dt>"Left"</dt>
                    <dd>{told(&outcome.available)}</dd>
                </div>
            </dl>
            <p class="mute fine">"Made offline from your words." {again}</p>
        </section>
    }
    .into_any()
}
