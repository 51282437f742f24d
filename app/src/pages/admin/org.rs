//! `/admin/orgs/:id`: one org whole, for whoever has to answer its questions: what it has, what it
//! may do and why, what was agreed with it, what happened last, and what can be done for it.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use server::auth::Who;
use server::clock::Millis;
use server::credits::{self, Balance, GrantView};
use server::customers::{self, Known};
use server::engine::Engine;
use server::entitlements::{self, Entitled};
use server::orgs::{self, Member, Org};
use server::units::Credits;
use server::{audit, caps, gate};

use super::access::Access;
use super::trail::Place;
use super::{contracts, forms, trail};
use crate::error::AppError;
use crate::format;
use crate::layout::Column::{Number, Text};
use crate::layout::{self, OperatorPlace};
use crate::pages::dashboard::stat;

/// `/admin/orgs/:id`
pub fn org() -> AnyView {
    let id = use_params_map().get_untracked().get("id").unwrap_or_default();
    layout::operators(OperatorPlace::Orgs, move |engine, who| content(engine, who, id))
}

async fn content(engine: Engine, _who: Who, id: String) -> Result<AnyView, AppError> {
    let (db, now) = (&engine.db, engine.clock.now());
    let org = orgs::find_closed_too(db, &id).await?;
    let members = orgs::members(db, &id).await?;
    let access = access(&engine, &org).await?;
    let customer = customers::newest_of_org(db, &id).await?;
    let frozen = frozen(&engine, &id).await?;
    let place = Place::read(&id);
    let (movements, older) = credits::statement(db, &id, &place.movements()).await?;
    let (deeds, earlier) = audit::of_org(db, &id, &place.deeds()).await?;
    let closed = org.deleted_at.is_some();
    let agreed = contracts::section(&engine, &id, closed).await?;
    let (give, look) = match closed {
        true => (None, None),
        false => {
            let look = forms::look(&id, customer.as_ref()).await?;
            (Some(forms::grant(&id, now).await?), Some(look))
        }
    };
    Ok(view! {
        {layout::heading(&org.name, about(&org, &members), badges(&access, now))}
        {access.notices(now)}
        {standing(&access.balance, frozen)}
        <div class="main-side">
            <div class="stack">
                {grants(&access.balance)}
                {access.card()}
                {agreed}
                {trail::movements(&movements, older, &place)}
                {trail::deeds(&deeds, earlier, &place)}
            </div>
            <aside class="stack">
                {plan(&access.entitled, customer.as_ref())}
                {give}
                {look}
                {people(&members)}
            </aside>
        </div>
    }
    .into_any())
}

async fn access(engine: &Engine, org: &Org) -> Result<Access, AppError> {
    let (db, id) = (&engine.db, &org.id);
    let (mut reads, only) = (db, [id.clone()]);
    Ok(Access {
        entitled: entitlements::of(db, id, engine.clock.now()).await?,
        balance: gate::standing(engine, id).await?,
        cap: caps::load(&mut reads, &only).await?.remove(id),
        members: caps::of_members(&mut reads, &only).await?.remove(id).unwrap_or_default(),
        parked: credits::is_parked(db, id).await?,
        closed: org.deleted_at,
    })
}

/// What is left of grants that are frozen and not over.
async fn frozen(engine: &Engine, org_id: &str) -> Result<Credits, AppError> {
    let Some(book) = credits::peek(&engine.db, org_id).await? else { return Ok(Credits::ZERO) };
    let now = engine.clock.now();
    let kept = |grant: &&credits::Grant| grant.frozen_at.is_some() && !grant.is_over(now);
    Ok(book.grants.iter().filter(kept).map(|grant| grant.remaining).sum())
}

/// `org_…, owner ada@example.com, since 1 Nov 2026`
fn about(org: &Org, members: &[Member]) -> String {
    let owner = members.iter().find(|member| member.role == "owner");
    let owner = owner.map_or("nobody", |owner| owner.email.as_str());
    format!("{}, owner {owner}, since {}", org.id, format::day(org.created_at))
}

fn badges(access: &Access, now: Millis) -> AnyView {
    let (class, word) = access.badge(now);
    let plan = plan_name(&access.entitled);
    view! {
        <span class=class>{word}</span>
        <span class="badge">{plan}</span>
    }
    .into_any()
}

fn plan_name(entitled: &Entitled) -> String {
    match entitled.plan.tier_name.as_str() {
        "" => "No plan".to_owned(),
        name => name.to_owned(),
    }
}

fn standing(balance: &Balance, frozen: Credits) -> AnyView {
    let frozen = frozen.is_positive().then(|| {
        let meaning = "until a person decides: see the findings".to_owned();
        stat("Frozen", format::credits(frozen), meaning)
    });
    let used = format!("used, of {}", format::credits(balance.allowance.granted));
    view! {
        <section class="card" aria-label="Balance">
            <dl class="stats">
                {stat("Available now", format::credits(balance.available), "credits".to_owned())}
                {stat("Allowance", format::credits(balance.allowance.used), used)}
                {stat("Held by running work", format::credits(balance.held), "credits".to_owned())}
                {stat("Owed", format::credits(balance.debt), "credits".to_owned())}
                {frozen}
                {stat("Overage", format::credits(balance.overage), "in this period".to_owned())}
            </dl>
        </section>
    }
    .into_any()
}

fn plan(entitled: &Entitled, customer: Option<&Known>) -> AnyView {
    let plan = &entitled.plan;
    let line = |name: &'static str, value: String| {
        view! { <div><dt>{name}</dt><dd class="num">{value}</dd></div> }.into_any()
    };
    let code = |name: &'static str, value: String| {
        view! { <div><dt>{name}</dt><dd><code>{value}</code></dd></div> }.into_any()
    };
    let mut lines = vec![line("Plan", plan_name(entitled))];
    if plan.paid {
        lines.push(line("Status", plan.status.clone()));
    }
    lines.extend(plan.period_end.map(|end| line("Period ends", format::day(end))));
    lines.extend(plan.cancel_at.map(|end| line("Plan ends", format::day(end))));
    lines.extend(plan.subscription_id.clone().map(|id| code("Subscription", id)));
    lines.push(match customer {
        Some(known) => code("Customer", known.customer_id.clone()),
        None => line("Customer", "not at Stripe yet".to_owned()),
    });
    if let Some(known) = customer {
        lines.extend(known.deleted_at.map(|at| line("Deleted at Stripe", format::day(at))));
        lines.extend(known.released_at.map(|at| line("Credits released", format::day(at))));
    }
    view! {
        <section class="card stack" aria-labelledby="plan">
            <h2 id="plan">"Plan in force"</h2>
            <dl class="lines">{lines}</dl>
        </section>
    }
    .into_any()
}

fn grants(balance: &Balance) -> AnyView {
    let rows: Vec<AnyView> = balance.grants.iter().map(grant_row).collect();
    let body = match rows.is_empty() {
        true => view! { <p class="mute">"Nothing is left to spend."</p> }.into_any(),
        false => {
            layout::table("Grants", &[Text("Source"), Number("Left"), Number("Expires")], rows)
        }
    };
    view! {
        <section class="card stack tight" aria-labelledby="grants">
            <h2 id="grants">"Grants, in the order in which they are spent"</h2>
            {body}
        </section>
    }
    .into_any()
}

fn grant_row(grant: &GrantView) -> AnyView {
    let expires = grant.expires.map_or_else(|| "Never".to_owned(), format::stamp);
    view! {
        <tr>
            <th scope="row">
                {format::sentence(&grant.reason)}
                <br/>
                <small>{grant.source.clone()} ", " <code>{grant.id.clone()}</code></small>
            </th>
            <td class="num strong">{format::credits(grant.remaining)}</td>
            <td class="num mute">{expires}</td>
        </tr>
    }
    .into_any()
}

fn people(members: &[Member]) -> AnyView {
    let rows: Vec<AnyView> = members
        .iter()
        .map(|member| {
            let (name, email) = (member.name.clone(), member.email.clone());
            view! {
                <li class="row spread">
                    <span>{name} <br/> <small class="mute">{email}</small></span>
                    <span class="badge">{member.role.clone()}</span>
                </li>
            }
            .into_any()
        })
        .collect();
    view! {
        <section class="card stack" aria-labelledby="people">
            <h2 id="people">"Members"</h2>
            <ul class="plain rows">{rows}</ul>
        </section>
    }
    .into_any()
}
