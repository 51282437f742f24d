//! What is billed after use: the terms made for the org, what comes onto the next invoice, and what
//! was put on the last ones.

use leptos::prelude::*;
use server::contracts::{self, Contract};
use server::engine::Engine;
use server::overage::{self, Billed, BilledLine};
use server::rates::RateCard;
use server::units::money;

use crate::error::AppError;
use crate::format;

/// Lines shown.
const LINES: i64 = 12;

/// Contracts and what was billed; nothing where there is neither.
pub async fn card(engine: &Engine, org_id: &str) -> Result<Option<AnyView>, AppError> {
    let contracts = contracts::of_org(&engine.db, org_id, engine.clock.now()).await?;
    let statement = overage::statement(&engine.db, org_id, LINES).await?;
    if contracts.is_empty() && statement.coming.is_empty() && statement.lines.is_empty() {
        return Ok(None);
    }
    let agreed: Vec<AnyView> = contracts.iter().map(contract_view).collect();
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

fn contract_view(contract: &Contract) -> AnyView {
    let days = match contract.ends_at {
        Some(end) => format::period(contract.starts_at, end),
        None => format!("since {}", format::day(contract.starts_at)),
    };
    let terms = contract.terms().unwrap_or_default();
    let currency = &contract.currency;
    let mut lines = Vec::new();
    if terms.included.is_positive() {
        lines.push(("Each month".to_owned(), format::with_unit(terms.included)));
    }
    if let Some(price) = terms.overage_price {
        lines.push(("A credit past them".to_owned(), format::unit_price(price, currency)));
    }
    let meters = terms.meters.iter();
    lines.extend(meters.map(|(name, price)| (name.clone(), format::unit_price(*price, currency))));
    let lines = lines.into_iter().map(|(label, value)| {
        view! { <div><dt>{label}</dt><dd>{value}</dd></div> }
    });
    view! {
        <div class="row spread">
            <h3>{contract.name.clone()}</h3>
            <span class="mute fine">{days}</span>
        </div>
        <dl class="lines">{lines.collect::<Vec<_>>()}</dl>
    }
    .into_any()
}

fn coming_table(coming: &[Billed], rates: &RateCard) -> AnyView {
    let rows = coming.iter().map(|one| {
        let meter = rates.meters.get(&one.meter);
        let label = meter.map_or_else(|| one.meter.clone(), |meter| meter.label.clone());
        let what = match one.kind.as_str() {
            "overage" => format!("{label}, past the included credits"),
            _ => label,
        };
        let days = format::period(one.period_start, one.period_end);
        let days = view! { <span class="mute">{days}</span> };
        row(what, days.into_any(), money(one.amount(), &one.currency))
    });
    table("Used so far, for the next invoice", "Period (UTC)", rows.collect())
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
    table("Billed before", "Where", rows.collect())
}

/// What, something about it where there is room, and the amount.
fn table(caption: &'static str, about: &'static str, rows: Vec<AnyView>) -> AnyView {
    view! {
        <table class="table">
            <caption>{caption}</caption>
            <thead class="sr">
                <tr>
                    <th scope="col">"What"</th>
                    <th scope="col" class="wide">{about}</th>
                    <th scope="col" class="num">"Amount"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn row(what: String, about: AnyView, amount: String) -> AnyView {
    view! {
        <tr>
            <th scope="row">{what}</th>
            <td class="wide">{about}</td>
            <td class="num strong">{amount}</td>
        </tr>
    }
    .into_any()
}
