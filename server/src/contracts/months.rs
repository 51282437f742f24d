//! What comes with time: the months of contracts begin, and contracts end.

use crate::audit::Actor;
use crate::clock::{self, HOUR, Millis, add_months};
use crate::credits::{self, NewGrant, Source};
use crate::db::{Tx, sql};
use crate::engine::Engine;
use crate::error::Result;

use super::{COLUMNS, Contract};

/// How many contracts one turn looks after; the rest comes at the next.
const TURN_MAX: i64 = 500;
/// So long before it begins a month's credits are granted. They can be spent from its first moment
/// on: whoever asks on the stroke, or while no worker runs, is billed for nothing that is included.
const AHEAD: Millis = 6 * HOUR;

/// Grants the months that run or begin soon, and ends the contracts that are over. Answers how much
/// was done. Two workers at once do each once: the wallet is locked. One that fails holds up no
/// other.
pub async fn turn(engine: &Engine) -> Result<usize> {
    let now = engine.clock.now();
    let text = "select id, org_id from contracts
         where ended_at is null and (ends_at <= $1 or next_at <= $2)
         order by starts_at, id limit $3";
    let row = sql(text).bind(now).bind(now + AHEAD).bind(TURN_MAX);
    let due: Vec<(String, String)> = engine.db.all(row).await?;
    let mut done = 0;
    for (id, org_id) in &due {
        match turn_one(engine, id, org_id).await {
            Ok(()) => done += 1,
            Err(error) => tracing::error!(contract = id, "a contract's turn failed: {error}"),
        }
    }
    Ok(done)
}

async fn turn_one(engine: &Engine, id: &str, org_id: &str) -> Result<()> {
    let mut tx = engine.db.begin().await?;
    credits::lock_wallet(&mut tx, org_id, engine.clock.now()).await?;
    let now = engine.clock.now();
    open_due(&mut tx, id, now).await?;
    let over = "select ends_at from contracts where id = $1 and ends_at <= $2";
    let over = tx.optional::<(Millis,)>(sql(over).bind(id).bind(now)).await?;
    if let Some((ends_at,)) = over {
        close(&mut tx, id, ends_at).await?;
    }
    tx.commit().await
}

/// Grants the month that runs and the one that begins soon, where that was not done. Months that
/// nobody was there for are not made up: they would be over.
pub(super) async fn open_due(tx: &mut Tx, id: &str, now: Millis) -> Result<()> {
    let text = format!(
        "select {COLUMNS} from contracts where id = $1 and ended_at is null and next_at <= $2"
    );
    while let Some(contract) =
        tx.optional::<Contract>(sql(text.clone()).bind(id).bind(now + AHEAD)).await?
    {
        let month = Month::at(contract.starts_at, contract.ends_at, contract.next_month, now);
        if month.end > now {
            grant(tx, &contract, &month, now).await?;
        }
        // Each month that is passed brings the next one nearer, so that this comes to an end.
        let more = contract.ends_at.is_none_or(|end| month.next < end);
        let text = "update contracts set next_month = $2, next_at = $3 where id = $1";
        let row = sql(text).bind(id).bind(month.number + 1).bind(more.then_some(month.next));
        tx.execute(row).await?;
    }
    Ok(())
}

async fn grant(tx: &mut Tx, contract: &Contract, month: &Month, now: Millis) -> Result<()> {
    let terms = contract.terms()?;
    if !terms.included.is_positive() {
        return Ok(());
    }
    let days = format!("{} – {}", clock::day(month.start), clock::day(month.end));
    let new = NewGrant {
        org_id: contract.org_id.clone(),
        source: Source::Contract,
        source_ref: format!("{}:{}", contract.id, month.number),
        amount: terms.included,
        effective_at: Some(month.start),
        expires_at: Some(month.end),
        payment: None,
        actor: Actor::System,
        reason: format!("{}, {days}", contract.name),
    };
    // Where the contract is the org's plan, its months are the org's periods; beside a plan they
    // are not, or the period would turn twice a month.
    match contract.replaces {
        true => credits::grant_period(tx, new, (month.start, month.end), now).await?,
        false => credits::grant(tx, new, now).await?,
    };
    Ok(())
}

/// Writes down that a contract is over; answers whether it was not before.
pub(super) async fn close(tx: &mut Tx, id: &str, at: Millis) -> Result<bool> {
    let text = "update contracts set ended_at = $2, next_at = null, \
             ends_at = case when ends_at is null or ends_at > $2 then $2 else ends_at end
         where id = $1 and ended_at is null";
    Ok(tx.execute(sql(text).bind(id).bind(at)).await? == 1)
}

/// A month of a contract, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Month {
    number: i64,
    start: Millis,
    /// The end of it, or of the contract.
    end: Millis,
    /// When the next one begins.
    next: Millis,
}

impl Month {
    /// The month that `now` falls into, or `from` where that is yet to begin.
    fn at(starts_at: Millis, ends_at: Option<Millis>, from: i64, now: Millis) -> Self {
        let mut number = from;
        while add_months(starts_at, number + 1) <= now {
            number += 1;
        }
        let next = add_months(starts_at, number + 1);
        let end = ends_at.map_or(next, |end| end.min(next));
        Self { number, start: add_months(starts_at, number), end, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_rfc3339;

    #[test]
    fn the_month_that_comes_next_is_known_before_it_begins() {
        let at = |text: &str| parse_rfc3339(&format!("{text}T00:00:00Z")).expect("a time");
        let month = Month::at(at("2027-01-31"), None, 1, at("2027-02-28") - 1);
        let bounds = (at("2027-02-28"), at("2027-03-31"));
        assert_eq!((month.number, month.start, month.end), (1, bounds.0, bounds.1));
    }

    #[test]
    fn months_are_counted_from_the_start_and_end_with_the_contract() {
        // B19
        let at = |text: &str| parse_rfc3339(&format!("{text}T00:00:00Z")).expect("a time");
        let cases = [
            ("2027-01-31", 0, (0, "2027-01-31", "2027-02-28")),
            ("2027-02-28", 1, (1, "2027-02-28", "2027-03-31")),
            ("2027-06-15", 1, (4, "2027-05-31", "2027-06-30")),
            ("2027-07-31", 5, (6, "2027-07-31", "2027-08-10")),
        ];
        for (now, from, (number, start, end)) in cases {
            let month = Month::at(at("2027-01-31"), Some(at("2027-08-10")), from, at(now));
            assert_eq!((month.number, month.start, month.end), (number, at(start), at(end)));
        }
    }
}
