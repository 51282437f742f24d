//! `/admin/jobs`: work that nobody tries any more, and work that waits.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::Who;
use server::engine::Engine;
use server::jobs::{self as work, Job};

use super::{PAGE, Tab, cut, short, tabs};
use crate::acts::desk::RetryJob;
use crate::error::AppError;
use crate::forms;
use crate::layout::Column::{Act, Number, Text, WideNumber};
use crate::layout::{self, OperatorPlace};
use crate::pages::credits::pager;
use crate::web;

/// Where the dead ones are listed, and those that wait.
const DEAD: &str = "/admin/jobs";
const WAITING: &str = "/admin/jobs?state=waiting";

/// `/admin/jobs`
pub fn jobs() -> AnyView {
    layout::operators(OperatorPlace::Jobs, content)
}

async fn content(engine: Engine, _: Who) -> Result<AnyView, AppError> {
    let dead = web::query("state").as_deref() != Some("waiting");
    let after = web::query_text("after");
    let mut list = work::page(&engine.db, dead, after.as_deref(), PAGE + 1).await?;
    let more = cut(&mut list);
    let (died, waiting) = work::counts(&engine.db).await?;
    let state = forms::state::<RetryJob>().await?;
    let which = vec![
        Tab { href: DEAD.to_owned(), label: "Given up", count: Some(died), current: dead },
        Tab { href: WAITING.to_owned(), label: "Waiting", count: Some(waiting), current: !dead },
    ];
    let about = "Work that is left to do; what is done is not kept";
    Ok(view! {
        {layout::heading("Jobs", about, ().into_any())}
        {forms::form_error(&state)}
        {tabs("Jobs by state", which)}
        {table(&list, more, dead, after.is_some())}
    }
    .into_any())
}

fn table(list: &[Job], more: bool, dead: bool, later: bool) -> AnyView {
    let newest = if dead { DEAD } else { WAITING };
    if list.is_empty() {
        return nothing(dead, later, newest);
    }
    let rows: Vec<AnyView> = list.iter().map(row).collect();
    let mark = if dead { '?' } else { '&' };
    let older = list.last().filter(|_| more);
    let older = older.map(|last| format!("{newest}{mark}after={}", last.id));
    let next = if dead { "Given up (UTC)" } else { "Runs next (UTC)" };
    let table = layout::table(
        "Jobs",
        &[
            Text("Job"),
            WideNumber("Attempts"),
            WideNumber("Wanted (UTC)"),
            Number(next),
            Act("Retry"),
        ],
        rows,
    );
    view! {
        <section class="card stack tight" aria-label="Jobs">
            {table}
            {pager("Job pages", newest, later, older)}
        </section>
    }
    .into_any()
}

fn nothing(dead: bool, later: bool, newest: &'static str) -> AnyView {
    let (title, about) = match (later, dead) {
        (true, _) => ("Nothing older", "No such job is left before this page."),
        (false, true) => ("No job was given up", "Whatever failed so far is still being tried."),
        (false, false) => ("No job waits", "The worker has done everything that was due."),
    };
    let action = later.then(|| view! { <a class="btn" href=newest>"Newest"</a> });
    layout::empty(title, about, action.into_any())
}

fn row(job: &Job) -> AnyView {
    let label = format!("Retry {} {}", job.kind, job.id);
    let (kind, id) = (job.kind.clone(), job.id.clone());
    let error = job.last_error.clone().map(|why| view! { <br/> <small>{why}</small> });
    let next = job.dead_at.unwrap_or(job.run_at);
    view! {
        <tr>
            <th scope="row">
                {kind} <br/> <small><code>{id.clone()}</code></small> {error}
            </th>
            <td class="num wide">{job.attempts.to_string()}</td>
            <td class="num wide">{short(job.wanted_at)}</td>
            <td class="num">{short(next)}</td>
            <td class="num">
                <form method="post" action=RetryJob::url()>
                    <input type="hidden" name="job_id" value=id/>
                    <button type="submit" class="btn small" aria-label=label>"Retry"</button>
                </form>
            </td>
        </tr>
    }
    .into_any()
}
