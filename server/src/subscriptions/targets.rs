//! How many credits a period includes, computed from everything that was paid for it. Pure.
//!
//! All lines of an item go in, in any order and as often as they came; the same sum comes out. What
//! a period once included it keeps: switching down and up again neither takes anything away nor
//! adds anything twice. (B2, B7, B8, B16)

use std::collections::BTreeMap;

use crate::clock::Millis;
use crate::units::{Credits, MICRO};

/// A paid line.
#[derive(Clone, Debug)]
pub struct Line {
    /// The invoice it is of.
    pub invoice_id: String,
    /// The version whose credits it includes.
    pub version_id: String,
    /// What one of it includes a month.
    pub included: Credits,
    /// How many; below zero for what is given back.
    pub quantity: i64,
    /// A part of a period, because something changed within it.
    pub proration: bool,
    /// Half open.
    pub period: (Millis, Millis),
}

/// What one period of an item includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Half open.
    pub period: (Millis, Millis),
    /// Credits, each part by the time it was paid for.
    pub credits: Credits,
    /// Credits as if what was paid last had been paid from the start: what each month of a longer
    /// period includes.
    pub monthly: Credits,
    /// The invoice of the latest line.
    pub invoice_id: String,
    /// The version of the latest line.
    pub version_id: String,
}

/// The targets of an item's periods, earliest first.
pub fn targets(lines: &[Line]) -> Vec<Target> {
    let mut periods: BTreeMap<Millis, Vec<&Line>> = BTreeMap::new();
    for line in lines.iter().filter(|line| !line.proration && line.quantity > 0) {
        periods.entry(line.period.0).or_default().push(line);
    }
    periods.into_values().filter_map(|base| target(&base, lines)).collect()
}

fn target(base: &[&Line], lines: &[Line]) -> Option<Target> {
    let latest_base = base.last()?;
    let period = latest_base.period;
    let parts =
        lines.iter().filter(|line| line.proration && (period.0..period.1).contains(&line.period.0));
    // Net changes by the moment they begin. What happens at one moment is one change.
    let mut changes: BTreeMap<Millis, (i128, i128)> = BTreeMap::new();
    for line in base.iter().copied().chain(parts.clone()) {
        let whole = i128::from(line.included.micros()) * i128::from(line.quantity);
        let change = changes.entry(line.period.0).or_default();
        change.0 += if line.proration { share(whole, line.period, period) } else { whole };
        change.1 += whole;
    }
    let (mut now, mut most) = ((0, 0), (0, 0));
    for (part, whole) in changes.into_values() {
        now = (now.0 + part, now.1 + whole);
        most = (now.0.max(most.0), now.1.max(most.1));
    }
    // At most the highest tier's allowance in one period, however often it was changed. (B7)
    let credits = round_up(most.0).min(most.1);
    let latest = parts.filter(|line| line.quantity > 0).max_by_key(|line| line.period.0);
    let latest = latest.unwrap_or(latest_base);
    Some(Target {
        period,
        credits: Credits::from_micros(i64::try_from(credits).ok()?),
        monthly: Credits::from_micros(i64::try_from(most.1).ok()?),
        invoice_id: latest.invoice_id.clone(),
        version_id: latest.version_id.clone(),
    })
}

/// The part of a whole that the remaining time is of the period.
fn share(whole: i128, part: (Millis, Millis), period: (Millis, Millis)) -> i128 {
    let length = i128::from(period.1 - period.0).max(1);
    let left = i128::from((part.1.min(period.1) - part.0).max(0));
    whole * left / length
}

/// To whole credits, in the customer's favour.
fn round_up(micros: i128) -> i128 {
    let one = i128::from(MICRO);
    micros.div_euclid(one) * one + if micros.rem_euclid(one) > 0 { one } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONTH: (Millis, Millis) = (1_000, 2_000);

    fn line(included: i64, quantity: i64, from: Option<Millis>) -> Line {
        Line {
            invoice_id: format!("in_{}", from.unwrap_or(0)),
            version_id: format!("v_{included}"),
            included: Credits::from_whole(included).expect("fits"),
            quantity,
            proration: from.is_some(),
            period: (from.unwrap_or(MONTH.0), MONTH.1),
        }
    }

    fn credits(lines: &[Line]) -> Vec<String> {
        targets(lines).iter().map(|target| target.credits.to_string()).collect()
    }

    #[test]
    fn the_sum_is_the_same_in_any_order() {
        // B2, B8: upgraded half way from 100 to 1000.
        let mut lines =
            vec![line(100, 1, None), line(100, -1, Some(1_500)), line(1000, 1, Some(1_500))];
        for _ in 0..3 {
            lines.rotate_left(1);
            assert_eq!(credits(&lines), ["550"]);
        }
        let target = &targets(&lines)[0];
        assert_eq!(target.invoice_id, "in_1500");
        assert_eq!(target.version_id, "v_1000");
        assert_eq!(target.monthly.to_string(), "1000");
    }

    #[test]
    fn changing_up_and_down_never_exceeds_the_highest_tier() {
        // B7
        let change = |from, to, at| [line(from, -1, Some(at)), line(to, 1, Some(at))];
        let mut lines = vec![line(100, 1, None)];
        lines.extend(change(100, 1000, 1_200));
        assert_eq!(credits(&lines), ["820"]);
        lines.extend(change(1000, 100, 1_400));
        assert_eq!(credits(&lines), ["820"], "nothing is taken away");
        for at in [1_500, 1_600, 1_700] {
            lines.extend(change(100, 1000, at));
            lines.extend(change(1000, 100, at + 1));
        }
        assert_eq!(credits(&lines), ["820"], "nothing is added by going back and forth");
    }

    #[test]
    fn quantities_count_and_are_bounded() {
        // B16: three seats, then five from the middle on.
        let mut lines = vec![line(10, 3, None)];
        assert_eq!(credits(&lines), ["30"]);
        lines.extend([line(10, -3, Some(1_500)), line(10, 5, Some(1_500))]);
        assert_eq!(credits(&lines), ["40"]);
    }

    #[test]
    fn parts_round_up_to_whole_credits() {
        let lines = [line(100, 1, None), line(100, -1, Some(1_333)), line(200, 1, Some(1_333))];
        assert_eq!(credits(&lines), ["167"]);
    }

    #[test]
    fn periods_are_apart() {
        // B5, B6: a part alone opens no period.
        assert!(targets(&[line(100, 1, Some(1_500))]).is_empty());
        let next = Line { period: (2_000, 3_000), ..line(100, 1, None) };
        assert_eq!(credits(&[next, line(100, 1, None)]), ["100", "100"]);
    }
}
