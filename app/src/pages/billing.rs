//! `/billing`: the plan and the way to another, packs, the org's own cap, the portal, invoices.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::{Permission, Who};
use server::caps::Cap;
use server::catalog::{self, Catalog, Pack, Price, Tier};
use server::engine::Engine;
use server::entitlements::PlanRow;
use server::subscriptions::{self, Current, InvoiceRow};
use server::units::money;

use super::dashboard::Standing;
use super::plans;
use crate::acts::billing::{BuyPack, OpenPortal, RemoveCap, SaveCap, Subscribe};
use crate::error::AppError;
use crate::forms::{self, FormState, Input};
use crate::islands::Enhance;
use crate::layout::{self, Place};
use crate::{format, web};

/// Invoices shown.
const INVOICES: i64 = 12;

/// `/billing`
pub fn billing() -> AnyView {
    layout::members(Place::Billing, Permission::SeeBilling, content)
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    // Somebody who comes back from the portal may have changed something there: look first.
    if web::query("from").as_deref() == Some("portal")
        && let Err(error) = subscriptions::refresh(&engine, &who).await
    {
        tracing::warn!("after the portal: {error}");
    }
    let catalog = catalog::current(&engine.db).await?;
    let current = subscriptions::current(&engine.db, &who.org_id).await?;
    let standing = Standing::read(&engine, &who.org_id).await?;
    let invoices = subscriptions::invoices(&engine.db, &who.org_id, INVOICES).await?;
    let portal = forms::state::<OpenPortal>().await?;
    let subscribe = forms::state::<Subscribe>().await?;
    let pack = forms::state::<BuyPack>().await?;
    let cap = forms::state::<SaveCap>().await?;
    let compare = view! { <a class="btn" href="/pricing">"Compare plans"</a> };
    let plan = &standing.entitled.plan;
    let bought = format::credits(standing.bought());
    Ok(view! {
        {layout::heading("Billing", summary(current.as_ref(), plan), compare.into_any())}
        {current.as_ref().and_then(Current::message).map(|message| {
            layout::notice("warn", message.to_owned(), None)
        })}
        {match &current {
            Some(current) => subscribed(current, &portal),
            None => choose(&catalog, &subscribe),
        }}
        <div class="grid">
            {packs(&catalog.packs, &pack, bought)}
            {cap_card(&standing, &cap)}
        </div>
        {invoice_list(&invoices, &portal, current.is_some())}
    }
    .into_any())
}

/// Plan, price and what happens next, in a sentence.
fn summary(current: Option<&Current>, plan: &PlanRow) -> String {
    let Some(current) = current else { return format!("{} plan, nothing to pay.", plan.tier_name) };
    let amount = money(current.amount, &current.currency);
    let per = current.per.as_deref().unwrap_or("period");
    let next = match (current.ends_at, current.trial_end) {
        (Some(end), _) => format!("Ends {}.", format::day(end)),
        (None, Some(end)) if current.status == "trialing" => {
            format!("On trial until {}.", format::day(end))
        }
        _ => format!("Renews {}.", format::day(current.period_end)),
    };
    format!("{}, {amount} a {per}. {next}", current.plan)
}

fn subscribed(current: &Current, portal: &FormState) -> AnyView {
    let status = match (current.status.as_str(), current.ends_at) {
        ("active" | "trialing", Some(_)) => view! { <span class="badge warn">"Ends"</span> },
        ("active" | "trialing", None) => view! { <span class="badge ok">"Active"</span> },
        _ => view! { <span class="badge bad">"Payment needed"</span> },
    };
    let (ends, label) = match current.ends_at {
        Some(end) => (Some(format::day(end)), "Keep the plan"),
        None => (None, "Cancel plan"),
    };
    let task = if ends.is_some() { "" } else { "cancel" };
    let period = format::period(current.period_start, current.period_end);
    let ends = ends.map(|end| view! { <div><dt>"Ends on"</dt><dd>{end}</dd></div> });
    let amount = money(current.amount, &current.currency);
    view! {
        <section class="card stack" aria-labelledby="plan">
            <div class="row spread">
                <h2 id="plan">{current.plan.clone()}</h2>
                {status}
            </div>
            <dl class="lines">
                <div><dt>"Price"</dt><dd>{amount}</dd></div>
                <div><dt>"Paid period (UTC)"</dt><dd>{period}</dd></div>
                {ends}
            </dl>
            {forms::form_error(portal)}
            <div class="row">
                {portal_button("plan", "Change plan", "btn primary")}
                {portal_button("card", "Change card", "btn")}
                {portal_button(task, label, "btn")}
            </div>
            <p class="mute fine">
                "A move up applies at once. After cancelling, the plan runs to the end of the paid \
                 period, and bought credits stay."
            </p>
        </section>
    }
    .into_any()
}

fn portal_button(task: &'static str, label: &'static str, class: &'static str) -> AnyView {
    view! {
        <Enhance>
            <form method="post" action=OpenPortal::url()>
                <input type="hidden" name="task" value=task/>
                <button type="submit" class=class>{label}</button>
                <p class="error" role="alert" data-error-for=""></p>
            </form>
        </Enhance>
    }
    .into_any()
}

/// The plans to choose from, each price with its own button that says what it costs.
fn choose(catalog: &Catalog, form: &FormState) -> AnyView {
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

fn offer(tier: &Tier, price: &Price, asked: bool) -> AnyView {
    let about =
        format!("{} a month. {}.", format::with_unit(tier.terms.included), plans::overage(tier));
    let (name, id) = (tier.name.clone(), price.id.clone());
    let label = format!("Choose {}, {} {}", tier.name, plans::amount(price), plans::every(price));
    let (card, button) = match asked {
        true => ("card plan chosen", "btn primary full"),
        false => ("card plan", "btn full"),
    };
    view! {
        <article class=card>
            <h3>{name}</h3>
            <p class="price">
                {plans::amount(price)} " " <small>{plans::every(price)}</small>
            </p>
            <p class="mute fine">{about}</p>
            <button type="submit" class=button name="price" value=id>{label}</button>
        </article>
    }
    .into_any()
}

fn packs(packs: &[Pack], form: &FormState, bought: String) -> AnyView {
    if packs.is_empty() {
        return view! {
            <section class="card stack" id="packs">
                <h2>"Credit packs"</h2>
                <p class="mute">"No pack is on sale at the moment."</p>
            </section>
        }
        .into_any();
    }
    let rows: Vec<AnyView> = packs.iter().map(pack_row).collect();
    let error = form.error("pack").or(form.error("price")).map(str::to_owned);
    let form_error = forms::form_error(form);
    view! {
        <section class="card stack" id="packs" aria-labelledby="packs-title">
            <div class="row spread">
                <h2 id="packs-title">"Credit packs"</h2>
                <span class="mute fine">"You hold " {bought}</span>
            </div>
            <Enhance>
                <form class="stack" method="post" action=BuyPack::url()>
                    {form_error}
                    <p class="error" data-error-for="price">{error}</p>
                    <table class="table">
                        <thead class="sr">
                            <tr>
                                <th>"Pack"</th>
                                <th>"Per credit"</th>
                                <th>"Price"</th>
                            </tr>
                        </thead>
                        <tbody>{rows}</tbody>
                    </table>
                </form>
            </Enhance>
            <p class="mute fine">"Paid once on Stripe's page, used after your allowance."</p>
        </section>
    }
    .into_any()
}

fn pack_row(pack: &Pack) -> AnyView {
    let (name, id) = (pack.name.clone(), pack.price.id.clone());
    let price = money(pack.price.amount, &pack.price.currency);
    let spoken = format!("Buy {name}, {price}");
    let label = format!("Buy, {price}");
    view! {
        <tr>
            <th scope="row">
                {name}
                <br/>
                <small>{plans::pack_validity(pack)}</small>
            </th>
            <td class="num mute">{plans::pack_rate(pack)}</td>
            <td class="num">
                <button type="submit" class="btn" name="pack" value=id aria-label=spoken>
                    {label}
                </button>
            </td>
        </tr>
    }
    .into_any()
}

fn cap_card(standing: &Standing, form: &FormState) -> AnyView {
    let bar = standing.meter().map(|meter| meter.html());
    let bar = bar.map(|html| view! { <div inner_html=html></div> });
    let cap = standing.cap.as_ref();
    let state = match cap {
        Some(Cap { credits, .. }) => form.clone().or_value("credits", &format::credits(*credits)),
        None => form.clone(),
    };
    let hard = match (state.value("kind"), cap) {
        (Some(kind), _) => kind == "hard",
        (None, Some(cap)) => cap.hard,
        (None, None) => true,
    };
    let input = Input {
        name: "credits",
        label: "Cap for the period",
        hint: "Counts everything used in the period, whatever pays for it.",
        unit: "credits",
        ..Input::default()
    };
    let kind_error = forms::field_error(&state, "kind");
    view! {
        <section class="card stack" id="caps" aria-labelledby="caps-title">
            <h2 id="caps-title">"Cap and alerts"</h2>
            {bar}
            <Enhance>
                <form class="stack" method="post" action=SaveCap::url() novalidate>
                    {forms::form_error(&state)}
                    {forms::field(&state, input)}
                    <fieldset class="stack tight">
                        <legend class="fine">"At the cap"</legend>
                        <label class="check">
                            <input type="radio" name="kind" value="hard" checked=hard/>
                            "refuse further use"
                        </label>
                        <label class="check">
                            <input type="radio" name="kind" value="soft" checked=!hard/>
                            "only warn"
                        </label>
                        {kind_error}
                    </fieldset>
                    <div class="row end">
                        <button type="submit" class="btn primary">"Save cap"</button>
                    </div>
                </form>
            </Enhance>
            {cap.map(|_| remove_cap())}
            <p class="mute fine">
                "Alerts go out at 70, 90 and 100 percent of the allowance and of the cap."
            </p>
        </section>
    }
    .into_any()
}

fn remove_cap() -> AnyView {
    view! {
        <form method="post" action=RemoveCap::url()>
            <button type="submit" class="btn small danger">"Remove cap"</button>
        </form>
    }
    .into_any()
}

fn invoice_list(invoices: &[InvoiceRow], portal: &FormState, subscribed: bool) -> AnyView {
    let button = portal_button("", "Open the customer portal", "btn small");
    let error = (!subscribed).then(|| forms::form_error(portal));
    let body = match invoices.is_empty() {
        true => view! { <p class="mute">"No invoice yet."</p> }.into_any(),
        false => invoice_table(invoices),
    };
    view! {
        <section class="card stack tight" aria-labelledby="invoices">
            <div class="row spread">
                <h2 id="invoices">"Invoices"</h2>
                {button}
            </div>
            {error}
            {body}
        </section>
    }
    .into_any()
}

fn invoice_table(invoices: &[InvoiceRow]) -> AnyView {
    let rows: Vec<AnyView> = invoices.iter().map(invoice_row).collect();
    view! {
        <table class="table">
            <thead>
                <tr>
                    <th scope="col">"Date"</th>
                    <th scope="col" class="wide">"Number"</th>
                    <th scope="col">"Status"</th>
                    <th scope="col" class="num">"Total"</th>
                    <th scope="col" class="num"><span class="sr">"Document"</span></th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn invoice_row(invoice: &InvoiceRow) -> AnyView {
    let (class, status) = match invoice.status.as_str() {
        "paid" => ("badge ok", "Paid"),
        "open" => ("badge warn", "Open"),
        "void" => ("badge", "Void"),
        _ => ("badge bad", "Not collected"),
    };
    let number = invoice.number.clone().unwrap_or_else(|| invoice.invoice_id.clone());
    let link = invoice.hosted_url.clone().or(invoice.pdf_url.clone()).map(|url| {
        let label = format!("View {number}");
        view! { <a href=url aria-label=label>"View"</a> }
    });
    view! {
        <tr>
            <td class="nowrap mute">{format::day(invoice.created_at)}</td>
            <td class="wide">{number}</td>
            <td><span class=class>{status}</span></td>
            <td class="num strong">{money(invoice.total, &invoice.currency)}</td>
            <td class="num">{link}</td>
        </tr>
    }
    .into_any()
}
