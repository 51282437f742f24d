//! What is billed after use: the terms made for the org, what comes onto the next invoice, and what
//! was put on the last ones.

use leptos::prelude::*;
use server::clock::Millis;
use server::contracts::{self, Contract};
use server::engine::Engine;
use server::overage::{self, Billed, BilledLine};
use server::rates::RateCard;
use server::units::money;

use crate::error::AppError;
use crate::format;
use crate::pages::meter_label;

/// Lines shown.
const LINES: i64 = 12;

/// Contracts and what was billed; nothing where there is neither.
pub async fn card(engine: &Engine, org_id: &str) -> Result<Option<AnyView>, AppError> {
    let now = engine.clock.now();
    let contracts = contracts::of_org(&engine.db, org_id, now).await?;
    let statement = overage::statement(&engine.db, org_id, LINES).await?;
    if contracts.is_empty() && statement.coming.is_empty() && statement.lines.is_empty() {
        return Ok(None);
    }
    let agreed: Vec<AnyView> =
        contracts.iter().map(|one| contract_view(one, now, &engine.rates)).collect();
    let coming =
        (!statement.coming.is_empty()).then(|| coming_table(&statement.coming, &engine.rates));
    let lines = (!statement.lines.is_empty()).then(|| line_table(&statement.lines));
    let card = view! {
        <section class="card stack" id="billed" aria-labelledby="billed-title">
            <h2 id="billed-title">"Billed after use"</h2>
            {agreed}
            {coming}
            {lines}
        </section>
    };
    Ok(Some(card.into_any()))
}

fn contract_view(contract: &Contract, now: Millis, rates: &RateCard) -> AnyView {
    let days = match contract.ends_at {
        Some(end) => format::period(contract.starts_at, end),
        None => format!("from {}", format::day(contract.starts_at)),
    };
    let standing = match contract.standing(now) {
        "in force" => view! { <span class="badge ok">"In force"</span> }.into_any(),
        "coming" => view! { <span class="badge warn">"To come"</span> }.into_any(),
        _ => ().into_any(),
    };
    let lines = agreed(contract, rates).into_iter().map(|(label, value)| {
        view! { <div><dt>{label}</dt><dd>{value}</dd></div> }
    });
    view! {
        <div class="row spread">
            <h3>{contract.name.clone()} " " {standing}</h3>
            <span class="mute fine">{days} " (UTC)"</span>
        </div>
        <dl class="lines">{lines.collect::<Vec<_>>()}</dl>
    }
    .into_any()
}

/// What a contract gives, what it bills and what it allows, each with its name.
fn agreed(contract: &Contract, rates: &RateCard) -> Vec<(String, String)> {
    let terms = contract.terms().unwrap_or_default();
    let currency = &contract.currency;
    let mut lines = Vec::new();
    if terms.included.is_positive() {
        lines.push(("Each month".to_owned(), format::with_unit(terms.included)));
    }
    if let Some(price) = terms.overage_price {
        let label = match terms.included.is_positive() {
            true => "A credit past them",
            false => "A credit past all that are there",
        };
        lines.push((label.to_owned(), format::unit_price(price, currency)));
    }
    lines.extend(terms.meters.iter().map(|(name, price)| {
        let each = format!("{} each", format::unit_price(*price, currency));
        (meter_label(rates, name), each)
    }));
    if let Some(days) = terms.days_until_due {
        let days = format::count(i64::from(days), "day", "days");
        lines.push(("Invoices are sent".to_owned(), format!("to be paid within {days}")));
    }
    lines.extend(terms.limits.iter().map(|(name, most)| {
        let name = format::sentence(&name.replace(['_', '-', '.'], " "));
        (name, format!("up to {}", format::number(*most)))
    }));
    if lines.is_empty() {
        lines.push(("Features".to_owned(), "as agreed, nothing billed".to_owned()));
    }
    lines
}

fn coming_table(coming: &[Billed], rates: &RateCard) -> AnyView {
    let rows = coming.iter().map(|one| {
        let label = meter_label(rates, &one.meter);
        let what = match one.kind.as_str() {
            "overage" => format!("{label}, past the included credits"),
            _ => label,
        };
        let days = format!("{} (UTC)", format::period(one.period_start, one.period_end));
        let days = view! { <small>{days}</small> };
        row(what, days.into_any(), money(one.amount(), &one.currency))
    });
    table("Used so far, for the next invoice", rows.collect())
}

fn line_table(lines: &[BilledLine]) -> AnyView {
    let rows = lines.iter().map(|line| {
        let invoiced = line.invoice_id.is_some() || line.settled_by.is_some();
        let on = match invoiced {
            true => view! { <span class="badge ok">"Invoiced"</span> },
            false => view! { <span class="badge">"Next invoice"</span> },
        };
        row(line.description.clone(), on.into_any(), money(line.amount, &line.currency))
    });
    table("Billed before", rows.collect())
}

fn table(caption: &'static str, rows: Vec<AnyView>) -> AnyView {
    view! {
        <table class="table">
            <caption>{caption}</caption>
            <thead class="sr">
                <tr>
                    <th scope="col">"What"</th>
                    <th scope="col" class="num">"Amount"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

/// What, something about it below, and the amount.
fn row(what: String, about: AnyView, amount: String) -> AnyView {
    view! {
        <tr>
            <th scope="row">
                {what} " " <br/> {about}
            </th>
            <td class="num strong">{amount}</td>
        </tr>
    }
    .into_any()
}
