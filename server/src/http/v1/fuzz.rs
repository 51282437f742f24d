//! The parsers of `/v1` against everything: bytes without sense, JSON that is almost right, and
//! numbers next to a plain model of decimals.

use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::body::{Wrong, is_key, quantity, quantity_or_none};
use super::cases::rates;
use super::query::Query;
use super::{batch, fields, gate, holds, reversal};
use crate::clock::{MINUTE, Millis};
use crate::gate::{Use, Used};
use crate::http::error::ApiError;
use crate::units::{Credits, MICRO, QUANTITY_MAX, Quantity, parse_decimal, price};

const NOW: Millis = 1_793_700_000_000;

/// Hands the bytes to every parser. What is taken is within its bounds; what is refused is a 400
/// that says something.
fn parse_all(bytes: &[u8]) {
    let card = rates();
    mistake(gate::read_authorize(bytes, &card));
    mistake(holds::read_nothing(bytes));
    mistake(reversal::read_reason(bytes).map(|reason| assert!(reason.chars().count() <= 500)));
    mistake(gate::read_consume(bytes, &card).map(|used| within_bounds(&used)));
    mistake(holds::read_hold(bytes, &card).map(|(hold, _)| {
        within_bounds(&hold.what);
        assert!((1_000..=86_400_000).contains(&hold.ttl));
    }));
    mistake(holds::read_capture(bytes, "hold_1".to_owned(), &card).map(|capture| {
        if let Used::Lines(lines) = capture.used {
            assert!((1..=100).contains(&lines.len()));
            assert!(lines.iter().all(|line| card.meters.contains_key(&line.meter)));
        }
    }));
    let items = batch::read_batch(bytes);
    for raw in items.as_ref().map(Vec::as_slice).unwrap_or_default() {
        mistake(batch::read_item(raw, &card, NOW).map(|(key, item)| {
            within_bounds(&item.what);
            assert!(is_key(&key) && item.at.is_none_or(|at| at <= NOW + 5 * MINUTE));
        }));
    }
    mistake(items);
    if let Ok(raw) = serde_json::from_slice::<Box<RawValue>>(bytes) {
        mistake(batch::read_item(&raw, &card, NOW));
    }
}

fn mistake<T>(read: Result<T, Wrong>) {
    if let Err(wrong) = read {
        assert!(!wrong.message.is_empty() && wrong.message.len() < 4_000, "{wrong:?}");
        assert!(wrong.param.len() < 2_000, "{wrong:?}");
        assert_eq!(ApiError::from(wrong).into_response().status(), StatusCode::BAD_REQUEST);
    }
}

fn within_bounds(used: &Use) {
    let rate = rates().meters[&used.meter].rate_for(used.model.as_deref());
    assert!((1..=QUANTITY_MAX * MICRO).contains(&used.quantity.micros()), "{used:?}");
    assert!(rate.is_none_or(|rate| price(rate, used.quantity).is_some()), "{used:?}");
    for name in [&used.model, &used.feature, &used.run, &used.member].into_iter().flatten() {
        assert!(fields::is_name(name), "{used:?}");
    }
    assert!(used.cost.is_none_or(|cost| cost >= 0), "{used:?}");
    let notes = used.metadata.as_ref().map_or(0, |notes| notes.to_string().len());
    assert!(notes <= 4096, "{used:?}");
}

/// The fields of all bodies, and one that none has.
const FIELDS: [&str; 17] = [
    "key",
    "meter",
    "quantity",
    "model",
    "feature",
    "run",
    "member",
    "cost",
    "metadata",
    "over",
    "at",
    "ttl_seconds",
    "reason",
    "lines",
    "items",
    "colour",
    "",
];

/// Values that some field takes, or almost takes.
const VALUES: [&str; 40] = [
    "null",
    "true",
    "0",
    "-0",
    "1",
    "-1",
    "1.5",
    "1e3",
    "1E-6",
    "1e-7",
    "1e400",
    "86400",
    "86401",
    "1000000000000",
    "1000000000000.000001",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999999999999999999999",
    "\"\"",
    "\"1\"",
    "\"0.0075\"",
    "\"1e3\"",
    "\"text\"",
    "\"video\"",
    "\"tokens\"",
    "\"debt\"",
    "\"deny\"",
    "\"2026-11-03T00:00:00Z\"",
    "\"9999-12-31T23:59:60Z\"",
    "\"0000-01-01T00:00:00+23:59\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"é\"",
    "\"a\\nb\"",
    "[]",
    "{}",
    "[null]",
    "[[[[{}]]]]",
    "{\"a\":{\"b\":[1,2,{\"c\":null}]}}",
    "{\"a\":1,\"a\":2}",
];

/// JSON objects of known fields with values that are good or almost good, at most three deep.
fn near_valid() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        4 => prop::sample::select(&VALUES[..]).prop_map(str::to_owned),
        1 => "[ -~]{0,120}".prop_map(|text| serde_json::Value::from(text).to_string()),
        1 => any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        1 => "-?[0-9]{1,22}(\\.[0-9]{1,8})?([eE][+-]?[0-9]{1,4})?",
    ];
    value.prop_recursive(3, 64, 8, |inside| {
        let name = prop::sample::select(&FIELDS[..]);
        let twice = prop::collection::vec((name.clone(), inside.clone()), 0..6);
        let once = prop::collection::btree_map(name.clone(), inside.clone(), 0..3);
        let almost = prop::collection::btree_map(name, inside.clone(), 0..3);
        let base = prop::sample::select(&BASES[..]);
        let several = prop::sample::select(vec!["items", "lines"]);
        let list = prop::collection::vec(inside, 0..4)
            .prop_map(|values| format!("[{}]", values.join(",")));
        prop_oneof![
            1 => twice.prop_map(object_of),
            1 => once.prop_map(object_of),
            4 => (base, almost).prop_map(|(base, mut fields)| {
                for (name, value) in base {
                    fields.entry(name).or_insert_with(|| (*value).to_owned());
                }
                object_of(fields)
            }),
            2 => (several, list.clone()).prop_map(|(name, list)| object_of([(name, list)])),
            1 => list,
        ]
    })
}

/// What makes a body good, if nothing else in it is bad.
const BASES: [&[(&str, &str)]; 5] = [
    &[("meter", "\"text\""), ("quantity", "1")],
    &[("key", "\"k\""), ("meter", "\"tokens\""), ("quantity", "\"0.5\"")],
    &[("quantity", "0")],
    &[("lines", r#"[{"meter":"video","quantity":0}]"#)],
    &[("reason", "\"never arrived\"")],
];

fn object_of<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let fields: Vec<String> =
        fields.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// Bodies that are good, to be damaged.
const GOOD: [&str; 5] = [
    r#"{"meter":"text","quantity":1.5e0,"model":"m","run":"r","cost":75,"metadata":{"a":[1]}}"#,
    r#"{"meter":"tokens","ttl_seconds":60,"member":"user_1"}"#,
    r#"{"lines":[{"meter":"text","quantity":0},{"meter":"video","quantity":"2"}],"over":"debt"}"#,
    r#"{"items":[{"key":"k","meter":"text","quantity":1,"at":"2026-11-03T00:00:00Z"}]}"#,
    r#"{"reason":"never arrived"}"#,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_break_the_parsers(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse_all(&bytes);
        drop(Query::parse(Some(&String::from_utf8_lossy(&bytes)), &["limit", "from"]));
    }

    #[test]
    fn no_json_breaks_the_parsers(text in near_valid()) {
        parse_all(text.as_bytes());
    }

    #[test]
    fn no_damage_breaks_the_parsers(
        good in prop::sample::select(&GOOD[..]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..4),
    ) {
        let mut bytes = good.as_bytes().to_vec();
        for (place, byte, how) in damage {
            let at = place.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.drain(at..)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        parse_all(&bytes);
    }
}

#[test]
fn depth_and_size_break_no_parser() {
    for depth in [10, 127, 128, 129, 100_000] {
        let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        for field in ["metadata", "quantity", "lines", "items", "colour"] {
            parse_all(format!(r#"{{"key":"k","meter":"text","{field}":{deep}}}"#).as_bytes());
        }
        parse_all(deep.as_bytes());
    }
    let many = format!(r#"{{"items":[{}1]}}"#, "1,".repeat(300_000));
    assert_eq!(batch::read_batch(many.as_bytes()).expect_err("too many").param, "items");
}

/// What a decimal text is worth, in millionths; `None` where it is no such number, is finer than a
/// millionth or does not fit an `i64`. Slow and plain.
fn plain_decimal(text: &str) -> Option<i64> {
    let (negative, unsigned) =
        text.strip_prefix('-').map_or((false, text), |unsigned| (true, unsigned));
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let places = exponent - i32::try_from(fraction.len()).ok()? + 6;
    let mut number: i128 = format!("{whole}{fraction}").parse().ok()?;
    for _ in 0..places.unsigned_abs() {
        number = match (number, places > 0) {
            (0, _) => break,
            (_, true) => number.checked_mul(10)?,
            (_, false) if number % 10 == 0 => number / 10,
            (_, false) => return None,
        };
    }
    i64::try_from(number).ok().map(|number| if negative { -number } else { number })
}

/// Decimals with up to 30 digits, so that the model's numbers suffice.
fn decimals() -> impl Strategy<Value = String> {
    let short = "-?[0-9]{1,8}(\\.[0-9]{1,7})?";
    let long = "-?[0-9]{1,20}(\\.[0-9]{1,10})?";
    let scientific = "-?[0-9]{1,12}(\\.0{0,4}[0-9]{1,6}0{0,4})?[eE][+-]?[0-9]{1,2}";
    let around = (999_999_999_999i64..=1_000_000_000_001, 0..3i64).prop_map(|(whole, rest)| {
        if rest == 0 { whole.to_string() } else { format!("{whole}.00000{rest}") }
    });
    prop_oneof![short, long, scientific, around]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn decimals_agree_with_the_plain_model(text in decimals()) {
        // D19
        prop_assert_eq!(parse_decimal(&text).ok(), plain_decimal(&text), "{}", text);
        let bounds = 0..=QUANTITY_MAX * MICRO;
        let fits = plain_decimal(&text).filter(|micros| bounds.contains(micros));
        prop_assert_eq!(Quantity::parse(&text).ok().map(Quantity::micros), fits, "{}", text);
        let quoted = RawValue::from_string(format!("\"{text}\"")).expect("JSON");
        let plain = fits.filter(|_| !text.contains(['e', 'E']));
        let read = |raw| quantity_or_none(raw).ok().map(Quantity::micros);
        prop_assert_eq!(read(&quoted), plain, "a string {}", text);
        // JSON itself has no numbers such as 007.
        if let Ok(number) = RawValue::from_string(text.clone()) {
            prop_assert_eq!(read(&number), fits, "a number {}", text);
            let positive = fits.filter(|micros| *micros > 0);
            prop_assert_eq!(quantity(&number).ok().map(Quantity::micros), positive, "{}", text);
        }
    }

    #[test]
    fn no_text_breaks_the_decimals(text in "[-+.eE0-9 xN]{0,70}|\\PC{0,70}") {
        if let Ok(micros) = parse_decimal(&text) {
            let shown = Credits::from_micros(micros).to_string();
            prop_assert_eq!(shown.parse(), Ok(Credits::from_micros(micros)), "{}", text);
        }
    }

    #[test]
    fn credits_are_read_as_they_are_written(
        micros in -i64::MAX..=i64::MAX,
        small in -10_000_000i64..10_000_000,
    ) {
        for micros in [micros, small] {
            let credits = Credits::from_micros(micros);
            let text = credits.to_string();
            prop_assert_eq!(text.parse(), Ok(credits), "{}", text);
            let trimmed = !text.contains('.') || !text.ends_with(['0', '.']);
            prop_assert!(trimmed && !text.contains(['e', 'E', '+']), "{}", text);
            let json = serde_json::to_string(&credits).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Credits>(&json).expect("credits"), credits);
        }
    }
}
