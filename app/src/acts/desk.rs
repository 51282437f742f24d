//! What operators do about findings, events and jobs. Each deed is in the audit trail with the
//! operator's name, written with the deed.

use leptos::prelude::*;
use server::{findings, jobs, webhooks};

use super::admin::check_reason;
use crate::error::AppError;
use crate::{format, forms, session, web};

/// Says why an open finding may stay as it is, and closes it.
#[server(prefix = "/api/admin", endpoint = "dismiss_finding")]
pub async fn dismiss_finding(
    #[server(default)] finding_id: String,
    #[server(default)] reason: String,
    #[server(default)] all: String,
    #[server(default)] after: String,
) -> Result<(), AppError> {
    let (engine, who) = session::operator().await?;
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(AppError::field("reason", "Say why it may stay as it is."));
    }
    check_reason("reason", reason)?;
    let actor = session::as_operator(&who);
    let mut tx = engine.db.begin().await?;
    findings::dismiss(&mut tx, &finding_id, reason, &actor, engine.clock.now()).await?;
    tx.commit().await?;
    forms::done("The finding is dismissed. It is found anew if it is seen again.").await?;
    web::redirect(&findings_at(all == "1", Some(&after), None));
    Ok(())
}

/// `/admin/findings?all=1&after=…&dismiss=…`: a page of findings, with the question whether to
/// dismiss one.
pub fn findings_at(all: bool, after: Option<&str>, dismiss: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if all {
        query.append_pair("all", "1");
    }
    for (name, value) in [("after", after), ("dismiss", dismiss)] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/admin/findings{mark}{query}")
}

/// Puts an event back to the beginning.
#[server(prefix = "/api/admin", endpoint = "replay_event")]
pub async fn replay_event(#[server(default)] event_id: String) -> Result<(), AppError> {
    let (engine, who) = session::operator().await?;
    let actor = session::as_operator(&who);
    let mut tx = engine.db.begin().await?;
    webhooks::replay(&mut tx, &event_id, &actor, engine.clock.now()).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    forms::done("The event is put back; the worker acts on it next.").await?;
    web::redirect(&format::path_to("/admin/inbox", &event_id));
    Ok(())
}

/// Puts every event back that failed for good or matched nobody.
#[server(prefix = "/api/admin", endpoint = "replay_failed")]
pub async fn replay_failed() -> Result<(), AppError> {
    let (engine, who) = session::operator().await?;
    let actor = session::as_operator(&who);
    let mut tx = engine.db.begin().await?;
    let count = webhooks::replay_failed(&mut tx, &actor, engine.clock.now()).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    let done = match count {
        0 => "No event had failed or matched nobody.".to_owned(),
        1 => "1 event is put back; the worker acts on it next.".to_owned(),
        count => format!("{count} events are put back; the worker acts on them next."),
    };
    forms::done(&done).await?;
    web::redirect("/admin/inbox");
    Ok(())
}

/// Lets a job run again at once.
#[server(prefix = "/api/admin", endpoint = "retry_job")]
pub async fn retry_job(#[server(default)] job_id: String) -> Result<(), AppError> {
    let (engine, who) = session::operator().await?;
    let actor = session::as_operator(&who);
    let mut tx = engine.db.begin().await?;
    jobs::retry(&mut tx, &job_id, &actor, engine.clock.now()).await?;
    tx.commit().await?;
    engine.wake.notify_one();
    forms::done("The job runs next. It is gone from here when it is done.").await?;
    web::redirect("/admin/jobs?state=waiting");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_findings_has_an_address() {
        let cases = [
            (false, None, None, "/admin/findings"),
            (true, Some(""), None, "/admin/findings?all=1"),
            (false, Some("f_1"), Some("f_2"), "/admin/findings?after=f_1&dismiss=f_2"),
            (true, Some("a&b"), None, "/admin/findings?all=1&after=a%26b"),
        ];
        for (all, after, dismiss, expected) in cases {
            assert_eq!(findings_at(all, after, dismiss), expected);
        }
    }
}
