//! Taking a notice off the page.

use leptos::prelude::*;
use server::auth::Permission;
use server::notices;

use crate::error::AppError;
use crate::{session, web};

/// Takes a notice off everybody's page.
#[server(prefix = "/api", endpoint = "dismiss_notice")]
pub async fn dismiss_notice(#[server(default)] notice_id: String) -> Result<(), AppError> {
    let (engine, who) = session::require(Permission::SeeOrg).await?;
    let mut tx = engine.db.begin().await?;
    let now = engine.clock.now();
    notices::dismiss(&mut tx, &who.org_id, &notice_id, &who.user_id, now).await?;
    tx.commit().await?;
    web::redirect("/dashboard");
    Ok(())
}
