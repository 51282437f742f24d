//! The plans to choose from: for an org without one, and for those who think of another. A tier is
//! one card; its prices by the month and by the year take turns.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::catalog::{Catalog, Price, Tier};

use crate::acts::billing::Subscribe;
use crate::forms::{self, FormState};
use crate::islands::Enhance;
use crate::pages::plans as terms;
use crate::{layout, web};
use server::subscriptions::Current;

/// The plans to choose from, each price with its own button that says what it costs. `tries` is
/// whether the org could try one for nothing.
pub fn plans(catalog: &Catalog, form: &FormState, tries: bool) -> AnyView {
    let offers = offers(catalog, None);
    if offers.is_empty() {
        let about = "There is no plan to buy at the moment.";
        return layout::empty("No plans on sale", about, ().into_any());
    }
    let asked = form.value("price").map(str::to_owned).or_else(|| web::query_text("price"));
    let has = |offer: &&Offer<'_>| offer.prices().any(|price| Some(&price.id) == asked.as_ref());
    let chosen = offers.iter().find(has);
    let yearly =
        chosen.and_then(|offer| offer.year).is_some_and(|price| Some(&price.id) == asked.as_ref());
    let first = offers.iter().find(|offer| offer.tier.highlight).or(offers.first());
    let chosen = chosen.or(first).map(|offer| offer.tier.product_id.as_str());
    let cards: Vec<AnyView> = offers
        .iter()
        .map(|offer| {
            let asked = chosen == Some(offer.tier.product_id.as_str());
            let trial = terms::trial(offer.tier).filter(|_| tries);
            let overage = terms::overage(offer.tier);
            let about = format!("{}. {overage}.", terms::included(offer.tier));
            card(offer, asked, about, trial, &|price| pay(offer.tier, price, asked))
        })
        .collect();
    let (class, switch) = (columns(&cards), switch(catalog, &offers, yearly));
    let error = forms::field_error(form, "price");
    let form_error = forms::form_error(form);
    view! {
        <section class="stack tight" aria-labelledby="plan">
            <div class="row spread">
                <h2 id="plan">"Choose a plan"</h2>
                {switch}
            </div>
            <Enhance>
                <form class="stack" method="post" action=Subscribe::url()>
                    {form_error}
                    {error}
                    <div class=class>{cards}</div>
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
    let offers = offers(catalog, Some(&current.price_id));
    if offers.is_empty() {
        return None;
    }
    let cards: Vec<AnyView> = offers
        .iter()
        .map(|offer| {
            let about = format!("{}.", terms::included(offer.tier));
            card(offer, false, about, None, &|price| preview(offer.tier, price))
        })
        .collect();
    let yearly = current.per.as_deref() == Some("year");
    let (class, switch) = (columns(&cards), switch(catalog, &offers, yearly));
    let section = view! {
        <section class="stack tight" id="plans" aria-labelledby="plans-title">
            <div class="row spread">
                <h2 id="plans-title">"Other plans"</h2>
                {switch}
            </div>
            <div class=class>{cards}</div>
            <p class="mute fine">"You see what it comes to before anything changes."</p>
        </section>
    };
    Some(section.into_any())
}

/// A tier with the prices that take turns, or one price that is always shown.
struct Offer<'a> {
    tier: &'a Tier,
    month: Option<&'a Price>,
    year: Option<&'a Price>,
}

impl<'a> Offer<'a> {
    fn prices(&self) -> impl Iterator<Item = &'a Price> {
        self.month.into_iter().chain(self.year)
    }
}

/// What is on sale, but for one price.
fn offers<'a>(catalog: &'a Catalog, but: Option<&str>) -> Vec<Offer<'a>> {
    let open = |price: &&Price| but != Some(price.id.as_str());
    let mut offers = Vec::new();
    for tier in &catalog.tiers {
        let month = terms::monthly(tier).filter(open);
        let year = terms::yearly(tier).filter(open);
        if month.is_some() || year.is_some() {
            offers.push(Offer { tier, month, year });
        }
        let turns = |price: &&Price| {
            Some(&price.id) == month.or(year).map(|price| &price.id)
                || Some(&price.id) == year.map(|price| &price.id)
        };
        let rest = tier.prices.iter().filter(open).filter(|price| !turns(price));
        offers.extend(rest.map(|price| Offer { tier, month: Some(price), year: None }));
    }
    offers
}

/// The switch between month and year, where any card has both.
fn switch(catalog: &Catalog, offers: &[Offer<'_>], yearly: bool) -> Option<AnyView> {
    let both = offers.iter().any(|offer| offer.month.is_some() && offer.year.is_some());
    both.then(|| terms::period_switch(&catalog.tiers, yearly))
}

fn columns(cards: &[AnyView]) -> &'static str {
    if cards.len() > 3 { "plans two" } else { "plans" }
}

fn card(
    offer: &Offer<'_>,
    asked: bool,
    about: String,
    trial: Option<String>,
    button: &dyn Fn(&Price) -> AnyView,
) -> AnyView {
    let Offer { tier, month, year } = offer;
    let part = |price: &Price| {
        view! {
            <div class="stack">
                <p class="price">
                    {terms::amount(price)} " " <small>{terms::each(tier, price)}</small>
                </p>
                {button(price)}
            </div>
        }
        .into_any()
    };
    let prices = match (month, year) {
        (Some(month), Some(year)) => view! {
            <div class="by-month">{part(month)}</div>
            <div class="by-year">{part(year)}</div>
        }
        .into_any(),
        (price, other) => price.or(*other).map(part).into_any(),
    };
    let class = if asked { "card plan chosen" } else { "card plan" };
    let trial = trial.map(|trial| view! { <p class="fine">{trial} "."</p> });
    view! {
        <article class=class>
            <div class="stack tight">
                <h3>{tier.name.clone()}</h3>
                <p class="mute fine">{about}</p>
            </div>
            {prices}
            {trial}
        </article>
    }
    .into_any()
}

/// `Pro, $29 a month`
fn named(tier: &Tier, price: &Price) -> String {
    format!("{}, {} {}", tier.name, terms::amount(price), terms::each(tier, price))
}

fn pay(tier: &Tier, price: &Price, asked: bool) -> AnyView {
    let class = if asked { "btn primary full" } else { "btn full" };
    let label = format!("Choose {}", named(tier, price));
    let id = price.id.clone();
    view! { <button type="submit" class=class name="price" value=id>{label}</button> }.into_any()
}

fn preview(tier: &Tier, price: &Price) -> AnyView {
    let label = format!("Preview {}", named(tier, price));
    let href = format!("/billing/change?price={}", price.id);
    view! { <a class="btn full" href=href>{label}</a> }.into_any()
}
