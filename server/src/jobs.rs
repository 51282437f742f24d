//! Jobs: slow or fallible work, as rows of the same transaction that made it necessary.
//!
//! Owns `jobs` and `schedules`. Knows no kind of job: the worker finds the handler. Every handler
//! must bear being run twice, since a lease may lapse while its worker still works.

use serde_json::{Value, json};

use crate::audit::{self, Actor};
use crate::clock::{HOUR, MINUTE, Millis, SECOND};
use crate::db::{Db, Tx, sql};
use crate::error::{Error, Result};
use crate::ids;

/// How long a worker may hold a job. Longer than [`TIME_LIMIT`], so that no job runs twice at once
/// unless its worker is gone.
const LEASE: Millis = 2 * MINUTE;
/// After this a job is given up for this time and tried again.
pub const TIME_LIMIT: std::time::Duration = std::time::Duration::from_secs(60);
/// With the delays doubling from [`FIRST_DELAY`], the last attempt is about a day after the first.
const ATTEMPTS_MAX: i64 = 14;
const FIRST_DELAY: Millis = 15 * SECOND;
const LONGEST_DELAY: Millis = 6 * HOUR;
/// As many as one worker takes at a time.
const CLAIM_MAX: i64 = 10;
/// Longer errors are cut: they are for people to read.
const ERROR_CHARS_MAX: usize = 2_000;
/// What [`Job`] reads.
const COLUMNS: &str = "id, kind, attempts, run_at, last_error, wanted_at, dead_at";

/// Why a job was not done.
#[derive(Debug)]
pub enum Failure {
    /// It may succeed later.
    Retry(Error),
    /// It can never succeed as it stands; somebody has to look.
    GiveUp(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if error.is_retryable() { Self::Retry(error) } else { Self::GiveUp(error) }
    }
}

/// A job that this worker holds.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its id.
    pub id: String,
    /// Which handler it is for.
    pub kind: String,
    /// What the handler is to do.
    pub payload: Value,
    /// The number of this attempt, from 1; it also proves that the job is still ours.
    pub attempt: i64,
}

/// An unfinished job, for people.
#[derive(Clone, Debug, serde::Serialize, sqlx::FromRow)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Which handler it is for.
    pub kind: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it may run next.
    pub run_at: Millis,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it was first to run.
    pub wanted_at: Millis,
    /// Since when nobody tries any more.
    pub dead_at: Option<Millis>,
}

/// Leaves work behind, to be done at `run_at` or later. While a job with the same `dedupe` waits or
/// runs, nothing is added; the answer says whether something was. A dead one is in nobody's way.
pub async fn enqueue(
    tx: &mut Tx,
    kind: &str,
    payload: &Value,
    run_at: Millis,
    dedupe: Option<&str>,
) -> Result<bool> {
    let text = "insert into jobs
         (id, kind, payload, dedupe, run_at, lease_until, attempts, wanted_at)
         values ($1, $2, $3, $4, $5, 0, 0, $5)
         on conflict (dedupe) do nothing";
    let added = tx
        .execute(
            sql(text)
                .bind(ids::new("job", run_at))
                .bind(kind)
                .bind(payload.to_string())
                .bind(dedupe)
                .bind(run_at),
        )
        .await?;
    Ok(added > 0)
}

/// Whether any job is due: one read, so that an idle worker writes nothing.
pub async fn any_due(db: &Db, now: Millis) -> Result<bool> {
    let text = "select id from jobs
         where dead_at is null and run_at <= $1 and lease_until <= $1 limit 1";
    let row: Option<(String,)> = db.optional(sql(text).bind(now)).await?;
    Ok(row.is_some())
}

/// Takes the jobs that are due, a few at a time. The condition stands twice because Postgres looks
/// at it again after waiting for a row that another worker took meanwhile.
pub async fn claim(tx: &mut Tx, now: Millis) -> Result<Vec<Claimed>> {
    let text = "update jobs set lease_until = $1, attempts = attempts + 1
         where dead_at is null and run_at <= $2 and lease_until <= $2 and id in
           (select id from jobs where dead_at is null and run_at <= $2 and lease_until <= $2
            order by run_at, id limit $3)
         returning id, kind, payload, attempts";
    let rows: Vec<(String, String, String, i64)> =
        tx.all(sql(text).bind(now + LEASE).bind(now).bind(CLAIM_MAX)).await?;
    rows.into_iter()
        .map(|(id, kind, payload, attempt)| {
            Ok(Claimed { id, kind, payload: serde_json::from_str(&payload)?, attempt })
        })
        .collect()
}

/// The job is done and forgotten.
pub async fn finish(tx: &mut Tx, job: &Claimed) -> Result<()> {
    let text = "delete from jobs where id = $1 and attempts = $2";
    tx.execute(sql(text).bind(&job.id).bind(job.attempt)).await?;
    Ok(())
}

/// The job failed: it waits twice as long as the time before, or is dead.
pub async fn fail(tx: &mut Tx, job: &Claimed, failure: &Failure, now: Millis) -> Result<()> {
    let (error, dead) = match failure {
        Failure::Retry(error) => (error, job.attempt >= ATTEMPTS_MAX),
        Failure::GiveUp(error) => (error, true),
    };
    let message: String = error.to_string().chars().take(ERROR_CHARS_MAX).collect();
    let text = "update jobs set run_at = $3, lease_until = 0, last_error = $4, dead_at = $5,
             dedupe = case when $5 is null then dedupe end
         where id = $1 and attempts = $2";
    tx.execute(
        sql(text)
            .bind(&job.id)
            .bind(job.attempt)
            .bind(now + delay(job.attempt))
            .bind(message)
            .bind(dead.then_some(now)),
    )
    .await?;
    Ok(())
}

/// How long to wait after the attempt of that number, from 1.
pub fn delay(attempt: i64) -> Millis {
    let doublings = u32::try_from(attempt.clamp(1, 30) - 1).unwrap_or(0);
    (FIRST_DELAY << doublings).min(LONGEST_DELAY)
}

/// The unfinished jobs, dead ones first.
pub async fn list(db: &Db, limit: i64) -> Result<Vec<Job>> {
    let text = format!(
        "select {COLUMNS} from jobs
         order by case when dead_at is null then 1 else 0 end, run_at, id limit $1"
    );
    db.all(sql(text).bind(limit)).await
}

/// The dead jobs, or those that wait, newest first, before the one named: an id tells when its job
/// was first to run, and stays good when the job is done and gone.
pub async fn page(
    db: &Db,
    dead: bool,
    starting_after: Option<&str>,
    limit: i64,
) -> Result<Vec<Job>> {
    let which = if dead { "dead_at is not null" } else { "dead_at is null" };
    let text = format!(
        "select {COLUMNS} from jobs where {which} and ($1 = '' or id < $1)
         order by id desc limit $2"
    );
    db.all(sql(text).bind(starting_after.unwrap_or_default()).bind(limit.clamp(1, 1_000))).await
}

/// How many jobs are dead, and how many wait.
pub async fn counts(db: &Db) -> Result<(i64, i64)> {
    let text = "select count(dead_at), count(*) from jobs";
    let (dead, all): (i64, i64) = db.one(sql(text)).await?;
    Ok((dead, all - dead))
}

/// Lets a waiting or dead job run at once, with all its attempts before it again.
pub async fn retry(tx: &mut Tx, id: &str, actor: &Actor, now: Millis) -> Result<()> {
    let text = "update jobs set dead_at = null, attempts = 0, run_at = $2
         where id = $1 and lease_until <= $2 returning kind";
    let put_back: Option<(String,)> = tx.optional(sql(text).bind(id).bind(now)).await?;
    let Some((kind,)) = put_back else {
        let held: Option<(String,)> =
            tx.optional(sql("select id from jobs where id = $1").bind(id)).await?;
        return Err(match held {
            Some(_) => Error::Conflict("A worker is at this job just now.".to_owned()),
            None => Error::NotFound("The job"),
        });
    };
    let entry = audit::Entry {
        actor: actor.clone(),
        org_id: None,
        action: "jobs.retry",
        subject: id,
        reason: None,
        detail: Some(json!({ "kind": kind })),
    };
    audit::record(tx, &entry, now).await
}

/// When each schedule is due next; one that is not here was never taken.
pub async fn schedules(db: &Db) -> Result<Vec<(String, Millis)>> {
    db.all(sql("select name, due_at from schedules order by name")).await
}

/// Takes the turn of what runs `every` so often, unless it is not due or another took it.
pub async fn take_turn(tx: &mut Tx, name: &str, every: Millis, now: Millis) -> Result<bool> {
    let text = "insert into schedules (name, due_at) values ($1, $2)
         on conflict (name) do update set due_at = excluded.due_at where schedules.due_at <= $3";
    Ok(tx.execute(sql(text).bind(name).bind(now + every).bind(now)).await? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_bound() {
        let cases =
            [(1, 15), (2, 30), (3, 60), (8, 1_920), (11, 15_360), (12, 21_600), (60, 21_600)];
        for (attempt, seconds) in cases {
            assert_eq!(delay(attempt), seconds * SECOND, "attempt {attempt}");
        }
    }

    #[test]
    fn the_last_attempt_is_about_a_day_after_the_first() {
        let total: Millis = (1..ATTEMPTS_MAX).map(delay).sum();
        assert!((20 * HOUR..30 * HOUR).contains(&total), "{total}");
    }

    #[test]
    fn only_what_may_succeed_later_is_tried_again() {
        assert!(matches!(Failure::from(Error::Unavailable), Failure::Retry(_)));
        assert!(matches!(Failure::from(Error::NotFound("It")), Failure::GiveUp(_)));
    }
}
