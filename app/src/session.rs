//! Who is in front of the page, and where they may be sent. Every server function begins here.

use server::audit::Actor;
use server::auth::{self, Permission, Who, operators, sessions};
use server::engine::Engine;
use server::orgs;

use crate::error::AppError;
use crate::web;

/// The visitor, when somebody is signed in.
pub async fn visitor() -> Result<Option<Who>, AppError> {
    let engine = web::engine()?;
    let session = web::session().await?;
    let Some(identity) = sessions::identity(&session).await? else { return Ok(None) };
    Ok(auth::who(&engine.db, &identity.user_id, &identity.org_id).await?)
}

/// The visitor, who must be signed in and have a role that may do this.
pub async fn require(permission: Permission) -> Result<(Engine, Who), AppError> {
    let who = visitor().await?.ok_or_else(AppError::unauthorized)?;
    orgs::require(&who, permission)?;
    Ok((web::engine()?, who))
}

/// The visitor, who must look after this installation. To everybody else who is signed in there is
/// nothing at the address.
pub async fn operator() -> Result<(Engine, Who), AppError> {
    let who = visitor().await?.ok_or_else(AppError::unauthorized)?;
    let engine = web::engine()?;
    match operators::is_operator(&engine.db, &who.user_id).await? {
        true => Ok((engine, who)),
        false => Err(AppError::not_found()),
    }
}

/// How the audit trail names an operator: by address, so that it can be read by itself.
pub fn as_operator(who: &Who) -> Actor {
    Actor::Operator(who.email.clone())
}

/// For what everybody may call, signed in or not.
pub fn anyone() -> Result<Engine, AppError> {
    web::engine()
}

/// Where to go after signing in: a path of this site, else the dashboard. What a browser could
/// read as another site's address is refused.
pub fn next_path(wanted: Option<&str>) -> String {
    let safe = |path: &&str| {
        let mut bytes = path.bytes();
        let second = path.as_bytes().get(1).copied();
        bytes.next() == Some(b'/')
            && !matches!(second, Some(b'/' | b'\\'))
            && path.len() <= 2_000
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
            && !path.starts_with("/api/")
    };
    wanted.filter(safe).unwrap_or("/dashboard").to_owned()
}

/// The sign-in page that leads back to `path`.
pub fn sign_in_path(path: &str) -> String {
    let next: String = form_urlencoded::byte_serialize(path.as_bytes()).collect();
    format!("/sign-in?next={next}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_followed() {
        let cases = [
            (Some("/billing"), "/billing"),
            (Some("/usage?meter=text&page=2"), "/usage?meter=text&page=2"),
            (Some("//evil.example"), "/dashboard"),
            (Some("/\\evil.example"), "/dashboard"),
            (Some("/a\\b"), "/dashboard"),
            (Some("https://evil.example"), "/dashboard"),
            (Some("javascript:alert(1)"), "/dashboard"),
            (Some("/a\nSet-Cookie: x"), "/dashboard"),
            (Some("/\t/evil.example"), "/dashboard"),
            (Some("/api/sign_out"), "/dashboard"),
            (Some(""), "/dashboard"),
            (None, "/dashboard"),
        ];
        for (wanted, expected) in cases {
            assert_eq!(next_path(wanted), expected, "{wanted:?}");
        }
    }

    #[test]
    fn the_way_back_is_encoded() {
        assert_eq!(sign_in_path("/usage?a=1&b=2"), "/sign-in?next=%2Fusage%3Fa%3D1%26b%3D2");
    }
}
