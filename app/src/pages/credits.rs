//! `/credits`: what an org holds, what expires next, and every movement with its cause.

use leptos::prelude::*;
use server::auth::{Permission, Who};
use server::credits::{self, Balance, GrantView, Movement, Page};
use server::engine::Engine;
use server::gate;
use server::units::Credits;

use super::dashboard::stat;
use crate::error::AppError;
use crate::layout::Column::{Number, Text};
use crate::layout::{self, Place};
use crate::{format, web};

/// Movements on a page.
const PAGE: i64 = 25;
/// Expiries shown.
const EXPIRIES: usize = 6;

/// `/credits`
pub fn credits() -> AnyView {
    layout::members(Place::Credits, Permission::SeeOrg, content)
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    let balance = gate::standing(&engine, &who.org_id).await?;
    let expiries = next_of(&balance);
    let page = Page { limit: PAGE, starting_after: web::query_text("after") };
    let (movements, more) = credits::statement(&engine.db, &who.org_id, &page).await?;
    let sum = |wanted: fn(&str) -> bool| {
        let open = balance.grants.iter().filter(|grant| wanted(&grant.source));
        open.map(|grant| grant.remaining).sum()
    };
    let included = sum(|source| matches!(source, "allowance" | "free"));
    let bought = sum(|source| source == "pack");
    let given: Credits = sum(|source| !matches!(source, "allowance" | "free" | "pack"));
    let given = given
        .is_positive()
        .then(|| stat("Other", format::credits(given), "given, agreed or carried over".to_owned()));
    let debt = balance.debt;
    let granted = format!("of {}", format::with_unit(balance.allowance.granted));
    let owed = debt.is_positive().then(|| {
        let meaning = "paid by the next bought credits".to_owned();
        stat("Owed", format::credits(debt), meaning)
    });
    let buy = view! { <a class="btn primary" href="/billing#packs">"Buy credits"</a> };
    let about = "What you hold, what expires next and every movement";
    Ok(view! {
        {layout::heading("Credits", about, buy.into_any())}
        <section class="card" aria-label="Balance">
            <dl class="stats">
                {stat("Available now", format::credits(balance.available), "credits".to_owned())}
                {stat("Allowance", format::credits(included), granted)}
                {stat("Packs", format::credits(bought), "credits left of them".to_owned())}
                {given}
                {stat("Held by running work", format::credits(balance.held), "credits".to_owned())}
                {owed}
            </dl>
        </section>
        {next_expiries(&expiries)}
        {statement(&movements, more, page.starting_after.is_some())}
    }
    .into_any())
}

/// What can be spent and will lapse, soonest first.
fn next_of(balance: &Balance) -> Vec<&GrantView> {
    let lapsing = balance.grants.iter().filter(|grant| grant.expires.is_some());
    let mut lapsing: Vec<&GrantView> = lapsing.collect();
    lapsing.sort_by_key(|grant| grant.expires);
    lapsing.truncate(EXPIRIES);
    lapsing
}

fn next_expiries(grants: &[&GrantView]) -> AnyView {
    if grants.is_empty() {
        return ().into_any();
    }
    let rows: Vec<_> = grants
        .iter()
        .map(|grant| {
            let expires = grant.expires.map(format::stamp);
            view! {
                <tr>
                    <th scope="row">{format::sentence(&grant.reason)}</th>
                    <td class="num">{format::credits(grant.remaining)}</td>
                    <td class="num">{expires}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <section class="card stack tight" aria-labelledby="expiries">
            <h2 id="expiries">"Expires next"</h2>
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">"Source"</th>
                        <th scope="col" class="num">"Credits"</th>
                        <th scope="col" class="num">"Expires"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            <p class="mute fine">
                "Among credits of one kind, those that expire first are used first."
            </p>
        </section>
    }
    .into_any()
}

fn statement(movements: &[Movement], more: bool, later: bool) -> AnyView {
    if movements.is_empty() {
        let about = "Grants and use appear here, each with its cause and the balance after it.";
        let action = view! { <a class="btn" href="/playground">"Open the playground"</a> };
        return layout::empty("No movement yet", about, action.into_any());
    }
    let rows: Vec<AnyView> = movements.iter().map(row).collect();
    let older = movements.last().filter(|_| more).map(|last| format!("/credits?after={}", last.id));
    let table = layout::table(
        "Statement",
        &[Text("Date (UTC)"), Text("Cause"), Number("Credits"), Number("Balance")],
        rows,
    );
    view! {
        <section class="card stack tight" aria-labelledby="statement">
            <h2 id="statement">"Statement"</h2>
            {table}
            {pager("Statement pages", "/credits", later, older)}
        </section>
    }
    .into_any()
}

/// One movement: when, why, how much, and what there was afterwards.
pub fn row(movement: &Movement) -> AnyView {
    let class = if movement.credits.is_positive() { "num pos" } else { "num" };
    let at = movement.at_ms;
    let usage =
        movement.usage.as_ref().map(|id| view! { <span class="wide">" · "{id.clone()}</span> });
    view! {
        <tr>
            <td class="nowrap mute">
                {format::short_day(at)}
                " "
                <span class="wide">{format::time(at)}</span>
            </td>
            <th scope="row">
                {format::sentence(&movement.cause)}
                <br/>
                <small>{spoken(&movement.kind).to_owned()} {usage}</small>
            </th>
            <td class=class>{format::movement(movement.credits)}</td>
            <td class="num strong">{format::credits(movement.balance)}</td>
        </tr>
    }
    .into_any()
}

/// What happened, for people.
fn spoken(kind: &str) -> &str {
    match kind {
        "grant" => "Granted",
        "consume" => "Used",
        "hold" => "Set aside",
        "capture" => "Charged of what was set aside",
        "release" => "Given back",
        "extend" => "Set aside for longer",
        "expire_hold" => "Set aside until its time was over",
        "reverse" => "Taken back",
        "expire" => "Lapsed",
        "debt_paid" => "Paid what was owed",
        "claw_back" => "Credits taken back",
        "reinstate" => "Credits returned",
        "freeze" => "Frozen",
        "unfreeze" => "Free again",
        "void" => "Ended",
        "adjust" => "Corrected",
        other => other,
    }
}

/// Newest and older. Lists go one way only, because something new may have come in front.
pub fn pager(
    label: &'static str,
    newest: impl Into<String>,
    later: bool,
    older: Option<String>,
) -> AnyView {
    let newest: String = newest.into();
    let first = match later {
        true => view! { <a class="btn small" href=newest>"Newest"</a> }.into_any(),
        false => ().into_any(),
    };
    let older = match older {
        Some(href) => view! { <a class="btn small" href=href>"Older"</a> }.into_any(),
        None => view! { <span class="btn small" aria-disabled="true">"Older"</span> }.into_any(),
    };
    view! {
        <nav class="pager" aria-label=label>
            <span>"Newest first"</span>
            <span class="row">{first} {older}</span>
        </nav>
    }
    .into_any()
}
