//! How many credits a period includes, computed from everything that was paid for it. Pure.
//!
//! All lines of a plan (or of an add-on) go in, in any order and as often as they came; the same
//! steps come out. What a period once included it keeps: switching down and up again neither takes
//! anything away nor adds anything twice. (B2, B7, B8, B16)

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Millis;
use crate::units::{Credits, MICRO};

/// A paid line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The invoice it is of.
    pub invoice_id: String,
    /// The version whose credits it includes.
    pub version_id: String,
    /// The price it was computed from.
    pub price_id: String,
    /// What one of it includes a month.
    pub included: Credits,
    /// How many; below zero for what is given back.
    pub quantity: i64,
    /// A part of a period, because something changed within it.
    pub proration: bool,
    /// Half open.
    pub period: (Millis, Millis),
}

/// What one period includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Half open.
    pub period: (Millis, Millis),
    /// From the beginning of the period through every change within it; at least one.
    pub steps: Vec<Step>,
}

/// What a period includes from a moment on, and what paid for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// From then on.
    pub at: Millis,
    /// Credits in all, each part by the time it was paid for; never less than a step before.
    pub credits: Credits,
    /// Credits as if this had been paid from the start: what each further month of a longer period
    /// includes.
    pub whole: Credits,
    /// The invoice that paid for the step.
    pub invoice_id: String,
    /// The version of the tier that was paid.
    pub version_id: String,
    /// The price that was paid.
    pub price_id: String,
}

/// A part of what each month of a longer period includes, and what paid for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Credits of this part and all below it.
    pub up_to: Credits,
    /// The invoice that paid for this part.
    pub invoice_id: String,
}

impl Target {
    /// All credits of the period.
    pub fn credits(&self) -> Credits {
        self.steps.last().map(|step| step.credits).unwrap_or_default()
    }

    /// What a month that begins at `at` includes, invoice by invoice, and `most` at most. Each step
    /// up adds what it paid for; a step down gives back what was added last. (E15)
    pub fn layers(&self, at: Millis, most: Option<Credits>) -> Vec<Layer> {
        let mut layers = Vec::new();
        for step in self.steps.iter().filter(|step| step.at <= at) {
            let lowered = lower(&mut layers, step.whole);
            let up_to = layers.last().map(|layer| layer.up_to).unwrap_or_default();
            if !lowered && step.whole > up_to {
                let invoice_id = step.invoice_id.clone();
                layers.push(Layer { up_to: step.whole, invoice_id });
            }
        }
        if let Some(most) = most {
            lower(&mut layers, most);
        }
        layers
    }
}

/// Takes layers off until at most this much is left; answers whether there was so much.
fn lower(layers: &mut Vec<Layer>, most: Credits) -> bool {
    let Some(cut) = layers.iter().position(|layer| layer.up_to >= most) else { return false };
    layers.truncate(cut + 1);
    if let Some(top) = layers.last_mut() {
        top.up_to = most;
    }
    // Of nothing there is no part.
    if !most.is_positive() {
        layers.clear();
    }
    true
}

/// The periods that whole lines open, by their start.
pub fn periods<'a>(lines: impl Iterator<Item = &'a Line>) -> BTreeMap<Millis, Millis> {
    let whole = lines.filter(|line| !line.proration && line.quantity > 0);
    whole.map(|line| line.period).collect()
}

/// The targets of the periods that these lines are of, earliest first. What was added within a
/// period has no whole line yet: its period is one that something else of the subscription opened,
/// which are `known`.
pub fn targets(lines: &[Line], known: &BTreeMap<Millis, Millis>) -> Vec<Target> {
    let own = periods(lines.iter());
    let added = known.iter().filter(|(start, end)| {
        let within = |line: &Line| line.period.1 == **end && line.period.0 >= **start;
        !own.contains_key(*start) && lines.iter().any(|line| line.proration && within(line))
    });
    let mut all = own.clone();
    all.extend(added);
    let ends: BTreeSet<Millis> = all.values().copied().collect();
    all.into_iter().filter_map(|period| target(period, &ends, lines)).collect()
}

/// A part runs to the end of its period. By that it is told whose it is where one period begins
/// within another, because the billing cycle was begun anew. (B21)
fn is_part(line: &Line, period: (Millis, Millis), ends: &BTreeSet<Millis>) -> bool {
    let within = line.proration && (period.0..period.1).contains(&line.period.0);
    within && (line.period.1 == period.1 || !ends.contains(&line.period.1))
}

fn target(period: (Millis, Millis), ends: &BTreeSet<Millis>, lines: &[Line]) -> Option<Target> {
    // What happens at one moment is one change.
    let mut changes: BTreeMap<Millis, Vec<&Line>> = BTreeMap::new();
    for line in lines {
        let part = is_part(line, period, ends);
        let base = !line.proration && line.quantity > 0 && line.period.0 == period.0;
        if part || base {
            changes.entry(line.period.0).or_default().push(line);
        }
    }
    let (mut now, mut most) = ((0i128, 0i128), (0i128, 0i128));
    let mut steps: Vec<Step> = Vec::new();
    for (at, lines) in changes {
        for line in &lines {
            let whole = i128::from(line.included.micros()) * i128::from(line.quantity);
            now.0 += if line.proration { share(whole, line.period, period) } else { whole };
            now.1 += whole;
        }
        most = (now.0.max(most.0), now.1.max(most.1));
        // At most the highest tier's allowance in one period, however often it was changed. (B7)
        let credits = round_up(most.0).min(most.1);
        let paid = lines.iter().filter(|line| line.quantity > 0);
        let paid = paid.max_by_key(|line| (line.included, line.quantity, &line.invoice_id));
        let (invoice_id, version_id, price_id) = match (paid, steps.last()) {
            (Some(line), _) => (&line.invoice_id, &line.version_id, &line.price_id),
            (None, Some(step)) => (&step.invoice_id, &step.version_id, &step.price_id),
            (None, None) => continue,
        };
        let step = Step {
            at,
            credits: Credits::from_micros(i64::try_from(credits).ok()?),
            whole: Credits::from_micros(i64::try_from(now.1.max(0)).ok()?),
            invoice_id: invoice_id.clone(),
            version_id: version_id.clone(),
            price_id: price_id.clone(),
        };
        steps.push(step);
    }
    (!steps.is_empty()).then_some(Target { period, steps })
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
            price_id: format!("price_{included}"),
            included: Credits::from_whole(included).expect("fits"),
            quantity,
            proration: from.is_some(),
            period: (from.unwrap_or(MONTH.0), MONTH.1),
        }
    }

    fn change(from: i64, to: i64, at: Millis) -> [Line; 2] {
        [line(from, -1, Some(at)), line(to, 1, Some(at))]
    }

    fn credits(lines: &[Line]) -> Vec<String> {
        let found = targets(lines, &periods(lines.iter()));
        found.iter().map(|target| target.credits().to_string()).collect()
    }

    #[test]
    fn the_sum_is_the_same_in_any_order_and_each_invoice_paid_for_its_step() {
        // B2, B8: upgraded half way from 100 to 1000.
        let mut lines = vec![line(100, 1, None)];
        lines.extend(change(100, 1000, 1_500));
        for _ in 0..3 {
            lines.rotate_left(1);
            let target = targets(&lines, &BTreeMap::new()).pop().expect("a target");
            let told: Vec<_> = target
                .steps
                .iter()
                .map(|s| (s.credits.to_string(), s.whole.to_string(), s.invoice_id.as_str()))
                .collect();
            let expected = [("100", "100", "in_0"), ("550", "1000", "in_1500")];
            let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c));
            assert_eq!(told, expected);
            assert_eq!(target.steps[1].version_id, "v_1000");
        }
    }

    #[test]
    fn changing_up_and_down_never_exceeds_the_highest_tier() {
        // B7
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
        let target = targets(&lines, &BTreeMap::new()).pop().expect("a target");
        let last = target.steps.last().expect("a step");
        assert_eq!((last.whole.to_string(), last.version_id.as_str()), ("100".into(), "v_100"));
    }

    #[test]
    fn months_to_come_are_paid_by_the_invoices_that_built_them_up() {
        // B17, E15: from 100 to 1000, to 300, to 500, to nothing, and from there to 200.
        let mut lines = vec![line(100, 1, None)];
        lines.extend(change(100, 1000, 1_200));
        lines.extend(change(1000, 300, 1_400));
        lines.extend(change(300, 500, 1_600));
        lines.push(line(500, -1, Some(1_800)));
        lines.push(line(200, 1, Some(1_900)));
        let target = targets(&lines, &BTreeMap::new()).pop().expect("a target");
        type Case = (Millis, Option<i64>, &'static [(&'static str, &'static str)]);
        let cases: [Case; 9] = [
            (999, None, &[]),
            (1_000, None, &[("100", "in_0")]),
            (1_300, None, &[("100", "in_0"), ("1000", "in_1200")]),
            (1_300, Some(1_000), &[("100", "in_0"), ("1000", "in_1200")]),
            (1_300, Some(300), &[("100", "in_0"), ("300", "in_1200")]),
            (1_500, None, &[("100", "in_0"), ("300", "in_1200")]),
            (1_700, Some(9_999), &[("100", "in_0"), ("300", "in_1200"), ("500", "in_1600")]),
            (1_800, None, &[]),
            (1_900, Some(50), &[("50", "in_1900")]),
        ];
        for (at, most, expected) in cases {
            let most = most.map(|most| Credits::from_whole(most).expect("fits"));
            let found = target.layers(at, most);
            let told: Vec<_> =
                found.iter().map(|l| (l.up_to.to_string(), l.invoice_id.as_str())).collect();
            let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), *b)).collect();
            assert_eq!(told, expected, "{at} {most:?}");
        }
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
        assert!(targets(&[line(100, 1, Some(1_500))], &BTreeMap::new()).is_empty());
        let next = Line { period: (2_000, 3_000), ..line(100, 1, None) };
        assert_eq!(credits(&[next, line(100, 1, None)]), ["100", "100"]);
    }

    #[test]
    fn a_period_that_begins_within_another_is_whole() {
        // B21: what is given back of the old one is no part of the new one.
        let lines = [
            line(100, 1, None),
            line(100, -1, Some(1_400)),
            Line { period: (1_400, 2_400), ..line(100, 1, None) },
        ];
        assert_eq!(credits(&lines), ["100", "100"]);
    }

    #[test]
    fn what_is_added_within_a_period_counts_from_then_on() {
        // B16: an add-on, bought when a quarter of the plan's period was left.
        let known = BTreeMap::from([MONTH, (2_000, 3_000)]);
        let found = targets(&[line(100, 2, Some(1_750))], &known);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].period, found[0].credits().to_string()), (MONTH, "50".to_owned()));
    }
}
