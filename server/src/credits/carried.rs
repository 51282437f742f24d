//! Credits that are carried from one period's allowance into the next. They lapse where they came
//! from and live on under another grant: what is taken of the one the other loses too, and what is
//! kept from use in the one is kept in the other.

use std::collections::{BTreeMap, BTreeSet};

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

/// Ends the name of what was carried over frozen.
const FROZEN: &str = ":frozen";

const KEPT: &str = "What it was carried over from is kept from use";

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
    if let Some(id) = carry(book, allowance, FROZEN, kept, at)? {
        let index = book.grant_index(&id)?;
        book.set_frozen(index, &keeps(at), true)?;
    }
    Ok(())
}

fn keeps(at: Millis) -> Act<'static> {
    Act { kind: Kind::Freeze, at, actor: &Actor::System, reason: KEPT }
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
/// the periods that followed. Never more is carried than lapsed, and nothing of it is spent that is
/// frozen where it came from; so the end is the same whether money came back before the hand-over
/// or after it.
pub(super) async fn follow(
    tx: &mut Tx,
    book: &mut Book,
    from: &[String],
    at: Millis,
) -> Result<()> {
    let mut ahead = Ahead::of(book, from)?;
    while let Some(next) = ahead.earliest() {
        for part in carried(tx, book, &next).await? {
            let index = book.grant_index(&part.id)?;
            book.claw_to(index, part.amount.less(part.backed()), at)?;
            // What is given back may have got a grant of its own, before this one.
            let index = book.grant_index(&part.id)?;
            if part.is_frozen() {
                book.set_frozen(index, &keeps(at), true)?;
            }
            ahead.add(&book.grants[index]);
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
    let freezes = act.kind == Kind::Freeze;
    let mut ahead = Ahead::of(book, from)?;
    while let Some(next) = ahead.earliest() {
        for part in carried(tx, book, &next).await? {
            let index = book.grant_index(&part.id)?;
            // What something else keeps from use stays so.
            if part.is_frozen() == freezes && book.set_frozen(index, act, freezes)? {
                let grant = &book.grants[index];
                left = [left, grant.remaining, grant.held].into_iter().sum();
            }
            ahead.add(&book.grants[index]);
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
    let made_by = HandOver { at: grant.created_at, subject: subject(grant).to_owned() };
    let parts = carried(tx, book, &made_by).await?;
    Ok(parts.iter().any(|part| part.id == id && part.is_frozen()))
}

/// The moment at which a subject's earlier periods were handed over to the next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct HandOver {
    at: Millis,
    subject: String,
}

impl HandOver {
    /// That which ended this grant, if one did; `None` where none can.
    fn of(grant: &Grant) -> Option<Self> {
        let at = grant.expires_at.filter(|_| grant.is_allowance())?;
        Some(Self { at, subject: subject(grant).to_owned() })
    }
}

/// The hand-overs that are still to be looked at, the earliest first: what they carried over is
/// only handed over later, so each is looked at once, with everything before it settled.
struct Ahead {
    hand_overs: BTreeSet<HandOver>,
    looked_at: Option<Millis>,
}

impl Ahead {
    fn of(book: &Book, from: &[String]) -> Result<Self> {
        let mut ahead = Self { hand_overs: BTreeSet::new(), looked_at: None };
        for id in from {
            ahead.add(&book.grants[book.grant_index(id)?]);
        }
        Ok(ahead)
    }

    fn earliest(&mut self) -> Option<HandOver> {
        let next = self.hand_overs.pop_first()?;
        self.looked_at = Some(next.at);
        Some(next)
    }

    /// What ended at the moment at which it was carried over went nowhere.
    fn add(&mut self, grant: &Grant) {
        let next = HandOver::of(grant);
        let later = |next: &HandOver| self.looked_at.is_none_or(|at| next.at > at);
        self.hand_overs.extend(next.filter(later));
    }
}

/// A grant that was carried over, and what there is behind it.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    id: String,
    amount: Credits,
    /// Whether it was carried over frozen.
    kept: bool,
    /// What is left lapsed where it came from, and is not frozen there.
    usable: Credits,
    /// What is left lapsed, and is frozen there.
    frozen: Credits,
}

impl Part {
    fn backed(&self) -> Credits {
        [self.usable, self.frozen].into_iter().sum()
    }

    fn is_frozen(&self) -> bool {
        self.frozen.is_positive()
    }
}

/// What a hand-over carried over.
async fn carried(tx: &mut Tx, book: &mut Book, by: &HandOver) -> Result<Vec<Part>> {
    let mut parts: BTreeMap<Option<Millis>, Vec<Part>> = BTreeMap::new();
    for id in at_once(tx, book, Source::Rollover, by.at).await? {
        let grant = &book.grants[book.grant_index(&id)?];
        if subject(grant) != by.subject {
            continue;
        }
        let (amount, kept) = (grant.amount, grant.source_ref.ends_with(FROZEN));
        let part = Part { id, amount, kept, usable: Credits::ZERO, frozen: Credits::ZERO };
        parts.entry(grant.period_start).or_default().push(part);
    }
    let mut dealt = Vec::new();
    for (start, mut parts) in parts {
        let (usable, frozen) = lapsed(tx, book, by, start).await?;
        deal(&mut parts, usable, frozen);
        dealt.extend(parts);
    }
    Ok(dealt)
}

/// Deals what is behind a hand-over to its parts: what is frozen there to what was carried over
/// frozen, the rest to the others, and what either leaves to where it is missing.
fn deal(parts: &mut [Part], mut usable: Credits, mut frozen: Credits) {
    for part in parts.iter_mut().filter(|part| part.kept) {
        part.frozen = take(&mut frozen, part.amount);
    }
    for part in parts.iter_mut().filter(|part| !part.kept) {
        part.usable = take(&mut usable, part.amount);
        part.frozen = take(&mut frozen, part.amount.less(part.usable));
    }
    for part in parts.iter_mut().filter(|part| part.kept) {
        part.usable = take(&mut usable, part.amount.less(part.frozen));
    }
}

fn take(from: &mut Credits, wanted: Credits) -> Credits {
    let taken = wanted.min(*from);
    *from = from.less(taken);
    taken
}

/// What a grant is the allowance of: a subscription, or an item of one.
fn subject(grant: &Grant) -> &str {
    grant.source_ref.split(':').next().unwrap_or_default()
}

/// What is left lapsed of the grants that a hand-over ended before this period: what of it may be
/// used, and what is frozen.
async fn lapsed(
    tx: &mut Tx,
    book: &mut Book,
    by: &HandOver,
    start: Option<Millis>,
) -> Result<(Credits, Credits)> {
    let text = "select id from grants where org_id = $1 and expires_at = $2 and period_start < $3";
    let row = sql(text).bind(&book.wallet.org_id).bind(by.at).bind(start);
    let ids: Vec<(String,)> = tx.all(row).await?;
    let ids: Vec<String> = ids.into_iter().map(|row| row.0).collect();
    book.remember(store::grants(tx, &ids).await?, Vec::new());
    let ended = book.grants.iter().filter(|grant| ids.contains(&grant.id));
    let own = ended.filter(|grant| subject(grant) == by.subject);
    let (frozen, usable): (Vec<&Grant>, Vec<&Grant>) =
        own.partition(|grant| grant.frozen_at.is_some());
    let sum = |grants: Vec<&Grant>| grants.iter().map(|grant| grant.expired).sum();
    Ok((sum(usable), sum(frozen)))
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
