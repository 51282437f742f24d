//! The billing portal: finds a session and what may be done in it, shows the asked view.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::html::{message, page};
use super::portal_views as views;
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::{Shared, World};

/// How long a session can be used.
const VALID_SECONDS: i64 = 3600;

/// A usable session with everything its pages need.
pub struct Visit {
    /// The session.
    pub session: Value,
    /// The configuration's features.
    pub features: Value,
    /// The customer.
    pub customer: Value,
}

impl Visit {
    /// Finds the session and checks that it can still be used.
    pub fn find(world: &World, id: &str) -> Answer<Visit> {
        let session = world.find("billing_portal.session", id)?.clone();
        if session.int("created") + VALID_SECONDS < world.now() {
            let error = ApiError::invalid("This portal session has expired.");
            return Err(ApiError { status: 410, ..error });
        }
        let kind = "billing_portal.configuration";
        let configuration = world.find(kind, session.text("configuration"))?;
        let features = configuration["features"].clone();
        let customer = world.find("customer", session.text("customer"))?.clone();
        Ok(Visit { session, features, customer })
    }

    /// The session's own address.
    pub fn home(&self) -> String {
        format!("/p/session/{}", self.session.text("id"))
    }

    /// The customer's subscriptions that are not over.
    pub fn subscriptions(&self, world: &World) -> Vec<Value> {
        let mine = world.store.newest("subscription").filter(|sub| {
            sub.text("customer") == self.customer.text("id")
                && !matches!(sub.text("status"), "canceled" | "incomplete_expired")
        });
        mine.cloned().collect()
    }

    /// One of the customer's own subscriptions.
    pub fn subscription(&self, world: &World, id: &str) -> Answer {
        let found = self.subscriptions(world).into_iter().find(|sub| sub.text("id") == id);
        found.ok_or_else(|| ApiError::missing("subscription", id, None))
    }

    /// Refuses what the configuration does not allow.
    pub fn allow(&self, feature: &str) -> Answer<()> {
        match self.features[feature].flag("enabled") {
            true => Ok(()),
            false => Err(ApiError::invalid("This portal configuration does not allow that.")),
        }
    }

    /// The prices one can switch to: those of the configuration's products.
    pub fn choices(&self, world: &World) -> Vec<Value> {
        let products = self.features.list("subscription_update.products").iter();
        let ids = products.flat_map(|product| product.list("prices")).filter_map(Value::as_str);
        let prices = ids.filter_map(|id| world.get("price", id)).filter(|p| p.flag("active"));
        prices.cloned().collect()
    }
}

/// The page for a session that cannot be used.
pub fn closed(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::GONE);
    message(status, "This page can not be used", error.message(), None)
}

/// Shows the portal: its overview, or the view named in the query or by the session's flow.
pub async fn show(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let shown = shared.read(|world| -> Answer<Response> {
        let visit = Visit::find(world, &id)?;
        let body = body(world, &visit, &query)?;
        Ok(page("Billing", "", &body))
    });
    shown.await.unwrap_or_else(|error| closed(&error))
}

fn body(world: &World, visit: &Visit, query: &HashMap<String, String>) -> Answer<String> {
    let asked = query.get("view").map(String::as_str);
    let flow = visit.session.text("flow.type");
    let view = asked.unwrap_or(match flow {
        "subscription_cancel" => "cancel",
        "payment_method_update" => "card",
        "subscription_update" => "switch",
        "subscription_update_confirm" => "confirm",
        _ => "overview",
    });
    let named = query.get("subscription").map(String::as_str);
    let of_flow = visit.session.opt_text(&format!("flow.{flow}.subscription"));
    let sub = match named.or(of_flow) {
        Some(id) => visit.subscription(world, id)?,
        None => visit.subscriptions(world).into_iter().next().unwrap_or_default(),
    };
    match view {
        "cancel" => {
            visit.allow("subscription_cancel")?;
            Ok(views::cancel(visit, &sub))
        }
        "card" => {
            visit.allow("payment_method_update")?;
            Ok(views::card(visit, &HashMap::new(), &Default::default()))
        }
        "switch" => {
            visit.allow("subscription_update")?;
            Ok(views::switch(world, visit, &sub))
        }
        "confirm" => {
            let of_flow = "flow.subscription_update_confirm.items.0.price";
            let price = query.get("price").map(String::as_str);
            let price = price.or(visit.session.opt_text(of_flow)).unwrap_or("");
            views::confirm(world, visit, &sub, price)
        }
        _ => Ok(views::overview(world, visit, query.get("done").map(String::as_str))),
    }
}
