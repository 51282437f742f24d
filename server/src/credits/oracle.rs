//! A plain model of a wallet, written for clarity, that the real book must always agree with.
//! Tests only.

use proptest::prelude::*;

use crate::audit::Actor;
use crate::clock::{DAY, HOUR, Millis};
use crate::units::Credits;

use super::book::{Account, Book, Kind, Move, Shortfall};
use super::rows::{Source, Wallet};

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
        available: Credits::ZERO,
        held: Credits::ZERO,
        debt: Credits::ZERO,
        overage: Credits::ZERO,
        period_start: 0,
        period_end: 0,
        period_used: Credits::ZERO,
        free_opened: 0,
        last_at: 0,
        parked_at: None,
        created_at: 0,
    };
    Book::new(wallet, Vec::new())
}

fn spend(book: &mut Book, credits: Credits, at: Millis) -> bool {
    let (parts, Shortfall(missing)) = book.plan_spend(credits, at);
    if missing.is_positive() {
        return false;
    }
    let moves: Vec<Move> = parts
        .into_iter()
        .map(|(index, amount)| Move {
            grant: Some(index),
            from: Account::Available,
            to: Account::Consumed,
            amount,
        })
        .collect();
    book.post(Kind::Consume, at, &Actor::System, "spent", &moves).expect("it fits");
    book.close_spent(at);
    true
}

/// What must hold after every step.
fn check(book: &Book) {
    for operation in &book.operations {
        let sides = book.entries.iter().filter(|entry| entry.operation_id == operation.id);
        assert_eq!(sides.map(|entry| entry.amount).sum::<i64>(), 0, "I1");
    }
    let of = |account: &str| -> i64 {
        let entries = book.entries.iter().filter(|entry| entry.account == account);
        entries.map(|entry| entry.amount).sum()
    };
    assert_eq!(book.wallet.available.micros(), of("available"), "I2");
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
