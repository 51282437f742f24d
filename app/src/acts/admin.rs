//! What operators do for one org: looking at Stripe anew, giving credits, making and ending
//! contracts. Each is written into the audit trail with the operator's address.

use leptos::prelude::*;
use server::contracts::{self, NewContract};
use server::credits::{self, Adjustment};
use server::error::Error;
use server::reconciliation::{self, Looked};
use server::units::Credits;
use server::{audit, gate, orgs};

use crate::error::{AppError, Kind};
use crate::forms::{self, typed};
use crate::{format, session, web};

/// The longest text of terms, in bytes: what is typed comes back with its mistakes.
const TERMS_MAX: usize = 20_000;

/// Looks at everything anew that Stripe has of an org.
#[server(prefix = "/api/admin", endpoint = "look_anew")]
pub async fn look_anew(#[server(default)] org: String) -> Result<(), AppError> {
    let (engine, who) = session::operator().await?;
    let org = orgs::find(&engine.db, &org).await?;
    let actor = session::as_operator(&who);
    let looked = reconciliation::look_anew(&engine, &org.id, actor).await.map_err(as_look)?;
    match looked.is_customer && looked.failed.is_empty() && looked.left == 0 {
        true => forms::done(&said(&looked)).await?,
        false => forms::warn(&said(&looked)).await?,
    }
    web::redirect(&path_of(&org.id));
    Ok(())
}

/// Gives an org credits. The same form sent again gives nothing more. (F6)
#[server(prefix = "/api/admin", endpoint = "grant_credits")]
pub async fn grant_credits(
    #[server(default)] org: String,
    #[server(default)] credits: String,
    #[server(default)] reason: String,
    #[server(default)] key: String,
) -> Result<(), AppError> {
    let (engine, who) = session::operator().await?;
    let org = orgs::find(&engine.db, &org).await?;
    let amount = read_grant(&credits, &reason)?;
    let actor = session::as_operator(&who);
    let wanted = Adjustment { org_id: org.id.clone(), credits: amount, key, actor, reason };
    gate::book_due(&engine, &org.id).await?;
    let mut tx = engine.db.begin().await?;
    let made = credits::adjust(&mut tx, wanted, engine.clock.now()).await.map_err(sent_before)?;
    tx.commit().await?;
    engine.wake.notify_one();
    let given = format::with_unit(amount);
    let message = match made.replayed {
        true => format!("{given} were given before, by the same form. Nothing more was given."),
        false => format!("{given} were given to {}.", org.name),
    };
    forms::done(&message).await?;
    web::redirect(&path_of(&org.id));
    Ok(())
}

/// Makes a contract of a text of terms. The same form sent again makes no other. (F6)
#[server(prefix = "/api/admin", endpoint = "make_contract")]
pub async fn make_contract(
    #[server(default)] org: String,
    #[server(default)] terms: String,
    #[server(default)] grounds: String,
    #[server(default)] key: String,
) -> Result<(), AppError> {
    let (engine, who) = session::operator().await?;
    if terms.len() > TERMS_MAX {
        return Err(AppError::field("terms", "Use at most 20,000 bytes."));
    }
    // A browser ends its lines with two signs, of which TOML takes either.
    let agreed = contracts::parse(&terms).map_err(as_terms)?;
    check_reason("grounds", &grounds)?;
    let actor = session::as_operator(&who);
    let new = NewContract { org_id: org, agreed, key, actor, reason: grounds };
    let made = contracts::create(&engine, new).await.map_err(as_terms)?;
    forms::done(&format!("The contract {} is made.", made.name)).await?;
    web::redirect(&path_of(&made.org_id));
    Ok(())
}

/// Ends a contract now.
#[server(prefix = "/api/admin", endpoint = "end_contract")]
pub async fn end_contract(
    #[server(default)] contract: String,
    #[server(default)] cause: String,
) -> Result<(), AppError> {
    let (engine, who) = session::operator().await?;
    check_reason("cause", &cause)?;
    let ended = contracts::end(&engine, &contract, session::as_operator(&who), &cause).await?;
    forms::done(&format!("The contract {} is ended.", ended.name)).await?;
    web::redirect(&path_of(&ended.org_id));
    Ok(())
}

fn path_of(org_id: &str) -> String {
    format!("/admin/orgs/{org_id}")
}

fn said(looked: &Looked) -> String {
    if !looked.is_customer {
        return "This organisation is no customer at Stripe: there is nothing to look at.".into();
    }
    let (one, many) = ("object is as Stripe says now", "objects are as Stripe says now");
    let mut message = format!("{}.", format::count(count(looked.done), one, many));
    for (id, reason) in looked.failed.iter().take(3) {
        message += &format!(" {id} was not: {reason}.");
    }
    if looked.failed.len() > 3 {
        message += &format!(" {} more were not.", looked.failed.len() - 3);
    }
    if looked.left > 0 {
        message += &format!(
            " {} more were too many at once: run `reconcile` at the command line.",
            looked.left
        );
    }
    message
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Under the name that the reason has in its form.
pub(super) fn check_reason(field: &str, reason: &str) -> Result<(), AppError> {
    reason_fault(reason).map_or(Ok(()), |fault| Err(AppError::field(field, fault)))
}

fn reason_fault(reason: &str) -> Option<String> {
    let message = match reason.chars().any(char::is_control) {
        true => "Say why, on one line of letters, digits and signs.",
        false => "Say why, in 1 to 500 characters. The audit trail keeps it.",
    };
    audit::check_reason(reason).err().map(|_| message.to_owned())
}

/// What was looked at before Stripe did not answer is kept.
fn as_look(error: Error) -> AppError {
    match error {
        Error::Stripe { .. } => {
            tracing::warn!("{error}");
            let message = "Stripe did not answer. What was read so far is kept; look again in a \
                 moment.";
            AppError::new(Kind::Upstream, message)
        }
        other => other.into(),
    }
}

/// Whatever is wrong with a contract stands in its text.
fn as_terms(error: Error) -> AppError {
    match error {
        Error::Invalid { field, message } => {
            let what = match &*field {
                "" | "file" => String::new(),
                field => format!("{field}: "),
            };
            AppError::field("terms", format!("{what}{message}"))
        }
        other => sent_before(other),
    }
}

/// A form whose key was used for something else.
fn sent_before(error: Error) -> AppError {
    match error {
        Error::Conflict(said) => {
            let message = format!("{said} Load the page again for a new form.");
            AppError::new(Kind::Conflict, message)
        }
        other => other.into(),
    }
}

/// What was typed of a grant, or everything that is wrong with it.
fn read_grant(credits: &str, reason: &str) -> Result<Credits, AppError> {
    let amount = match typed::credits("A grant", credits) {
        Ok(credits) if !credits.is_positive() => Err("Give more than 0. What takes credits away \
             is `adjust`, at the command line."
            .to_owned()),
        read => read,
    };
    match (amount, reason_fault(reason)) {
        (Ok(credits), None) => Ok(credits),
        (amount, why) => Err(AppError::fields([("credits", amount.err()), ("reason", why)])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_more_than_nothing_is_given_and_all_that_is_wrong_is_said() {
        assert_eq!(read_grant("1,000", "why").ok(), Credits::from_whole(1_000));
        let long = "why ".repeat(200);
        let both = ["credits", "reason"];
        let cases: [(&str, &str, &[&str]); 8] = [
            ("", "why", &["credits"]),
            ("few", "why", &["credits"]),
            ("0", "why", &["credits"]),
            ("-5", "why", &["credits"]),
            ("12,50", "why", &["credits"]),
            ("5", " ", &["reason"]),
            ("5", "a\0b", &["reason"]),
            ("", &long, &both),
        ];
        for (credits, reason, expected) in cases {
            let error = read_grant(credits, reason).expect_err("refused");
            let told: Vec<&str> = error.fields.keys().map(String::as_str).collect();
            assert_eq!(told, expected, "{credits} {reason}");
        }
    }

    #[test]
    fn what_is_wrong_with_terms_stands_under_them() {
        let cases = [
            (Error::invalid("file", "name must be there"), "name must be there"),
            (Error::invalid("meters", "no such"), "meters: no such"),
        ];
        for (error, expected) in cases {
            assert_eq!(as_terms(error).fields["terms"], expected);
        }
        assert_eq!(as_terms(Error::Conflict("Used.".to_owned())).kind, Kind::Conflict);
    }

    #[test]
    fn looking_says_what_it_came_to() {
        assert!(said(&Looked::default()).contains("no customer"));
        let one = Looked { is_customer: true, done: 1, ..Looked::default() };
        assert_eq!(said(&one), "1 object is as Stripe says now.");
        let failed = (0..5).map(|index| (format!("in_{index}"), "is odd".to_owned())).collect();
        let some = Looked { failed, left: 7, ..one };
        let message = said(&some);
        assert!(message.contains("in_2 was not: is odd. 2 more were not. 7 more"), "{message}");
    }
}
