//! Signing up and in, without JavaScript: what was typed is kept, the password never is.

use tests::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_form_comes_back_with_what_was_typed_and_the_reason() {
    let world = World::new().await;
    world.sign_up("Taken").await;
    let good = "a good long passphrase";
    let long = "x".repeat(201);
    let cases = [
        ("", "new@example.com", good, "name"),
        ("Ada", "not an address", good, "email"),
        ("Ada", "taken@example.com", good, "email"),
        ("Ada", "new@example.com", "short", "password"),
        ("Ada", "new@example.com", long.as_str(), "password"),
    ];
    for (name, email, password, field) in cases {
        let person = world.stranger();
        let page = person.visit("/sign-up").await;
        let values = [("name", name), ("email", email), ("password", password)];
        let back = person.fill(&page, "sign_up", &values).await;
        assert_eq!(back.url.path(), "/sign-up");
        let form = back.form("sign_up");
        assert_eq!(form.value("name"), Some(name));
        assert_eq!(form.value("email"), Some(email));
        assert_eq!(form.value("password"), Some(""), "a password is never sent back");
        let told = back.find(&format!("[data-error-for={field}]")).unwrap_or_default();
        assert!(!told.is_empty(), "{field} has its reason: {}", back.text());
        assert!(!back.html.contains(password) || password.is_empty());
        // The reason is gone when the page is opened again.
        let again = person.visit("/sign-up").await;
        assert_eq!(again.find(&format!("[data-error-for={field}]")).unwrap_or_default(), "");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_does_not_tell_who_has_an_account() {
    let world = World::new().await;
    let known = world.sign_up("Known").await;
    let mut texts = Vec::new();
    for email in [known.email.as_str(), "nobody@example.com"] {
        let person = world.stranger();
        let page = person.visit("/sign-in").await;
        let values = [("email", email), ("password", "a wrong passphrase")];
        let back = person.fill(&page, "sign_in", &values).await;
        assert_eq!(back.url.path(), "/sign-in");
        back.must_say("do not match");
        texts.push(back.text());
    }
    assert_eq!(texts[0], texts[1]);
    let person = world.stranger();
    let page = person.visit("/sign-in").await;
    let values = [("email", known.email.as_str()), ("password", known.password.as_str())];
    let inside = person.fill(&page, "sign_in", &values).await;
    assert_eq!(inside.url.path(), "/dashboard");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_a_password_is_slowed_down() {
    let world = World::new().await;
    // Tries are counted in windows of fifteen minutes: all of these fall into one.
    world.pass_to_next(15 * server::clock::MINUTE).await;
    let known = world.sign_up("Guessed").await;
    let person = world.stranger();
    let mut told = String::new();
    for _ in 0..12 {
        let page = person.visit("/sign-in").await;
        let values = [("email", known.email.as_str()), ("password", "a wrong passphrase")];
        told = person.fill(&page, "sign_in", &values).await.text();
    }
    assert!(told.contains("Too many"), "{told}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_sent_to_the_sign_in_page_and_back_again() {
    let world = World::new().await;
    let known = world.sign_up("Returning").await;
    let person = world.stranger();
    let page = person.visit("/usage").await;
    assert_eq!(page.url.path(), "/sign-in");
    let values = [("email", known.email.as_str()), ("password", known.password.as_str())];
    let inside = person.fill(&page, "sign_in", &values).await;
    assert_eq!(inside.url.path(), "/usage");
    let out = known.visit("/dashboard").await;
    let out = known.fill(&out, "sign_out", &[]).await;
    assert!(["/", "/sign-in"].contains(&out.url.path()));
    assert_eq!(known.visit("/dashboard").await.url.path(), "/sign-in");
    // Nobody is sent to another site after signing in.
    for next in ["//evil.example", "https://evil.example", "/\\evil.example"] {
        let person = world.stranger();
        let page = person.visit(&format!("/sign-in?next={next}")).await;
        let values = [("email", known.email.as_str()), ("password", known.password.as_str())];
        let inside = person.fill(&page, "sign_in", &values).await;
        assert_eq!(inside.url.path(), "/dashboard", "{next}");
    }
    world.end().await;
}
