//! Books in and out of the database: locked and read together, written back in bulk.
//!
//! The only writer of `wallets`, `grants`, `operations` and `ledger_entries`.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Millis;
use crate::db::{Arg, Bulk, Db, Reads, Tx, sql};
use crate::error::{Error, Result};

use super::book::Book;
use super::rows::{Grant, Wallet};

const WALLET: &str = "org_id, seq, available, held, debt, overage, period_start, period_end, \
     period_used, free_opened, last_at, parked_at, created_at";

const GRANT: &str = "id, org_id, source_kind, source_ref, priority, amount, remaining, held, \
     consumed, expired, clawed_back, debt_paid, effective_at, expires_at, period_start, \
     period_end, payment, frozen_at, reason, created_at, ended_at";

/// Locks the wallets of these orgs, making those that are missing, and reads their books. The
/// database orders the locks, so that two batches never wait for each other in a circle; the
/// grants are read after every lock is held, so that nothing read is older than the lock.
pub async fn lock(
    tx: &mut Tx,
    orgs: &BTreeSet<String>,
    now: Millis,
) -> Result<BTreeMap<String, Book>> {
    let ids: Vec<String> = orgs.iter().cloned().collect();
    let mut wallets = lock_rows(tx, &ids).await?;
    if wallets.len() < ids.len() {
        make_missing(tx, &ids, now).await?;
        wallets = lock_rows(tx, &ids).await?;
    }
    let grants = open_grants(tx, &ids).await?;
    Ok(books(wallets, grants))
}

/// Locks one wallet, for whoever changes something that the gate reads about its org.
pub async fn lock_wallet(tx: &mut Tx, org_id: &str, now: Millis) -> Result<()> {
    let ids = vec![org_id.to_owned()];
    if lock_rows(tx, &ids).await?.is_empty() {
        make_missing(tx, &ids, now).await?;
        lock_rows(tx, &ids).await?;
    }
    Ok(())
}

/// Reads a book without locking it, for answers that change nothing.
pub async fn peek(db: &Db, org_id: &str) -> Result<Option<Book>> {
    let mut reads = db;
    let ids = vec![org_id.to_owned()];
    let text = format!("select {WALLET} from wallets where org_id = $1");
    let Some(wallet) = db.optional::<Wallet>(sql(text).bind(org_id)).await? else {
        return Ok(None);
    };
    let grants = open_grants(&mut reads, &ids).await?;
    Ok(Some(Book::new(wallet, grants)))
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

async fn open_grants(reads: &mut impl Reads, ids: &[String]) -> Result<Vec<Grant>> {
    let any = reads.dialect().any("org_id", 1);
    let text = format!("select {GRANT} from grants where {any} and ended_at is null");
    reads.all(sql(text).bind(ids.to_vec())).await
}

fn books(wallets: Vec<Wallet>, grants: Vec<Grant>) -> BTreeMap<String, Book> {
    let mut by_org: BTreeMap<String, Vec<Grant>> = BTreeMap::new();
    for grant in grants {
        by_org.entry(grant.org_id.clone()).or_default().push(grant);
    }
    let books = wallets.into_iter().map(|wallet| {
        let grants = by_org.remove(&wallet.org_id).unwrap_or_default();
        (wallet.org_id.clone(), Book::new(wallet, grants))
    });
    books.collect()
}

const WALLETS: Bulk = Bulk {
    table: "wallets",
    columns: &[
        "org_id",
        "seq",
        "available",
        "held",
        "debt",
        "overage",
        "period_start",
        "period_end",
        "period_used",
        "free_opened",
        "last_at",
        "created_at",
    ],
    conflict: " on conflict (org_id) do update set seq = excluded.seq, \
        available = excluded.available, held = excluded.held, debt = excluded.debt, \
        overage = excluded.overage, period_start = excluded.period_start, \
        period_end = excluded.period_end, period_used = excluded.period_used, \
        free_opened = excluded.free_opened, last_at = excluded.last_at",
};

const GRANTS: Bulk = Bulk {
    table: "grants",
    columns: &[
        "id",
        "org_id",
        "source_kind",
        "source_ref",
        "priority",
        "amount",
        "remaining",
        "held",
        "consumed",
        "expired",
        "clawed_back",
        "debt_paid",
        "effective_at",
        "expires_at",
        "period_start",
        "period_end",
        "payment",
        "frozen_at",
        "reason",
        "created_at",
        "ended_at",
    ],
    conflict: " on conflict (id) do update set remaining = excluded.remaining, \
        held = excluded.held, consumed = excluded.consumed, expired = excluded.expired, \
        clawed_back = excluded.clawed_back, debt_paid = excluded.debt_paid, \
        expires_at = excluded.expires_at, frozen_at = excluded.frozen_at, \
        ended_at = excluded.ended_at",
};

const OPERATIONS: Bulk = Bulk {
    table: "operations",
    columns: &[
        "id",
        "org_id",
        "seq",
        "kind",
        "at",
        "actor_kind",
        "actor_id",
        "reason",
        "available_change",
        "available_after",
        "held_after",
    ],
    conflict: "",
};

const ENTRIES: Bulk = Bulk {
    table: "ledger_entries",
    columns: &["operation_id", "line", "org_id", "account", "grant_id", "amount"],
    conflict: "",
};

/// Writes back what happened to these books, set by set.
pub async fn save(tx: &mut Tx, books: impl Iterator<Item = &mut Book>) -> Result<()> {
    let (mut wallets, mut grants, mut operations, mut entries) = (vec![], vec![], vec![], vec![]);
    for book in books {
        if book.wallet.available < crate::units::Credits::ZERO {
            return Err(Error::internal("a wallet would fall below zero"));
        }
        if std::mem::take(&mut book.changed) {
            wallets.push(wallet_values(&book.wallet));
        }
        for grant in book.grants.iter_mut().filter(|grant| grant.changed) {
            grant.changed = false;
            grants.push(grant_values(grant));
        }
        book.grants.retain(|grant| grant.ended_at.is_none());
        for row in book.operations.drain(..) {
            operations.push(vec![
                row.id.into(),
                (&book.wallet.org_id).into(),
                row.seq.into(),
                row.kind.into(),
                row.at.into(),
                row.actor_kind.into(),
                row.actor_id.into(),
                row.reason.into(),
                row.available_change.into(),
                row.available_after.into(),
                row.held_after.into(),
            ]);
        }
        for row in book.entries.drain(..) {
            entries.push(vec![
                row.operation_id.into(),
                row.line.into(),
                (&book.wallet.org_id).into(),
                row.account.into(),
                row.grant_id.into(),
                row.amount.into(),
            ]);
        }
    }
    tx.insert_many(&WALLETS, wallets).await?;
    tx.insert_many(&GRANTS, grants).await?;
    tx.insert_many(&OPERATIONS, operations).await?;
    tx.insert_many(&ENTRIES, entries).await
}

fn wallet_values(wallet: &Wallet) -> Vec<Arg> {
    vec![
        (&wallet.org_id).into(),
        wallet.seq.into(),
        wallet.available.into(),
        wallet.held.into(),
        wallet.debt.into(),
        wallet.overage.into(),
        wallet.period_start.into(),
        wallet.period_end.into(),
        wallet.period_used.into(),
        wallet.free_opened.into(),
        wallet.last_at.into(),
        wallet.created_at.into(),
    ]
}

fn grant_values(grant: &Grant) -> Vec<Arg> {
    vec![
        (&grant.id).into(),
        (&grant.org_id).into(),
        (&grant.source_kind).into(),
        (&grant.source_ref).into(),
        grant.priority.into(),
        grant.amount.into(),
        grant.remaining.into(),
        grant.held.into(),
        grant.consumed.into(),
        grant.expired.into(),
        grant.clawed_back.into(),
        grant.debt_paid.into(),
        grant.effective_at.into(),
        grant.expires_at.into(),
        grant.period_start.into(),
        grant.period_end.into(),
        grant.payment.clone().into(),
        grant.frozen_at.into(),
        (&grant.reason).into(),
        grant.created_at.into(),
        grant.ended_at.into(),
    ]
}
