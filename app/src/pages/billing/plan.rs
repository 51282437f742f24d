//! The plan that is paid: its state, what happens next, and what can be done about it.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::entitlements::PlanRow;
use server::subscriptions::{Current, Next};
use server::units::money;

use crate::acts::billing::OpenPortal;
use crate::acts::plan::{KeepPlan, ResumePlan, UndoChange};
use crate::format;
use crate::forms::{self, FormState};
use crate::islands::Enhance;
use crate::layout::icons::{self, icon};

/// What went wrong with the last decision about the plan, by the form it was made in.
pub struct Forms {
    /// The portal.
    pub portal: FormState,
    /// Keeping the plan.
    pub keep: FormState,
    /// Resuming it.
    pub resume: FormState,
    /// Undoing what is planned.
    pub undo: FormState,
}

impl Forms {
    /// Reads them.
    pub async fn read() -> Result<Self, crate::error::AppError> {
        Ok(Self {
            portal: forms::state::<OpenPortal>().await?,
            keep: forms::state::<KeepPlan>().await?,
            resume: forms::state::<ResumePlan>().await?,
            undo: forms::state::<UndoChange>().await?,
        })
    }
}

/// Plan, price and what happens next, in a sentence. `billed` is whether the page shows terms made
/// for the org, or money that is billed after use.
pub fn summary(current: Option<&Current>, plan: &PlanRow, billed: bool) -> String {
    let Some(current) = current else { return unpaid(plan, billed) };
    let amount = money(current.total(), &current.currency);
    let next = match (current.ends_at, current.trial_end, current.status.as_str()) {
        (_, _, "past_due" | "unpaid" | "incomplete") => "The last payment is open.".to_owned(),
        (_, _, "paused") => "Paused.".to_owned(),
        (Some(end), ..) => format!("Ends {}.", format::day(end)),
        _ if let Some(next) = &current.next => {
            format!("Changes to {} {}.", next.label, format::day(next.on))
        }
        (None, Some(end), "trialing") => format!("On trial until {}.", format::day(end)),
        _ => format!("Renews {}.", format::day(current.period_end)),
    };
    format!("{}, {amount} {}. {next}", current.plan, every(current))
}

/// What holds where no subscription is paid.
fn unpaid(plan: &PlanRow, billed: bool) -> String {
    let name = &plan.tier_name;
    match (is_contract(plan), billed) {
        (true, _) => format!("{name}, by contract. What is billed stands below."),
        (false, true) => format!("{name} plan. What is billed after use stands below."),
        (false, false) => format!("{name} plan, nothing to pay."),
    }
}

/// Whether a contract stands in the plan's place.
pub fn is_contract(plan: &PlanRow) -> bool {
    plan.status == "contract"
}

/// `a month`, `every 3 months`
fn every(current: &Current) -> String {
    let per = current.per.as_deref().unwrap_or("period");
    match current.per_count {
        1 => format!("a {per}"),
        count => format!("every {count} {per}s"),
    }
}

/// The plan's card.
pub fn card(current: &Current, state: &Forms) -> AnyView {
    let status = match (current.status.as_str(), current.ends_at) {
        ("active" | "trialing", Some(_)) => view! { <span class="badge warn">"Ends"</span> },
        ("trialing", None) => view! { <span class="badge key">"Trial"</span> },
        ("active", None) => view! { <span class="badge ok">"Active"</span> },
        ("paused", _) => view! { <span class="badge warn">"Paused"</span> },
        _ => view! { <span class="badge bad">"Payment needed"</span> },
    };
    let period = format::period(current.period_start, current.period_end);
    let ends = current.ends_at.map(format::day);
    let ends = ends.map(|end| view! { <div><dt>"Ends on"</dt><dd>{end}</dd></div> });
    let label = match current.status.as_str() {
        "trialing" => "Trial (UTC)",
        "active" => "Paid period (UTC)",
        _ => "Period (UTC)",
    };
    let first = current.trial_end.filter(|_| current.is_trial() && current.ends_at.is_none());
    let first = first.map(|end| {
        let amount = money(current.total(), &current.currency);
        let text = format!("{amount} on {}", format::day(end));
        view! { <div><dt>"First payment"</dt><dd>{text}</dd></div> }
    });
    view! {
        <section class="card stack" aria-labelledby="plan">
            <div class="row spread">
                <h2 id="plan">{current.plan.clone()}</h2>
                {status}
            </div>
            <dl class="lines">
                {lines(current)}
                <div><dt>{label}</dt><dd>{period}</dd></div>
                {first}
                {ends}
            </dl>
            {current.next.as_ref().map(|next| planned(next, &state.undo))}
            {forms::form_error(&state.portal)}
            {forms::form_error(&state.keep)}
            {forms::form_error(&state.resume)}
            <div class="row">{buttons(current)}</div>
            <p class="mute fine">{rules(current)}</p>
        </section>
    }
    .into_any()
}

/// What holds for changes and for the end, in this state.
fn rules(current: &Current) -> &'static str {
    match (current.status.as_str(), current.ends_at) {
        ("active" | "trialing", Some(_)) => {
            "Until then everything works as before. Bought credits stay after it."
        }
        ("trialing", None) => {
            "Nothing is charged during the trial. Cancel before it ends and you pay nothing."
        }
        ("active", None) => {
            "A move up applies at once, a move down at the end of the paid period. After \
             cancelling, the plan runs to the end of that period, and bought credits stay."
        }
        ("paused", _) => "Nothing is charged while the plan is paused. Bought credits stay.",
        _ => "The plan goes on as soon as the invoice is paid. Bought credits stay in any case.",
    }
}

/// What is paid, line by line.
fn lines(current: &Current) -> Vec<AnyView> {
    let line = |name: String, amount: i64, quantity: i64| {
        let each = money(amount, &current.currency);
        let price = match quantity {
            1 => format!("{each} {}", every(current)),
            _ => format!("{quantity} × {each} {}", every(current)),
        };
        view! { <div><dt>{name}</dt><dd>{price}</dd></div> }.into_any()
    };
    let name = if current.per_seat { "Seats" } else { "Price" };
    let plan = line(name.to_owned(), current.amount, current.quantity);
    let extras = current.extras.iter();
    let extras = extras.map(|extra| line(extra.name.clone(), extra.amount, extra.quantity));
    std::iter::once(plan).chain(extras).collect()
}

/// What happens at the end of the period, and the way back.
fn planned(next: &Next, undo: &FormState) -> AnyView {
    let text = format!("Changes to {} on {}.", next.label, format::day(next.on));
    view! {
        <div class="notice info" role="status">
            {icon(icons::INFO)}
            <div>
                <p>{text}</p>
                {forms::form_error(undo)}
            </div>
            <Enhance>
                <form method="post" action=UndoChange::url()>
                    <button type="submit" class="btn small">"Keep what I have"</button>
                    <p class="error" role="alert" data-error-for=""></p>
                </form>
            </Enhance>
        </div>
    }
    .into_any()
}

fn buttons(current: &Current) -> Vec<AnyView> {
    let changes = current.may_change().is_ok();
    let link = || view! { <a class="btn primary" href="#plans">"Change plan"</a> }.into_any();
    let mut buttons = Vec::new();
    match current.status.as_str() {
        "active" | "trialing" if changes => buttons.push(link()),
        "active" | "trialing" => {}
        "paused" => {
            buttons.push(act(ResumePlan::url(), "Resume the plan", "btn primary"));
        }
        _ => buttons.push(portal_button("", "Pay the open invoice", "btn primary")),
    }
    if current.ends_at.is_some() {
        let class = if buttons.is_empty() { "btn primary" } else { "btn" };
        buttons.push(act(KeepPlan::url(), "Keep the plan", class));
    }
    buttons.push(portal_button("card", "Change card", "btn"));
    if current.ends_at.is_none() {
        buttons.push(portal_button("cancel", "Cancel plan", "btn"));
    }
    buttons
}

fn act(url: &'static str, label: &'static str, class: &'static str) -> AnyView {
    view! {
        <Enhance>
            <form method="post" action=url>
                <button type="submit" class=class>{label}</button>
                <p class="error" role="alert" data-error-for=""></p>
            </form>
        </Enhance>
    }
    .into_any()
}

/// A button that opens Stripe's portal at one of its tasks.
pub fn portal_button(task: &'static str, label: &'static str, class: &'static str) -> AnyView {
    view! {
        <Enhance>
            <form method="post" action=OpenPortal::url()>
                <input type="hidden" name="task" value=task/>
                <button type="submit" class=class>{label}</button>
                <p class="error" role="alert" data-error-for=""></p>
            </form>
        </Enhance>
    }
    .into_any()
}
