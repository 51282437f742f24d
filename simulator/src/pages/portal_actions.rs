//! What can be done in the portal: each action answers with a redirect back to where one came from.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::html::{page, refused};
use super::pay_form::{self, Mistakes};
use super::portal::{Visit, closed};
use super::portal_flows as flows;
use super::portal_switch::Switch;
use crate::billing::{ending, methods, paying, releasing, updating};
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::{Origin, Shared, World};

type Fields = Form<HashMap<String, String>>;
type Account = State<Arc<Shared>>;

/// Does something in a session and goes back with what was done.
async fn act(
    shared: &Shared,
    id: &str,
    done: &str,
    work: impl FnOnce(&mut World, &Visit) -> Answer<()>,
) -> Response {
    let acted = shared.transact(Origin::default(), |world| {
        let visit = Visit::find(world, id)?;
        visit.touch(world);
        work(world, &visit)?;
        Ok(visit)
    });
    match acted.await {
        Ok(visit) => Redirect::to(&onwards(&visit, done)).into_response(),
        Err(error) if matches!(error.status, 404 | 410) => closed(&error),
        Err(error) => refused(&error, &format!("/p/session/{id}")),
    }
}

/// Back to the portal, or to where the session's flow ends once it is done.
fn onwards(visit: &Visit, done: &str) -> String {
    let end = "flow.after_completion";
    let finishes = match visit.flow() {
        "subscription_cancel" => matches!(done, "canceled" | "stayed"),
        "payment_method_update" => done == "card",
        "subscription_update" | "subscription_update_confirm" => {
            matches!(done, "switched" | "planned")
        }
        _ => false,
    };
    let url = visit.session.opt_text(&format!("{end}.redirect.return_url"));
    match (visit.session.text(&format!("{end}.type")), url) {
        ("redirect", Some(url)) if finishes => url.to_owned(),
        ("hosted_confirmation", _) if finishes => format!("{}?view=done", visit.home()),
        _ => format!("{}?view=overview&done={done}", visit.home()),
    }
}

fn named(fields: &HashMap<String, String>, name: &str) -> String {
    fields.get(name).cloned().unwrap_or_default()
}

/// Ends the plan: at the end of its period, or at once when the configuration says so.
pub async fn cancel(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Fields,
) -> Response {
    act(&shared, &id, "canceled", |world, visit| {
        visit.allow("subscription_cancel")?;
        let sub = visit.subscription(world, &named(&fields, "subscription"))?;
        let mut details = json!({});
        for name in ["feedback", "comment"] {
            let given = named(&fields, name);
            if !given.is_empty() {
                details[name] = given.into();
            }
        }
        let settings = visit.features.at("subscription_cancel");
        if settings.text("mode") == "immediately" {
            let behavior = settings.text("proration_behavior");
            let bill = behavior == "always_invoice";
            ending::now(world, sub.text("id"), &details, behavior != "none", bill)?;
            return Ok(());
        }
        if let Some(schedule) = sub.opt_text("schedule") {
            // Who leaves no longer wants what was planned.
            releasing::release(world, schedule, false)?;
        }
        // Flexible billing sets the moment and leaves the flag alone.
        let params = json!({"cancel_at": "max_period_end", "cancellation_details": details});
        updating::update(world, sub.text("id"), &params).map(|_| ())
    })
    .await
}

/// The plan goes on after all.
pub async fn resume(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Fields,
) -> Response {
    act(&shared, &id, "resumed", |world, visit| {
        let sub = visit.subscription(world, &named(&fields, "subscription"))?;
        updating::update(world, sub.text("id"), &json!({"cancel_at": ""})).map(|_| ())
    })
    .await
}

/// The plan stays what it is: a planned change is dropped.
pub async fn undo(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Fields,
) -> Response {
    act(&shared, &id, "unchanged", |world, visit| {
        let sub = visit.subscription(world, &named(&fields, "subscription"))?;
        match sub.opt_text("schedule") {
            Some(schedule) => releasing::release(world, schedule, false).map(|_| ()),
            None => Ok(()),
        }
    })
    .await
}

/// Takes the coupon that was offered for staying.
pub async fn stay(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Fields,
) -> Response {
    act(&shared, &id, "stayed", |world, visit| {
        let sub = visit.subscription(world, &named(&fields, "subscription"))?;
        let offer = "flow.subscription_cancel.retention.coupon_offer.coupon";
        let Some(coupon) = visit.session.opt_text(offer) else {
            return Err(ApiError::invalid("Nothing is offered here."));
        };
        let mut discounts: Vec<Value> =
            sub.list("discounts").iter().map(|known| json!({"discount": known})).collect();
        discounts.push(json!({"coupon": coupon}));
        updating::update(world, sub.text("id"), &json!({"discounts": discounts})).map(|_| ())
    })
    .await
}

/// Switches to another price of the configuration, at once or at the end of the period.
pub async fn switch(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Fields,
) -> Response {
    let planned = shared.read(|world| -> Answer<bool> {
        let visit = Visit::find(world, &id)?;
        let sub = visit.subscription(world, &named(&fields, "subscription"))?;
        Ok(Switch::read(world, &visit, &sub, &fields)?.at_end)
    });
    let done = if planned.await.unwrap_or(false) { "planned" } else { "switched" };
    act(&shared, &id, done, |world, visit| {
        let sub = visit.subscription(world, &named(&fields, "subscription"))?;
        Switch::read(world, visit, &sub, &fields)?.apply(world, &sub)
    })
    .await
}

/// Takes a new card: it becomes the one for everything that is billed.
pub async fn card(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Fields,
) -> Response {
    let read = shared.read(|world| -> Answer<_> {
        let visit = Visit::find(world, &id)?;
        Ok((pay_form::card(world, &fields), visit))
    });
    let (payer, visit) = match read.await {
        Ok(read) => read,
        Err(error) => return closed(&error),
    };
    let payer = match payer {
        Ok(payer) => payer,
        Err(mistakes) => return page("Billing", "", &flows::card(&visit, &fields, &mistakes)),
    };
    if let Some(reason) = payer.card.at_attach {
        let mistakes = Mistakes::card(crate::cards::decline(reason).message());
        return page("Billing", "", &flows::card(&visit, &fields, &mistakes));
    }
    act(&shared, &id, "card", |world, visit| {
        visit.allow("payment_method_update")?;
        let customer = visit.customer.text("id");
        let details = json!({"name": payer.name, "email": visit.customer["email"],
                             "address": {"country": payer.country}});
        let method = methods::from_card(world, payer.card, payer.expiry, details);
        methods::attach(world, &method, customer)?;
        methods::set_up(world, &method);
        methods::make_default(world, customer, &method);
        for sub in visit.subscriptions(world) {
            let event = "customer.subscription.updated";
            world.edit_and_tell("subscription", sub.text("id"), event, |sub| {
                sub["default_payment_method"] = method.as_str().into();
            });
        }
        Ok(())
    })
    .await
}

/// Changes what the configuration lets customers change about themselves.
pub async fn details(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Fields,
) -> Response {
    act(&shared, &id, "details", |world, visit| {
        visit.allow("customer_update")?;
        let allowed = visit.features.list("customer_update.allowed_updates");
        let may = |name: &str| allowed.iter().any(|word| word == name);
        let email = named(&fields, "email");
        if may("email") && !email.contains('@') {
            return Err(ApiError::invalid("Your email is incomplete."));
        }
        let text = |name: &str| match named(&fields, name) {
            text if text.trim().is_empty() => Value::Null,
            text => text.trim().into(),
        };
        let id = visit.customer.text("id");
        world.edit_and_tell("customer", id, "customer.updated", |customer| {
            for name in ["email", "name", "phone"] {
                if may(name) && fields.contains_key(name) {
                    customer[name] = text(name);
                }
            }
            if may("address") && fields.contains_key("country") {
                for name in ["line1", "postal_code", "city", "country"] {
                    customer.put(&format!("address.{name}"), text(name));
                }
                for name in ["line2", "state"] {
                    let known = customer.at("address")[name].clone();
                    customer["address"][name] = known;
                }
            }
        });
        Ok(())
    })
    .await
}

/// Pays an open invoice with the card on file.
pub async fn pay(State(shared): Account, Path((id, invoice)): Path<(String, String)>) -> Response {
    act(&shared, &id, "paid", |world, visit| {
        let found = world.find("invoice", &invoice)?;
        if found.text("customer") != visit.customer.text("id") {
            return Err(ApiError::missing("invoice", &invoice, None));
        }
        paying::pay(world, &invoice, None, true).map(|_| ())
    })
    .await
}
