//! The questions: what an org has, may use, has used, and why it was refused.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::List;
use super::keyed::named;
use super::query::Query;
use crate::caps::{self, Cap};
use crate::clock::{DAY, day_start, rfc3339};
use crate::credits::{self, Balance, Movement, Page};
use crate::engine::Engine;
use crate::entitlements::{self, Entitled};
use crate::gate;
use crate::http::caller::MayRead;
use crate::http::error::ApiError;
use crate::units::Credits;
use crate::usage::{self, GroupBy, Projection, Usage, UsageQuery};

/// A balance with what is still to come.
#[derive(Serialize)]
pub struct BalanceBody {
    #[serde(flatten)]
    balance: Balance,
    cap: Option<CapBody>,
    overage_cap: Option<OverageCapBody>,
    projection: Option<Projection>,
}

#[derive(Serialize)]
struct CapBody {
    credits: Credits,
    kind: &'static str,
}

#[derive(Serialize)]
struct OverageCapBody {
    /// In minor units of the currency that overage is billed in.
    amount: i64,
    kind: &'static str,
}

/// What an org may use, and why.
#[derive(Serialize)]
pub struct EntitlementsBody {
    object: &'static str,
    features: Value,
    models: Value,
    limits: Value,
    sources: Value,
    blocks: Value,
}

/// A line of use, or several summed up.
#[derive(Serialize)]
#[serde(untagged)]
pub enum UsageLine {
    /// One line.
    One(Box<UsageBody>),
    /// Several.
    Group(usage::UsageGroup),
}

/// One line of use, as it stands in the list.
#[derive(Serialize)]
pub struct UsageBody {
    object: &'static str,
    id: String,
    seq: i64,
    key: String,
    meter: String,
    model: Option<String>,
    feature: Option<String>,
    quantity: Box<RawValue>,
    credits: Credits,
    overage: Credits,
    debt: Credits,
    #[serde(skip_serializing_if = "Option::is_none")]
    billed: Option<gate::Billed>,
    hold: Option<String>,
    late: bool,
    run: Option<String>,
    member: Option<String>,
    rate_card: String,
    cost: Option<i64>,
    metadata: Option<Box<RawValue>>,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<String>,
}

/// `GET /v1/balance`
pub async fn balance(
    State(engine): State<Engine>,
    MayRead(caller): MayRead,
    RawQuery(raw): RawQuery,
) -> Result<Json<BalanceBody>, ApiError> {
    Query::parse(raw.as_deref(), &[])?;
    let balance = gate::standing(&engine, &caller.org_id).await?;
    let cap = caps::current(&engine.db, &caller.org_id).await?;
    let (cap, overage_cap) = cap.as_ref().map_or((None, None), cap_bodies);
    let now = engine.clock.now();
    let days = usage::by_day(&engine.db, &caller.org_id, day_start(now) - 7 * DAY, now).await?;
    let period = (balance.allowance.period_start, balance.allowance.period_end);
    let projection = usage::project(&days, period, balance.allowance.period_used, now);
    Ok(Json(BalanceBody { balance, cap, overage_cap, projection }))
}

fn cap_bodies(cap: &Cap) -> (Option<CapBody>, Option<OverageCapBody>) {
    let kind = if cap.hard { "hard" } else { "soft" };
    let credits = cap.in_credits().map(|credits| CapBody { credits, kind });
    (credits, cap.overage_money.map(|amount| OverageCapBody { amount, kind }))
}

/// `GET /v1/entitlements`
pub async fn entitlements(
    State(engine): State<Engine>,
    MayRead(caller): MayRead,
    RawQuery(raw): RawQuery,
) -> Result<Json<EntitlementsBody>, ApiError> {
    Query::parse(raw.as_deref(), &[])?;
    let entitled = entitlements::of(&engine.db, &caller.org_id, engine.clock.now()).await?;
    Ok(Json(entitlements_body(&entitled)?))
}

fn entitlements_body(entitled: &Entitled) -> Result<EntitlementsBody, ApiError> {
    let value = |part| -> Result<Value, crate::error::Error> { Ok(part?) };
    Ok(EntitlementsBody {
        object: "entitlements",
        features: value(serde_json::to_value(&entitled.features))?,
        models: value(serde_json::to_value(&entitled.models))?,
        limits: value(serde_json::to_value(&entitled.limits))?,
        sources: value(serde_json::to_value(&entitled.sources))?,
        blocks: value(serde_json::to_value(&entitled.blocks))?,
    })
}

const USAGE_PARAMETERS: [&str; 10] =
    ["from", "to", "meter", "model", "member", "key", "run", "group_by", "limit", "starting_after"];

/// `GET /v1/usage`
pub async fn usage(
    State(engine): State<Engine>,
    MayRead(caller): MayRead,
    RawQuery(raw): RawQuery,
) -> Result<Json<List<UsageLine>>, ApiError> {
    let query = usage_query(raw.as_deref())?;
    let (db, org_id) = (&engine.db, caller.org_id.as_str());
    if let Some(by) = query.group_by {
        let (groups, has_more) = usage::groups(db, org_id, &query, by).await?;
        return Ok(Json(List::new(groups.into_iter().map(UsageLine::Group).collect(), has_more)));
    }
    let (lines, has_more) = usage::list(db, org_id, &query).await?;
    let lines: Result<Vec<UsageLine>, crate::error::Error> =
        lines.into_iter().map(|line| Ok(UsageLine::One(Box::new(usage_body(line)?)))).collect();
    Ok(Json(List::new(lines?, has_more)))
}

fn usage_query(raw: Option<&str>) -> Result<UsageQuery, ApiError> {
    let query = Query::parse(raw, &USAGE_PARAMETERS)?;
    let (from, to) = (query.time("from")?, query.time("to")?);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        return Err(ApiError::invalid("to", "to must be later than from."));
    }
    let group_by = query.text("group_by").map(|word| group_by(&word)).transpose()?;
    Ok(UsageQuery {
        from,
        to,
        meter: query.text("meter"),
        model: query.text("model"),
        member: query.text("member"),
        key: query.text("key"),
        run: query.text("run"),
        group_by,
        limit: query.limit()?,
        starting_after: match group_by {
            // Days are shown as times and counted in milliseconds.
            Some(GroupBy::Day) => query.time("starting_after")?.map(|at| at.to_string()),
            _ => query.text("starting_after"),
        },
    })
}

fn group_by(word: &str) -> Result<GroupBy, ApiError> {
    let found = GroupBy::ALL.into_iter().find(|(known, _)| *known == word);
    found.map(|(_, by)| by).ok_or_else(|| {
        let known = GroupBy::ALL.map(|(known, _)| known).join(", ");
        ApiError::invalid("group_by", format!("group_by must be one of {known}."))
    })
}

fn usage_body(usage: Usage) -> Result<UsageBody, crate::error::Error> {
    Ok(UsageBody {
        object: "usage",
        billed: gate::billed(std::slice::from_ref(&usage)),
        quantity: RawValue::from_string(usage.quantity().to_string())?,
        metadata: usage.metadata.map(RawValue::from_string).transpose()?,
        id: usage.id,
        seq: usage.seq,
        key: usage.key,
        meter: usage.meter,
        model: usage.model,
        feature: usage.feature,
        credits: usage.credits,
        overage: usage.overage,
        debt: usage.debt,
        hold: usage.hold_id,
        late: usage.late,
        run: usage.run,
        member: usage.member,
        rate_card: usage.rate_card,
        cost: usage.cost,
        at: rfc3339(usage.at),
        occurred_at: usage.occurred_at.map(rfc3339),
    })
}

/// `GET /v1/ledger`
pub async fn ledger(
    State(engine): State<Engine>,
    MayRead(caller): MayRead,
    RawQuery(raw): RawQuery,
) -> Result<Json<List<Movement>>, ApiError> {
    let query = Query::parse(raw.as_deref(), &["limit", "starting_after"])?;
    let page = Page { limit: query.limit()?, starting_after: query.text("starting_after") };
    let (movements, has_more) = credits::statement(&engine.db, &caller.org_id, &page).await?;
    Ok(Json(List::new(movements, has_more)))
}

/// `GET /v1/decisions/{id}`
pub async fn decision(
    State(engine): State<Engine>,
    MayRead(caller): MayRead,
    id: Result<Path<String>, PathRejection>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Value>, ApiError> {
    Query::parse(raw.as_deref(), &[])?;
    let id = named(id, "The decision")?;
    Ok(Json(gate::find_decision(&engine.db, &caller.org_id, &id).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_name_the_parameter_that_is_wrong() {
        let cases = [
            ("", None),
            ("from=2026-11-01T00:00:00Z&to=2026-12-01T00:00:00Z&group_by=day&limit=100", None),
            ("meter=text&model=m&member=user_1&key=key_1&run=r1&starting_after=usage_1", None),
            ("from=yesterday", Some("from")),
            ("to=2026-13-01T00:00:00Z", Some("to")),
            ("from=2026-11-01T00:00:00Z&to=2026-11-01T00:00:00Z", Some("to")),
            ("group_by=colour", Some("group_by")),
            ("limit=0", Some("limit")),
            ("limit=101", Some("limit")),
            ("group_by=day&starting_after=2026-11-03T00:00:00Z", None),
            ("group_by=day&starting_after=usage_1", Some("starting_after")),
            ("since=2026-11-01T00:00:00Z", Some("since")),
            ("meter=", Some("meter")),
        ];
        for (raw, wrong) in cases {
            let error = usage_query(Some(raw)).err();
            assert_eq!(error.as_ref().and_then(ApiError::param), wrong, "{raw}: {error:?}");
        }
    }
}
