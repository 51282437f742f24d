//! What can be done in the portal: each action answers with a redirect back to where one came from.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::{Value, json};

use super::html::{page, refused};
use super::pay_form::{self, Mistakes};
use super::portal::{Visit, closed};
use super::portal_views as views;
use crate::billing::{methods, paying, subscribing, updating};
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
        work(world, &visit)?;
        Ok(visit)
    });
    match acted.await {
        Ok(visit) => Redirect::to(&onwards(&visit, done)).into_response(),
        Err(error) if matches!(error.status, 404 | 410) => closed(&error),
        Err(error) => refused(&error, &format!("/p/session/{id}")),
    }
}

/// Back to the portal, or to where the session's flow ends.
fn onwards(visit: &Visit, done: &str) -> String {
    let end = "flow.after_completion";
    let url = visit.session.opt_text(&format!("{end}.redirect.return_url"));
    match url.filter(|_| visit.session.text(&format!("{end}.type")) == "redirect") {
        Some(url) => url.to_owned(),
        None => format!("{}?view=overview&done={done}", visit.home()),
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
        if visit.features.text("subscription_cancel.mode") == "immediately" {
            subscribing::end(world, sub.text("id"), "cancellation_requested", false);
            return Ok(());
        }
        // Flexible billing sets the moment and leaves the flag alone.
        let params = json!({"cancel_at": "max_period_end"});
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

/// Switches to another price of the configuration, at once.
pub async fn switch(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Fields,
) -> Response {
    act(&shared, &id, "switched", |world, visit| {
        visit.allow("subscription_update")?;
        let sub = visit.subscription(world, &named(&fields, "subscription"))?;
        let price = named(&fields, "price");
        let chosen = visit.choices(world).into_iter().find(|choice| choice.text("id") == price);
        let chosen = chosen.ok_or_else(|| ApiError::missing("price", &price, None))?;
        let item = sub.at("items.data.0");
        let wanted = json!({"id": item["id"], "price": chosen, "quantity": item["quantity"]});
        let behavior = visit.features.text("subscription_update.proration_behavior");
        let params = json!({
            "items": [wanted], "proration_behavior": behavior,
            "payment_behavior": "error_if_incomplete",
        });
        updating::update(world, sub.text("id"), &params).map(|_| ())
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
        Err(mistakes) => return page("Billing", "", &views::card(&visit, &fields, &mistakes)),
    };
    if let Some(reason) = payer.card.at_attach {
        let mistakes = Mistakes::card(crate::cards::decline(reason).message());
        return page("Billing", "", &views::card(&visit, &fields, &mistakes));
    }
    act(&shared, &id, "card", |world, visit| {
        visit.allow("payment_method_update")?;
        let customer = visit.customer.text("id");
        let details = json!({"name": payer.name, "email": visit.customer["email"],
                             "address": {"country": payer.country}});
        let method = methods::from_card(world, payer.card, payer.expiry, details);
        methods::attach(world, &method, customer)?;
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

/// Changes name and address of the customer.
pub async fn details(
    State(shared): Account,
    Path(id): Path<String>,
    Form(fields): Fields,
) -> Response {
    act(&shared, &id, "details", |world, visit| {
        visit.allow("customer_update")?;
        let email = named(&fields, "email");
        if !email.contains('@') {
            return Err(ApiError::invalid("Your email is incomplete."));
        }
        let name = named(&fields, "name");
        world.edit_and_tell(
            "customer",
            visit.customer.text("id"),
            "customer.updated",
            |customer| {
                customer["email"] = email.into();
                customer["name"] = if name.is_empty() { Value::Null } else { name.into() };
            },
        );
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
