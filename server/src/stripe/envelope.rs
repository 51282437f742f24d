//! The little that is read of an event before its object is looked at anew. Pure.
//!
//! Everything else of an event stays raw bytes, so that no change of shape can turn a delivery into
//! an error. Reads the events that carry their object as well as those that only name it.

use serde::Deserialize;
use serde_json::Value;

/// An event's outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// `evt_…`
    pub id: String,
    /// `invoice.paid`, without the version prefix that thin events carry.
    pub kind: String,
    /// Whether real money moved.
    pub livemode: bool,
    /// When it happened, in seconds.
    pub created: i64,
    /// The object it is about.
    pub object_id: Option<String>,
    /// That object's customer; the object itself where it is a customer.
    pub customer_id: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    livemode: Option<bool>,
    /// A number of seconds, or RFC 3339 in thin events.
    created: Option<Value>,
    data: Option<Data>,
    related_object: Option<Related>,
}

#[derive(Deserialize)]
struct Data {
    object: Option<Value>,
}

#[derive(Deserialize)]
struct Related {
    id: Option<String>,
}

/// Reads an event. Only its id and type must be there.
pub fn parse(body: &[u8]) -> Result<Envelope, String> {
    let raw: Raw = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let bounded = |text: &str| !text.is_empty() && text.len() <= 255;
    if !bounded(&raw.id) || !bounded(&raw.kind) {
        return Err("id and type must be 1 to 255 characters".to_owned());
    }
    let object = raw.data.and_then(|data| data.object).unwrap_or(Value::Null);
    let related = raw.related_object.and_then(|related| related.id);
    let object_id = object["id"].as_str().map(str::to_owned).or(related);
    let is_customer = object_id.as_deref().is_some_and(|id| id.starts_with("cus_"));
    let customer_id = if is_customer { object_id.clone() } else { customer(&object["customer"]) };
    Ok(Envelope {
        id: raw.id,
        kind: raw.kind.strip_prefix("v1.").unwrap_or(&raw.kind).to_owned(),
        livemode: raw.livemode.unwrap_or(false),
        created: raw.created.as_ref().map_or(0, seconds),
        object_id,
        customer_id,
    })
}

/// A customer is named by its id, or by the whole object where it was expanded.
fn customer(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["id"].as_str()).map(str::to_owned)
}

fn seconds(value: &Value) -> i64 {
    let text = value.as_str().and_then(crate::clock::parse_rfc3339);
    value.as_i64().or(text.map(|millis| millis / 1_000)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_that_are_known() {
        let parse = |text: &str| parse(text.as_bytes()).expect("an event");
        let snapshot = parse(
            r#"{"id":"evt_1","object":"event","type":"invoice.paid","created":5,"livemode":true,
                "data":{"object":{"id":"in_1","metadata":null,"customer":"cus_1"}}}"#,
        );
        assert_eq!(snapshot.object_id.as_deref(), Some("in_1"));
        assert_eq!(snapshot.customer_id.as_deref(), Some("cus_1"));
        assert_eq!((snapshot.created, snapshot.livemode), (5, true));

        let thin = parse(
            r#"{"id":"evt_2","object":"v2.core.event","type":"v1.customer.subscription.updated",
                "created":"2026-09-30T00:00:00Z","livemode":false,
                "related_object":{"id":"sub_1","type":"subscription","url":"/v1/…"}}"#,
        );
        assert_eq!(thin.kind, "customer.subscription.updated");
        assert_eq!(thin.object_id.as_deref(), Some("sub_1"));
        assert_eq!(thin.created, 1_790_726_400);

        let customer =
            parse(r#"{"id":"evt_3","type":"customer.updated","data":{"object":{"id":"cus_9"}}}"#);
        assert_eq!(customer.customer_id.as_deref(), Some("cus_9"));

        let expanded =
            parse(r#"{"id":"evt_4","type":"x","data":{"object":{"customer":{"id":"cus_2"}}}}"#);
        assert_eq!(expanded.customer_id.as_deref(), Some("cus_2"));
        assert_eq!(parse(r#"{"id":"evt_5","type":"new.thing"}"#).object_id, None);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for text in ["", "[]", "{}", "null", r#"{"id":1,"type":"x"}"#, r#"{"id":"","type":"x"}"#] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
