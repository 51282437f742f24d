//! Making and revoking API keys. A new secret goes to the browser that asked for it, in a cookie
//! that the next page takes away; it is never stored in the clear.

use leptos::prelude::*;
use server::api_keys::{self, NewKey};
use server::audit::Actor;
use server::auth::Permission;
use server::engine::Engine;
use server::entitlements;

use crate::error::AppError;
use crate::{forms, session, web};

/// The cookie that carries a new secret to the page that shows it.
pub const NEW_KEY: &str = "new_key";

/// Makes a key.
#[server(prefix = "/api", endpoint = "create_key")]
pub async fn create_key(
    #[server(default)] name: String,
    #[server(default)] scope: String,
) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageKeys).await?;
    let scopes = match scope.as_str() {
        "use" => "read,use",
        "read" => "read",
        _ => return Err(AppError::field("scope", "Choose what the key may do.")),
    };
    check_limit(&engine, &who.org_id).await?;
    let new = NewKey {
        org: Some(who.org_id.clone()),
        name,
        scopes: api_keys::parse_scopes(scopes)?,
        created_by: Actor::User(who.user_id.clone()),
    };
    let mut tx = engine.db.begin().await?;
    let now = engine.clock.now();
    let (_, secret) = api_keys::create(&mut tx, new, engine.config.live(), now).await?;
    tx.commit().await?;
    let secure = if engine.config.is_development() { "" } else { "; Secure" };
    let cookie =
        format!("{NEW_KEY}={secret}; Path=/keys; Max-Age=300; HttpOnly; SameSite=Lax{secure}");
    web::set_cookie(&cookie)?;
    web::redirect("/keys");
    Ok(())
}

/// Refuses a key more than the plan includes.
async fn check_limit(engine: &Engine, org_id: &str) -> Result<(), AppError> {
    let entitled = entitlements::of(&engine.db, org_id, engine.clock.now()).await?;
    let Some(limit) = entitled.limits.get("keys") else { return Ok(()) };
    let keys = api_keys::list(&engine.db, org_id).await?;
    let live = keys.iter().filter(|key| key.revoked_at.is_none()).count();
    if i64::try_from(live).unwrap_or(i64::MAX) < *limit {
        return Ok(());
    }
    let plan = &entitled.plan.tier_name;
    let message = format!("{plan} includes {limit} API keys. Revoke one, or change the plan.");
    Err(AppError::field("name", message))
}

/// Revokes a key, from now on and for good.
#[server(prefix = "/api", endpoint = "revoke_key")]
pub async fn revoke_key(#[server(default)] key_id: String) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::ManageKeys).await?;
    let actor = Actor::User(who.user_id.clone());
    let mut tx = engine.db.begin().await?;
    api_keys::revoke(&mut tx, &who.org_id, &key_id, actor, engine.clock.now()).await?;
    tx.commit().await?;
    forms::done("The key is revoked. Requests with it are refused from now on.").await?;
    web::redirect("/keys");
    Ok(())
}
