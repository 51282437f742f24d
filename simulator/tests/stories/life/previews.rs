//! A preview is what is charged afterwards, to the cent.

use serde_json::{Value, json};

use super::super::support::id;
use super::{DAY, HALF, HOUR, Person, amounts, item};

fn shown(invoice: &Value) -> Value {
    json!([
        amounts(invoice),
        invoice["subtotal"],
        invoice["total"],
        invoice["amount_due"],
        invoice["currency"],
    ])
}

/// Somebody with a plan, two seats, a balance and a discount, in the middle of January.
async fn halfway(balance: i64, coupon: Option<&str>) -> (Person, String, Vec<String>) {
    let mut person = Person::with_card().await;
    let mut prices = Vec::new();
    for (name, amount, every) in [
        ("Pro", 999, "month"),
        ("Team", 3333, "month"),
        ("Pro", 9990, "year"),
        ("Seat", 333, "month"),
    ] {
        prices.push(person.bench.price(name, amount, Some(every)).await);
    }
    let mut form = format!("items[0][price]={}&items[1][price]={}", prices[0], prices[3]);
    form.push_str("&items[1][quantity]=2");
    if let Some(coupon) = coupon {
        person.bench.post("/v1/coupons", &format!("id=OFF&{coupon}")).await;
        form.push_str("&discounts[0][coupon]=OFF");
    }
    let sub = id(&person.subscribe(&form).await);
    let path = format!("/v1/customers/{}", person.customer);
    person.bench.post(&path, &format!("balance={balance}")).await;
    person.pass(HALF + 4321).await;
    (person, sub, prices)
}

#[tokio::test]
async fn what_a_change_costs_today_is_what_was_shown() {
    let discounts = [
        None,
        Some("percent_off=33.33&duration=forever"),
        Some("amount_off=250&currency=usd&duration=repeating&duration_in_months=3"),
        Some("percent_off=50&duration=once"),
    ];
    for (coupon, balance) in discounts.into_iter().zip([0, -700, 150, -99_999]) {
        let (person, sub, prices) = halfway(balance, coupon).await;
        let before = person.sub(&sub).await;
        let (plan, seat) = (item(&before, 0), item(&before, 1));
        let changes = [
            format!("[items][0][id]={plan}&[items][0][price]={}", prices[1]),
            format!("[items][0][id]={seat}&[items][0][quantity]=7"),
            format!("[items][0][id]={seat}&[items][0][deleted]=true"),
            format!("[items][0][id]={plan}&[items][0][price]={}", prices[2]),
            "[billing_cycle_anchor]=now".to_owned(),
        ];
        for change in changes {
            let change = format!("{change}&[proration_behavior]=always_invoice");
            let asked: Vec<String> =
                change.split('&').map(|part| format!("subscription_details{part}")).collect();
            let form = format!("subscription={sub}&{}", asked.join("&"));
            let events = person.bench.get("/_sim/deliveries").await;
            let preview = person.bench.post("/v1/invoices/create_preview", &form).await;
            assert!(preview["id"].as_str().is_some_and(|id| id.starts_with("upcoming_in_")));
            assert_eq!(person.bench.get("/_sim/deliveries").await, events);
            let plain: Vec<String> = change
                .split('&')
                .map(|part| {
                    let (name, value) = part.split_once('=').expect("a pair");
                    let name = name.replacen('[', "", 1).replacen(']', "", 1);
                    format!("{name}={value}")
                })
                .collect();
            let changed = person.change(&sub, &plain.join("&")).await;
            let charged = person.invoice(&changed["latest_invoice"]).await;
            assert_eq!(shown(&preview), shown(&charged), "{coupon:?} {change}");
        }
        person.bench.end().await;
    }
}

#[tokio::test]
async fn the_next_renewal_is_what_was_shown() {
    let (mut person, sub, prices) = halfway(-120, Some("percent_off=10&duration=forever")).await;
    let plan = item(&person.sub(&sub).await, 0);
    let form = format!(
        "subscription={sub}&subscription_details[items][0][id]={plan}\
         &subscription_details[items][0][price]={}&invoice_items[0][amount]=77\
         &invoice_items[0][currency]=usd&invoice_items[0][description]=Overage",
        prices[1]
    );
    let preview = person.bench.post("/v1/invoices/create_preview", &form).await;
    assert_eq!(preview["billing_reason"], "upcoming");
    person.change(&sub, &format!("items[0][id]={plan}&items[0][price]={}", prices[1])).await;
    let extra = format!(
        "customer={}&subscription={sub}&amount=77&currency=usd&description=Overage",
        person.customer
    );
    person.bench.post("/v1/invoiceitems", &extra).await;
    let mut sorted = amounts(&preview);
    person.pass(31 * DAY - HALF - 4321 + 2 * HOUR).await;
    let charged = person.newest().await;
    let mut real = amounts(&charged);
    sorted.sort_unstable();
    real.sort_unstable();
    assert_eq!((sorted, &preview["total"]), (real, &charged["total"]));
    assert_eq!(preview["amount_due"], charged["amount_due"]);
    let recurring = format!("subscription={sub}&preview_mode=recurring");
    let recurring = person.bench.post("/v1/invoices/create_preview", &recurring).await;
    assert_eq!(amounts(&recurring), [3333, 666]);
    person.bench.end().await;
}

#[tokio::test]
async fn a_first_purchase_an_end_and_a_scheduled_change_can_be_shown() {
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let large = person.bench.price("Team", 3000, Some("month")).await;
    person.bench.post("/v1/coupons", "id=Q&percent_off=25&duration=forever").await;
    let form = format!(
        "customer={}&subscription_details[items][0][price]={large}&discounts[0][coupon]=Q",
        person.customer
    );
    let preview = person.bench.post("/v1/invoices/create_preview", &form).await;
    assert_eq!((&preview["total"], &preview["status"]), (&json!(2250), &json!("draft")));
    assert_eq!(person.bench.get("/v1/subscriptions").await["data"], json!([]));
    assert_eq!(person.bench.get("/v1/coupons/Q").await["times_redeemed"], 0);
    let sub = person.monthly(&large).await;
    person.pass(HALF).await;
    let form = format!("subscription={sub}&subscription_details[cancel_now]=true");
    let preview = person.bench.post("/v1/invoices/create_preview", &form).await;
    assert_eq!(amounts(&preview), [-1500]);
    let form = format!("subscription={sub}&subscription_details[cancel_at_period_end]=true");
    let (status, error) = person.bench.call("POST", "/v1/invoices/create_preview", &form).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("invoice_upcoming_none")));
    let schedule =
        person.bench.post("/v1/subscription_schedules", &format!("from_subscription={sub}")).await;
    let phase = &schedule["phases"][0];
    let form = format!(
        "phases[0][start_date]={}&phases[0][end_date]={}&phases[0][items][0][price]={large}\
         &phases[1][items][0][price]={small}",
        phase["start_date"], phase["end_date"]
    );
    person.bench.post(&format!("/v1/subscription_schedules/{}", id(&schedule)), &form).await;
    let preview =
        person.bench.post("/v1/invoices/create_preview", &format!("subscription={sub}")).await;
    assert_eq!(amounts(&preview), [1000]);
    let upcoming = format!("customer={}", person.customer);
    let same = person.bench.post("/v1/invoices/create_preview", &upcoming).await;
    assert_eq!(shown(&same), shown(&preview));
    person.pass(31 * DAY - HALF + 2 * HOUR).await;
    assert_eq!(shown(&person.newest().await), shown(&preview));
    person.bench.end().await;
}
