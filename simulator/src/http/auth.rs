//! Who may call: any test key, sent as a bearer token or as the user of basic authentication.

use axum::http::HeaderMap;

use super::text_header;
use crate::errors::{Answer, ApiError};

/// Any test key will do; a live key means that somebody is about to make a mistake.
pub fn authorize(headers: &HeaderMap) -> Answer<()> {
    let given = text_header(headers, "authorization").unwrap_or_default();
    let key = match given.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim().to_owned(),
        Some((scheme, code)) if scheme.eq_ignore_ascii_case("basic") => basic_user(code.trim()),
        _ => String::new(),
    };
    if key.is_empty() {
        let message = "You did not provide an API key. Send it in the Authorization header, as \
                       'Authorization: Bearer YOUR_SECRET_KEY'.";
        return Err(ApiError::unauthorized(message));
    }
    if key.starts_with("sk_live_") || key.starts_with("rk_live_") {
        let message = "This is a simulator: it never takes a live key. Use one that begins with \
                       sk_test_.";
        return Err(ApiError::unauthorized(message));
    }
    let test = ["sk_test_", "rk_test_"].iter().any(|p| key.len() > p.len() && key.starts_with(p));
    if test { Ok(()) } else { Err(ApiError::unauthorized("Invalid API Key provided.")) }
}

/// The user name of basic authentication, which is where the key stands.
fn basic_user(code: &str) -> String {
    let mut bits = 0_u32;
    let mut held = 0;
    let mut bytes = Vec::new();
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for letter in code.bytes().take_while(|letter| *letter != b'=') {
        let Some(value) = letters.iter().position(|known| *known == letter) else {
            return String::new();
        };
        bits = (bits << 6) | u32::try_from(value).unwrap_or(0);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap_or(0));
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split(':').next().unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn keys_are_judged() {
        let table = [
            ("Bearer sk_test_abc", 200),
            ("Bearer rk_test_abc", 200),
            ("Basic c2tfdGVzdF9hYmM6", 200),
            ("Bearer sk_live_abc", 401),
            ("Bearer sk_test_", 401),
            ("", 401),
        ];
        for (given, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert("authorization", HeaderValue::from_static(given));
            let status = authorize(&headers).map(|()| 200).unwrap_or_else(|error| error.status);
            assert_eq!(status, expected, "{given}");
        }
    }
}
