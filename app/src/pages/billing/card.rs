//! `/billing/card`: the link in letters. Sends whoever may decide about money to Stripe's page for
//! another card.

use leptos::prelude::*;
use server::auth::{Permission, Who};
use server::engine::Engine;
use server::subscriptions::{self, Flow};

use crate::error::AppError;
use crate::layout::{self, Place};
use crate::web;

/// `/billing/card`
pub fn card() -> AnyView {
    layout::members(Place::Billing, Permission::ManageBilling, content)
}

async fn content(engine: Engine, who: Who) -> Result<AnyView, AppError> {
    let url = subscriptions::portal_for(&engine, &who, Flow::UpdateCard).await?;
    web::redirect(&url);
    Ok(view! { <p><a href=url>"Update the card"</a></p> }.into_any())
}
