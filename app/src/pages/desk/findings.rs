//! `/admin/findings`: differences that a person has to see, and the word that one may stay.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::Who;
use server::engine::Engine;
use server::findings::{self as found, Finding};

use super::{PAGE, Tab, cut, org_link, pretty, short, spoken, tabs};
use crate::acts::desk::{DismissFinding, findings_at};
use crate::error::AppError;
use crate::forms::{self, FormState, Input};
use crate::islands::Enhance;
use crate::layout::Column::{Act, Text, Wide};
use crate::layout::{self, OperatorPlace};
use crate::pages::credits::pager;
use crate::{format, web};

/// Events that a finding links to.
const EVENTS: usize = 5;

/// `/admin/findings`
pub fn findings() -> AnyView {
    layout::operators(OperatorPlace::Findings, content)
}

async fn content(engine: Engine, _: Who) -> Result<AnyView, AppError> {
    let all = web::query("all").as_deref() == Some("1");
    let after = web::query_text("after");
    let mut list = found::page(&engine.db, !all, after.as_deref(), PAGE + 1).await?;
    let more = cut(&mut list);
    let open = found::count_open(&engine.db).await?;
    let here = Here { all, after: after.clone() };
    let state = forms::state::<DismissFinding>().await?;
    let doomed = match web::query_text("dismiss") {
        Some(id) => Some(found::find(&engine.db, &id).await?),
        None => None,
    };
    let doomed = doomed.filter(|finding| finding.resolved_at.is_none());
    // A form that came back without its dialog says here what was wrong.
    let lost = doomed.is_none().then(|| forms::form_error(&state));
    let which = vec![
        Tab { href: "/admin/findings".to_owned(), label: "Open", count: Some(open), current: !all },
        Tab {
            href: "/admin/findings?all=1".to_owned(),
            label: "Open and gone",
            count: None,
            current: all,
        },
    ];
    let about = "Differences between what is and what should be";
    Ok(view! {
        {layout::heading("Findings", about, ().into_any())}
        {lost}
        {doomed.as_ref().map(|finding| dialog(finding, &state, &here))}
        {tabs("Findings", which)}
        {table(&list, more, &here)}
    }
    .into_any())
}

/// Which page of the list is looked at.
struct Here {
    all: bool,
    after: Option<String>,
}

/// Asks why: a page of its own address, so that it works without JavaScript.
fn dialog(finding: &Finding, state: &FormState, here: &Here) -> AnyView {
    let question = format!("Dismiss “{}”?", spoken(&finding.kind));
    let (id, subject, message) =
        (finding.id.clone(), finding.subject.clone(), finding.message.clone());
    let reason = Input {
        name: "reason",
        label: "Reason",
        hint: "Why it may stay as it is. Kept with the finding and in the audit trail.",
        ..Input::default()
    };
    let (error, reason) = (forms::form_error(state), forms::field(state, reason));
    let back = findings_at(here.all, here.after.as_deref(), None);
    let (all, after) = (if here.all { "1" } else { "" }, here.after.clone().unwrap_or_default());
    view! {
        <section class="dialog static" role="dialog" aria-labelledby="dismiss">
            <Enhance>
                <form class="stack" method="post" action=DismissFinding::url() novalidate>
                    <h2 id="dismiss">{question}</h2>
                    <p><code>{subject}</code> " – " {message}</p>
                    {error}
                    <input type="hidden" name="finding_id" value=id/>
                    <input type="hidden" name="all" value=all/>
                    <input type="hidden" name="after" value=after/>
                    {reason}
                    <p class="mute fine">
                        "It is closed now, and found anew if the difference is seen again."
                    </p>
                    <div class="row end">
                        <a class="btn" href=back>"Keep it open"</a>
                        <button type="submit" class="btn danger">"Dismiss"</button>
                    </div>
                </form>
            </Enhance>
        </section>
    }
    .into_any()
}

fn table(list: &[Finding], more: bool, here: &Here) -> AnyView {
    let (newest, later) = (findings_at(here.all, None, None), here.after.is_some());
    if list.is_empty() {
        return nothing(here.all, later, newest);
    }
    let rows: Vec<AnyView> = list.iter().map(|finding| row(finding, here)).collect();
    let older = list.last().filter(|_| more);
    let older = older.map(|last| findings_at(here.all, Some(&last.id), None));
    let table =
        layout::table("Findings", &[Wide("Seen (UTC)"), Text("Finding"), Act("Dismiss")], rows);
    view! {
        <section class="card stack tight" aria-label="Findings">
            {table}
            {pager("Finding pages", newest, later, older)}
        </section>
    }
    .into_any()
}

fn nothing(all: bool, later: bool, newest: String) -> AnyView {
    let (title, about) = match (later, all) {
        (true, _) => ("Nothing older", "Every finding before this page is gone."),
        (false, true) => ("No finding yet", "Differences are kept here from the first one on."),
        (false, false) => ("Nothing is open", "What Stripe has is what we have, as far as we saw."),
    };
    let action = later.then(|| view! { <a class="btn" href=newest>"Newest"</a> });
    layout::empty(title, about, action.into_any())
}

fn row(finding: &Finding, here: &Here) -> AnyView {
    let (kind, subject, message) =
        (spoken(&finding.kind), finding.subject.clone(), finding.message.clone());
    let detail = finding.detail.as_deref().map(|detail| {
        let text = pretty(detail);
        view! {
            <details class="fine">
                <summary>"What was seen"</summary>
                <pre class="code long" tabindex="0">{text}</pre>
            </details>
        }
    });
    let org = finding.org_id.as_deref().map(org_link);
    let org = org.map(|link| view! { <br/> <small>"Of " {link}</small> });
    view! {
        <tr>
            <td class="nowrap mute wide">
                {short(finding.first_at)} <br/> <small>"last " {short(finding.last_at)}</small>
            </td>
            <th scope="row">
                {kind} " " <code>{subject}</code> <br/> <small>{message}</small>
                {org} {events(finding.detail.as_deref())} {detail}
            </th>
            <td class="num">{end(finding, here)}</td>
        </tr>
    }
    .into_any()
}

/// The way to dismiss an open one; how a closed one went away.
fn end(finding: &Finding, here: &Here) -> AnyView {
    if let Some(at) = finding.resolved_at {
        let how = finding.resolution.clone();
        return view! {
            <span class="badge ok">"Gone"</span>
            <br/>
            <small>{short(at)}</small>
            <br/>
            <small>{how}</small>
        }
        .into_any();
    }
    let href = findings_at(here.all, here.after.as_deref(), Some(&finding.id));
    let label = format!("Dismiss {} of {}", spoken(&finding.kind), finding.subject);
    view! { <a class="btn small" href=href aria-label=label>"Dismiss"</a> }.into_any()
}

/// The events that the finding names.
fn events(detail: Option<&str>) -> AnyView {
    let read = detail.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let named = read.as_ref().and_then(|detail| detail["events"].as_array());
    let ids = named.into_iter().flatten().filter_map(|id| id.as_str());
    let links: Vec<AnyView> = ids.take(EVENTS).map(event_link).collect();
    if links.is_empty() {
        return ().into_any();
    }
    view! { <br/> <small>"Told by " {links}</small> }.into_any()
}

fn event_link(id: &str) -> AnyView {
    let (href, id) = (format::path_to("/admin/inbox", id), id.to_owned());
    view! { <a href=href><code>{id}</code></a> " " }.into_any()
}
