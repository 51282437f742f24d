//! The pages, without JavaScript: caps, keys, the playground, who used what, and how pages travel.

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, VARY};
use server::api_keys::{self, Scope};
use server::audit::Actor;
use tests::{Program, Shop, World};

use crate::recharge::PACK;

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_set_on_the_billing_page_holds_until_it_is_removed() {
    // D22
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    let page = ada.visit("/billing").await;
    let back = ada.fill(&page, "save_cap", &[("credits", "lots"), ("kind", "hard")]).await;
    assert_eq!(back.url.path(), "/billing");
    assert_eq!(back.form("save_cap").value("credits"), Some("lots"), "what was typed is kept");
    let told = back.find("[data-error-for=credits]").unwrap_or_default();
    assert!(!told.is_empty(), "the field has its reason: {}", back.text());
    let saved = ada.fill(&back, "save_cap", &[("credits", "30"), ("kind", "hard")]).await;
    assert_eq!(saved.form("save_cap").value("credits"), Some("30"));
    let secret = world.key(&org, &[Scope::Use, Scope::Read]).await;
    let program = Program::new(&world.url, &secret, &org);
    assert_eq!(program.consume("a", "text", 30).await.status, 200);
    assert_eq!(program.consume("b", "text", 1).await.code(), "cap_reached");
    let page = ada.visit("/billing").await;
    ada.fill(&page, "remove_cap", &[]).await;
    assert_eq!(program.consume("c", "text", 1).await.status, 200);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_playground_form_sent_twice_is_charged_once() {
    // D2
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let page = ada.visit("/playground").await;
    let form = page.form("/api/play").with("work", "image").with("prompt", "a toll gate at dawn");
    for _ in 0..2 {
        let made = ada.submit(&page, &form).await;
        made.must_say("20 credits");
        made.must_say("80 credits");
    }
    let video = ada.visit("/playground").await;
    let form = video.form("/api/play").with("work", "video").with("prompt", "the same at dusk");
    let refused = ada.submit(&video, &form).await;
    refused.must_say("Free does not include video.");
    ada.visit("/credits").await.must_say("−20");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_includes_so_many_keys_and_a_new_one_is_shown_once() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    for name in ["one", "two"] {
        let page = ada.visit("/keys").await;
        let made = ada.fill(&page, "create_key", &[("name", name), ("scope", "use")]).await;
        made.must_say("tp_test_");
        let again = ada.visit("/keys").await;
        again.must_say(name);
        assert!(!again.html.contains(" tp_test_") && !again.says("Copy"), "shown once");
    }
    let page = ada.visit("/keys").await;
    let refused = ada.fill(&page, "create_key", &[("name", "three"), ("scope", "use")]).await;
    refused.must_say("Free includes 2 API keys.");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_is_not_called_bought() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let mut shop = Shop::of(&world, &ada).await;
    let page = ada.visit("/dashboard").await;
    assert!(!page.says("bought") && !page.says("besides"), "{}", page.text());
    shop.buy_pack(&world, PACK).await;
    let page = ada.visit("/dashboard").await;
    page.must_say("plus 500 bought");
    page.must_say("Bought credits 500");
    world.give(&shop.org_id, 30, "sorry").await;
    let page = ada.visit("/dashboard").await;
    page.must_say("plus 530 besides");
    page.must_say("Credits besides 530");
    ada.visit("/billing").await.must_say("You hold 500 bought");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usage_page_names_who_used_it_and_not_by_an_id() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    let page = ada.visit("/playground").await;
    let form = page.form("/api/play").with("work", "text").with("prompt", "a toll gate");
    ada.submit(&page, &form).await.must_say("Made offline from your words.");
    let secret = world.key(&org, &[Scope::Use, Scope::Read]).await;
    assert_eq!(Program::new(&world.url, &secret, &org).consume("a", "text", 2).await.status, 200);
    let page = ada.visit("/usage").await;
    page.must_say("Playground, Ada");
    page.must_say("tests");
    let keys = api_keys::list(&world.engine.db, &org).await.expect("read");
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    api_keys::revoke(&mut tx, &org, &keys[0].id, Actor::System, now).await.expect("revoked");
    tx.commit().await.expect("committed");
    let page = ada.visit("/usage").await;
    page.must_say("tests (revoked)");
    assert!(!page.says("key_") && !page.says("user_"), "{}", page.text());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_leaves_compressed_where_the_browser_can_read_that() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    for path in ["/pricing", "/billing"] {
        let ask = async |accepts: &str| {
            let request = ada.client().get(format!("{}{path}", world.url));
            request.header(ACCEPT_ENCODING, accepts).send().await.expect("an answer")
        };
        let plain = ask("identity").await;
        assert_eq!(plain.headers().get(CONTENT_ENCODING), None, "{path}");
        let plain = plain.text().await.expect("a page");
        let small = ask("br, gzip").await;
        assert_eq!(small.headers()[CONTENT_ENCODING], "br", "{path}");
        let small = small.bytes().await.expect("a page").len();
        let whole = plain.len();
        assert!(small * 3 < whole, "{path}: {small} of {whole} bytes");
        let packed = ask("gzip").await;
        assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip", "{path}");
        assert_eq!(packed.headers()[VARY], "accept-encoding", "{path}");
        let policy = packed.headers()[CONTENT_SECURITY_POLICY].to_str().expect("text").to_owned();
        let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next());
        let packed = packed.bytes().await.expect("a page");
        let mut html = String::new();
        GzDecoder::new(packed.as_ref()).read_to_string(&mut html).expect("unpacked");
        let packed = packed.len();
        assert!(packed * 3 < html.len(), "{path}: {packed} of {} bytes", html.len());
        assert!(html.contains("</main>"), "{path} is there whole: {html}");
        assert!(html.contains(nonce.expect("a nonce")), "{path}: the nonce of the policy");
    }
    world.end().await;
}
