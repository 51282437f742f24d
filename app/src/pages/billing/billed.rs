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
    let rows: Vec<_> = coming
        .iter()
        .map(|one| {
            let meter = rates.meters.get(&one.meter);
            let label = meter.map_or_else(|| one.meter.clone(), |meter| meter.label.clone());
            let what = match one.kind.as_str() {
                "overage" => format!("{label}, past the included credits"),
                _ => label,
            };
            view! {
                <tr>
                    <th scope="row">{what}</th>
                    <td class="wide mute">{format::period(one.period_start, one.period_end)}</td>
                    <td class="num strong">{money(one.amount(), &one.currency)}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <table class="table">
            <caption>"Used so far, for the next invoice"</caption>
            <thead class="sr">
                <tr>
                    <th scope="col">"What"</th>
                    <th scope="col" class="wide">"Period (UTC)"</th>
                    <th scope="col" class="num">"Amount"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

fn line_table(lines: &[BilledLine]) -> AnyView {
    let rows: Vec<_> = lines
        .iter()
        .map(|line| {
            let (class, on) = match &line.invoice_id {
                Some(_) => ("badge ok", "Invoiced"),
                None => ("badge", "Next invoice"),
            };
            view! {
                <tr>
                    <th scope="row">{line.description.clone()}</th>
                    <td class="wide"><span class=class>{on}</span></td>
                    <td class="num strong">{money(line.amount, &line.currency)}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <table class="table">
            <caption>"Billed before"</caption>
            <thead class="sr">
                <tr>
                    <th scope="col">"What"</th>
                    <th scope="col" class="wide">"Where"</th>
                    <th scope="col" class="num">"Amount"</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}
