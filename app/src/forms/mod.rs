//! Forms that work without JavaScript: what a failed post said and what was typed come back to the
//! page once, through the session, and so does the word that it went well.
//!
//! Never keeps a password or another secret.

mod fields;
pub mod typed;

use std::collections::BTreeMap;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};
use http::{HeaderMap, Method, StatusCode, header};
use leptos::server_fn::ServerFn;
use leptos::server_fn::error::FromServerFnError as _;
use serde::{Deserialize, Serialize};
use tower_sessions::Session;

pub use fields::{Input, field, field_error, form_error, submit};

use crate::error::{AppError, Kind};
use crate::{session, web};

/// The largest form, in bytes.
const FORM_MAX: usize = 64 * 1024;
/// Under which names the session keeps what is shown once.
const FLASH: &str = "flash";
const DONE: &str = "done";
const WARNED: &str = "warned";
/// What is typed into fields with these in their names is never kept.
const SECRETS: [&str; 4] = ["password", "token", "secret", "card"];

/// What a failed post left behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Flash {
    path: String,
    error: AppError,
    values: BTreeMap<String, String>,
}

/// How a form is to be shown: empty, or as it was posted with what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormState {
    /// What is wrong with the form as a whole.
    pub message: String,
    /// What is wrong with which field.
    pub errors: BTreeMap<String, String>,
    /// What was typed.
    pub values: BTreeMap<String, String>,
}

impl FormState {
    /// What was typed into the field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// What is wrong with the field.
    pub fn error(&self, name: &str) -> Option<&str> {
        self.errors.get(name).map(String::as_str)
    }

    /// Fills a field that was not posted.
    pub fn or_value(mut self, name: &str, value: &str) -> Self {
        self.values.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        self
    }

    /// The state of a form that several things have, each with its id in this field: what was
    /// posted for another of them is not shown with this one.
    pub fn about(self, name: &str, id: &str) -> Self {
        match self.value(name) {
            Some(other) if other != id => Self::default(),
            _ => self,
        }
    }
}

/// The state of the form that posts to this server function. What a failed post left is shown once.
pub async fn state<S: ServerFn>() -> Result<FormState, AppError> {
    let session = web::session().await?;
    let flash: Option<Flash> = session.get(FLASH).await.map_err(AppError::fault)?;
    let Some(flash) = flash.filter(|flash| flash.path == S::PATH) else {
        return Ok(FormState::default());
    };
    session.remove_value(FLASH).await.map_err(AppError::fault)?;
    let (message, errors) = (flash.error.message, flash.error.fields);
    Ok(FormState { message, errors, values: flash.values })
}

/// Leaves a word for the next page: what was done.
pub async fn done(message: &str) -> Result<(), AppError> {
    keep(DONE, &message).await
}

/// Leaves a word for the next page: what was done, and that it was not all.
pub async fn warn(message: &str) -> Result<(), AppError> {
    keep(WARNED, &message).await
}

/// The word that was left, once, and the level of its notice.
pub async fn take_done() -> Result<Option<(&'static str, String)>, AppError> {
    let warned: Option<String> = take(WARNED).await?;
    let done: Option<String> = take(DONE).await?;
    Ok(warned.map(|message| ("warn", message)).or(done.map(|message| ("ok", message))))
}

/// Keeps a value for the next page that asks for it.
pub async fn keep<T: Serialize + Sync>(name: &str, value: &T) -> Result<(), AppError> {
    let session = web::session().await?;
    session.insert(name, value).await.map_err(AppError::fault)
}

/// Takes what was kept, once.
pub async fn take<T: serde::de::DeserializeOwned>(name: &str) -> Result<Option<T>, AppError> {
    let session = web::session().await?;
    // A session that was never begun is not to be begun by looking.
    if session.get_value(name).await.map_err(AppError::fault)?.is_none() {
        return Ok(None);
    }
    session.remove(name).await.map_err(AppError::fault)
}

/// Turns a failed form post into a redirect back to the form, with everything that was typed but
/// secrets. Scripts get the error as JSON and are left alone.
pub async fn middleware(session: Session, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    if !is_plain_form(request.method(), &headers) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(typed) = to_bytes(body, FORM_MAX).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "The form is too large.").into_response();
    };
    let response = next.run(Request::from_parts(parts, Body::from(typed.clone()))).await;
    let failed = response.headers().get("serverfnerror").and_then(|path| path.to_str().ok());
    let Some(path) = failed.map(str::to_owned) else { return response };
    let body = to_bytes(response.into_body(), FORM_MAX).await.unwrap_or_default();
    let back = way_back(&headers, &path);
    let error = AppError::de(body);
    if error.kind == Kind::Unauthorized {
        return Redirect::to(&session::sign_in_path(&back)).into_response();
    }
    let part = crate::acts::part_of(&path);
    let flash = Flash { path, error, values: values(&typed) };
    if let Err(error) = session.insert(FLASH, flash).await {
        tracing::error!("the form's state could not be kept: {error}");
    }
    Redirect::to(&format!("{back}{part}")).into_response()
}

fn is_plain_form(method: &Method, headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    method == Method::POST
        && web::accepts_html(headers)
        && kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

fn values(typed: &Bytes) -> BTreeMap<String, String> {
    let pairs = form_urlencoded::parse(typed);
    let plain = pairs.filter(|(name, _)| !SECRETS.iter().any(|secret| name.contains(secret)));
    plain.map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// The page the form was on: the referrer, if it is of this site, else the function's own page.
fn way_back(headers: &HeaderMap, path: &str) -> String {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let referrer = text(header::REFERER).and_then(|referrer| url::Url::parse(referrer).ok());
    let host = text(header::HOST).unwrap_or_default();
    let Some(page) = referrer.filter(|url| authority(url) == host) else {
        return crate::acts::page_of(path).to_owned();
    };
    match page.query() {
        Some(query) => format!("{}?{query}", page.path()),
        None => page.path().to_owned(),
    }
}

fn authority(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let values =
            pairs.iter().map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value)));
        values.collect()
    }

    #[test]
    fn secrets_are_not_kept() {
        let typed = Bytes::from_static(b"name=Ada+L&password=x&new_password=y&api_token=z");
        assert_eq!(values(&typed), BTreeMap::from([("name".to_owned(), "Ada L".to_owned())]));
    }

    #[test]
    fn what_was_typed_for_one_thing_is_not_shown_with_another() {
        let values = BTreeMap::from([("org".to_owned(), "org_1".to_owned())]);
        let state = FormState { message: "No.".to_owned(), values, ..FormState::default() };
        assert_eq!(state.clone().about("org", "org_1"), state);
        assert_eq!(state.clone().about("other", "org_2"), state);
        assert_eq!(state.about("org", "org_2"), FormState::default());
    }

    #[test]
    fn the_way_back_stays_on_this_site() {
        let cases = [
            ("http://127.0.0.1:3000/billing?x=1", "/billing?x=1"),
            ("http://127.0.0.1:3000/billing#caps", "/billing"),
            ("http://127.0.0.1:3001/billing", "/sign-in"),
            ("https://evil.example/billing", "/sign-in"),
            ("nonsense", "/sign-in"),
        ];
        for (referrer, expected) in cases {
            let headers = headers(&[(header::REFERER, referrer), (header::HOST, "127.0.0.1:3000")]);
            assert_eq!(way_back(&headers, "/api/public/sign_in"), expected, "{referrer}");
        }
    }

    #[test]
    fn only_a_browsers_own_posts_are_answered_with_a_page() {
        let form = (header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let page = headers(&[form.clone(), (header::ACCEPT, "text/html,*/*")]);
        let script = headers(&[form, (header::ACCEPT, "application/json")]);
        assert!(is_plain_form(&Method::POST, &page));
        assert!(!is_plain_form(&Method::POST, &script));
        assert!(!is_plain_form(&Method::GET, &page));
    }
}
