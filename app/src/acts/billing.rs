//! Subscribing, buying, opening the portal, and the org's own cap.

use leptos::prelude::*;
use server::audit::Actor;
use server::auth::Permission;
use server::subscriptions::Flow;
use server::{caps, subscriptions, topups};

use crate::error::AppError;
use crate::forms::{self, typed};
use crate::{session, web};

/// Opens the hosted checkout for a plan.
#[server(prefix = "/api", endpoint = "subscribe")]
pub async fn subscribe(#[server(default)] price: String) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    if price.is_empty() {
        return Err(AppError::field("price", "Choose a plan."));
    }
    let url = subscriptions::checkout(&engine, &who, &price).await?;
    web::redirect(&url);
    Ok(())
}

/// Opens the hosted checkout for a pack.
#[server(prefix = "/api", endpoint = "buy_pack")]
pub async fn buy_pack(#[server(default)] pack: String) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    if pack.is_empty() {
        return Err(AppError::field("pack", "Choose a pack."));
    }
    let url = topups::checkout(&engine, &who, &pack).await?;
    web::redirect(&url);
    Ok(())
}

/// Opens the customer portal at one of its tasks: card, invoices, another plan, the end.
#[server(prefix = "/api", endpoint = "open_portal")]
pub async fn open_portal(#[server(default)] task: String) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    let flow = match task.as_str() {
        "card" => Flow::UpdateCard,
        "plan" => Flow::ChangePlan,
        "cancel" => Flow::Cancel,
        _ => Flow::Home,
    };
    let url = subscriptions::portal_for(&engine, &who, flow).await?;
    web::redirect(&url);
    Ok(())
}

/// Sets the org's own ceiling.
#[server(prefix = "/api", endpoint = "save_cap")]
pub async fn save_cap(
    #[server(default)] credits: String,
    #[server(default)] kind: String,
) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    let read = typed::credits("A cap", &credits);
    let ceiling = read.map_err(|fault| AppError::field("credits", fault))?;
    let hard = match kind.as_str() {
        "hard" => true,
        "soft" => false,
        _ => return Err(AppError::field("kind", "Choose what happens at the cap.")),
    };
    let actor = Actor::User(who.user_id.clone());
    let mut tx = engine.db.begin().await?;
    let cap = Some((ceiling, hard));
    caps::set(&mut tx, &who.org_id, cap, actor, engine.clock.now()).await?;
    tx.commit().await?;
    forms::done("The cap is saved and in force.").await?;
    web::redirect("/billing");
    Ok(())
}

/// Takes the org's own ceiling away.
#[server(prefix = "/api", endpoint = "remove_cap")]
pub async fn remove_cap() -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageBilling).await?;
    let actor = Actor::User(who.user_id.clone());
    let mut tx = engine.db.begin().await?;
    caps::set(&mut tx, &who.org_id, None, actor, engine.clock.now()).await?;
    tx.commit().await?;
    forms::done("The cap is removed.").await?;
    web::redirect("/billing");
    Ok(())
}
