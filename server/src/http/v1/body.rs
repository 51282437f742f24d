//! Bodies: JSON read strictly, every mistake told with the name of its field. Pure.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::http::error::ApiError;
use crate::units::Quantity;

const KEY_LENGTH_MAX: usize = 255;
/// How much of a caller's own word is said back to it, in characters.
const QUOTED_CHARS_MAX: usize = 100;

/// A mistake of the form: which field, and what would be right. Always a 400.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The field, as the caller writes it; empty for the whole body.
    pub param: String,
    /// For people.
    pub message: String,
}

impl Wrong {
    /// A mistake in a field.
    pub fn new(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: param.into(), message: message.into() }
    }

    /// The same mistake, seen from outside of the thing it is in: `items[3]`, `lines[0]`.
    pub fn within(self, place: &str) -> Self {
        let Self { param, message } = self;
        let param = if param.is_empty() { place.to_owned() } else { format!("{place}.{param}") };
        Self { param, message }
    }
}

impl From<Wrong> for ApiError {
    fn from(wrong: Wrong) -> Self {
        Self::invalid(wrong.param, wrong.message)
    }
}

/// The body, unless it is too large or broke off.
pub fn bytes(body: Result<Bytes, BytesRejection>) -> Result<Bytes, ApiError> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(),
        _ => ApiError::invalid("", "The body could not be read to its end."),
    })
}

/// Reads a JSON object; unknown fields are refused by the type's own attribute. `thing` is what
/// the mistakes call it: "The body".
pub fn json<'de, T: Deserialize<'de>>(thing: &str, bytes: &'de [u8]) -> Result<T, Wrong> {
    // A type would also read a list of its fields' values, which nobody means to send.
    match bytes.trim_ascii_start().first() {
        None => return Err(Wrong::new("", format!("{thing} is empty. Send a JSON object."))),
        Some(b'{') => {}
        Some(_) => return Err(Wrong::new("", format!("{thing} must be a JSON object."))),
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        explain(thing, &path, error.inner())
    })?;
    reader.end().map_err(|error| explain(thing, ".", &error))?;
    Ok(read)
}

/// A mistake of the form, in words that name the field.
fn explain(thing: &str, path: &str, error: &serde_json::Error) -> Wrong {
    let param = short(path.trim_end_matches(['.', '?']));
    let told = error.to_string();
    let (line, column) = (error.line(), error.column());
    let reason = told.rsplit_once(" at line ").map_or(told.as_str(), |(reason, _)| reason);
    if error.classify() != Category::Data {
        let place = if param.is_empty() { String::new() } else { format!(" at {param}") };
        let message =
            format!("{thing} is not JSON{place}: {reason}, line {line}, column {column}.");
        return Wrong::new(param, message);
    }
    let quoted = short(reason.split('`').nth(1).unwrap_or_default());
    if reason.starts_with("unknown field") {
        let known = reason.rsplit_once(", expected ").map_or("none", |(_, known)| known);
        let known = known.trim_start_matches("one of ").replace('`', "");
        let message = format!("{quoted} is not a field here; known: {known}.");
        return Wrong::new(quoted, message);
    }
    if reason.starts_with("missing field") {
        return Wrong::new(&quoted, format!("{quoted} is missing."));
    }
    if reason.starts_with("duplicate field") {
        return Wrong::new(&quoted, format!("{quoted} is given twice."));
    }
    if param.is_empty() {
        return Wrong::new("", format!("{thing} must be a JSON object."));
    }
    let expected = match reason.rsplit_once("expected ").map_or("something else", |(_, it)| it) {
        "i64" | "u64" => "a whole number",
        "a map" => "an object",
        "a sequence" => "a list",
        other => other,
    };
    let message = format!("{param} must be {expected}.");
    Wrong::new(param, message)
}

/// The beginning of a caller's own word.
fn short(word: &str) -> String {
    word.chars().take(QUOTED_CHARS_MAX).collect()
}

/// A quantity that is more than nothing. See [`quantity_or_none`].
pub fn quantity(raw: &RawValue) -> Result<Quantity, Wrong> {
    let quantity = quantity_or_none(raw)?;
    if quantity.micros() == 0 {
        return Err(Wrong::new("quantity", "quantity must be more than 0."));
    }
    Ok(quantity)
}

/// A quantity from its own text, which may be nothing: a JSON number, or a plain decimal string.
/// Never through a float.
pub fn quantity_or_none(raw: &RawValue) -> Result<Quantity, Wrong> {
    let wrong = |message: &str| Wrong::new("quantity", format!("quantity {message}."));
    let text = raw.get();
    let parsed = match text.as_bytes().first() {
        Some(b'"') => {
            let plain: String = serde_json::from_str(text)
                .map_err(|_| wrong("must be a number or a decimal string"))?;
            if plain.contains(['e', 'E']) {
                return Err(wrong("as a string is a plain decimal, without an exponent"));
            }
            Quantity::parse(&plain)
        }
        Some(b'-' | b'0'..=b'9') => Quantity::parse(text),
        _ => return Err(wrong("must be a number or a decimal string")),
    };
    parsed.map_err(|error| wrong(&error.to_string()))
}

/// Whether a text may be a key: 1–255 printable ASCII characters.
pub fn is_key(text: &str) -> bool {
    (1..=KEY_LENGTH_MAX).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// What a key that is none is told.
pub fn not_a_key(param: &str) -> Wrong {
    let bound = format!("1 to {KEY_LENGTH_MAX} printable ASCII characters");
    Wrong::new(param, format!("{param} must be {bound}."))
}

/// The key that makes a write repeatable.
pub fn idempotency_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Err(ApiError::key_required()) };
    let key = value.to_str().ok().filter(|text| is_key(text)).filter(|_| values.next().is_none());
    key.map(str::to_owned).ok_or_else(|| not_a_key("Idempotency-Key").into())
}

/// What a repeated request must be equal in: SHA-256 of method, path and parsed body, so that
/// blanks and the order of fields do not matter. `parsed` has its objects sorted.
pub fn fingerprint(method: &str, path: &str, parsed: &serde_json::Value) -> String {
    hex::encode(Sha256::digest(format!("{method}\n{path}\n{parsed}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn quantities_are_numbers_or_plain_decimal_strings() {
        // D19
        let good = [
            ("1", 1_000_000),
            ("1e3", 1_000_000_000),
            ("0.000001", 1),
            ("\"0.0075\"", 7_500),
            ("1000000000000", 1_000_000_000_000_000_000),
        ];
        for (text, micros) in good {
            assert_eq!(quantity(&raw(text)).map(Quantity::micros), Ok(micros), "{text}");
        }
        let bad = [
            "0",
            "-1",
            "1e30",
            "0.0000001",
            "\"1e3\"",
            "\"\"",
            "\"NaN\"",
            "\" 1\"",
            "null",
            "true",
            "[1]",
            "{}",
            "1000000000000.1",
            "\"0\"",
        ];
        for text in bad {
            assert_eq!(quantity(&raw(text)).expect_err(text).param, "quantity", "{text}");
        }
        for nothing in ["0", "0.0", "\"0\"", "0e9", "-0"] {
            let read = quantity_or_none(&raw(nothing)).map(Quantity::micros);
            assert_eq!(read, Ok(0), "{nothing}");
        }
    }

    #[test]
    fn idempotency_keys_are_printable_and_bounded() {
        let longest = "k".repeat(255);
        let too_long = "k".repeat(256);
        let cases: [(&[&str], bool); 6] = [
            (&["order-1 é"], false),
            (&["order 1"], true),
            (&[&longest], true),
            (&[&too_long], false),
            (&[""], false),
            (&["a", "b"], false),
        ];
        for (values, good) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                let bytes = axum::http::HeaderValue::from_bytes(value.as_bytes());
                headers.append("idempotency-key", bytes.expect("a header"));
            }
            assert_eq!(idempotency_key(&headers).is_ok(), good, "{values:?}");
        }
        assert_eq!(idempotency_key(&HeaderMap::new()), Err(ApiError::key_required()));
        let mut headers = HeaderMap::new();
        headers.insert("idempotency-key", too_long.parse().expect("a header"));
        let error = idempotency_key(&headers).expect_err("too long");
        assert_eq!(error.param(), Some("Idempotency-Key"));
        assert!(error.message().contains("255"), "{error:?}");
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only its form matters here")]
        word: Option<String>,
    }

    #[test]
    fn only_objects_are_read_and_long_words_are_said_back_shortened() {
        let read = |text: &str| json::<Sample>("The line", text.as_bytes()).map_err(|w| w.message);
        assert!(read(" {\"word\":\"a\"} ").is_ok());
        for other in ["[\"a\"]", "[]", "null", "7", "\"word\""] {
            assert_eq!(read(other).expect_err(other), "The line must be a JSON object.");
        }
        assert_eq!(read(" \n").expect_err("empty"), "The line is empty. Send a JSON object.");
        let long = format!("{{\"{}\":1}}", "x".repeat(10_000));
        let wrong = json::<Sample>("The line", long.as_bytes()).expect_err("unknown");
        assert_eq!(wrong.param.len(), QUOTED_CHARS_MAX);
        assert!(wrong.message.ends_with("known: word."), "{wrong:?}");
    }

    #[test]
    fn mistakes_inside_a_list_name_their_place() {
        let wrong = Wrong::new("quantity", "quantity must be more than 0.");
        assert_eq!(wrong.within("lines[0]").within("items[3]").param, "items[3].lines[0].quantity");
        assert_eq!(Wrong::new("", "No.").within("items[3]").param, "items[3]");
    }
}
