//! A batch of keyed writes in one transaction: lock, read, decide each in turn, write in bulk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::clock::Millis;
use crate::credits::{self, Paid};
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::ids;
use crate::rates::{self, RateCard};
use crate::usage::{self, Usage};

use super::account::{self, Account};
use super::answer::{self, Answer, BalanceView};
use super::codes::Code;
use super::counters;
use super::decisions::{self, StoredDecision};
use super::memory::Memory;
use super::request::{Operation, Request};
use super::verdict::Verdict;
use super::watch::{self, Crossing};
use super::{recharging, spend, stock, undo};

/// What the gate needs to know besides the database.
#[derive(Clone)]
pub struct Desk {
    /// What things cost.
    pub rates: Arc<RateCard>,
    /// Where the product's pages are.
    pub base_url: Arc<str>,
    /// What was read before.
    pub memory: Memory,
}

/// What came of a batch.
pub struct Done {
    /// The answers, in the order of the requests.
    pub answers: Vec<Answer>,
    /// Whether something was left for the worker.
    pub told: bool,
}

/// What an operation comes to.
pub(super) enum Outcome {
    /// It was done: the body, and the usage or hold it made.
    Done { body: String, subject: Option<String> },
    /// The rule said no.
    Denied(Verdict),
    /// It cannot be: not found, not open, taken back. Not stored.
    Refused(Answer),
}

/// Uses that were charged together, and how: what a reversal is about.
pub(super) struct Taken {
    pub lines: Vec<Usage>,
    pub paid: Vec<Paid>,
}

/// The work of one transaction in the making.
pub(super) struct Batch<'a> {
    pub desk: &'a Desk,
    pub now: Millis,
    pub accounts: BTreeMap<String, Account>,
    /// Rate cards that are not in force any more, by version.
    pub cards: HashMap<String, RateCard>,
    /// Uses by (org, id of any line).
    pub taken: HashMap<(String, String), Arc<Taken>>,
    /// Usages and holds that were taken back in this batch.
    pub undone: HashSet<String>,
    /// Workflows that are known, by (org, run).
    pub runs: HashSet<(String, String)>,
    known: HashMap<(String, String), StoredDecision>,
    stored: Vec<StoredDecision>,
    /// Operations whose usages are to be marked as taken back: org, at, seq, now.
    pub reversals: Vec<(String, Millis, i64, Millis)>,
    pub crossings: Vec<Crossing>,
}

/// Runs these requests in one durable transaction and answers each, in their order.
pub async fn run(db: &Db, desk: &Desk, requests: &[&Request], now: Millis) -> Result<Done> {
    let orgs: BTreeSet<String> = requests.iter().map(|one| one.org_id.clone()).collect();
    let pairs = requests.iter().map(|one| (one.org_id.clone(), one.key.clone())).collect();
    let mut tx = db.begin().await?;
    let accounts = account::lock(&mut tx, &desk.memory, &orgs, now).await?;
    let known = decisions::load(&mut tx, pairs).await?;
    let mut batch = Batch {
        desk,
        now,
        accounts,
        cards: HashMap::new(),
        taken: HashMap::new(),
        undone: HashSet::new(),
        runs: HashSet::new(),
        known,
        stored: Vec::new(),
        reversals: Vec::new(),
        crossings: Vec::new(),
    };
    batch.read_more(&mut tx, requests).await?;
    let answers = requests.iter().map(|request| batch.answer(request));
    let answers = answers.collect::<Result<Vec<Answer>>>()?;
    // After this point it must succeed.
    let told = batch.write(&mut tx).await?;
    tx.commit().await?;
    let snapshots = batch.accounts.into_values().map(Account::snapshot);
    desk.memory.keep(snapshots);
    Ok(Done { answers, told })
}

impl Batch<'_> {
    /// Reads what some operations are about besides open accounts.
    async fn read_more(&mut self, tx: &mut Tx, requests: &[&Request]) -> Result<()> {
        let mut holds: Vec<String> = Vec::new();
        for request in requests {
            let org_id = &request.org_id;
            match &request.what {
                Operation::Capture(capture) => holds.push(capture.hold.clone()),
                Operation::Release { hold } | Operation::Extend { hold, .. } => {
                    holds.push(hold.clone());
                }
                Operation::Reverse { usage, .. } => self.read_taken(tx, org_id, usage).await?,
                Operation::ReleaseRun { run } => {
                    let known = super::runs::is_known(tx, org_id, run).await?;
                    self.runs.extend(known.then(|| (org_id.clone(), run.clone())));
                }
                _ => {}
            }
        }
        self.read_holds(tx, holds).await
    }

    /// Holds that are named and not open, and the rate cards that holds are pinned to.
    async fn read_holds(&mut self, tx: &mut Tx, named: Vec<String>) -> Result<()> {
        if named.is_empty() {
            return Ok(());
        }
        let known = |id: &String| {
            self.accounts.values().any(|account| account.book.holds.iter().any(|h| h.id == *id))
        };
        let unknown: Vec<String> = named.iter().filter(|id| !known(id)).cloned().collect();
        if !unknown.is_empty() {
            for hold in credits::holds_by_id(tx, &unknown).await? {
                if let Some(account) = self.accounts.get_mut(&hold.org_id) {
                    account.book.remember(Vec::new(), vec![hold]);
                }
            }
        }
        let mut versions: BTreeSet<String> = BTreeSet::new();
        for account in self.accounts.values() {
            let of = account.book.holds.iter().filter(|hold| named.contains(&hold.id));
            versions.extend(of.map(|hold| hold.rate_card.clone()));
        }
        versions.remove(&self.desk.rates.version);
        for version in versions {
            if let Some(card) = rates::version(tx, &version).await? {
                self.cards.insert(version, card);
            }
        }
        Ok(())
    }

    async fn read_taken(&mut self, tx: &mut Tx, org_id: &str, id: &str) -> Result<()> {
        let lines = usage::operations(tx, org_id, &[id.to_owned()]).await?;
        let Some(first) = lines.first() else { return Ok(()) };
        let paid = credits::paid(tx, org_id, first.seq).await?;
        let grants: Vec<String> = paid.iter().filter_map(|part| part.grant_id.clone()).collect();
        let grants = credits::grants_by_id(tx, &grants).await?;
        if let Some(account) = self.accounts.get_mut(org_id) {
            account.book.remember(grants, Vec::new());
        }
        let taken = Arc::new(Taken { lines, paid });
        self.taken.insert((org_id.to_owned(), id.to_owned()), taken);
        Ok(())
    }

    /// Answers one request and books what it comes to.
    fn answer(&mut self, request: &Request) -> Result<Answer> {
        let pair = (request.org_id.clone(), request.key.clone());
        if let Some(before) = self.known.get(&pair) {
            return self.repeat(before, &request.fingerprint);
        }
        let Some(account) = self.accounts.get(&request.org_id) else {
            return answer::refused(404, "not_found", "The organisation was not found.");
        };
        let at = account.book.time(self.now);
        let outcome = match &request.what {
            Operation::Consume(used) => spend::consume(self, request, used, at)?,
            Operation::Item(item) => spend::item(self, request, item, at)?,
            Operation::Hold(new) => stock::hold(self, request, new, at)?,
            Operation::Capture(capture) => stock::capture(self, request, capture, at)?,
            Operation::Release { hold } => stock::release(self, request, hold, at)?,
            Operation::Extend { hold, ttl } => stock::extend(self, request, hold, *ttl, at)?,
            Operation::Reverse { usage, reason } => {
                undo::reverse(self, request, usage, reason, at)?
            }
            Operation::ReleaseRun { run } => undo::release_run(self, request, run, at)?,
        };
        self.conclude(request, outcome, at)
    }

    /// The answer to a request, kept for its key unless a later try may end differently.
    fn conclude(&mut self, request: &Request, outcome: Outcome, at: Millis) -> Result<Answer> {
        let id = ids::new("dec", at);
        let (code, body, subject, retry_after_seconds) = match outcome {
            Outcome::Refused(answer) => return Ok(answer),
            Outcome::Done { body, subject } => (Code::Allowed, body, subject, None),
            Outcome::Denied(verdict) => {
                let stored = verdict.code.status() != 429;
                let account = self.account(&request.org_id)?;
                let told = stored.then(|| id.clone());
                let available = account.book.spendable(at);
                let base_url = &self.desk.base_url;
                let decision = answer::decision(account, &verdict, told, base_url, available)?;
                let body = answer::denied(&decision, stored)?;
                (verdict.code, body, None, verdict.retry_after_seconds)
            }
        };
        let status = code.status();
        let shown = body.as_str().into();
        let answer = Answer { status, body: shown, replayed: false, retry_after_seconds };
        if status == 429 {
            return Ok(answer);
        }
        let stored = StoredDecision {
            id,
            org_id: request.org_id.clone(),
            key: request.key.clone(),
            fingerprint: request.fingerprint.clone(),
            status: status.into(),
            body,
            code: code.word().to_owned(),
            subject,
            at,
            reversed_at: None,
        };
        self.known.insert((stored.org_id.clone(), stored.key.clone()), stored.clone());
        self.stored.push(stored);
        Ok(answer)
    }

    /// The same key again: the same answer, unless something else is asked or the effect is gone.
    fn repeat(&self, before: &StoredDecision, fingerprint: &str) -> Result<Answer> {
        if before.fingerprint != fingerprint {
            let message = "This Idempotency-Key was used for another request. Use a new key.";
            return answer::refused_key(422, "idempotency_key_reused", message);
        }
        if before.reversed_at.is_some() || self.is_undone(before) {
            let message = "What this key did was taken back since. Use a new key to do it again.";
            return answer::refused_key(409, "operation_reversed", message);
        }
        Ok(Answer {
            status: u16::try_from(before.status).unwrap_or(500),
            body: before.body.as_str().into(),
            replayed: true,
            retry_after_seconds: None,
        })
    }

    /// Whether what a decision made was taken back in this very transaction.
    fn is_undone(&self, before: &StoredDecision) -> bool {
        let Some(subject) = &before.subject else { return false };
        let ended = |hold: &credits::Hold| {
            hold.id == *subject && matches!(hold.status.as_str(), "released" | "expired")
        };
        let account = self.accounts.get(&before.org_id);
        self.undone.contains(subject) || account.is_some_and(|a| a.book.holds.iter().any(ended))
    }

    /// Writes everything that happened, set by set. Whether something was left for the worker is
    /// the answer.
    async fn write(&mut self, tx: &mut Tx) -> Result<bool> {
        let now = self.now;
        for account in self.accounts.values_mut() {
            let at = account.book.time(now);
            account.book.close_spent(at);
            self.crossings.append(&mut account.crossings);
        }
        let books = self.accounts.values_mut().map(|account| &mut account.book);
        credits::save(tx, books).await?;
        decisions::save(tx, &self.stored).await?;
        for (org_id, at, seq, now) in &self.reversals {
            usage::reverse(tx, org_id, *at, *seq, *now).await?;
        }
        let windows = self.accounts.iter_mut().map(|(org, account)| (org, &mut account.counters));
        counters::save(tx, windows).await?;
        let told = watch::raise(tx, &self.crossings, now).await?;
        let wanted = recharging::ask(tx, self.accounts.values_mut(), now).await?;
        Ok(told || wanted)
    }

    pub(super) fn account(&self, org_id: &str) -> Result<&Account> {
        self.accounts.get(org_id).ok_or(crate::error::Error::NotFound("The organisation"))
    }

    pub(super) fn account_mut(&mut self, org_id: &str) -> Result<&mut Account> {
        self.accounts.get_mut(org_id).ok_or(crate::error::Error::NotFound("The organisation"))
    }
}

/// What an org has after an operation.
pub(super) fn balance(account: &Account, at: Millis) -> BalanceView {
    BalanceView { available: account.book.spendable(at), held: account.book.wallet.held }
}
