//! Credits that are carried from one period's allowance into the next. They lapse where they came
//! from and live on under another grant: what is taken of the one the other loses too, and what is
//! kept from use in the one is kept in the other.

use std::collections::VecDeque;

use crate::audit::Actor;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::error::Result;
use crate::units::Credits;

use super::accounts::{Act, Kind};
use super::book::Book;
use super::grants::Allowance;
use super::rows::{Grant, Source};
use super::store;

/// Ends what the earlier periods left: up to `rollover_max` is carried over, the rest lapses. What
/// is frozen is carried last, by a grant of its own, and stays frozen.
pub(super) fn hand_over(book: &mut Book, allowance: &Allowance, at: Millis) -> Result<()> {
    let start = allowance.period.0;
    let (mut left, mut frozen) = (Credits::ZERO, Credits::ZERO);
    for index in 0..book.grants.len() {
        let grant = &book.grants[index];
        let free = grant.source_kind == Source::Free.word();
        // Another subscription's or add-on's allowance has a successor of its own. (B15)
        let own = subject(grant) == allowance.item;
        let earlier = own && grant.period_start.is_some_and(|s| s < start);
        if grant.ended_at.is_some() || !(free || earlier) {
            continue;
        }
        if !free {
            let sum = if grant.frozen_at.is_some() { &mut frozen } else { &mut left };
            *sum = sum.plus(grant.remaining).unwrap_or(*sum);
        }
        book.expire(index, at, "Followed by the next allowance")?;
    }
    let usable = left.min(allowance.rollover_max);
    let kept = frozen.min(allowance.rollover_max.less(usable));
    carry(book, allowance, "", usable, at)?;
    if let Some(id) = carry(book, allowance, ":frozen", kept, at)? {
        let index = book.grant_index(&id)?;
        let reason = "What it was carried over from is kept from use";
        let act = Act { kind: Kind::Freeze, at, actor: &Actor::System, reason };
        book.set_frozen(index, &act, true)?;
    }
    Ok(())
}

fn carry(
    book: &mut Book,
    allowance: &Allowance,
    part: &str,
    credits: Credits,
    at: Millis,
) -> Result<Option<String>> {
    if !credits.is_positive() {
        return Ok(None);
    }
    let (start, end) = allowance.period;
    let source_ref = format!("{}:{start}{part}", allowance.item);
    let expires = Some(allowance.grace_until);
    let grant = book.new_grant(Source::Rollover, source_ref, credits, at, expires);
    let grant = Grant { period_start: Some(start), period_end: Some(end), ..grant };
    book.put_in(grant, &Actor::System, "Carried over from the period before").map(Some)
}

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
        for part in carried_from(tx, book, &id).await? {
            let index = book.grant_index(&part.id)?;
            let amount = book.grants[index].amount;
            book.claw_to(index, amount.less(part.backed), at)?;
            from.push_back(part.id);
        }
    }
    Ok(())
}

/// Keeps what was carried over from these grants from use, or lets it be used again, and so on
/// through the periods that followed. A carried grant is frozen as a whole while any of it would go
/// back with what is frozen. Answers what those that were not so before have left.
pub(super) async fn freeze(
    tx: &mut Tx,
    book: &mut Book,
    from: &[String],
    act: &Act<'_>,
) -> Result<Credits> {
    let mut left = Credits::ZERO;
    let mut from: VecDeque<String> = from.iter().cloned().collect();
    while let Some(id) = from.pop_front() {
        for part in carried_from(tx, book, &id).await? {
            let index = book.grant_index(&part.id)?;
            let freezes = act.kind == Kind::Freeze;
            // What something else keeps from use stays so.
            if part.is_frozen() == freezes && book.set_frozen(index, act, freezes)? {
                let grant = &book.grants[index];
                left = [left, grant.remaining, grant.held].into_iter().sum();
            }
            from.push_back(part.id);
        }
    }
    Ok(left)
}

/// Whether this grant was carried over from something that is kept from use.
pub(super) async fn is_kept(tx: &mut Tx, book: &mut Book, id: &str) -> Result<bool> {
    let grant = &book.grants[book.grant_index(id)?];
    if grant.source_kind != Source::Rollover.word() {
        return Ok(false);
    }
    let (subject, made_at) = (subject(grant).to_owned(), grant.created_at);
    let parts = carried(tx, book, &subject, made_at).await?;
    Ok(parts.iter().any(|part| part.id == id && part.is_frozen()))
}

/// A grant that was carried over, and what there is behind it.
struct Part {
    id: String,
    /// What is left lapsed where it came from, as far as it is this part's.
    backed: Credits,
    /// The same without what is frozen there.
    usable: Credits,
}

impl Part {
    fn is_frozen(&self) -> bool {
        self.usable < self.backed
    }
}

/// What was carried over from a grant, together with others of its subject.
async fn carried_from(tx: &mut Tx, book: &mut Book, id: &str) -> Result<Vec<Part>> {
    let grant = &book.grants[book.grant_index(id)?];
    let Some(handed_over) = grant.expires_at.filter(|_| grant.is_allowance()) else {
        return Ok(Vec::new());
    };
    let subject = subject(grant).to_owned();
    carried(tx, book, &subject, handed_over).await
}

/// What a hand-over of a subject carried over. What is behind it is the first parts' first: that
/// which was carried over frozen is the last.
async fn carried(
    tx: &mut Tx,
    book: &mut Book,
    subject: &str,
    handed_over: Millis,
) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let (mut backed, mut usable, mut of) = (Credits::ZERO, Credits::ZERO, None);
    for id in at_once(tx, book, Source::Rollover, handed_over).await? {
        let grant = &book.grants[book.grant_index(&id)?];
        if self::subject(grant) != subject {
            continue;
        }
        let (amount, start) = (grant.amount, grant.period_start);
        if of != Some(start) {
            (backed, usable) = lapsed(tx, book, subject, handed_over, start).await?;
            of = Some(start);
        }
        let part = Part { id, backed: amount.min(backed), usable: amount.min(usable) };
        (backed, usable) = (backed.less(part.backed), usable.less(part.usable));
        parts.push(part);
    }
    Ok(parts)
}

/// What a grant is the allowance of: a subscription, or an item of one.
fn subject(grant: &Grant) -> &str {
    grant.source_ref.split(':').next().unwrap_or_default()
}

/// What is left lapsed of the grants of a subject that a hand-over ended: all, and what of it is
/// not frozen.
async fn lapsed(
    tx: &mut Tx,
    book: &mut Book,
    subject: &str,
    handed_over: Millis,
    start: Option<Millis>,
) -> Result<(Credits, Credits)> {
    let text = "select id from grants where org_id = $1 and expires_at = $2 and period_start < $3";
    let row = sql(text).bind(&book.wallet.org_id).bind(handed_over).bind(start);
    let ids: Vec<(String,)> = tx.all(row).await?;
    let ids: Vec<String> = ids.into_iter().map(|row| row.0).collect();
    book.remember(store::grants(tx, &ids).await?, Vec::new());
    let ended = book.grants.iter().filter(|grant| ids.contains(&grant.id));
    let own: Vec<&Grant> = ended.filter(|grant| self::subject(grant) == subject).collect();
    let usable = own.iter().filter(|grant| grant.frozen_at.is_none());
    let usable = usable.map(|grant| grant.expired).sum();
    Ok((own.iter().map(|grant| grant.expired).sum(), usable))
}

/// The grants of a source that were made at a moment, remembered in the book, by what they name.
async fn at_once(
    tx: &mut Tx,
    book: &mut Book,
    source: Source,
    made_at: Millis,
) -> Result<Vec<String>> {
    let text = "select id from grants where org_id = $1 and source_kind = $2 and created_at = $3
         order by source_ref";
    let row = sql(text).bind(&book.wallet.org_id).bind(source.word()).bind(made_at);
    let ids: Vec<(String,)> = tx.all(row).await?;
    let ids: Vec<String> = ids.into_iter().map(|row| row.0).collect();
    book.remember(store::grants(tx, &ids).await?, Vec::new());
    Ok(ids)
}
