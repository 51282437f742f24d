//! `/admin/orgs/:id`: one org whole, for whoever has to answer its questions: what it has, what it
//! may do and why, what was agreed with it, what happened last, and what can be done for it.

use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use server::auth::Who;
use server::clock::Millis;
use server::credits::{self, Balance, GrantView, Page};
use server::engine::Engine;
use server::entitlements::{self, Block, Entitled};
use server::orgs::{self, Member, Org};
use server::{audit, customers, gate};

use super::{contracts, forms, trail};
use crate::error::AppError;
use crate::format;
use crate::layout::{self, OperatorPlace};
use crate::pages::dashboard::stat;

/// Movements and audit entries shown.
const LAST: i64 = 20;

/// `/admin/orgs/:id`
pub fn org() -> AnyView {
    let id = use_params_map().get_untracked().get("id").unwrap_or_default();
    layout::operators(OperatorPlace::Orgs, move |engine, who| content(engine, who, id))
}

async fn content(engine: Engine, _who: Who, id: String) -> Result<AnyView, AppError> {
    let (db, now) = (&engine.db, engine.clock.now());
    let org = orgs::find(db, &id).await?;
    let members = orgs::members(db, &id).await?;
    let balance = gate::standing(&engine, &id).await?;
    let entitled = entitlements::of(db, &id, now).await?;
    let customer = customers::of_org(db, &id).await?;
    let parked = credits::is_parked(db, &id).await?;
    let page = Page { limit: LAST, starting_after: None };
    let (movements, _) = credits::statement(db, &id, &page).await?;
    let deeds = audit::of_org(db, &id, LAST).await?;
    let agreed = contracts::section(&engine, &id).await?;
    let give = forms::grant(&id, now).await?;
    let look = forms::look(&id, customer.as_deref()).await?;
    let about = about(&org, &members);
    Ok(view! {
        {layout::heading(&org.name, about, badges(&entitled, parked, now))}
        {parked.then(parked_notice)}
        {entitled.blocks.iter().map(|block| told_block(block, now)).collect::<Vec<_>>()}
        {standing(&balance)}
        <div class="main-side">
            <div class="stack">
                {grants(&balance)}
                {agreed}
                {trail::movements(&movements)}
                {trail::deeds(&deeds)}
            </div>
            <aside class="stack">
                {plan(&entitled, customer)}
                {give}
                {look}
                {people(&members)}
            </aside>
        </div>
    }
    .into_any())
}

/// `org_…, owner ada@example.com, since 1 Nov 2026`
fn about(org: &Org, members: &[Member]) -> String {
    let owner = members.iter().find(|member| member.role == "owner");
    let owner = owner.map_or("nobody", |owner| owner.email.as_str());
    format!("{}, owner {owner}, since {}", org.id, format::day(org.created_at))
}

fn badges(entitled: &Entitled, parked: bool, now: Millis) -> AnyView {
    let blocked = entitled.blocks.iter().any(|block| in_force(block, now));
    let (class, word) = match (parked, blocked) {
        (true, _) => ("badge bad", "Parked"),
        (false, true) => ("badge bad", "Blocked"),
        (false, false) => ("badge ok", "May use"),
    };
    let plan = plan_name(entitled);
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

fn parked_notice() -> AnyView {
    let message = "The wallet is parked, because its books disagree: nothing is debited. What \
         disagrees is in the audit trail; `ledger repair` at the command line rebuilds it.";
    layout::notice("bad", message.to_owned(), None)
}

fn in_force(block: &Block, now: Millis) -> bool {
    block.since <= now && block.until.is_none_or(|until| now < until)
}

fn told_block(block: &Block, now: Millis) -> AnyView {
    let (kind, reason) = (&block.kind, &block.reason);
    match in_force(block, now) {
        true => {
            let since = format::stamp(block.since);
            let message = format!("Use is stopped since {since} ({kind}): {reason}");
            layout::notice("bad", message, None)
        }
        false => {
            let from = format::stamp(block.since);
            let message = format!("Use will be stopped from {from} on ({kind}): {reason}");
            layout::notice("warn", message, None)
        }
    }
}

fn standing(balance: &Balance) -> AnyView {
    let used = format!("used, of {}", format::credits(balance.allowance.granted));
    view! {
        <section class="card" aria-label="Balance">
            <dl class="stats">
                {stat("Available now", format::credits(balance.available), "credits".to_owned())}
                {stat("Allowance", format::credits(balance.allowance.used), used)}
                {stat("Held by running work", format::credits(balance.held), "credits".to_owned())}
                {stat("Owed", format::credits(balance.debt), "credits".to_owned())}
                {stat("Overage", format::credits(balance.overage), "in this period".to_owned())}
            </dl>
        </section>
    }
    .into_any()
}

fn plan(entitled: &Entitled, customer: Option<String>) -> AnyView {
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
        Some(id) => code("Customer", id),
        None => line("Customer", "not at Stripe yet".to_owned()),
    });
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
        false => view! {
            <div class="scroll" tabindex="0" role="region" aria-label="Grants">
                <table class="table">
                    <thead>
                        <tr>
                            <th scope="col">"Source"</th>
                            <th scope="col" class="num">"Left"</th>
                            <th scope="col" class="num">"Expires"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        }
        .into_any(),
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
