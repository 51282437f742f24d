//! `/pricing`: plans by the month and by the year, in the currencies they are sold in, what is
//! sold besides them, and answers. From the catalog alone.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::Who;
use server::catalog::{self, Price, Tier};
use server::engine::Engine;
use server::entitlements::{self, PlanRow};
use server::subscriptions;
use server::units::money;

use super::{besides, compare, plans};
use crate::acts::billing::Subscribe;
use crate::error::AppError;
use crate::forms::{self, FormState};
use crate::{format, layout, web};

/// `/pricing`
pub fn pricing() -> AnyView {
    layout::front("Pricing", "/pricing", content)
}

async fn content(engine: Engine, who: Option<Who>) -> Result<AnyView, AppError> {
    // A customer pays in one currency; anybody else may choose.
    let fixed = match &who {
        Some(who) => subscriptions::currency(&engine.db, &who.org_id).await?,
        None => None,
    };
    let choice = match &fixed {
        Some(_) => Vec::new(),
        None => catalog::all(&engine.db).await?.currencies(),
    };
    let currency = fixed.or_else(|| web::query_text("currency"));
    let catalog = catalog::current_in(&engine.db, currency.as_deref()).await?;
    let plan = match &who {
        Some(who) => {
            Some(entitlements::of(&engine.db, &who.org_id, engine.clock.now()).await?.plan)
        }
        None => None,
    };
    let tries = match &who {
        Some(who) => subscriptions::invoices(&engine.db, &who.org_id, 1).await?.is_empty(),
        None => true,
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
    let cards: Vec<AnyView> =
        catalog.tiers.iter().map(|tier| card(tier, plan.as_ref(), tries)).collect();
    let shown = catalog.currencies().into_iter().next().unwrap_or_default();
    Ok(view! {
        <div class="hero stack loose">
            <div class="stack">
                <h1>"Pay for the work, and know the price before it runs"</h1>
                <p>
                    "Every plan has a monthly allowance, alerts before it ends and a cap that \
                     holds. No charge ever passes the limit you set."
                </p>
            </div>
            {has_years.then(|| plans::period_switch(&catalog.tiers, yearly))}
            {currencies(&choice, &shown, yearly)}
            {refusal(&form)}
        </div>
        <section class="stack" aria-label="Plans">
            <div class="grid">{cards}</div>
        </section>
        {compare::table(&catalog.tiers)}
        {besides::addons(&catalog)}
        {besides::packs(&catalog, who.is_some())}
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

/// The currencies to choose from, where there is more than one.
fn currencies(choice: &[String], shown: &str, yearly: bool) -> Option<AnyView> {
    if choice.len() < 2 {
        return None;
    }
    let links: Vec<AnyView> = choice
        .iter()
        .map(|currency| {
            let billing = if yearly { "&billing=yearly" } else { "" };
            let href = format!("/pricing?currency={currency}{billing}");
            let current = (currency == shown).then_some("true");
            let name = currency.to_uppercase();
            view! { <a href=href aria-current=current>{name}</a> }.into_any()
        })
        .collect();
    Some(
        view! { <nav class="choice fine" aria-label="Currency">"Prices in" {links}</nav> }
            .into_any(),
    )
}

fn card(tier: &Tier, plan: Option<&PlanRow>, tries: bool) -> AnyView {
    let current = plan.is_some_and(|plan| plan.tier == tier.tier);
    let badge = match (current, tier.highlight) {
        (true, _) => Some(view! { <span class="badge ok">"Your plan"</span> }.into_any()),
        (false, true) => Some(view! { <span class="badge key">"Most chosen"</span> }.into_any()),
        _ => None,
    };
    let class = if tier.highlight { "card plan chosen" } else { "card plan" };
    let (name, description) = (tier.name.clone(), tier.description.clone());
    let trial = plans::trial(tier).filter(|_| tries).map(|trial| {
        view! { <p class="fine">{trial} ". Cancel before it ends and pay nothing."</p> }
    });
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
            {trial}
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
            format!("{}, {each} a month", plans::each(tier, year))
        }
        _ => plans::each(tier, year),
    };
    view! {
        <p class="price">
            <span class="by-month">
                {plans::amount(month)} " " <small>{plans::each(tier, month)}</small>
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
    let label =
        format!("Choose {}, {} {}", tier.name, plans::amount(price), plans::each(tier, price));
    let id = price.id.clone();
    view! {
        <form method="post" action=Subscribe::url()>
            <input type="hidden" name="price" value=id/>
            <button type="submit" class=class>{label}</button>
        </form>
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
