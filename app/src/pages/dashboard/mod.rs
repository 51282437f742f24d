//! `/dashboard`: how much is used and left, what the period will come to, use by day, notices.

mod news;
mod standing;

use leptos::prelude::*;
use server::auth::{Permission, Who};
use server::engine::Engine;
use server::notices;
use server::rates::RateCard;
use server::usage::DayMeter;

use super::days::daily_card;
use super::meter_label;
use crate::acts::notices::DismissNotice;
use crate::chart::{DayChart, Meter};
use crate::error::AppError;
use crate::layout::{self, Place};
use crate::{format, forms};

pub use standing::{Standing, costs_money};

/// Notices shown at most.
const NOTICES: i64 = 20;

/// Where it stands what is billed in money.
pub const BILLED: &str = "/billing#billed";

/// `/dashboard`
pub fn dashboard() -> AnyView {
    layout::members(Place::Overview, Permission::SeeOrg, content)
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    let standing = Standing::read(&engine, &who.org_id).await?;
    let notices = notices::list(&engine.db, &who.org_id, NOTICES).await?;
    let form = forms::state::<DismissNotice>().await?;
    let plan = standing.plan();
    let (start, end) = standing.period();
    let about = match standing.trial_end() {
        Some(end) => format!("{plan}, on trial until {}", format::day(end)),
        None => format!("{plan}, {} (UTC)", format::period(start, end)),
    };
    let actions = view! {
        <a class="btn" href="/billing">"Change plan"</a>
        <a class="btn primary" href="/billing#packs">"Buy credits"</a>
    };
    Ok(view! {
        {layout::heading("Overview", about, actions.into_any())}
        {blocks(&standing)}
        {forms::form_error(&form)}
        {news::foremost(&notices).map(news::newest)}
        {allowance(&standing)}
        {daily(&standing, &engine.rates)}
        {news::all_notices(&notices)}
    }
    .into_any())
}

/// What refuses use just now, above everything else.
fn blocks(standing: &Standing) -> Vec<AnyView> {
    let now = standing.now;
    let in_force = standing
        .entitled
        .blocks
        .iter()
        .filter(|block| block.since <= now && block.until.is_none_or(|until| now < until));
    in_force
        .map(|block| {
            let link = ("Billing".to_owned(), "/billing".to_owned());
            layout::notice("bad", format!("Use is stopped: {}", block.reason), Some(link))
        })
        .collect()
}

fn allowance(standing: &Standing) -> AnyView {
    let Some(meter) = standing.meter() else { return without_allowance(standing) };
    let (used, whole) = (format::credits(meter.used), format::credits(meter.allowance));
    let percent = meter.percent();
    let passed = [100, 90, 70].into_iter().find(|mark| percent >= *mark);
    let badge = passed.map(|mark| {
        let class = if mark == 100 { "badge bad" } else { "badge warn" };
        view! { <span class=class>{format!("{mark}% passed")}</span> }
    });
    view! {
        <section class="card stack" aria-labelledby="allowance">
            <div class="row spread">
                <h2 id="allowance">"Allowance"</h2>
                {badge}
            </div>
            <p class="big">{used} " " <small>{format!("of {whole} credits, {percent}%")}</small></p>
            <div class="stack tight">
                <div inner_html=meter.html()></div>
                {legend(&meter, standing.besides() == standing.packs())}
            </div>
            {figures(standing)}
        </section>
    }
    .into_any()
}

fn without_allowance(standing: &Standing) -> AnyView {
    let available = format::credits(standing.balance.available);
    let about = match standing.trial_end() {
        Some(_) => "The plan's own credits come with its first payment, after the trial.",
        None if standing.entitled.plan.status == "contract" => {
            "The contract includes no credits. What it bills stands under billing."
        }
        None => "This plan includes no credits. Buy a pack, or choose a plan.",
    };
    view! {
        <section class="card stack" aria-labelledby="allowance">
            <h2 id="allowance">"Credits"</h2>
            <p class="big">{available} " " <small>"credits left"</small></p>
            <p class="mute">{about}</p>
            {figures(standing)}
        </section>
    }
    .into_any()
}

fn legend(meter: &Meter, bought: bool) -> AnyView {
    let besides = meter.besides.is_positive().then(|| {
        let label = if bought { "Bought credits " } else { "Credits besides " };
        view! { <li>{swatch("pack")} {label} <b>{format::credits(meter.besides)}</b></li> }
    });
    let overage = meter.overage.then(|| view! { <li>{swatch("over")} "Overage, billed"</li> });
    let projected = meter.projected.map(|(low, _, high)| {
        let range = format!("{}–{}", format::rounded(low), format::rounded(high));
        view! {
            <li>
                <svg class="meter sw dotted" width="18" height="10" aria-hidden="true">
                    <line class="range" x1="0" x2="100%" y1="5" y2="5"></line>
                    <circle class="mid" cx="50%" cy="5" r="3.5"></circle>
                </svg>
                "Projected "
                <b>{range}</b>
            </li>
        }
    });
    view! {
        <ul class="legend">
            <li>{swatch("fill")} "Used"</li>
            {besides}
            {overage}
            {projected}
        </ul>
    }
    .into_any()
}

fn swatch(class: &'static str) -> AnyView {
    view! {
        <svg class="meter sw" width="10" height="10" aria-hidden="true">
            <rect width="10" height="10" rx="2" class=class></rect>
        </svg>
    }
    .into_any()
}

fn figures(standing: &Standing) -> AnyView {
    let balance = &standing.balance;
    let (_, end) = standing.period();
    let more = standing.besides();
    let besides = match more.is_positive() {
        true if more == standing.packs() => format!("plus {} bought", format::credits(more)),
        true => format!("plus {} besides", format::credits(more)),
        false => format!("{} in all", format::credits(balance.available)),
    };
    let resets = match (standing.trial_end(), end <= standing.now) {
        (Some(end), _) => {
            let when = format!("{} UTC, {}", format::time(end), format::until(standing.now, end));
            stat("Trial ends", format::short_day(end), when)
        }
        (None, true) => stat("Resets", "–".to_owned(), "when the plan is paid".to_owned()),
        (None, false) => {
            let when = format!("{} UTC, {}", format::time(end), format::until(standing.now, end));
            stat("Resets on", format::short_day(end), when)
        }
    };
    let owed = balance.debt.is_positive().then(|| {
        let meaning = "paid by the next bought credits".to_owned();
        stat("Owed", format::credits(balance.debt), meaning)
    });
    let projected = match &standing.projection {
        None => ("–".to_owned(), "after the first full day".to_owned()),
        Some(p) => {
            let range = format!("{}–{}", format::rounded(p.low), format::rounded(p.high));
            (format::rounded(p.expected), format!("likely {range}, from {}", p.method))
        }
    };
    let cap = match &standing.cap {
        None => ("None".to_owned(), "set one under billing".to_owned()),
        Some(cap) => {
            let kind = if cap.hard { "stops there" } else { "warns only" };
            (format::credits(cap.credits), kind.to_owned())
        }
    };
    let by = format!("Projected by {}", format::short_day(end - 1));
    view! {
        <dl class="stats">
            {stat("Remaining", format::credits(standing.remaining()), besides)}
            {owed}
            {resets}
            {stat(&by, projected.0, projected.1)}
            {stat("Cap for the period", cap.0, cap.1)}
        </dl>
    }
    .into_any()
}

/// One figure with its name and what it means.
pub fn stat(name: &str, figure: String, meaning: String) -> AnyView {
    let name = name.to_owned();
    view! {
        <div>
            <dt>{name}</dt>
            <dd>{figure} " " <small>{meaning}</small></dd>
        </div>
    }
    .into_any()
}

/// Use by day, of what cost credits; and where the rest is billed.
fn daily(standing: &Standing, rates: &RateCard) -> AnyView {
    let in_money = |day: &DayMeter| costs_money(day, &standing.entitled, rates);
    let (in_money, days): (Vec<DayMeter>, Vec<DayMeter>) =
        standing.days.iter().cloned().partition(in_money);
    let label = |meter: &str| meter_label(rates, meter);
    let chart = DayChart::new(&days, standing.period(), standing.now, label);
    let billed = (!in_money.is_empty()).then(|| {
        let count = format::count(in_money.iter().map(|day| day.count).sum(), "use", "uses");
        let link = ("What is billed".to_owned(), BILLED.to_owned());
        layout::notice("info", format!("{count} in this period, billed in money."), Some(link))
    });
    let drawn = billed.is_none() || !days.is_empty();
    view! {
        {drawn.then(|| daily_card("Daily usage", &chart))}
        {billed}
    }
    .into_any()
}
