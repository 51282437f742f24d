//! The invoices, newest first.

use leptos::prelude::*;
use server::subscriptions::InvoiceRow;
use server::units::money;

use super::plan::portal_button;
use crate::format;
use crate::forms::{self, FormState};

/// The invoices and the way to the portal.
pub fn card(invoices: &[InvoiceRow], portal: &FormState, subscribed: bool) -> AnyView {
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
