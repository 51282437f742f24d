//! Mail: letters that leave as jobs, by SMTP or into the local mailbox.
//!
//! Owns `mails`. A letter is stored as data in the transaction that caused it and written out when
//! it is delivered. Never sends inside a transaction.

mod money;
mod templates;
mod waiting;

use lettre::message::{Mailbox, MultiPart};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use serde_json::{Value, json};

pub use money::{Money, Said};
pub use templates::{AlertKind, Letter, Template};

use crate::clock::Millis;
use crate::config::Config;
use crate::db::{Db, Tx, sql};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::{ids, jobs};

/// The kind of job that delivers a letter.
pub const JOB: &str = "mail";

/// How long a mail server may take.
const SMTP_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// The way mail leaves.
#[derive(Clone, Debug)]
pub struct Mailer {
    from: Mailbox,
    /// Without it the letter stays in the local mailbox.
    smtp: Option<AsyncSmtpTransport<Tokio1Executor>>,
}

impl Mailer {
    /// Made from `SMTP_URL` and `MAIL_FROM`; nothing is connected yet.
    pub fn new(config: &Config) -> Result<Self> {
        let from: Mailbox = config.mail_from.parse().map_err(|error| {
            let message = format!("is not an address such as hello@example.com: {error}");
            Error::invalid("MAIL_FROM", message)
        })?;
        let smtp = match &config.smtp_url {
            None => None,
            Some(url) => {
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose());
                let builder = builder.map_err(|_| {
                    let message = "is not such as smtps://user:password@smtp.example.com:465";
                    Error::invalid("SMTP_URL", message)
                })?;
                Some(builder.timeout(Some(SMTP_TIMEOUT)).build())
            }
        };
        Ok(Self { from, smtp })
    }

    async fn send(&self, to: &str, letter: &Letter) -> Result<(), jobs::Failure> {
        let Some(smtp) = &self.smtp else {
            return Ok(());
        };
        let message = self.message(to, letter).map_err(jobs::Failure::GiveUp)?;
        let sent = smtp.send(message).await;
        sent.map(drop).map_err(|error| {
            let refused = error.is_permanent();
            let error = Error::internal(format!("mail server: {error}"));
            if refused { jobs::Failure::GiveUp(error) } else { jobs::Failure::Retry(error) }
        })
    }

    fn message(&self, to: &str, letter: &Letter) -> Result<Message> {
        let to = to.parse().map_err(|error| Error::internal(format!("mail address: {error}")))?;
        let body = MultiPart::alternative_plain_html(letter.text.clone(), letter.html.clone());
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject.clone())
            .multipart(body)
            .map_err(|error| Error::internal(format!("letter: {error}")))
    }
}

/// A delivered letter in the local mailbox.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Mail {
    /// Its id.
    pub id: String,
    /// To whom.
    pub to_address: String,
    /// Which template it was written from.
    pub template: String,
    /// The subject line.
    pub subject: String,
    /// The plain text.
    pub text_body: String,
    /// The same as HTML.
    pub html_body: String,
    /// When it was caused.
    pub created_at: Millis,
}

/// Leaves a letter behind, to be delivered after the commit.
pub async fn send_later(tx: &mut Tx, to: &str, template: Template, now: Millis) -> Result<()> {
    let id = ids::new("mail", now);
    let text = "insert into mails (id, to_address, template, letter, created_at)
         values ($1, $2, $3, $4, $5)";
    let letter = serde_json::to_string(&template)?;
    let statement = sql(text).bind(&id).bind(to).bind(template.name()).bind(letter).bind(now);
    tx.execute(statement).await?;
    jobs::enqueue(tx, JOB, &json!({ "mail": id }), now, Some(&id)).await?;
    Ok(())
}

/// Delivers the letter that the job names. A letter that was delivered already is left alone; after
/// a crash between sending and noting it, it may go out twice.
pub async fn deliver(engine: &Engine, payload: &Value) -> Result<(), jobs::Failure> {
    let id = payload["mail"].as_str().unwrap_or_default();
    let text = "select to_address, letter from mails where id = $1 and delivered_at is null";
    let row: Option<(String, String)> = engine.db.optional(sql(text).bind(id)).await?;
    let Some((to, stored)) = row else {
        return Ok(());
    };
    let template: Template =
        serde_json::from_str(&stored).map_err(|error| jobs::Failure::GiveUp(Error::from(error)))?;
    let letter = template.write(&engine.config.product_name, &engine.config.base_url);
    engine.mailer.send(&to, &letter).await?;
    note_delivered(engine, id, &letter).await?;
    Ok(())
}

/// What went out by SMTP is erased here, because it may hold a link that opens an account.
async fn note_delivered(engine: &Engine, id: &str, letter: &Letter) -> Result<()> {
    let local = engine.mailer.smtp.is_none();
    let (text_body, html_body) =
        if local { (letter.text.as_str(), letter.html.as_str()) } else { ("", "") };
    let mut tx = engine.db.begin().await?;
    let text = "update mails set subject = $2, text_body = $3, html_body = $4, delivered_at = $5,
           letter = case when $6 then letter else '' end
         where id = $1 and delivered_at is null";
    tx.execute(
        sql(text)
            .bind(id)
            .bind(&letter.subject)
            .bind(text_body)
            .bind(html_body)
            .bind(engine.clock.now())
            .bind(local),
    )
    .await?;
    tx.commit().await
}

/// The letters in the local mailbox, newest first.
pub async fn mailbox(db: &Db, limit: i64) -> Result<Vec<Mail>> {
    let text = "select id, to_address, template, subject, text_body, html_body, created_at
         from mails where delivered_at is not null order by created_at desc, id desc limit $1";
    db.all(sql(text).bind(limit)).await
}

/// One letter in the local mailbox.
pub async fn find(db: &Db, id: &str) -> Result<Mail> {
    let text = "select id, to_address, template, subject, text_body, html_body, created_at
         from mails where id = $1 and delivered_at is not null";
    db.optional(sql(text).bind(id)).await?.ok_or(Error::NotFound("The letter"))
}
