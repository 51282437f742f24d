//! What pages and server functions know of the request: the engine, the address, the answer's
//! status. Holds no rules.

use axum::http::request::Parts;
use http::StatusCode;
use leptos::prelude::*;
use leptos_axum::ResponseOptions;
use server::engine::Engine;
use tower_sessions::Session;

use crate::error::AppError;

/// The engine behind this request.
pub fn engine() -> Result<Engine, AppError> {
    use_context::<Engine>().ok_or_else(|| AppError::fault("the engine is not in the context"))
}

/// The visitor's session. Nothing is read from the database before something is asked of it.
pub async fn session() -> Result<Session, AppError> {
    leptos_axum::extract::<Session>().await.map_err(AppError::from)
}

/// The product's name.
pub fn product_name() -> String {
    use_context::<Engine>().map_or_else(String::new, |engine| engine.config.product_name.clone())
}

/// The path of the page asked for, with its query.
pub fn path_and_query() -> String {
    let parts = use_context::<Parts>();
    let asked = parts.and_then(|parts| parts.uri.path_and_query().map(|all| all.to_string()));
    asked.unwrap_or_else(|| "/".to_owned())
}

/// One parameter of the query, decoded; the first where there are several.
pub fn query(name: &str) -> Option<String> {
    let parts = use_context::<Parts>()?;
    let query = parts.uri.query()?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A parameter that says something, without signs that nobody can see.
pub fn query_text(name: &str) -> Option<String> {
    let seen = query(name)?.replace(char::is_control, "");
    Some(seen.trim().to_owned()).filter(|value| !value.is_empty())
}

/// A cookie of the request.
pub fn cookie(name: &str) -> Option<String> {
    let parts = use_context::<Parts>()?;
    let all = parts.headers.get_all(http::header::COOKIE);
    let pairs = all.iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

/// Sends a cookie with the answer.
pub fn set_cookie(cookie: &str) -> Result<(), AppError> {
    let value = http::HeaderValue::from_str(cookie).map_err(AppError::fault)?;
    if let Some(response) = use_context::<ResponseOptions>() {
        response.append_header(http::header::SET_COOKIE, value);
    }
    Ok(())
}

/// Sets the status of the page.
pub fn set_status(status: StatusCode) {
    if let Some(response) = use_context::<ResponseOptions>() {
        response.set_status(status);
    }
}

/// Sends the visitor elsewhere, from a page or after a form. Programs that do not ask for HTML see
/// the same status.
pub fn redirect(to: &str) {
    let safe = to.bytes().all(|byte| byte.is_ascii_graphic());
    leptos_axum::redirect(if safe { to } else { "/" });
}

/// Sets the status of a failed server function, unless a browser is to be sent back to its form.
pub fn status_of_call(status: StatusCode) {
    if !wants_html() {
        set_status(status);
    }
}

/// Where the request came from, for the throttle of sign-ins: the peer's address. Behind a proxy
/// that is the proxy's, which makes the limit per place coarser, never absent.
pub fn peer() -> String {
    let parts = use_context::<Parts>();
    let peer = parts.and_then(|parts| {
        let info = parts.extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>();
        info.map(|info| info.0.ip().to_string())
    });
    peer.unwrap_or_else(|| "unknown".to_owned())
}

fn wants_html() -> bool {
    let parts = use_context::<Parts>();
    parts.is_some_and(|parts| accepts_html(&parts.headers))
}

/// Whether the request is a browser's own, not a script's.
pub fn accepts_html(headers: &http::HeaderMap) -> bool {
    let accept = headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
