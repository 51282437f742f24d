//! Who calls: the API key of a request, and whether its scope is enough. A handler names the scope
//! it needs by the type of its first argument.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::error::ApiError;
use crate::api_keys::{self, Caller, Scope, Shown};
use crate::engine::Engine;
use crate::error::Error;

/// A caller that may ask.
pub struct MayRead(pub Caller);

/// A caller that may spend.
pub struct MayUse(pub Caller);

impl FromRequestParts<Engine> for MayRead {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, engine: &Engine) -> Result<Self, ApiError> {
        authorised(parts, engine, Scope::Read).await.map(Self)
    }
}

impl FromRequestParts<Engine> for MayUse {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, engine: &Engine) -> Result<Self, ApiError> {
        authorised(parts, engine, Scope::Use).await.map(Self)
    }
}

async fn authorised(parts: &Parts, engine: &Engine, scope: Scope) -> Result<Caller, ApiError> {
    let secret = bearer(&parts.headers).ok_or_else(ApiError::unauthenticated)?;
    let org = org_header(&parts.headers)?;
    let shown = Shown { secret: secret.to_owned(), org: org.map(str::to_owned) };
    let caller = engine.doorkeeper.authenticate(shown).await?;
    if !caller.may(scope) {
        return Err(ApiError::scope_missing(scope.as_str()));
    }
    note_use(engine, &caller).await;
    Ok(caller)
}

/// The one bearer token of the request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn org_header(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get("turnpike-org") else { return Ok(None) };
    let org = value.to_str().ok().map(str::trim).filter(|org| !org.is_empty());
    match org {
        Some(org) => Ok(Some(org)),
        None => Err(ApiError::invalid("Turnpike-Org", "Turnpike-Org is an org's id, org_….")),
    }
}

/// Once a minute. A request does not fail because its time could not be written down.
async fn note_use(engine: &Engine, caller: &Caller) {
    let now = engine.clock.now();
    if !api_keys::touch_due(caller, now) {
        return;
    }
    let written: Result<(), Error> = async {
        let mut tx = engine.db.begin().await?;
        api_keys::touch(&mut tx, &caller.key_id, now).await?;
        tx.commit().await
    }
    .await;
    if let Err(error) = written {
        tracing::warn!(key = %caller.key_id, "the key's last use was not written down: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_is_read() {
        let cases: [(&[&str], Option<&str>); 8] = [
            (&["Bearer tp_test_1"], Some("tp_test_1")),
            (&["bearer  tp_test_1 "], Some("tp_test_1")),
            (&["Basic dXNlcjpwYXNz"], None),
            (&["tp_test_1"], None),
            (&["Bearer"], None),
            (&[""], None),
            (&[], None),
            (&["Bearer tp_test_1", "Bearer tp_test_2"], None),
        ];
        for (values, token) in cases {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().expect("a header"));
            }
            assert_eq!(bearer(&headers), token, "{values:?}");
        }
    }

    #[test]
    fn the_org_header_is_an_id_or_absent() {
        let mut headers = HeaderMap::new();
        assert_eq!(org_header(&headers), Ok(None));
        headers.insert("turnpike-org", "org_1".parse().expect("a header"));
        assert_eq!(org_header(&headers), Ok(Some("org_1")));
        headers.insert("turnpike-org", " ".parse().expect("a header"));
        assert!(org_header(&headers).is_err());
    }
}
