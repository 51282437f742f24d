//! Lives with a plan: beginning, changing, failing to renew, ending.

use super::{Act, DAY, Life, Scene};
use Act::{Does, Waits};

const PRO: &str = "turnpike_pro_month";
const TEAM: &str = "turnpike_team_month";
const YEAR: &str = "turnpike_pro_year";
const TEAM_YEAR: &str = "turnpike_team_year";

/// Lives with a plan.
pub fn all() -> Vec<Life> {
    vec![
        Life { name: "subscribes", acts: vec![subscribes(), Waits(DAY)] },
        Life { name: "subscribes for a year", acts: vec![yearly(), Waits(40 * DAY)] },
        Life { name: "tries and stays", acts: vec![tries(), Waits(12 * DAY), Waits(4 * DAY)] },
        Life {
            name: "tries and leaves",
            acts: vec![tries(), Waits(DAY), leaves(), Waits(14 * DAY)],
        },
        refunded_year(),
        upgrade(),
        downgrade(),
        portal_changes(),
        recovery(),
        cancellation(),
        undo(),
        seats(),
        coupon(),
    ]
}

fn subscribes() -> Act {
    Does(|scene| Box::pin(async move { scene.subscribe(PRO, &[]).await }))
}

fn yearly() -> Act {
    Does(|scene| Box::pin(async move { scene.subscribe(YEAR, &[]).await }))
}

fn tries() -> Act {
    Does(|scene| {
        Box::pin(async move {
            let trial = [("subscription_data[trial_period_days]", "14")];
            scene.subscribe(PRO, &trial).await;
        })
    })
}

fn leaves() -> Act {
    Does(|scene| Box::pin(async move { scene.cancel_now().await }))
}

/// Past the end of the longest month.
fn renews() -> Act {
    Waits(32 * DAY)
}

fn refunded_year() -> Life {
    let up = Does(|scene| Box::pin(async move { scene.switch(TEAM_YEAR).await }));
    let back = Does(|scene| {
        Box::pin(async move {
            let first = scene.id("first").to_owned();
            scene.payment_of(&first).await;
            scene.refund(14_500).await;
        })
    });
    let acts = vec![yearly(), Waits(40 * DAY), up, Waits(31 * DAY), back, Waits(31 * DAY)];
    Life { name: "subscribes for a year, moves up and is given half of it back", acts }
}

fn upgrade() -> Life {
    let up = Does(|scene| Box::pin(async move { scene.switch(TEAM).await }));
    Life { name: "moves up", acts: vec![subscribes(), Waits(10 * DAY), up, renews()] }
}

fn downgrade() -> Life {
    let team = Does(|scene| Box::pin(async move { scene.subscribe(TEAM, &[]).await }));
    let plan = Does(|scene| Box::pin(schedule_down(scene)));
    Life {
        name: "moves down at the period's end",
        acts: vec![team, Waits(5 * DAY), plan, renews()],
    }
}

/// What the portal makes of a move down: a schedule of two phases.
async fn schedule_down(scene: &mut Scene) {
    let plan = scene.id("plan").to_owned();
    let made = [("from_subscription", plan.as_str())];
    let schedule = scene.stripe.post("subscription_schedules", &made).await;
    let first = &schedule["phases"][0];
    let (start, end) = (first["start_date"].to_string(), first["end_date"].to_string());
    let now = first["items"][0]["price"].as_str().expect("a price").to_owned();
    let then = scene.price(PRO).await;
    let path = format!("subscription_schedules/{}", schedule["id"].as_str().expect("an id"));
    let fields = [
        ("end_behavior", "release"),
        ("phases[0][start_date]", start.as_str()),
        ("phases[0][end_date]", &end),
        ("phases[0][items][0][price]", &now),
        ("phases[0][items][0][quantity]", "1"),
        ("phases[1][items][0][price]", &then),
        ("phases[1][items][0][quantity]", "1"),
        ("phases[1][duration][interval]", "month"),
    ];
    scene.stripe.post(&path, &fields).await;
}

fn portal_changes() -> Life {
    let up = Does(|scene| Box::pin(async move { scene.switch(TEAM).await }));
    let down = Does(|scene| Box::pin(async move { scene.switch(PRO).await }));
    let acts =
        vec![subscribes(), Waits(3 * DAY), up, Waits(2 * DAY), down, up, down, Waits(DAY), up];
    Life { name: "goes up and down in the portal", acts }
}

fn fails() -> Act {
    Does(|scene| Box::pin(async move { scene.use_card("pm_card_chargeCustomerFail").await }))
}

fn recovery() -> Life {
    let mends = Does(|scene| {
        Box::pin(async move {
            scene.use_card("pm_card_visa").await;
            scene.pay_open().await;
        })
    });
    let acts = vec![subscribes(), fails(), renews(), Waits(2 * DAY), mends, Waits(DAY)];
    Life { name: "misses a renewal and pays it", acts }
}

fn cancellation() -> Life {
    let acts = vec![subscribes(), fails(), renews(), Waits(5 * DAY), Waits(20 * DAY)];
    Life { name: "misses a renewal until the plan ends", acts }
}

fn undo() -> Life {
    let cancels = Does(|scene| {
        Box::pin(async move { scene.change(&[("cancel_at_period_end", "true")]).await })
    });
    let undoes = Does(|scene| {
        Box::pin(async move { scene.change(&[("cancel_at_period_end", "false")]).await })
    });
    let acts =
        vec![subscribes(), cancels, undoes, cancels, Waits(2 * DAY), undoes, leaves(), Waits(DAY)];
    Life { name: "cancels, thinks again, and leaves at once", acts }
}

fn seats() -> Life {
    let more = Does(|scene| Box::pin(quantity(scene, "3")));
    let fewer = Does(|scene| Box::pin(quantity(scene, "2")));
    let acts = vec![subscribes(), Waits(6 * DAY), more, Waits(DAY), fewer, more, renews()];
    Life { name: "buys seats and gives some back", acts }
}

async fn quantity(scene: &mut Scene, count: &str) {
    let plan = scene.stripe.get(&format!("subscriptions/{}", scene.id("plan"))).await;
    let item = plan["items"]["data"][0]["id"].as_str().expect("an item").to_owned();
    let fields = [
        ("items[0][id]", item.as_str()),
        ("items[0][quantity]", count),
        ("proration_behavior", "always_invoice"),
    ];
    scene.change(&fields).await;
}

fn coupon() -> Life {
    let subscribes = Does(|scene| {
        Box::pin(async move {
            let terms = [("percent_off", "100"), ("duration", "once")];
            let coupon = scene.coupon(&terms).await;
            scene.subscribe(PRO, &[("discounts[0][coupon]", &coupon)]).await;
        })
    });
    Life { name: "begins with a coupon for everything", acts: vec![subscribes, renews()] }
}
