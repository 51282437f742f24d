//! Stripe's error answers: status, type, code, message and what comes with them.

use serde_json::{Value, json};

/// An error as the API answers it.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// The members of the `error` object.
    pub body: Value,
    /// Whether what was done before the error stays (a declined payment leaves its trace).
    pub keep: bool,
}

/// The result of every operation on the simulated account.
pub type Answer<T = Value> = Result<T, ApiError>;

impl ApiError {
    fn of(status: u16, kind: &str, message: impl Into<String>) -> ApiError {
        let body = json!({"type": kind, "message": message.into()});
        ApiError { status, body, keep: false }
    }

    /// A request Stripe cannot act on.
    pub fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::of(400, "invalid_request_error", message)
    }

    /// A request with a named mistake in a named parameter.
    pub fn param(code: &str, param: &str, message: impl Into<String>) -> ApiError {
        ApiError::invalid(message).with("code", code).with("param", param)
    }

    /// An object that does not exist; 404 in a path, 400 in a parameter.
    pub fn missing(kind: &str, id: &str, param: Option<&str>) -> ApiError {
        let noun = noun(kind);
        let mut error = ApiError::invalid(format!("No such {noun}: '{id}'"));
        error.status = if param.is_some() { 400 } else { 404 };
        let fallback = if kind == "product" || kind == "price" { kind } else { "id" };
        error.with("code", "resource_missing").with("param", param.unwrap_or(fallback))
    }

    /// A path that no endpoint has.
    pub fn unknown_url(method: &str, path: &str) -> ApiError {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        ApiError { status: 404, ..ApiError::invalid(message) }
    }

    /// No key, or one the simulator must not take.
    pub fn unauthorized(message: impl Into<String>) -> ApiError {
        ApiError { status: 401, ..ApiError::invalid(message) }
    }

    /// Something broke on Stripe's side.
    pub fn server(message: impl Into<String>) -> ApiError {
        ApiError::of(500, "api_error", message)
    }

    /// Too many requests.
    pub fn rate_limit() -> ApiError {
        let message = "Too many requests hit the API too quickly.";
        ApiError { status: 429, ..ApiError::invalid(message) }.with("code", "rate_limit")
    }

    /// Somebody else works on the same object.
    pub fn lock_timeout() -> ApiError {
        let message = "This object cannot be accessed right now because another API request or \
                       Stripe process is currently accessing it.";
        ApiError { status: 409, ..ApiError::invalid(message) }.with("code", "lock_timeout")
    }

    /// The same idempotency key in a request that is still running.
    pub fn key_in_use() -> ApiError {
        let message = "There is currently another in-progress request using this idempotency \
                       key. Please try again later.";
        let error = ApiError::of(409, "idempotency_error", message);
        error.with("code", "idempotency_key_in_use")
    }

    /// The same idempotency key with other parameters.
    pub fn idempotency(key: &str) -> ApiError {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were \
             first used with. Try using a key other than '{key}' if you meant to execute a \
             different request."
        );
        ApiError::of(400, "idempotency_error", message)
    }

    /// A payment the card issuer refused. What was recorded about the attempt stays.
    pub fn card(code: &str, decline_code: &str, message: &str) -> ApiError {
        let error =
            ApiError { status: 402, keep: true, ..ApiError::of(402, "card_error", message) };
        error.with("code", code).with("decline_code", decline_code)
    }

    /// Adds a member to the `error` object.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> ApiError {
        self.body[name] = value.into();
        self
    }

    /// The whole answer body.
    pub fn json(&self, request: &str) -> Value {
        let mut body = self.body.clone();
        if let Some(code) = body["code"].as_str() {
            let url = format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-"));
            body["doc_url"] = url.into();
        }
        let log = format!("https://dashboard.stripe.com/test/logs/{request}");
        body["request_log_url"] = log.into();
        json!({ "error": body })
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or("")
    }
}

/// How Stripe names a kind of object in its messages.
fn noun(kind: &str) -> &str {
    match kind {
        "payment_method" => "PaymentMethod",
        "webhook_endpoint" => "webhook endpoint",
        "subscription_item" => "subscription_item",
        "test_helpers.test_clock" => "testclock",
        "billing_portal.configuration" => "configuration",
        other => other,
    }
}
