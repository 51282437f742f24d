//! The operators' page of one org: whether it may use and why, what its customer at Stripe became,
//! and everything that happened to it, page by page.

use std::collections::BTreeSet;

use server::audit::Actor;
use server::db::sql;
use server::units::Credits;
use server::{caps, closing};
use tests::{Page, Person, Program, Shop, World, WorldOptions};

use crate::calls::said;
use crate::operators::operator;

async fn visit(person: &Person, org_id: &str) -> Page {
    let page = person.visit(&format!("/admin/orgs/{org_id}")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    page
}

/// The word beside the org's name.
async fn badge(person: &Person, program: &Program) -> String {
    visit(person, &program.org_id).await.find("main .badge").expect("a badge")
}

/// What follows each of these in an address of the page, to its end or its next part.
fn addressed(page: &Page, name: &str) -> Vec<String> {
    let begins = format!("{name}=");
    let parts = page.html.split(&begins).skip(1);
    let ends = |sign: char| matches!(sign, '&' | '#' | '"');
    parts.filter_map(|part| part.split(ends).next()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_whether_an_org_may_use_and_because_of_what() {
    let world = World::with_free(0).await;
    let olga = operator(&world, "Olga").await;
    let program = world.program("Acme", 0).await;
    assert_eq!(said(&program.consume("a", "text", 1).await), (402, "insufficient_credits"));
    assert_eq!(badge(&olga, &program).await, "No credits left");
    let page = visit(&olga, &program.org_id).await;
    page.must_say("Limit seats");
    page.must_say("Free, tier");
    page.must_say("Use past all credits refused");
    page.must_say("Cap of a period none");
    world.give(&program.org_id, 100, "a").await;
    assert_eq!(badge(&olga, &program).await, "Not blocked");
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    let most = Credits::from_micros(1);
    caps::set(&mut tx, &program.org_id, Some((most, true)), Actor::System, now).await.expect("set");
    tx.commit().await.expect("committed");
    visit(&olga, &program.org_id).await.must_say("0.000001 credits, then refused");
    assert_eq!(badge(&olga, &program).await, "Not blocked");
    let text = "update wallets set period_used = 1 where org_id = $1";
    world.tamper(sql(text).bind(program.org_id.as_str())).await;
    assert_eq!(badge(&olga, &program).await, "At its cap");
    let text = "update wallets set period_used = 0, parked_at = $2, parked_reason = 'a test'
         where org_id = $1";
    world.tamper(sql(text).bind(program.org_id.as_str()).bind(now)).await;
    assert_eq!(badge(&olga, &program).await, "Parked");
    let text = "update wallets set parked_at = null, parked_reason = null where org_id = $1";
    world.tamper(sql(text).bind(program.org_id.as_str())).await;
    // Closed, it is still looked at, and nothing is done for it any more.
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    closing::close(&mut tx, &program.org_id, &Actor::System, "they left", now).await.expect("done");
    tx.commit().await.expect("committed");
    let page = visit(&olga, &program.org_id).await;
    assert_eq!(page.find("main .badge").as_deref(), Some("Closed"));
    page.must_say("This organisation was closed on");
    page.must_say("they left");
    assert!(page.forms().iter().all(|form| !form.action.contains("/api/admin/")), "{page:?}");
    // What is not there says so, with ways that an operator has.
    let none = olga.visit("/admin/orgs/org_nobody").await;
    assert_eq!((none.status, none.link("Organisations").as_deref()), (404, Some("/admin/orgs")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_tells_of_a_customer_that_was_deleted_and_of_what_is_frozen() {
    // B20
    let world = World::with(WorldOptions::nothing_free()).await;
    let olga = operator(&world, "Olga").await;
    let mut shop = Shop::open(&world, "Acme").await;
    visit(&olga, &shop.org_id).await.must_say("not at Stripe yet");
    shop.buy_pack(&world, "turnpike_pack_500").await;
    let customer = shop.scene.customer().await;
    let page = visit(&olga, &shop.org_id).await;
    page.must_say(&customer);
    page.must_say("Everything that Stripe has of this organisation");
    assert!(!page.says("Deleted at Stripe") && !page.says("Frozen"), "{}", page.text());
    shop.scene.stripe.delete(&format!("customers/{customer}"), &[]).await;
    world.settle().await;
    let page = visit(&olga, &shop.org_id).await;
    for what in [&*customer, "Deleted at Stripe", "Frozen 500", "`customers release`"] {
        page.must_say(what);
    }
    assert!(!page.says("has bought nothing") && !page.says("not at Stripe yet"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_read_to_its_beginning_and_sign_ins_are_left_out() {
    let world = World::with_free(0).await;
    let olga = operator(&world, "Olga").await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    for number in 0..25 {
        let page = visit(&olga, &org).await;
        let reason = format!("ticket-{number:02}");
        olga.fill(&page, "grant_credits", &[("credits", "1"), ("reason", &reason)]).await;
    }
    let tickets = |page: &Page, section: &str| {
        let text = page.find(&format!("section[aria-labelledby={section}]")).unwrap_or_default();
        let told = text.match_indices("icket-").filter_map(|(at, word)| {
            text.get(at + word.len()..at + word.len() + 2).map(str::to_owned)
        });
        told.collect::<BTreeSet<_>>()
    };
    for (section, name) in [("movements", "movements_after"), ("audit", "deeds_after")] {
        let first = visit(&olga, &org).await;
        let after = addressed(&first, name).pop().expect("there is more");
        let address = format!("/admin/orgs/{org}?{name}={after}");
        let second = olga.visit(&address).await;
        let (new, old) = (tickets(&first, section), tickets(&second, section));
        assert_eq!((new.len(), old.len()), (20, 5), "{section}: {}", first.text());
        assert_eq!(new.intersection(&old).count(), 0, "{section}");
    }
    let page = visit(&olga, &org).await;
    assert!(!page.says("auth.sign_in"), "{}", page.text());
    let address = format!("/admin/orgs/{org}?sign_ins=1");
    let sign = "insert into audits (id, at, actor_kind, actor_id, org_id, action, subject)
         values ('audit_sign_in', $2, 'system', null, $1, 'auth.sign_in', 'user_1')";
    let later = world.engine.clock.now() + 1;
    world.tamper(sql(sign).bind(&*org).bind(later)).await;
    assert!(!visit(&olga, &org).await.says("auth.sign_in"));
    olga.visit(&address).await.must_say("auth.sign_in");
    world.end().await;
}
