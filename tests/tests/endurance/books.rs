//! The reckoning: what customers were told, against what the server knows in the end.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::caller::{Caller, Wallet};
use crate::customer::{Told, outlived};

/// How many answers are asked for again at once.
const WIDTH: usize = 16;

/// What the answers to one wallet's customers add up to.
#[derive(Default)]
struct Account {
    usages: BTreeMap<String, Charged>,
    /// With the credits each set aside.
    holds: BTreeMap<String, i64>,
    /// Holds that were over before anybody was told of them.
    outlived: usize,
    reversed: BTreeSet<String>,
}

/// In millionths of a credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Charged {
    credits: i64,
    debt: i64,
    overage: i64,
}

/// Checks one wallet. Every request was answered in the end, so the server must know exactly what
/// these answers say: nothing lost, nothing twice, and every credit in its place.
pub async fn reckon(caller: &Caller, wallet: &Wallet, told: &[&Told]) {
    let account = account(told);
    check_usages(caller, &account).await;
    let statuses = statuses(caller, &account).await;
    let open = account.holds.iter().filter(|(id, _)| statuses[*id] == "open");
    let held: i64 = open.map(|(_, credits)| credits).sum();
    let (mut paid, mut debt) = (0, 0);
    for (_, charged) in account.standing() {
        paid += charged.credits - charged.debt - charged.overage;
        debt += charged.debt;
    }
    let balance = caller.get("balance").await;
    let granted = wallet.granted * 1_000_000;
    assert_eq!(micros(&balance["held"]), held, "what open holds set aside: {balance}");
    assert_eq!(micros(&balance["available"]), granted - held - paid, "{balance}");
    assert_eq!(micros(&balance["debt"]), debt, "{balance}");
    let movements = caller.list("ledger").await;
    check_order(&movements, &balance);
    check_movements(&movements, told, &account, &statuses, granted);
    let asked = told.iter().map(|told| replay(caller, told, &account, &statuses));
    futures::stream::iter(asked).buffer_unordered(WIDTH).collect::<Vec<()>>().await;
    let after = caller.list("ledger").await;
    assert_eq!(after.len(), movements.len(), "asking again moved nothing");
}

/// Every use that stands is listed once, for what it was said to cost, and no other.
async fn check_usages(caller: &Caller, account: &Account) {
    let listed = caller.list("usage").await;
    let found: BTreeMap<String, Charged> =
        listed.iter().map(|usage| (text(&usage["id"]), charged(usage))).collect();
    assert_eq!(found.len(), listed.len(), "no usage is listed twice");
    let expected: BTreeMap<String, Charged> =
        account.standing().map(|(id, charged)| (id.clone(), *charged)).collect();
    let lost: Vec<_> = expected.iter().filter(|(id, _)| !found.contains_key(*id)).collect();
    assert!(lost.is_empty(), "acknowledged, but lost: {lost:?}");
    let unknown: Vec<_> = found.iter().filter(|(id, _)| !expected.contains_key(*id)).collect();
    assert!(unknown.is_empty(), "nobody was told of these: {unknown:?}");
    assert_eq!(found, expected);
}

/// The movements' own order has no gap and nothing twice, and ends at the balance.
fn check_order(movements: &[Value], balance: &Value) {
    let seqs: Vec<i64> = movements.iter().filter_map(|movement| movement["seq"].as_i64()).collect();
    let count = i64::try_from(movements.len()).expect("not that many");
    assert_eq!(seqs, (1..=count).rev().collect::<Vec<i64>>(), "newest first, without a gap");
    assert_eq!(movements[0]["balance"], balance["available"], "{}", movements[0]);
}

/// The ledger moved once for every effect that somebody was told of, and for nothing else.
fn check_movements(
    movements: &[Value],
    told: &[&Told],
    account: &Account,
    statuses: &BTreeMap<String, String>,
    granted: i64,
) {
    let of = |kinds: &[&str]| -> Vec<&Value> {
        let among = |movement: &&Value| kinds.iter().any(|kind| movement["kind"] == *kind);
        movements.iter().filter(among).collect()
    };
    let status = |word: &str| statuses.values().filter(|status| *status == word).count();
    let charges = of(&["consume", "capture"]);
    let paid_for: BTreeSet<String> = charges.iter().map(|one| text(&one["usage"])).collect();
    assert_eq!(paid_for, account.usages.keys().cloned().collect(), "each use was charged");
    assert_eq!(charges.len(), paid_for.len(), "and charged once");
    let extended = |told: &&&Told| kind(&told.path) == "extend" && told.answer.status == 200;
    assert_eq!(of(&["extend"]).len(), told.iter().filter(extended).count());
    assert_eq!(of(&["hold"]).len(), account.holds.len() + account.outlived);
    assert_eq!(of(&["release"]).len(), status("released"));
    assert_eq!(of(&["expire_hold"]).len(), status("expired") + account.outlived);
    assert_eq!(of(&["reverse"]).len(), account.reversed.len());
    let given: i64 = of(&["grant"]).iter().map(|grant| micros(&grant["credits"])).sum();
    assert_eq!(given, granted, "each grant was booked once");
}

fn account(told: &[&Told]) -> Account {
    let is_hold = |told: &&&Told| kind(&told.path) == "holds";
    let outlived = told.iter().filter(is_hold).filter(|told| outlived(&told.answer)).count();
    let mut account = Account { outlived, ..Account::default() };
    for told in told.iter().filter(|told| told.answer.status == 200) {
        let body = &told.answer.body;
        match kind(&told.path) {
            "consume" | "capture" => account.note(body),
            "batch" => {
                let results = body["data"].as_array().expect("results");
                results.iter().filter(|one| one["status"] == 200).for_each(|one| {
                    account.note(&one["usage"]);
                });
            }
            "holds" => {
                account.holds.insert(text(&body["id"]), micros(&body["credits"]));
            }
            "reverse" => drop(account.reversed.insert(text(&body["id"]))),
            _ => {}
        }
    }
    account
}

impl Account {
    /// The uses that were not taken back.
    fn standing(&self) -> impl Iterator<Item = (&String, &Charged)> {
        self.usages.iter().filter(|(id, _)| !self.reversed.contains(*id))
    }

    fn note(&mut self, usage: &Value) {
        let before = self.usages.insert(text(&usage["id"]), charged(usage));
        assert_eq!(before, None, "two requests were answered with one usage: {usage}");
    }
}

async fn statuses(caller: &Caller, account: &Account) -> BTreeMap<String, String> {
    let asked = account.holds.keys().map(|id| async move {
        let hold = caller.get(&format!("holds/{id}")).await;
        (id.clone(), text(&hold["status"]))
    });
    futures::stream::iter(asked).buffer_unordered(WIDTH).collect().await
}

/// Asks again with the same key: the same answer to the letter, unless its effect is gone.
async fn replay(
    caller: &Caller,
    told: &Told,
    account: &Account,
    statuses: &BTreeMap<String, String>,
) {
    let first = &told.answer;
    if kind(&told.path) == "batch" {
        return replay_batch(caller, told, account).await;
    }
    if !first.stored() {
        return;
    }
    let (again, _) = caller.insist(&told.path, told.key.as_deref(), &told.body).await;
    let id = first.body["id"].as_str().unwrap_or_default();
    let gone = first.status == 200
        && match kind(&told.path) {
            "consume" | "capture" => account.reversed.contains(id),
            "holds" => matches!(statuses[id].as_str(), "released" | "expired"),
            _ => false,
        };
    if gone {
        assert_eq!((again.status, again.code()), (409, "operation_reversed"), "{told:?} {again:?}");
    } else {
        assert!(again.replayed, "{told:?} was done again: {again:?}");
        assert_eq!((again.status, &again.text), (first.status, &first.text), "{}", told.path);
    }
}

async fn replay_batch(caller: &Caller, told: &Told, account: &Account) {
    let (again, _) = caller.insist(&told.path, None, &told.body).await;
    let results = |body: &Value| body["data"].as_array().expect("results").clone();
    let (before, after) = (results(&told.answer.body), results(&again.body));
    assert_eq!(before.len(), after.len(), "{again:?}");
    for (before, after) in before.iter().zip(&after) {
        let id = before["usage"]["id"].as_str().unwrap_or_default();
        if account.reversed.contains(id) {
            assert_eq!(after["error"]["code"], json!("operation_reversed"), "{after}");
        } else {
            assert_eq!((&before["status"], &before["usage"]), (&after["status"], &after["usage"]));
            assert_eq!(before["error"], after["error"]);
        }
    }
}

/// The last word of a path that says what is asked.
fn kind(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn charged(usage: &Value) -> Charged {
    let part = |name: &str| micros(&usage[name]);
    Charged { credits: part("credits"), debt: part("debt"), overage: part("overage") }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// Millionths of a credit, from the decimal that the API speaks.
fn micros(value: &Value) -> i64 {
    let text = text(value);
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    assert!(part.len() <= 6, "{text} has more than six decimals");
    format!("{whole}{part:0<6}").parse().expect("a decimal")
}
