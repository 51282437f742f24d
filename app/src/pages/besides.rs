//! What is sold besides the plans, as `/pricing` shows it: add-ons and packs.

use leptos::prelude::*;
use server::catalog::{Catalog, Pack, Tier};

use super::plans;

/// The packs on sale, with the way to buy for members.
pub fn packs(catalog: &Catalog, signed_in: bool) -> Option<AnyView> {
    if catalog.packs.is_empty() {
        return None;
    }
    let cards: Vec<AnyView> = catalog.packs.iter().map(|pack| pack_card(pack, signed_in)).collect();
    let section = view! {
        <section class="stack band" id="packs">
            <div>
                <h2 class="h">"Credit packs"</h2>
                <p class="mute">"Paid once, used after your allowance."</p>
            </div>
            <div class="grid">{cards}</div>
        </section>
    };
    Some(section.into_any())
}

fn pack_card(pack: &Pack, signed_in: bool) -> AnyView {
    let about = format!("{}. {}.", plans::pack_rate(pack), plans::pack_validity(pack));
    let buy = signed_in.then(|| view! { <a class="btn small" href="/billing#packs">"Buy"</a> });
    let (name, price) = (pack.name.clone(), plans::amount(&pack.price));
    view! {
        <article class="card row spread">
            <div>
                <p class="strong">{name}</p>
                <p class="mute fine">{about}</p>
            </div>
            <p class="strong row">{price} {buy}</p>
        </article>
    }
    .into_any()
}

/// The recurring extras. They are had with a plan, under billing.
pub fn addons(catalog: &Catalog) -> Option<AnyView> {
    let cards: Vec<AnyView> = catalog.addons.iter().filter_map(addon_card).collect();
    if cards.is_empty() {
        return None;
    }
    let section = view! {
        <section class="stack band" id="addons">
            <div>
                <h2 class="h">"Add-ons"</h2>
                <p class="mute">"Added to any paid plan, as many as you like."</p>
            </div>
            <div class="grid">{cards}</div>
        </section>
    };
    Some(section.into_any())
}

fn addon_card(addon: &Tier) -> Option<AnyView> {
    let month = plans::monthly(addon).or(addon.prices.first())?;
    let year = plans::yearly(addon).unwrap_or(month);
    let price = |price| format!("{} {}", plans::amount(price), plans::every(price));
    let about = match addon.description.as_str() {
        "" => plans::points(addon).join(". "),
        about => about.to_owned(),
    };
    let name = addon.name.clone();
    let card = view! {
        <article class="card row spread">
            <div>
                <p class="strong">{name}</p>
                <p class="mute fine">{about}</p>
            </div>
            <p class="strong nowrap">
                <span class="by-month">{price(month)}</span>
                <span class="by-year">{price(year)}</span>
            </p>
        </article>
    };
    Some(card.into_any())
}
