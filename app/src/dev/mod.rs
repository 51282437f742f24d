//! The workshop's doors, in development only: the clock, a letter as HTML, the sign of life that
//! pages wait for, and the simulator. In production none of these addresses exists.

pub mod simulator;

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use server::clock::{DAY, HOUR, Millis, SECOND, add_months};
use server::engine::Engine;
use server::error::{Error, Result};
use server::mail;

use crate::format;
use crate::serve::Site;

/// Loads the page again when another server answers than the one that made it. It asks every
/// second, because a stream that stays open would use up the browser's few connections to a host.
pub const RELOAD: &str = "(()=>{let boot;setInterval(async()=>{try{\
     const now=await(await fetch('/dev/alive')).text();\
     if(boot&&boot!==now)location.reload();boot=now}catch{}},1000)})()";

/// The routes of the workshop.
pub fn routes(engine: Engine, site: Site) -> Router {
    Router::new()
        .route("/dev/clock", post(move_clock))
        .route("/dev/mail/{id}/html", get(letter))
        .with_state(engine)
        .route("/dev/alive", get(alive))
        .with_state(site)
}

/// What stands in for Stripe, if something does.
pub fn simulator_url(engine: &Engine) -> Option<String> {
    let config = &engine.config;
    config.stripe_api_base.clone().filter(|_| config.is_development() && config.simulated())
}

/// How soon a server sees a clock that another process moved, and a little more.
pub const SEEN_BY_OTHERS: Duration = Duration::from_millis(400);

/// Moves our clock and the simulator's forward by whole seconds; answers the new time. Ours goes
/// first, and then `pause` passes, so that nothing the simulator sends comes from the future of
/// whoever receives it.
pub async fn advance(engine: &Engine, seconds: i64, pause: Duration) -> Result<Millis> {
    if !engine.config.is_development() {
        let message = "The clock can be moved in development only.";
        return Err(Error::Forbidden(message.to_owned()));
    }
    let mut tx = engine.db.begin().await?;
    engine.clock.advance(&mut tx, seconds).await?;
    tx.commit().await?;
    // Whoever looked while this was not yet committed has seen the old time.
    engine.clock.refresh(&engine.db).await?;
    let now = engine.clock.now();
    tokio::time::sleep(pause).await;
    if let Some(url) = simulator_url(engine) {
        simulator::advance(&url, seconds).await?;
    }
    engine.wake.notify_one();
    Ok(now)
}

#[derive(Deserialize)]
struct Move {
    #[serde(default)]
    step: String,
    #[serde(default)]
    seconds: String,
}

async fn move_clock(State(engine): State<Engine>, Form(form): Form<Move>) -> Redirect {
    let moved = match seconds(&form, engine.clock.now()) {
        Some(seconds) => advance(&engine, seconds, Duration::ZERO).await,
        None => Err(Error::invalid("seconds", "Enter a whole number of seconds, such as 3600.")),
    };
    let pair = match moved {
        Ok(now) => ("moved", format!("It is {}.", format::stamp(now))),
        Err(error) => ("failed", error.to_string()),
    };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(pair.0, &pair.1);
    Redirect::to(&format!("/dev?{}", query.finish()))
}

fn seconds(form: &Move, now: Millis) -> Option<i64> {
    match form.step.as_str() {
        "hour" => Some(HOUR / SECOND),
        "day" => Some(DAY / SECOND),
        "month" => Some((add_months(now, 1) - now) / SECOND),
        _ => form.seconds.trim().parse().ok(),
    }
}

/// A letter as its receiver would see it, in a policy of its own: it may have styles, and nothing
/// else.
async fn letter(State(engine): State<Engine>, Path(id): Path<String>) -> Response {
    let Ok(letter) = mail::find(&engine.db, &id).await else {
        return (StatusCode::NOT_FOUND, "There is no such letter.").into_response();
    };
    let mut response = Html(letter.html_body).into_response();
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox \
         allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// Says which start of the server this is.
async fn alive(State(site): State<Site>) -> String {
    site.boot.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_clock_are_whole_seconds() {
        let form =
            |step: &str, seconds: &str| Move { step: step.to_owned(), seconds: seconds.to_owned() };
        let cases = [
            (form("hour", ""), Some(3_600)),
            (form("day", "5"), Some(86_400)),
            (form("month", ""), Some(31 * 86_400)),
            (form("custom", " 90 "), Some(90)),
            (form("custom", "soon"), None),
        ];
        for (form, expected) in cases {
            assert_eq!(seconds(&form, 0), expected, "{}", form.step);
        }
    }
}
