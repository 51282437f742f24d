//! A plain model of a wallet, written for clarity, that the real book must always agree with.
//! Tests only.

use proptest::prelude::*;

use crate::audit::Actor;
use crate::clock::{DAY, HOUR, Millis};
use crate::units::Credits;

use super::accounts::{Act, Kind};
use super::book::Book;
use super::rows::{Hold, OPEN, Source, Wallet};
use super::spending::{Shortfall, Uncovered};

/// One thing that happens to a wallet.
#[derive(Clone, Debug)]
enum Step {
    Grant { source: Source, credits: i64, lives: Option<Millis> },
    Spend { credits: i64 },
    Wait { time: Millis },
}

/// The wallet as a list of pots.
#[derive(Default)]
struct Plain {
    pots: Vec<Pot>,
}

struct Pot {
    priority: i64,
    expires: Millis,
    made: usize,
    left: i64,
}

impl Plain {
    fn available(&self, at: Millis) -> i64 {
        self.pots.iter().filter(|pot| pot.expires > at).map(|pot| pot.left).sum()
    }

    /// Takes from the pots in burn order, all or nothing.
    fn spend(&mut self, credits: i64, at: Millis) -> bool {
        if self.available(at) < credits {
            return false;
        }
        self.pots.sort_by_key(|pot| (pot.priority, pot.expires, pot.made));
        let mut left = credits;
        for pot in self.pots.iter_mut().filter(|pot| pot.expires > at) {
            let part = left.min(pot.left);
            pot.left -= part;
            left -= part;
        }
        true
    }
}

fn empty_book() -> Book {
    let wallet = Wallet {
        org_id: "org_1".to_owned(),
        seq: 0,
        revision: 0,
        available: Credits::ZERO,
        held: Credits::ZERO,
        debt: Credits::ZERO,
        overage: Credits::ZERO,
        period_start: 0,
        period_end: 0,
        period_used: Credits::ZERO,
        counts_since: 0,
        free_opened: 0,
        last_at: 0,
        parked_at: None,
        created_at: 0,
    };
    Book::new(wallet, Vec::new(), Vec::new())
}

const NOBODY: Actor = Actor::System;

fn act(kind: Kind, at: Millis) -> Act<'static> {
    Act { kind, at, actor: &NOBODY, reason: "a step" }
}

fn fits(book: &Book, credits: Credits, at: Millis) -> bool {
    let (_, Shortfall(missing)) = book.plan_spend(credits, at);
    !missing.is_positive()
}

fn spend(book: &mut Book, credits: Credits, at: Millis) -> bool {
    let fits = fits(book, credits, at);
    if fits {
        let act = act(Kind::Consume, at);
        book.consume(&act, credits, Uncovered::default(), None).expect("it fits");
    }
    fits
}

fn hold(book: &mut Book, credits: Credits, at: Millis, number: usize) -> bool {
    let fits = fits(book, credits, at);
    if fits {
        let made = Hold {
            id: format!("hold_{number}"),
            org_id: "org_1".to_owned(),
            seq: 0,
            operation_id: String::new(),
            key: number.to_string(),
            meter: "text".to_owned(),
            model: None,
            feature: None,
            quantity: credits.micros(),
            rate: Credits::from_micros(1),
            rate_card: "1".to_owned(),
            price: None,
            billed_to: None,
            billed_currency: None,
            credits,
            overage: Credits::ZERO,
            run: None,
            member: None,
            api_key_id: None,
            metadata: None,
            on_expiry: "release".to_owned(),
            status: OPEN.to_owned(),
            captured: Credits::ZERO,
            usage_id: None,
            created_at: at,
            expires_at: at + DAY,
            ended_at: None,
            parts: Vec::new(),
            new: true,
            changed: true,
        };
        book.hold(&act(Kind::Hold, at), made).expect("it fits");
    }
    fits
}

/// Captures so much of the oldest open hold; what is not used returns.
fn capture(book: &mut Book, percent: i64, at: Millis) {
    let open = book.holds.iter().position(Hold::is_open);
    if let Some(index) = open {
        let credits = book.holds[index].credits.micros() * percent / 100;
        let act = act(Kind::Capture, at);
        let credits = Credits::from_micros(credits);
        book.capture(&act, index, credits, Uncovered::default()).expect("within the hold");
    }
}

/// Takes back so much of a grant, all in all.
fn claw(book: &mut Book, percent: i64, at: Millis) {
    if !book.grants.is_empty() {
        let target = book.grants[0].amount.micros() * percent / 100;
        book.claw_to(0, Credits::from_micros(target), at).expect("it fits");
    }
}

/// What must hold after every step.
fn check(book: &Book) {
    assert!(book.entries.iter().all(|entry| entry.amount.is_positive()), "I1");
    let of = |account: &str| -> i64 {
        let to = book.entries.iter().filter(|entry| entry.to == account);
        let from = book.entries.iter().filter(|entry| entry.from == account);
        let sum = |entries: &mut dyn Iterator<Item = &super::rows::EntryRow>| -> i64 {
            entries.map(|entry| entry.amount.micros()).sum()
        };
        sum(&mut to.into_iter()) - sum(&mut from.into_iter())
    };
    assert_eq!(book.wallet.available.micros(), of("available"), "I2");
    assert_eq!(book.wallet.held.micros(), of("held"), "I4");
    assert_eq!(book.wallet.debt.micros(), -of("debt"), "the debt is what its entries say");
    let open = book.holds.iter().filter(|hold| hold.is_open());
    assert_eq!(book.wallet.held.micros(), open.map(|h| h.credits.micros()).sum::<i64>(), "I4");
    for grant in &book.grants {
        let taken = grant.clawed_back.micros() + grant.claw_debt.micros();
        assert!(taken <= grant.claw_target.micros(), "I10");
        let pending = grant.claw_target.micros() - taken;
        assert!(pending <= grant.held.micros(), "I10: only what is held is still to come");
    }
    for grant in &book.grants {
        let parts = [
            grant.remaining,
            grant.held,
            grant.consumed,
            grant.expired,
            grant.clawed_back,
            grant.debt_paid,
        ];
        assert!(grant.remaining >= Credits::ZERO, "I3");
        let sum: i64 = parts.iter().map(|part| part.micros()).sum();
        assert_eq!(sum, grant.amount.micros(), "I3");
    }
    let seqs: Vec<i64> = book.operations.iter().map(|operation| operation.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "every operation has its place");
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let source = prop_oneof![
        Just(Source::Trial),
        Just(Source::Promo),
        Just(Source::Contract),
        Just(Source::Pack),
        Just(Source::Manual),
    ];
    let lives = prop_oneof![Just(None), (1..20i64).prop_map(|days| Some(days * DAY))];
    let step = prop_oneof![
        (source, 1..1_000i64, lives).prop_map(|(source, credits, lives)| Step::Grant {
            source,
            credits,
            lives
        }),
        (0..1_500i64).prop_map(|credits| Step::Spend { credits }),
        (0..72i64).prop_map(|hours| Step::Wait { time: hours * HOUR }),
    ];
    prop::collection::vec(step, 1..60)
}

/// Movements that the plain model knows nothing of: what must hold after every step is what counts.
#[derive(Clone, Debug)]
enum Turn {
    Plain(Step),
    Hold { credits: i64 },
    Capture { percent: i64 },
    Release,
    Claw { percent: i64 },
    Void,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let plain = steps().prop_map(|steps| steps[0].clone());
    let turn = prop_oneof![
        4 => plain.prop_map(Turn::Plain),
        3 => (1..800i64).prop_map(|credits| Turn::Hold { credits }),
        2 => (0..=100i64).prop_map(|percent| Turn::Capture { percent }),
        1 => Just(Turn::Release),
        2 => (0..=100i64).prop_map(|percent| Turn::Claw { percent }),
        1 => Just(Turn::Void),
    ];
    prop::collection::vec(turn, 1..60)
}

fn take(book: &mut Book, turn: Turn, now: &mut Millis, number: usize) {
    match turn {
        Turn::Plain(Step::Wait { time }) => *now += time,
        Turn::Plain(Step::Grant { source, credits, lives }) => {
            let expires = lives.map(|lives| *now + lives);
            let amount = Credits::from_micros(credits);
            let grant = book.new_grant(source, number.to_string(), amount, *now, expires);
            book.put_in(grant, &NOBODY, "given").expect("it fits");
        }
        Turn::Plain(Step::Spend { credits }) => {
            spend(book, Credits::from_micros(credits), *now);
        }
        Turn::Hold { credits } => {
            hold(book, Credits::from_micros(credits), *now, number);
        }
        Turn::Capture { percent } => capture(book, percent, *now),
        Turn::Release => {
            if let Some(index) = book.holds.iter().position(Hold::is_open) {
                book.release(&act(Kind::Release, *now), index).expect("it is open");
            }
        }
        Turn::Claw { percent } => claw(book, percent, *now),
        Turn::Void => {
            if !book.grants.is_empty() {
                book.void(0, &act(Kind::Void, *now)).expect("it can end");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_to_a_book_it_adds_up(turns in turns()) {
        let (mut book, mut now) = (empty_book(), HOUR);
        for (number, turn) in turns.into_iter().enumerate() {
            now += 1;
            book.settle(book.time(now)).expect("settled");
            check(&book);
            take(&mut book, turn, &mut now, number);
            check(&book);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_book_always_agrees_with_the_plain_model(steps in steps()) {
        let (mut book, mut plain, mut now) = (empty_book(), Plain::default(), HOUR);
        for (made, step) in steps.into_iter().enumerate() {
            // Ids sort by their time, so no two grants may share a millisecond.
            now += 1;
            book.settle(book.time(now)).expect("settled");
            match step {
                Step::Wait { time } => now += time,
                Step::Grant { source, credits, lives } => {
                    let expires = lives.map(|lives| now + lives);
                    let amount = Credits::from_micros(credits);
                    let grant = book.new_grant(source, made.to_string(), amount, now, expires);
                    book.put_in(grant, &Actor::System, "given").expect("it fits");
                    let priority = source.priority();
                    let expires = expires.unwrap_or(Millis::MAX);
                    plain.pots.push(Pot { priority, expires, made, left: credits });
                }
                Step::Spend { credits } => {
                    let fits = plain.spend(credits, now);
                    let spent = spend(&mut book, Credits::from_micros(credits), now);
                    prop_assert_eq!(spent, fits);
                }
            }
            prop_assert_eq!(book.spendable(now).micros(), plain.available(now));
            check(&book);
        }
    }
}
