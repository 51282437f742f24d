//! What every page shares: the frame, escaping, small pieces.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::errors::ApiError;

/// Text made safe for HTML, attributes included.
pub fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A whole page; `class` shapes its main part.
pub fn page(title: &str, class: &str, body: &str) -> Response {
    page_with(StatusCode::OK, title, class, body)
}

/// A whole page with a status of its own.
pub fn page_with(status: StatusCode, title: &str, class: &str, body: &str) -> Response {
    let title = esc(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><link rel=\"stylesheet\" href=\"/_sim/style.css\">\
         <link rel=\"icon\" href=\"data:,\"></head><body>\
         <div class=\"sim\" role=\"note\">Simulator, no real money. Test cards only.</div>\
         <main class=\"{class}\">{body}</main></body></html>"
    );
    // Forms here end on the merchant's site, so form-action cannot be limited.
    let policy = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
                  frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, Html(html)).into_response()
}

/// A page that only says something, with a link onwards when there is one.
pub fn message(
    status: StatusCode,
    title: &str,
    text: &str,
    link: Option<(&str, &str)>,
) -> Response {
    let link = link.map(|(href, label)| link_to(href, label)).unwrap_or_default();
    let body =
        format!("<div class=\"card\"><h1>{}</h1><p>{}</p>{link}</div>", esc(title), esc(text));
    page_with(status, title, "slim", &body)
}

/// A link; addresses other than http ones are not followed.
pub fn link_to(href: &str, label: &str) -> String {
    let good = href.starts_with('/') || href.starts_with("http://") || href.starts_with("https://");
    match good {
        true => format!("<a href=\"{}\">{}</a>", esc(href), esc(label)),
        false => String::new(),
    }
}

/// The page for a request that could not be done.
pub fn refused(error: &ApiError, back: &str) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    message(status, "That did not work", error.message(), Some((back, "Go back")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_scripts_are_no_links() {
        assert_eq!(esc("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
        assert_eq!(link_to("javascript:alert(1)", "x"), "");
        assert!(link_to("https://example.com/?a=1&b=2", "x").contains("&amp;b=2"));
    }
}
