//! A batch of keyed writes in one transaction: lock, read, decide each in turn, write in bulk.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::clock::Millis;
use crate::credits::{self, Account as Ledger, Kind, Move};
use crate::db::Db;
use crate::error::Result;
use crate::ids;
use crate::rates::RateCard;
use crate::units::Credits;
use crate::usage::{self, Usage};

use super::account::{self, Account};
use super::answer::{self, Answer, BalanceView};
use super::counters;
use super::decide::{Ask, Code, Verdict, decide};
use super::decisions::{self, StoredDecision};
use super::request::ConsumeRequest;
use super::watch::{self, Crossing};

/// What the gate needs to know besides the database.
pub struct Setting<'a> {
    /// What things cost.
    pub rates: &'a RateCard,
    /// Where the product's pages are.
    pub base_url: &'a str,
}

/// The work of one transaction in the making.
struct Batch<'a> {
    setting: Setting<'a>,
    now: Millis,
    accounts: BTreeMap<String, Account>,
    known: HashMap<(String, String), StoredDecision>,
    stored: Vec<StoredDecision>,
    usages: Vec<Usage>,
    crossings: Vec<Crossing>,
}

/// Runs these requests in one durable transaction and answers each, in their order. Whether
/// something was left for the worker is the second answer.
pub async fn run_batch(
    db: &Db,
    setting: Setting<'_>,
    requests: &[&ConsumeRequest],
    now: Millis,
) -> Result<(Vec<Answer>, bool)> {
    let orgs: BTreeSet<String> = requests.iter().map(|one| one.org_id.clone()).collect();
    let pairs = requests.iter().map(|one| (one.org_id.clone(), one.key.clone())).collect();
    let mut tx = db.begin().await?;
    let accounts = account::lock(&mut tx, &orgs, now).await?;
    let known = decisions::load(&mut tx, &pairs).await?;
    let mut batch = Batch {
        setting,
        now,
        accounts,
        known,
        stored: Vec::new(),
        usages: Vec::new(),
        crossings: Vec::new(),
    };
    let answers = requests.iter().map(|request| batch.consume(request));
    let answers = answers.collect::<Result<Vec<Answer>>>()?;
    // After this point it must succeed.
    for account in batch.accounts.values_mut() {
        account.book.close_spent(now);
    }
    credits::save(&mut tx, batch.accounts.values_mut().map(|account| &mut account.book)).await?;
    usage::save(&mut tx, &batch.usages).await?;
    decisions::save(&mut tx, &batch.stored).await?;
    let windows = batch.accounts.iter_mut().map(|(org, account)| (org, &mut account.counters));
    counters::save(&mut tx, windows).await?;
    let told = watch::raise(&mut tx, &batch.crossings, now).await?;
    tx.commit().await?;
    Ok((answers, told))
}

impl Batch<'_> {
    fn consume(&mut self, request: &ConsumeRequest) -> Result<Answer> {
        let pair = (request.org_id.clone(), request.key.clone());
        if let Some(before) = self.known.get(&pair) {
            return repeat(before, &request.fingerprint);
        }
        let Some(account) = self.accounts.get_mut(&request.org_id) else {
            return Err(crate::error::Error::NotFound("The organisation"));
        };
        let at = account.book.time(self.now);
        let ask = Ask {
            feature: request.feature.as_deref(),
            model: request.model.as_deref(),
            meter: Some(&request.meter),
            quantity: Some(request.quantity),
        };
        let verdict = decide(&account.view(at, self.setting.rates), &ask);
        let id = ids::new("dec", at);
        if verdict.code != Code::Allowed {
            let decision = refusal(account, &verdict, &id, self.setting.base_url, at)?;
            let stored = verdict.code.status() != 429;
            let body = answer::denied(&decision, stored)?;
            return Ok(self.answer(request, id, &verdict, body, None, at));
        }
        let card = &self.setting.rates.version;
        let (usage, from) = book(account, request, &verdict, card, at, &mut self.crossings)?;
        let balance =
            BalanceView { available: account.book.spendable(at), held: account.book.wallet.held };
        let body = answer::usage(&usage, request.metadata.as_ref(), &from, balance)?;
        let operation = usage.operation_id.clone();
        self.usages.push(usage);
        Ok(self.answer(request, id, &verdict, body, Some(operation), at))
    }

    /// The answer to a request, kept for its key unless a later try may end differently.
    fn answer(
        &mut self,
        request: &ConsumeRequest,
        id: String,
        verdict: &Verdict,
        body: String,
        operation_id: Option<String>,
        at: Millis,
    ) -> Answer {
        let status = verdict.code.status();
        let retry_after_seconds = verdict.retry_after_seconds;
        let answer =
            Answer { status, body: body.as_str().into(), replayed: false, retry_after_seconds };
        if status == 429 {
            return answer;
        }
        let stored = StoredDecision {
            id,
            org_id: request.org_id.clone(),
            key: request.key.clone(),
            fingerprint: request.fingerprint.clone(),
            status: status.into(),
            body,
            code: verdict.code.word().to_owned(),
            operation_id,
            at,
            reversed_at: None,
        };
        self.known.insert((stored.org_id.clone(), stored.key.clone()), stored.clone());
        self.stored.push(stored);
        answer
    }
}

/// The same key again: the same answer, unless something else is asked or the effect is gone.
fn repeat(before: &StoredDecision, fingerprint: &str) -> Result<Answer> {
    if before.fingerprint != fingerprint {
        let message = "This Idempotency-Key was used for another request. Use a new key.";
        return answer::refused_key(422, "idempotency_key_reused", message);
    }
    if before.reversed_at.is_some() {
        let message = "What this key did was reversed since. Use a new key to do it again.";
        return answer::refused_key(409, "operation_reversed", message);
    }
    Ok(Answer {
        status: u16::try_from(before.status).unwrap_or(500),
        body: before.body.as_str().into(),
        replayed: true,
        retry_after_seconds: None,
    })
}

fn refusal(
    account: &Account,
    verdict: &Verdict,
    id: &str,
    base_url: &str,
    at: Millis,
) -> Result<answer::Decision> {
    let stored = (verdict.code.status() != 429).then(|| id.to_owned());
    answer::decision(account, verdict, stored, base_url, account.book.spendable(at))
}

/// Books an allowed use: the debit, the usage, and the thresholds it crossed.
fn book(
    account: &mut Account,
    request: &ConsumeRequest,
    verdict: &Verdict,
    rate_card: &str,
    at: Millis,
    crossings: &mut Vec<Crossing>,
) -> Result<(Usage, Vec<(String, Credits)>)> {
    let before = watch::Level::of(account, at);
    let paid = verdict.credits.minus(verdict.overage).unwrap_or(Credits::ZERO);
    let (parts, _) = account.book.plan_spend(paid, at);
    let mut moves: Vec<Move> = Vec::new();
    let mut from: Vec<(String, Credits)> = Vec::new();
    for (index, amount) in parts {
        let grant = Some(index);
        moves.push(Move { grant, from: Ledger::Available, to: Ledger::Consumed, amount });
        from.push((account.book.grants[index].id.clone(), amount));
    }
    if verdict.overage.is_positive() {
        let amount = verdict.overage;
        moves.push(Move { grant: None, from: Ledger::Overage, to: Ledger::Consumed, amount });
    }
    let actor = request.caller.actor();
    let operation_id = account.book.post(Kind::Consume, at, &actor, &reason(request), &moves)?;
    account.book.count_used(verdict.credits, verdict.overage)?;
    account.counters.count(&account.entitled.limits, &request.meter, at);
    crossings.extend(before.crossed(account, at));
    let usage = Usage {
        id: ids::new("usage", at),
        org_id: request.org_id.clone(),
        seq: account.book.wallet.seq,
        operation_id,
        key: request.key.clone(),
        meter: request.meter.clone(),
        model: request.model.clone(),
        feature: request.feature.clone(),
        quantity: request.quantity.micros(),
        credits: verdict.credits,
        overage: verdict.overage,
        run: request.run.clone(),
        member: request.member.clone(),
        api_key_id: request.caller.key_id().map(str::to_owned),
        rate_card: rate_card.to_owned(),
        cost: request.cost,
        metadata: request.metadata.as_ref().map(ToString::to_string),
        at,
        reversed_at: None,
    };
    Ok((usage, from))
}

/// The cause on the statement: "3 image, large-1".
fn reason(request: &ConsumeRequest) -> String {
    let model = request.model.as_deref().map(|model| format!(", {model}")).unwrap_or_default();
    format!("{} {}{model}", request.quantity, request.meter)
}
