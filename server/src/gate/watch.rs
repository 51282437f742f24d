//! Thresholds: 70, 90 and 100 % of the allowance and of the cap, seen in the very transaction that
//! crosses them, and told once each. Owns `alerts`.

use crate::caps::Cap;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::error::Result;
use crate::notices::{self, News};
use crate::units::Credits;

use super::account::Account;

/// In percent.
const THRESHOLDS: [i64; 3] = [70, 90, 100];

/// What a threshold is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Allowance,
    Cap,
    Overage,
    Exhausted,
}

impl Measure {
    fn word(self) -> &'static str {
        match self {
            Self::Allowance => "allowance",
            Self::Cap => "cap",
            Self::Overage => "overage",
            Self::Exhausted => "exhausted",
        }
    }
}

/// How far an account had come before an operation.
pub struct Level {
    allowance: Option<(Credits, Credits)>,
    period_used: Credits,
    overage: Credits,
    spendable: Credits,
}

/// A threshold that an operation crossed.
#[derive(Clone, Debug)]
pub struct Crossing {
    org_id: String,
    measure: Measure,
    threshold: i64,
    /// Tells crossings of the same threshold apart: a larger allowance or a changed cap is armed
    /// anew.
    arming: i64,
    period_start: Millis,
    period_end: Millis,
    used: Credits,
    whole: Credits,
    hard: bool,
}

impl Level {
    /// Where an account stands now.
    pub fn of(account: &Account, at: Millis) -> Self {
        Self {
            allowance: account.book.allowance(at),
            period_used: account.book.wallet.period_used,
            overage: account.book.wallet.overage,
            spendable: account.book.spendable(at),
        }
    }

    /// What was crossed since, on (before, after].
    pub fn crossed(&self, account: &Account, at: Millis) -> Vec<Crossing> {
        let after = Self::of(account, at);
        let wallet = &account.book.wallet;
        let crossing = |measure, threshold, arming, used, whole| Crossing {
            org_id: wallet.org_id.clone(),
            measure,
            threshold,
            arming,
            period_start: wallet.period_start,
            period_end: wallet.period_end,
            used,
            whole,
            hard: account.cap.as_ref().is_some_and(|cap| cap.hard),
        };
        let mut crossings = Vec::new();
        let mut passed = |measure, before, used, whole: Credits, arming| {
            let thresholds = THRESHOLDS.into_iter();
            let crossed = thresholds.filter(|t| !has(before, whole, *t) && has(used, whole, *t));
            crossings.extend(crossed.map(|t| crossing(measure, t, arming, used, whole)));
        };
        if let (Some((granted, used)), Some((_, before))) = (after.allowance, self.allowance) {
            passed(Measure::Allowance, before, used, granted, granted.micros());
        }
        if let Some(cap) = &account.cap
            && let Some(most) = cap.in_credits()
        {
            let (before, used) = (self.period_used, after.period_used);
            passed(Measure::Cap, before, used, most, cap.arming);
        }
        if let Some((cap, most)) = overage_cap(account) {
            passed(Measure::Overage, self.overage, after.overage, most, cap.arming);
        }
        let ran_out = self.spendable.is_positive() && !after.spendable.is_positive();
        if after.allowance.is_none() && ran_out {
            let seq = wallet.seq;
            crossings.push(crossing(
                Measure::Exhausted,
                100,
                seq,
                after.period_used,
                self.spendable,
            ));
        }
        crossings
    }
}

/// The ceiling on overage, as the credits that its money buys.
fn overage_cap(account: &Account) -> Option<(&Cap, Credits)> {
    let cap = account.cap.as_ref()?;
    let price = account.entitled.overage_price_micros.filter(|price| *price > 0)?;
    let credits = i128::from(cap.overage_money?) * 1_000_000_000_000 / i128::from(price);
    Some((cap, Credits::from_micros(i64::try_from(credits).ok()?)))
}

/// Whether `used` has reached this percentage of `whole`.
fn has(used: Credits, whole: Credits, percent: i64) -> bool {
    let (used, whole) = (i128::from(used.micros()), i128::from(whole.micros()));
    whole > 0 && used * 100 >= whole * i128::from(percent)
}

/// Tells the crossings that were not told before. Whether there was any is the answer. (D23, I11)
pub async fn raise(tx: &mut Tx, crossings: &[Crossing], now: Millis) -> Result<bool> {
    let mut told = false;
    for crossing in crossings {
        let insert = "insert into alerts (org_id, kind, period_start, threshold, arming, at)
             values ($1, $2, $3, $4, $5, $6) on conflict do nothing";
        let row = sql(insert)
            .bind(&crossing.org_id)
            .bind(crossing.measure.word())
            .bind(crossing.period_start)
            .bind(crossing.threshold)
            .bind(crossing.arming)
            .bind(now);
        if tx.execute(row).await? == 1 {
            notices::tell(tx, &crossing.org_id, &news(crossing), now).await?;
            told = true;
        }
    }
    Ok(told)
}

fn news(crossing: &Crossing) -> News {
    let Crossing { threshold, used, whole, period_end, hard, .. } = *crossing;
    match crossing.measure {
        Measure::Allowance => News::AllowanceUsed { threshold, used, whole, resets_at: period_end },
        Measure::Cap | Measure::Overage => News::CapUsed {
            threshold,
            used,
            cap: whole,
            overage: crossing.measure == Measure::Overage,
            hard,
            resets_at: period_end,
        },
        Measure::Exhausted => News::CreditsExhausted,
    }
}
