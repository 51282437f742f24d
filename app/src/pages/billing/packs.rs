//! Packs: what they give, for how long, and the button that buys one.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::catalog::Pack;
use server::units::money;

use crate::acts::billing::BuyPack;
use crate::forms::{self, FormState};
use crate::islands::Enhance;
use crate::pages::plans;

/// The packs on sale, and how much of them the org still holds.
pub fn card(packs: &[Pack], form: &FormState, bought: String) -> AnyView {
    if packs.is_empty() {
        return view! {
            <section class="card stack" id="packs">
                <h2>"Credit packs"</h2>
                <p class="mute">"No pack is on sale at the moment."</p>
            </section>
        }
        .into_any();
    }
    let rows: Vec<AnyView> = packs.iter().map(pack_row).collect();
    let error = form.error("pack").or(form.error("price")).map(str::to_owned);
    let form_error = forms::form_error(form);
    view! {
        <section class="card stack" id="packs" aria-labelledby="packs-title">
            <div class="row spread">
                <h2 id="packs-title">"Credit packs"</h2>
                <span class="mute fine">"You hold " {bought} " bought"</span>
            </div>
            <Enhance>
                <form class="stack" method="post" action=BuyPack::url()>
                    {form_error}
                    <p class="error" data-error-for="price">{error}</p>
                    <ul class="plain rows">{rows}</ul>
                </form>
            </Enhance>
            <p class="mute fine">"Paid once on Stripe's page, used after your allowance."</p>
        </section>
    }
    .into_any()
}

fn pack_row(pack: &Pack) -> AnyView {
    let (name, id) = (pack.name.clone(), pack.price.id.clone());
    let price = money(pack.price.amount, &pack.price.currency);
    let spoken = format!("Buy {name}, {price}");
    let label = format!("Buy, {price}");
    let about = format!("{}. {}.", plans::pack_rate(pack), plans::pack_validity(pack));
    view! {
        <li class="row spread">
            <div>
                <p class="strong">{name}</p>
                <p class="mute fine">{about}</p>
            </div>
            <button type="submit" class="btn" name="pack" value=id aria-label=spoken>
                {label}
            </button>
        </li>
    }
    .into_any()
}
