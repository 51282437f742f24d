//! API keys: who may call, for whom, and until when.

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
