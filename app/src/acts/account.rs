//! Signing up, in and out.

use leptos::prelude::*;
use server::auth::{accounts, sessions};

use crate::error::AppError;
use crate::session::{self, next_path};
use crate::web;

/// Makes a user and an org, and signs in.
#[server(prefix = "/api/public", endpoint = "sign_up")]
pub async fn sign_up(
    #[server(default)] name: String,
    #[server(default)] email: String,
    #[server(default)] password: String,
    #[server(default)] next: Option<String>,
) -> Result<(), AppError> {
    let engine = session::anyone()?;
    let form = accounts::SignUp { name, email, password, org_name: None };
    let identity = accounts::sign_up(&engine, form).await?;
    sessions::begin(&web::session().await?, &identity).await?;
    web::redirect(&next_path(next.as_deref()));
    Ok(())
}

/// Signs in.
#[server(prefix = "/api/public", endpoint = "sign_in")]
pub async fn sign_in(
    #[server(default)] email: String,
    #[server(default)] password: String,
    #[server(default)] next: Option<String>,
) -> Result<(), AppError> {
    let engine = session::anyone()?;
    let identity = accounts::sign_in(&engine, &email, &password, &web::peer()).await?;
    sessions::begin(&web::session().await?, &identity).await?;
    web::redirect(&next_path(next.as_deref()));
    Ok(())
}

/// Signs out: the session is gone, here and in the database.
#[server(prefix = "/api/public", endpoint = "sign_out")]
pub async fn sign_out() -> Result<(), AppError> {
    session::anyone()?;
    sessions::end(&web::session().await?).await?;
    web::redirect("/");
    Ok(())
}
