//! Credits that were carried into the next period before their payment came back. They lapsed where
//! they came from and live on under another grant: what is taken of the one the other loses too.

use std::collections::VecDeque;

use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::error::Result;
use crate::units::Credits;

use super::book::Book;
use super::rows::{Grant, Source};
use super::store;

/// Brings what was carried over from these grants down to what is still theirs, and so on through
/// the periods that followed. Never more is carried than lapsed; so the end is the same whether
/// money came back before the hand-over or after it.
pub(super) async fn follow(
    tx: &mut Tx,
    book: &mut Book,
    from: &[String],
    at: Millis,
) -> Result<()> {
    let mut from: VecDeque<String> = from.iter().cloned().collect();
    while let Some(id) = from.pop_front() {
        let grant = &book.grants[book.grant_index(&id)?];
        let Some(handed_over) = grant.expires_at.filter(|_| grant.is_allowance()) else { continue };
        let subject = subject(grant).to_owned();
        let carried = at_once(tx, book, Source::Rollover, handed_over).await?;
        for id in carried {
            let index = book.grant_index(&id)?;
            if subject != self::subject(&book.grants[index]) {
                continue;
            }
            let (amount, start) = (book.grants[index].amount, book.grants[index].period_start);
            let lapsed = lapsed(tx, book, &subject, handed_over, start).await?;
            book.claw_to(index, amount.less(lapsed), at)?;
            from.push_back(id);
        }
    }
    Ok(())
}

/// What a grant is the allowance of: a subscription, or an item of one.
fn subject(grant: &Grant) -> &str {
    grant.source_ref.split(':').next().unwrap_or_default()
}

/// What is left lapsed of the grants of a subject that a hand-over ended.
async fn lapsed(
    tx: &mut Tx,
    book: &mut Book,
    subject: &str,
    handed_over: Millis,
    start: Option<Millis>,
) -> Result<Credits> {
    let text = "select id from grants where org_id = $1 and expires_at = $2 and period_start < $3";
    let row = sql(text).bind(&book.wallet.org_id).bind(handed_over).bind(start);
    let ids: Vec<(String,)> = tx.all(row).await?;
    let ids: Vec<String> = ids.into_iter().map(|row| row.0).collect();
    book.remember(store::grants(tx, &ids).await?, Vec::new());
    let ended = book.grants.iter().filter(|grant| ids.contains(&grant.id));
    let own = ended.filter(|grant| self::subject(grant) == subject);
    Ok(own.map(|grant| grant.expired).sum())
}

/// The grants of a source that were made at a moment, remembered in the book.
async fn at_once(
    tx: &mut Tx,
    book: &mut Book,
    source: Source,
    made_at: Millis,
) -> Result<Vec<String>> {
    let text = "select id from grants where org_id = $1 and source_kind = $2 and created_at = $3
         order by id";
    let row = sql(text).bind(&book.wallet.org_id).bind(source.word()).bind(made_at);
    let ids: Vec<(String,)> = tx.all(row).await?;
    let ids: Vec<String> = ids.into_iter().map(|row| row.0).collect();
    book.remember(store::grants(tx, &ids).await?, Vec::new());
    Ok(ids)
}
