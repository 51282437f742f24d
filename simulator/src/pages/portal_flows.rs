//! The portal's single steps as HTML: cancel, switch, confirm, card, and the page at the end of a
//! flow. They show; `portal_actions` does.

use std::collections::HashMap;

use serde_json::Value;

use super::html::{esc, link_to};
use super::pay_form::{self, Mistakes};
use super::portal::Visit;
use super::portal_switch::{Switch, plan_item, quantities};
use super::portal_views::{back, off};
use crate::billing::lines;
use crate::errors::Answer;
use crate::json::Json;
use crate::world::World;

/// Back to the overview; a flow has none and leads back to the shop.
fn go_back(visit: &Visit) -> String {
    match visit.flow().is_empty() {
        true => format!("<p>{}</p>", link_to(&visit.home(), "← Go back")),
        false => back(visit),
    }
}

fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", esc(value))
}

/// Asks whether the plan is really to end, and why.
pub fn cancel(world: &World, visit: &Visit, sub: &Value) -> String {
    let settings = visit.features.at("subscription_cancel");
    let end = lines::day(sub.int("items.data.0.current_period_end"));
    let text = match (settings.text("mode"), settings.text("proration_behavior")) {
        ("immediately", "none") => "Your plan ends at once.".to_owned(),
        ("immediately", _) => {
            "Your plan ends at once, and what is left of your period is credited.".to_owned()
        }
        _ => format!("Your plan stays available until {end}, then it ends."),
    };
    let reasons = match settings.flag("cancellation_reason.enabled") {
        true => reasons(settings.list("cancellation_reason.options")),
        false => String::new(),
    };
    format!(
        "{}<h1>Cancel your plan</h1>{}<div class=\"card\"><p>{text}</p>\
         <form method=\"post\" action=\"{}/cancel\">{}{reasons}\
         <button class=\"main\" id=\"confirm\">Cancel plan</button></form></div>",
        go_back(visit),
        offer(world, visit, sub),
        visit.home(),
        hidden("subscription", sub.text("id")),
    )
}

/// The coupon that is offered for staying.
fn offer(world: &World, visit: &Visit, sub: &Value) -> String {
    let path = "flow.subscription_cancel.retention.coupon_offer.coupon";
    let coupon = visit.session.opt_text(path).and_then(|id| world.get("coupon", id));
    let Some(coupon) = coupon.filter(|coupon| coupon.flag("valid")) else {
        return String::new();
    };
    format!(
        "<div class=\"card\"><p>Stay, and get <strong>{}</strong>.</p>\
         <form method=\"post\" action=\"{}/stay\">{}<button class=\"main\" id=\"stay\">\
         Stay with the discount</button></form></div>",
        esc(&off(coupon)),
        visit.home(),
        hidden("subscription", sub.text("id")),
    )
}

fn reasons(options: &[Value]) -> String {
    let choices: String = options
        .iter()
        .filter_map(Value::as_str)
        .map(|word| {
            let label = match word {
                "too_expensive" => "It is too expensive",
                "missing_features" => "It lacks something I need",
                "switched_service" => "I found something else",
                "unused" => "I do not use it",
                "customer_service" => "I was not well served",
                "too_complex" => "It is too complicated",
                "low_quality" => "Its quality is low",
                _ => "Another reason",
            };
            format!(
                "<label class=\"choice\"><input type=\"radio\" name=\"feedback\" value=\"{}\">\
                 {label}</label>",
                esc(word)
            )
        })
        .collect();
    format!(
        "<fieldset><legend class=\"muted small\">Why do you leave? You need not say.</legend>\
         {choices}</fieldset><label for=\"comment\">Anything else</label>\
         <input type=\"text\" id=\"comment\" name=\"comment\" maxlength=\"500\">"
    )
}

/// Offers the prices one can switch to, and how many of them.
pub fn switch(world: &World, visit: &Visit, sub: &Value) -> String {
    let item = plan_item(visit, sub, "");
    let rows: String =
        visit.choices(world).iter().map(|price| choice(world, visit, sub, &item, price)).collect();
    let rows = match rows.is_empty() {
        true => "<p class=\"muted\">There is no other plan to choose.</p>".to_owned(),
        false => rows,
    };
    let code = match visit.takes_codes() {
        true => format!(
            "<h2>Promotion code</h2><form class=\"card\" method=\"get\" action=\"{}\">{}{}{}\
             <label for=\"code\">Code</label><input type=\"text\" id=\"code\" name=\"code\">\
             <div class=\"actions\"><button id=\"use-code\">Use it on my plan</button></div>\
             </form>",
            visit.home(),
            hidden("view", "confirm"),
            hidden("subscription", sub.text("id")),
            hidden("price", item.text("price.id")),
        ),
        false => String::new(),
    };
    format!("{}<h1>Change your plan</h1><div class=\"card\">{rows}</div>{code}", go_back(visit))
}

fn choice(world: &World, visit: &Visit, sub: &Value, item: &Value, price: &Value) -> String {
    let (id, current) = (price.text("id"), price["id"] == item["price"]["id"]);
    let count = quantities(visit, price.text("product"));
    let action = match (count, current) {
        (None, true) => "<span class=\"tag\">Current plan</span>".to_owned(),
        (None, false) => format!(
            "<a class=\"button\" data-price=\"{0}\" \
             href=\"{1}?view=confirm&amp;subscription={2}&amp;price={0}\">Select</a>",
            esc(id),
            visit.home(),
            esc(sub.text("id")),
        ),
        (Some((least, most)), _) => {
            let most = most.map(|most| format!(" max=\"{most}\"")).unwrap_or_default();
            let label = if current { "Change quantity" } else { "Select" };
            format!(
                "<form method=\"get\" action=\"{}\" class=\"actions\">{}{}{}\
                 <input type=\"number\" class=\"short\" name=\"quantity\" value=\"{}\" \
                 min=\"{least}\"{most} aria-label=\"Quantity\">\
                 <button data-price=\"{}\">{label}</button></form>",
                visit.home(),
                hidden("view", "confirm"),
                hidden("subscription", sub.text("id")),
                hidden("price", id),
                item.opt_int("quantity").unwrap_or(1).max(least),
                esc(id),
            )
        }
    };
    let tag = match current && count.is_some() {
        true => " <span class=\"tag\">Current plan</span>",
        false => "",
    };
    format!(
        "<div class=\"row\"><div><strong>{}</strong>{tag}<br><span class=\"muted small\">{}\
         </span></div><div>{action}</div></div>",
        esc(&lines::product_name(world, price)),
        esc(lines::rate(price).trim_start_matches("at ")),
    )
}

/// Shows what a switch costs before it happens.
pub fn confirm(
    world: &mut World,
    visit: &Visit,
    sub: &Value,
    query: &HashMap<String, String>,
) -> Answer<String> {
    let switch = Switch::read(world, visit, sub, query)?;
    let invoice = switch.preview(world, sub)?;
    let currency = invoice.text("currency").to_owned();
    let when = lines::day(sub.int("items.data.0.current_period_end"));
    let label = match (switch.at_end, invoice.text("billing_reason")) {
        (true, _) => format!("Due on {when}"),
        (false, "subscription_update") => "Amount due today".to_owned(),
        _ => "On your next invoice".to_owned(),
    };
    let note = match switch.at_end {
        true => format!(
            "<p>Your plan stays what it is until {when}, then it changes. Nothing is due today.</p>"
        ),
        false => String::new(),
    };
    Ok(format!(
        "{}<h1>Confirm your changes</h1><div class=\"card\">\
         <p>New plan: <strong>{} × {}</strong> {}</p>{note}{}\
         <div class=\"row\"><strong>{label}</strong><strong class=\"num\">{}</strong></div>\
         <form method=\"post\" action=\"{}/switch\">{}{}{}{}\
         <button class=\"main\" id=\"confirm\">Confirm</button></form></div>",
        go_back(visit),
        switch.quantity,
        esc(&lines::product_name(world, &switch.price)),
        esc(&lines::rate(&switch.price)),
        rows(&invoice, &currency),
        lines::money(invoice.int("amount_due"), &currency),
        visit.home(),
        hidden("subscription", sub.text("id")),
        hidden("price", switch.price.text("id")),
        match query.contains_key("quantity") {
            true => hidden("quantity", &switch.quantity.to_string()),
            false => String::new(),
        },
        hidden("code", &switch.code),
    ))
}

/// An invoice's lines, what discounts take off, and what the customer's balance pays.
fn rows(invoice: &Value, currency: &str) -> String {
    let row = |label: &str, amount: i64| {
        format!(
            "<div class=\"row\"><span>{}</span><span class=\"num\">{}</span></div>",
            esc(label),
            lines::money(amount, currency)
        )
    };
    let lines = invoice.list("lines.data").iter();
    let mut out: String =
        lines.map(|line| row(line.text("description"), line.int("amount"))).collect();
    let off = invoice.int("subtotal") - invoice.int("total");
    if off != 0 {
        out.push_str(&row("Discount", -off));
    }
    let (total, due) = (invoice.int("total"), invoice.int("amount_due"));
    if total < 0 {
        out.push_str(&row("Kept as your balance", -total));
    } else if total != due {
        out.push_str(&row("From your balance", due - total));
    }
    out
}

/// The end of a flow that asked for a page of its own.
pub fn done(visit: &Visit) -> String {
    let text = visit.session.opt_text("flow.after_completion.hosted_confirmation.custom_message");
    format!(
        "<div class=\"card\"><h1>Done</h1><p role=\"status\">{}</p>{}</div>",
        esc(text.unwrap_or("Your changes are in place. You can close this page.")),
        back(visit),
    )
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
