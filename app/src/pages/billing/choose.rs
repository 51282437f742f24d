//! The plans to choose from: for an org without one, and for those who think of another.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::catalog::{Catalog, Price, Tier};

use crate::acts::billing::Subscribe;
use crate::forms::{self, FormState};
use crate::islands::Enhance;
use crate::pages::plans as terms;
use crate::{format, layout, web};
use server::subscriptions::Current;

/// The plans to choose from, each price with its own button that says what it costs.
pub fn plans(catalog: &Catalog, form: &FormState) -> AnyView {
    let offers: Vec<(&Tier, &Price)> = catalog
        .tiers
        .iter()
        .flat_map(|tier| tier.prices.iter().map(move |price| (tier, price)))
        .collect();
    if offers.is_empty() {
        let about = "There is no plan to buy at the moment.";
        return layout::empty("No plans on sale", about, ().into_any());
    }
    let asked = form.value("price").map(str::to_owned).or_else(|| web::query_text("price"));
    let known = |id: &String| offers.iter().any(|(_, price)| &price.id == id);
    let first = offers.iter().find(|(tier, _)| tier.highlight).or(offers.first());
    let asked = asked.filter(known).or(first.map(|(_, price)| price.id.clone()));
    let cards: Vec<AnyView> = offers
        .iter()
        .map(|(tier, price)| offer(tier, price, asked.as_ref() == Some(&price.id)))
        .collect();
    let error = forms::field_error(form, "price");
    let form_error = forms::form_error(form);
    view! {
        <section class="stack tight" aria-labelledby="plan">
            <h2 id="plan">"Choose a plan"</h2>
            <Enhance>
                <form class="stack" method="post" action=Subscribe::url()>
                    {form_error}
                    {error}
                    <div class="plans two">{cards}</div>
                </form>
            </Enhance>
            <p class="mute fine">
                "You pay on Stripe's page. Nothing is charged before you confirm there."
            </p>
        </section>
    }
    .into_any()
}

/// The other prices that one may change to, each with the way to what it would come to. Nothing
/// while the plan cannot be changed.
pub fn others(catalog: &Catalog, current: &Current) -> Option<AnyView> {
    current.may_change().ok()?;
    let offers =
        catalog.tiers.iter().flat_map(|tier| tier.prices.iter().map(move |price| (tier, price)));
    let cards: Vec<AnyView> = offers
        .filter(|(_, price)| price.id != current.price_id)
        .map(|(tier, price)| other(tier, price))
        .collect();
    if cards.is_empty() {
        return None;
    }
    let section = view! {
        <section class="stack tight" id="plans" aria-labelledby="plans-title">
            <h2 id="plans-title">"Other plans"</h2>
            <div class="plans two">{cards}</div>
            <p class="mute fine">"You see what it comes to before anything changes."</p>
        </section>
    };
    Some(section.into_any())
}

fn other(tier: &Tier, price: &Price) -> AnyView {
    let about = format!("{} a month.", format::with_unit(tier.terms.included));
    let href = format!("/billing/change?price={}", price.id);
    let label = format!("Preview {}, {} {}", tier.name, terms::amount(price), terms::every(price));
    let name = tier.name.clone();
    view! {
        <article class="card plan">
            <h3>{name}</h3>
            <p class="price">
                {terms::amount(price)} " " <small>{terms::every(price)}</small>
            </p>
            <p class="mute fine">{about}</p>
            <a class="btn full" href=href>{label}</a>
        </article>
    }
    .into_any()
}

fn offer(tier: &Tier, price: &Price, asked: bool) -> AnyView {
    let about =
        format!("{} a month. {}.", format::with_unit(tier.terms.included), terms::overage(tier));
    let (name, id) = (tier.name.clone(), price.id.clone());
    let label = format!("Choose {}, {} {}", tier.name, terms::amount(price), terms::every(price));
    let (card, button) = match asked {
        true => ("card plan chosen", "btn primary full"),
        false => ("card plan", "btn full"),
    };
    view! {
        <article class=card>
            <h3>{name}</h3>
            <p class="price">
                {terms::amount(price)} " " <small>{terms::every(price)}</small>
            </p>
            <p class="mute fine">{about}</p>
            <button type="submit" class=button name="price" value=id>{label}</button>
        </article>
    }
    .into_any()
}
