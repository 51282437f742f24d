//! What came back: refunds, disputes and credit notes, newest first.

use leptos::prelude::*;
use server::engine::Engine;
use server::refunds::{self, MoneyBack};
use server::units::money;

use crate::error::AppError;
use crate::format;

/// How many are shown.
const SHOWN: i64 = 12;

/// What came back to the org; nothing where nothing ever did.
pub async fn card(engine: &Engine, org_id: &str) -> Result<Option<AnyView>, AppError> {
    let backs = refunds::list(&engine.db, org_id, SHOWN).await?;
    if backs.is_empty() {
        return Ok(None);
    }
    let rows: Vec<AnyView> = backs.iter().map(row).collect();
    let card = view! {
        <section class="card stack tight" id="refunds" aria-labelledby="refunds-title">
            <h2 id="refunds-title">"Refunds and disputes"</h2>
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">"Date"</th>
                        <th scope="col">"What"</th>
                        <th scope="col" class="wide">"Of"</th>
                        <th scope="col">"Status"</th>
                        <th scope="col" class="num">"Amount"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
            <p class="mute fine">
                "Credits of a payment are taken back as far as its money was. While a payment is \
                 disputed, what is left of its credits waits."
            </p>
        </section>
    };
    Ok(Some(card.into_any()))
}

fn row(back: &MoneyBack) -> AnyView {
    let what = match back.kind.as_str() {
        "dispute" => "Dispute",
        "credit_note" => "Credit note",
        _ => "Refund",
    };
    let (class, status) = state(&back.kind, &back.status);
    let of = back.number.clone().unwrap_or_else(|| match back.payment.starts_with("in_") {
        true => "An invoice".to_owned(),
        false => "A pack".to_owned(),
    });
    view! {
        <tr>
            <td class="nowrap mute">{format::day(back.created_at)}</td>
            <td>{what}</td>
            <td class="wide">{of}</td>
            <td><span class=class>{status}</span></td>
            <td class="num strong">{money(back.amount, &back.currency)}</td>
        </tr>
    }
    .into_any()
}

/// The badge for a state of Stripe's.
fn state(kind: &str, status: &str) -> (&'static str, &'static str) {
    match (kind, status) {
        ("dispute", "won") => ("badge ok", "Payment stands"),
        ("dispute", "lost") => ("badge bad", "Payment taken back"),
        ("dispute", _) => ("badge warn", "Being decided"),
        ("credit_note", "void") => ("badge", "Void"),
        ("credit_note", _) => ("badge ok", "Credited"),
        (_, "succeeded") => ("badge ok", "Refunded"),
        (_, "failed") => ("badge bad", "Failed"),
        (_, "canceled") => ("badge", "Canceled"),
        _ => ("badge warn", "On its way"),
    }
}
