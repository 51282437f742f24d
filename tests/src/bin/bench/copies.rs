//! Ten thousand orgs in a moment: one is made by the product itself, with three grants and a use,
//! and its rows are copied in bulk under other ids. Whatever the product writes about an org, the
//! copies have it too, so their books add up as the first one's do.

use anyhow::{Context as _, Result, ensure};
use server::audit::Actor;
use server::auth::accounts;
use server::clock::Millis;
use server::credits::{self, NewGrant, Source};
use server::db::{Arg, Bulk, sql};
use server::engine::Engine;
use server::gate::{Caller, Operation, Request, Use};
use server::ids;
use server::units::{Credits, Quantity};

/// Enough for every request of a run.
const CREDITS: i64 = 1_000_000_000;

/// The copies' name, by which they are found.
pub const NAME: &str = "Bench copy";

/// The org that was made by the product itself.
pub struct Pattern {
    /// Its id.
    pub org_id: String,
    /// What its use cost.
    pub cost: Credits,
}

const ORGS: Bulk = Bulk { table: "orgs", columns: &["id", "name", "created_at"], conflict: "" };

/// `$1` is the org that is copied, `$2` the copies' name. Ids are the copy's own id and what tells
/// the rows of one org apart: a grant's priority, an operation's place.
const COPIED: [&str; 7] = [
    "insert into members (org_id, user_id, role, created_at)
     select o.id, t.user_id, t.role, t.created_at
     from orgs o cross join members t where t.org_id = $1 and o.name = $2",
    "insert into wallets (org_id, seq, revision, available, held, debt, overage, period_start,
         period_end, period_used, free_opened, last_at, created_at)
     select o.id, t.seq, t.revision, t.available, t.held, t.debt, t.overage, t.period_start,
         t.period_end, t.period_used, t.free_opened, t.last_at, t.created_at
     from orgs o cross join wallets t where t.org_id = $1 and o.name = $2",
    "insert into grants (id, org_id, source_kind, source_ref, priority, amount, remaining, held,
         consumed, expired, clawed_back, debt_paid, effective_at, expires_at, period_start,
         period_end, payment, frozen_at, reason, created_at, ended_at)
     select 'grant_' || substr(o.id, 5) || t.priority, o.id, t.source_kind,
         replace(t.source_ref, t.org_id, o.id), t.priority, t.amount, t.remaining, t.held,
         t.consumed, t.expired, t.clawed_back, t.debt_paid, t.effective_at, t.expires_at,
         t.period_start, t.period_end, t.payment, t.frozen_at, t.reason, t.created_at, t.ended_at
     from orgs o cross join grants t where t.org_id = $1 and o.name = $2",
    "insert into operations (id, org_id, seq, kind, at, actor_kind, actor_id, reason,
         available_change, available_after, held_after)
     select 'op_' || substr(o.id, 5) || t.seq, o.id, t.seq, t.kind, t.at, t.actor_kind,
         t.actor_id, t.reason, t.available_change, t.available_after, t.held_after
     from orgs o cross join operations t where t.org_id = $1 and o.name = $2",
    "insert into ledger_entries (operation_id, line, grant_id, from_account, to_account, amount)
     select 'op_' || substr(o.id, 5) || t.seq, e.line,
         'grant_' || substr(o.id, 5) || g.priority, e.from_account, e.to_account, e.amount
     from orgs o cross join operations t
     join ledger_entries e on e.operation_id = t.id join grants g on g.id = e.grant_id
     where t.org_id = $1 and o.name = $2",
    "insert into usages (id, org_id, seq, line, key, meter, quantity, credits, overage, debt,
         api_key_id, rate_card, at, late)
     select 'usage_' || substr(o.id, 5) || t.seq, o.id, t.seq, t.line, t.key, t.meter,
         t.quantity, t.credits, t.overage, t.debt, t.api_key_id, t.rate_card, t.at, t.late
     from orgs o cross join usages t where t.org_id = $1 and o.name = $2",
    "insert into decisions (id, org_id, key, fingerprint, status, body, code, subject, at)
     select 'dec_' || substr(o.id, 5) || u.seq, o.id, t.key, t.fingerprint, t.status, t.body,
         t.code, 'usage_' || substr(o.id, 5) || u.seq, t.at
     from orgs o cross join decisions t join usages u on u.id = t.subject
     where t.org_id = $1 and o.name = $2",
];

/// Makes the org that the others will be copies of: two grants by hand, the free one, and a use.
pub async fn pattern(engine: &Engine) -> Result<Pattern> {
    let owner = "owner@bench.example";
    let org_id = accounts::create_org(engine, "Bench", owner, operator()).await?;
    for source in [Source::Promo, Source::Manual] {
        give(engine, &org_id, source).await?;
    }
    let request = request(&org_id, Caller::System, "bench-first".to_owned());
    let answers = engine.gate.run_now(&[&request], engine.clock.now()).await?;
    let answer = answers.first().context("the gate does not answer")?;
    ensure!(answer.status == 200, "the first use is refused: {}", answer.body);
    let text = "select credits, (select count(*) from grants
             where org_id = $1 and ended_at is null and remaining > 0)
         from usages where org_id = $1";
    let (cost, grants): (i64, i64) = engine.db.one(sql(text).bind(&org_id)).await?;
    ensure!(grants == 3, "a wallet should have three grants, not {grants}");
    Ok(Pattern { org_id, cost: Credits::from_micros(cost) })
}

async fn give(engine: &Engine, org_id: &str, source: Source) -> Result<()> {
    let grant = NewGrant {
        org_id: org_id.to_owned(),
        source,
        source_ref: format!("bench:{org_id}"),
        amount: Credits::from_whole(CREDITS).context("too many credits")?,
        effective_at: None,
        expires_at: None,
        payment: None,
        actor: operator(),
        reason: "for the benchmark".to_owned(),
    };
    let mut tx = engine.db.begin().await?;
    credits::grant(&mut tx, grant, engine.clock.now()).await?;
    Ok(tx.commit().await?)
}

fn operator() -> Actor {
    Actor::Operator("bench".to_owned())
}

/// One use of the cheapest kind.
pub fn request(org_id: &str, caller: Caller, key: String) -> Request {
    Request {
        org_id: org_id.to_owned(),
        caller,
        fingerprint: format!("{key:-<64}"),
        key,
        what: Operation::Consume(Use {
            meter: "text".to_owned(),
            quantity: Quantity::from_micros(1_000_000),
            model: None,
            feature: None,
            run: None,
            member: None,
            cost: None,
            metadata: None,
        }),
    }
}

/// Copies the pattern so many times. Answers the copies' ids.
pub async fn make(engine: &Engine, pattern: &Pattern, count: usize) -> Result<Vec<String>> {
    let now: Millis = engine.clock.now();
    let orgs: Vec<String> = (0..count).map(|_| ids::new("org", now)).collect();
    let rows = orgs.iter().map(|id| -> Vec<Arg> { vec![id.into(), NAME.into(), now.into()] });
    let mut tx = engine.db.begin().await?;
    tx.insert_many(&ORGS, rows.collect()).await?;
    for text in COPIED {
        tx.execute(sql(text).bind(&pattern.org_id).bind(NAME)).await?;
    }
    tx.commit().await?;
    Ok(orgs)
}
