//! The operators' frame: a side of its own, and a way back. Whoever is no operator is told that
//! there is nothing here, under the same title as at an address that nobody wrote down.

use leptos::prelude::*;
use leptos_meta::Title;
use server::auth::Who;
use server::engine::Engine;

use super::icons::{self, brand, icon};
use super::{error_card, frame, nav, page};
use crate::error::{AppError, Kind};
use crate::{forms, session, web};

/// The places in the operators' frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorPlace {
    /// `/admin`
    Overview,
    /// `/admin/findings`
    Findings,
    /// `/admin/inbox`
    Inbox,
    /// `/admin/orgs`
    Orgs,
    /// `/admin/jobs`
    Jobs,
}

/// Where an operator goes from an error.
const WAYS: &[(&str, &str)] = &[("/admin", "Operator view"), ("/admin/orgs", "Organisations")];

impl OperatorPlace {
    const SIDE: [Self; 5] = [Self::Overview, Self::Findings, Self::Inbox, Self::Orgs, Self::Jobs];

    /// Its name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "Operator view",
            Self::Findings => "Findings",
            Self::Inbox => "Inbox",
            Self::Orgs => "Organisations",
            Self::Jobs => "Jobs",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Overview => "/admin",
            Self::Findings => "/admin/findings",
            Self::Inbox => "/admin/inbox",
            Self::Orgs => "/admin/orgs",
            Self::Jobs => "/admin/jobs",
        }
    }

    fn lines(self) -> &'static str {
        match self {
            Self::Overview => icons::SHIELD,
            Self::Findings => icons::WARN,
            Self::Inbox => icons::TRAY,
            Self::Orgs => icons::PEOPLE,
            Self::Jobs => icons::TURN,
        }
    }

    fn document_title(self) -> String {
        let name = web::product_name();
        match self {
            Self::Overview => format!("Operator view · {name}"),
            place => format!("{} · Operator view · {name}", place.title()),
        }
    }
}

/// A page for operators, in their frame. Strangers are sent to sign in; to everybody else the
/// address does not exist.
pub fn operators<V, F, W>(place: OperatorPlace, content: W) -> AnyView
where
    V: IntoView + 'static,
    F: Future<Output = Result<V, AppError>> + Send + 'static,
    W: FnOnce(Engine, Who) -> F + Send + 'static,
{
    page("Not found", async move {
        let (engine, who) = session::operator().await?;
        let content = match content(engine, who.clone()).await {
            Ok(view) => view.into_any(),
            Err(error) if error.kind == Kind::Unauthorized => return Err(error),
            Err(error) => {
                web::set_status(error.status());
                error_card(&error, WAYS)
            }
        };
        let done = forms::take_done().await?;
        // The title set last is the one that counts.
        Ok(view! {
            <Title text=place.document_title()/>
            {frame(side(place, &who), done, content)}
        }
        .into_any())
    })
}

fn side(place: OperatorPlace, who: &Who) -> AnyView {
    let links: Vec<AnyView> =
        OperatorPlace::SIDE.into_iter().map(|link| side_link(link, place)).collect();
    let signed_in = format!("Signed in as {}, operator", who.name);
    view! {
        <header class="side">
            {brand("/admin")}
            {nav::menu(who, "Operator view".to_owned(), None, false)}
            <nav aria-label="Operator view">
                {links}
                <hr/>
                <a href="/dashboard">{icon(icons::LEAVE)} "Leave operator view"</a>
                <p class="foot">{signed_in}</p>
            </nav>
        </header>
    }
    .into_any()
}

fn side_link(link: OperatorPlace, place: OperatorPlace) -> AnyView {
    let current = (link == place).then_some("page");
    let label = if link == OperatorPlace::Overview { "Overview" } else { link.title() };
    view! { <a href=link.path() aria-current=current>{icon(link.lines())} {label}</a> }.into_any()
}
