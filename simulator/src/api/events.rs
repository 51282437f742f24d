//! Events, kept for thirty days.

use serde_json::Value;

use super::{Route, get};
use crate::billing::calendar::DAY;
use crate::errors::{Answer, ApiError};
use crate::http::{Call, page};
use crate::json::Json;

pub const ROUTES: &[Route] = &[get("/v1/events", list), get("/v1/events/{id}", read)];

/// How long events can be asked for.
pub const KEPT_SECONDS: i64 = 30 * DAY;

/// Whether a type is meant: by name, or by a leading part such as `invoice.*`.
fn meant(wanted: &str, kind: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => kind.starts_with(start),
        None => wanted == kind,
    }
}

fn list(call: &mut Call) -> Answer {
    let one = call.opt("type");
    let types: Vec<String> =
        call.params.list("types").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if one.is_some() && !types.is_empty() {
        let message = "You may only specify one of these parameters: type, types.";
        return Err(ApiError::invalid(message).with("param", "type"));
    }
    let delivered = call.params["delivery_success"].as_bool();
    let oldest = call.world.now() - KEPT_SECONDS;
    page(call, "event", "/v1/events", |event| {
        let kind = event.text("type");
        event.int("created") >= oldest
            && one.as_deref().is_none_or(|wanted| meant(wanted, kind))
            && (types.is_empty() || types.iter().any(|wanted| meant(wanted, kind)))
            && delivered.is_none_or(|ok| (event.int("pending_webhooks") == 0) == ok)
    })
}

fn read(call: &mut Call) -> Answer {
    Ok(call.world.render(call.world.find("event", call.id())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_match_by_name_or_start() {
        let table = [
            ("invoice.paid", "invoice.paid", true),
            ("invoice.*", "invoice.paid", true),
            ("invoice.paid", "invoice.created", false),
            ("*", "x.y", true),
        ];
        for (wanted, kind, expected) in table {
            assert_eq!(meant(wanted, kind), expected, "{wanted} {kind}");
        }
    }
}
