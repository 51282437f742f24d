//! Credits in: grants from payments and people, and the hand-over from one period's allowance to
//! the next. Every function is safe to repeat: a source grants once.

use crate::audit::Actor;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::error::{Error, Result};
use crate::units::Credits;

use super::accounts::{Act, Kind};
use super::book::Book;
use super::carried;
use super::rows::{Grant, Source};
use super::shares::Share;
use super::store;

/// Credits that somebody or something gives to an org.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// To whom.
    pub org_id: String,
    /// From where.
    pub source: Source,
    /// What makes it unique among its kind; the same again grants nothing. (I6)
    pub source_ref: String,
    /// How much; more than nothing.
    pub amount: Credits,
    /// From when it may be spent; `None` is at once.
    pub effective_at: Option<Millis>,
    /// From when it lapses; `None` is never.
    pub expires_at: Option<Millis>,
    /// The Stripe object that paid for it.
    pub payment: Option<String>,
    /// Who gave it.
    pub actor: Actor,
    /// Why, for people.
    pub reason: String,
}

/// What a paid tier includes in one period of one subscription item.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// To whom.
    pub org_id: String,
    /// What it is for: the subscription of a plan, `sub_…`, or the item of an add-on, `si_…`.
    pub item: String,
    /// The period, half open.
    pub period: (Millis, Millis),
    /// What the period's paid invoice lines add up to.
    pub target: Credits,
    /// At most this much of what is left is carried over from the period before.
    pub rollover_max: Credits,
    /// Until when it serves if no successor is granted: period end plus grace.
    pub grace_until: Millis,
    /// The invoice that paid for it, `in_…`.
    pub invoice: String,
    /// What it is, for people: "Pro, 1–31 October".
    pub reason: String,
}

/// Grants credits once. Answers the grant's id, or `None` when this source had granted before.
pub async fn grant(tx: &mut Tx, new: NewGrant, now: Millis) -> Result<Option<String>> {
    give(tx, new, None, now).await
}

/// Grants credits once, as what a period includes: percentages and ceilings are of that period.
pub async fn grant_period(
    tx: &mut Tx,
    new: NewGrant,
    period: (Millis, Millis),
    now: Millis,
) -> Result<Option<String>> {
    give(tx, new, Some(period), now).await
}

async fn give(
    tx: &mut Tx,
    new: NewGrant,
    period: Option<(Millis, Millis)>,
    now: Millis,
) -> Result<Option<String>> {
    if !new.amount.is_positive() {
        return Err(Error::invalid("credits", "A grant must be more than nothing."));
    }
    let mut book = open(tx, &new.org_id, now).await?;
    if is_granted(tx, new.source, &new.source_ref).await? {
        return Ok(None);
    }
    let at = book.time(now);
    book.settle(at)?;
    let grant = book.new_grant(new.source, new.source_ref, new.amount, at, new.expires_at);
    let effective_at = new.effective_at.unwrap_or(at).max(at);
    let (period_start, period_end) = period.unzip();
    let grant = Grant { payment: new.payment, effective_at, period_start, period_end, ..grant };
    let id = book.put_in(grant, &new.actor, &new.reason)?;
    if period.is_some() {
        book.settle(at)?;
    }
    book.close_spent(at);
    store::save(tx, std::iter::once(&mut book)).await?;
    Ok(Some(id))
}

/// Brings the allowance of an item's period up to its target and ends the one before it. Repeated,
/// late or out of order, it ends in the same sum; a smaller target never takes anything away,
/// because what a period once included stays included. (A3, B5, B7, B8)
pub async fn set_allowance(tx: &mut Tx, allowance: Allowance, now: Millis) -> Result<()> {
    let mut book = open(tx, &allowance.org_id, now).await?;
    let at = book.time(now);
    book.settle(at)?;
    let source_ref = format!("{}:{}", allowance.item, allowance.period.0);
    let granted = granted_for(tx, &source_ref).await?;
    let missing = allowance.target.less(granted);
    let over = allowance.grace_until <= at;
    if missing.is_positive() && !over {
        carried::hand_over(&mut book, &allowance, at)?;
        // Under the lock what was granted only grows, so each step up has a name of its own, even
        // where one invoice is seen to pay for more than it first seemed.
        let own_ref = match granted.is_positive() {
            false => source_ref,
            true => format!("{source_ref}:{}", granted.micros()),
        };
        let expires = Some(allowance.grace_until);
        let grant = book.new_grant(Source::Allowance, own_ref, missing, at, expires);
        let grant = Grant {
            period_start: Some(allowance.period.0),
            period_end: Some(allowance.period.1),
            payment: Some(allowance.invoice.clone()),
            ..grant
        };
        book.put_in(grant, &Actor::Stripe, &allowance.reason)?;
        book.settle(at)?;
    }
    store::save(tx, std::iter::once(&mut book)).await
}

/// Ends now what these sources gave for one subject: a subscription, or an item of one. What its
/// open holds have set aside may still be captured, and everything else stays. (B12)
pub async fn end_of(
    tx: &mut Tx,
    org_id: &str,
    sources: &[Source],
    subject: &str,
    reason: &str,
    now: Millis,
) -> Result<()> {
    let mut book = open(tx, org_id, now).await?;
    let at = book.time(now);
    book.settle(at)?;
    for index in 0..book.grants.len() {
        let grant = &book.grants[index];
        let source = sources.iter().any(|source| source.word() == grant.source_kind);
        let own = grant.source_ref.split(':').next() == Some(subject);
        if source && own && grant.ended_at.is_none() {
            book.expire(index, at, reason)?;
        }
    }
    book.settle(at)?;
    store::save(tx, std::iter::once(&mut book)).await
}

/// Lets what a source granted lapse at another time than was said, as long as its time is not over.
/// What is over stays so, also while open holds have something of it: it would come back with them.
pub async fn move_end(
    tx: &mut Tx,
    org_id: &str,
    source: Source,
    source_ref: &str,
    expires_at: Millis,
    now: Millis,
) -> Result<()> {
    let text = "select id from grants where source_kind = $1 and source_ref = $2
         and ended_at is null and expires_at <> $3 and expires_at > $4";
    let row = sql(text).bind(source.word()).bind(source_ref).bind(expires_at).bind(now);
    let Some((id,)) = tx.optional::<(String,)>(row).await? else { return Ok(()) };
    let mut book = open(tx, org_id, now).await?;
    let at = book.time(now);
    book.settle(at)?;
    let own = book.grants.iter_mut().find(|grant| grant.id == id);
    if let Some(grant) = own.filter(|grant| grant.ended_at.is_none() && !grant.is_over(at)) {
        grant.expires_at = Some(expires_at);
        grant.changed = true;
        book.settle(at)?;
    }
    store::save(tx, std::iter::once(&mut book)).await
}

/// What a payment granted, and what became of that because money came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// All that it granted.
    pub granted: Credits,
    /// What was taken back of it.
    pub taken: Credits,
    /// What was spent already and became a debt, whether or not that has been paid since.
    pub owed: Credits,
}

/// Sets which share is taken back of what a payment granted, all in all. Repeats and any order end
/// in the same; what was spent already becomes a debt. (E7–E10)
pub async fn claw_back(
    tx: &mut Tx,
    org_id: &str,
    payment: &str,
    share: Share,
    now: Millis,
) -> Result<Taken> {
    let (mut book, at, granted) = open_payment(tx, org_id, payment, now).await?;
    let mut amounts = Vec::with_capacity(granted.len());
    for id in &granted {
        amounts.push(book.grants[book.grant_index(id)?].amount);
    }
    for (id, target) in granted.iter().zip(share.spread(&amounts)) {
        let index = book.grant_index(id)?;
        book.claw_to(index, target, at)?;
    }
    carried::follow(tx, &mut book, &granted, at).await?;
    let of_payment = book.grants.iter().filter(|grant| granted.contains(&grant.id));
    let taken = of_payment.fold(Taken::default(), |sum, grant| Taken {
        granted: [sum.granted, grant.amount].into_iter().sum(),
        taken: [sum.taken, grant.clawed_back].into_iter().sum(),
        owed: [sum.owed, grant.claw_debt].into_iter().sum(),
    });
    book.close_spent(at);
    store::save(tx, std::iter::once(&mut book)).await?;
    Ok(taken)
}

/// Keeps what a payment granted from being spent, or lets it be spent again, and with it what was
/// carried over from it. What it has is not touched, and neither is anything else the org has.
/// (E11, E12)
pub async fn freeze(
    tx: &mut Tx,
    org_id: &str,
    payment: &str,
    frozen: bool,
    actor: &Actor,
    reason: &str,
    now: Millis,
) -> Result<()> {
    let (book, at, granted) = open_payment(tx, org_id, payment, now).await?;
    let kind = kind_of(frozen);
    freeze_in(tx, book, &granted, &Act { kind, at, actor, reason }).await.map(drop)
}

/// The same for these grants of an org. Answers what those that were not so before have left, open
/// holds included.
pub async fn freeze_grants(
    tx: &mut Tx,
    org_id: &str,
    ids: &[String],
    frozen: bool,
    actor: &Actor,
    reason: &str,
    now: Millis,
) -> Result<Credits> {
    if ids.is_empty() {
        return Ok(Credits::ZERO);
    }
    let (book, at) = open_with(tx, org_id, ids, now).await?;
    let kind = kind_of(frozen);
    freeze_in(tx, book, ids, &Act { kind, at, actor, reason }).await
}

fn kind_of(frozen: bool) -> Kind {
    if frozen { Kind::Freeze } else { Kind::Unfreeze }
}

async fn freeze_in(tx: &mut Tx, mut book: Book, ids: &[String], act: &Act<'_>) -> Result<Credits> {
    let mut left = Credits::ZERO;
    for id in ids {
        if act.kind == Kind::Unfreeze && carried::is_kept(tx, &mut book, id).await? {
            continue;
        }
        let index = book.grant_index(id)?;
        if book.set_frozen(index, act, act.kind == Kind::Freeze)? {
            let grant = &book.grants[index];
            left = [left, grant.remaining, grant.held].into_iter().sum();
        }
    }
    left = [left, carried::freeze(tx, &mut book, ids, act).await?].into_iter().sum();
    store::save(tx, std::iter::once(&mut book)).await?;
    Ok(left)
}

/// Ends a grant before its time. What open holds have set aside of it may still be captured.
pub async fn void(
    tx: &mut Tx,
    org_id: &str,
    grant_id: &str,
    actor: &Actor,
    reason: &str,
    now: Millis,
) -> Result<()> {
    let mut book = open(tx, org_id, now).await?;
    let at = book.time(now);
    book.settle(at)?;
    let found = store::grants(tx, &[grant_id.to_owned()]).await?;
    let own = found.iter().any(|grant| grant.org_id == org_id);
    if !own {
        return Err(Error::NotFound("The grant"));
    }
    book.remember(found, Vec::new());
    let index = book.grant_index(grant_id)?;
    book.void(index, &Act { kind: Kind::Void, at, actor, reason })?;
    store::save(tx, std::iter::once(&mut book)).await
}

/// The settled book of an org, with every grant that a payment paid for, and their ids.
async fn open_payment(
    tx: &mut Tx,
    org_id: &str,
    payment: &str,
    now: Millis,
) -> Result<(Book, Millis, Vec<String>)> {
    let (mut book, at) = open_with(tx, org_id, &[], now).await?;
    let text = "select id from grants where payment = $1 and org_id = $2 order by id";
    let ids: Vec<(String,)> = tx.all(sql(text).bind(payment).bind(org_id)).await?;
    let ids: Vec<String> = ids.into_iter().map(|(id,)| id).collect();
    book.remember(store::grants(tx, &ids).await?, Vec::new());
    Ok((book, at, ids))
}

/// The settled book of an org, with these grants in it, ended ones too.
async fn open_with(
    tx: &mut Tx,
    org_id: &str,
    ids: &[String],
    now: Millis,
) -> Result<(Book, Millis)> {
    let mut book = open(tx, org_id, now).await?;
    let at = book.time(now);
    book.settle(at)?;
    if !ids.is_empty() {
        book.remember(store::grants(tx, ids).await?, Vec::new());
    }
    Ok((book, at))
}

async fn open(tx: &mut Tx, org_id: &str, now: Millis) -> Result<Book> {
    let orgs = std::iter::once(org_id.to_owned()).collect();
    let mut books = store::lock(tx, &orgs, now).await?;
    books.remove(org_id).ok_or(Error::NotFound("The organisation"))
}

async fn is_granted(tx: &mut Tx, source: Source, source_ref: &str) -> Result<bool> {
    let text = "select id from grants where source_kind = $1 and source_ref = $2";
    let row = tx.optional::<(String,)>(sql(text).bind(source.word()).bind(source_ref)).await?;
    Ok(row.is_some())
}

/// What was granted for an item's period so far, whichever invoices paid for it.
async fn granted_for(tx: &mut Tx, source_ref: &str) -> Result<Credits> {
    let text = "select cast(coalesce(sum(amount), 0) as bigint) from grants
         where source_kind = 'allowance' and (source_ref = $1 or source_ref like $2)";
    let deltas = format!("{source_ref}:%");
    let (sum,): (i64,) = tx.one(sql(text).bind(source_ref).bind(deltas)).await?;
    Ok(Credits::from_micros(sum))
}
