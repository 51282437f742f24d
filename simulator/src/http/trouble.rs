//! Ordered trouble on the wire: calls that are refused, answered late, or never.
//!
//! A broken call is either not done at all or done completely; which one, the caller cannot see.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;

use super::{Outcome, Request, respond, run_to_the_end};
use crate::errors::ApiError;
use crate::json::Json;
use crate::world::{ApiFault, ApiFaultKind, Held, Origin, Shared, WAITING, World, real_ms};

/// How long an answer waits for the webhooks it caused.
const COURTESY: Duration = Duration::from_secs(2);

/// The fault that strikes this call, if one does.
pub async fn drawn(shared: &Shared, request: &Request) -> Option<ApiFault> {
    if shared.read(|world| world.settings.api_faults.is_empty()).await {
        return None;
    }
    let struck = shared.transact(Origin::default(), |world| {
        let mut struck = None;
        world.set(|settings| {
            let fault = settings
                .api_faults
                .iter_mut()
                .find_map(|fault| fault.strikes(&request.method, &request.path).then_some(fault));
            struck = fault.cloned();
            settings.api_faults.retain(|fault| fault.count > 0);
        });
        Ok(struck)
    });
    struck.await.ok().flatten()
}

/// Lets a fault happen to a call, whose idempotency key is held until the call is done.
pub async fn live(
    shared: &Arc<Shared>,
    request: &Arc<Request>,
    fault: ApiFault,
    held: Option<Held>,
) -> Response {
    let pause = Duration::from_millis(fault.delay_ms);
    let refuse = |error: ApiError| {
        let error = ApiError { status: fault.status, ..error };
        respond(request, &Outcome::refusal(request, &error))
    };
    match fault.kind {
        ApiFaultKind::RateLimit => refuse(ApiError::rate_limit()),
        ApiFaultKind::LockTimeout => refuse(ApiError::lock_timeout()),
        ApiFaultKind::ServerError => refuse(ApiError::server("An unknown error occurred.")),
        ApiFaultKind::Html => html(),
        ApiFaultKind::Reset => broken(),
        ApiFaultKind::ResetAfter => {
            run_to_the_end(shared, request).await;
            broken()
        }
        ApiFaultKind::TimeoutBefore => {
            tokio::time::sleep(pause).await;
            broken()
        }
        ApiFaultKind::TimeoutAfter => {
            run_to_the_end(shared, request).await;
            drop(held);
            tokio::time::sleep(pause).await;
            broken()
        }
        ApiFaultKind::Slow => {
            tokio::time::sleep(pause).await;
            let outcome = run_to_the_end(shared, request).await;
            respond(request, &outcome)
        }
    }
}

/// What a proxy in front of a broken service says.
fn html() -> Response {
    let page = "<html><head><title>502 Bad Gateway</title></head><body>\
                <h1>502 Bad Gateway</h1></body></html>";
    let headers = [(header::CONTENT_TYPE, "text/html")];
    (StatusCode::BAD_GATEWAY, headers, page).into_response()
}

/// An answer that breaks off: the length is announced, the connection ends before.
fn broken() -> Response {
    let cut = stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut off on purpose")) });
    let mut response = Response::new(Body::from_stream(cut));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("4096"));
    response
}

/// Where that was ordered, waits until the webhooks that are due now were tried once.
pub async fn let_webhooks_go_first(shared: &Shared) {
    if shared.read(|world| !world.settings.faults.before_answer || world.settings.hold).await {
        return;
    }
    let tried = async {
        while shared.read(untried).await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Whoever does not take them in time gets the answer first after all.
    let _ = tokio::time::timeout(COURTESY, tried).await;
}

fn untried(world: &World) -> bool {
    let now = real_ms();
    let mut waiting = world.store.oldest(WAITING);
    waiting.any(|delivery| delivery.int("attempts") == 0 && delivery.int("next_at") <= now)
}
