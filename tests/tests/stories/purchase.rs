//! From prices to credits and back, without JavaScript: subscribe, pay, renew, top up, cancel.

use tests::{Page, Person, World};

const CARD: [(&str, &str); 4] =
    [("number", "4242424242424242"), ("expiry", "12 / 34"), ("cvc", "123"), ("name", "Ada")];

/// Chooses the plan whose form carries this price, and arrives at the card page.
async fn choose(person: &Person, path: &str, form: &str, price: &str) -> Page {
    let page = person.visit(path).await;
    let mut forms = page.forms().into_iter().filter(|one| one.action.contains(form));
    let sells = |one: tests::Form| match one.fields.iter().any(|(_, value)| value == price) {
        true => Some(one),
        false => one.pressed(price),
    };
    let form = forms.find_map(sells);
    let form = form.unwrap_or_else(|| panic!("no {price} to buy: {}", page.text()));
    person.submit(&page, &form).await
}

async fn price_of(world: &World, lookup_key: &str) -> String {
    let text = "select price_id from catalog_prices where lookup_key = $1";
    let statement = server::db::sql(text).bind(lookup_key);
    let found = world.engine.db.optional::<(String,)>(statement).await.expect("read");
    found.unwrap_or_else(|| panic!("no price {lookup_key}")).0
}

/// Buys the plan Pro for a month, as people do.
pub async fn subscribe(world: &World, person: &Person) -> Page {
    let price = price_of(world, "turnpike_pro_month").await;
    let card = choose(person, "/pricing", "subscribe", &price).await;
    card.must_say("Pro");
    let back = person.fill(&card, "/c/pay/", &CARD).await;
    assert!(back.url.as_str().starts_with(&world.url), "back at the site: {}", back.url);
    world.settle().await;
    back
}

/// Buys a pack, as people do; answers the page that they come back to.
pub async fn buy_pack(world: &World, person: &Person, lookup_key: &str) -> Page {
    let price = price_of(world, lookup_key).await;
    let card = choose(person, "/billing", "buy_pack", &price).await;
    let back = person.fill(&card, "/c/pay/", &CARD).await;
    assert!(back.url.as_str().starts_with(&world.url), "back at the site: {}", back.url);
    back
}

async fn available(world: &World, org: &str) -> String {
    let balance = server::gate::standing(&world.engine, org).await.expect("a balance");
    balance.available.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_paid_once_and_its_credits_come_once() {
    // A3, B2
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    assert_eq!(available(&world, &org).await, "100");
    subscribe(&world, &ada).await;
    assert_eq!(available(&world, &org).await, "2000");
    ada.visit("/dashboard").await.must_say("Pro");
    // Every event again, twice: nothing changes. (I14)
    let events = world.ask("events?limit=100").await;
    for event in events["data"].as_array().expect("events") {
        let id = event["id"].as_str().expect("an id");
        let twice = serde_json::json!({ "times": 2 });
        world.control(&format!("events/{id}/resend"), twice).await;
    }
    world.settle().await;
    assert_eq!(available(&world, &org).await, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_says_so_and_grants_nothing() {
    // B3
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    let price = price_of(&world, "turnpike_pro_month").await;
    let card = choose(&ada, "/pricing", "subscribe", &price).await;
    let mut values = CARD;
    values[0].1 = "4000000000000002";
    let declined = ada.fill(&card, "/c/pay/", &values).await;
    declined.must_say("Your card was declined.");
    world.settle().await;
    assert_eq!(available(&world, &org).await, "100");
    let back = ada.fill(&declined, "/c/pay/", &CARD).await;
    assert!(back.url.as_str().starts_with(&world.url));
    world.settle().await;
    assert_eq!(available(&world, &org).await, "2000");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_replaces_the_allowance_and_keeps_the_pack() {
    // B5, B18
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    subscribe(&world, &ada).await;
    buy_pack(&world, &ada, "turnpike_pack_500").await;
    world.settle().await;
    assert_eq!(available(&world, &org).await, "2500");
    let secret =
        world.key(&org, &[server::api_keys::Scope::Use, server::api_keys::Scope::Read]).await;
    let program = tests::Program::new(&world.url, &secret, &org);
    assert_eq!(program.consume("a", "image", 50).await.status, 200);
    assert_eq!(available(&world, &org).await, "1500");
    world.advance(32 * 86_400).await;
    assert_eq!(available(&world, &org).await, "2500");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn canceling_at_period_end_keeps_access_until_then_and_can_be_undone() {
    // B11, B12
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    subscribe(&world, &ada).await;
    let cancel = async |path: &'static str| {
        let page = ada.visit("/billing").await;
        let portal = ada.fill(&page, "open_portal", &[("task", "")]).await;
        portal.must_say("Pro");
        let page = match path {
            "/resume" => portal,
            _ => {
                let link = portal.link("Cancel").expect("a way to cancel");
                let url = portal.url.join(&link).expect("an address");
                ada.visit(url.as_str()).await
            }
        };
        ada.fill(&page, path, &[]).await;
        world.settle().await;
    };
    cancel("/cancel").await;
    ada.visit("/billing").await.must_say("Ends");
    assert_eq!(available(&world, &org).await, "2000");
    cancel("/resume").await;
    let page = ada.visit("/billing").await;
    assert!(!page.says("Ends on"), "{}", page.text());
    cancel("/cancel").await;
    world.advance(32 * 86_400).await;
    // The paid allowance is over; this month's free one was not opened yet.
    assert_eq!(available(&world, &org).await, "100");
    ada.visit("/dashboard").await.must_say("Free");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_renewal_is_forgiven_for_its_grace_and_then_refused_until_paid() {
    // B13
    let world = World::new().await;
    world.to_july().await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    let price = price_of(&world, "turnpike_pro_month").await;
    let card = choose(&ada, "/pricing", "subscribe", &price).await;
    ada.fill(&card, "/c/pay/", &CARD).await;
    world.settle().await;
    // The card is replaced by one that fails when charged.
    let page = ada.visit("/billing").await;
    let portal = ada.fill(&page, "open_portal", &[("task", "")]).await;
    let link = portal.link("pdate").expect("a way to update the card");
    let form = ada.visit(portal.url.join(&link).expect("an address").as_str()).await;
    let mut values = CARD;
    values[0].1 = "4000000000000341";
    ada.fill(&form, "/card", &values).await;
    world.settle().await;
    let secret =
        world.key(&org, &[server::api_keys::Scope::Use, server::api_keys::Scope::Read]).await;
    let program = tests::Program::new(&world.url, &secret, &org);
    assert_eq!(program.consume("a", "text", 1).await.status, 200);
    world.advance(31 * 86_400 + 7_200).await;
    assert_eq!(program.consume("b", "text", 1).await.status, 200, "within the grace");
    world.advance(4 * 86_400).await;
    let refused = program.consume("c", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "payment_past_due"));
    let entitled = program.get("entitlements").await.body;
    let since = entitled["blocks"][0]["since"].as_str().expect("a time as programs read it");
    assert!(server::clock::parse_rfc3339(since).is_some(), "{since}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_on_the_development_page_lives_through_a_renewal() {
    // B5, F12
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    subscribe(&world, &ada).await;
    let page = ada.visit("/playground").await;
    let form = page.form("/api/play").with("work", "video").with("prompt", "a month goes by");
    ada.submit(&page, &form).await.must_say("100 credits");
    assert_eq!(available(&world, &org).await, "1900");
    for step in ["month", "day"] {
        let page = ada.visit("/dev").await;
        let form = page.form("/dev/clock").with("step", step);
        ada.submit(&page, &form).await.must_say("It is");
        world.settle().await;
    }
    assert_eq!(available(&world, &org).await, "2000");
    ada.visit("/credits").await.must_say("Followed by the next allowance");
    world.end().await;
}
