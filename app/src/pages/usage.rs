//! `/usage`: what was used by day and meter, filtered by a plain GET form, and the single lines.

use std::collections::{BTreeMap, BTreeSet};

use leptos::prelude::*;
use server::api_keys::{self, ApiKey};
use server::auth::{Permission, Who};
use server::clock::{DAY, Millis, add_months};
use server::engine::Engine;
use server::entitlements;
use server::gate;
use server::orgs;
use server::rates::RateCard;
use server::units::Credits;
use server::usage::{self, DayMeter, Usage, UsageQuery};

use super::credits::pager;
use super::dashboard::{BILLED, costs_money};
use super::days::daily_card;
use super::meter_label;
use crate::chart::DayChart;
use crate::error::AppError;
use crate::layout::Column::{Number, Text, Wide, WideNumber};
use crate::layout::{self, Place};
use crate::{format, web};

/// Lines on a page.
const PAGE: i64 = 25;

/// `/usage`
pub fn usage() -> AnyView {
    layout::members(Place::Usage, Permission::SeeOrg, content)
}

/// What the filters say.
struct Filter {
    span: &'static str,
    window: (Millis, Millis),
    meter: Option<String>,
    after: Option<String>,
}

/// The spans that can be chosen, by their word in the address.
const SPANS: [(&str, &str); 4] = [
    ("period", "This period"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("12m", "Last 12 months"),
];

impl Filter {
    fn read(rates: &RateCard, period: (Millis, Millis), now: Millis) -> Self {
        let asked = web::query_text("span").unwrap_or_default();
        let span = SPANS.iter().map(|span| span.0).find(|span| *span == asked);
        let span = span.unwrap_or("period");
        let known = |meter: &String| rates.meters.contains_key(meter);
        Self {
            span,
            window: window(span, period, now),
            meter: web::query_text("meter").filter(known),
            after: web::query_text("after"),
        }
    }

    /// The address of the lines after this one, or of the newest, with the same filters.
    fn page(&self, after: Option<&Usage>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("span", self.span);
        if let Some(meter) = &self.meter {
            query.append_pair("meter", meter);
        }
        if let Some(last) = after {
            query.append_pair("after", &last.id);
        }
        format!("/usage?{}", query.finish())
    }
}

/// The time that a span means, half open, in whole days.
fn window(span: &str, period: (Millis, Millis), now: Millis) -> (Millis, Millis) {
    let tomorrow = now - now.rem_euclid(DAY) + DAY;
    match span {
        "7d" => (tomorrow - 7 * DAY, tomorrow),
        "30d" => (tomorrow - 30 * DAY, tomorrow),
        "12m" => (add_months(tomorrow, -12), tomorrow),
        _ => period,
    }
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    let now = engine.clock.now();
    let allowance = gate::standing(&engine, &who.org_id).await?.allowance;
    let period = (allowance.period_start, allowance.period_end);
    let filter = Filter::read(&engine.rates, period, now);
    let (from, to) = filter.window;
    let mut days = usage::by_day(&engine.db, &who.org_id, from, to).await?;
    if let Some(meter) = &filter.meter {
        days.retain(|day| &day.meter == meter);
    }
    let query = UsageQuery {
        from: Some(from),
        to: Some(to),
        meter: filter.meter.clone(),
        limit: PAGE,
        starting_after: filter.after.clone(),
        ..UsageQuery::default()
    };
    let (lines, more) = usage::list(&engine.db, &who.org_id, &query).await?;
    let entitled = entitlements::of(&engine.db, &who.org_id, now).await?;
    let (in_money, in_credits): (Vec<DayMeter>, Vec<DayMeter>) =
        days.into_iter().partition(|day| costs_money(day, &entitled, &engine.rates));
    let about = format!("{}, {} (UTC)", summary(&in_credits, &in_money), format::period(from, to));
    let label = |meter: &str| meter_label(&engine.rates, meter);
    let chart = DayChart::new(&in_credits, filter.window, now, label);
    let drawn = filter.span != "12m" && (!in_credits.is_empty() || in_money.is_empty());
    Ok(view! {
        {layout::heading("Usage", about, ().into_any())}
        {filters(&filter, &engine.rates)}
        {drawn.then(|| daily_card("Use by day", &chart))}
        {by_meter(&in_credits, &in_money, &engine.rates)}
        {events(&lines, more, &filter, &Names::read(&engine, &who.org_id, &lines).await?)}
    }
    .into_any())
}

fn filters(filter: &Filter, rates: &RateCard) -> AnyView {
    let spans: Vec<_> = SPANS
        .iter()
        .map(|(word, label)| {
            view! { <option value=*word selected={*word == filter.span}>{*label}</option> }
        })
        .collect();
    let meters: Vec<_> = rates
        .meters
        .iter()
        .map(|(name, meter)| {
            let selected = filter.meter.as_ref() == Some(name);
            let (name, label) = (name.clone(), meter.label.clone());
            view! { <option value=name selected=selected>{label}</option> }
        })
        .collect();
    view! {
        <form class="filters" method="get" action="/usage" aria-label="Filter usage">
            <div class="field">
                <label for="span">"Time"</label>
                <select class="input" id="span" name="span">
                    {spans}
                </select>
            </div>
            <div class="field">
                <label for="meter">"Meter"</label>
                <select class="input" id="meter" name="meter">
                    <option value="">"All meters"</option>
                    {meters}
                </select>
            </div>
            <button type="submit" class="btn">"Apply"</button>
        </form>
    }
    .into_any()
}

/// What was used, in credits and in money, and in how many requests.
fn summary(in_credits: &[DayMeter], in_money: &[DayMeter]) -> String {
    let total = format::with_unit(in_credits.iter().map(|day| day.credits).sum());
    let count = in_credits.iter().chain(in_money).map(|day| day.count).sum();
    let requests = format::count(count, "request", "requests");
    match (in_credits.is_empty(), in_money.is_empty()) {
        (_, true) => format!("{total} in {requests}"),
        (true, false) => format!("{requests}, billed in money"),
        (false, false) => format!("{total} and what is billed in money, in {requests}"),
    }
}

/// What a meter comes to.
#[derive(Default)]
struct Sum {
    credits: Credits,
    in_credits: bool,
    in_money: bool,
    count: i64,
}

fn by_meter(in_credits: &[DayMeter], in_money: &[DayMeter], rates: &RateCard) -> AnyView {
    if in_credits.is_empty() && in_money.is_empty() {
        return ().into_any();
    }
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for day in in_credits {
        let sum = sums.entry(&day.meter).or_default();
        sum.credits = sum.credits.plus(day.credits).unwrap_or(sum.credits);
        (sum.in_credits, sum.count) = (true, sum.count + day.count);
    }
    for day in in_money {
        let sum = sums.entry(&day.meter).or_default();
        (sum.in_money, sum.count) = (true, sum.count + day.count);
    }
    let mut sums: Vec<(&str, Sum)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.credits));
    let rows: Vec<_> = sums
        .into_iter()
        .map(|(meter, sum)| {
            let credits = sum.in_credits.then(|| format::credits(sum.credits));
            let and = (sum.in_credits && sum.in_money).then_some(" and ");
            let money = sum.in_money.then(|| view! { <a href=BILLED>"billed in money"</a> });
            view! {
                <tr>
                    <th scope="row">{meter_label(rates, meter)}</th>
                    <td class="num">{format::number(sum.count)}</td>
                    <td class="num strong">{credits} {and} {money}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <section class="card stack tight" aria-labelledby="by-meter">
            <h2 id="by-meter">"By meter"</h2>
            <table class="table">
                <thead>
                    <tr>
                        <th scope="col">"Meter"</th>
                        <th scope="col" class="num">"Requests"</th>
                        <th scope="col" class="num">"Credits"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </section>
    }
    .into_any()
}

/// What people call the meters, keys and members of the lines.
struct Names<'a> {
    rates: &'a RateCard,
    keys: BTreeMap<String, String>,
    members: BTreeMap<String, String>,
}

impl<'a> Names<'a> {
    async fn read(engine: &'a Engine, org_id: &str, lines: &[Usage]) -> Result<Self, AppError> {
        let used: BTreeSet<String> =
            lines.iter().filter_map(|line| line.api_key_id.clone()).collect();
        let used: Vec<String> = used.into_iter().collect();
        let keys = api_keys::named(&engine.db, org_id, &used).await?;
        let members = orgs::members(&engine.db, org_id).await?;
        Ok(Self {
            rates: &engine.rates,
            keys: keys.into_iter().map(|key| (key.id.clone(), key_name(&key))).collect(),
            members: members.into_iter().map(|member| (member.user_id, member.name)).collect(),
        })
    }

    /// Who used it: the key and the member whom it named, where that is one of the org; else the
    /// member alone.
    fn of(&self, line: &Usage) -> String {
        let named =
            |id: &String, names: &BTreeMap<String, String>| names.get(id).unwrap_or(id).clone();
        match (&line.api_key_id, &line.member) {
            (Some(key), member) => {
                let member = member.as_ref().and_then(|member| self.members.get(member));
                let member = member.map(|name| format!(", {name}")).unwrap_or_default();
                format!("{}{member}", named(key, &self.keys))
            }
            (None, Some(member)) => named(member, &self.members),
            (None, None) => "–".to_owned(),
        }
    }
}

/// What people call a key: its name, and whether it is refused by now. A service key is the
/// product itself, which people here neither made nor revoke.
fn key_name(key: &ApiKey) -> String {
    match (&key.org_id, key.revoked_at) {
        (None, _) => format::sentence(&key.name),
        (Some(_), None) => key.name.clone(),
        (Some(_), Some(_)) => format!("{} (revoked)", key.name),
    }
}

fn events(lines: &[Usage], more: bool, filter: &Filter, names: &Names<'_>) -> AnyView {
    if lines.is_empty() {
        let about = "No line matches these filters.";
        let action = view! { <a class="btn" href="/usage">"Show this period"</a> };
        return layout::empty("Nothing here", about, action.into_any());
    }
    let rows: Vec<AnyView> = lines.iter().map(|line| event(line, names)).collect();
    let older = lines.last().filter(|_| more).map(|last| filter.page(Some(last)));
    let table = layout::table(
        "Requests",
        &[
            Text("Time"),
            Text("Meter"),
            WideNumber("Quantity"),
            Wide("Model"),
            Wide("By"),
            Number("Credits"),
        ],
        rows,
    );
    view! {
        <section class="card stack tight" aria-labelledby="events">
            <div class="row spread">
                <h2 id="events">"Requests"</h2>
                <span class="mute fine">"times in UTC"</span>
            </div>
            {table}
            {pager("Request pages", filter.page(None), filter.after.is_some(), older)}
        </section>
    }
    .into_any()
}

fn event(line: &Usage, names: &Names<'_>) -> AnyView {
    let rates = names.rates;
    let quantity = Credits::from_micros(line.quantity().micros());
    let unit = rates.meters.get(&line.meter).map(|meter| meter.unit.clone());
    view! {
        <tr>
            <td class="nowrap mute">
                {format::short_day(line.at)} " " {format::time(line.at)}
            </td>
            <th scope="row">{meter_label(rates, &line.meter)}</th>
            <td class="num wide">{format::credits(quantity)} " " <small>{unit}</small></td>
            <td class="wide">{line.model.clone().unwrap_or_else(|| "–".to_owned())}</td>
            <td class="wide">{names.of(line)}</td>
            <td class="num strong">{cost(line)}</td>
        </tr>
    }
    .into_any()
}

/// What a line cost: credits, or money where a contract bills it so.
fn cost(line: &Usage) -> String {
    match &line.billed_currency {
        Some(currency) if line.credits == Credits::ZERO && line.billed > 0 => {
            format::unit_price(line.billed, currency)
        }
        _ => format::credits(line.credits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_with_today() {
        let now = 20 * DAY + 5;
        let period = (18 * DAY, 48 * DAY);
        let cases = [
            ("7d", (14 * DAY, 21 * DAY)),
            ("30d", (-9 * DAY, 21 * DAY)),
            ("period", period),
            ("nonsense", period),
        ];
        for (span, expected) in cases {
            assert_eq!(window(span, period, now), expected, "{span}");
        }
    }
}
