//! What pages have in common: title, status, the frame for members and the frame for everybody.
//! Holds no rules; who may see a page is asked of [`crate::session`].

pub mod icons;
mod nav;
mod operator;
mod table;

use leptos::prelude::*;
use leptos_meta::Title;
use server::auth::{Permission, Who, operators as all_operators};
use server::engine::Engine;
use server::orgs;

pub use nav::Place;
pub use operator::{OperatorPlace, operators};
pub use table::{Column, table};

use crate::error::{AppError, Kind};
use crate::{forms, session, web};
use icons::icon;

/// A page whose content is awaited before anything is sent, so that its status is true.
pub fn page<V, F>(title: &str, content: F) -> AnyView
where
    V: IntoView + 'static,
    F: Future<Output = Result<V, AppError>> + Send + 'static,
{
    let name = web::product_name();
    let title = format!("{title} · {name}");
    let content = async move {
        match content.await {
            Ok(view) => view.into_any(),
            Err(error) => failed(error),
        }
    };
    view! {
        <Title text=title/>
        <Suspense>{Suspend::new(content)}</Suspense>
    }
    .into_any()
}

/// Sends strangers to sign in, and shows every other error as a page with its status.
fn failed(error: AppError) -> AnyView {
    if error.kind == Kind::Unauthorized {
        let target = session::sign_in_path(&web::path_and_query());
        web::redirect(&target);
        web::set_status(http::StatusCode::SEE_OTHER);
        return ().into_any();
    }
    web::set_status(error.status());
    view! {
        <main id="main" class="narrow stack loose">
            {icons::brand("/")}
            {error_card(&error, WAYS)}
        </main>
    }
    .into_any()
}

/// A page for members with this permission, in their frame.
pub fn members<V, F, W>(place: Place, permission: Permission, content: W) -> AnyView
where
    V: IntoView + 'static,
    F: Future<Output = Result<V, AppError>> + Send + 'static,
    W: FnOnce(Engine, Who) -> F + Send + 'static,
{
    page(place.title(), async move {
        let who = session::visitor().await?.ok_or_else(AppError::unauthorized)?;
        let engine = web::engine()?;
        let allowed = orgs::require(&who, permission).map_err(AppError::from);
        let content = match allowed {
            Ok(()) => content(engine.clone(), who.clone()).await.map(IntoView::into_view),
            Err(error) => Err(error),
        };
        let content = match content {
            Ok(view) => view.into_any(),
            Err(error) if error.kind == Kind::Unauthorized => return Err(error),
            Err(error) => {
                web::set_status(error.status());
                error_card(&error, WAYS)
            }
        };
        let done = forms::take_done().await?;
        let is_operator = all_operators::is_operator(&engine.db, &who.user_id).await?;
        Ok(frame(nav::side(&engine, place, &who, is_operator), done, content))
    })
}

fn frame(side: AnyView, done: Option<(&str, String)>, content: AnyView) -> AnyView {
    view! {
        <div class="shell">
            {side}
            <main id="main" class="stack" tabindex="-1">
                {done.map(|(level, message)| notice(level, message, None))}
                {content}
            </main>
        </div>
    }
    .into_any()
}

/// A page for everybody, in the frame of the front.
pub fn front<V, F, W>(title: &str, path: &'static str, content: W) -> AnyView
where
    V: IntoView + 'static,
    F: Future<Output = Result<V, AppError>> + Send + 'static,
    W: FnOnce(Engine, Option<Who>) -> F + Send + 'static,
{
    page(title, async move {
        let who = session::visitor().await?;
        let engine = web::engine()?;
        let signed_in = who.is_some();
        let content = content(engine, who).await?.into_any();
        Ok(view! {
            {nav::top(path, signed_in)}
            <main id="main" class="wrap" tabindex="-1">{content}</main>
            {nav::foot(signed_in)}
        }
        .into_any())
    })
}

/// A narrow page with nothing around it: signing in and the like.
pub fn narrow<V, F, W>(title: &str, content: W) -> AnyView
where
    V: IntoView + 'static,
    F: Future<Output = Result<V, AppError>> + Send + 'static,
    W: FnOnce() -> F + Send + 'static,
{
    page(title, async move {
        let content = content().await?.into_any();
        Ok(view! {
            <main id="main" class="narrow stack loose" tabindex="-1">
                {icons::brand("/")}
                {content}
            </main>
        }
        .into_any())
    })
}

/// The head of a page: what it is, what it shows, what can be done.
pub fn heading(title: &str, about: impl Into<String>, actions: AnyView) -> AnyView {
    let (title, about) = (title.to_owned(), about.into());
    view! {
        <div class="row spread">
            <div>
                <h1>{title}</h1>
                <p class="mute">{about}</p>
            </div>
            <div class="row">{actions}</div>
        </div>
    }
    .into_any()
}

/// A message with an icon: ok, warn, bad or info; and where to go.
pub fn notice(level: &str, message: String, link: Option<(String, String)>) -> AnyView {
    let lines = match level {
        "ok" => icons::TICK,
        "warn" => icons::WARN,
        "bad" => icons::STOP,
        _ => icons::INFO,
    };
    let class = format!("notice {level}");
    let role = if level == "bad" { "alert" } else { "status" };
    let link = link.map(|(label, href)| view! { <a href=href class="nowrap">{label}</a> });
    view! {
        <div class=class role=role>
            {icon(lines)}
            <div>
                <p>{message}</p>
            </div>
            {link}
        </div>
    }
    .into_any()
}

/// What is said where something could be but is not.
pub fn empty(title: &str, about: &str, action: AnyView) -> AnyView {
    let (title, about) = (title.to_owned(), about.to_owned());
    view! {
        <div class="empty">
            <h2>{title}</h2>
            <p>{about}</p>
            {action}
        </div>
    }
    .into_any()
}

/// Where to go from an error: addresses and what they are called.
const WAYS: &[(&str, &str)] = &[("/", "Start page"), ("/dashboard", "Overview")];

fn error_card(error: &AppError, ways: &'static [(&str, &str)]) -> AnyView {
    let title = match error.kind {
        Kind::NotFound => "Not found",
        Kind::Forbidden => "Not for your role",
        Kind::Invalid | Kind::Conflict => "That does not fit",
        Kind::TooMany => "Too often",
        _ => "Something went wrong",
    };
    let fields = error.fields.values().cloned();
    let message: Vec<String> =
        std::iter::once(error.message.clone()).filter(|m| !m.is_empty()).chain(fields).collect();
    let message = message.join(" ");
    let way = |(href, label): &(&'static str, &'static str)| {
        let (href, label) = (*href, *label);
        view! { <a class="btn" href=href>{label}</a> }
    };
    let ways: Vec<_> = ways.iter().map(way).collect();
    view! {
        <section class="card stack">
            <h1>{title}</h1>
            <p>{message}</p>
            <p class="row">{ways}</p>
        </section>
    }
    .into_any()
}

/// What is shown where no page is.
pub fn nothing_here() -> AnyView {
    page::<AnyView, _>("Not found", async { Err(AppError::not_found()) })
}
