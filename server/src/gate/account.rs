//! Everything the gate reads about an org, under the wallet's lock or without it.

use std::collections::{BTreeMap, BTreeSet};

use crate::caps::{self, Cap};
use crate::catalog;
use crate::clock::Millis;
use crate::credits::{self, Book};
use crate::db::{Db, Reads, Tx};
use crate::engine::Engine;
use crate::entitlements::{self, Entitled};
use crate::error::{Error, Result};
use crate::rates::RateCard;

use super::counters::{self, Counters};
use super::decide::View;

/// One org as the gate sees it.
pub struct Account {
    /// Its wallet and grants.
    pub book: Book,
    /// What it is entitled to.
    pub entitled: Entitled,
    /// Its own ceiling.
    pub cap: Option<Cap>,
    /// Its running windows.
    pub counters: Counters,
}

impl Account {
    /// What the rule looks at.
    pub fn view<'a>(&'a self, at: Millis, rates: &'a RateCard) -> View<'a> {
        View {
            at,
            parked: self.book.wallet.parked_at.is_some(),
            entitled: &self.entitled,
            spendable: self.book.spendable(at),
            period_used: self.book.wallet.period_used,
            cap: self.cap.as_ref(),
            counters: &self.counters,
            rates,
        }
    }
}

/// Locks and reads the accounts of these orgs, and books what is due on each. The wallets' locks
/// are taken first and alone; everything else is read afterwards.
pub async fn lock(
    tx: &mut Tx,
    orgs: &BTreeSet<String>,
    now: Millis,
) -> Result<BTreeMap<String, Account>> {
    let books = credits::lock(tx, orgs, now).await?;
    complete(tx, books, now).await
}

/// Reads one account without a lock: what it would be if it were settled now.
pub async fn peek(db: &Db, org_id: &str, now: Millis) -> Result<Account> {
    let book = credits::peek(db, org_id).await?;
    let book = book.ok_or(Error::NotFound("The organisation"))?;
    let mut reads = db;
    let books = std::iter::once((org_id.to_owned(), book)).collect();
    let mut accounts = complete(&mut reads, books, now).await?;
    accounts.remove(org_id).ok_or(Error::NotFound("The organisation"))
}

/// The balance of an org as of now, with everything that is due subtracted or opened.
pub async fn standing(engine: &Engine, org_id: &str) -> Result<credits::Balance> {
    let now = engine.clock.now();
    let account = peek(&engine.db, org_id, now).await?;
    Ok(credits::of_book(&account.book, account.book.time(now)))
}

async fn complete(
    reads: &mut impl Reads,
    books: BTreeMap<String, Book>,
    now: Millis,
) -> Result<BTreeMap<String, Account>> {
    let ids: Vec<String> = books.keys().cloned().collect();
    let mut entitled = entitlements::load(reads, &ids).await?;
    let mut caps = caps::load(reads, &ids).await?;
    let limited = ids.iter().filter(|id| entitled.get(*id).is_some_and(|e| !e.limits.is_empty()));
    let limited: Vec<String> = limited.cloned().collect();
    let mut counters = counters::load(reads, &limited, now).await?;
    let mut accounts = BTreeMap::new();
    for (org_id, mut book) in books {
        let Some(entitled) = entitled.remove(&org_id) else {
            return Err(Error::internal(format!("{org_id} has no entitlements")));
        };
        settle(reads, &mut book, &entitled, now).await?;
        let cap = caps.remove(&org_id);
        let counters = counters.remove(&org_id).unwrap_or_default();
        accounts.insert(org_id, Account { book, entitled, cap, counters });
    }
    Ok(accounts)
}

/// Books what is due, and opens the free month where no paid subscription exists.
async fn settle(
    reads: &mut impl Reads,
    book: &mut Book,
    entitled: &Entitled,
    now: Millis,
) -> Result<()> {
    let at = book.time(now);
    book.settle(at)?;
    if entitled.plan.paid || !book.free_is_due(at) {
        return Ok(());
    }
    if let Some(free) = catalog::free_tier(reads).await? {
        book.open_free(free.included, at)?;
    }
    Ok(())
}
