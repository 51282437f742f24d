//! The ceiling that the org sets for itself.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::caps::Cap;

use crate::acts::billing::{RemoveCap, SaveCap};
use crate::format;
use crate::forms::{self, FormState, Input};
use crate::islands::Enhance;
use crate::pages::dashboard::Standing;

/// The cap and its form.
pub fn card(standing: &Standing, form: &FormState) -> AnyView {
    let bar = standing.meter().map(|meter| meter.html());
    let bar = bar.map(|html| view! { <div inner_html=html></div> });
    let cap = standing.cap.as_ref();
    let state = match cap {
        Some(Cap { credits, .. }) => form.clone().or_value("credits", &format::credits(*credits)),
        None => form.clone(),
    };
    let hard = match (state.value("kind"), cap) {
        (Some(kind), _) => kind == "hard",
        (None, Some(cap)) => cap.hard,
        (None, None) => true,
    };
    let input = Input {
        name: "credits",
        label: "Cap for the period",
        hint: "Counts everything used in the period, whatever pays for it.",
        unit: "credits",
        ..Input::default()
    };
    let kind_error = forms::field_error(&state, "kind");
    view! {
        <section class="card stack" id="caps" aria-labelledby="caps-title">
            <h2 id="caps-title">"Cap and alerts"</h2>
            {bar}
            <Enhance>
                <form class="stack" method="post" action=SaveCap::url() novalidate>
                    {forms::form_error(&state)}
                    {forms::field(&state, input)}
                    <fieldset class="stack tight">
                        <legend class="fine">"At the cap"</legend>
                        <label class="check">
                            <input type="radio" name="kind" value="hard" checked=hard/>
                            "refuse further use"
                        </label>
                        <label class="check">
                            <input type="radio" name="kind" value="soft" checked=!hard/>
                            "only warn"
                        </label>
                        {kind_error}
                    </fieldset>
                    <div class="row end">
                        <button type="submit" class="btn primary">"Save cap"</button>
                    </div>
                </form>
            </Enhance>
            {cap.map(|_| remove_cap())}
            <p class="mute fine">
                "Alerts go out at 70, 90 and 100 percent of the allowance and of the cap."
            </p>
        </section>
    }
    .into_any()
}

fn remove_cap() -> AnyView {
    view! {
        <form method="post" action=RemoveCap::url()>
            <button type="submit" class="btn small danger">"Remove cap"</button>
        </form>
    }
    .into_any()
}
