//! Notices: what the people of an org should know, in the app and by mail. Owns `notices`.

use crate::clock::{self, Millis};
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};
use crate::ids;
use crate::mail::{self, Money, Template};
use crate::orgs;
use crate::units::{Credits, counted, spoken};

/// Something to tell.
#[derive(Clone, Debug)]
pub enum News {
    /// A threshold of the period's allowance was passed.
    AllowanceUsed {
        /// 70, 90 or 100.
        threshold: i64,
        /// Used of it.
        used: Credits,
        /// The allowance.
        whole: Credits,
        /// When the next period begins.
        resets_at: Millis,
    },
    /// A threshold of the org's own cap was passed.
    CapUsed {
        /// 70, 90 or 100.
        threshold: i64,
        /// Used in the period.
        used: Credits,
        /// The cap.
        cap: Credits,
        /// Whether it is the cap on overage, whose money buys so many credits.
        overage: bool,
        /// Whether use past it is refused.
        hard: bool,
        /// When the next period begins.
        resets_at: Millis,
    },
    /// The last credits of an org without an allowance were used.
    CreditsExhausted,
    /// Something about money.
    Money(Money),
}

/// A notice as it is shown.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Notice {
    /// `notice_…`
    pub id: String,
    /// What kind of news.
    pub kind: String,
    /// info, warn or bad.
    pub level: String,
    /// One sentence.
    pub title: String,
    /// What it means and what to do.
    pub detail: String,
    /// When.
    pub at: Millis,
}

/// Stores the notice and mails it to those whose role should know, in the same transaction.
pub async fn tell(tx: &mut Tx, org_id: &str, news: &News, now: Millis) -> Result<()> {
    let (kind, level, title, detail) = words(news);
    let text = "insert into notices (id, org_id, kind, level, title, detail, at)
         values ($1, $2, $3, $4, $5, $6, $7)";
    let row = sql(text)
        .bind(ids::new("notice", now))
        .bind(org_id)
        .bind(kind)
        .bind(level)
        .bind(title)
        .bind(detail)
        .bind(now);
    tx.execute(row).await?;
    for address in orgs::owners_and_billing_emails(tx, org_id).await? {
        mail::send_later(tx, &address, template(news), now).await?;
    }
    Ok(())
}

fn words(news: &News) -> (&'static str, &'static str, String, String) {
    match news {
        News::AllowanceUsed { threshold, used, whole, resets_at } => {
            let level = if *threshold >= 100 { "bad" } else { "warn" };
            let title = format!("{threshold}% of your allowance used");
            let date = clock::day(*resets_at);
            let then = match threshold {
                100 => "Bought credits come next; without them use stops.",
                _ => "Buy credits or change the plan to go on without a stop.",
            };
            let (used, whole) = (spoken(*used), counted(*whole));
            let detail = format!("{used} of {whole}. It resets on {date}. {then}");
            ("allowance", level, title, detail)
        }
        News::CapUsed { threshold, used, cap, overage, hard, resets_at } => {
            let level = if *threshold >= 100 { "bad" } else { "warn" };
            let which = if *overage { "cap on overage" } else { "cap" };
            let title = format!("{threshold}% of your {which} used");
            let date = clock::day(*resets_at);
            let then = match hard {
                true => "Use that would pass it is refused",
                false => "Use goes on past it, because the cap only warns",
            };
            let (used, cap) = (spoken(*used), counted(*cap));
            let detail = format!("{used} of {cap}. {then} until {date}.");
            ("cap", level, title, detail)
        }
        News::CreditsExhausted => {
            let title = "Your credits are used up".to_owned();
            let detail = "Buy a pack or choose a plan to go on.".to_owned();
            ("exhausted", "bad", title, detail)
        }
        News::Money(money) => {
            let said = money.said();
            (said.kind, said.level, said.title, said.detail)
        }
    }
}

fn template(news: &News) -> Template {
    let alert = |kind, percent, used, allowance, resets_at| Template::UsageAlert {
        percent,
        used,
        allowance,
        resets_on: Some(resets_at),
        kind,
    };
    match *news {
        News::Money(ref money) => Template::Money(money.clone()),
        News::AllowanceUsed { threshold, used, whole, resets_at } => {
            alert(mail::AlertKind::Allowance, threshold, used, whole, resets_at)
        }
        News::CapUsed { threshold, used, cap, resets_at, .. } => {
            alert(mail::AlertKind::Cap, threshold, used, cap, resets_at)
        }
        News::CreditsExhausted => Template::CreditsExhausted,
    }
}

/// The newest notices that nobody dismissed.
pub async fn list(db: &Db, org_id: &str, limit: i64) -> Result<Vec<Notice>> {
    let text = "select id, kind, level, title, detail, at from notices
         where org_id = $1 and dismissed_at is null order by at desc, id desc limit $2";
    db.all(sql(text).bind(org_id).bind(limit)).await
}

/// Takes a notice from the page. Dismissing it twice is fine.
pub async fn dismiss(
    tx: &mut Tx,
    org_id: &str,
    id: &str,
    user_id: &str,
    now: Millis,
) -> Result<()> {
    let text = "update notices set dismissed_at = coalesce(dismissed_at, $3), dismissed_by = $4
         where org_id = $1 and id = $2";
    let changed = tx.execute(sql(text).bind(org_id).bind(id).bind(now).bind(user_id)).await?;
    if changed == 0 { Err(Error::NotFound("The notice")) } else { Ok(()) }
}
