//! The pages of Stripe on which an org can pay for a plan: never two at once. (B15)
//!
//! A page that was opened can be paid for a day, whatever its reader did since. So whoever opens
//! one closes the others, and so does one that was paid. Writes `status` of `checkouts`. Packs may
//! well be bought on two pages; those are left alone.

use stripe_checkout::checkout_session::{ExpireCheckoutSession, RetrieveCheckoutSession};

use crate::clock::{HOUR, Millis};
use crate::db::sql;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::stripe::shapes::Session;

use super::checkouts;

/// How long somebody who asks again is sent to the page that is open already.
pub(super) const FRESH: Millis = 12 * HOUR;

/// A page for a plan that may still be paid.
#[derive(sqlx::FromRow)]
struct Page {
    id: String,
    session_id: String,
    price_id: String,
    created_at: Millis,
}

/// Closes the pages on which this org could pay for another plan than this price, and those that
/// are too old to be shown again. Answers the sessions, `cs_…`, that turn out to be paid.
pub async fn close_for(engine: &Engine, org_id: &str, price_id: &str) -> Result<Vec<String>> {
    let since = engine.clock.now() - FRESH;
    let mut paid = Vec::new();
    for page in open_pages(engine, org_id).await? {
        let other = page.price_id != price_id || page.created_at <= since;
        if other && close(engine, &page.session_id).await? {
            paid.push(page.session_id);
        }
    }
    Ok(paid)
}

/// Closes every page on which this org could still pay for a plan, but this session.
pub async fn close_all_but(engine: &Engine, org_id: &str, session_id: &str) -> Result<()> {
    for page in open_pages(engine, org_id).await? {
        if page.session_id != session_id {
            close(engine, &page.session_id).await?;
        }
    }
    Ok(())
}

/// Whether the page that was just opened is the one that stays. Of pages opened at one moment the
/// one with the greatest id does: whoever looks last sees both, and closes the other or its own.
/// None stays where another one was paid meanwhile.
pub(super) async fn stays(engine: &Engine, org_id: &str, id: &str) -> Result<bool> {
    let pages = open_pages(engine, org_id).await?;
    let Some(own) = pages.iter().find(|page| page.id == id) else { return Ok(false) };
    let mut stays = pages.last().is_some_and(|last| last.id == id);
    if stays {
        for other in pages.iter().filter(|page| page.id != id) {
            stays &= !close(engine, &other.session_id).await?;
        }
    }
    if !stays {
        close(engine, &own.session_id).await?;
    }
    Ok(stays)
}

async fn open_pages(engine: &Engine, org_id: &str) -> Result<Vec<Page>> {
    let text = "select id, session_id, price_id, created_at from checkouts
         where org_id = $1 and kind = 'subscription' and status = 'open'
         and session_id is not null order by id";
    engine.db.all(sql(text).bind(org_id)).await
}

/// Closes a page, unless it was paid; answers whether it was.
async fn close(engine: &Engine, session_id: &str) -> Result<bool> {
    let request = ExpireCheckoutSession::new(session_id.to_owned());
    let closed = engine.stripe.write(&request, &format!("expire:{session_id}")).await;
    let session: Session = match closed {
        Ok(session) => session,
        Err(Error::Stripe { retryable: false, .. }) => {
            // It is not open any more, or Stripe does not know it: then it cannot be paid either.
            let request = RetrieveCheckoutSession::new(session_id.to_owned());
            let found: Option<Session> = engine.stripe.fetch_optional(&request).await?;
            found.unwrap_or_else(|| gone(session_id))
        }
        Err(error) => return Err(error),
    };
    if session.status == "open" {
        return Err(Error::internal(format!("{session_id} is open and cannot be closed")));
    }
    let mut tx = engine.db.begin().await?;
    checkouts::close(&mut tx, &session, engine.clock.now()).await?;
    tx.commit().await?;
    Ok(session.status == "complete")
}

fn gone(session_id: &str) -> Session {
    let status = "expired".to_owned();
    Session { id: session_id.to_owned(), status, ..Session::default() }
}
