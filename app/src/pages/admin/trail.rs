//! What happened to an org: the movements of its wallet, and who did what, page by page.

use leptos::prelude::*;
use server::audit::{Trail, Written};
use server::credits::{Movement, Page};

use crate::format;
use crate::layout;
use crate::layout::Column::{Number, Text};
use crate::pages::credits::{self, pager};
use crate::web;

/// Movements, and entries of the trail, on a page.
const PAGE: i64 = 20;

/// Which parts of an org's two lists are looked at, as its page's address says.
pub struct Place {
    org_id: String,
    movements_after: Option<String>,
    deeds_after: Option<String>,
    sign_ins: bool,
}

impl Place {
    /// What the address of this request says.
    pub fn read(org_id: &str) -> Self {
        Self {
            org_id: org_id.to_owned(),
            movements_after: web::query_text("movements_after"),
            deeds_after: web::query_text("deeds_after"),
            sign_ins: web::query("sign_ins").as_deref() == Some("1"),
        }
    }

    /// The movements that are looked at.
    pub fn movements(&self) -> Page {
        Page { limit: PAGE, starting_after: self.movements_after.clone() }
    }

    /// The deeds that are looked at.
    pub fn deeds(&self) -> Trail {
        let starting_after = self.deeds_after.clone();
        Trail { sign_ins: self.sign_ins, limit: PAGE, starting_after }
    }

    /// The address at which the movements begin after this one; the trail stays where it is.
    fn movements_at(&self, after: Option<&str>) -> String {
        self.address(after, self.deeds_after.as_deref(), self.sign_ins, "movements")
    }

    fn deeds_at(&self, after: Option<&str>, sign_ins: bool) -> String {
        self.address(self.movements_after.as_deref(), after, sign_ins, "audit")
    }

    fn address(&self, moved: Option<&str>, done: Option<&str>, all: bool, part: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let sign_ins = all.then_some("1");
        let pairs = [("movements_after", moved), ("deeds_after", done), ("sign_ins", sign_ins)];
        for (name, value) in pairs {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{mark}{query}#{part}", format::path_to("/admin/orgs", &self.org_id))
    }
}

/// The movements of a wallet.
pub fn movements(movements: &[Movement], more: bool, place: &Place) -> AnyView {
    let rows: Vec<AnyView> = movements.iter().map(credits::row).collect();
    let body = match rows.is_empty() {
        true => view! { <p class="mute">"No credit has moved yet."</p> }.into_any(),
        false => layout::table(
            "Movements",
            &[Text("Date (UTC)"), Text("Cause"), Number("Credits"), Number("Balance")],
            rows,
        ),
    };
    let older = movements.last().filter(|_| more).map(|last| place.movements_at(Some(&last.id)));
    let later = place.movements_after.is_some();
    view! {
        <section class="card stack tight" aria-labelledby="movements">
            <h2 id="movements">"Movements"</h2>
            {body}
            {pager("Pages of movements", place.movements_at(None), later, older)}
        </section>
    }
    .into_any()
}

/// The entries of the audit trail.
pub fn deeds(deeds: &[Written], more: bool, place: &Place) -> AnyView {
    let rows: Vec<AnyView> = deeds.iter().map(deed).collect();
    let body = match rows.is_empty() {
        true => {
            view! { <p class="mute">"Nothing was done to this organisation yet."</p> }.into_any()
        }
        false => {
            layout::table("Audit trail", &[Text("Time"), Text("What, and why"), Text("Who")], rows)
        }
    };
    let all = place.sign_ins;
    let older = deeds.last().filter(|_| more).map(|last| place.deeds_at(Some(&last.id), all));
    let later = place.deeds_after.is_some();
    let label = if all { "Leave sign-ins out" } else { "Show sign-ins, too" };
    view! {
        <section class="card stack tight" aria-labelledby="audit">
            <div class="row spread">
                <h2 id="audit">"Audit trail"</h2>
                <a class="fine" href=place.deeds_at(None, !all)>{label}</a>
            </div>
            {body}
            {pager("Pages of the audit trail", place.deeds_at(None, all), later, older)}
        </section>
    }
    .into_any()
}

fn deed(deed: &Written) -> AnyView {
    let who = match &deed.actor_id {
        Some(id) => format!("{} {id}", deed.actor_kind),
        None => deed.actor_kind.clone(),
    };
    let why = deed.reason.as_ref().map(|reason| view! { <br/> {reason.clone()} });
    view! {
        <tr>
            <td class="nowrap mute">{format::stamp(deed.at)}</td>
            <th scope="row">
                {deed.action.clone()}
                " "
                <small><code>{deed.subject.clone()}</code></small>
                {why}
            </th>
            <td class="mute">{who}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_one_list_leaves_the_other_where_it_is() {
        let place = Place {
            org_id: "org_1".to_owned(),
            movements_after: Some("op_1".to_owned()),
            deeds_after: Some("audit_1".to_owned()),
            sign_ins: false,
        };
        let cases = [
            (
                place.movements_at(Some("op_2")),
                "?movements_after=op_2&deeds_after=audit_1#movements",
            ),
            (place.movements_at(None), "?deeds_after=audit_1#movements"),
            (
                place.deeds_at(Some("audit_2"), false),
                "?movements_after=op_1&deeds_after=audit_2#audit",
            ),
            (place.deeds_at(None, true), "?movements_after=op_1&sign_ins=1#audit"),
        ];
        for (address, expected) in cases {
            assert_eq!(address, format!("/admin/orgs/org_1{expected}"));
        }
    }
}
