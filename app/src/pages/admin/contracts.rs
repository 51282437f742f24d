//! The terms made for one org: what was agreed, ending it, and agreeing on something new.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::clock::Millis;
use server::contracts::{self, Contract};
use server::engine::Engine;
use server::entitlements::ContractTerms;

use super::forms::key;
use crate::acts::admin::{EndContract, MakeContract};
use crate::error::AppError;
use crate::forms::{self, FormState, Input};
use crate::islands::Enhance;
use crate::{format, web};

/// Contracts shown.
const SHOWN: i64 = 50;

/// What a new contract's text begins with. As it stands it is refused, since nothing is named.
const EXAMPLE: &str = r#"name = ""
currency = "usd"
replaces = false                     # true: instead of what the tier allows
# starts = "2027-01-01T00:00:00Z"    # now, unless said
# ends = "2028-01-01T00:00:00Z"      # open-ended, unless said
# included_credits = 50000           # each month
# features = ["video"]
# models = ["*"]
# overage_price = "0.8"              # minor units for a credit past all that are there
# days_until_due = 30                # its invoices are sent, not charged
# [limits]
# seats = 100
# [meters]
# resolution = 99                    # minor units for each: billed in money, costs no credits
"#;

/// The contracts of an org, and the form for a new one unless it is closed.
pub async fn section(engine: &Engine, org_id: &str, closed: bool) -> Result<AnyView, AppError> {
    let now = engine.clock.now();
    let all = contracts::list(&engine.db, Some(org_id), SHOWN).await?;
    let made = forms::state::<MakeContract>().await?.about("org", org_id);
    let ended = forms::state::<EndContract>().await?;
    let asked = web::query_text("end");
    let doomed = all.iter().find(|one| Some(&one.id) == asked.as_ref());
    let doomed = doomed.filter(|one| one.standing(now) != "ended");
    let rows: Result<Vec<AnyView>, AppError> = all.iter().map(|one| row(one, now)).collect();
    let rows = rows?;
    let body = match rows.is_empty() {
        true => {
            let none = "Nothing was agreed with this organisation: what its plan allows counts.";
            view! { <p class="mute">{none}</p> }.into_any()
        }
        false => view! { <ul class="plain rows">{rows}</ul> }.into_any(),
    };
    Ok(view! {
        {doomed.map(|one| confirm(one, &ended.about("contract", &one.id)))}
        <section class="card stack" id="contracts" aria-labelledby="contracts-title">
            <h2 id="contracts-title">"Contracts"</h2>
            {body}
            {(!closed).then(|| new_form(org_id, &made, now))}
        </section>
    }
    .into_any())
}

fn row(contract: &Contract, now: Millis) -> Result<AnyView, AppError> {
    let standing = contract.standing(now);
    let class = match standing {
        "in force" => "badge ok",
        "coming" => "badge",
        _ => "badge warn",
    };
    let end = (standing != "ended").then(|| {
        let href = format!("/admin/orgs/{}?end={}#end", contract.org_id, contract.id);
        let label = format!("End the contract {}", contract.name);
        view! { <a class="btn small danger" href=href aria-label=label>"End"</a> }
    });
    let terms = terms(contract, &contract.terms()?);
    let made = format!("Made by {}: {}", contract.created_by, contract.reason);
    Ok(view! {
        <li class="stack tight">
            <div class="row spread">
                <h3>{contract.name.clone()}</h3>
                <span class="row">
                    <span class=class>{format::sentence(standing)}</span>
                    {end}
                </span>
            </div>
            <p class="mute fine">{days(contract)} ", " <code>{contract.id.clone()}</code></p>
            <p>{terms}</p>
            <p class="mute fine">{made}</p>
        </li>
    }
    .into_any())
}

/// `From 1 Jan 2027 until 1 Jan 2028`
fn days(contract: &Contract) -> String {
    let from = format::day(contract.starts_at);
    match (contract.ended_at, contract.ends_at) {
        (Some(end), _) => format!("From {from}, ended {}", format::day(end)),
        (None, Some(end)) => format!("From {from} until {}", format::day(end)),
        (None, None) => format!("From {from}, open-ended"),
    }
}

/// What was agreed, in sentences.
fn terms(contract: &Contract, terms: &ContractTerms) -> String {
    let list = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>().join(", ");
    let currency = &contract.currency;
    let mut said = vec![
        match contract.replaces {
            true => "Instead of what the plan allows.",
            false => "Beside what the plan allows.",
        }
        .to_owned(),
    ];
    if terms.included.is_positive() {
        said.push(format!("{} each month.", format::with_unit(terms.included)));
    }
    if !terms.features.is_empty() {
        said.push(format!("Features: {}.", list(&mut terms.features.iter().cloned())));
    }
    if !terms.models.is_empty() {
        said.push(format!("Models: {}.", list(&mut terms.models.iter().cloned())));
    }
    if !terms.limits.is_empty() {
        let mut limits = terms.limits.iter().map(|(name, limit)| format!("{name} {limit}"));
        said.push(format!("Limits: {}.", list(&mut limits)));
    }
    if let Some(price) = terms.overage_price {
        said.push(format!("Overage at {} a credit.", format::unit_price(price, currency)));
    }
    for (meter, price) in &terms.meters {
        said.push(format!("{meter} at {} each.", format::unit_price(*price, currency)));
    }
    if let Some(days) = terms.days_until_due {
        let days = format::count(i64::from(days), "day", "days");
        said.push(format!("Invoices are sent, and due within {days}."));
    }
    said.join(" ")
}

/// Asks before a contract is ended: a page of its own address, so that it works without JavaScript.
fn confirm(contract: &Contract, state: &FormState) -> AnyView {
    let question = format!("End “{}” now?", contract.name);
    let back = format!("/admin/orgs/{}", contract.org_id);
    let cause = Input {
        name: "cause",
        label: "Reason",
        hint: "Kept in the audit trail.",
        ..Input::default()
    };
    let (error, cause) = (forms::form_error(state), forms::field(state, cause));
    let id = contract.id.clone();
    view! {
        <section class="dialog static" role="alertdialog" aria-labelledby="end">
            <Enhance>
                <form class="stack" method="post" action=EndContract::url() novalidate>
                    <h2 id="end">{question}</h2>
                    <p>
                        "What it allowed is over at once, and so are the credits it gave that are \
                         left. What it billed goes onto an invoice. This cannot be undone."
                    </p>
                    {error}
                    {cause}
                    <input type="hidden" name="contract" value=id/>
                    <div class="row end">
                        <a class="btn" href=back>"Keep it"</a>
                        <button type="submit" class="btn danger">"End contract"</button>
                    </div>
                </form>
            </Enhance>
        </section>
    }
    .into_any()
}

fn new_form(org_id: &str, state: &FormState, now: Millis) -> AnyView {
    let grounds = Input {
        name: "grounds",
        label: "Reason",
        hint: "Kept with the contract and in the audit trail.",
        ..Input::default()
    };
    let typed = state.value("terms").unwrap_or(EXAMPLE).to_owned();
    let open = !state.values.is_empty();
    let invalid = state.error("terms").map(|_| "true");
    let terms_error = forms::field_error(state, "terms");
    let (error, grounds) = (forms::form_error(state), forms::field(state, grounds));
    let (org, key) = (org_id.to_owned(), key(state, now));
    view! {
        <details open=open>
            <summary>"New contract"</summary>
            <Enhance>
                <form class="stack" method="post" action=MakeContract::url() novalidate>
                    {error}
                    <div class="field">
                        <label for="terms">"Terms"</label>
                        <textarea
                            class="input tall code"
                            id="terms"
                            name="terms"
                            rows="15"
                            maxlength="20000"
                            spellcheck="false"
                            aria-describedby="terms-error"
                            aria-invalid=invalid
                        >
                            {typed}
                        </textarea>
                        {terms_error}
                    </div>
                    {grounds}
                    <input type="hidden" name="org" value=org/>
                    <input type="hidden" name="key" value=key/>
                    <div class="row end">
                        <button type="submit" class="btn primary">"Make the contract"</button>
                    </div>
                </form>
            </Enhance>
        </details>
    }
    .into_any()
}
