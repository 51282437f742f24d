//! A product's own backend: one key that acts for every org, naming it with each request.

use reqwest::Method;
use serde_json::{Value, json};
use server::api_keys::{self, NewKey, Scope};
use server::audit::Actor;
use tests::World;

async fn service_key(world: &World, scopes: &[Scope]) -> String {
    let new = NewKey {
        org: None,
        name: "backend".to_owned(),
        scopes: scopes.to_vec(),
        created_by: Actor::Operator("tests".to_owned()),
    };
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let now = world.engine.clock.now();
    let made = api_keys::create(&mut tx, new, false, now).await.expect("a key");
    tx.commit().await.expect("committed");
    made.1
}

/// Status and body of a request in an org's name.
async fn ask(
    world: &World,
    secret: &str,
    org: Option<&str>,
    path: &str,
    write: Option<(&str, Value)>,
) -> (u16, Value) {
    let method = if write.is_some() { Method::POST } else { Method::GET };
    let url = format!("{}/v1/{path}", world.url);
    let mut request = reqwest::Client::new().request(method, url).bearer_auth(secret);
    if let Some(org) = org {
        request = request.header("turnpike-org", org);
    }
    if let Some((key, body)) = write {
        request = request.header("idempotency-key", key).json(&body);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_key_acts_for_the_org_it_names() {
    // D20
    let world = World::with_free(0).await;
    let (ada, bob) = (world.program("Ada", 100).await, world.program("Bob", 100).await);
    let secret = service_key(&world, &[Scope::Read, Scope::Use]).await;
    let use_of = |quantity: i64| Some(("k", json!({ "meter": "text", "quantity": quantity })));
    for (org, quantity) in [(&ada.org_id, 10), (&bob.org_id, 20)] {
        let (status, body) = ask(&world, &secret, Some(org), "consume", use_of(quantity)).await;
        assert_eq!((status, &body["object"]), (200, &json!("usage")), "{body}");
    }
    assert_eq!((ada.available().await, bob.available().await), ("90".into(), "80".into()));
    // Each org has its own keys: the service's and the org's own meet there.
    let own = ada.consume("k", "text", 10).await;
    assert!(own.replayed());
    let hold = Some(("h", json!({ "meter": "text", "quantity": 10 })));
    let (_, made) = ask(&world, &secret, Some(&ada.org_id), "holds", hold).await;
    let id = made["id"].as_str().expect("a hold");
    let path = format!("holds/{id}");
    assert_eq!(ask(&world, &secret, Some(&ada.org_id), &path, None).await.0, 200);
    let (status, body) = ask(&world, &secret, Some(&bob.org_id), &path, None).await;
    assert_eq!((status, &body["error"]["code"]), (404, &json!("not_found")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_key_names_an_org_that_exists_and_stays_in_its_scope() {
    let world = World::with_free(0).await;
    let (ada, bob) = (world.program("Ada", 100).await, world.program("Bob", 100).await);
    let secret = service_key(&world, &[Scope::Read, Scope::Use]).await;
    let reads = service_key(&world, &[Scope::Read]).await;
    let write = || Some(("k", json!({ "meter": "text", "quantity": 1 })));
    let (ada_id, bob_id) = (Some(ada.org_id.as_str()), Some(bob.org_id.as_str()));
    let cases = [
        (&secret, None, 400, "invalid_request"),
        (&secret, Some("org_unknown"), 404, "not_found"),
        (&reads, ada_id, 403, "scope_missing"),
        // An org's own key never acts for another.
        (&ada.secret, bob_id, 404, "not_found"),
        (&ada.secret, ada_id, 200, ""),
    ];
    for (secret, org, status, code) in cases {
        let (told, body) = ask(&world, secret, org, "consume", write()).await;
        let said = body["error"]["code"].as_str().unwrap_or_default();
        assert_eq!((told, said), (status, code), "{org:?} {body}");
    }
    let (status, body) = ask(&world, &reads, ada_id, "balance", None).await;
    assert_eq!((status, &body["available"]), (200, &json!("99")));
    assert_eq!(bob.available().await, "100");
    world.end().await;
}
