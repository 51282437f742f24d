//! The portal's views as HTML. They show; `portal_actions` does.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::html::{esc, link_to};
use super::pay_form::{self, Mistakes};
use super::portal::Visit;
use crate::billing::{lines, methods, updating};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::World;

/// Plans, card, invoices and the way back.
pub fn overview(world: &World, visit: &Visit, done: Option<&str>) -> String {
    let note = done
        .and_then(done_text)
        .map(|text| format!("<div class=\"note\" role=\"status\">{text}</div>"));
    let back = visit
        .session
        .opt_text("return_url")
        .map(|url| format!("<p>{}</p>", link_to(url, "← Return to the shop")));
    let plans: String =
        visit.subscriptions(world).iter().map(|sub| plan(world, visit, sub)).collect();
    let plans = match plans.is_empty() {
        true => "<div class=\"card muted\">You have no subscription.</div>".to_owned(),
        false => plans,
    };
    format!(
        "{}<h1>Your billing</h1><p class=\"muted\">{}</p>{}\
         <h2>Current plan</h2>{plans}{}{}{}",
        back.unwrap_or_default(),
        esc(visit.customer.text("email")),
        note.unwrap_or_default(),
        card_section(world, visit),
        details_section(visit),
        invoices(world, visit),
    )
}

fn done_text(done: &str) -> Option<&'static str> {
    match done {
        "canceled" => Some("Your plan has been canceled."),
        "resumed" => Some("Your plan goes on."),
        "switched" => Some("Your plan has been changed."),
        "card" => Some("Your card has been updated."),
        "details" => Some("Your details have been updated."),
        "paid" => Some("Thank you, the invoice is paid."),
        _ => None,
    }
}

/// When the subscription ends, if it is to end.
fn ends_on(sub: &Value) -> Option<i64> {
    let end = sub.opt_int("items.data.0.current_period_end");
    sub.opt_int("cancel_at").or(end.filter(|_| sub.flag("cancel_at_period_end")))
}

fn plan(world: &World, visit: &Visit, sub: &Value) -> String {
    let id = esc(sub.text("id"));
    let home = visit.home();
    let mut rows = String::new();
    for item in sub.list("items.data") {
        let price = world.get("price", item.text("price.id")).unwrap_or(&Value::Null);
        rows.push_str(&format!(
            "<div class=\"row\"><strong>{}</strong><span class=\"num\">{} × {}</span></div>",
            esc(&lines::product_name(world, price)),
            item.int("quantity"),
            esc(lines::rate(price).trim_start_matches("at ")),
        ));
    }
    let end = lines::day(sub.int("items.data.0.current_period_end"));
    let (when, tag) = match ends_on(sub) {
        Some(end) => (format!("Cancels on {}", lines::day(end)), "bad"),
        None if sub.text("status") == "trialing" => (format!("Trial ends on {end}"), "ok"),
        None if sub.text("status") == "active" => (format!("Renews on {end}"), "ok"),
        None => (format!("Status: {}", sub.text("status")), "bad"),
    };
    let mut actions = String::new();
    if visit.features.flag("subscription_update.enabled") && ends_on(sub).is_none() {
        actions.push_str(&format!(
            "<a class=\"button\" id=\"switch\" href=\"{home}?view=switch&amp;subscription={id}\">\
             Change plan</a>"
        ));
    }
    if ends_on(sub).is_some() {
        actions.push_str(&format!(
            "<form method=\"post\" action=\"{home}/resume\">\
             <input type=\"hidden\" name=\"subscription\" value=\"{id}\">\
             <button id=\"resume\">Don't cancel</button></form>"
        ));
    } else if visit.features.flag("subscription_cancel.enabled") {
        actions.push_str(&format!(
            "<a class=\"button\" id=\"cancel\" href=\"{home}?view=cancel&amp;subscription={id}\">\
             Cancel plan</a>"
        ));
    }
    format!(
        "<div class=\"card\">{rows}<p><span class=\"tag {tag}\">{when}</span></p>\
         <div class=\"actions\">{actions}</div></div>"
    )
}

fn card_section(world: &World, visit: &Visit) -> String {
    let customer = visit.customer.text("id");
    let sub = visit.subscriptions(world).into_iter().next().unwrap_or_default();
    let method = methods::default_for(world, customer, &sub);
    let method = method.and_then(|id| world.get("payment_method", &id));
    let card = match method {
        Some(method) => format!(
            "<div class=\"row\"><strong>{} ending in {}</strong><span>Expires {}/{}</span></div>",
            esc(method.text("card.brand")),
            esc(method.text("card.last4")),
            method.int("card.exp_month"),
            method.int("card.exp_year"),
        ),
        None => "<p class=\"muted\">No card on file.</p>".to_owned(),
    };
    let update = match visit.features.flag("payment_method_update.enabled") {
        true => format!(
            "<div class=\"actions\"><a class=\"button\" id=\"update-card\" \
             href=\"{}?view=card\">Update card</a></div>",
            visit.home()
        ),
        false => String::new(),
    };
    format!("<h2>Payment method</h2><div class=\"card\">{card}{update}</div>")
}

fn details_section(visit: &Visit) -> String {
    if !visit.features.flag("customer_update.enabled") {
        return String::new();
    }
    format!(
        "<h2>Billing details</h2><form class=\"card\" method=\"post\" action=\"{}/details\">\
         <label for=\"name\">Name</label><input type=\"text\" id=\"name\" name=\"name\" \
         value=\"{}\"><label for=\"email\">Email</label><input type=\"email\" id=\"email\" \
         name=\"email\" value=\"{}\"><div class=\"actions\"><button id=\"save\">Save</button>\
         </div></form>",
        visit.home(),
        esc(visit.customer.text("name")),
        esc(visit.customer.text("email")),
    )
}

fn invoices(world: &World, visit: &Visit) -> String {
    if !visit.features.flag("invoice_history.enabled") {
        return String::new();
    }
    let customer = visit.customer.text("id");
    let mine = world.store.newest("invoice").filter(|invoice| {
        invoice.text("customer") == customer && invoice.text("status") != "draft"
    });
    let rows: String = mine
        .take(24)
        .map(|invoice| {
            let status = invoice.text("status");
            let pay = match status == "open" {
                true => format!(
                    "<form method=\"post\" action=\"{}/pay/{}\"><button class=\"quiet\">Pay now\
                     </button></form>",
                    visit.home(),
                    esc(invoice.text("id"))
                ),
                false => String::new(),
            };
            format!(
                "<tr><td>{}</td><td class=\"num\">{}</td><td><span class=\"tag\">{status}</span> \
                 {pay}</td><td>{}</td></tr>",
                lines::day(invoice.int("created")),
                lines::money(invoice.int("total"), invoice.text("currency")),
                link_to(&format!("/i/{}", invoice.text("id")), "View"),
            )
        })
        .collect();
    let table = match rows.is_empty() {
        true => "<p class=\"muted\">No invoices yet.</p>".to_owned(),
        false => format!(
            "<div class=\"scroll\"><table><thead><tr><th>Date</th><th>Amount</th><th>Status</th>\
             <th>Invoice</th></tr></thead><tbody>{rows}</tbody></table></div>"
        ),
    };
    format!("<h2>Invoice history</h2><div class=\"card\">{table}</div>")
}

fn go_back(visit: &Visit) -> String {
    format!("<p>{}</p>", link_to(&visit.home(), "← Go back"))
}

/// Asks whether the plan is really to end.
pub fn cancel(visit: &Visit, sub: &Value) -> String {
    let at_once = visit.features.text("subscription_cancel.mode") == "immediately";
    let end = lines::day(sub.int("items.data.0.current_period_end"));
    let text = match at_once {
        true => "Your plan ends at once.".to_owned(),
        false => format!("Your plan stays available until {end}, then it ends."),
    };
    format!(
        "{}<h1>Cancel your plan</h1><div class=\"card\"><p>{text}</p>\
         <form method=\"post\" action=\"{}/cancel\">\
         <input type=\"hidden\" name=\"subscription\" value=\"{}\">\
         <button class=\"main\" id=\"confirm\">Cancel plan</button></form></div>",
        go_back(visit),
        visit.home(),
        esc(sub.text("id")),
    )
}

/// Offers the prices one can switch to.
pub fn switch(world: &World, visit: &Visit, sub: &Value) -> String {
    let current = sub.text("items.data.0.price.id");
    let rows: String = visit
        .choices(world)
        .iter()
        .map(|price| {
            let id = price.text("id");
            let choose = match id == current {
                true => "<span class=\"tag\">Current plan</span>".to_owned(),
                false => format!(
                    "<a class=\"button\" data-price=\"{0}\" \
                     href=\"{1}?view=confirm&amp;subscription={2}&amp;price={0}\">Select</a>",
                    esc(id),
                    visit.home(),
                    esc(sub.text("id")),
                ),
            };
            format!(
                "<div class=\"row\"><div><strong>{}</strong><br><span class=\"muted small\">{}\
                 </span></div><div>{choose}</div></div>",
                esc(&lines::product_name(world, price)),
                esc(lines::rate(price).trim_start_matches("at ")),
            )
        })
        .collect();
    format!("{}<h1>Change your plan</h1><div class=\"card\">{rows}</div>", go_back(visit))
}

/// Shows what a switch costs before it happens.
pub fn confirm(world: &World, visit: &Visit, sub: &Value, price: &str) -> Answer<String> {
    visit.allow("subscription_update")?;
    let chosen = visit.choices(world).into_iter().find(|choice| choice.text("id") == price);
    let chosen = chosen.ok_or_else(|| ApiError::missing("price", price, None))?;
    let item = sub.at("items.data.0");
    let wanted = json!({"id": item["id"], "price": chosen, "quantity": item["quantity"]});
    let behavior = visit.features.text("subscription_update.proration_behavior");
    let details = json!({"items": [wanted], "proration_behavior": behavior});
    let invoice = updating::preview(world, sub, &json!({"subscription_details": details}))?;
    let currency = invoice.text("currency").to_owned();
    let rows: String = invoice
        .list("lines.data")
        .iter()
        .map(|line| {
            format!(
                "<div class=\"row\"><span>{}</span><span class=\"num\">{}</span></div>",
                esc(line.text("description")),
                lines::money(line.int("amount"), &currency),
            )
        })
        .collect();
    let label = match invoice.text("billing_reason") {
        "subscription_update" => "Amount due today",
        _ => "On your next invoice",
    };
    Ok(format!(
        "{}<h1>Confirm your changes</h1><div class=\"card\">\
         <p>New plan: <strong>{}</strong> {}</p>{rows}\
         <div class=\"row\"><strong>{label}</strong><strong class=\"num\">{}</strong></div>\
         <form method=\"post\" action=\"{}/switch\">\
         <input type=\"hidden\" name=\"subscription\" value=\"{}\">\
         <input type=\"hidden\" name=\"price\" value=\"{}\">\
         <button class=\"main\" id=\"confirm\">Confirm</button></form></div>",
        go_back(visit),
        esc(&lines::product_name(world, &chosen)),
        esc(&lines::rate(&chosen)),
        lines::money(invoice.int("amount_due"), &currency),
        visit.home(),
        esc(sub.text("id")),
        esc(price),
    ))
}

/// Takes a new card.
pub fn card(visit: &Visit, typed: &HashMap<String, String>, mistakes: &Mistakes) -> String {
    format!(
        "{}<h1>Update your card</h1><div class=\"card\">{}\
         <form method=\"post\" action=\"{}/card\" id=\"payment\">{}\
         <button class=\"main\" id=\"save-card\">Save card</button>\
         <div class=\"actions\"><button class=\"quiet\" name=\"test_card\" id=\"card-4242\" \
         value=\"4242424242424242\">Use 4242</button>\
         <button class=\"quiet\" name=\"test_card\" id=\"card-0341\" \
         value=\"4000000000000341\">Use 0341 (fails when charged)</button></div></form></div>",
        go_back(visit),
        mistakes.alert(),
        visit.home(),
        pay_form::card_fields(typed, mistakes),
    )
}
