//! Use that is taken back, credits that are corrected, and debts that are paid ahead, in any order.

use serde_json::{Value, json};
use server::audit::Actor;
use server::caps;
use server::clock::{DAY, HOUR, Millis, SECOND};
use server::credits::{self, Allowance};
use server::db::sql;
use server::gate;
use server::units::Credits;
use tests::{Answer, Program, Shop, World, WorldOptions};

use crate::calls::{batch, capture, held, held_for, reverse, said, uses};
use crate::claws::{pack, take_back};
use crate::contract_months::{before_the_next, contract, low, wants};
use crate::hold_expiry::CHARGING;
use crate::refunds::everything_again;

const PACK: &str = "turnpike_pack_500";

fn operator() -> Actor {
    Actor::Operator("tests".to_owned())
}

fn whole(credits: i64) -> Credits {
    Credits::from_whole(credits).expect("fits")
}

fn id(usage: &Value) -> &str {
    usage["id"].as_str().expect("an id")
}

fn credits(available: &str, debt: &str) -> (String, String) {
    (available.to_owned(), debt.to_owned())
}

/// What can be spent and what is owed, as a read says.
async fn read(program: &Program) -> (String, String) {
    let balance = program.get("balance").await.body;
    let word = |name: &str| balance[name].as_str().expect("credits").to_owned();
    (word("available"), word("debt"))
}

/// What can be spent and what is owed, once everything that is due is booked.
async fn booked(world: &World, program: &Program) -> (String, String) {
    while gate::sweep(&world.engine).await.expect("swept") > 0 {}
    let text = "select available, debt from wallets where org_id = $1";
    let rows: Vec<(Credits, Credits)> = world.rows(sql(text).bind(&program.org_id)).await;
    (rows[0].0.to_string(), rows[0].1.to_string())
}

/// A contract of 100 credits a month, an hour before its second month, which is there already. A
/// little more than an hour later it has begun.
async fn before_its_next_month(world: &World, program: &Program) {
    let made = contract(world, program, "").await;
    before_the_next(world, &made).await;
}

const AN_HOUR: i64 = HOUR / SECOND;

/// A pack of 100 credits of which a hold that will be charged has set 40 aside, for so many
/// seconds, and whose payment is given back; before the second month of a contract.
async fn clawed_under_a_hold(world: &World, program: &Program, seconds: i64) {
    before_its_next_month(world, program).await;
    uses(program, "first", "text", 100).await;
    pack(world, &program.org_id, 100, "pi_1").await;
    held_for(program, "h", 40, seconds).await;
    let taken = take_back(world, &program.org_id, "pi_1", 100).await;
    assert_eq!((taken.taken, taken.owed), (whole(60), whole(0)), "40 are pending");
    assert_eq!(read(program).await, credits("0", "0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_pays_what_a_hold_that_ran_out_before_it_came_to_owe() {
    // E8, E10, D16
    let world = World::with(WorldOptions::nothing_free().rates(CHARGING)).await;
    let program = world.program("Before", 0).await;
    clawed_under_a_hold(&world, &program, AN_HOUR / 2).await;
    // The 40 that were charged were owed for half an hour, though nobody wrote that down.
    world.pass(AN_HOUR + 1).await;
    assert_eq!(read(&program).await, credits("60", "0"));
    assert_eq!(booked(&world, &program).await, credits("60", "0"));
    assert_eq!(read(&program).await, credits("60", "0"));
    uses(&program, "last", "text", 60).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_pays_nothing_that_came_to_be_owed_after_it_began() {
    // E8, E10, D16
    let world = World::with(WorldOptions::nothing_free().rates(CHARGING)).await;
    let program = world.program("After", 0).await;
    clawed_under_a_hold(&world, &program, 2 * AN_HOUR).await;
    world.pass(AN_HOUR + 1).await;
    assert_eq!(read(&program).await, credits("100", "0"), "it has begun, and nothing is owed");
    world.pass(AN_HOUR).await;
    assert_eq!(read(&program).await, credits("100", "40"));
    assert_eq!(booked(&world, &program).await, credits("100", "40"));
    assert_eq!(read(&program).await, credits("100", "40"));
    world.end().await;
}

/// Sets the allowance of a subscription's period, with three days of grace.
async fn allow(world: &World, program: &Program, start: Millis, days: i64, credits: i64) {
    let end = start + days * DAY;
    let allowance = Allowance {
        org_id: program.org_id.clone(),
        item: "sub_1".to_owned(),
        period: (start, end),
        target: whole(credits),
        rollover_max: Credits::ZERO,
        grace_until: end + 3 * DAY,
        invoice: format!("in_{start}"),
        reason: "Pro".to_owned(),
    };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    credits::set_allowance(&mut tx, allowance, now).await.expect("set");
    tx.commit().await.expect("committed");
    world.pass(1).await;
}

/// What ann uses of text; refused or not.
async fn ann_uses(program: &Program, key: &str, quantity: i64) -> Answer {
    let body = json!({ "meter": "text", "quantity": quantity, "member": "ann" });
    program.post("consume", Some(key), &body).await
}

/// What ann used, which must be allowed; the use's id.
async fn ann_used(world: &World, program: &Program, key: &str, quantity: i64) -> String {
    let used = ann_uses(program, key, quantity).await;
    assert_eq!(used.status, 200, "{:?}", used.body);
    world.pass(1).await;
    id(&used.body).to_owned()
}

/// What counts in the period, in credits: of all, and of ann.
async fn counted(world: &World, program: &Program) -> (i64, i64) {
    let text = "select w.period_used, coalesce(m.credits, 0) from wallets w
         left join member_uses m on m.org_id = w.org_id and m.period_start = w.period_start
             and m.member = 'ann'
         where w.org_id = $1";
    let (all, ann) = world.rows::<(i64, i64)>(sql(text).bind(&program.org_id)).await[0];
    (all / 1_000_000, ann / 1_000_000)
}

/// Lets at most so many credits be used in a period.
async fn cap(world: &World, program: &Program, credits: i64) {
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let (most, now) = (Some((whole(credits), true)), world.engine.clock.now());
    caps::set(&mut tx, &program.org_id, most, operator(), now).await.expect("set");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn use_that_counted_before_a_late_renewal_makes_no_room_after_it() {
    // D16, D6, D22
    let world = World::with_free(0).await;
    let program = world.program("Late", 0).await;
    cap(&world, &program, 50).await;
    let start = world.engine.clock.now();
    allow(&world, &program, start, 30, 1_000).await;
    world.pass(30 * DAY / SECOND + AN_HOUR).await;
    // The period is over and its renewal was not heard of: the old allowance serves.
    let late = ann_used(&world, &program, "late", 50).await;
    assert_eq!(counted(&world, &program).await, (50, 50));
    assert_eq!(said(&ann_uses(&program, "more", 1).await), (402, "cap_reached"));
    allow(&world, &program, start + 30 * DAY, 30, 1_000).await;
    assert_eq!(counted(&world, &program).await, (0, 0));
    let own = ann_used(&world, &program, "own", 30).await;
    assert_eq!(reverse(&program, &late, "r1").await.status, 200);
    assert_eq!(counted(&world, &program).await, (30, 30), "what was taken back counted before");
    assert_eq!(said(&ann_uses(&program, "over", 30).await), (402, "cap_reached"));
    // What the period did count makes room, also where more was granted for it since.
    allow(&world, &program, start + 30 * DAY, 30, 2_000).await;
    assert_eq!(counted(&world, &program).await, (30, 30));
    assert_eq!(reverse(&program, &own, "r2").await.status, 200);
    assert_eq!(counted(&world, &program).await, (0, 0));
    ann_used(&world, &program, "room", 50).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn use_that_counted_in_an_allowance_makes_no_room_in_the_month_that_follows_it() {
    // D16, D6, D22
    let world = World::with_free(0).await;
    let program = world.program("Over", 0).await;
    cap(&world, &program, 50).await;
    world.pass(AN_HOUR).await;
    allow(&world, &program, world.engine.clock.now(), 5, 1_000).await;
    let before = ann_used(&world, &program, "before", 50).await;
    // It is over and nothing follows it, so the org's own month counts, which began before.
    world.pass(9 * DAY / SECOND).await;
    world.give(&program.org_id, 100, "meanwhile").await;
    ann_used(&world, &program, "own", 30).await;
    assert_eq!(counted(&world, &program).await, (30, 30));
    assert_eq!(reverse(&program, &before, "r").await.status, 200);
    assert_eq!(counted(&world, &program).await, (30, 30), "what was taken back counted before");
    assert_eq!(said(&ann_uses(&program, "over", 30).await), (402, "cap_reached"));
    ann_used(&world, &program, "room", 20).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_and_a_reversal_end_in_the_same_whichever_comes_first() {
    // E9, E10, D6
    let world = World::with(WorldOptions::nothing_free()).await;
    for (name, refunded_first) in [("Refunded", true), ("Reversed", false)] {
        let mut shop = Shop::open(&world, name).await;
        let payment = shop.buy_pack(&world, PACK).await;
        let large = uses(&shop.program, "large", "text", 200).await;
        let small = uses(&shop.program, "small", "text", 100).await;
        let refund = if refunded_first {
            let refund = shop.refund(&world, &payment, 500).await;
            assert_eq!(shop.standing().await, credits("0", "50"), "{name}");
            // What returns is taken at once, and what was owed for it is not owed any more.
            assert_eq!(reverse(&shop.program, id(&small), "r1").await.status, 200);
            refund
        } else {
            assert_eq!(reverse(&shop.program, id(&small), "r1").await.status, 200);
            assert_eq!(shop.standing().await, credits("300", "0"), "{name}");
            shop.refund(&world, &payment, 500).await
        };
        assert_eq!(shop.standing().await, credits("50", "0"), "{name}");
        assert_eq!(reverse(&shop.program, id(&large), "r2").await.status, 200);
        assert_eq!(shop.standing().await, credits("250", "0"), "{name}");
        everything_again(&world, 3).await;
        assert_eq!(shop.standing().await, credits("250", "0"), "{name}");
        world.control(&format!("refunds/{refund}/fail"), json!({})).await;
        world.settle().await;
        assert_eq!(shop.standing().await, credits("500", "0"), "{name}");
        uses(&shop.program, "all", "text", 500).await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_and_a_reversal_end_in_the_same_where_more_was_used_than_there_was() {
    // E9, E10, D6
    let world = World::with(WorldOptions::nothing_free()).await;
    for (name, refunded_first) in [("Refunded", true), ("Reversed", false)] {
        let mut shop = Shop::open(&world, name).await;
        let payment = shop.buy_pack(&world, PACK).await;
        let items = json!([{ "key": "a", "meter": "text", "quantity": 530 }]);
        let usage = batch(&shop.program, items).await[0]["usage"].clone();
        assert_eq!(shop.standing().await, credits("0", "30"), "{name}");
        let refund = if refunded_first {
            let refund = shop.refund(&world, &payment, 500).await;
            assert_eq!(shop.standing().await, credits("0", "280"), "{name}");
            assert_eq!(reverse(&shop.program, id(&usage), "r").await.status, 200);
            refund
        } else {
            assert_eq!(reverse(&shop.program, id(&usage), "r").await.status, 200);
            assert_eq!(shop.standing().await, credits("500", "0"), "{name}");
            shop.refund(&world, &payment, 500).await
        };
        assert_eq!(shop.standing().await, credits("250", "0"), "{name}");
        world.control(&format!("refunds/{refund}/fail"), json!({})).await;
        world.settle().await;
        assert_eq!(shop.standing().await, credits("500", "0"), "{name}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_whose_debt_another_pack_paid_and_a_reversal_end_in_the_same() {
    // E8, E9, E10, D6
    let world = World::with(WorldOptions::nothing_free()).await;
    for (name, refunded_first) in [("Refunded", true), ("Reversed", false)] {
        let mut shop = Shop::open(&world, name).await;
        let payment = shop.buy_pack(&world, PACK).await;
        let usage = uses(&shop.program, "a", "text", 300).await;
        let refund = if refunded_first {
            let refund = shop.refund(&world, &payment, 500).await;
            shop.buy_pack(&world, PACK).await;
            assert_eq!(shop.standing().await, credits("450", "0"), "{name}: it paid the 50");
            assert_eq!(reverse(&shop.program, id(&usage), "r").await.status, 200);
            refund
        } else {
            assert_eq!(reverse(&shop.program, id(&usage), "r").await.status, 200);
            let refund = shop.refund(&world, &payment, 500).await;
            assert_eq!(shop.standing().await, credits("250", "0"), "{name}");
            shop.buy_pack(&world, PACK).await;
            refund
        };
        assert_eq!(shop.standing().await, credits("750", "0"), "{name}");
        world.control(&format!("refunds/{refund}/fail"), json!({})).await;
        world.settle().await;
        assert_eq!(shop.standing().await, credits("1000", "0"), "{name}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_month_will_pay_of_a_debt_hides_from_no_check_that_an_org_runs_low() {
    // E1, C13
    let world = World::with(WorldOptions::nothing_free()).await;
    let program = world.program("Low", 0).await;
    before_its_next_month(&world, &program).await;
    let hold = held(&program, "h", "text", 100).await;
    let asked = json!({ "quantity": 130, "over": "debt" });
    assert_eq!(capture(&program, &hold, "c", &asked).await.status, 200);
    wants(&world, &program, 80).await;
    let low = async || low(&world).await;
    world.pass(AN_HOUR + 1).await;
    assert_eq!(low().await, [program.org_id.as_str()], "it has 70 of the 80 that it wants");
    let text = "select debt from wallets where org_id = $1";
    let owed: Vec<(Credits,)> = world.rows(sql(text).bind(&program.org_id)).await;
    assert_eq!(owed, [(whole(30),)], "nobody wrote it down");
    assert_eq!(read(&program).await, credits("70", "0"));
    let text = "update recharge_settings set threshold = 70000000 where org_id = $1";
    world.tamper(sql(text).bind(&program.org_id)).await;
    assert!(low().await.is_empty(), "it has the 70 that it wants");
    uses(&program, "a", "text", 1).await;
    assert_eq!(low().await, [program.org_id.as_str()], "the same once it is written down");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_parked_by_who_began_before_its_last_operation_pays_nothing_twice() {
    // F1, E8
    let world = World::with(WorldOptions::nothing_free()).await;
    let program = world.program("Parked", 0).await;
    let org = program.org_id.as_str();
    before_its_next_month(&world, &program).await;
    let began = world.engine.clock.now();
    world.pass(AN_HOUR + 1).await;
    // What came to be owed after the month began is not the month's to pay.
    let usage = uses(&program, "a", "text", 100).await;
    let items = json!([{ "key": "b", "meter": "text", "quantity": 30 }]);
    batch(&program, items).await;
    assert_eq!(reverse(&program, id(&usage), "r").await.status, 200);
    assert_eq!(read(&program).await, credits("100", "30"));
    let text = "update wallets set available = available + 1000000 where org_id = $1";
    world.tamper(sql(text).bind(org)).await;
    let db = &world.engine.db;
    let found = credits::audit_books(db, Some(org), &operator(), began).await.expect("audited");
    assert!(!found.is_empty());
    let text = "select parked_at - last_at from wallets where org_id = $1";
    let after: Vec<(i64,)> = world.rows(sql(text).bind(org)).await;
    assert_eq!(after, [(0,)], "not before what is in its books");
    let now = world.engine.clock.now();
    let left = credits::repair(db, org, &operator(), "rebuilt", now).await.expect("repaired");
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(read(&program).await, credits("100", "30"));
    world.end().await;
}
