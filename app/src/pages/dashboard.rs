//! `/dashboard`: how much is used and left, what the period will come to, use by day, notices.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::{Permission, Who};
use server::caps::{self, Cap};
use server::clock::Millis;
use server::credits::Balance;
use server::engine::Engine;
use server::entitlements::{self, Entitled};
use server::notices::{self, Notice};
use server::units::Credits;
use server::usage::{self, DayMeter, Projection};
use server::{gate, rates::RateCard};

use super::days::daily_card;
use super::meter_label;
use crate::acts::notices::DismissNotice;
use crate::chart::{DayChart, Meter};
use crate::error::AppError;
use crate::islands::Enhance;
use crate::layout::{self, Place, icons};
use crate::{format, forms};

/// Notices shown at most.
const NOTICES: i64 = 20;

/// `/dashboard`
pub fn dashboard() -> AnyView {
    layout::members(Place::Overview, Permission::SeeOrg, content)
}

/// Everything about the current period, as of one moment.
pub struct Standing {
    /// What there is.
    pub balance: Balance,
    /// What is allowed.
    pub entitled: Entitled,
    /// The org's own ceiling.
    pub cap: Option<Cap>,
    /// Use by day and meter.
    pub days: Vec<DayMeter>,
    /// What the period will come to.
    pub projection: Option<Projection>,
    /// The moment.
    pub now: Millis,
}

impl Standing {
    /// Reads it.
    pub async fn read(engine: &Engine, org_id: &str) -> Result<Self, AppError> {
        let now = engine.clock.now();
        let balance = gate::standing(engine, org_id).await?;
        let entitled = entitlements::of(&engine.db, org_id, engine.clock.now()).await?;
        let cap = caps::current(&engine.db, org_id).await?;
        let allowance = &balance.allowance;
        let period = (allowance.period_start, allowance.period_end);
        let days = usage::by_day(&engine.db, org_id, period.0, period.1).await?;
        let projection = usage::project(&days, period, allowance.period_used, now);
        Ok(Self { balance, entitled, cap, days, projection, now })
    }

    /// The period, half open.
    pub fn period(&self) -> (Millis, Millis) {
        (self.balance.allowance.period_start, self.balance.allowance.period_end)
    }

    /// What is left of packs.
    pub fn packs(&self) -> Credits {
        self.left_of(|source| source == "pack")
    }

    /// What can be spent besides the allowance: packs, and what was given or agreed.
    fn besides(&self) -> Credits {
        self.left_of(|source| !matches!(source, "allowance" | "free" | "trial"))
    }

    fn left_of(&self, wanted: fn(&str) -> bool) -> Credits {
        let grants = self.balance.grants.iter().filter(|grant| wanted(&grant.source));
        grants.map(|grant| grant.remaining).sum()
    }

    /// When the trial ends, while there is one.
    fn trial_end(&self) -> Option<Millis> {
        let plan = &self.entitled.plan;
        plan.period_end.filter(|_| plan.status == "trialing")
    }

    /// The bar; none where nothing was granted in this period.
    pub fn meter(&self) -> Option<Meter> {
        let allowance = &self.balance.allowance;
        allowance.granted.is_positive().then(|| Meter {
            allowance: allowance.granted,
            used: allowance.period_used,
            besides: self.besides(),
            overage: self.entitled.overage_allowed,
            cap: self.cap.as_ref().map(|cap| cap.credits),
            projected: self.projection.map(|p| (p.low, p.expected, p.high)),
        })
    }
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    let standing = Standing::read(&engine, &who.org_id).await?;
    let notices = notices::list(&engine.db, &who.org_id, NOTICES).await?;
    let form = forms::state::<DismissNotice>().await?;
    let plan = &standing.entitled.plan;
    let (start, end) = standing.period();
    let about = match standing.trial_end() {
        Some(end) => format!("{} plan, on trial until {}", plan.tier_name, format::day(end)),
        None => format!("{} plan, {} (UTC)", plan.tier_name, format::period(start, end)),
    };
    let actions = view! {
        <a class="btn" href="/billing">"Change plan"</a>
        <a class="btn primary" href="/billing#packs">"Buy credits"</a>
    };
    Ok(view! {
        {layout::heading("Overview", about, actions.into_any())}
        {blocks(&standing)}
        {forms::form_error(&form)}
        {foremost(&notices).map(newest)}
        {allowance(&standing)}
        {daily(&standing, &engine.rates)}
        {all_notices(&notices)}
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

/// The newest that asks for something, else the newest.
fn foremost(notices: &[Notice]) -> Option<&Notice> {
    notices.iter().find(|notice| notice.level != "info").or(notices.first())
}

/// Where one can do something about it.
fn remedy(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "payment_failed" | "card_expiring" => ("Update the card", "/billing/card"),
        "recharged" | "recharge_failed" | "recharge_paused" | "recharge_capped"
        | "recharge_needs_you" => ("Auto-recharge", "/billing#recharge"),
        "refunded" | "refund_failed" | "dispute_opened" | "dispute_closed" => {
            ("Refunds and disputes", "/billing#refunds")
        }
        "trial_ending" | "canceled" | "plan_scheduled" | "invoice_voided" => {
            ("Billing", "/billing")
        }
        _ => ("Cap and packs", "/billing#caps"),
    }
}

fn newest(notice: &Notice) -> AnyView {
    let class = format!("notice {}", notice.level);
    let title = format!("{}.", notice.title.trim_end_matches('.'));
    let detail = format!(" {}", notice.detail);
    let (label, href) = remedy(&notice.kind);
    view! {
        <div class=class role="status">
            {icons::icon(level_icon(&notice.level))}
            <div>
                <p>
                    <b>{title}</b>
                    {detail}
                </p>
            </div>
            <a href=href class="nowrap">{label}</a>
        </div>
    }
    .into_any()
}

fn level_icon(level: &str) -> &'static str {
    match level {
        "bad" => icons::STOP,
        "warn" => icons::WARN,
        _ => icons::INFO,
    }
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
    let remaining = match standing.trial_end() {
        Some(_) => balance.available,
        None => balance.allowance.remaining,
    };
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
            {stat("Remaining", format::credits(remaining), besides)}
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

fn daily(standing: &Standing, rates: &RateCard) -> AnyView {
    let label = |meter: &str| meter_label(rates, meter);
    let chart = DayChart::new(&standing.days, standing.period(), standing.now, label);
    daily_card("Daily usage", &chart)
}

fn all_notices(notices: &[Notice]) -> AnyView {
    if notices.is_empty() {
        return ().into_any();
    }
    let items: Vec<AnyView> = notices.iter().map(one_notice).collect();
    view! {
        <section class="card stack tight" aria-labelledby="notices">
            <h2 id="notices">"Notices"</h2>
            <ol class="steps">{items}</ol>
        </section>
    }
    .into_any()
}

fn one_notice(notice: &Notice) -> AnyView {
    let Notice { id, level, title, detail, at, .. } = notice.clone();
    let class = match level.as_str() {
        "bad" => "refused",
        "warn" => "late",
        _ => "",
    };
    let label = format!("Dismiss: {title}");
    view! {
        <li class=class>
            {icons::icon(level_icon(&level))}
            <span>
                {title}
                <br/>
                <small class="mute">{detail} " " {format::stamp(at)}</small>
            </span>
            <Enhance>
                <form method="post" action=DismissNotice::url()>
                    <input type="hidden" name="notice_id" value=id/>
                    <button type="submit" class="btn small quiet" aria-label=label>
                        "Dismiss"
                    </button>
                </form>
            </Enhance>
        </li>
    }
    .into_any()
}
