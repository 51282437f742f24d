//! What every answer carries and every request must show: the content security policy, the other
//! headers, the check against posts from elsewhere, and the closed door of `/api`.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use leptos::server_fn::error::FromServerFnError as _;
use server::auth::{operators, sessions};
use server::config::Config;
use server::engine::Engine;
use tower_sessions::Session;

use crate::error::AppError;

/// What is called without signing in, by its prefix.
pub const PUBLIC: &str = "/api/public/";

/// What only operators call, by its prefix. To everybody else who is signed in there is nothing.
pub const OPERATORS: &str = "/api/admin/";

/// Where Stripe's hosted pages are. A form that is answered with a redirect to another site needs
/// that site's name here, or the browser stops the redirect.
const STRIPE_PAGES: &str = "https://checkout.stripe.com https://billing.stripe.com";

/// The policy of a page: only our own files, and only the scripts that carry this nonce.
pub fn page_policy(nonce: &str, config: &Config) -> String {
    let pages = hosted_pages(config);
    format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; \
         style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; \
         manifest-src 'self'; form-action 'self' {pages}; base-uri 'none'; \
         frame-ancestors 'none'"
    )
}

/// The origins that forms may lead to: Stripe's, and in development what stands in for it.
fn hosted_pages(config: &Config) -> String {
    let base = config.stripe_api_base.as_deref().filter(|_| config.is_development());
    let stand_in = base.and_then(|base| url::Url::parse(base).ok());
    match stand_in.map(|url| url.origin().ascii_serialization()) {
        Some(origin) => format!("{STRIPE_PAGES} {origin}"),
        None => STRIPE_PAGES.to_owned(),
    }
}

/// Headers of every answer. An answer that is no page gets a policy that allows nothing.
pub async fn headers(State(engine): State<Engine>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let nothing = "default-src 'none'; frame-ancestors 'none'";
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(nothing));
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in fixed {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if !engine.config.is_development() {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Refuses what another site's page sends with our visitor's cookie. Programs and Stripe have no
/// cookie to abuse and are left alone.
pub async fn same_site_only(
    State(engine): State<Engine>,
    request: Request,
    next: Next,
) -> Response {
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    let path = request.uri().path();
    let programs = path.starts_with("/v1/") || path.starts_with("/webhooks/");
    if safe || programs || comes_from_here(request.headers(), &engine.config.base_url) {
        return next.run(request).await;
    }
    let message = "This form was sent from another site. Open the page here and send it again.";
    (StatusCode::FORBIDDEN, message).into_response()
}

/// Browsers say where a post comes from; what says nothing is no browser.
fn comes_from_here(headers: &HeaderMap, base_url: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = text("origin") else { return true };
    let host = text("host").unwrap_or_default();
    let (_, origin_host) = origin.split_once("://").unwrap_or_default();
    origin == base_url || (!host.is_empty() && origin_host == host)
}

/// Every server function but the public ones needs somebody signed in before its arguments are
/// even read, and those of operators an operator.
pub async fn closed_doors(
    State(engine): State<Engine>,
    session: Session,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if !path.starts_with("/api/") || path.starts_with(PUBLIC) {
        return next.run(request).await;
    }
    match sessions::identity(&session).await {
        Ok(Some(one)) if path.starts_with(OPERATORS) => {
            match operators::is_operator(&engine.db, &one.user_id).await {
                Ok(true) => next.run(request).await,
                Ok(false) => refused(path, &AppError::not_found()),
                Err(error) => refused(path, &error.into()),
            }
        }
        Ok(Some(_)) => next.run(request).await,
        Ok(None) => refused(path, &AppError::unauthorized()),
        Err(error) => refused(path, &error.into()),
    }
}

fn refused(path: &str, error: &AppError) -> Response {
    let mut response = (error.status(), error.ser()).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert("serverfnerror", path);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(vars: &[(&str, &str)]) -> Config {
        let lookup = |name: &str| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Config::from_vars("my-app", lookup).expect("a configuration")
    }

    #[test]
    fn the_policy_has_the_nonce_and_no_unsafe_inline() {
        let policy = page_policy("abc", &config(&[]));
        assert!(policy.contains("'nonce-abc'"));
        assert!(!policy.contains("unsafe-inline"));
        assert!(policy.contains("http://127.0.0.1:12111;"));
        let production = [
            ("APP_ENV", "production"),
            ("STRIPE_SECRET_KEY", "sk_test_1"),
            ("STRIPE_WEBHOOK_SECRET", "whsec_1"),
            ("BASE_URL", "https://app.example.com"),
        ];
        assert!(!page_policy("abc", &config(&production)).contains("127.0.0.1"));
    }

    #[test]
    fn posts_from_elsewhere_are_refused() {
        let base = "https://app.example.com";
        let cases: [(&[(&str, &str)], bool); 8] = [
            (&[], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site"), ("origin", base)], false),
            (&[("origin", base)], true),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "null"), ("host", "")], false),
            (&[("origin", "http://localhost:3000"), ("host", "localhost:3000")], true),
        ];
        for (pairs, allowed) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
                headers.insert(name, HeaderValue::from_str(value).expect("a value"));
            }
            assert_eq!(comes_from_here(&headers, base), allowed, "{pairs:?}");
        }
    }
}
