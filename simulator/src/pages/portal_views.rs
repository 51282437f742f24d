//! The portal's overview as HTML: plans, card, details, invoices. It shows; `portal_actions` does.

use serde_json::{Value, json};

use super::html::{esc, link_to};
use super::portal::Visit;
use crate::billing::{lines, methods, preview, scheduling};
use crate::json::Json;
use crate::world::World;

/// Plans, card, invoices and the way back.
pub fn overview(world: &mut World, visit: &Visit, done: Option<&str>) -> String {
    let note = done
        .and_then(done_text)
        .map(|text| format!("<div class=\"note\" role=\"status\">{text}</div>"));
    let headline = visit.business.opt_text("headline").map(|text| format!("<p>{}</p>", esc(text)));
    let plans: String =
        visit.subscriptions(world).iter().map(|sub| plan(world, visit, sub)).collect();
    let plans = match plans.is_empty() {
        true => "<div class=\"card muted\">You have no subscription.</div>".to_owned(),
        false => plans,
    };
    format!(
        "{}<h1>Your billing</h1>{}<p class=\"muted\">{}</p>{}\
         <h2>Current plan</h2>{plans}{}{}{}{}",
        back(visit),
        headline.unwrap_or_default(),
        esc(visit.customer.text("email")),
        note.unwrap_or_default(),
        card_section(world, visit),
        details_section(visit),
        invoices(world, visit),
        legal(visit),
    )
}

/// The way back to where the customer came from.
pub fn back(visit: &Visit) -> String {
    let url = visit.session.opt_text("return_url");
    let link = url.map(|url| format!("<p>{}</p>", link_to(url, "← Return to the shop")));
    link.unwrap_or_default()
}

fn legal(visit: &Visit) -> String {
    let pages = [("terms_of_service_url", "Terms"), ("privacy_policy_url", "Privacy")];
    let links: Vec<String> = pages
        .iter()
        .filter_map(|(name, label)| Some(link_to(visit.business.opt_text(name)?, label)))
        .collect();
    match links.is_empty() {
        true => String::new(),
        false => format!("<p class=\"muted small\">{}</p>", links.join(" · ")),
    }
}

fn done_text(done: &str) -> Option<&'static str> {
    match done {
        "canceled" => Some("Your plan has been canceled."),
        "resumed" => Some("Your plan goes on."),
        "switched" => Some("Your plan has been changed."),
        "planned" => Some("Your plan will change at the end of the period."),
        "unchanged" => Some("Your plan stays as it is."),
        "stayed" => Some("Thank you for staying. Your discount is in place."),
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

fn plan(world: &mut World, visit: &Visit, sub: &Value) -> String {
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
    rows.push_str(&discounts(world, sub));
    rows.push_str(&next_payment(world, sub));
    let (when, tag) = standing(sub);
    format!(
        "<div class=\"card\">{}{rows}<p><span class=\"tag {tag}\">{when}</span></p>{}\
         <div class=\"actions\">{}</div></div>",
        trouble(visit, sub),
        planned(world, visit, sub),
        plan_actions(visit, sub),
    )
}

/// How the subscription stands, in a few words, and whether that is good.
fn standing(sub: &Value) -> (String, &'static str) {
    let end = lines::day(sub.int("items.data.0.current_period_end"));
    match (ends_on(sub), sub.text("status")) {
        (Some(end), _) => (format!("Cancels on {}", lines::day(end)), "bad"),
        (None, "trialing") => (format!("Trial ends on {end}"), "ok"),
        (None, "active") => (format!("Renews on {end}"), "ok"),
        (None, "paused") => ("Paused".to_owned(), "bad"),
        (None, "past_due") => ("Payment overdue".to_owned(), "bad"),
        (None, "unpaid") => ("Unpaid".to_owned(), "bad"),
        (None, "incomplete") => ("Waiting for the first payment".to_owned(), "bad"),
        (None, other) => (format!("Status: {}", esc(other)), "bad"),
    }
}

fn trouble(visit: &Visit, sub: &Value) -> String {
    if !matches!(sub.text("status"), "past_due" | "unpaid") {
        return String::new();
    }
    let pay = match visit.features.flag("invoice_history.enabled") {
        true => " Update your card or pay the open invoice below.",
        false => " Update your card.",
    };
    format!("<div class=\"alert\" role=\"alert\">Your last payment failed.{pay}</div>")
}

fn discounts(world: &World, sub: &Value) -> String {
    let found = sub.list("discounts").iter().filter_map(|id| world.get("discount", id.as_str()?));
    found
        .map(|discount| {
            let coupon = discount.at("_sim.coupon");
            let until = match discount.opt_int("end") {
                Some(end) => format!("until {}", lines::day(end)),
                None if coupon.text("duration") == "once" => "on your next invoice".to_owned(),
                None => "on every invoice".to_owned(),
            };
            format!(
                "<div class=\"row\"><span>{}</span><span>{}</span></div>",
                esc(&off(coupon)),
                until
            )
        })
        .collect()
}

/// "20% off" or "$5.00 off".
pub fn off(coupon: &Value) -> String {
    match coupon["percent_off"].as_number() {
        Some(percent) => format!("{}% off", percent.to_string().trim_end_matches(".0")),
        None => format!("{} off", lines::money(coupon.int("amount_off"), coupon.text("currency"))),
    }
}

fn next_payment(world: &mut World, sub: &Value) -> String {
    let runs = matches!(sub.text("status"), "active" | "trialing" | "past_due");
    if !runs || ends_on(sub).is_some() {
        return String::new();
    }
    let Ok(invoice) = preview::of_renewal(world, sub.text("id"), &json!({})) else {
        return String::new();
    };
    format!(
        "<div class=\"row\"><span>Next payment on {}</span><span class=\"num\">{}</span></div>",
        lines::day(sub.int("items.data.0.current_period_end")),
        lines::money(invoice.int("amount_due"), invoice.text("currency")),
    )
}

/// What the subscription will become, with the way to leave it as it is.
fn planned(world: &World, visit: &Visit, sub: &Value) -> String {
    let Some(phase) = scheduling::of(world, sub).and_then(|schedule| scheduling::next(&schedule))
    else {
        return String::new();
    };
    let names: Vec<String> = phase
        .list("items")
        .iter()
        .map(|item| {
            let price = world.get("price", item.text("price")).unwrap_or(&Value::Null);
            let rate = lines::rate(price);
            format!("{} × {} {rate}", item.int("quantity"), lines::product_name(world, price))
        })
        .collect();
    format!(
        "<div class=\"note\">Changes to {} on {}.<form method=\"post\" action=\"{}/undo\">\
         <input type=\"hidden\" name=\"subscription\" value=\"{}\"><div class=\"actions\">\
         <button id=\"undo\">Don't change</button></div></form></div>",
        esc(&names.join(", ")),
        lines::day(phase.int("start_date")),
        visit.home(),
        esc(sub.text("id")),
    )
}

fn plan_actions(visit: &Visit, sub: &Value) -> String {
    let (id, home) = (esc(sub.text("id")), visit.home());
    let mut actions = String::new();
    let runs = !matches!(sub.text("status"), "paused" | "incomplete");
    if visit.features.flag("subscription_update.enabled") && ends_on(sub).is_none() && runs {
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
    actions
}

fn card_section(world: &World, visit: &Visit) -> String {
    let customer = visit.customer.text("id");
    let sub = visit.subscriptions(world).into_iter().next().unwrap_or_default();
    let used = methods::default_for(world, customer, &sub);
    let mine = world.store.newest_by("payment_method", "customer", customer);
    let cards: String = mine
        .map(|method| {
            let tag = match used.as_deref() == Some(method.text("id")) {
                true => " <span class=\"tag ok\">Default</span>",
                false => "",
            };
            format!(
                "<div class=\"row\"><strong>{}</strong><span>{}{tag}</span></div>",
                kind(method),
                expiry(method)
            )
        })
        .collect();
    let cards = match cards.is_empty() {
        true => "<p class=\"muted\">No card on file.</p>".to_owned(),
        false => cards,
    };
    let update = match visit.features.flag("payment_method_update.enabled") {
        true => format!(
            "<div class=\"actions\"><a class=\"button\" id=\"update-card\" \
             href=\"{}?view=card\">Update card</a></div>",
            visit.home()
        ),
        false => String::new(),
    };
    format!("<h2>Payment method</h2><div class=\"card\">{cards}{update}</div>")
}

fn kind(method: &Value) -> String {
    let kind = method.text("type");
    let (name, last4) = match method["card"].is_object() {
        true => (method.text("card.brand"), method.text("card.last4")),
        false => (kind, method[kind]["last4"].as_str().unwrap_or("")),
    };
    let mut letters = name.chars();
    let name: String =
        letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default();
    format!("{} ending in {}", esc(&name).replace("Sepa_debit", "Bank account"), esc(last4))
}

fn expiry(method: &Value) -> String {
    match method["card"].is_object() {
        true => {
            let (month, year) = (method.int("card.exp_month"), method.int("card.exp_year"));
            format!("Expires {month}/{year}")
        }
        false => String::new(),
    }
}

fn details_section(visit: &Visit) -> String {
    if !visit.features.flag("customer_update.enabled") {
        return String::new();
    }
    let allowed = visit.features.list("customer_update.allowed_updates");
    let may = |name: &str| allowed.iter().any(|word| word == name);
    let field = |name: &str, label: &str, path: &str, kind: &str| {
        format!(
            "<label for=\"{name}\">{label}</label><input type=\"{kind}\" id=\"{name}\" \
             name=\"{name}\" value=\"{}\">",
            esc(visit.customer.text(path))
        )
    };
    let mut fields = String::new();
    let plain = [("name", "Name", "text"), ("email", "Email", "email"), ("phone", "Phone", "text")];
    for (name, label, kind) in plain.into_iter().filter(|(name, _, _)| may(name)) {
        fields.push_str(&field(name, label, name, kind));
    }
    if may("address") {
        fields.push_str(&format!(
            "{}<div class=\"pair\"><div>{}</div><div>{}</div></div>{}",
            field("line1", "Address", "address.line1", "text"),
            field("postal_code", "Postal code", "address.postal_code", "text"),
            field("city", "City", "address.city", "text"),
            field("country", "Country", "address.country", "text"),
        ));
    }
    if fields.is_empty() {
        return String::new();
    }
    format!(
        "<h2>Billing details</h2><form class=\"card\" method=\"post\" action=\"{}/details\">\
         {fields}<div class=\"actions\"><button id=\"save\">Save</button></div></form>",
        visit.home(),
    )
}

fn invoices(world: &World, visit: &Visit) -> String {
    if !visit.features.flag("invoice_history.enabled") {
        return String::new();
    }
    let customer = visit.customer.text("id");
    let mine = world.store.newest_by("invoice", "customer", customer);
    let mine = mine.filter(|invoice| invoice.text("status") != "draft");
    let rows: String = mine.take(24).map(|invoice| invoice_row(visit, invoice)).collect();
    let table = match rows.is_empty() {
        true => "<p class=\"muted\">No invoices yet.</p>".to_owned(),
        false => format!(
            "<div class=\"scroll\"><table><thead><tr><th>Date</th><th>Amount</th><th>Status</th>\
             <th>Invoice</th></tr></thead><tbody>{rows}</tbody></table></div>"
        ),
    };
    format!("<h2>Invoice history</h2><div class=\"card\">{table}</div>")
}

fn invoice_row(visit: &Visit, invoice: &Value) -> String {
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
}
