//! The vendored API description: which parameters an endpoint takes, what an object holds.
//!
//! Loaded once from `spec/`, with the few differences of the served API version laid over it. It
//! knows shapes only; behaviour is elsewhere.

mod complete;
mod params;
mod validate;

use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

pub use complete::{branch, complete};
pub use params::{Operation, check};
pub use validate::{validate, validate_object};

static PACKED: &[u8] = include_bytes!("../../spec/spec3.subset.json.gz");
/// Endpoints and objects that the vendored document leaves out, in the same form.
const EXTRA: [&str; 4] = [
    include_str!("../../spec/extra/credit_notes.json"),
    include_str!("../../spec/extra/subscription_schedules.json"),
    include_str!("../../spec/extra/payment_pages.json"),
    include_str!("../../spec/extra/pausing.json"),
];
static SPEC: OnceLock<Spec> = OnceLock::new();

/// The description, ready to be asked.
pub struct Spec {
    doc: Value,
}

/// The one loaded description. A broken vendored file yields an empty one, which every request
/// would notice; a test holds that it loads.
pub fn spec() -> &'static Spec {
    SPEC.get_or_init(|| {
        let mut text = String::new();
        let unpacked = GzDecoder::new(PACKED).read_to_string(&mut text);
        let doc = match unpacked {
            Ok(_) => serde_json::from_str(&text).unwrap_or(Value::Null),
            Err(_) => Value::Null,
        };
        let mut spec = Spec { doc };
        spec.overlay();
        spec
    })
}

impl Spec {
    /// The schema of a component, or null.
    pub fn schema(&self, name: &str) -> &Value {
        &self.doc["components"]["schemas"][name]
    }

    /// Follows a `$ref`, if there is one.
    pub fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match reference(schema) {
            Some(name) => self.schema(name),
            None => schema,
        }
    }

    /// The operation behind a path pattern and method, if the description has it.
    pub fn operation(&self, pattern: &str, method: &str) -> Option<Operation> {
        let operation = &self.doc["paths"][pattern][method.to_ascii_lowercase()];
        operation.is_object().then(|| Operation::read(operation))
    }

    /// The schema of an endpoint's answer with this status, or null.
    pub fn response(&self, pattern: &str, method: &str, status: u16) -> &Value {
        let responses = &self.doc["paths"][pattern][method.to_ascii_lowercase()]["responses"];
        let found = responses.get(status.to_string()).unwrap_or(&responses["default"]);
        &found["content"]["application/json"]["schema"]
    }

    /// Lays the hand-written fragments over the document. A broken one is as good as none, which
    /// a test holds.
    fn extend(&mut self) {
        for text in EXTRA {
            let extra: Value = serde_json::from_str(text).unwrap_or(Value::Null);
            lay(&mut self.doc["paths"], &extra["paths"]);
            lay(&mut self.doc["components"]["schemas"], &extra["components"]["schemas"]);
        }
    }

    /// What the served version and the SDKs have beyond the published document.
    fn overlay(&mut self) {
        self.extend();
        let text = json!({"type": "string"});
        let texts = json!({"type": "array", "items": text});
        for path in ["/v1/checkout/sessions", "/v1/payment_intents", "/v1/setup_intents"] {
            body(&mut self.doc, path)["allowed_payment_method_types"] = texts.clone();
        }
        let ui_modes = &mut body(&mut self.doc, "/v1/checkout/sessions")["ui_mode"]["enum"];
        *ui_modes = json!(["elements", "embedded_page", "form", "hosted_page"]);
        body(&mut self.doc, "/v1/webhook_endpoints")["api_version"] = text.clone();
        body(&mut self.doc, "/v1/products")["type"] =
            json!({"type": "string", "enum": ["good", "service"]});
        let product = &mut self.doc["components"]["schemas"]["product"];
        product["properties"]["type"] = json!({"type": "string", "enum": ["service", "good"]});
        if let Some(required) = product["required"].as_array_mut() {
            required.push(json!("type"));
        }
    }
}

/// Adds the members of one object to another.
fn lay(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        into.extend(from.clone());
    }
}

/// The form properties of an endpoint's POST.
fn body<'a>(doc: &'a mut Value, path: &str) -> &'a mut Value {
    let post = &mut doc["paths"][path]["post"]["requestBody"]["content"];
    &mut post["application/x-www-form-urlencoded"]["schema"]["properties"]
}

/// The component a `$ref` points to.
pub fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()
}

/// The properties of an object schema.
pub fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendored_description_loads() {
        assert!(spec().schema("customer").is_object());
        assert!(spec().operation("/v1/customers", "POST").is_some());
        assert!(spec().operation("/v1/nothing", "POST").is_none());
        for text in EXTRA {
            serde_json::from_str::<Value>(text).expect("a fragment");
        }
        assert!(spec().schema("credit_note").is_object());
    }
}
