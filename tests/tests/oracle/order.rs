//! Looks for an order in which the oracle gives exactly the answers that were heard. What made a
//! use or a hold stands in the order of the wallet's `seq`; everything else may stand anywhere.

use std::borrow::Cow;
use std::collections::BTreeMap;

use server::gate::Operation;

use super::wallet::Wallet;
use super::words::{Ask, Names, Outcome};

/// Something that was asked in a round, and what was answered.
#[derive(Clone, Debug)]
pub struct Heard {
    pub ask: Ask,
    pub outcome: Outcome,
    pub names: Names,
    /// Its place in the wallet's order, where it made something.
    pub seq: Option<i64>,
}

impl Heard {
    /// Whether it books what is due: keyed writes do, whatever they are answered.
    pub fn settles(&self) -> bool {
        matches!(self.ask, Ask::Write(_)) || self.outcome == Outcome::Given(true)
    }

    /// Whether the rows are settled afterwards, because something was booked.
    fn books(&self) -> bool {
        match &self.outcome {
            Outcome::Used(_) | Outcome::Held(_) => true,
            Outcome::Given(new) => *new,
            Outcome::Freed { holds, .. } => !holds.is_empty(),
            _ => false,
        }
    }
}

/// A wallet's rows after a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub available: i64,
    pub held: i64,
    pub debt: i64,
    pub used: i64,
    pub overage: i64,
    /// The ceiling, and whether it refuses.
    pub cap: Option<(i64, bool)>,
    /// By grant: to be spent, and set aside.
    pub grants: BTreeMap<String, (i64, i64)>,
}

impl Rows {
    /// What the oracle would have in its rows.
    pub fn of(wallet: &Wallet) -> Self {
        let (debt, used, overage) = (wallet.debt, wallet.used, wallet.overage);
        // A grant that has not begun is in the row, though it cannot be spent.
        let available = wallet.grants.iter().map(|grant| grant.left).sum();
        let held = wallet.held();
        let (cap, grants) = (wallet.cap, wallet.grants());
        Self { available, held, debt, used, overage, cap, grants }
    }
}

/// The wallet after the round, in an order that explains every answer and the rows at the end; or
/// how far the best order came, and what stood against it. Where nothing was booked, the rows are
/// older than what is due, and only the ceiling is compared.
pub fn explain(wallet: &Wallet, heard: &[Heard], rows: &Rows) -> Result<Wallet, String> {
    let booked = heard.iter().any(Heard::books);
    let mut search = Search { heard, rows, booked, deepest: 0, against: Vec::new() };
    let left: Vec<usize> = (0..heard.len()).collect();
    search.go_on(wallet, &left).ok_or_else(|| search.against.join("\n"))
}

struct Search<'a> {
    heard: &'a [Heard],
    rows: &'a Rows,
    booked: bool,
    deepest: usize,
    against: Vec<String>,
}

impl Search<'_> {
    fn go_on(&mut self, wallet: &Wallet, left: &[usize]) -> Option<Wallet> {
        let depth = self.heard.len() - left.len();
        if left.is_empty() {
            let expected = Rows::of(wallet);
            let agree = match self.booked {
                true => expected == *self.rows,
                false => expected.cap == self.rows.cap,
            };
            if !agree {
                self.note(depth, "the rows", &expected, self.rows);
            }
            return agree.then(|| wallet.clone());
        }
        let first = left.iter().filter_map(|index| self.heard[*index].seq).min();
        for index in left {
            let Heard { ask, outcome, names, seq } = &self.heard[*index];
            if seq.is_some() && *seq != first {
                continue;
            }
            let rest: Vec<usize> = left.iter().copied().filter(|other| other != index).collect();
            for names in namings(wallet, ask, names) {
                let mut next = wallet.clone();
                let expected = next.apply(ask, &names);
                if expected != *outcome {
                    self.note(depth, &ask.to_string(), &expected, outcome);
                    continue;
                }
                if let Some(last) = self.go_on(&next, &rest) {
                    return Some(last);
                }
            }
        }
        None
    }

    /// Remembers what stood against the orders that came furthest.
    fn note<T: std::fmt::Debug>(&mut self, depth: usize, what: &str, expected: &T, got: &T) {
        if depth > self.deepest {
            (self.deepest, self.against) = (depth, Vec::new());
        }
        if depth == self.deepest {
            let text =
                format!("after {depth}: {what}\n    expected {expected:?}\n    got      {got:?}");
            if !self.against.contains(&text) {
                self.against.push(text);
            }
        }
    }
}

/// The names, once for each grant that may be what this very reversal gave back: where several were
/// given back in one round, nobody was told which is whose.
fn namings<'a>(wallet: &Wallet, ask: &Ask, names: &'a Names) -> Vec<Cow<'a, Names>> {
    let reverses = |what: &Operation| matches!(what, Operation::Reverse { .. });
    if !matches!(ask, Ask::Write(request) if reverses(&request.what)) {
        return vec![Cow::Borrowed(names)];
    }
    let known = |id: &String| wallet.grants.iter().any(|grant| grant.id == *id);
    let new: Vec<_> = names.returned.iter().filter(|(id, _)| !known(id)).collect();
    if new.len() < 2 {
        return vec![Cow::Borrowed(names)];
    }
    let alone = |one: &(String, i64)| Names { returned: vec![one.clone()], ..names.clone() };
    new.into_iter().map(|one| Cow::Owned(alone(one))).collect()
}
