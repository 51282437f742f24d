//! `/admin/inbox`: every event that came, and what became of it.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::Who;
use server::engine::Engine;
use server::stripe::inbox::Entry;
use server::webhooks;

use super::{PAGE, Tab, cut, short, tabs};
use crate::acts::desk::ReplayFailed;
use crate::error::AppError;
use crate::forms::{self, FormState};
use crate::layout::Column::{Number, Text, Wide};
use crate::layout::{self, OperatorPlace};
use crate::pages::credits::pager;
use crate::{format, web};

/// What events may be, by the word in the address; and whether they are few enough to be counted.
const STATUSES: [(&str, &str, bool); 7] = [
    ("pending", "Waiting", true),
    ("dead", "Given up", true),
    ("unmatched", "Of nobody", true),
    ("mode_mismatch", "Other mode", true),
    ("processed", "Done", false),
    ("ignored", "Of no use", false),
    ("foreign", "Other products", false),
];

/// `/admin/inbox`
pub fn inbox() -> AnyView {
    layout::operators(OperatorPlace::Inbox, content)
}

async fn content(engine: Engine, _: Who) -> Result<AnyView, AppError> {
    let asked = web::query_text("status").unwrap_or_default();
    let status = STATUSES.iter().map(|one| one.0).find(|word| *word == asked);
    let after = web::query_text("after");
    let mut list = webhooks::list(&engine.db, status, after.as_deref(), PAGE + 1).await?;
    let more = cut(&mut list);
    let counts = webhooks::counts(&engine.db).await?;
    let failed: i64 =
        counts.iter().filter(|one| matches!(&*one.0, "dead" | "unmatched")).map(|one| one.1).sum();
    let state = forms::state::<ReplayFailed>().await?;
    let about = "Every event that Stripe sent, and what became of it";
    Ok(view! {
        {layout::heading("Inbox", about, again(failed, &state))}
        {tabs("Events by status", by_status(status, &counts))}
        {table(&list, more, status, after.is_some())}
    }
    .into_any())
}

/// The button for all that failed, where any did.
fn again(failed: i64, state: &FormState) -> AnyView {
    if failed == 0 {
        return forms::form_error(state);
    }
    view! {
        {forms::form_error(state)}
        <form method="post" action=ReplayFailed::url()>
            <button type="submit" class="btn">"Act on all failed again"</button>
        </form>
    }
    .into_any()
}

fn by_status(status: Option<&'static str>, counts: &[(String, i64)]) -> Vec<Tab> {
    let all = Tab {
        href: "/admin/inbox".to_owned(),
        label: "All of ours",
        count: None,
        current: status.is_none(),
    };
    let each = STATUSES.iter().map(|(word, label, counted)| {
        let count = counts.iter().find(|one| one.0 == *word).map_or(0, |one| one.1);
        Tab {
            href: address(Some(word)),
            label,
            count: counted.then_some(count),
            current: status == Some(word),
        }
    });
    std::iter::once(all).chain(each).collect()
}

/// The list of this status.
fn address(status: Option<&str>) -> String {
    match status {
        Some(status) => format!("/admin/inbox?status={status}"),
        None => "/admin/inbox".to_owned(),
    }
}

fn table(list: &[Entry], more: bool, status: Option<&str>, later: bool) -> AnyView {
    if list.is_empty() {
        return nothing(status, later);
    }
    let rows: Vec<AnyView> = list.iter().map(row).collect();
    let newest = address(status);
    let mark = if status.is_some() { '&' } else { '?' };
    let older = list.last().filter(|_| more);
    let older = older.map(|last| {
        let after: String = form_urlencoded::byte_serialize(last.id.as_bytes()).collect();
        format!("{newest}{mark}after={after}")
    });
    let table = layout::table(
        "Events",
        &[
            Text("Received (UTC)"),
            Text("Event"),
            Wide("About"),
            Number("Attempts"),
            Number("Status"),
        ],
        rows,
    );
    view! {
        <section class="card stack tight" aria-label="Events">
            {table}
            {pager("Event pages", newest, later, older)}
        </section>
    }
    .into_any()
}

fn nothing(status: Option<&str>, later: bool) -> AnyView {
    let (title, about) = match (later, status) {
        (true, _) => ("Nothing older", "There is no event of this kind before this page."),
        (_, None) => ("No event yet", "What Stripe tells is listed here as soon as it comes."),
        (_, Some("pending")) => ("Nothing waits", "The worker is done with every event so far."),
        (_, Some("dead")) => ("Nothing was given up", "Every event was acted on, or still is."),
        (_, Some("unmatched")) => {
            ("Nothing of nobody", "Every payment for something of ours is known to be an org’s.")
        }
        (_, Some("mode_mismatch")) => {
            ("Nothing of the other mode", "The endpoint gets events of one Stripe mode only.")
        }
        (_, Some(_)) => ("No such event", "No event came that ended in this way."),
    };
    let action = later.then(|| {
        let newest = address(status);
        view! { <a class="btn" href=newest>"Newest"</a> }
    });
    layout::empty(title, about, action.into_any())
}

fn row(event: &Entry) -> AnyView {
    let href = format::path_to("/admin/inbox", &event.id);
    let (kind, id) = (event.kind.clone(), event.id.clone());
    let error = event.last_error.clone().map(|why| view! { <br/> <small>{why}</small> });
    let customer = event.customer_id.clone();
    let customer = customer.filter(|customer| event.object_id.as_ref() != Some(customer));
    let customer = customer.map(|id| view! { <br/> <small><code>{id}</code></small> });
    view! {
        <tr>
            <td class="nowrap mute">{short(event.received_at)}</td>
            <th scope="row">
                <a href=href>{kind}</a> <br/> <small><code>{id}</code></small> {error}
            </th>
            <td class="nowrap wide"><code>{event.object_id.clone()}</code> {customer}</td>
            <td class="num">{event.attempts.to_string()}</td>
            <td class="num">{badge(&event.status)}</td>
        </tr>
    }
    .into_any()
}

/// What became of an event, in a word and a colour.
pub(super) fn badge(status: &str) -> AnyView {
    let label = STATUSES.iter().find(|one| one.0 == status).map_or(status, |one| one.1).to_owned();
    let class = match status {
        "processed" => "badge ok",
        "dead" | "mode_mismatch" => "badge bad",
        "pending" | "unmatched" => "badge warn",
        _ => "badge",
    };
    view! { <span class=class>{label}</span> }.into_any()
}
