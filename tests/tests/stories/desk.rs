//! The operators' desk: an event that was given up is acted on again, a finding is dismissed with a
//! reason, a dead job is retried; each by an operator alone, and each written down.

use serde_json::{Value, json};
use server::audit::Actor;
use server::auth::operators;
use server::db::sql;
use server::findings::{self, Finding, NewFinding};
use server::mail::{self, Template};
use server::webhooks::process_due;
use tests::hook::{deliver, event};
use tests::{Form, Person, Shop, World, WorldOptions};

const PRO: &str = "turnpike_pro_month";

/// Somebody who looks after the installation.
async fn operator(world: &World, name: &str) -> Person {
    let person = world.sign_up(name).await;
    let added = operators::add(&world.engine, &person.email, "on duty", Actor::System).await;
    assert!(added.expect("added"), "an operator from now on");
    person
}

/// A post that no page offered.
fn forged(door: &str, name: &str, value: &str) -> Form {
    let fields = vec![(name.to_owned(), value.to_owned())];
    Form { action: format!("/api/admin/{door}"), post: true, fields, buttons: Vec::new() }
}

async fn status(world: &World, id: &str) -> String {
    let text = sql("select status from stripe_events where id = $1").bind(id);
    world.rows::<(String,)>(text).await.pop().expect("stored").0
}

/// Who did this to what, whose it was and why, as the audit trail tells it.
async fn told(world: &World, action: &str) -> Vec<[String; 5]> {
    let text = "select actor_kind, coalesce(actor_id, ''), subject, coalesce(org_id, ''), \
             coalesce(reason, '') from audits where action = $1 order by id";
    let rows: Vec<(String, String, String, String, String)> =
        world.rows(sql(text).bind(action)).await;
    rows.into_iter().map(|(kind, id, subject, org, why)| [kind, id, subject, org, why]).collect()
}

async fn open_findings(world: &World) -> Vec<Finding> {
    findings::list(&world.engine.db, true, 100).await.expect("read")
}

/// Writes findings down that are about these subjects.
async fn find(world: &World, subjects: &[String], org_id: Option<&str>) {
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    for subject in subjects {
        let found = NewFinding {
            kind: "paid_without_grant",
            subject,
            org_id,
            message: "It was paid, but <b>nothing</b> was granted.",
            detail: Some(json!({ "paid": 1_000, "granted": 0 })),
        };
        findings::record(&mut tx, &found, world.engine.clock.now()).await.expect("found");
    }
    tx.commit().await.expect("committed");
}

/// Lets every look at this plan fail until the event about it is given up.
async fn give_up(world: &World, plan: &str, id: &str) {
    let path = format!("/v1/subscriptions/{plan}");
    let fault = json!({ "kind": "server_error", "status": 400, "count": 1_000_000, "path": path });
    world.control("faults", json!({ "api": fault })).await;
    let object = json!({ "id": plan, "object": "subscription" });
    let told = event(id, "customer.subscription.updated", object);
    assert_eq!(deliver(world, &told).await, 200);
    for _ in 0..20 {
        process_due(&world.engine, 100).await.expect("works");
        world.pass(3_700).await;
    }
    assert_eq!(status(world, id).await, "dead");
    world.control("faults", json!({ "api": null })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_given_up_is_acted_on_again_from_its_page() {
    // A7
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "Ada").await;
    shop.subscribe(&world, PRO).await;
    let customer = shop.scene.customer().await;
    let plan = shop.scene.id("plan").to_owned();
    let olga = operator(&world, "Olga").await;
    let desk = olga.visit("/admin/inbox").await;
    desk.must_say("customer.subscription.created");
    assert!(desk.forms().iter().all(|form| !form.action.contains("replay_failed")), "none failed");
    give_up(&world, &plan, "evt_dead").await;

    let bob = world.sign_up("Bob").await;
    let home = bob.visit("/dashboard").await;
    bob.submit(&home, &forged("replay_event", "event_id", "evt_dead")).await;
    bob.submit(&home, &forged("replay_failed", "event_id", "")).await;
    assert_eq!(status(&world, "evt_dead").await, "dead", "Bob is no operator");

    let found = olga.visit("/admin/findings").await;
    let link = found.link("evt_dead").expect("the finding names its event");
    let page = olga.visit(&link).await;
    assert_eq!((page.status, page.url.path()), (200, "/admin/inbox/evt_dead"));
    for what in ["Given up", &*plan, "What it said", "\"api_version\": \"2026-09-30.endive\""] {
        page.must_say(what);
    }
    let back = olga.fill(&page, "replay_event", &[]).await;
    assert_eq!(back.url.path(), "/admin/inbox/evt_dead");
    back.must_say("The event is put back");
    world.settle().await;
    assert_eq!(status(&world, "evt_dead").await, "processed");
    assert!(open_findings(&world).await.is_empty(), "and its finding is gone");
    olga.visit("/admin/inbox/evt_dead").await.must_say("Done");
    let by = told(&world, "webhooks.replay").await;
    assert_eq!(by, [["operator", "olga@example.com", "evt_dead", "", ""]]);

    // One that names its customer is told to the org's trail as well, done or not.
    let text = sql("select id from stripe_events where customer_id = $1 order by id limit 1");
    let (named,): (String,) = world.rows(text.bind(&*customer)).await.remove(0);
    let page = olga.visit(&format!("/admin/inbox/{named}")).await;
    assert_eq!(page.link(&shop.org_id), Some(format!("/admin/orgs/{}", shop.org_id)));
    olga.fill(&page, "replay_event", &[]).await;
    world.settle().await;
    let by = told(&world, "webhooks.replay").await.pop().expect("told");
    assert_eq!(by[2..4], [named, shop.org_id.clone()]);
    assert_eq!(shop.standing().await, ("2000".to_owned(), "0".to_owned()), "once is once");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_failed_is_acted_on_again_with_one_button() {
    // A7
    let world = World::with(WorldOptions::nothing_free()).await;
    let mut shop = Shop::open(&world, "Ada").await;
    shop.subscribe(&world, PRO).await;
    let plan = shop.scene.id("plan").to_owned();
    let olga = operator(&world, "Olga").await;
    give_up(&world, &plan, "evt_dead").await;
    let dead = olga.visit("/admin/inbox?status=dead").await;
    dead.must_say("Given up 1");
    dead.must_say("evt_dead");
    assert!(!dead.says("customer.subscription.created"), "only those that were given up");
    let back = olga.fill(&dead, "replay_failed", &[]).await;
    assert_eq!(back.url.path(), "/admin/inbox");
    back.must_say("1 event is put back");
    world.settle().await;
    assert_eq!(status(&world, "evt_dead").await, "processed");
    assert!(open_findings(&world).await.is_empty());
    let again = olga.submit(&dead, &dead.form("replay_failed")).await;
    again.must_say("No event had failed or matched nobody.");
    let by = told(&world, "webhooks.replay_failed").await;
    assert_eq!(by, [["operator", "olga@example.com", "inbox", "", ""]], "what did nothing is none");
    olga.visit("/admin/inbox?status=dead").await.must_say("Nothing was given up");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_is_read_page_by_page_and_shows_everything_as_text() {
    let world = World::new().await;
    let olga = operator(&world, "Olga").await;
    let hostile = "<script>alert(1)</script>";
    for number in 0..61 {
        let mut told = event(&format!("evt_page_{number:02}"), "of.no.use", json!({}));
        told["type"] = json!(if number == 0 { hostile } else { "of.no.use" });
        assert_eq!(deliver(&world, &told).await, 200);
    }
    let mut address = "/admin/inbox?status=ignored".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = olga.visit(&address).await;
        assert_eq!(page.status, 200);
        assert!(!page.html.contains(hostile), "{address}");
        let text = page.text();
        let ids = text.split_whitespace().filter(|word| word.starts_with("evt_page_"));
        seen.extend(ids.map(str::to_owned));
        match page.link("Older") {
            Some(older) => address = older,
            None => break,
        }
    }
    assert_eq!(seen.len(), 61, "every event once: {seen:?}");
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 61);
    olga.visit("/admin/inbox/evt_page_00").await.must_say(hostile);
    // An event of the other mode is looked at, and never acted on.
    let mut live = event("evt_live", "customer.subscription.created", json!({ "id": "sub_live" }));
    live["livemode"] = json!(true);
    assert_eq!(deliver(&world, &live).await, 200);
    let page = olga.visit("/admin/inbox/evt_live").await;
    page.must_say("It is of the other Stripe mode");
    assert!(page.forms().iter().all(|form| !form.action.contains("replay")), "no way to replay it");
    olga.submit(&page, &forged("replay_event", "event_id", "evt_live")).await;
    assert_eq!(status(&world, "evt_live").await, "mode_mismatch");
    assert_eq!(olga.visit("/admin/inbox/evt_none").await.status, 404);
    assert!(told(&world, "webhooks.replay").await.is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_is_dismissed_with_a_reason_by_an_operator_alone() {
    let world = World::new().await;
    let olga = operator(&world, "Olga").await;
    olga.visit("/admin/findings").await.must_say("Nothing is open");
    let bob = world.sign_up("Bob").await;
    let org = world.org_of(&bob).await;
    find(&world, &["pi_lost".to_owned()], Some(&org)).await;
    let id = open_findings(&world).await.remove(0).id;

    let home = bob.visit("/dashboard").await;
    let forged = forged("dismiss_finding", "finding_id", &id).with("reason", "no matter");
    bob.submit(&home, &forged).await;
    assert_eq!(open_findings(&world).await.len(), 1, "Bob is no operator");

    let page = olga.visit("/admin/findings").await;
    for what in ["Open 1", "Paid without grant", "pi_lost", "but <b>nothing</b> was granted"] {
        page.must_say(what);
    }
    assert_eq!(page.link(&org), Some(format!("/admin/orgs/{org}")));
    let dialog = olga.visit(&page.link("Dismiss").expect("a way")).await;
    let refused = olga.fill(&dialog, "dismiss_finding", &[("reason", "  ")]).await;
    let error = refused.find("[data-error-for=reason]");
    assert_eq!(error.as_deref(), Some("Say why it may stay as it is."));
    let long = "why ".repeat(200);
    let refused = olga.fill(&refused, "dismiss_finding", &[("reason", &long)]).await;
    assert_eq!(refused.form("dismiss_finding").value("reason"), Some(&*long), "nothing is lost");
    assert!(refused.find("[data-error-for=reason]").is_some_and(|error| error.contains("500")));
    assert_eq!(open_findings(&world).await.len(), 1);
    let why = "given back by hand";
    let done = olga.fill(&refused, "dismiss_finding", &[("reason", why)]).await;
    done.must_say("The finding is dismissed.");
    done.must_say("Nothing is open");
    let by = told(&world, "findings.dismiss").await;
    assert_eq!(by, [["operator", "olga@example.com", &*id, &*org, why]]);
    olga.visit("/admin/findings?all=1").await.must_say(why);
    // The dialog of somebody who came too late.
    let late = olga.fill(&refused, "dismiss_finding", &[("reason", "me, too")]).await;
    late.must_say("An open finding of that id was not found.");
    assert_eq!(told(&world, "findings.dismiss").await.len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_are_read_page_by_page() {
    let world = World::new().await;
    let olga = operator(&world, "Olga").await;
    let subjects: Vec<String> = (0..60).map(|number| format!("pi_{number:02}")).collect();
    find(&world, &subjects, None).await;
    let first = olga.visit("/admin/findings").await;
    let second = olga.visit(&first.link("Older").expect("there is more")).await;
    assert_eq!(second.link("Older"), None);
    let on = |page: &tests::Page| {
        let text = page.text();
        let subjects = text.split_whitespace().filter(|word| word.starts_with("pi_"));
        subjects.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!((on(&first).len(), on(&second).len()), (50, 10));
    let mut all = [on(&first), on(&second)].concat();
    all.sort();
    assert_eq!(all, subjects);
    let newest = second.link("Newest").expect("a way back");
    assert_eq!(on(&olga.visit(&newest).await), on(&first));
    // Whoever dismisses one stays on its page.
    let dialog = olga.visit(&second.link("Dismiss").expect("a way")).await;
    assert_eq!(on(&olga.visit(&dialog.link("Keep it open").expect("a way")).await), on(&second));
    let refused = olga.fill(&dialog, "dismiss_finding", &[("reason", "a\0b")]).await;
    let done = olga.fill(&refused, "dismiss_finding", &[("reason", "seen to")]).await;
    done.must_say("The finding is dismissed.");
    assert_eq!((done.url.query(), on(&done).len()), (second.url.query(), 9));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_retried_by_an_operator_alone() {
    let world = World::new().await;
    let olga = operator(&world, "Olga").await;
    world.settle().await;
    olga.visit("/admin/jobs").await.must_say("No job was given up");
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let welcome = Template::Welcome { name: "Ada".to_owned() };
    let now = world.engine.clock.now();
    mail::send_later(&mut tx, "ada@example.com", welcome, now).await.expect("left behind");
    tx.commit().await.expect("committed");
    let die = "update jobs set dead_at = $1, attempts = 14, last_error = 'mail server: away'";
    assert_eq!(world.tamper(sql(die).bind(now)).await, 1);
    world.settle().await;
    let delivered = || async {
        let letters = mail::mailbox(&world.engine.db, 10).await.expect("read");
        letters.iter().filter(|letter| letter.to_address == "ada@example.com").count()
    };
    assert_eq!(delivered().await, 0, "nobody tries a dead job");

    let bob = world.sign_up("Bob").await;
    let page = olga.visit("/admin/jobs").await;
    for what in ["Given up 1", "mail server: away", "14"] {
        page.must_say(what);
    }
    let form = page.form("retry_job");
    let job = form.value("job_id").expect("the job").to_owned();
    let home = bob.visit("/dashboard").await;
    bob.submit(&home, &forged("retry_job", "job_id", &job)).await;
    assert_eq!(delivered().await, 0, "Bob is no operator");
    assert!(told(&world, "jobs.retry").await.is_empty());

    let back = olga.submit(&page, &form).await;
    back.must_say("The job runs next.");
    world.settle().await;
    assert_eq!(delivered().await, 1);
    let by = told(&world, "jobs.retry").await;
    assert_eq!(by, [["operator", "olga@example.com", &*job, "", ""]]);
    olga.visit("/admin/jobs?state=waiting").await.must_say("No job waits");
    // The page of somebody who came too late.
    olga.submit(&page, &form).await.must_say("The job was not found.");
    let left: Vec<(String,)> = world.rows(sql("select kind from jobs")).await;
    assert_eq!(left, Vec::new());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_worker_holds_is_left_to_it() {
    let world = World::new().await;
    let olga = operator(&world, "Olga").await;
    world.settle().await;
    let now = world.engine.clock.now();
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    let added = server::jobs::enqueue(&mut tx, "nothing", &Value::Null, now, None).await;
    assert!(added.expect("added"));
    assert_eq!(server::jobs::claim(&mut tx, now).await.expect("claimed").len(), 1);
    tx.commit().await.expect("committed");
    let page = olga.visit("/admin/jobs?state=waiting").await;
    let refused = olga.submit(&page, &page.form("retry_job")).await;
    assert_eq!(refused.url.query(), Some("state=waiting"), "back where the button is");
    refused.must_say("A worker is at this job just now.");
    assert!(told(&world, "jobs.retry").await.is_empty());
    world.end().await;
}
