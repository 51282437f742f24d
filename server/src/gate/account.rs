//! Everything the gate reads about an org, under the wallet's lock or without it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::caps::{self, Cap, MemberCaps};
use crate::clock::Millis;
use crate::credits::{self, Book, Wallet};
use crate::db::{Db, Reads, Tx};
use crate::engine::Engine;
use crate::entitlements::{self, Entitled, Free, Own};
use crate::error::{Error, Result};
use crate::rates::RateCard;
use crate::units::Credits;

use super::counters::{self, Counters};
use super::decide::View;
use super::memory::{Memory, Snapshot};
use super::watch::{Crossing, Level};

/// One org as the gate sees it.
pub struct Account {
    /// Its wallet, grants and open holds.
    pub book: Book,
    /// What it is entitled to.
    pub entitled: Arc<Entitled>,
    /// Its own ceiling.
    pub cap: Option<Cap>,
    /// Its members' ceilings.
    pub members: MemberCaps,
    /// Its running windows.
    pub counters: Counters,
    /// What booking the due things crossed.
    pub crossings: Vec<Crossing>,
    own: Own,
}

impl Account {
    /// What the rule looks at, for a use by this member.
    pub fn view<'a>(&'a self, at: Millis, rates: &'a RateCard, member: Option<&str>) -> View<'a> {
        View {
            at,
            parked: self.book.wallet.parked_at.is_some(),
            entitled: &self.entitled,
            spendable: self.book.spendable(at),
            held: self.book.wallet.held,
            overage: self.book.wallet.overage,
            period_used: self.book.wallet.period_used,
            period_start: self.book.wallet.period_start,
            cap: self.cap.as_ref(),
            member: member.and_then(|member| self.member_room(member)),
            counters: &self.counters,
            rates,
        }
    }

    /// What a member's ceiling is, and what was used and is held of it.
    fn member_room(&self, member: &str) -> Option<(Credits, Credits)> {
        let cap = *self.members.get(member)?;
        let used = self.counters.member_used(member, self.book.wallet.period_start);
        let open = self.book.holds.iter().filter(|hold| hold.is_open());
        let held = open.filter(|hold| hold.member.as_deref() == Some(member));
        let all = held.fold(used, |sum, hold| sum.plus(hold.credits).unwrap_or(sum));
        Some((cap, all))
    }

    /// Counts what a member used, so that a ceiling set later knows of it.
    pub fn count_member(&mut self, member: Option<&str>, credits: i64) {
        if let Some(member) = member {
            self.counters.count_member(member, credits, self.book.wallet.period_start);
        }
    }

    /// What is worth remembering of it, once it is committed.
    pub fn snapshot(self) -> (String, Snapshot) {
        let Book { wallet, grants, holds, .. } = self.book;
        let Self { own, cap, members, .. } = self;
        let revision = wallet.revision;
        (wallet.org_id, Snapshot { revision, grants, holds, own, cap, members })
    }
}

/// Locks and reads the accounts of these orgs, and books what is due on each. The wallets' locks
/// are taken first and alone; everything else is read afterwards. Those `by_members` are used by
/// members, whose use is counted.
pub async fn lock(
    tx: &mut Tx,
    memory: &Memory,
    orgs: &BTreeSet<String>,
    by_members: &BTreeSet<String>,
    now: Millis,
) -> Result<BTreeMap<String, Account>> {
    let wallets = credits::lock_wallets(tx, orgs, now).await?;
    complete(tx, memory, wallets, by_members, now).await
}

/// How often a read without locks is tried again that was overtaken by a write.
const GLANCES: usize = 3;

/// Reads accounts without a lock: what they would be if they were settled now. What was read is
/// remembered if nothing was written meanwhile.
pub async fn peek(
    db: &Db,
    memory: &Memory,
    orgs: &[String],
    now: Millis,
) -> Result<BTreeMap<String, Account>> {
    let mut reads = db;
    for _ in 0..GLANCES {
        let wallets = credits::wallets(&mut reads, orgs).await?;
        let revisions: BTreeMap<String, i64> =
            wallets.iter().map(|wallet| (wallet.org_id.clone(), wallet.revision)).collect();
        let of = revisions.iter().map(|(org_id, revision)| (org_id.as_str(), *revision));
        if memory.recall(of).len() < revisions.len() {
            let books = credits::open(&mut reads, wallets.clone()).await?;
            let snapshots = read(&mut reads, books).await?;
            let after = credits::wallets(&mut reads, orgs).await?;
            let still = |wallet: &Wallet| revisions.get(&wallet.org_id) == Some(&wallet.revision);
            if !after.iter().all(still) {
                continue;
            }
            memory.keep(snapshots.into_iter());
        }
        return complete(&mut reads, memory, wallets, &BTreeSet::new(), now).await;
    }
    // Somebody writes all the time: what is read now is as good as any other answer.
    let wallets = credits::wallets(&mut reads, orgs).await?;
    complete(&mut reads, memory, wallets, &BTreeSet::new(), now).await
}

/// Reads one account without a lock.
pub async fn peek_one(engine: &Engine, org_id: &str) -> Result<(Account, Millis)> {
    let now = engine.clock.now();
    let orgs = [org_id.to_owned()];
    let mut accounts = peek(&engine.db, engine.gate.memory(), &orgs, now).await?;
    let account = accounts.remove(org_id).ok_or(Error::NotFound("The organisation"))?;
    let at = account.book.time(now);
    Ok((account, at))
}

/// The balance of an org as of now, with everything that is due subtracted or opened.
pub async fn standing(engine: &Engine, org_id: &str) -> Result<credits::Balance> {
    let (account, at) = peek_one(engine, org_id).await?;
    Ok(credits::of_book(&account.book, at))
}

/// Reads what these books' orgs have besides.
async fn read(
    reads: &mut impl Reads,
    books: BTreeMap<String, Book>,
) -> Result<BTreeMap<String, Snapshot>> {
    if books.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<String> = books.keys().cloned().collect();
    let mut own = entitlements::own(reads, &ids).await?;
    let mut caps = caps::load(reads, &ids).await?;
    let mut members = caps::of_members(reads, &ids).await?;
    let snapshots = books.into_iter().map(|(org_id, book)| {
        let snapshot = Snapshot {
            revision: book.wallet.revision,
            grants: book.grants,
            holds: book.holds,
            own: own.remove(&org_id).unwrap_or_default(),
            cap: caps.remove(&org_id),
            members: members.remove(&org_id).unwrap_or_default(),
        };
        (org_id, snapshot)
    });
    Ok(snapshots.collect())
}

async fn complete(
    reads: &mut impl Reads,
    memory: &Memory,
    wallets: Vec<Wallet>,
    by_members: &BTreeSet<String>,
    now: Millis,
) -> Result<BTreeMap<String, Account>> {
    let of = wallets.iter().map(|wallet| (wallet.org_id.as_str(), wallet.revision));
    let known = memory.recall(of);
    let unknown = wallets.iter().filter(|wallet| !known.contains_key(&wallet.org_id));
    let books = credits::open(reads, unknown.cloned().collect()).await?;
    let mut fresh = read(reads, books).await?;
    let free = entitlements::free(reads).await?;
    let mut accounts = BTreeMap::new();
    for wallet in wallets {
        let snapshot = match (known.get(&wallet.org_id), fresh.remove(&wallet.org_id)) {
            (Some(known), _) => Snapshot::clone(known),
            (None, Some(fresh)) => fresh,
            (None, None) => continue,
        };
        let account = of_snapshot(wallet, snapshot, &free, now)?;
        accounts.insert(account.book.wallet.org_id.clone(), account);
    }
    count(reads, &mut accounts, by_members, now).await?;
    Ok(accounts)
}

/// An account with what is due booked, and the free month opened where no paid plan exists.
fn of_snapshot(wallet: Wallet, snapshot: Snapshot, free: &Free, now: Millis) -> Result<Account> {
    let Snapshot { grants, holds, own, cap, members, .. } = snapshot;
    let mut account = Account {
        book: Book::new(wallet, grants, holds),
        entitled: own.with(free),
        cap,
        members,
        counters: Counters::default(),
        crossings: Vec::new(),
        own,
    };
    let at = account.book.time(now);
    let charges = |hold: &credits::Hold| hold.charges() && hold.expires_at <= at;
    let before = account.book.holds.iter().any(charges).then(|| Level::of(&account, at));
    account.book.settle(at)?;
    if !account.entitled.plan.paid
        && let Some(included) = free.included
        && account.book.free_is_due(at)
    {
        account.book.open_free(included, at)?;
    }
    if let Some(before) = before {
        account.crossings = before.crossed(&account, at);
    }
    Ok(account)
}

/// Reads the windows of the accounts that somebody limits.
async fn count(
    reads: &mut impl Reads,
    accounts: &mut BTreeMap<String, Account>,
    by_members: &BTreeSet<String>,
    now: Millis,
) -> Result<()> {
    let limited = accounts.iter().filter(|(org_id, account)| {
        let by_tier = account.entitled.limits.keys().any(|name| counters::counts(name));
        let charged = account.book.usages.iter().any(|usage| usage.member.is_some());
        by_tier || charged || !account.members.is_empty() || by_members.contains(*org_id)
    });
    let limited: Vec<String> = limited.map(|(org_id, _)| org_id.clone()).collect();
    for (org_id, found) in counters::load(reads, &limited, now).await? {
        if let Some(account) = accounts.get_mut(&org_id) {
            account.counters = found;
        }
    }
    // What was charged because a hold's time was over is its member's use, too.
    for account in accounts.values_mut() {
        let charged = account.book.usages.iter();
        let charged: Vec<(Option<String>, i64)> =
            charged.map(|usage| (usage.member.clone(), usage.credits.micros())).collect();
        for (member, credits) in charged {
            account.count_member(member.as_deref(), credits);
        }
    }
    Ok(())
}
