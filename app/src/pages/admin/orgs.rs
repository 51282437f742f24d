//! `/admin/orgs`: every org, by its name, its id or a member's address.

use leptos::prelude::*;
use server::auth::Who;
use server::engine::Engine;
use server::orgs::{self as all_orgs, Found};

use crate::error::AppError;
use crate::layout::Column::{Number, Text};
use crate::layout::{self, OperatorPlace};
use crate::{format, web};

/// Orgs on a page.
const PAGE: usize = 50;

/// `/admin/orgs?q=&after=`
pub fn orgs() -> AnyView {
    layout::operators(OperatorPlace::Orgs, content)
}

async fn content(engine: Engine, _who: Who) -> Result<AnyView, AppError> {
    let words = web::query_text("q").unwrap_or_default();
    let after = web::query_text("after");
    let limit = i64::try_from(PAGE + 1).unwrap_or(1);
    let mut found = all_orgs::search(&engine.db, &words, after.as_deref(), limit).await?;
    let more = found.len() > PAGE;
    found.truncate(PAGE);
    let about = "Everybody who signed up, newest first";
    Ok(view! {
        {layout::heading("Organisations", about, ().into_any())}
        {search_form(&words)}
        {list(&found, &words, after.is_some(), more)}
    }
    .into_any())
}

fn search_form(words: &str) -> AnyView {
    let words = words.to_owned();
    view! {
        <form class="filters" method="get" action="/admin/orgs" role="search">
            <div class="field">
                <label for="q">"Name, id or a member’s address"</label>
                <input class="input" id="q" name="q" type="search" value=words/>
            </div>
            <button type="submit" class="btn">"Search"</button>
        </form>
    }
    .into_any()
}

fn list(found: &[Found], words: &str, later: bool, more: bool) -> AnyView {
    let query = |after: Option<&str>| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if !words.is_empty() {
            query.append_pair("q", words);
        }
        if let Some(after) = after {
            query.append_pair("after", after);
        }
        format!("/admin/orgs?{}", query.finish())
    };
    if found.is_empty() && later {
        let first = view! { <a class="btn" href=query(None)>"Newest"</a> };
        let about = "There is no organisation before the one that this page begins after.";
        return layout::empty("No more organisations", about, first.into_any());
    }
    if found.is_empty() {
        return match words.is_empty() {
            true => {
                let about = "An organisation is made whenever somebody signs up.";
                layout::empty("Nobody has signed up yet", about, ().into_any())
            }
            false => {
                let about = format!(
                    "No name and no member’s address contains “{words}”, and no id is that."
                );
                let all = view! { <a class="btn" href="/admin/orgs">"Show all"</a> };
                layout::empty("Nothing found", &about, all.into_any())
            }
        };
    }
    let rows: Vec<AnyView> = found.iter().map(row).collect();
    let newest = later.then(|| view! { <a class="btn small" href=query(None)>"Newest"</a> });
    let older = match found.last().filter(|_| more) {
        Some(last) => {
            view! { <a class="btn small" href=query(Some(&last.id))>"Older"</a> }.into_any()
        }
        None => view! { <span class="btn small" aria-disabled="true">"Older"</span> }.into_any(),
    };
    let table = layout::table(
        "Organisations",
        &[Text("Organisation"), Text("Owner"), Number("Since")],
        rows,
    );
    view! {
        <section class="card stack tight" aria-label="Organisations">
            {table}
            <nav class="pager" aria-label="Pages of organisations">
                <span>"Newest first"</span>
                <span class="row">{newest} {older}</span>
            </nav>
        </section>
    }
    .into_any()
}

fn row(found: &Found) -> AnyView {
    let href = format!("/admin/orgs/{}", found.id);
    let owner = found.owner.clone().unwrap_or_else(|| "nobody".to_owned());
    view! {
        <tr>
            <th scope="row">
                <a href=href>{found.name.clone()}</a>
                <br/>
                <small><code>{found.id.clone()}</code></small>
            </th>
            <td>{owner}</td>
            <td class="num mute">{format::day(found.created_at)}</td>
        </tr>
    }
    .into_any()
}
