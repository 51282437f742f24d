//! The billing portal: finds a session and what may be done in it, shows the asked view.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::html::{message, page};
use super::portal_flows as flows;
use super::portal_views as views;
use crate::errors::{Answer, ApiError};
use crate::json::Json;
use crate::world::{Origin, Shared, World};

/// How long a session waits to be opened.
const UNOPENED_SECONDS: i64 = 300;
/// How long an opened session can be used after it was used last.
const VALID_SECONDS: i64 = 3600;
const SESSION: &str = "billing_portal.session";

/// A usable session with everything its pages need.
pub struct Visit {
    /// The session.
    pub session: Value,
    /// The configuration's features.
    pub features: Value,
    /// What the configuration says about the business.
    pub business: Value,
    /// The customer.
    pub customer: Value,
}

impl Visit {
    /// Finds the session and checks that it can still be used.
    pub fn find(world: &World, id: &str) -> Answer<Visit> {
        let session = world.find(SESSION, id)?.clone();
        let until = match session.opt_int("_sim.used_at") {
            Some(used) => used + VALID_SECONDS,
            None => session.int("created") + UNOPENED_SECONDS,
        };
        if until < world.now() {
            let error = ApiError::invalid("This portal session has expired.");
            return Err(ApiError { status: 410, ..error });
        }
        let kind = "billing_portal.configuration";
        let configuration = world.find(kind, session.text("configuration"))?;
        let features = configuration["features"].clone();
        let business = configuration["business_profile"].clone();
        let customer = world.find("customer", session.text("customer"))?.clone();
        Ok(Visit { session, features, business, customer })
    }

    /// Remembers that the session is in use.
    pub fn touch(&self, world: &mut World) {
        let now = world.now();
        if self.session.opt_int("_sim.used_at").is_none_or(|used| now - used > 60) {
            let id = self.session.text("id");
            world.edit(SESSION, id, |session| session.put("_sim.used_at", now));
        }
    }

    /// The session's own address.
    pub fn home(&self) -> String {
        format!("/p/session/{}", self.session.text("id"))
    }

    /// The one thing the session is for, or nothing.
    pub fn flow(&self) -> &str {
        self.session.text("flow.type")
    }

    /// The customer's subscriptions that are not over.
    pub fn subscriptions(&self, world: &World) -> Vec<Value> {
        let mine = world.store.newest_by("subscription", "customer", self.customer.text("id"));
        let over = |sub: &Value| matches!(sub.text("status"), "canceled" | "incomplete_expired");
        mine.filter(|sub| !over(sub)).cloned().collect()
    }

    /// One of the customer's own subscriptions.
    pub fn subscription(&self, world: &World, id: &str) -> Answer {
        let found = self.subscriptions(world).into_iter().find(|sub| sub.text("id") == id);
        found.ok_or_else(|| ApiError::missing("subscription", id, None))
    }

    /// Refuses what neither the configuration nor the session's own flow allows.
    pub fn allow(&self, feature: &str) -> Answer<()> {
        let asked = match feature {
            "subscription_cancel" => self.flow() == "subscription_cancel",
            "payment_method_update" => self.flow() == "payment_method_update",
            "subscription_update" => self.flow().starts_with("subscription_update"),
            _ => false,
        };
        match self.features[feature].flag("enabled") || asked {
            true => Ok(()),
            false => Err(ApiError::invalid("This portal configuration does not allow that.")),
        }
    }

    /// Whether promotion codes can be typed.
    pub fn takes_codes(&self) -> bool {
        let allowed = self.features.list("subscription_update.default_allowed_updates");
        allowed.iter().any(|word| word == "promotion_code")
    }

    /// The prices one can switch to: those of the configuration's products, and that of the flow.
    pub fn choices(&self, world: &World) -> Vec<Value> {
        let products = self.features.list("subscription_update.products").iter();
        let ids = products.flat_map(|product| product.list("prices")).filter_map(Value::as_str);
        let own = self.session.opt_text("flow.subscription_update_confirm.items.0.price");
        let own = own.into_iter();
        let mut all: Vec<&str> = Vec::new();
        for id in ids.chain(own).filter(|id| !id.is_empty()) {
            if !all.contains(&id) {
                all.push(id);
            }
        }
        let prices = all.into_iter().filter_map(|id| world.get("price", id));
        prices.filter(|price| price.flag("active")).cloned().collect()
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
    let shown = shared.transact(Origin::default(), |world| {
        let visit = Visit::find(world, &id)?;
        visit.touch(world);
        let body = body(world, &visit, &query)?;
        Ok(page("Billing", "middle", &body))
    });
    match shown.await {
        Ok(page) => page,
        Err(error) if matches!(error.status, 404 | 410) => closed(&error),
        Err(error) => super::html::refused(&error, &format!("/p/session/{id}?view=overview")),
    }
}

fn body(world: &mut World, visit: &Visit, query: &HashMap<String, String>) -> Answer<String> {
    let asked = query.get("view").map(String::as_str);
    let flow = visit.flow();
    let view = asked.unwrap_or(match flow {
        "subscription_cancel" => "cancel",
        "payment_method_update" => "card",
        "subscription_update" => "switch",
        "subscription_update_confirm" => "confirm",
        _ => "overview",
    });
    let named = query.get("subscription").map(String::as_str);
    let of_flow = visit.session.opt_text(&format!("flow.{flow}.subscription"));
    let wants_one = matches!(view, "cancel" | "switch" | "confirm");
    let sub = match named.or(of_flow).filter(|_| wants_one) {
        Some(id) => visit.subscription(world, id)?,
        None => visit.subscriptions(world).into_iter().next().unwrap_or_default(),
    };
    if wants_one && sub.is_null() {
        return Err(ApiError::invalid("You have no subscription that could be changed."));
    }
    match view {
        "cancel" => {
            visit.allow("subscription_cancel")?;
            Ok(flows::cancel(world, visit, &sub))
        }
        "card" => {
            visit.allow("payment_method_update")?;
            Ok(flows::card(visit, &HashMap::new(), &Default::default()))
        }
        "switch" => {
            visit.allow("subscription_update")?;
            Ok(flows::switch(world, visit, &sub))
        }
        "confirm" => flows::confirm(world, visit, &sub, query),
        "done" => Ok(flows::done(visit)),
        _ => Ok(views::overview(world, visit, query.get("done").map(String::as_str))),
    }
}
