//! API keys: who may call, for whom, and until when.

use reqwest::Method;
use serde_json::Value;
use server::api_keys::{self, Scope};
use server::audit::Actor;
use tests::{Program, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_at_once() {
    let world = World::with_free(0).await;
    let program = world.program("Revoked", 10).await;
    assert_eq!(program.consume("a", "text", 1).await.status, 200);
    let keys = api_keys::list(&world.engine.db, &program.org_id).await.expect("keys");
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    let actor = Actor::Operator("tests".to_owned());
    api_keys::revoke(&mut tx, &program.org_id, &keys[0].id, actor, now).await.expect("revoked");
    tx.commit().await.expect("committed");
    let refused = program.consume("b", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (401, "unauthenticated"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_keys_without_the_scope_are_refused() {
    let world = World::with_free(0).await;
    let program = world.program("Scopes", 10).await;
    let reader = world.key(&program.org_id, &[Scope::Read]).await;
    let reader = Program::new(&world.url, &reader, &program.org_id);
    assert_eq!(reader.available().await, "10");
    let refused = reader.consume("k", "text", 1).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "scope_missing"));
    for secret in ["", "tp_test_", "tp_test_0000", "sk_test_simulator"] {
        let stranger = Program::new(&world.url, secret, "");
        let refused = stranger.consume("k", "text", 1).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (401, "unauthenticated"));
        assert_eq!(stranger.get("balance").await.status, 401);
    }
    world.end().await;
}

const READ: Scope = Scope::Read;
const USE: Scope = Scope::Use;

/// Every route of `/v1`, and the scope that it asks for.
const ROUTES: [(&str, &str, Scope); 16] = [
    ("post", "/authorize", READ),
    ("post", "/consume", USE),
    ("post", "/holds", USE),
    ("get", "/holds/{id}", READ),
    ("post", "/holds/{id}/extend", USE),
    ("post", "/holds/{id}/capture", USE),
    ("post", "/holds/{id}/release", USE),
    ("post", "/usage/{id}/reverse", USE),
    ("post", "/usage/batch", USE),
    ("get", "/runs/{run}", READ),
    ("post", "/runs/{run}/release", USE),
    ("get", "/balance", READ),
    ("get", "/entitlements", READ),
    ("get", "/usage", READ),
    ("get", "/ledger", READ),
    ("get", "/decisions/{id}", READ),
];

/// Status and code of a knock on a route, with this secret where one is given.
async fn knock(world: &World, method: &str, path: &str, secret: Option<&str>) -> (u16, String) {
    let method: Method = method.to_uppercase().parse().expect("a method");
    let path = path.replace("{id}", "thing_1").replace("{run}", "run_1");
    let request = reqwest::Client::new().request(method.clone(), format!("{}/v1{path}", world.url));
    let request = match method {
        Method::POST => request.header("idempotency-key", "k").json(&serde_json::json!({})),
        _ => request,
    };
    let request = match secret {
        Some(secret) => request.bearer_auth(secret),
        None => request,
    };
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.expect("JSON");
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_strangers_and_every_write_keys_that_may_only_read() {
    let world = World::with_free(0).await;
    let program = world.program("Doors", 10).await;
    let reader = world.key(&program.org_id, &[Scope::Read]).await;
    for (method, path, scope) in ROUTES {
        let at = format!("{method} {path}");
        for secret in [None, Some("tp_test_0000")] {
            let stranger = knock(&world, method, path, secret).await;
            assert_eq!(stranger, (401, "unauthenticated".to_owned()), "{at}");
        }
        let (status, code) = knock(&world, method, path, Some(&reader)).await;
        match scope {
            Scope::Use => assert_eq!((status, code.as_str()), (403, "scope_missing"), "{at}"),
            Scope::Read => assert!(matches!(status, 200 | 404), "{at}: {status} {code}"),
        }
        // Whoever may spend gets past the door, to what is wrong with the request.
        let (status, code) = knock(&world, method, path, Some(&program.secret)).await;
        assert!(matches!(status, 200 | 400 | 404), "{at}: {status} {code}");
    }
    assert_eq!(program.available().await, "10");
    world.end().await;
}

#[test]
fn the_table_of_routes_is_whole() {
    let source = include_str!("../../../server/src/http/v1/mod.rs");
    let routed = source.lines().filter_map(|line| line.trim().strip_prefix(".route(\""));
    let routed: Vec<(&str, &str)> = routed
        .map(|rest| {
            let (path, handler) = rest.split_once("\", ").expect("a path and its handler");
            let (method, _) = handler.split_once('(').expect("a method");
            (method, path)
        })
        .collect();
    assert_eq!(routed, ROUTES.map(|(method, path, _)| (method, path)));
}
