//! The operators' view of orgs: nothing to everybody else, and what operators do there is done
//! once, with a reason, and written down.

use futures::future::join_all;
use serde_json::json;
use server::audit::Actor;
use server::auth::{accounts, operators};
use server::catalog;
use server::contracts;
use server::db::sql;
use server::error::Error;
use server::findings::{self, NewFinding};
use tests::{Page, Person, Program, Shop, World, WorldOptions};

use crate::calls::said;

const ADDRESSES: [&str; 5] =
    ["/admin", "/admin/orgs", "/admin/findings", "/admin/inbox", "/admin/jobs"];

fn shell() -> Actor {
    Actor::Operator("command line".to_owned())
}

/// Somebody who signed up and was made an operator at the command line.
pub async fn operator(world: &World, name: &str) -> Person {
    let person = world.sign_up(name).await;
    let added = operators::add(&world.engine, &person.email, "they asked", shell()).await;
    assert!(added.expect("added"), "new");
    person
}

/// What was written into the audit trail with this action: who, whose, why.
async fn audits(world: &World, action: &str) -> Vec<(String, Option<String>, Option<String>)> {
    let text = "select actor_id, org_id, reason from audits
         where action = $1 and actor_kind = 'operator' order by at, id";
    world.rows(sql(text).bind(action)).await
}

async fn org_page(person: &Person, program: &Program) -> Page {
    let page = person.visit(&format!("/admin/orgs/{}", program.org_id)).await;
    assert_eq!(page.status, 200, "{}", page.text());
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn to_everybody_else_there_is_nothing() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let org = format!("/admin/orgs/{}", world.org_of(&ada).await);
    let nowhere = ada.visit("/nowhere").await;
    for address in ADDRESSES.into_iter().chain([org.as_str(), "/admin/inbox/evt_1"]) {
        let page = ada.visit(address).await;
        assert_eq!(page.status, 404, "{address}");
        assert_eq!(page.find("title"), nowhere.find("title"), "{address}");
        assert_eq!(page.text(), nowhere.text(), "{address}");
        let stranger = world.stranger().visit(address).await;
        assert_eq!(stranger.url.path(), "/sign-in", "{address}");
    }
    assert_eq!(ada.visit("/dashboard").await.link("Operator view"), None);
    // An operator from the next page on, and none any more as soon.
    let engine = &world.engine;
    assert!(operators::add(engine, &ada.email, "support", shell()).await.expect("added"));
    assert!(!operators::add(engine, "ADA@example.com", "again", shell()).await.expect("the same"));
    let link = ada.visit("/dashboard").await.link("Operator view");
    assert_eq!(link.as_deref(), Some("/admin"));
    for address in ADDRESSES.into_iter().chain([org.as_str()]) {
        let page = ada.visit(address).await;
        assert_eq!(page.status, 200, "{address}: {}", page.text());
        assert_eq!(page.link("Leave operator view").as_deref(), Some("/dashboard"), "{address}");
        let title = page.find("title").unwrap_or_default();
        assert!(title.contains("Operator view"), "{address}: {title}");
    }
    assert_eq!(ada.visit("/admin/orgs/org_nobody").await.status, 404);
    operators::remove(engine, &ada.email, "left", shell()).await.expect("removed");
    assert_eq!(ada.visit("/admin").await.status, 404);
    let none = operators::remove(engine, &ada.email, "again", shell()).await;
    assert!(matches!(none, Err(Error::NotFound(_))), "{none:?}");
    let unknown = operators::add(engine, "nobody@example.com", "support", shell()).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))), "{unknown:?}");
    let unsaid = operators::add(engine, &ada.email, " ", shell()).await;
    assert!(matches!(unsaid, Err(Error::Invalid { .. })), "{unsaid:?}");
    assert_eq!(audits(&world, "operators.add").await.len(), 1);
    let removed = audits(&world, "operators.remove").await;
    assert_eq!(removed, [("command line".to_owned(), None, Some("left".to_owned()))]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_grants_once() {
    // F6
    let world = World::with_free(0).await;
    let olga = operator(&world, "Olga").await;
    let program = world.program("Acme", 0).await;
    let page = org_page(&olga, &program).await;
    let form = page.form("grant_credits").with("credits", "1,500").with("reason", "ticket 4471");
    let clicks = join_all((0..4).map(|_| olga.submit(&page, &form))).await;
    assert!(clicks.iter().all(|page| page.status == 200 && page.url == clicks[0].url));
    assert_eq!(program.available().await, "1500");
    let who = ("olga@example.com".to_owned(), Some(program.org_id.clone()));
    let deed = (who.0, who.1, Some("ticket 4471".to_owned()));
    assert_eq!(audits(&world, "wallet.adjust").await, [deed]);
    // The same form with something else in it is no second grant either.
    let other = olga.submit(&page, &form.clone().with("credits", "2000")).await;
    other.must_say("Nothing was done.");
    assert_eq!(program.available().await, "1500");
    // A page that is loaded again has a form of its own.
    let page = org_page(&olga, &program).await;
    page.must_say("ticket 4471");
    let given = [("credits", "0.5"), ("reason", "and a half")];
    olga.fill(&page, "grant_credits", &given).await.must_say("0.5 credits were given to Acme");
    assert_eq!(program.available().await, "1500.5");
    for (credits, reason, wrong) in [
        ("", "r", "credits"),
        ("-5", "r", "credits"),
        ("lots", "r", "credits"),
        ("12,50", "r", "credits"),
        ("9,000,000,000,000", "r", "credits"),
        ("5", "", "reason"),
        ("5", "a\0b", "reason"),
        ("", "", "credits"),
        ("", "", "reason"),
    ] {
        let values = [("credits", credits), ("reason", reason)];
        let back = olga.fill(&page, "grant_credits", &values).await;
        let told = back.find(&format!("[data-error-for={wrong}]")).unwrap_or_default();
        assert!(!told.is_empty(), "{credits} {reason}: {}", back.text());
        assert_eq!(back.form("grant_credits").value("credits"), Some(credits));
    }
    assert_eq!(program.available().await, "1500.5");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_made_on_the_page_allows_what_it_says_and_is_ended_there() {
    let world = World::new().await;
    let olga = operator(&world, "Olga").await;
    let program = world.program("Acme", 0).await;
    assert_eq!(said(&program.consume("a", "video", 1).await), (403, "feature_not_included"));
    // What is wrong comes back with everything that was typed; the example itself names nothing.
    let page = org_page(&olga, &program).await;
    let example = page.form("make_contract").value("terms").expect("an example").to_owned();
    let wrong = "name = \"Acme\"\ncurrency = \"usd\"\n[meters]\nsmoke = 1";
    let colour = "name = \"Acme\"\ncurrency = \"usd\"\ncolour = 1";
    let nowhere = "name = \"Acme\"\ncurrency = \"zzz\"\nreplaces = true";
    for (terms, reason, field, told) in [
        (example.as_str(), "they asked", "terms", "name"),
        (colour, "they asked", "terms", "line 3: unknown field"),
        (nowhere, "they asked", "terms", "“zzz” is none that Stripe bills in"),
        (wrong, "they asked", "terms", "no meter smoke"),
        ("name = \"Acme\"\ncurrency = \"usd\"\nreplaces = true", "", "grounds", "Say why"),
    ] {
        let values = [("terms", terms), ("grounds", reason)];
        let back = olga.fill(&page, "make_contract", &values).await;
        let error = back.find(&format!("[data-error-for={field}]")).unwrap_or_default();
        assert!(error.contains(told), "{terms}: {error}");
        assert_eq!(back.form("make_contract").value("terms").map(str::trim), Some(terms.trim()));
    }
    let db = &world.engine.db;
    assert!(contracts::list(db, None, 10).await.expect("read").is_empty(), "nothing was made");
    let terms = "name = \"Acme 2027\"\ncurrency = \"usd\"\nincluded_credits = 500\n\
         features = [\"video\"]\n[limits]\nseats = 50";
    let page = org_page(&olga, &program).await;
    let form = page.form("make_contract").with("terms", terms).with("grounds", "they asked");
    let clicks = join_all((0..2).map(|_| olga.submit(&page, &form))).await;
    let made = contracts::list(db, Some(&program.org_id), 10).await.expect("read");
    assert_eq!(made.len(), 1, "{}", clicks[0].text());
    assert_eq!(made[0].created_by, "operator:olga@example.com");
    let page = org_page(&olga, &program).await;
    page.must_say("500 credits each month. Features: video. Limits: seats 50.");
    page.must_say("Acme 2027, contract");
    assert_eq!(program.available().await, "600");
    assert_eq!(program.consume("b", "video", 1).await.status, 200);
    // Ending asks first, and for a reason.
    let link = page.find(".plain a.danger").expect("a way to end it");
    assert_eq!(link, "End");
    let ask = format!("/admin/orgs/{}?end={}", program.org_id, made[0].id);
    let asked = olga.visit(&ask).await;
    let back = olga.fill(&asked, "end_contract", &[("cause", "")]).await;
    back.must_say("Say why");
    assert_eq!(program.consume("c", "video", 1).await.status, 200);
    let over = olga.fill(&back, "end_contract", &[("cause", "it was agreed")]).await;
    over.must_say("The contract Acme 2027 is ended.");
    assert_eq!(said(&program.consume("d", "video", 1).await), (403, "feature_not_included"));
    let deed = audits(&world, "contracts.end").await;
    assert_eq!(deed[0].2.as_deref(), Some("it was agreed"));
    assert_eq!(deed[0].0, "olga@example.com");
    assert!(
        olga.visit(&ask).await.forms().iter().all(|form| !form.action.contains("end_contract"))
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_stripe_anew_finds_what_no_webhook_told() {
    let world = World::with(WorldOptions::nothing_free()).await;
    let olga = operator(&world, "Olga").await;
    let mut shop = Shop::open(&world, "Acme").await;
    let page = org_page(&olga, &shop.program).await;
    olga.fill(&page, "look_anew", &[]).await.must_say("no customer at Stripe");
    shop.card(&world, "pm_card_visa").await;
    world.control("faults", json!({ "webhooks": { "drop": 1.0 } })).await;
    shop.subscribe(&world, "turnpike_pro_month").await;
    let payment = shop.buy_pack(&world, "turnpike_pack_500").await;
    assert_eq!(shop.standing().await.0, "0");
    let page = org_page(&olga, &shop.program).await;
    let done = olga.fill(&page, "look_anew", &[]).await;
    done.must_say("as Stripe says now");
    done.must_say("Pro");
    assert_eq!(shop.standing().await.0, "2500");
    // Again, it only finds the same; and a refund is found, too.
    olga.fill(&page, "look_anew", &[]).await.must_say("as Stripe says now");
    assert_eq!(shop.standing().await.0, "2500");
    let bought = shop.scene.stripe.get(&format!("payment_intents/{payment}")).await;
    let whole = bought["amount"].as_i64().expect("an amount");
    shop.refund(&world, &payment, whole).await;
    assert_eq!(shop.standing().await.0, "2500");
    olga.fill(&page, "look_anew", &[]).await.must_say("as Stripe says now");
    assert_eq!(shop.standing().await.0, "2000");
    assert_eq!(audits(&world, "reconciliation.look_anew").await.len(), 4);
    // Stripe away: nothing is changed, and the page and the trail say so.
    world.control("faults", json!({ "api": { "status": 500, "count": 1_000_000 } })).await;
    let away = olga.fill(&page, "look_anew", &[]).await;
    away.must_say("Stripe did not answer. What was read so far is kept");
    assert!(!away.says("Nothing was charged"), "{}", away.text());
    assert_eq!(audits(&world, "reconciliation.look_anew").await.len(), 5);
    world.control("faults", json!({ "api": null, "webhooks": {} })).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_org_is_found_by_name_id_or_a_members_address() {
    let world = World::with_free(0).await;
    let olga = operator(&world, "Olga").await;
    let mut orgs = Vec::new();
    for number in 0..60 {
        let (name, owner) = (format!("Org {number:02}_x"), format!("owner{number}@many.example"));
        let made = accounts::create_org(&world.engine, &name, &owner, shell()).await;
        orgs.push(made.expect("made"));
    }
    let search = async |words: &str| {
        let page = olga.visit("/admin/orgs").await;
        let form = page.form("/admin/orgs").with("q", words);
        olga.submit(&page, &form).await
    };
    for words in ["org 07_X", orgs[7].as_str(), "Owner7@many"] {
        let found = search(words).await;
        found.must_say("Org 07_x");
        assert!(!found.says("Org 08_x"), "{words}: {}", found.text());
    }
    search("100%").await.must_say("Nothing found");
    search("rg_0").await.must_say("Nothing found");
    // Everybody, in pages, nobody twice.
    let mut page = olga.visit("/admin/orgs?q=many.example").await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.extend(orgs.iter().filter(|id| page.html.contains(&format!("/admin/orgs/{id}\""))));
        let Some(older) = page.link("Older") else { break };
        page = olga.visit(&older).await;
    }
    assert_eq!(seen.len(), 60);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 60);
    let beyond = olga.visit(&format!("/admin/orgs?q=many&after={}", orgs[0])).await;
    beyond.must_say("No more organisations");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_counts_what_needs_a_person() {
    let world = World::with_free(0).await;
    let olga = operator(&world, "Olga").await;
    let count = async |what: &str| {
        let page = olga.visit("/admin").await;
        page.find(&format!("a[aria-label^=\"{what}\"]")).expect("a number")
    };
    assert_eq!(count("Findings open").await, "0");
    assert_eq!(count("Wallets parked").await, "0");
    olga.visit("/admin").await.must_say("All is well");
    let program = world.program("Parked", 10).await;
    let now = world.engine.clock.now();
    let text = "update wallets set parked_at = $2, parked_reason = 'a test' where org_id = $1";
    world.tamper(sql(text).bind(program.org_id.as_str()).bind(now)).await;
    let found = NewFinding {
        kind: "event_dead",
        subject: "evt_1",
        org_id: None,
        message: "it failed",
        detail: None,
    };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    findings::record(&mut tx, &found, now).await.expect("recorded");
    tx.commit().await.expect("committed");
    assert_eq!(count("Findings open").await, "1");
    assert_eq!(count("Wallets parked").await, "1");
    olga.visit("/admin").await.must_say("a test");
    org_page(&olga, &program).await.must_say("The wallet is parked");
    // A product that cannot be sold is named with what is wrong.
    let stripe = tests::Stripe::at(&world.stripe);
    let products = stripe.get("products?limit=100").await;
    let product = products["data"][0]["id"].as_str().expect("a product").to_owned();
    let wrong = [("metadata[kind]", "spaceship")];
    stripe.post(&format!("products/{product}"), &wrong).await;
    catalog::refresh(&world.engine).await.expect("refreshed");
    let page = olga.visit("/admin").await;
    page.must_say("Something is not sold");
    page.must_say(&product);
    let text = "update wallets set parked_at = null, parked_reason = null";
    world.tamper(sql(text)).await;
    world.end().await;
}
