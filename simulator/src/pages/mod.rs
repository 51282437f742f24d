//! The hosted pages: card page, portal, invoice, receipt, and the simulator's own overview.
//!
//! Plain HTML that works without JavaScript. Pages read forms and call `billing`; they decide
//! nothing about money themselves.

mod authentication;
mod checkout_form;
mod html;
mod invoice;
mod overview;
mod overview_actions;
mod overview_faults;
mod overview_money;
mod overview_sent;
mod pay;
mod pay_form;
mod portal;
mod portal_actions;
mod portal_flows;
mod portal_switch;
mod portal_views;
mod style;

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};

use crate::world::Shared;

/// The routes of all pages.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .merge(overview_actions::routes())
        .route("/", get(overview::show))
        .route("/_sim", get(overview::show))
        .route("/_sim/objects/{kind}", get(overview::list))
        .route("/_sim/objects/{kind}/{id}", get(overview::object))
        .route("/_sim/style.css", get(stylesheet))
        .route("/c/pay/{id}", get(pay::show).post(pay::submit))
        .route("/p/session/{id}", get(portal::show))
        .route("/p/session/{id}/cancel", post(portal_actions::cancel))
        .route("/p/session/{id}/resume", post(portal_actions::resume))
        .route("/p/session/{id}/switch", post(portal_actions::switch))
        .route("/p/session/{id}/undo", post(portal_actions::undo))
        .route("/p/session/{id}/stay", post(portal_actions::stay))
        .route("/p/session/{id}/card", post(portal_actions::card))
        .route("/p/session/{id}/details", post(portal_actions::details))
        .route("/p/session/{id}/pay/{invoice}", post(portal_actions::pay))
        .route("/i/{id}", get(invoice::show).post(invoice::pay))
        .route("/i/{id}/receipt", get(invoice::receipt))
        .route("/receipts/{charge}", get(invoice::charge_receipt))
        .route("/credit_notes/{id}", get(invoice::credit_note))
        .route("/3ds/{intent}", get(authentication::show).post(authentication::submit))
}

async fn stylesheet() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], style::CSS)
}
