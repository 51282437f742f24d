//! The document around every page, and which address is which page.

use axum::http::request::Parts;
use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, MetaTags, provide_meta_context};
use leptos_router::components::{Route, Router, Routes};
use leptos_router::{SsrMode, path};

use crate::{layout, pages, web};

/// Pages without an island: they are complete as they are, and load no script.
const STILL: [&str; 2] = ["/", "/pricing"];

/// The document.
pub fn shell(options: LeptosOptions) -> AnyView {
    let parts = use_context::<Parts>();
    let path = parts.map(|parts| parts.uri.path().to_owned()).unwrap_or_default();
    let scripts = (!STILL.contains(&path.as_str())).then(|| {
        let options = options.clone();
        view! { <HydrationScripts options=options islands=true/> }
    });
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <HashedStylesheet options=options id="style"/>
                {scripts}
                {reload()}
                <MetaTags/>
            </head>
            <body>
                <a class="sr" href="#main">"Skip to content"</a>
                <App/>
            </body>
        </html>
    }
    .into_any()
}

/// In development a page waits for another server to answer, and then loads itself again.
fn reload() -> Option<AnyView> {
    let engine = web::engine().ok().filter(|engine| engine.config.is_development());
    engine.map(|_| {
        let nonce = leptos::nonce::use_nonce();
        view! { <script nonce=nonce>{crate::dev::RELOAD}</script> }.into_any()
    })
}

/// Every page by its address. All are complete before they are sent, so that their status is true
/// and nothing needs a script to be seen.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Router>
            <Routes fallback=layout::nothing_here>
                <Route path=path!("/") view=pages::landing::landing ssr=SsrMode::Async/>
                <Route path=path!("/pricing") view=pages::pricing::pricing ssr=SsrMode::Async/>
                <Route path=path!("/sign-up") view=pages::sign::sign_up ssr=SsrMode::Async/>
                <Route path=path!("/sign-in") view=pages::sign::sign_in ssr=SsrMode::Async/>
                <Route
                    path=path!("/dashboard")
                    view=pages::dashboard::dashboard
                    ssr=SsrMode::Async
                />
                <Route path=path!("/usage") view=pages::usage::usage ssr=SsrMode::Async/>
                <Route path=path!("/credits") view=pages::credits::credits ssr=SsrMode::Async/>
                <Route path=path!("/billing") view=pages::billing::billing ssr=SsrMode::Async/>
                <Route
                    path=path!("/billing/change")
                    view=pages::billing::change
                    ssr=SsrMode::Async
                />
                <Route path=path!("/billing/card") view=pages::billing::card ssr=SsrMode::Async/>
                <Route path=path!("/keys") view=pages::keys::keys ssr=SsrMode::Async/>
                <Route
                    path=path!("/playground")
                    view=pages::playground::playground
                    ssr=SsrMode::Async
                />
                <Route path=path!("/settings") view=pages::settings::settings ssr=SsrMode::Async/>
                <Route
                    path=path!("/checkout/return")
                    view=pages::checkout::returned
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/billing/return")
                    view=pages::checkout::returned
                    ssr=SsrMode::Async
                />
                <Route path=path!("/admin") view=pages::admin::overview ssr=SsrMode::Async/>
                <Route path=path!("/admin/orgs") view=pages::admin::orgs ssr=SsrMode::Async/>
                <Route path=path!("/admin/orgs/:id") view=pages::admin::org ssr=SsrMode::Async/>
                <Route path=path!("/admin/findings") view=pages::desk::findings ssr=SsrMode::Async/>
                <Route path=path!("/admin/inbox") view=pages::desk::inbox ssr=SsrMode::Async/>
                <Route path=path!("/admin/inbox/:id") view=pages::desk::event ssr=SsrMode::Async/>
                <Route path=path!("/admin/jobs") view=pages::desk::jobs ssr=SsrMode::Async/>
                <Route path=path!("/dev") view=pages::dev::bench ssr=SsrMode::Async/>
                <Route path=path!("/dev/mail") view=pages::dev::mailbox ssr=SsrMode::Async/>
                <Route path=path!("/dev/mail/:id") view=pages::dev::letter ssr=SsrMode::Async/>
            </Routes>
        </Router>
    }
}
