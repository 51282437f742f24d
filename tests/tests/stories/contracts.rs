//! Terms made for one org: what they allow, what they give each month, and what they bill in money.

use serde_json::{Value, json};
use server::audit::Actor;
use server::contracts::{self, Contract, NewContract};
use server::db::sql;
use server::error::{Error, Result};
use tests::{Program, Shop, Stripe, World, WorldOptions};

use crate::calls::{capture_of, held, hold, id, reverse, said as refused, uses};
use crate::overage::{items_of, lines, said};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// A card with a meter that only contracts price.
const CARD: &str = "version = \"contracts\"
[meters.text]
label = \"Text\"
unit = \"text\"
feature = \"text\"
rate = \"1\"
[meters.video]
label = \"Video\"
unit = \"video\"
feature = \"video\"
rate = \"100\"
[meters.solved]
label = \"Solved tickets\"
unit = \"ticket\"
by_contract = true
";

async fn world() -> World {
    World::with(WorldOptions::default().rates(CARD)).await
}

fn new(org_id: &str, key: &str, text: &str) -> NewContract {
    NewContract {
        org_id: org_id.to_owned(),
        agreed: contracts::parse(&format!("name = \"Acme\"\ncurrency = \"usd\"\n{text}"))
            .expect("terms"),
        key: key.to_owned(),
        actor: Actor::Operator("tests".to_owned()),
        reason: "they asked".to_owned(),
    }
}

async fn try_make(world: &World, org_id: &str, key: &str, text: &str) -> Result<Contract> {
    contracts::create(&world.engine, new(org_id, key, text)).await
}

async fn make(world: &World, org_id: &str, text: &str) -> Contract {
    try_make(world, org_id, "k", text).await.expect("made")
}

async fn features(program: &Program) -> Vec<String> {
    let body = program.get("entitlements").await.body;
    let names = body["features"].as_array().expect("a list").iter();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The customer that stands for an org.
async fn customer_of(world: &World, org_id: &str) -> String {
    let text = "select customer_id from customers where org_id = $1";
    let rows: Vec<(String,)> = world.rows(sql(text).bind(org_id)).await;
    rows.into_iter().next().expect("a customer").0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_beside_the_tier_adds_to_it_until_it_ends() {
    let world = world().await;
    let program = world.program("Acme", 0).await;
    assert_eq!(refused(&program.consume("a", "video", 1).await), (403, "feature_not_included"));
    let terms = "included_credits = 500\nfeatures = [\"video\"]\n[limits]\nseats = 50";
    let made = make(&world, &program.org_id, terms).await;
    assert_eq!(features(&program).await, ["api", "image", "text", "video"]);
    assert_eq!(program.available().await, "600", "the free tier's and the contract's");
    let body = program.get("entitlements").await.body;
    assert_eq!(body["limits"]["seats"], 50);
    let sources = body["sources"].as_array().expect("sources").iter();
    let why: Vec<&Value> = sources.filter(|line| line["source"] == "contract").collect();
    assert!(why.iter().all(|line| line["source_id"] == made.id) && why.len() == 2, "{why:?}");
    uses(&program, "b", "video", 2).await;
    assert_eq!(program.available().await, "400");
    // The same key again is the same contract; other terms under it are refused.
    assert_eq!(make(&world, &program.org_id, terms).await.id, made.id);
    let other = try_make(&world, &program.org_id, "k", "included_credits = 5").await;
    assert!(matches!(other, Err(Error::Conflict(_))), "{other:?}");
    // A month later the next one's credits are there, and the first one's are gone.
    world.advance(32 * DAY).await;
    assert_eq!(program.available().await, "600");
    let actor = Actor::Operator("tests".to_owned());
    contracts::end(&world.engine, &made.id, actor.clone(), "it was agreed").await.expect("ended");
    assert_eq!(program.available().await, "100");
    assert_eq!(refused(&program.consume("c", "video", 1).await), (403, "feature_not_included"));
    contracts::end(&world.engine, &made.id, actor, "again").await.expect("nothing happens");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_instead_of_the_tier_is_the_plan_from_its_first_moment_to_its_last() {
    let world = world().await;
    let program = world.program("Instead", 0).await;
    assert_eq!(program.available().await, "100");
    let at = |days: i64| server::clock::rfc3339(world.engine.clock.now() + days * DAY * 1000);
    let terms = format!(
        "replaces = true\nstarts = \"{}\"\nends = \"{}\"\nincluded_credits = 1000\n\
         features = [\"video\"]",
        at(2),
        at(40)
    );
    let made = make(&world, &program.org_id, &terms).await;
    assert_eq!(features(&program).await, ["api", "image", "text"], "not yet");
    world.pass(2 * DAY + 60).await;
    // Nobody has booked anything yet: the time alone decides.
    assert_eq!(features(&program).await, ["video"]);
    assert_eq!(refused(&program.consume("a", "text", 1).await), (403, "feature_not_included"));
    world.settle().await;
    uses(&program, "b", "video", 4).await;
    let balance = program.get("balance").await.body;
    assert_eq!(balance["allowance"]["percent"], 40, "the contract's months are the org's periods");
    world.advance(37 * DAY).await;
    assert_eq!(program.available().await, "1000", "the second month, and no free credits");
    world.pass(2 * DAY).await;
    assert_eq!(features(&program).await, ["api", "image", "text"]);
    assert_eq!(program.available().await, "100", "the free tier again");
    world.settle().await;
    let found = contracts::find(&world.engine.db, &made.id).await.expect("found");
    assert!(found.ended_at.is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_are_recorded_without_credits_and_invoiced_in_money() {
    // I12
    let world = world().await;
    let program = world.program("Outcome", 0).await;
    let stranger = world.program("Stranger", 100).await;
    let denied = stranger.consume("a", "solved", 1).await;
    assert_eq!(refused(&denied), (403, "price_unknown"));
    let made = make(&world, &program.org_id, "[meters]\nsolved = \"99.5\"").await;
    let used = uses(&program, "a", "solved", 3).await;
    assert_eq!((&used["credits"], &used["overage"]), (&json!("0"), &json!("0")));
    assert_eq!(used["billed"], json!({ "amount": "298.5", "currency": "usd" }));
    let asked = json!({ "meter": "solved", "quantity": 2 });
    let decision = program.post("authorize", None, &asked).await.body;
    assert_eq!(decision["message"], "Allowed; it is billed at $1.99.");
    // Taken back, held and given back, held and captured: only what was used is billed.
    let undone = uses(&program, "b", "solved", 1).await;
    let back = reverse(&program, undone["id"].as_str().expect("an id"), "r").await;
    assert_eq!(back.body["billed"]["amount"], "99.5");
    let freed = held(&program, "h1", "solved", 10).await;
    crate::calls::release(&program, &freed, "f").await;
    let kept = id(&hold(&program, "h2", "solved", 10).await);
    assert_eq!(program.available().await, "100", "no credit was touched");
    // The contract ends while the hold is open: what was agreed when it was made counts.
    let actor = Actor::Operator("tests".to_owned());
    contracts::end(&world.engine, &made.id, actor, "it was agreed").await.expect("ended");
    assert_eq!(refused(&program.consume("c", "solved", 1).await), (403, "price_unknown"));
    let captured = capture_of(&program, &kept, "p", 2).await;
    assert_eq!(captured.body["billed"]["amount"], "199");
    world.advance(HOUR / 2).await;
    let line = lines(&world, &program.org_id).await;
    assert_eq!(said(&line), [("solved", 0, 498)], "497.5, rounded once");
    let customer = customer_of(&world, &program.org_id).await;
    let stripe = Stripe::at(&world.stripe);
    let all = items_of(&stripe, &customer).await;
    assert_eq!(all.len(), 1);
    let told = all[0]["description"].as_str().expect("a description");
    assert!(told.starts_with("Solved tickets: 5, "), "{told}");
    let invoice = line[0].invoice_id.clone().expect("an invoice of its own");
    world.advance(2 * HOUR).await;
    let invoice = stripe.get(&format!("invoices/{invoice}")).await;
    assert_eq!((&invoice["total"], &invoice["status"]), (&json!(498), &json!("open")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_of_a_subscriber_come_onto_the_renewal() {
    let world = world().await;
    let mut shop = Shop::open(&world, "Both").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    make(&world, &shop.org_id, "overage_price = 3\n[meters]\nsolved = 99").await;
    uses(&shop.program, "a", "solved", 2).await;
    let over = uses(&shop.program, "b", "text", 2010).await;
    assert_eq!(over["billed"]["amount"], "30", "the contract lets overage be billed");
    crate::overage::past_the_period(&world, &shop.org_id, 60).await;
    let made = lines(&world, &shop.org_id).await;
    assert_eq!(said(&made), [("solved", 0, 198), ("text", 0, 30)]);
    world.advance(2 * HOUR).await;
    let renewal = made[0].invoice_id.clone().expect("the renewal");
    let invoice = shop.scene.stripe.get(&format!("invoices/{renewal}")).await;
    assert_eq!((&invoice["total"], &invoice["status"]), (&json!(3128), &json!("paid")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_may_be_sent_and_another_currency_is_never_mixed_in() {
    let world = world().await;
    let mut shop = Shop::open(&world, "Sent").await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    let text = "days_until_due = 30\n[meters]\nsolved = 1000";
    let mut agreed = new(&shop.org_id, "k", text);
    agreed.agreed.currency = "eur".to_owned();
    contracts::create(&world.engine, agreed).await.expect("made");
    let used = uses(&shop.program, "a", "solved", 1).await;
    assert_eq!(used["billed"]["currency"], "eur");
    crate::overage::past_the_period(&world, &shop.org_id, 60).await;
    let made = lines(&world, &shop.org_id).await;
    let own = made[0].invoice_id.clone().expect("an invoice of its own");
    let invoice = shop.scene.stripe.get(&format!("invoices/{own}")).await;
    assert_eq!((&invoice["currency"], &invoice["total"]), (&json!("eur"), &json!(1000)));
    assert_eq!(invoice["collection_method"], "send_invoice");
    assert!(invoice["parent"]["subscription_details"].is_null(), "{}", invoice["parent"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_that_cannot_be_are_refused_and_nothing_is_made() {
    let world = world().await;
    let program = world.program("Wrong", 0).await;
    let yesterday = server::clock::rfc3339(world.engine.clock.now() - DAY * 1000);
    let cases = [
        ("[meters]\nsmoke = 1".to_owned(), "meters"),
        (format!("ends = \"{yesterday}\"\nreplaces = true"), "ends"),
        ("starts = \"2001-01-01T00:00:00Z\"\nreplaces = true".to_owned(), "starts"),
    ];
    for (text, expected) in cases {
        match try_make(&world, &program.org_id, "k", &text).await {
            Err(Error::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{text}: {other:?}"),
        }
    }
    let unknown = try_make(&world, "org_nobody", "k", "replaces = true").await;
    assert!(matches!(unknown, Err(Error::NotFound(_))), "{unknown:?}");
    assert!(contracts::list(&world.engine.db, None, 10).await.expect("read").is_empty());
    world.end().await;
}
