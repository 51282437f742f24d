//! Bodies: JSON read strictly, every mistake told with the name of its field. Pure.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::http::error::ApiError;
use crate::units::Quantity;

/// The longest name of a meter, model, feature, run or member, in characters.
const NAME_CHARS_MAX: usize = 100;
const KEY_LENGTH_MAX: usize = 255;

/// The body, unless it is too large or broke off.
pub fn bytes(body: Result<Bytes, BytesRejection>) -> Result<Bytes, ApiError> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(),
        _ => ApiError::invalid("", "The body could not be read to its end."),
    })
}

/// Reads a JSON object; unknown fields are refused by the type's own attribute.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ApiError::invalid("", "The body is empty. Send a JSON object."));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        explain(&path, error.inner())
    })?;
    reader.end().map_err(|error| explain(".", &error))?;
    Ok(read)
}

/// A mistake of the form, in words that name the field.
fn explain(path: &str, error: &serde_json::Error) -> ApiError {
    let param = path.trim_end_matches(['.', '?']);
    let told = error.to_string();
    let (line, column) = (error.line(), error.column());
    if error.classify() != Category::Data {
        let reason = told.split(" at line ").next().unwrap_or(&told).to_owned();
        let place = if param.is_empty() { String::new() } else { format!(" at {param}") };
        let message =
            format!("The body is not JSON{place}: {reason}, line {line}, column {column}.");
        return ApiError::invalid(param, message);
    }
    let reason = told.split(" at line ").next().unwrap_or(&told);
    let quoted = reason.split('`').nth(1).unwrap_or_default();
    if reason.starts_with("unknown field") {
        let known = reason.split_once(", expected ").map_or("none", |(_, known)| known);
        let known = known.trim_start_matches("one of ").replace('`', "");
        return ApiError::invalid(quoted, format!("{quoted} is not a field here; known: {known}."));
    }
    if reason.starts_with("missing field") {
        return ApiError::invalid(quoted, format!("{quoted} is missing."));
    }
    if reason.starts_with("duplicate field") {
        return ApiError::invalid(quoted, format!("{quoted} is given twice."));
    }
    if param.is_empty() {
        return ApiError::invalid("", "The body must be a JSON object.");
    }
    let expected = reason.rsplit_once("expected ").map_or("something else", |(_, what)| what);
    let expected = match expected {
        "i64" | "u64" => "a whole number",
        other => other,
    };
    ApiError::invalid(param, format!("{param} must be {expected}."))
}

/// A quantity from its own text: a JSON number, or a plain decimal string. Never through a float.
pub fn quantity(raw: &RawValue) -> Result<Quantity, ApiError> {
    let wrong = |message: &str| ApiError::invalid("quantity", format!("quantity {message}."));
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
    match parsed {
        Ok(quantity) if quantity.micros() == 0 => Err(wrong("must be more than 0")),
        Ok(quantity) => Ok(quantity),
        Err(error) => Err(wrong(&error.to_string())),
    }
}

/// A short text on one line.
pub fn name(param: &str, value: &str) -> Result<(), ApiError> {
    let length = value.chars().count();
    if (1..=NAME_CHARS_MAX).contains(&length) && !value.chars().any(char::is_control) {
        return Ok(());
    }
    let message = format!("{param} must have 1 to {NAME_CHARS_MAX} characters on one line.");
    Err(ApiError::invalid(param, message))
}

/// The key that makes a write repeatable.
pub fn idempotency_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Err(ApiError::key_required()) };
    let printable = |text: &&str| {
        (1..=KEY_LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|b| (b' '..=b'~').contains(&b))
    };
    let key = value.to_str().ok().filter(printable).filter(|_| values.next().is_none());
    key.map(str::to_owned).ok_or_else(|| {
        let message =
            format!("Idempotency-Key must be 1 to {KEY_LENGTH_MAX} printable ASCII characters.");
        ApiError::invalid("Idempotency-Key", message)
    })
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
            let error = quantity(&raw(text)).expect_err(text);
            assert_eq!(error, ApiError::invalid("quantity", error.message().to_owned()), "{text}");
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
    }

    #[test]
    fn names_have_bounds() {
        let long = "x".repeat(101);
        assert!(name("model", "gpt-4o*").is_ok());
        for bad in ["", long.as_str(), "a\nb"] {
            assert!(name("model", bad).is_err(), "{bad:?}");
        }
    }
}
