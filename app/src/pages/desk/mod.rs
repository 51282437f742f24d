//! The operators' desk: what somebody has to see to. Findings, the inbox of events, jobs.
//!
//! Everything stands in rooms of the engine; what is done about it is in [`crate::acts::desk`].

mod event;
mod findings;
mod inbox;
mod jobs;

use leptos::prelude::*;
use server::clock::Millis;

pub use event::event;
pub use findings::findings;
pub use inbox::inbox;
pub use jobs::jobs;

use crate::format;

/// Rows on a page.
const PAGE: i64 = 50;

/// One of several lists that can be looked at.
struct Tab {
    href: String,
    label: &'static str,
    /// How many there are, where that is known.
    count: Option<i64>,
    current: bool,
}

fn tabs(label: &'static str, tabs: Vec<Tab>) -> AnyView {
    let links: Vec<AnyView> = tabs.into_iter().map(tab).collect();
    view! {
        <nav class="tabs" aria-label=label>
            {links}
        </nav>
    }
    .into_any()
}

fn tab(tab: Tab) -> AnyView {
    let current = tab.current.then_some("page");
    let text = match tab.count {
        Some(count) => format!("{} {}", tab.label, format::count(count, "", "").trim_end()),
        None => tab.label.to_owned(),
    };
    view! { <a href=tab.href aria-current=current>{text}</a> }.into_any()
}

/// A page of what was read with one row more than a page holds; answers whether there is more.
fn cut<T>(rows: &mut Vec<T>) -> bool {
    let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
    let more = rows.len() > page;
    rows.truncate(page);
    more
}

/// `22 Oct 14:02`, as times stand in tables.
fn short(at: Millis) -> String {
    format!("{} {}", format::short_day(at), format::time(at))
}

/// A word of the database, for people: `paid_without_grant` is “Paid without grant”.
fn spoken(word: &str) -> String {
    format::sentence(&word.replace('_', " "))
}

/// JSON as people read it; what is none stays as it is.
fn pretty(text: &str) -> String {
    let read: Result<serde_json::Value, _> = serde_json::from_str(text);
    let written = read.and_then(|value| serde_json::to_string_pretty(&value));
    written.unwrap_or_else(|_| text.to_owned())
}

/// The way to an org's page.
fn org_link(org_id: &str) -> AnyView {
    let (href, id) = (format::path_to("/admin/orgs", org_id), org_id.to_owned());
    view! { <a href=href><code>{id}</code></a> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_and_everything_else_is_left() {
        assert_eq!(pretty("{\"a\":[1]}"), "{\n  \"a\": [\n    1\n  ]\n}");
        assert_eq!(pretty("{\"a\":"), "{\"a\":");
        assert_eq!(spoken("paid_without_grant"), "Paid without grant");
    }

    #[test]
    fn a_page_holds_so_many_and_tells_of_more() {
        let size = usize::try_from(PAGE).expect("fits");
        for (read, more) in [(0, false), (size, false), (size + 1, true)] {
            let mut rows: Vec<usize> = (0..read).collect();
            assert_eq!(cut(&mut rows), more, "{read}");
            assert_eq!(rows.len(), read.min(size));
        }
    }
}
