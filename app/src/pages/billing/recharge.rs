//! Auto-recharge: what is wanted, how it goes, and what to do where it does not go on.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::Who;
use server::autorecharge::{Pause, Setting};
use server::catalog::Pack;
use server::engine::Engine;
use server::recharges::{self, Attempt, Overview};
use server::units::{currency_exponent, money};

use crate::acts::recharge::{SaveRecharge, StopRecharge};
use crate::error::AppError;
use crate::format;
use crate::forms::{self, FormState, Input};
use crate::islands::Enhance;
use crate::layout;

/// Where another card is put in.
const CARD: (&str, &str) = ("Update the card", "/billing/card");

/// What auto-recharge does, and its form.
pub async fn card(engine: &Engine, who: &Who, packs: &[Pack]) -> Result<AnyView, AppError> {
    let overview = recharges::overview(engine, &who.org_id).await?;
    let form = forms::state::<SaveRecharge>().await?;
    let setting = overview.setting.as_ref().filter(|setting| setting.enabled);
    let badge = match setting {
        None => view! { <span class="badge">"Off"</span> },
        Some(setting) if setting.is_armed() => view! { <span class="badge ok">"On"</span> },
        Some(_) => view! { <span class="badge bad">"Paused"</span> },
    };
    let stop = setting.map(|_| stop_form());
    Ok(view! {
        <section class="card stack" id="recharge" aria-labelledby="recharge-title">
            <div class="row spread">
                <h2 id="recharge-title">"Auto-recharge"</h2>
                {badge}
            </div>
            {trouble(&overview, engine.clock.now())}
            {setting.map(|setting| facts(setting, &overview, packs))}
            {save_form(&overview, packs, &form)}
            {stop}
            {attempts(&overview.attempts)}
        </section>
    }
    .into_any())
}

/// What keeps it from going on, and what to do.
fn trouble(overview: &Overview, now: i64) -> Option<AnyView> {
    let tell = |level, message: &str, link: Option<(&str, &str)>| {
        let link = link.map(|(label, href)| (label.to_owned(), href.to_owned()));
        Some(layout::notice(level, message.to_owned(), link))
    };
    let Some(setting) = overview.setting.as_ref().filter(|setting| setting.enabled) else {
        let missing = "There is no card to charge yet. Add one before you switch this on.";
        let add = Some(("Add a card", CARD.1));
        return if overview.card.is_none() { tell("info", missing, add) } else { None };
    };
    match setting.pause() {
        Some(Pause::Declined) => tell(
            "bad",
            "Paused: the card was declined. Put another one in its place, or save again to try \
             this one once more.",
            Some(CARD),
        ),
        Some(Pause::Authentication) => tell(
            "bad",
            "Paused: your bank wants you to confirm. Buy a pack once yourself, and auto-recharge \
             goes on.",
            Some(("Buy a pack", "#packs")),
        ),
        Some(Pause::Dispute) => {
            tell("bad", "Paused: a payment is disputed. Save again once that is settled.", None)
        }
        Some(Pause::NoCard) => {
            tell("bad", "Paused: there is no card that could be charged.", Some(CARD))
        }
        Some(Pause::PriceGone) => {
            tell("bad", "Paused: the pack is not sold any more. Choose another one.", None)
        }
        None if setting.next_at > now => {
            let when = format::stamp(setting.next_at);
            let message = format!(
                "The card was declined. It is tried again on {when}, at the earliest; another \
                 card is tried at once."
            );
            tell("warn", &message, Some(CARD))
        }
        None => None,
    }
}

/// What is wanted, in lines.
fn facts(setting: &Setting, overview: &Overview, packs: &[Pack]) -> AnyView {
    let pack = packs.iter().find(|pack| pack.price.id == setting.price_id);
    let buys = pack.map_or_else(|| "A pack that is not sold any more".to_owned(), pack_words);
    let currency = pack.map_or("", |pack| pack.price.currency.as_str());
    let month = format!(
        "{} of at most {}",
        money(overview.charged, currency),
        money(setting.monthly_max, currency)
    );
    let below = format!("fewer than {} are left", format::with_unit(setting.threshold));
    let card = overview.card.as_ref().map(|card| card.spoken());
    let card = card.map(|card| view! { <div><dt>"Charged to"</dt><dd>{card}</dd></div> });
    view! {
        <dl class="lines">
            <div><dt>"When"</dt><dd>{below}</dd></div>
            <div><dt>"Buys"</dt><dd>{buys}</dd></div>
            <div><dt>"This month (UTC)"</dt><dd>{month}</dd></div>
            {card}
        </dl>
    }
    .into_any()
}

fn pack_words(pack: &Pack) -> String {
    format!("{} for {}", pack.name, money(pack.price.amount, &pack.price.currency))
}

fn save_form(overview: &Overview, packs: &[Pack], form: &FormState) -> AnyView {
    if packs.is_empty() {
        return view! { <p class="mute">"No pack is on sale at the moment."</p> }.into_any();
    }
    let known = overview.setting.as_ref();
    let currency = |price: &str| {
        let pack = packs.iter().find(|pack| pack.price.id == price).or(packs.first());
        pack.map_or_else(String::new, |pack| pack.price.currency.clone())
    };
    let mut state = form.clone();
    if let Some(setting) = known {
        let most = plain_money(setting.monthly_max, &currency(&setting.price_id));
        state = state
            .or_value("threshold", &format::credits(setting.threshold))
            .or_value("monthly_max", &most)
            .or_value("pack", &setting.price_id);
    }
    let chosen = state.value("pack").unwrap_or_default().to_owned();
    let unit: &'static str = match currency(&chosen).as_str() {
        "usd" => "USD",
        "eur" => "EUR",
        "gbp" => "GBP",
        _ => "",
    };
    let label = match known.filter(|setting| setting.enabled) {
        Some(setting) if setting.is_armed() => "Save changes",
        Some(_) => "Save and go on",
        None => "Switch on",
    };
    let threshold = Input {
        name: "threshold",
        label: "When fewer than this are left",
        unit: "credits",
        ..Input::default()
    };
    let most = Input {
        name: "monthly_max",
        label: "Spend at most, each month",
        hint: "A calendar month, UTC.",
        unit,
        ..Input::default()
    };
    let packs = pack_field(packs, &state, &chosen);
    view! {
        <Enhance>
            <form class="stack" method="post" action=SaveRecharge::url() novalidate>
                {forms::form_error(&state)}
                {forms::field(&state, threshold)}
                {packs}
                {forms::field(&state, most)}
                <p class="mute fine">
                    "Your card is charged without asking you again, up to that most. Credits come \
                     when the payment went through. You can switch it off any time."
                </p>
                <div class="row end">
                    <button type="submit" class="btn primary">{label}</button>
                </div>
            </form>
        </Enhance>
    }
    .into_any()
}

fn pack_field(packs: &[Pack], state: &FormState, chosen: &str) -> AnyView {
    let invalid = state.error("pack").is_some();
    let options: Vec<AnyView> = packs
        .iter()
        .map(|pack| {
            let selected = pack.price.id == chosen;
            let words = pack_words(pack);
            view! { <option value=pack.price.id.clone() selected=selected>{words}</option> }
                .into_any()
        })
        .collect();
    view! {
        <div class="field">
            <label for="recharge-pack">"Buy"</label>
            <select
                class="input"
                id="recharge-pack"
                name="pack"
                aria-invalid=invalid.then_some("true")
                aria-describedby="pack-error"
            >
                {options}
            </select>
            {forms::field_error(state, "pack")}
        </div>
    }
    .into_any()
}

/// As it may be typed: `100`, `12.50`.
fn plain_money(minor: i64, currency: &str) -> String {
    let exponent = currency_exponent(currency);
    let scale = 10_i64.pow(exponent);
    let (whole, rest) = (minor / scale, minor % scale);
    let width = usize::try_from(exponent).unwrap_or(2);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:0width$}") }
}

fn stop_form() -> AnyView {
    view! {
        <form method="post" action=StopRecharge::url()>
            <button type="submit" class="btn small danger">"Switch off"</button>
        </form>
    }
    .into_any()
}

fn attempts(attempts: &[Attempt]) -> Option<AnyView> {
    if attempts.is_empty() {
        return None;
    }
    let rows: Vec<AnyView> = attempts.iter().map(attempt_row).collect();
    Some(
        view! {
            <table class="table">
                <caption>"The last purchases"</caption>
                <thead class="sr">
                    <tr>
                        <th scope="col">"Day"</th>
                        <th scope="col">"Credits, and what came of it"</th>
                        <th scope="col">"Amount"</th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        }
        .into_any(),
    )
}

fn attempt_row(attempt: &Attempt) -> AnyView {
    let came = match attempt.status.as_str() {
        "succeeded" => "Paid".to_owned(),
        "open" => "Under way".to_owned(),
        "processing" => "Under way; this way of paying takes some days".to_owned(),
        _ => attempt.message.clone().unwrap_or_else(|| "Not paid".to_owned()),
    };
    view! {
        <tr>
            <td class="nowrap mute">{format::short_day(attempt.created_at)}</td>
            <th scope="row">{format::with_unit(attempt.credits)} <br/> <small>{came}</small></th>
            <td class="num strong">{money(attempt.amount, &attempt.currency)}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_as_it_may_be_typed() {
        let cases = [(10_000, "usd", "100"), (1_250, "usd", "12.50"), (500, "jpy", "500")];
        for (minor, currency, expected) in cases {
            assert_eq!(plain_money(minor, currency), expected);
        }
    }
}
