//! Query strings: every parameter known, given once and within its bound. Pure.

use crate::clock::{Millis, parse_rfc3339};
use crate::http::error::ApiError;

const VALUE_CHARS_MAX: usize = 255;
const LIMIT_MAX: i64 = 100;
const LIMIT_DEFAULT: i64 = 10;

/// The parameters of a request.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string that may have the parameters `known`, each once.
    pub fn parse(raw: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let name: String = name.chars().take(VALUE_CHARS_MAX).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let message = format!("{name} is not a parameter here; known: {known}.");
                return Err(ApiError::invalid(name, message));
            }
            if pairs.iter().any(|(earlier, _)| *earlier == name) {
                let message = format!("{name} is given twice.");
                return Err(ApiError::invalid(name.into_owned(), message));
            }
            let length = value.chars().count();
            let plain = !value.chars().any(char::is_control);
            if !plain || !(1..=VALUE_CHARS_MAX).contains(&length) {
                let message =
                    format!("{name} must have 1 to {VALUE_CHARS_MAX} characters on one line.");
                return Err(ApiError::invalid(name.into_owned(), message));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// The parameter's text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// `limit`, 1 to 100, 10 unless given.
    pub fn limit(&self) -> Result<i64, ApiError> {
        let Some(text) = self.text("limit") else { return Ok(LIMIT_DEFAULT) };
        let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| {
            ApiError::invalid(
                "limit",
                format!("limit must be a whole number from 1 to {LIMIT_MAX}."),
            )
        })
    }

    /// A time, RFC 3339.
    pub fn time(&self, name: &str) -> Result<Option<Millis>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match parse_rfc3339(&text) {
            Some(at) => Ok(Some(at)),
            None => {
                let message = format!("{name} must be a time such as 2026-11-03T00:00:00Z.");
                Err(ApiError::invalid(name, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_known_given_once_and_bounded() {
        let long = format!("meter={}", "x".repeat(256));
        let cases = [
            ("", None),
            ("limit=5&meter=a%20b", None),
            ("limits=5", Some("limits")),
            ("limit=5&limit=6", Some("limit")),
            ("meter=", Some("meter")),
            ("meter", Some("meter")),
            (long.as_str(), Some("meter")),
            ("meter=a%00b", Some("meter")),
            ("meter=a%0Ab", Some("meter")),
        ];
        for (raw, wrong) in cases {
            let query = Query::parse(Some(raw), &["limit", "meter"]);
            let param = query.as_ref().err().and_then(|error| error.param());
            assert_eq!(param, wrong, "{raw}");
        }
        let query = Query::parse(Some("meter=a%20b"), &["meter"]).expect("good");
        assert_eq!(query.text("meter").as_deref(), Some("a b"));
        assert!(Query::parse(None, &[]).is_ok());
    }

    #[test]
    fn limits_are_1_to_100() {
        let cases = [
            ("limit=1", Some(1)),
            ("limit=100", Some(100)),
            ("", Some(10)),
            ("limit=0", None),
            ("limit=101", None),
            ("limit=-1", None),
            ("limit=ten", None),
            ("limit=1.5", None),
            ("limit=99999999999999999999", None),
        ];
        for (raw, limit) in cases {
            let query = Query::parse(Some(raw), &["limit"]).expect("known");
            assert_eq!(query.limit().ok(), limit, "{raw}");
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        let query = |raw| Query::parse(Some(raw), &["from"]).expect("known");
        assert_eq!(query("from=1970-01-01T00:00:01Z").time("from"), Ok(Some(1_000)));
        assert_eq!(query("from=1970-01-01T01:00:01%2B01:00").time("from"), Ok(Some(1_000)));
        for bad in ["from=yesterday", "from=2026-11-03", "from=1793664000000"] {
            assert!(query(bad).time("from").is_err(), "{bad}");
        }
    }
}
