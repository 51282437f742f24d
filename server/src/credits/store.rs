//! Books in and out of the database: locked and read together, written back in bulk.
//!
//! Every operation is written here. Parking and repair, in the same room and under the same lock,
//! are the only others that touch these tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::clock::Millis;
use crate::db::{Db, Reads, Tx, sql};
use crate::error::Result;
use crate::units::Credits;
use crate::usage;

use super::book::Book;
use super::rows::{Grant, Hold, Wallet};
use super::spending::Paid;
use super::written::{
    ENTRIES, GRANT_AMOUNTS, GRANTS, HOLDS, NEW_GRANTS, NEW_HOLDS, OPERATIONS, WALLETS, Written,
};

const WALLET: &str = "org_id, seq, revision, available, held, debt, overage, period_start, \
     period_end, period_used, counts_since, free_opened, last_at, parked_at, created_at";

const GRANT: &str = "id, org_id, source_kind, source_ref, priority, amount, remaining, held, \
     consumed, expired, clawed_back, debt_paid, effective_at, expires_at, period_start, \
     period_end, payment, claw_target, claw_debt, frozen_at, voided_at, reason, created_at, \
     ended_at";

const HOLD: &str = "holds.id, org_id, seq, holds.operation_id, key, meter, model, feature, \
     quantity, rate, rate_card, price, billed_to, billed_currency, credits, overage, run, member, \
     api_key_id, metadata, on_expiry, status, captured, usage_id, created_at, expires_at, ended_at";

/// Locks the wallets of these orgs, making those that are missing, and reads their books. The
/// database orders the locks, so that two batches never wait for each other in a circle; the
/// grants are read after every lock is held, so that nothing read is older than the lock.
pub async fn lock(
    tx: &mut Tx,
    orgs: &BTreeSet<String>,
    now: Millis,
) -> Result<BTreeMap<String, Book>> {
    let wallets = lock_wallets(tx, orgs, now).await?;
    open(tx, wallets).await
}

/// Locks the wallets of these orgs, making those that are missing, and reads nothing else.
pub async fn lock_wallets(
    tx: &mut Tx,
    orgs: &BTreeSet<String>,
    now: Millis,
) -> Result<Vec<Wallet>> {
    let ids: Vec<String> = orgs.iter().cloned().collect();
    let wallets = lock_rows(tx, &ids).await?;
    if wallets.len() == ids.len() {
        return Ok(wallets);
    }
    make_missing(tx, &ids, now).await?;
    lock_rows(tx, &ids).await
}

/// Locks one wallet, for whoever changes something that the gate reads about its org: what a
/// process remembers of the org is of no use from then on.
pub async fn lock_wallet(tx: &mut Tx, org_id: &str, now: Millis) -> Result<()> {
    let text = "update wallets set revision = revision + 1 where org_id = $1";
    if tx.execute(sql(text).bind(org_id)).await? == 0 {
        make_missing(tx, &[org_id.to_owned()], now).await?;
        tx.execute(sql(text).bind(org_id)).await?;
    }
    Ok(())
}

/// Reads wallets without locking them.
pub async fn wallets(reads: &mut impl Reads, orgs: &[String]) -> Result<Vec<Wallet>> {
    let any = reads.dialect().any("org_id", 1);
    let text = format!("select {WALLET} from wallets where {any}");
    reads.all(sql(text).bind(orgs.to_vec())).await
}

/// Reads a book without locking it, for answers that change nothing.
pub async fn peek(db: &Db, org_id: &str) -> Result<Option<Book>> {
    let mut reads = db;
    let wallets = wallets(&mut reads, &[org_id.to_owned()]).await?;
    Ok(open(&mut reads, wallets).await?.remove(org_id))
}

/// Whether debits are stopped because the books disagreed.
pub async fn is_parked(db: &Db, org_id: &str) -> Result<bool> {
    let text = "select parked_at from wallets where org_id = $1 and parked_at is not null";
    Ok(db.optional::<(Option<Millis>,)>(sql(text).bind(org_id)).await?.is_some())
}

async fn lock_rows(tx: &mut Tx, ids: &[String]) -> Result<Vec<Wallet>> {
    let (any, lock) = (tx.dialect().any("org_id", 1), tx.dialect().for_update());
    let text = format!("select {WALLET} from wallets where {any} order by org_id{lock}");
    tx.all(sql(text).bind(ids.to_vec())).await
}

async fn make_missing(tx: &mut Tx, ids: &[String], now: Millis) -> Result<()> {
    // The wallet's first day is its org's: free months are counted from there.
    let any = tx.dialect().any("id", 1);
    let text = format!(
        "insert into wallets (org_id, seq, available, held, debt, overage, period_start, \
             period_end, period_used, free_opened, last_at, created_at) \
         select id, 0, 0, 0, 0, 0, created_at, created_at, 0, 0, created_at, created_at \
         from orgs where {any} on conflict (org_id) do nothing"
    );
    let made = tx.execute(sql(text).bind(ids.to_vec())).await?;
    tracing::debug!(made, now, "wallets opened");
    Ok(())
}

/// Reads what is open in these wallets: grants and holds.
pub async fn open(reads: &mut impl Reads, wallets: Vec<Wallet>) -> Result<BTreeMap<String, Book>> {
    if wallets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<String> = wallets.iter().map(|wallet| wallet.org_id.clone()).collect();
    let any = reads.dialect().any("org_id", 1);
    let text = format!("select {GRANT} from grants where {any} and ended_at is null");
    let mut grants: HashMap<String, Vec<Grant>> = HashMap::new();
    for grant in reads.all::<Grant>(sql(text).bind(ids.clone())).await? {
        grants.entry(grant.org_id.clone()).or_default().push(grant);
    }
    let text = format!("select {HOLD} from holds where {any} and status = 'open' order by seq");
    let open = reads.all::<Hold>(sql(text).bind(ids)).await?;
    let mut holds: HashMap<String, Vec<Hold>> = HashMap::new();
    for hold in with_parts(reads, open).await? {
        holds.entry(hold.org_id.clone()).or_default().push(hold);
    }
    let books = wallets.into_iter().map(|wallet| {
        let grants = grants.remove(&wallet.org_id).unwrap_or_default();
        let holds = holds.remove(&wallet.org_id).unwrap_or_default();
        (wallet.org_id.clone(), Book::new(wallet, grants, holds))
    });
    Ok(books.collect())
}

/// Grants by their ids, ended ones too.
pub async fn grants(reads: &mut impl Reads, ids: &[String]) -> Result<Vec<Grant>> {
    let any = reads.dialect().any("id", 1);
    let text = format!("select {GRANT} from grants where {any}");
    reads.all(sql(text).bind(ids.to_vec())).await
}

/// Holds by their ids, ended ones too, with what they were taken from.
pub async fn holds(reads: &mut impl Reads, ids: &[String]) -> Result<Vec<Hold>> {
    let any = reads.dialect().any("holds.id", 1);
    let text = format!("select {HOLD} from holds where {any}");
    let found = reads.all(sql(text).bind(ids.to_vec())).await?;
    with_parts(reads, found).await
}

#[derive(sqlx::FromRow)]
struct Part {
    operation_id: String,
    grant_id: String,
    amount: Credits,
}

/// The entries of a hold's operation tell which grants it was taken from.
async fn with_parts(reads: &mut impl Reads, mut holds: Vec<Hold>) -> Result<Vec<Hold>> {
    if holds.is_empty() {
        return Ok(holds);
    }
    let any = reads.dialect().any("operation_id", 1);
    let text = format!(
        "select operation_id, grant_id, amount from ledger_entries \
         where {any} and to_account = 'held' and grant_id is not null order by operation_id, line"
    );
    let ids: Vec<String> = holds.iter().map(|hold| hold.operation_id.clone()).collect();
    let mut parts: HashMap<String, Vec<(String, Credits)>> = HashMap::new();
    for part in reads.all::<Part>(sql(text).bind(ids)).await? {
        parts.entry(part.operation_id).or_default().push((part.grant_id, part.amount));
    }
    for hold in &mut holds {
        hold.parts = parts.remove(&hold.operation_id).unwrap_or_default();
    }
    Ok(holds)
}

/// How operations charged what they charged, each by its place in its wallet's order.
pub async fn paid(reads: &mut impl Reads, org_id: &str, seq: i64) -> Result<Vec<Paid>> {
    let text = "select e.grant_id, e.from_account, e.amount from operations o
         join ledger_entries e on e.operation_id = o.id
         where o.org_id = $1 and o.seq = $2 and e.to_account = 'consumed' order by e.line";
    reads.all(sql(text).bind(org_id).bind(seq)).await
}

/// Writes back what happened to these books, set by set.
pub async fn save(tx: &mut Tx, books: impl Iterator<Item = &mut Book>) -> Result<()> {
    let mut written = Written::default();
    for book in books {
        written.take(book)?;
    }
    tx.update_many(&WALLETS, written.wallets).await?;
    tx.insert_many(&NEW_GRANTS, written.new_grants).await?;
    tx.update_many(&GRANTS, written.grants).await?;
    tx.update_many(&GRANT_AMOUNTS, written.grant_amounts).await?;
    tx.insert_many(&OPERATIONS, written.operations).await?;
    tx.insert_many(&ENTRIES, written.entries).await?;
    tx.insert_many(&NEW_HOLDS, written.new_holds).await?;
    tx.update_many(&HOLDS, written.holds).await?;
    usage::save(tx, &written.usages).await?;
    usage::count_members(tx, written.by_member).await?;
    usage::count_billed(tx, written.billed).await
}
