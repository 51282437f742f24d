//! Everything the gate reads about an org, under the wallet's lock or without it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::autorecharge;
use crate::caps::{self, Cap, MemberCaps};
use crate::clock::Millis;
use crate::credits::{self, Book, Wallet};
use crate::db::{Db, Reads, Tx};
use crate::engine::Engine;
use crate::entitlements::{self, Entitled, Free, Own};
use crate::error::{Error, Result};
use crate::rates::RateCard;
use crate::units::Credits;
use crate::usage;

use super::counters::{self, Counters};
use super::decide::View;
use super::memory::{Memory, Snapshot};
use super::recharging::Recharge;
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
    /// What its members used in the period, where somebody set them ceilings.
    members_used: BTreeMap<String, i64>,
    /// Its running windows.
    pub counters: Counters,
    /// What booking the due things crossed.
    pub crossings: Vec<Crossing>,
    /// When it wants a pack bought by itself.
    pub recharge: Option<Recharge>,
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
            overage: self.overage(),
            period_used: self.book.wallet.period_used,
            period_start: self.book.wallet.period_start,
            cap: self.cap.as_ref(),
            member: member.and_then(|member| self.member_room(member)),
            counters: &self.counters,
            rates,
        }
    }

    /// What was used past every grant in the period, and what open holds have set aside of it.
    fn overage(&self) -> Credits {
        let open = self.book.holds.iter().filter(|hold| hold.is_open());
        std::iter::once(self.book.wallet.overage).chain(open.map(|hold| hold.overage)).sum()
    }

    /// What a member's ceiling is, and what was used and is held of it.
    fn member_room(&self, member: &str) -> Option<(Credits, Credits)> {
        let cap = *self.members.get(member)?;
        let of = |uses: &BTreeMap<String, i64>| uses.get(member).copied().unwrap_or(0);
        let used = of(&self.members_used).saturating_add(of(&self.book.by_member)).max(0);
        let open = self.book.holds.iter().filter(|hold| hold.is_open());
        let held = open.filter(|hold| hold.member.as_deref() == Some(member));
        let held = held.map(|hold| hold.credits);
        Some((cap, std::iter::once(Credits::from_micros(used)).chain(held).sum()))
    }

    /// What is worth remembering of it, once it is committed.
    pub fn snapshot(self) -> (String, Snapshot) {
        let Book { wallet, grants, holds, .. } = self.book;
        let Self { own, cap, members, recharge, .. } = self;
        let revision = wallet.revision;
        (wallet.org_id, Snapshot { revision, grants, holds, own, cap, members, recharge })
    }
}

/// Locks and reads the accounts of these orgs, and books what is due on each. The wallets' locks
/// are taken first and alone; everything else is read afterwards.
pub async fn lock(
    tx: &mut Tx,
    memory: &Memory,
    orgs: &BTreeSet<String>,
    now: Millis,
) -> Result<BTreeMap<String, Account>> {
    let wallets = credits::lock_wallets(tx, orgs, now).await?;
    complete(tx, memory, wallets, now).await
}

/// How often a read without locks is tried again that was overtaken by a write.
const GLANCES: usize = 3;

/// Reads accounts without a lock: what they would be if they were settled now. Orgs that are not
/// remembered are read, and remembered if nothing was written meanwhile; where somebody writes all
/// the time, what is read last is as good as any other answer.
pub async fn peek(
    db: &Db,
    memory: &Memory,
    orgs: &[String],
    now: Millis,
) -> Result<BTreeMap<String, Account>> {
    let mut reads = db;
    let mut wallets = credits::wallets(&mut reads, orgs).await?;
    for _ in 0..GLANCES {
        let known = memory.recall(revisions(&wallets));
        let missing = wallets.iter().filter(|wallet| !known.contains_key(&wallet.org_id));
        let missing: Vec<Wallet> = missing.cloned().collect();
        if missing.is_empty() {
            break;
        }
        let ids: Vec<String> = missing.iter().map(|wallet| wallet.org_id.clone()).collect();
        let books = credits::open(&mut reads, missing).await?;
        let mut snapshots = read(&mut reads, books).await?;
        let after = credits::wallets(&mut reads, &ids).await?;
        snapshots.retain(|org_id, snapshot| {
            let same = |w: &Wallet| w.org_id == *org_id && w.revision == snapshot.revision;
            after.iter().any(same)
        });
        memory.keep(snapshots.into_iter());
        wallets.retain(|wallet| !ids.contains(&wallet.org_id));
        wallets.extend(after);
    }
    complete(&mut reads, memory, wallets, now).await
}

fn revisions(wallets: &[Wallet]) -> impl Iterator<Item = (&str, i64)> {
    wallets.iter().map(|wallet| (wallet.org_id.as_str(), wallet.revision))
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
    let mut thresholds = autorecharge::load(reads, &ids).await?;
    let snapshots = books.into_iter().map(|(org_id, book)| {
        let snapshot = Snapshot {
            revision: book.wallet.revision,
            grants: book.grants,
            holds: book.holds,
            own: own.remove(&org_id).unwrap_or_default(),
            cap: caps.remove(&org_id),
            members: members.remove(&org_id).unwrap_or_default(),
            recharge: thresholds.remove(&org_id).map(Recharge::from),
        };
        (org_id, snapshot)
    });
    Ok(snapshots.collect())
}

async fn complete(
    reads: &mut impl Reads,
    memory: &Memory,
    wallets: Vec<Wallet>,
    now: Millis,
) -> Result<BTreeMap<String, Account>> {
    let known = memory.recall(revisions(&wallets));
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
    count(reads, &mut accounts, now).await?;
    count_members(reads, &mut accounts).await?;
    Ok(accounts)
}

/// An account with what is due booked, and the free month opened where no paid plan exists.
fn of_snapshot(wallet: Wallet, snapshot: Snapshot, free: &Free, now: Millis) -> Result<Account> {
    let Snapshot { grants, holds, own, cap, members, recharge, .. } = snapshot;
    let book = Book::new(wallet, grants, holds);
    let mut account = Account {
        entitled: own.with(free, book.time(now)),
        book,
        cap,
        members,
        members_used: BTreeMap::new(),
        counters: Counters::default(),
        crossings: Vec::new(),
        recharge,
        own,
    };
    let at = account.book.time(now);
    // A hold that is charged now counts in the period of now: so do the thresholds it crosses.
    account.book.turn_period(at);
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
    now: Millis,
) -> Result<()> {
    let limited = accounts
        .iter()
        .filter(|(_, account)| account.entitled.limits.keys().any(|name| counters::counts(name)));
    let limited: Vec<String> = limited.map(|(org_id, _)| org_id.clone()).collect();
    for (org_id, found) in counters::load(reads, &limited, now).await? {
        if let Some(account) = accounts.get_mut(&org_id) {
            account.counters = found;
        }
    }
    Ok(())
}

/// Reads what members used, of the orgs that set ceilings for members.
async fn count_members(
    reads: &mut impl Reads,
    accounts: &mut BTreeMap<String, Account>,
) -> Result<()> {
    let capped = accounts.iter().filter(|(_, account)| !account.members.is_empty());
    let capped: Vec<String> = capped.map(|(org_id, _)| org_id.clone()).collect();
    let began = capped.iter().map(|org_id| accounts[org_id].book.wallet.period_start);
    let Some(since) = began.min() else { return Ok(()) };
    for ((org_id, member, start), credits) in usage::of_members(reads, &capped, since).await? {
        if let Some(account) = accounts.get_mut(&org_id)
            && account.book.wallet.period_start == start
        {
            account.members_used.insert(member, credits);
        }
    }
    Ok(())
}
