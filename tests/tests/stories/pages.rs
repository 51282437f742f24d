//! The signed-in pages, without JavaScript: caps, keys and the playground.

use server::api_keys::Scope;
use tests::{Program, World};

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
