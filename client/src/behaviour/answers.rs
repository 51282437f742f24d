//! What every answer becomes: a value, a denial that cannot be overlooked, or an error.

use crate::{Amount, Ask, Client, Code, Credits, Decision, Error, Item, Key, Over, StepKind, Use};
use serde_json::json;

use super::scripted::{self, Scripted, Step, decision, error, ok, told, usage};

fn key() -> Key {
    Key::parse("job-1").expect("a key")
}

fn credits(text: &str) -> Credits {
    text.parse().expect("credits")
}

async fn consume_of(step: Step) -> crate::Result<crate::Usage> {
    let server = Scripted::new([step]).await;
    server.client().consume(&Use::of("image", 1), &key()).await
}

#[tokio::test]
async fn a_charge_says_what_it_cost_and_what_is_left() {
    let usage = consume_of(ok(usage("usage_1", "20.000001"))).await.expect("charged");
    assert_eq!(usage.credits.micros(), 20_000_001);
    assert_eq!(usage.from[0].grant, "grant_1");
    assert_eq!(usage.quantity.micros(), 1_000_000);
    assert_eq!(usage.balance.expect("a balance").available, credits("80"));
    assert!(!usage.replayed && !usage.late);
}

#[tokio::test]
async fn a_denial_is_an_error_with_its_reason_and_its_remedy() {
    // D5
    let mut body = told("insufficient_credits");
    body["decision"] = decision(false, "insufficient_credits");
    body["retry_with_new_key"] = json!(true);
    let headers = vec![("idempotent-replayed", "true")];
    let answer = consume_of(Step::Answer(402, headers, json!({ "error": body }))).await;
    let Err(Error::Denied(denial)) = answer else { panic!("{answer:?}") };
    assert_eq!(denial.code, Code::InsufficientCredits);
    assert_eq!(denial.message, "It is insufficient_credits.");
    assert!(denial.retry_with_new_key && denial.replayed);
    let step = denial.next_step().expect("a next step");
    assert_eq!(
        (&step.kind, step.url.as_str()),
        (&StepKind::TopUp, "http://a.example/billing#packs")
    );
    let decision = denial.decision.expect("a decision");
    assert_eq!((decision.credits, decision.balance.held), (credits("20"), credits("0.5")));
    assert_eq!(decision.sources[0].source_name, "Free");
    assert_eq!(decision.limits[0].limit, Amount::Count(2));
    assert_eq!(decision.limits[1].used, Some(Amount::Credits(credits("27.5"))));
}

#[tokio::test]
async fn a_missing_scope_is_a_mistake_of_ours_and_no_denial() {
    let answer = consume_of(error(403, "scope_missing")).await;
    let Err(Error::Refused(refusal)) = answer else { panic!("{answer:?}") };
    assert_eq!((refusal.status, refusal.code), (403, Code::ScopeMissing));
}

#[tokio::test]
async fn a_refusal_names_what_is_wrong() {
    let mut body = told("invalid_request");
    body["param"] = json!("quantity");
    body["doc_url"] = json!("http://a.example/docs/api#errors");
    let answer = consume_of(Step::Answer(400, Vec::new(), json!({ "error": body }))).await;
    let Err(Error::Refused(refusal)) = answer else { panic!("{answer:?}") };
    assert_eq!(refusal.param.as_deref(), Some("quantity"));
    assert_eq!(refusal.doc_url.as_deref(), Some("http://a.example/docs/api#errors"));
    assert_eq!(refusal.kind, "some_error");
    assert!(!refusal.retry_with_new_key);
}

#[tokio::test]
async fn a_code_that_is_not_known_is_kept() {
    let newer = Code::Other("moon_phase".to_owned());
    let denied = consume_of(error(402, "moon_phase")).await.expect_err("denied");
    assert!(matches!(&denied, Error::Denied(denial) if denial.code == newer), "{denied:?}");
    let refused = consume_of(error(410, "moon_phase")).await.expect_err("refused");
    assert!(matches!(&refused, Error::Refused(refusal) if refusal.code == newer), "{refused:?}");
    assert_eq!(refused.to_string(), "refused: 410 moon_phase: It is moon_phase.");
}

#[tokio::test]
async fn what_is_not_the_gate_is_no_yes() {
    for step in [
        Step::Text(200, "<html>Welcome to the hotel's network</html>"),
        ok(json!({ "ok": true })),
        Step::Text(404, "not here"),
    ] {
        let answer = consume_of(step).await;
        assert!(matches!(answer, Err(Error::Unreadable { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Scripted::new([ok(usage("usage_1", "0"))]).await;
    let location: &'static str = format!("{}/v1/consume", elsewhere.url).leak();
    let answer = consume_of(Step::Answer(307, vec![("location", location)], json!({}))).await;
    assert!(matches!(answer, Err(Error::Unreadable { status: 307, .. })), "{answer:?}");
    assert!(elsewhere.asked().is_empty(), "neither the request nor the secret went elsewhere");
}

#[tokio::test]
async fn a_question_is_answered_by_a_decision_that_can_be_required() {
    let server = Scripted::new([
        ok(decision(true, "allowed")),
        ok(decision(false, "cap_reached")),
        ok(json!({ "object": "decision", "id": "dec_1", "allowed": true, "code": "allowed",
            "credits": "1", "balance": { "available": "1", "held": "0" } })),
    ])
    .await;
    let client = server.client();
    let ask = Ask::meter("image", 1).model("small-1");
    let yes: Decision = client.authorize(&ask).await.expect("an answer");
    assert!(yes.require().expect("a yes").allowed);
    let no = client.authorize(&Ask::feature("image")).await.expect("an answer");
    let error = no.require().expect_err("a no");
    assert!(matches!(&error, Error::Denied(denial) if denial.code == Code::CapReached));
    let stored = client.decision("dec_1").await.expect("an answer");
    assert_eq!(stored.id.as_deref(), Some("dec_1"));
    let asked = server.asked();
    let body = json!({ "model": "small-1", "meter": "image", "quantity": "1" });
    assert_eq!(asked[0].json(), body);
    assert_eq!(asked[1].json(), json!({ "feature": "image" }));
    assert_eq!(asked[0].header("idempotency-key"), None);
    assert_eq!(asked[2].line, "GET /v1/decisions/dec_1");
}

#[tokio::test]
async fn the_secret_and_the_org_go_with_every_request() {
    let server = Scripted::new((0..3).map(|_| ok(usage("usage_1", "1")))).await;
    let client = server.client();
    let (first, second) = (client.for_org("org_1"), client.for_org("org_2"));
    for client in [&client, &first, &second] {
        client.consume(&Use::of("image", 1), &Key::new()).await.expect("charged");
    }
    let asked = server.asked();
    let orgs: Vec<_> = asked.iter().map(|one| one.header("turnpike-org")).collect();
    assert_eq!(orgs, [None, Some("org_1"), Some("org_2")]);
    let bearer = format!("Bearer {}", scripted::SECRET);
    assert!(asked.iter().all(|one| one.header("authorization") == Some(&bearer)));
    let keys: Vec<_> = asked.iter().map(|one| one.header("idempotency-key")).collect();
    assert!(keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");
    let error = client.for_org("org\n3").balance().await.expect_err("no header");
    assert!(matches!(error, Error::Invalid { field: "org", .. }));
    assert_eq!(server.asked().len(), 3, "nothing was sent");
}

#[tokio::test]
async fn each_item_of_a_batch_has_an_answer_of_its_own() {
    // D26
    let mut denied = told("limit_reached");
    denied["retry_with_new_key"] = json!(true);
    let server = Scripted::new([
        ok(json!({ "data": [
        { "key": "a", "status": 200, "usage": usage("usage_1", "2") },
        { "key": "b", "status": 403, "error": denied, "replayed": true },
        { "key": null, "status": 400, "error": told("invalid_request") },
        { "key": "d", "status": 200 },
        { "key": "e", "status": 503, "error": told("unavailable") },
    ] })),
        ok(json!({ "data": [] })),
    ])
    .await;
    let item = |key: &str| Item::of(Key::parse(key).expect("a key"), "text", 2);
    let items = [
        item("a").over(Over::UseAvailable).at("2026-11-01T00:00:00Z").run("r1").cost(5),
        item("b").model("small-1").member("user_1"),
        item("c"),
        item("d"),
        item("e"),
    ];
    let answer = server.client().batch(&items).await.expect("answered");
    let asked = &server.asked()[0];
    let first = json!({ "key": "a", "meter": "text", "quantity": "2", "run": "r1",
        "over": "use_available", "at": "2026-11-01T00:00:00Z", "cost": 5 });
    assert_eq!((asked.line.as_str(), &asked.json()["items"][0]), ("POST /v1/usage/batch", &first));
    assert_eq!(answer.lines[0].result.as_ref().expect("charged").credits, credits("2"));
    let failed: Vec<_> = answer.failed().map(|(key, error)| (key.as_str(), error)).collect();
    assert!(matches!(failed[0], ("b", Error::Denied(no)) if no.retry_with_new_key && no.replayed));
    assert!(matches!(failed[1], ("c", Error::Refused(refusal)) if refusal.status == 400));
    assert!(matches!(failed[2], ("d", Error::Unreadable { .. })));
    assert!(matches!(failed[3], ("e", Error::Unreachable { .. })), "nothing is known of it");
    let short = server.client().batch(&items).await;
    assert!(matches!(short, Err(Error::Unreadable { .. })), "{short:?}");
    assert!(matches!(answer.all(), Err(Error::Denied(_))));
}

#[tokio::test]
async fn balances_entitlements_and_runs_are_read() {
    let server = Scripted::new([
        ok(json!({ "object": "balance", "available": "80.5", "held": "10", "debt": "0",
            "allowance": { "granted": "100", "used": "9.5", "remaining": "80.5",
                "resets_at": "2026-12-01T00:00:00Z", "percent": 9 },
            "grants": [{ "id": "grant_1", "source": "free", "remaining": "80.5",
                "expires_at": "2026-12-01T00:00:00Z" }],
            "overage": "0", "cap": { "credits": "30", "kind": "hard" },
            "projection": { "expected": "40", "low": "30", "high": "50", "method": "pace" } })),
        ok(json!({ "object": "entitlements", "features": ["text"], "models": ["small-*"],
            "limits": { "keys": 2 }, "sources": [],
            "blocks": [{
                "kind": "past_due", "since": "2026-11-01T00:00:00Z", "until": null,
                "reason": "Unpaid.",
            }] })),
        ok(json!({ "object": "run", "run": "a/b c", "operations": 3, "credits": "12",
            "overage": "0", "debt": "1", "cost": 75, "open_holds": { "count": 1, "credits": "10" },
            "reversed": { "count": 0, "credits": "0" },
            "by_meter": [{ "meter": "text", "quantity": 12.5, "credits": "12", "count": 2 }],
            "usage_first_at": "2026-11-02T10:00:00Z", "usage_last_at": "2026-11-02T10:00:01Z" })),
    ])
    .await;
    let client = server.client();
    let balance = client.balance().await.expect("a balance");
    assert_eq!((balance.available, balance.grants.len()), (credits("80.5"), 1));
    assert_eq!(balance.cap.expect("a cap").credits, credits("30"));
    let entitlements = client.entitlements().await.expect("entitlements");
    assert!(entitlements.has_model("small-1"));
    assert_eq!(entitlements.blocks[0].kind, "past_due");
    let run = client.run("a/b c").await.expect("a report");
    assert_eq!((run.open_holds.count, run.cost, run.debt), (1, Some(75), credits("1")));
    assert_eq!(run.by_meter[0].quantity.micros(), 12_500_000);
    let lines: Vec<String> = server.asked().into_iter().map(|one| one.line).collect();
    assert_eq!(lines, ["GET /v1/balance", "GET /v1/entitlements", "GET /v1/runs/a%2Fb%20c"]);
}

#[test]
fn a_client_can_be_shared_between_tasks() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Client>();
    shared::<Error>();
}
