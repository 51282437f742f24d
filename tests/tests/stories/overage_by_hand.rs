//! Lines that Stripe does not take: they keep no others waiting, a person settles them by hand, and
//! then nobody pays them twice.

use serde_json::json;
use server::audit::Actor;
use server::contracts::{self, Contract, NewContract};
use server::db::sql;
use server::error::Error;
use server::orgs::{Role, Who};
use server::{customers, findings, overage};
use tests::{Shop, Stripe, World, WorldOptions};

use crate::calls::{uses, world_with_overage};
use crate::overage::{items_of, lines, past_the_period, said, whose_line_was_lost};

const HOUR: i64 = 3_600;
/// Longer than a turn of whoever posts.
const TURN: i64 = 11 * 60;

/// A card with a meter that only contracts price.
const CARD: &str = "version = \"by hand\"
[meters.solved]
label = \"Solved tickets\"
unit = \"ticket\"
by_contract = true
";

fn operator() -> Actor {
    Actor::Operator("tests".to_owned())
}

/// A contract that bills each solved ticket so many minor units.
async fn contract(world: &World, org_id: &str, currency: &str, price: &str) -> Contract {
    let text =
        format!("name = \"Acme\"\ncurrency = \"{currency}\"\n[meters]\nsolved = \"{price}\"");
    let new = NewContract {
        org_id: org_id.to_owned(),
        agreed: contracts::parse(&text).expect("terms"),
        key: "k".to_owned(),
        actor: operator(),
        reason: "they asked".to_owned(),
    };
    contracts::create(&world.engine, new).await.expect("made")
}

/// The ids of an org's lines.
async fn line_ids(world: &World, org_id: &str) -> Vec<String> {
    let text = "select id from billed_lines where org_id = $1 order by created_at, id";
    let rows: Vec<(String,)> = world.rows(sql(text).bind(org_id)).await;
    rows.into_iter().map(|row| row.0).collect()
}

/// What the open findings about lines say.
async fn told(world: &World) -> Vec<String> {
    let open = findings::list(&world.engine.db, true, 100).await.expect("read").into_iter();
    let about = open.filter(|one| one.kind == "billed_not_invoiced");
    about.map(|one| one.message).collect()
}

/// Changes the lines behind the product's back.
async fn alter(world: &World, change: &str) {
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    tx.execute(sql(format!("update billed_lines set {change}"))).await.expect("changed");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_was_invoiced_by_hand_is_never_posted_any_more() {
    // B20, E5
    let world = World::with(WorldOptions::default().rates(CARD)).await;
    let mut shop = Shop::open(&world, "Hand").await;
    let gone = shop.card(&world, "pm_card_visa").await;
    let made = contract(&world, &shop.org_id, "usd", "500").await;
    uses(&shop.program, "a", "solved", 3).await;
    shop.scene.stripe.delete(&format!("customers/{gone}"), &[]).await;
    world.settle().await;
    contracts::end(&world.engine, &made.id, operator(), "it was agreed").await.expect("ended");
    world.advance(TURN).await;
    let ids = line_ids(&world, &shop.org_id).await;
    let message = told(&world).await.pop().expect("a finding");
    assert!(message.contains(&format!("`overage settle {} --reason TEXT`", ids[0])), "{message}");
    // Without a reason, and of another id, nothing is settled.
    let nothing = overage::settle(&world.engine, &ids[0], &operator(), " ").await;
    assert!(matches!(nothing, Err(Error::Invalid { .. })), "{nothing:?}");
    let nothing = overage::settle(&world.engine, "bline_none", &operator(), "by hand").await;
    assert!(matches!(nothing, Err(Error::NotFound(_))), "{nothing:?}");
    let done = overage::settle(&world.engine, &ids[0], &operator(), "invoice 2027-17").await;
    assert_eq!(done.expect("settled").amount, 1500);
    let again = overage::settle(&world.engine, &ids[0], &operator(), "invoice 2027-17").await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    let audited = "select actor_id, reason from audits where action = 'overage.settle'";
    let audited: Vec<(String, String)> = world.rows(sql(audited)).await;
    assert_eq!(audited, [("tests".to_owned(), "invoice 2027-17".to_owned())]);
    // The org becomes a customer again: what was paid by hand is not asked for once more.
    let who = Who {
        user_id: "user_of_hand".to_owned(),
        org_id: shop.org_id.clone(),
        role: Role::Owner,
        name: "Hand".to_owned(),
        email: "hand@programs.example".to_owned(),
        org_name: "Hand".to_owned(),
    };
    let customer = customers::ensure(&world.engine, &who).await.expect("a customer");
    assert_ne!(customer, gone);
    world.advance(TURN).await;
    assert_eq!(overage::post_due(&world.engine).await.expect("posted"), 0);
    assert!(items_of(&Stripe::at(&world.stripe), &customer).await.is_empty());
    assert!(told(&world).await.is_empty(), "and nothing is found any more");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_stripe_has_after_all_is_not_settled_by_hand() {
    // E5
    let world = world_with_overage(10).await;
    let shop = whose_line_was_lost(&world).await;
    assert_eq!(lines(&world, &shop.org_id).await[0].posted_at, None, "nobody heard of it");
    let ids = line_ids(&world, &shop.org_id).await;
    let refused = overage::settle(&world.engine, &ids[0], &operator(), "by hand").await;
    let why = refused.expect_err("Stripe has it").to_string();
    assert!(why.contains("Stripe has this line as ii_"), "{why}");
    let made = lines(&world, &shop.org_id).await;
    assert!(made[0].item_id.is_some() && made[0].posted_at.is_some(), "{made:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_stripe_has_otherwise_is_not_settled_whoever_would_pay_it_now() {
    // E5
    let world = world_with_overage(10).await;
    let shop = whose_line_was_lost(&world).await;
    let ids = line_ids(&world, &shop.org_id).await;
    // It says another amount; and where the currency is another one, nobody pays it.
    let changed = [
        ("amount = amount + 1", "instead of"),
        ("amount = amount - 1, currency = 'eur'", "Stripe has this line as ii_"),
    ];
    for (change, expected) in changed {
        assert_eq!(lines(&world, &shop.org_id).await[0].posted_at, None);
        alter(&world, change).await;
        let refused = overage::settle(&world.engine, &ids[0], &operator(), "by hand").await;
        let why = refused.expect_err("Stripe has it").to_string();
        assert!(why.contains(expected), "{why}");
    }
    alter(&world, "currency = 'usd'").await;
    assert!(lines(&world, &shop.org_id).await[0].item_id.is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_always_fail_keep_no_other_waiting() {
    // E5
    let world = world_with_overage(10).await;
    let mut shops = Vec::new();
    for name in ["First", "Second", "Third"] {
        let mut shop = Shop::open(&world, name).await;
        shop.subscribe(&world, "turnpike_pro_year").await;
        uses(&shop.program, "a", "text", 60).await;
        shops.push(shop);
    }
    // Nothing can be learnt about the card of two of them.
    let broken = shops[..2].iter().map(|shop| {
        let path = format!("/v1/subscriptions/{}", shop.scene.id("plan"));
        json!({ "kind": "server_error", "path": path, "method": "GET", "count": 1_000_000 })
    });
    world.control("faults", json!({ "api": broken.collect::<Vec<_>>() })).await;
    past_the_period(&world, &shops[2].org_id, 60).await;
    world.advance(TURN).await;
    let mut posted = Vec::new();
    for shop in &shops {
        let made = lines(&world, &shop.org_id).await;
        assert_eq!(made.len(), 1);
        posted.push(made[0].posted_at.is_some());
    }
    assert_eq!(posted, [false, false, true]);
    world.control("faults", json!({ "api": null })).await;
    world.advance(HOUR).await;
    for shop in &shops {
        assert!(lines(&world, &shop.org_id).await[0].posted_at.is_some());
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amount_ends_as_its_currency_allows_and_the_rest_comes_later() {
    // E5, E6
    let world = World::with(WorldOptions::default().rates(CARD)).await;
    let mut shop = Shop::open(&world, "Fils").await;
    shop.card(&world, "pm_card_visa").await;
    let made = contract(&world, &shop.org_id, "kwd", "1714").await;
    let hold = crate::calls::held(&shop.program, "h", "solved", 1).await;
    uses(&shop.program, "a", "solved", 2).await;
    contracts::end(&world.engine, &made.id, operator(), "it was agreed").await.expect("ended");
    world.advance(TURN).await;
    assert_eq!(said(&lines(&world, &shop.org_id).await), [("solved", 0, 3430)], "of 3428");
    crate::calls::capture_of(&shop.program, &hold, "c", 1).await;
    world.advance(TURN).await;
    let both = lines(&world, &shop.org_id).await;
    assert_eq!(said(&both), [("solved", 0, 3430), ("solved", 1, 1710)], "5140 of 5142");
    assert!(both.iter().all(|line| line.posted_at.is_some()), "{both:?}");
    world.end().await;
}
