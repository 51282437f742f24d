//! The books, played again from the first entry of every wallet: I1 to I4, and with each debit I8
//! and I9.

use std::collections::BTreeMap;

use server::db::{Db, sql};

use super::burn;

/// An operation, in its wallet's order.
#[derive(sqlx::FromRow)]
pub(super) struct Operation {
    pub id: String,
    pub org_id: String,
    pub seq: i64,
    pub kind: String,
    pub at: i64,
    available_change: i64,
    available_after: i64,
    held_after: i64,
}

/// A move within an operation.
#[derive(sqlx::FromRow)]
pub(super) struct Entry {
    operation_id: String,
    pub grant_id: Option<String>,
    pub from_account: String,
    pub to_account: String,
    pub amount: i64,
}

/// A grant as its row says it is.
#[derive(sqlx::FromRow)]
pub(super) struct Grant {
    pub id: String,
    pub org_id: String,
    pub priority: i64,
    amount: i64,
    remaining: i64,
    held: i64,
    consumed: i64,
    expired: i64,
    clawed_back: i64,
    debt_paid: i64,
    pub effective_at: i64,
    pub expires_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub frozen_at: Option<i64>,
    pub voided_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct Wallet {
    org_id: String,
    seq: i64,
    available: i64,
    held: i64,
    debt: i64,
    last_at: i64,
}

/// What the entries so far amount to.
#[derive(Default)]
pub(super) struct Played {
    accounts: BTreeMap<String, i64>,
    grants: BTreeMap<(String, String), i64>,
    /// How many grants a dispute has stopped.
    pub frozen: usize,
}

impl Played {
    fn apply(&mut self, entry: &Entry) {
        for (account, amount) in
            [(&entry.from_account, -entry.amount), (&entry.to_account, entry.amount)]
        {
            *self.accounts.entry(account.clone()).or_default() += amount;
            if let Some(grant) = &entry.grant_id {
                *self.grants.entry((grant.clone(), account.clone())).or_default() += amount;
            }
        }
    }

    fn of(&self, account: &str) -> i64 {
        self.accounts.get(account).copied().unwrap_or(0)
    }

    /// What a grant has in an account.
    pub fn of_grant(&self, grant: &str, account: &str) -> i64 {
        self.grants.get(&(grant.to_owned(), account.to_owned())).copied().unwrap_or(0)
    }
}

/// Everything that is broken.
pub(super) async fn check(db: &Db) -> Vec<String> {
    let operations: Vec<Operation> = db
        .all(sql("select id, org_id, seq, kind, at, available_change, available_after, held_after
             from operations order by org_id, seq"))
        .await
        .expect("read");
    let entries: Vec<Entry> = db
        .all(sql("select operation_id, grant_id, from_account, to_account, amount
             from ledger_entries order by operation_id, line"))
        .await
        .expect("read");
    let grants: Vec<Grant> = db
        .all(sql("select id, org_id, priority, amount, remaining, held, consumed, expired,
                 clawed_back, debt_paid, effective_at, expires_at, ended_at, frozen_at,
                 voided_at
             from grants"))
        .await
        .expect("read");
    let wallets: Vec<Wallet> = db
        .all(sql("select org_id, seq, available, held, debt, last_at from wallets"))
        .await
        .expect("read");
    let mut by_operation: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        by_operation.entry(entry.operation_id.clone()).or_default().push(entry);
    }
    let mut broken = open_holds(db, &by_operation, &grants).await;
    for wallet in wallets {
        let own: Vec<&Operation> =
            operations.iter().filter(|one| one.org_id == wallet.org_id).collect();
        let grants: Vec<&Grant> = grants.iter().filter(|one| one.org_id == wallet.org_id).collect();
        let played = play(&own, &mut by_operation, &grants, &mut broken);
        compare(&wallet, &own, &played, &mut broken);
        grants.iter().for_each(|grant| compare_grant(grant, &played, &mut broken));
    }
    let lost = by_operation.keys();
    broken.extend(lost.map(|id| format!("I1: entries of {id}, which no wallet knows")));
    broken
}

/// Plays a wallet's operations from nothing.
fn play(
    operations: &[&Operation],
    entries: &mut BTreeMap<String, Vec<Entry>>,
    grants: &[&Grant],
    broken: &mut Vec<String>,
) -> Played {
    let mut played = Played::default();
    let (mut seq, mut at) = (0, i64::MIN);
    for operation in operations {
        let id = &operation.id;
        let own = entries.remove(id).unwrap_or_default();
        let before = played.of("available");
        for entry in &own {
            if entry.amount <= 0 || entry.from_account == entry.to_account {
                broken.push(format!("I1: {id} moves {} nowhere", entry.amount));
            }
            played.apply(entry);
        }
        match operation.kind.as_str() {
            "freeze" => played.frozen += 1,
            "unfreeze" => played.frozen = played.frozen.saturating_sub(1),
            _ => {}
        }
        let (available, held) = (played.of("available"), played.of("held"));
        if (available - before, available, held)
            != (operation.available_change, operation.available_after, operation.held_after)
        {
            let kind = &operation.kind;
            broken.push(format!("I2: {kind} {id} ends at {available} and {held} held by its rows"));
        }
        if available < 0 || held < 0 {
            broken.push(format!("I3: {id} leaves {available}, {held} held"));
        }
        if operation.seq != seq + 1 || operation.at < at {
            broken.push(format!("the order of {}: {id} is number {}", operation.org_id, seq + 1));
        }
        (seq, at) = (operation.seq, operation.at);
        broken.extend(burn::check(operation, &own, grants, &played));
    }
    played
}

/// I2, I4: a wallet's row against its entries.
fn compare(wallet: &Wallet, operations: &[&Operation], played: &Played, broken: &mut Vec<String>) {
    let org = &wallet.org_id;
    let last = operations.last();
    for (what, stored, expected) in [
        ("I2: available", wallet.available, played.of("available")),
        ("I4: held", wallet.held, played.of("held")),
        ("debt", wallet.debt, -played.of("debt")),
        ("seq", wallet.seq, last.map_or(0, |last| last.seq)),
    ] {
        if stored != expected {
            broken.push(format!("{what} of {org} is {stored}, its rows say {expected}"));
        }
    }
    if last.is_some_and(|last| last.at > wallet.last_at) {
        broken.push(format!("the time of {org} ran backwards"));
    }
}

/// I3: a grant's row against its entries, and its parts against the whole.
fn compare_grant(grant: &Grant, played: &Played, broken: &mut Vec<String>) {
    let parts = [
        ("available", grant.remaining),
        ("held", grant.held),
        ("consumed", grant.consumed),
        ("expired", grant.expired),
        ("clawed_back", grant.clawed_back),
        ("debt", grant.debt_paid),
    ];
    let id = &grant.id;
    for (account, stored) in parts {
        let expected = played.of_grant(id, account);
        if stored != expected || stored < 0 {
            broken.push(format!("I3: {account} of {id} is {stored}, its rows say {expected}"));
        }
    }
    let sum: i64 = parts.iter().map(|(_, part)| part).sum();
    if sum != grant.amount || -played.of_grant(id, "granted") != grant.amount {
        broken.push(format!("I3: the parts of {id} make {sum} of {}", grant.amount));
    }
}

/// I4: what open holds took from each grant is what the grant says is held.
async fn open_holds(
    db: &Db,
    entries: &BTreeMap<String, Vec<Entry>>,
    grants: &[Grant],
) -> Vec<String> {
    let text = "select operation_id from holds where status = 'open'";
    let open: Vec<(String,)> = db.all(sql(text)).await.expect("read");
    let mut held: BTreeMap<&str, i64> = BTreeMap::new();
    for (operation,) in &open {
        for entry in entries.get(operation).into_iter().flatten() {
            if let Some(grant) = entry.grant_id.as_deref().filter(|_| entry.to_account == "held") {
                *held.entry(grant).or_default() += entry.amount;
            }
        }
    }
    let wrong = grants.iter().filter_map(|grant| {
        let sum = held.get(grant.id.as_str()).copied().unwrap_or(0);
        let (id, stored) = (&grant.id, grant.held);
        (sum != stored).then(|| format!("I4: {stored} held of {id}, its open holds took {sum}"))
    });
    wrong.collect()
}
