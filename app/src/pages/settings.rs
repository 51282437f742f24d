//! `/settings`: who is signed in, in which org.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::auth::{Permission, Who};
use server::engine::Engine;

use crate::acts::account::SignOut;
use crate::error::AppError;
use crate::layout::{self, Place};

/// `/settings`
pub fn settings() -> AnyView {
    layout::members(Place::Settings, Permission::SeeOrg, content)
}

async fn content(_engine: Engine, who: Who) -> Result<AnyView, AppError> {
    let role = who.role.to_string();
    Ok(view! {
        {layout::heading("Settings", "You and your organisation", ().into_any())}
        <div class="grid">
            <section class="card stack" aria-labelledby="profile">
                <h2 id="profile">"Profile"</h2>
                <dl class="lines">
                    <div><dt>"Name"</dt><dd>{who.name}</dd></div>
                    <div><dt>"Email"</dt><dd>{who.email}</dd></div>
                    <div><dt>"User"</dt><dd><code>{who.user_id}</code></dd></div>
                </dl>
                <form method="post" action=SignOut::url()>
                    <button type="submit" class="btn">"Sign out"</button>
                </form>
            </section>
            <section class="card stack" aria-labelledby="org">
                <h2 id="org">"Organisation"</h2>
                <dl class="lines">
                    <div><dt>"Name"</dt><dd>{who.org_name}</dd></div>
                    <div><dt>"Your role"</dt><dd>{role}</dd></div>
                    <div><dt>"Organisation"</dt><dd><code>{who.org_id}</code></dd></div>
                </dl>
            </section>
        </div>
    }
    .into_any())
}
