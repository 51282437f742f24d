//! The catalog in corners: mistakes while somebody pays, money of other kinds, discounts, and
//! labels that do not fit each other.

use server::catalog;
use server::db::sql;
use server::findings::{self, Finding};
use server::webhooks;
use tests::{Shop, Stripe, World, WorldOptions};

const DAY: i64 = 86_400;
const PRO: &str = "turnpike_pro_month";
const PACK: &str = "turnpike_pack_500";
const GOOD: &str = "4242424242424242";

async fn world() -> World {
    World::with(WorldOptions::nothing_free()).await
}

async fn edit(world: &World, path: &str, fields: &[(&str, &str)]) {
    Stripe::at(&world.stripe).post(path, fields).await;
    world.settle().await;
}

/// Whether the catalog says that something is wrong with this.
async fn is_told(world: &World, object: &str) -> bool {
    let found = catalog::current(&world.engine.db).await.expect("a catalog");
    found.problems.iter().any(|problem| problem.object_id == object)
}

async fn open_findings(world: &World, kind: &str) -> Vec<Finding> {
    let found = findings::list(&world.engine.db, true, 100).await.expect("read");
    found.into_iter().filter(|one| one.kind == kind).collect()
}

fn id(object: &serde_json::Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_product_is_wrong_its_last_good_version_serves_those_who_pay_for_it() {
    // C3
    let world = world().await;
    let mut shop = Shop::open(&world, "Pays").await;
    shop.subscribe(&world, PRO).await;
    let begun = shop.scene.checkout("payment", PACK, &[]).await;
    let pack = "products/turnpike_pack_500";
    for bad in ["", "-5", "1e9", "10.5", "lots"] {
        edit(&world, "products/turnpike_pro", &[("metadata[included_credits]", bad)]).await;
        edit(&world, pack, &[("metadata[credits]", bad)]).await;
        for object in ["turnpike_pro", "turnpike_pack_500"] {
            assert!(is_told(&world, object).await, "{object}: {bad:?}");
        }
        let found = catalog::current(&world.engine.db).await.expect("a catalog");
        assert!(found.tiers.iter().all(|tier| tier.tier != "pro"), "not sold");
        assert!(found.packs.iter().all(|pack| pack.name != "500 credits"), "not sold");
    }
    // A copy of the product starts in this state.
    world.another(None).await.end().await;
    shop.scene.pay(&begun, GOOD).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "2500", "a page that was open already is kept to");
    world.advance(32 * DAY).await;
    assert_eq!(shop.standing().await.0, "2500");
    assert_eq!(crate::trials::tier(&world, &shop.org_id).await, "pro");
    edit(&world, "products/turnpike_pro", &[("metadata[included_credits]", "2600")]).await;
    assert!(!is_told(&world, "turnpike_pro").await);
    world.advance(31 * DAY).await;
    assert_eq!(shop.standing().await.0, "3100", "put right, it is what the next period includes");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_products_for_one_tier_the_older_is_sold_every_time_and_the_other_is_told() {
    // C5
    let world = world().await;
    let fields = [
        ("id", "a_second_pro"),
        ("name", "Second Pro"),
        ("metadata[product]", "turnpike"),
        ("metadata[kind]", "plan"),
        ("metadata[tier]", "pro"),
        ("metadata[included_credits]", "7"),
        ("metadata[rank]", "1"),
    ];
    let stripe = Stripe::at(&world.stripe);
    stripe.wait(60).await;
    stripe.post("products", &fields).await;
    let price = [
        ("product", "a_second_pro"),
        ("currency", "usd"),
        ("unit_amount", "100"),
        ("recurring[interval]", "month"),
    ];
    let price = id(&stripe.post("prices", &price).await);
    world.settle().await;
    for _ in 0..3 {
        catalog::refresh(&world.engine).await.expect("refreshed");
        let found = catalog::current(&world.engine.db).await.expect("a catalog");
        let pros: Vec<_> = found.tiers.iter().filter(|tier| tier.tier == "pro").collect();
        assert_eq!(pros.len(), 1);
        assert_eq!(pros[0].terms.included.to_string(), "2000");
        assert!(pros[0].prices.iter().all(|sold| sold.id != price));
        assert!(is_told(&world, "a_second_pro").await);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_without_minor_units_is_counted_whole_and_credits_come_from_the_pack() {
    // C7
    let jpy = "amount = 1000\ncurrencies = { jpy = 1500 }";
    let options = WorldOptions::nothing_free().catalog("amount = 1000", jpy);
    let world = World::with(options).await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    let payment = shop.buy_pack(&world, "turnpike_pack_500_jpy").await;
    assert_eq!(shop.standing().await.0, "500");
    let text = "select amount, currency from payments where payment_id = $1";
    let paid = world.rows::<(i64, String)>(sql(text).bind(&payment)).await;
    assert_eq!(paid, [(1_500, "jpy".to_owned())]);
    ada.visit("/billing").await.must_say("¥1,500");
    shop.refund(&world, &payment, 500).await;
    assert_eq!(shop.standing().await.0, "333.333334");
    let news = shop.news(&world).await;
    assert!(news[0].1.contains("¥500 was refunded"), "{news:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_by_a_price_that_cannot_be_sold_gives_nothing_and_is_told() {
    // C7, C9
    let world = world().await;
    let mut shop = Shop::open(&world, "Unsold").await;
    let stripe = shop.scene.stripe.clone();
    let customer = shop.card(&world, "pm_card_visa").await;
    let back = format!("{}/_sim/idle", world.stripe);
    // A currency that nobody knows the minor units of, and a price that is another product's.
    let cases = [
        [("currency", "xyz"), ("nickname", "x")],
        [("currency", "usd"), ("metadata[product]", "other")],
    ];
    for (case, given) in (0usize..).zip(cases) {
        let mut fields = vec![("product", "turnpike_pack_500"), ("unit_amount", "1000")];
        fields.extend(given);
        let price = id(&stripe.post("prices", &fields).await);
        world.settle().await;
        assert!(is_told(&world, &price).await, "{given:?}");
        let fields = [
            ("mode", "payment"),
            ("customer", customer.as_str()),
            ("line_items[0][price]", &price),
            ("line_items[0][quantity]", "1"),
            ("success_url", &back),
        ];
        let session = stripe.post("checkout/sessions", &fields).await;
        shop.scene.pay(&session, GOOD).await;
        world.settle().await;
        assert_eq!(shop.standing().await.0, "0", "{given:?}");
        let found = open_findings(&world, "unknown_price").await;
        assert_eq!(found.len(), case + 1, "{found:?}");
        let about = found.iter().find(|one| one.subject == id(&session)).expect("it is told");
        assert_eq!(about.org_id.as_deref(), Some(&*shop.org_id));
        assert!(about.message.contains(&price), "{}", about.message);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discounts_and_quantities_change_the_money_and_each_pack_gives_its_credits() {
    // C8
    let world = world().await;
    let mut shop = Shop::open(&world, "Bulk").await;
    let stripe = shop.scene.stripe.clone();
    let customer = shop.card(&world, "pm_card_visa").await;
    let price = shop.scene.price(PACK).await;
    let terms: [&[(&str, &str)]; 3] = [
        &[("percent_off", "50"), ("duration", "once")],
        &[("amount_off", "2999"), ("currency", "usd"), ("duration", "once")],
        &[("percent_off", "100"), ("duration", "once")],
    ];
    let back = format!("{}/_sim/idle", world.stripe);
    for (bought, (terms, paid)) in (1i64..).zip(terms.iter().zip([1_500, 1, 0])) {
        let coupon = id(&stripe.post("coupons", terms).await);
        let fields = [
            ("mode", "payment"),
            ("customer", customer.as_str()),
            ("line_items[0][price]", &price),
            ("line_items[0][quantity]", "3"),
            ("discounts[0][coupon]", &coupon),
            ("success_url", &back),
        ];
        let session = stripe.post("checkout/sessions", &fields).await;
        shop.scene.pay(&session, GOOD).await;
        world.settle().await;
        assert_eq!(shop.standing().await.0, (1_500 * bought).to_string(), "{terms:?}");
        let text = "select amount, quantity from payments where session_id = $1";
        let rows = world.rows::<(i64, i64)>(sql(text).bind(id(&session))).await;
        assert_eq!(rows, [(paid, 3)], "{terms:?}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_of_another_product_who_buys_ours_by_mistake_is_parked_and_found() {
    // C9, A10
    let world = world().await;
    let shop = Shop::open(&world, "Mixed").await;
    let stripe = &shop.scene.stripe;
    let label = [("email", "x@example.com"), ("metadata[product]", "other")];
    let customer = id(&stripe.post("customers", &label).await);
    let attach = "payment_methods/pm_card_visa/attach";
    let card = id(&stripe.post(attach, &[("customer", &customer)]).await);
    world.settle().await;
    assert!(findings::list(&world.engine.db, true, 10).await.expect("read").is_empty());
    let price = shop.scene.price(PRO).await;
    let fields = [
        ("customer", customer.as_str()),
        ("items[0][price]", &price),
        ("default_payment_method", &card),
    ];
    let plan = id(&stripe.post("subscriptions", &fields).await);
    world.settle().await;
    let found = open_findings(&world, webhooks::UNMATCHED).await;
    let about = found.iter().find(|one| one.subject == plan).expect("somebody paid for ours");
    assert!(about.message.contains("another product"), "{}", about.message);
    let text = "select status from stripe_events where object_id = $1";
    let parked = world.rows::<(String,)>(sql(text).bind(&plan)).await;
    assert!(parked.iter().all(|row| row.0 == "unmatched") && !parked.is_empty(), "{parked:?}");
    assert_eq!(shop.standing().await.0, "0");
    let label = [("metadata[product]", "turnpike"), ("metadata[org_id]", &*shop.org_id)];
    stripe.post(&format!("customers/{customer}"), &label).await;
    world.pass(6 * 3_600 + 60).await;
    world.settle().await;
    assert_eq!(shop.standing().await.0, "2000");
    assert!(open_findings(&world, webhooks::UNMATCHED).await.is_empty());
    world.end().await;
}
