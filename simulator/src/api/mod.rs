//! The endpoints below `/v1`, and the table that finds them.
//!
//! An endpoint reads typed parameters, works on the world and answers an object. It never sees
//! HTTP, forms or headers.

mod account;
mod charges;
mod checkout;
mod clocks;
mod coupons;
mod credit_notes;
pub mod customers;
mod disputes;
mod events;
mod intents;
mod invoice_items;
mod invoice_payments;
mod invoices;
mod invoices_made;
mod payment_methods;
mod payment_pages;
mod portal;
mod prices;
mod products;
mod promotion_codes;
mod refunds;
mod search;
mod setup_intents;
mod subscription_items;
mod subscription_schedules;
mod subscriptions;
mod webhook_endpoints;

use crate::errors::Answer;
use crate::http::Call;

pub use clocks::{admit_customer, admit_subscription, forget_old as forget_old_clocks};
pub use webhook_endpoints::{roll as roll_secret, upsert as upsert_endpoint};

/// One endpoint.
pub struct Route {
    /// GET, POST or DELETE.
    pub method: &'static str,
    /// The path as the API description writes it.
    pub pattern: &'static str,
    /// What answers.
    pub run: fn(&mut Call) -> Answer,
}

const fn get(pattern: &'static str, run: fn(&mut Call) -> Answer) -> Route {
    Route { method: "GET", pattern, run }
}

const fn post(pattern: &'static str, run: fn(&mut Call) -> Answer) -> Route {
    Route { method: "POST", pattern, run }
}

const fn delete(pattern: &'static str, run: fn(&mut Call) -> Answer) -> Route {
    Route { method: "DELETE", pattern, run }
}

/// Every table of endpoints; a fixed path stands before one with an id in its place.
const TABLES: &[&[Route]] = &[
    search::ROUTES,
    account::ROUTES,
    customers::ROUTES,
    products::ROUTES,
    prices::ROUTES,
    checkout::ROUTES,
    payment_pages::ROUTES,
    coupons::ROUTES,
    promotion_codes::ROUTES,
    subscription_schedules::ROUTES,
    subscriptions::ROUTES,
    subscription_items::ROUTES,
    invoices::ROUTES,
    invoices_made::ROUTES,
    invoice_items::ROUTES,
    intents::ROUTES,
    setup_intents::ROUTES,
    payment_methods::ROUTES,
    charges::ROUTES,
    credit_notes::ROUTES,
    disputes::ROUTES,
    invoice_payments::ROUTES,
    refunds::ROUTES,
    events::ROUTES,
    webhook_endpoints::ROUTES,
    portal::ROUTES,
    clocks::ROUTES,
];

/// The endpoint for a request and the ids in its path.
pub fn route(method: &str, path: &str) -> Option<(&'static Route, Vec<String>)> {
    let routes = TABLES.iter().flat_map(|table| table.iter());
    let mut fitting = routes.filter(|route| route.method == method);
    fitting.find_map(|route| Some((route, captures(route.pattern, path)?)))
}

fn captures(pattern: &str, path: &str) -> Option<Vec<String>> {
    let (wanted, given): (Vec<&str>, Vec<&str>) =
        (pattern.split('/').collect(), path.split('/').collect());
    if wanted.len() != given.len() {
        return None;
    }
    let mut ids = Vec::new();
    for (want, have) in wanted.iter().zip(given) {
        if want.starts_with('{') && !have.is_empty() {
            let decoded = percent_encoding::percent_decode_str(have).decode_utf8_lossy();
            ids.push(decoded.into_owned());
        } else if *want != have {
            return None;
        }
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::spec;

    #[test]
    fn every_endpoint_is_in_the_description() {
        for route in TABLES.iter().flat_map(|table| table.iter()) {
            let known = spec().operation(route.pattern, route.method).is_some();
            assert!(known, "{} {}", route.method, route.pattern);
        }
    }

    #[test]
    fn fixed_paths_come_first() {
        let (found, ids) = route("POST", "/v1/invoices/create_preview").expect("known");
        assert_eq!((found.pattern, ids.len()), ("/v1/invoices/create_preview", 0));
        let (found, ids) = route("POST", "/v1/invoices/in_1/pay").expect("known");
        assert_eq!((found.pattern, ids[0].as_str()), ("/v1/invoices/{invoice}/pay", "in_1"));
        assert!(route("POST", "/v1/quotes").is_none());
    }
}
