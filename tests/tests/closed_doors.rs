//! Every door is knocked on: as a stranger, as somebody from another org, and by another site.

use std::collections::BTreeSet;

use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION, ORIGIN};
use reqwest::redirect::Policy;
use tests::World;

/// The doors that everybody may use.
const OPEN: [&str; 3] = ["/api/public/sign_in", "/api/public/sign_out", "/api/public/sign_up"];

fn doors() -> BTreeSet<String> {
    let all = leptos::server_fn::axum::server_fn_paths();
    all.map(|(path, _)| path.to_owned()).collect()
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(Policy::none()).build().expect("a client")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_function_is_listed_and_no_stranger_gets_past_it() {
    let world = World::new().await;
    let doors = doors();
    let written = server_functions_in_the_source();
    assert_eq!(doors.len(), written, "every #[server] function has an address of its own");
    for path in doors.iter().filter(|path| !OPEN.contains(&path.as_str())) {
        for accept in ["application/json", "text/html"] {
            let answer = client()
                .post(format!("{}{path}", world.url))
                .header(ACCEPT, accept)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(ORIGIN, &world.url)
                .body("")
                .send()
                .await
                .expect("an answer");
            match accept {
                "text/html" => {
                    let to = answer.headers().get(LOCATION).expect("sent elsewhere");
                    let to = to.to_str().expect("an address");
                    assert!(to.starts_with("/sign-in"), "{path} → {to}");
                }
                _ => assert_eq!(answer.status(), 401, "{path}"),
            }
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn doors_of_operators_are_not_there_for_an_owner() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let (org, all) = (world.org_of(&ada).await, doors());
    let operators: Vec<&String> =
        all.iter().filter(|path| path.starts_with("/api/admin/")).collect();
    assert!(operators.len() >= 8, "{operators:?}");
    let full = format!("org={org}&credits=5&reason=r&key=k&terms=t&grounds=g&cause=c&contract=x");
    for path in operators.into_iter().map(String::as_str).chain(["/api/admin/none"]) {
        for body in ["", full.as_str()] {
            let answer = ada
                .client()
                .post(format!("{}{path}", world.url))
                .header(ACCEPT, "application/json")
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(ORIGIN, &world.url)
                .body(body.to_owned())
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.status(), 404, "{path} {body}");
        }
    }
    let text = "select count(*) from audits where action not in ('orgs.create', 'auth.sign_in')";
    assert_eq!(world.rows::<(i64,)>(server::db::sql(text)).await, [(0,)], "nothing was done");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_site_cannot_send_our_forms() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    for path in doors() {
        let answer = ada
            .client()
            .post(format!("{}{path}", world.url))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ORIGIN, "https://evil.example")
            .header("sec-fetch-site", "cross-site")
            .body("")
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 403, "{path}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_the_app_send_strangers_to_the_sign_in_page() {
    let world = World::new().await;
    let pages = [
        "/dashboard",
        "/usage",
        "/credits",
        "/billing",
        "/billing/card",
        "/billing/change",
        "/keys",
        "/playground",
        "/settings",
        "/admin",
        "/admin/findings",
        "/admin/inbox",
        "/admin/inbox/evt_1",
        "/admin/jobs",
        "/admin/orgs",
        "/admin/orgs/org_1",
    ];
    for page in pages {
        let answer = client()
            .get(format!("{}{page}", world.url))
            .header(ACCEPT, "text/html")
            .send()
            .await
            .expect("an answer");
        let to = answer.headers().get(LOCATION).map(|to| to.to_str().expect("an address"));
        assert!(to.is_some_and(|to| to.starts_with("/sign-in?next=")), "{page}: {to:?}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn things_of_another_org_are_not_found() {
    let world = World::new().await;
    let ada = world.sign_up("Ada").await;
    let bob = world.sign_up("Bob").await;
    let org = world.org_of(&bob).await;
    let secret = world.key(&org, &[server::api_keys::Scope::Use]).await;
    let keys = server::api_keys::list(&world.engine.db, &org).await.expect("keys");
    let page = ada.visit("/keys").await;
    let form = tests::Form {
        action: "/api/revoke_key".to_owned(),
        post: true,
        fields: vec![("key_id".to_owned(), keys[0].id.clone())],
        buttons: Vec::new(),
    };
    ada.submit(&page, &form).await;
    let program = tests::Program::new(&world.url, &secret, &org);
    assert_eq!(program.consume("k", "text", 1).await.status, 200, "the key still works");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_carries_the_headers_that_close_it() {
    let world = World::new().await;
    for page in ["/", "/pricing", "/sign-in", "/sign-up", "/nowhere"] {
        let answer = client()
            .get(format!("{}{page}", world.url))
            .header(ACCEPT, "text/html")
            .send()
            .await
            .expect("an answer");
        let header = |name: &str| {
            let value = answer.headers().get(name).map(|value| value.to_str().expect("text"));
            value.unwrap_or_default().to_owned()
        };
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{page}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{page}: {policy}");
        assert!(!policy.contains("'unsafe-inline'"), "{page}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{page}");
        assert!(!header("referrer-policy").is_empty(), "{page}");
        let html = answer.text().await.expect("a page");
        assert!(!html.contains(" style=\""), "{page} has inline styles");
    }
    world.end().await;
}

/// How many server functions the source declares.
fn server_functions_in_the_source() -> usize {
    let app = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../app/src");
    let files = walkdir::WalkDir::new(app).into_iter().filter_map(Result::ok);
    let sources = files.filter(|file| file.path().extension().is_some_and(|end| end == "rs"));
    let counts = sources.map(|file| {
        let text = std::fs::read_to_string(file.path()).expect("readable");
        text.lines().filter(|line| line.trim_start().starts_with("#[server(prefix")).count()
    });
    counts.sum()
}
