//! What is due and not booked yet: every read shows it as it will be booked, and says the same
//! twice.

use serde_json::{Value, json};
use server::audit::Actor;
use server::clock::SECOND;
use server::credits::{self, Adjustment, Source};
use server::db::sql;
use server::units::Credits;
use server::{caps, gate};
use tests::{Page, Program, World, WorldOptions};

use crate::calls::{held_for, hold_with, id, look, uses};
use crate::hold_expiry::CHARGING;
use crate::operators::operator;

const HOUR: i64 = 3_600;

/// Books everything that is due.
async fn sweep(world: &World) {
    while gate::sweep(&world.engine).await.expect("swept") > 0 {}
}

/// How many holds are still open in the books, whatever reads show.
async fn open_in_the_books(world: &World) -> i64 {
    let text = "select count(*) from holds where status = 'open'";
    world.rows::<(i64,)>(sql(text)).await[0].0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_charged_in_the_end_names_its_use_before_anybody_booked_it() {
    // D11, D16, D17
    let world = World::with(WorldOptions::nothing_free().rates(CHARGING)).await;
    let program = world.program("Named", 100).await;
    let hold = held_for(&program, "h", 40, 60).await;
    world.pass(61).await;
    let first = look(&program, &hold).await;
    world.pass(1).await;
    let second = look(&program, &hold).await;
    assert_eq!(open_in_the_books(&world).await, 1, "nobody booked it");
    sweep(&world).await;
    assert_eq!(open_in_the_books(&world).await, 0);
    world.pass(HOUR).await;
    let booked = look(&program, &hold).await;
    assert_eq!(
        (&booked["status"], &booked["captured"], &booked["ended_at"]),
        (&json!("expired"), &json!("40"), &booked["expires_at"])
    );
    assert_eq!(first, booked, "the first look");
    assert_eq!(second, booked, "the second look");
    let usages = program.get("usage").await.body;
    let told = (&usages["data"][0]["id"], &usages["data"][0]["hold"]);
    assert_eq!(told, (&booked["usage"], &json!(hold)));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_given_back_in_the_end_ended_when_its_time_was_over() {
    // D11, D17
    let world = World::with_free(0).await;
    let program = world.program("Ended", 100).await;
    let hold = held_for(&program, "h", 40, 60).await;
    world.pass(61).await;
    let first = look(&program, &hold).await;
    world.pass(HOUR).await;
    let second = look(&program, &hold).await;
    assert_eq!(open_in_the_books(&world).await, 1, "nobody booked it");
    uses(&program, "a", "text", 100).await;
    let booked = look(&program, &hold).await;
    assert_eq!((&booked["usage"], &booked["captured"]), (&json!(null), &json!("0")));
    assert_eq!(booked["ended_at"], booked["expires_at"]);
    assert_eq!((&first, &second), (&booked, &booked));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_counts_what_its_hold_is_charged_before_anybody_booked_it() {
    // D11, D27
    let world = World::with(WorldOptions::nothing_free().rates(CHARGING)).await;
    let program = world.program("Report", 100).await;
    let body = json!({ "meter": "text", "quantity": 40, "run": "r1", "ttl_seconds": 60 });
    id(&hold_with(&program, "h", &body).await);
    let report = async || {
        let answer = program.get("runs/r1").await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let mut told = answer.body;
        // A use is dated by its booking.
        for name in ["usage_first_at", "usage_last_at"] {
            assert!(told.as_object_mut().and_then(|told| told.remove(name)).is_some(), "{name}");
        }
        told
    };
    let running = report().await;
    assert_eq!(
        (&running["credits"], &running["operations"], &running["open_holds"]),
        (&json!("0"), &json!(0), &json!({ "count": 1, "credits": "40" }))
    );
    world.pass(61).await;
    let due = report().await;
    assert_eq!(open_in_the_books(&world).await, 1, "nobody booked it");
    assert_eq!(
        (&due["credits"], &due["operations"], &due["open_holds"]),
        (&json!("40"), &json!(1), &json!({ "count": 0, "credits": "0" }))
    );
    let meter = json!({ "meter": "text", "quantity": 40, "credits": "40", "count": 1 });
    assert_eq!(due["by_meter"], json!([meter]));
    sweep(&world).await;
    assert_eq!(open_in_the_books(&world).await, 0);
    assert_eq!(report().await, due);
    // What the run used otherwise is added to it, by whichever meter.
    let body = json!({ "meter": "text", "quantity": 5, "run": "r1" });
    assert_eq!(program.post("consume", Some("a"), &body).await.status, 200);
    let body = json!({ "meter": "text", "quantity": 10, "run": "r1", "ttl_seconds": 60 });
    id(&hold_with(&program, "h2", &body).await);
    world.pass(61).await;
    let due = report().await;
    assert_eq!((&due["credits"], &due["operations"]), (&json!("55"), &json!(3)), "{due}");
    assert_eq!(due["by_meter"].as_array().map(Vec::len), Some(1), "{due}");
    sweep(&world).await;
    assert_eq!(report().await, due);
    world.end().await;
}

/// A ceiling of 50 credits a month that only warns.
async fn cap_softly(world: &World, program: &Program) {
    let cap = Credits::from_whole(50).map(|credits| (credits, false));
    let actor = Actor::Operator("tests".to_owned());
    let now = world.engine.clock.now();
    let mut tx = world.engine.db.begin().await.expect("a transaction");
    caps::set(&mut tx, &program.org_id, cap, actor, now).await.expect("set");
    tx.commit().await.expect("committed");
}

/// The thresholds of the cap that were told, and the beginning of the period of each.
async fn told(world: &World, program: &Program) -> Vec<(i64, i64)> {
    let text = "select period_start, threshold from alerts where org_id = $1 and kind = 'cap'
         order by period_start, threshold";
    world.rows(sql(text).bind(&program.org_id)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_charged_in_a_new_month_is_measured_against_nothing_of_the_old_one() {
    // D16, D23
    let world = World::with(WorldOptions::nothing_free().rates(CHARGING)).await;
    let [swept, writes] = [world.program("Swept", 200).await, world.program("Writes", 200).await];
    uses(&writes, "a", "text", 1).await;
    uses(&swept, "a", "text", 1).await;
    let text = "select min(period_start), max(period_start), max(period_end) from wallets";
    let periods: Vec<(i64, i64, i64)> = world.rows(sql(text)).await;
    let (first, last, turn) = periods[0];
    assert!(last - first < HOUR * SECOND, "both months turn within the hour: {periods:?}");
    world.advance((turn - world.engine.clock.now()) / SECOND - 2 * HOUR).await;
    let mut began = Vec::new();
    for program in [&swept, &writes] {
        cap_softly(&world, program).await;
        uses(program, "b", "text", 44).await;
        held_for(program, "h", 40, 4 * HOUR).await;
        let so_far = told(&world, program).await;
        began.push(so_far[0].0);
        let old = so_far[0].0;
        assert_eq!(so_far, [(old, 70), (old, 90)], "45 of 50");
    }
    // Nobody wrote anything since the month turned, and the holds are over.
    world.pass(5 * HOUR).await;
    assert_eq!(open_in_the_books(&world).await, 2);
    uses(&writes, "c", "text", 1).await;
    sweep(&world).await;
    for (program, old) in [&swept, &writes].into_iter().zip(began) {
        let text = "select period_start from wallets where org_id = $1";
        let new = world.rows::<(i64,)>(sql(text).bind(&program.org_id)).await[0].0;
        assert!(new > old, "the month turned");
        assert_eq!(
            told(&world, program).await,
            [(old, 70), (old, 90), (new, 70)],
            "40 or 41 of 50 in the new month"
        );
    }
    world.end().await;
}

/// The credits that expire next, line by line, as the page `/credits` lists them.
fn lapsing(page: &Page) -> Vec<String> {
    let line = |row: usize| {
        page.find(&format!("section[aria-labelledby=expiries] tbody tr:nth-child({row}) td"))
    };
    (1..).map_while(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_lapsed_does_not_expire_next() {
    // D17
    let world = World::with_free(0).await;
    let ada = world.sign_up("Ada").await;
    let org = world.org_of(&ada).await;
    let listed = async || lapsing(&ada.visit("/credits").await);
    assert!(listed().await.is_empty());
    for (source, credits, hours) in
        [(Source::Manual, 30, 2), (Source::Promo, 20, 1), (Source::Promo, 70, 3)]
    {
        let (key, seconds) = (format!("for {credits}"), Some(hours * HOUR));
        world.give_as(&org, source, credits, &key, seconds).await.expect("granted");
    }
    assert_eq!(listed().await, ["20", "30", "70"]);
    world.pass(HOUR + 1).await;
    assert_eq!(listed().await, ["30", "70"]);
    let text = "select count(*) from grants where ended_at is null and expires_at <= $1";
    let due: Vec<(i64,)> = world.rows(sql(text).bind(world.engine.clock.now())).await;
    assert_eq!(due, [(1,)], "nobody booked it");
    sweep(&world).await;
    assert_eq!(listed().await, ["30", "70"]);
    // When all of it is over there is no such list.
    world.pass(2 * HOUR).await;
    ada.visit("/credits").await.must_say("Available now");
    assert!(listed().await.is_empty());
    world.end().await;
}

/// What the command `adjust` does.
async fn correct(world: &World, org_id: &str, credits: i64, key: &str) {
    let wanted = Adjustment {
        org_id: org_id.to_owned(),
        credits: Credits::from_whole(credits).expect("fits"),
        key: key.to_owned(),
        actor: Actor::Operator("Olga".to_owned()),
        reason: "counted wrong".to_owned(),
    };
    let engine = &world.engine;
    gate::book_due(engine, org_id).await.expect("booked");
    let mut tx = engine.db.begin().await.expect("a transaction");
    credits::adjust(&mut tx, wanted, engine.clock.now()).await.expect("corrected");
    tx.commit().await.expect("committed");
}

/// The sources of an org's grants, as they were put in.
async fn sources(world: &World, org_id: &str) -> Vec<String> {
    let text = "select source_kind from grants where org_id = $1 order by created_at, id";
    let rows: Vec<(String,)> = world.rows(sql(text).bind(org_id)).await;
    rows.into_iter().map(|(source,)| source).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn credits_are_taken_from_a_month_that_every_read_shows_and_nobody_opened() {
    // D16, F6
    let world = World::new().await;
    let program = world.program("Never", 0).await;
    let org = program.org_id.as_str();
    assert_eq!(program.available().await, "100");
    assert!(sources(&world, org).await.is_empty(), "it never wrote anything");
    correct(&world, org, -20, "less").await;
    assert_eq!(program.available().await, "80");
    assert_eq!(sources(&world, org).await, ["free"]);
    uses(&program, "a", "text", 80).await;
    assert_eq!(program.available().await, "0", "and the month is given once");
    // The next month as well.
    world.pass(32 * 24 * HOUR).await;
    assert_eq!(program.available().await, "100");
    correct(&world, org, -100, "all").await;
    assert_eq!(program.available().await, "0");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_on_the_operators_page_books_what_was_due_before_it() {
    // D16, D17
    let world = World::new().await;
    let olga = operator(&world, "Olga").await;
    let program = world.program("Given", 0).await;
    let give = async |credits: &str| {
        let page = olga.visit(&format!("/admin/orgs/{}", program.org_id)).await;
        let given = [("credits", credits), ("reason", "they asked")];
        let done = olga.fill(&page, "grant_credits", &given).await;
        done.must_say(&format!("{credits} credits were given to Given"));
    };
    assert_eq!(program.available().await, "100");
    give("20").await;
    assert_eq!(program.available().await, "120");
    assert_eq!(sources(&world, &program.org_id).await, ["free", "manual"]);
    world.pass(32 * 24 * HOUR).await;
    assert_eq!(program.available().await, "120");
    give("5").await;
    assert_eq!(program.available().await, "125");
    let all = ["free", "manual", "free", "manual"];
    assert_eq!(sources(&world, &program.org_id).await, all);
    let opened: Value = program.get("balance").await.body["allowance"].clone();
    assert_eq!(opened["granted"], "100", "{opened}");
    world.end().await;
}
