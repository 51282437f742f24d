//! Usage summed up for pages and reports: by day, by workflow, and what is still to come.

use serde::Serialize;

use crate::clock::{DAY, Millis};
use crate::db::{Db, sql};
use crate::error::Result;
use crate::units::{Credits, MICRO};

use super::Usage;

/// What a workflow has used, by meter.
pub async fn of_run(db: &Db, org_id: &str, run: &str) -> Result<Vec<RunLine>> {
    let text = "select meter,
             cast(sum(case when reversed_at is null then quantity / 1000000 else 0 end) as bigint)
                 as units,
             cast(sum(case when reversed_at is null then quantity % 1000000 else 0 end) as bigint)
                 as rest,
             cast(sum(case when reversed_at is null then credits else 0 end) as bigint) as credits,
             cast(sum(case when reversed_at is null then overage else 0 end) as bigint) as overage,
             cast(sum(case when reversed_at is null then debt else 0 end) as bigint) as debt,
             cast(sum(case when reversed_at is null then coalesce(cost, 0) else 0 end) as bigint)
                 as cost,
             cast(sum(case when reversed_at is null then 1 else 0 end) as bigint) as count,
             cast(sum(case when reversed_at is null then 0 else credits end) as bigint)
                 as reversed_credits,
             cast(sum(case when reversed_at is null then 0 else 1 end) as bigint) as reversed_count,
             min(at) as first_at, max(at) as last_at
         from usages where org_id = $1 and run = $2 group by meter order by meter";
    db.all(sql(text).bind(org_id).bind(run)).await
}

/// A workflow's use of one meter; what was taken back is counted apart.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct RunLine {
    /// What was counted.
    pub meter: String,
    /// How much, in whole units of the meter.
    pub units: i64,
    /// How much beside that, in millionths of the unit.
    pub rest: i64,
    /// What it cost.
    pub credits: Credits,
    /// How much of that is billed.
    pub overage: Credits,
    /// How much of that is owed.
    pub debt: Credits,
    /// What the providers charged, in micro-dollars.
    pub cost: i64,
    /// How many lines.
    pub count: i64,
    /// Taken back.
    pub reversed_credits: Credits,
    /// How many lines of that.
    pub reversed_count: i64,
    /// The first.
    pub first_at: Millis,
    /// The last.
    pub last_at: Millis,
}

impl RunLine {
    /// One use, as a line of its own.
    pub fn of(used: &Usage) -> Self {
        let micros = used.quantity;
        Self {
            meter: used.meter.clone(),
            units: micros / MICRO,
            rest: micros % MICRO,
            credits: used.credits,
            overage: used.overage,
            debt: used.debt,
            cost: used.cost.unwrap_or(0),
            count: 1,
            reversed_credits: Credits::ZERO,
            reversed_count: 0,
            first_at: used.at,
            last_at: used.at,
        }
    }

    /// With another line of the same meter.
    pub fn with(mut self, other: &Self) -> Self {
        let sum = |one: Credits, two: Credits| [one, two].into_iter().sum();
        self.units = self.units.saturating_add(other.units);
        self.rest = self.rest.saturating_add(other.rest);
        self.credits = sum(self.credits, other.credits);
        self.overage = sum(self.overage, other.overage);
        self.debt = sum(self.debt, other.debt);
        self.cost = self.cost.saturating_add(other.cost);
        self.count += other.count;
        self.reversed_credits = sum(self.reversed_credits, other.reversed_credits);
        self.reversed_count += other.reversed_count;
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
        self
    }
}

/// What one meter cost on one day, UTC.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct DayMeter {
    /// Midnight.
    pub day_start: Millis,
    /// What was counted.
    pub meter: String,
    /// What it cost.
    pub credits: Credits,
    /// How many lines.
    pub count: i64,
}

/// Use by day and meter in `[from, to)`, oldest first.
pub async fn by_day(db: &Db, org_id: &str, from: Millis, to: Millis) -> Result<Vec<DayMeter>> {
    let text = "select at - at % 86400000 as day_start, meter,
             cast(sum(credits) as bigint) as credits, count(*) as count
         from usages where org_id = $1 and at >= $2 and at < $3 and reversed_at is null
         group by 1, meter order by 1, meter";
    db.all(sql(text).bind(org_id).bind(from).bind(to)).await
}

/// What the period will have used at its end if use goes on as in the last days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Projection {
    /// The expected use at the period's end.
    pub expected: Credits,
    /// The lower end of the likely range.
    pub low: Credits,
    /// The upper end of the likely range.
    pub high: Credits,
    /// How it was computed.
    pub method: &'static str,
}

/// Projects a period's use: what was used, plus the time left at the pace of the last seven full
/// days (or of the period so far, where it is younger); the range is a fifth less and more of what
/// is still to come. `None` on the first day, when there is nothing to go by. Pure.
pub fn project(
    days: &[DayMeter],
    period: (Millis, Millis),
    used: Credits,
    now: Millis,
) -> Option<Projection> {
    let today = now - now.rem_euclid(DAY);
    let since = (today - 7 * DAY).max(period.0 - period.0.rem_euclid(DAY));
    let length = today - since;
    if length < DAY || now >= period.1 {
        return None;
    }
    let recent = days.iter().filter(|day| (since..today).contains(&day.day_start));
    let recent: i128 = recent.map(|day| i128::from(day.credits.micros())).sum();
    let coming = recent * i128::from(period.1 - now) / i128::from(length);
    let at = |share: i128| {
        let sum = i128::from(used.micros()) + coming * share / 100;
        Credits::from_micros(i64::try_from(sum).unwrap_or(i64::MAX))
    };
    let method = "the last seven full days' pace, give or take a fifth";
    Some(Projection { expected: at(100), low: at(80), high: at(120), method })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(credits: i64) -> Credits {
        Credits::from_whole(credits).expect("fits")
    }

    #[test]
    fn a_period_is_projected_from_its_recent_pace() {
        let days: Vec<DayMeter> = (0..10)
            .map(|day| DayMeter {
                day_start: day * DAY,
                meter: "text".to_owned(),
                credits: whole(10),
                count: 1,
            })
            .collect();
        let projection = project(&days, (0, 30 * DAY), whole(100), 10 * DAY).expect("projected");
        assert_eq!(projection.expected, whole(300));
        assert_eq!((projection.low, projection.high), (whole(260), whole(340)));
        assert_eq!(project(&days[..0], (0, 30 * DAY), whole(0), DAY / 2), None);
        assert_eq!(project(&days, (0, 10 * DAY), whole(100), 10 * DAY), None);
    }
}
