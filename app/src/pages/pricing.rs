//! `/pricing`: plans by the month and by the year, packs, and answers. From the catalog alone.

use std::collections::BTreeSet;

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::Who;
use server::catalog::{self, Catalog, Pack, Price, Tier};
use server::engine::Engine;
use server::entitlements::{self, PlanRow};
use server::subscriptions;
use server::units::money;

use super::plans;
use crate::acts::billing::Subscribe;
use crate::error::AppError;
use crate::forms::{self, FormState};
use crate::{format, layout, web};

/// `/pricing`
pub fn pricing() -> AnyView {
    layout::front("Pricing", "/pricing", content)
}

async fn content(engine: Engine, who: Option<Who>) -> Result<AnyView, AppError> {
    let currency = match &who {
        Some(who) => subscriptions::currency(&engine.db, &who.org_id).await?,
        None => None,
    };
    let currency = currency.or_else(|| web::query_text("currency"));
    let catalog = catalog::current_in(&engine.db, currency.as_deref()).await?;
    let plan = match &who {
        Some(who) => {
            Some(entitlements::of(&engine.db, &who.org_id, engine.clock.now()).await?.plan)
        }
        None => None,
    };
    let form = match &who {
        Some(_) => forms::state::<Subscribe>().await?,
        None => FormState::default(),
    };
    if catalog.tiers.is_empty() {
        return Ok(nothing_sold(&engine));
    }
    let yearly = web::query("billing").as_deref() == Some("yearly");
    let has_years = catalog.tiers.iter().any(|tier| plans::yearly(tier).is_some());
    let cards: Vec<AnyView> = catalog.tiers.iter().map(|tier| card(tier, plan.as_ref())).collect();
    Ok(view! {
        <div class="hero stack loose">
            <div class="stack">
                <h1>"Pay for the work, and know the price before it runs"</h1>
                <p>
                    "Every plan has a monthly allowance, alerts before it ends and a cap that \
                     holds. No charge ever passes the limit you set."
                </p>
            </div>
            {has_years.then(|| switch(&catalog.tiers, yearly))}
            {refusal(&form)}
        </div>
        <section class="stack" aria-label="Plans">
            <div class="grid">{cards}</div>
        </section>
        {compare(&catalog.tiers)}
        {packs(&catalog, who.is_some())}
        {questions(&engine)}
    }
    .into_any())
}

/// What became of the last press of a button, if it went wrong.
fn refusal(form: &FormState) -> Option<AnyView> {
    let message = form.error("price").map_or(form.message.as_str(), |error| error);
    (!message.is_empty()).then(|| layout::notice("bad", message.to_owned(), None))
}

fn nothing_sold(engine: &Engine) -> AnyView {
    let about = match engine.config.is_development() {
        true => {
            "The catalog is empty. Run `catalog push`, or add products with this product's tag \
                 in Stripe."
        }
        false => "Nothing is on sale at the moment. Please come back later.",
    };
    view! {
        <div class="band">
            {layout::empty("No plans yet", about, view! { <a class="btn" href="/">"Start page"</a> }
                .into_any())}
        </div>
    }
    .into_any()
}

/// Two radio buttons; the style sheet shows the prices of the one that is chosen.
fn switch(tiers: &[Tier], yearly: bool) -> AnyView {
    let saving = plans::months_free(tiers).map(|months| {
        let text = format!("{} free", format::count(months, "month", "months"));
        view! { <span class="badge key">{text}</span> }
    });
    view! {
        <fieldset class="seg">
            <legend class="sr">"Billing period"</legend>
            <label>
                <input type="radio" name="period" id="month" checked=!yearly/>
                "Monthly"
            </label>
            <label>
                <input type="radio" name="period" id="year" checked=yearly/>
                "Yearly "
                {saving}
            </label>
        </fieldset>
    }
    .into_any()
}

fn card(tier: &Tier, plan: Option<&PlanRow>) -> AnyView {
    let current = plan.is_some_and(|plan| plan.tier == tier.tier);
    let badge = match (current, tier.highlight) {
        (true, _) => Some(view! { <span class="badge ok">"Your plan"</span> }.into_any()),
        (false, true) => Some(view! { <span class="badge key">"Most chosen"</span> }.into_any()),
        _ => None,
    };
    let class = if tier.highlight { "card plan chosen" } else { "card plan" };
    let (name, description) = (tier.name.clone(), tier.description.clone());
    view! {
        <article class=class>
            <div class="stack tight">
                <div class="row spread">
                    <h2>{name}</h2>
                    {badge}
                </div>
                <p class="mute">{description}</p>
            </div>
            {price_line(tier)}
            {choose(tier, plan, current)}
            {plans::ticks(plans::points(tier))}
        </article>
    }
    .into_any()
}

fn price_line(tier: &Tier) -> AnyView {
    let month = plans::monthly(tier).or(tier.prices.first());
    let year = plans::yearly(tier).or(month);
    let Some((month, year)) = month.zip(year) else {
        return view! { <p class="price">"$0 " <small>"for ever"</small></p> }.into_any();
    };
    let a_month = match year.interval {
        Some(catalog::Interval::Year) => {
            let each = money(year.amount / 12, &year.currency);
            format!("{}, {each} a month", plans::every(year))
        }
        _ => plans::every(year),
    };
    view! {
        <p class="price">
            <span class="by-month">
                {plans::amount(month)} " " <small>{plans::every(month)}</small>
            </span>
            <span class="by-year">{plans::amount(year)} " " <small>{a_month}</small></span>
        </p>
    }
    .into_any()
}

/// The one button of the card: for strangers a way in, for members a way to pay or to change.
fn choose(tier: &Tier, plan: Option<&PlanRow>, current: bool) -> AnyView {
    let class = if tier.highlight { "btn primary full" } else { "btn full" };
    let link =
        |label: String, href: String| view! { <a class=class href=href>{label}</a> }.into_any();
    match plan {
        _ if current => {
            let class = "btn full";
            view! { <a class=class href="/billing">"See billing"</a> }.into_any()
        }
        None if tier.free => link("Start free".to_owned(), "/sign-up".to_owned()),
        None => both(tier, |price| link(format!("Choose {}", tier.name), sign_up_for(price))),
        Some(plan) if plan.paid && tier.free => {
            link("See billing".to_owned(), "/billing".to_owned())
        }
        Some(plan) if plan.paid => both(tier, |price| {
            link("Change plan".to_owned(), format!("/billing/change?price={}", price.id))
        }),
        Some(_) => both(tier, |price| pay(tier, price, class)),
    }
}

/// The button for the month and the one for the year; only one of them is shown.
fn both(tier: &Tier, button: impl Fn(&Price) -> AnyView) -> AnyView {
    let month = plans::monthly(tier).or(tier.prices.first());
    let year = plans::yearly(tier).or(month);
    view! {
        <div>
            <div class="by-month">{month.map(&button)}</div>
            <div class="by-year">{year.map(&button)}</div>
        </div>
    }
    .into_any()
}

fn sign_up_for(price: &Price) -> String {
    let next = format!("/billing?price={}", price.id);
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("/sign-up?next={next}")
}

fn pay(tier: &Tier, price: &Price, class: &'static str) -> AnyView {
    let label = format!("Choose {}, {} {}", tier.name, plans::amount(price), plans::every(price));
    let id = price.id.clone();
    view! {
        <form method="post" action=Subscribe::url()>
            <input type="hidden" name="price" value=id/>
            <button type="submit" class=class>{label}</button>
        </form>
    }
    .into_any()
}

fn compare(tiers: &[Tier]) -> AnyView {
    let limits: BTreeSet<&String> =
        tiers.iter().flat_map(|tier| tier.terms.limits.keys()).collect();
    let features: BTreeSet<&String> =
        tiers.iter().flat_map(|tier| tier.terms.features.iter()).collect();
    let row = |name: String, cell: &dyn Fn(&Tier) -> String| {
        let cells: Vec<_> =
            tiers.iter().map(|tier| view! { <td role="cell">{cell(tier)}</td> }).collect();
        view! {
            <tr role="row">
                <th role="rowheader" scope="row">{name}</th>
                {cells}
            </tr>
        }
        .into_any()
    };
    let mut rows = vec![
        row("Credits each month".to_owned(), &|tier| plans::credits_cell(tier.terms.included)),
        row("Past the allowance".to_owned(), &plans::overage),
    ];
    rows.extend(limits.into_iter().map(|limit| {
        row(spelled(limit), &|tier| {
            tier.terms
                .limits
                .get(limit)
                .map_or("No limit".to_owned(), |n| format::count(*n, "", "").trim().to_owned())
        })
    }));
    rows.extend(features.into_iter().map(|feature| {
        row(spelled(feature), &|tier| {
            let included = tier.terms.features.contains(feature);
            if included { "Included" } else { "Not included" }.to_owned()
        })
    }));
    let names: Vec<_> = tiers
        .iter()
        .map(|tier| view! { <th role="columnheader" scope="col">{tier.name.clone()}</th> })
        .collect();
    view! {
        <section class="stack band">
            <h2 class="h">"Compare plans"</h2>
            <table class="table compare" role="table">
                <thead role="rowgroup">
                    <tr role="row">
                        <td role="cell"></td>
                        {names}
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </section>
    }
    .into_any()
}

/// `requests_per_minute` → `Requests per minute`, `api` → `API`
fn spelled(name: &str) -> String {
    if name.len() <= 3 {
        return name.to_uppercase();
    }
    let spaced = name.replace(['_', '-', '.'], " ");
    let mut letters = spaced.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn packs(catalog: &Catalog, signed_in: bool) -> Option<AnyView> {
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

fn questions(engine: &Engine) -> AnyView {
    let priced = engine.rates.meters.values().filter_map(|meter| {
        let rate = meter.rate?;
        Some(format!("{} is {} per {}", meter.label, format::with_unit(rate), meter.unit))
    });
    let prices: Vec<String> = priced.collect();
    let prices = format!(
        "A unit of metered work: {}. The rate card is versioned ({}); every charge names the \
         version that priced it.",
        prices.join(", "),
        engine.rates.version
    );
    let answers = [
        ("What is a credit?", prices),
        (
            "What happens when I reach 100%?",
            "Bought credits are used first. After them a plan either stops with a clear reason, or \
             bills what follows at its price for a credit, until your cap."
                .to_owned(),
        ),
        (
            "Can a bill surprise me?",
            "Not past your cap. At the cap, requests are refused and nothing more is charged."
                .to_owned(),
        ),
        (
            "What if I cancel?",
            "The plan runs to the end of the period that is paid. Bought packs stay yours until \
             they expire."
                .to_owned(),
        ),
    ];
    let answers: Vec<_> = answers
        .into_iter()
        .map(|(question, answer)| {
            view! {
                <details>
                    <summary>{question}</summary>
                    <p>{answer}</p>
                </details>
            }
        })
        .collect();
    view! {
        <section class="stack band faq">
            <h2 class="h">"Questions"</h2>
            <div>{answers}</div>
        </section>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_limits_are_spelled_out() {
        assert_eq!(spelled("requests_per_minute"), "Requests per minute");
        assert_eq!(spelled("api"), "API");
        assert_eq!(spelled(""), "");
    }
}
