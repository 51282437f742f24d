//! Coupons and promotion codes: for one invoice, for some months, for good.

use serde_json::{Value, json};

use super::super::support::id;
use super::{DAY, HALF, HOUR, Person, amounts, item, names, sums};

#[tokio::test]
async fn a_coupon_lowers_one_invoice_or_some_or_all() {
    // C8
    let table = [
        ("percent_off=50&duration=once", [1000, 2000, 2000, 2000]),
        ("percent_off=25&duration=repeating&duration_in_months=2", [1500, 1500, 2000, 2000]),
        ("amount_off=300&currency=usd&duration=forever", [1700, 1700, 1700, 1700]),
        ("percent_off=100&duration=repeating&duration_in_months=1", [0, 2000, 2000, 2000]),
        ("amount_off=9000&currency=usd&duration=once", [0, 2000, 2000, 2000]),
    ];
    for (coupon, expected) in table {
        let mut person = Person::with_card().await;
        let price = person.bench.price("Pro", 2000, Some("month")).await;
        let coupon_id = id(&person.bench.post("/v1/coupons", coupon).await);
        let form = format!("items[0][price]={price}&discounts[0][coupon]={coupon_id}");
        let sub = person.subscribe(&form).await;
        let mut totals = Vec::new();
        for _ in 0..4 {
            let invoice = person.newest().await;
            assert_eq!(invoice["status"], "paid", "{coupon}");
            assert_eq!(invoice["subtotal"], 2000, "{coupon}");
            totals.push(invoice["total"].as_i64().expect("a total"));
            let end = person.sub(&id(&sub)).await["items"]["data"][0]["current_period_end"]
                .as_i64()
                .expect("an end");
            person.pass(end + 2 * HOUR - person.now).await;
        }
        assert_eq!(totals, expected, "{coupon}");
        let left = person.sub(&id(&sub)).await["discounts"].as_array().map(Vec::len);
        let forever = coupon.contains("forever");
        assert_eq!(left, Some(usize::from(forever)), "{coupon}");
        let ended = person.events("customer.discount.deleted").await.len();
        assert_eq!(ended, usize::from(!forever), "{coupon}");
        person.bench.end().await;
    }
}

#[tokio::test]
async fn a_discount_shows_on_the_invoice_and_its_lines() {
    let person = Person::with_card().await;
    let one = person.bench.price("Pro", 999, Some("month")).await;
    let two = person.bench.price("Addon", 500, Some("month")).await;
    let coupon = "id=TEN&name=Ten&percent_off=10&duration=forever&metadata[why]=test";
    person.bench.post("/v1/coupons", coupon).await;
    let form = format!("items[0][price]={one}&items[1][price]={two}&discounts[0][coupon]=TEN");
    let sub = person.subscribe(&form).await;
    let path = format!(
        "/v1/invoices/{}?expand[]=discounts&expand[]=discounts.source.coupon",
        sub["latest_invoice"].as_str().expect("an id")
    );
    let invoice = person.bench.get(&path).await;
    assert_eq!(sums(&invoice), json!([1349, 1349, "paid"]));
    assert_eq!(amounts(&invoice), [999, 500]);
    let off = &invoice["total_discount_amounts"][0];
    assert_eq!((&off["amount"], &off["discount"]), (&json!(150), &sub["discounts"][0]));
    let shares: Vec<&Value> = invoice["lines"]["data"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| &line["discount_amounts"][0]["amount"])
        .collect();
    assert_eq!(shares, [100, 50]);
    assert_eq!(invoice["discounts"][0]["source"]["coupon"]["name"], "Ten");
    let coupon = person.bench.get("/v1/coupons/TEN").await;
    assert_eq!((&coupon["times_redeemed"], &coupon["valid"]), (&json!(1), &json!(true)));
    let (status, gone) =
        person.bench.call("DELETE", &format!("/v1/subscriptions/{}/discount", id(&sub)), "").await;
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)));
    let before = person.before("customer.subscription.updated").await;
    assert_eq!(before, json!({"discounts": sub["discounts"]}));
    person.bench.end().await;
}

#[tokio::test]
async fn promotion_codes_have_their_conditions() {
    let person = Person::with_card().await;
    let price = person.bench.price("Pro", 2000, Some("month")).await;
    let coupon = id(&person.bench.post("/v1/coupons", "percent_off=20&duration=forever").await);
    let make = |rest: &str| format!("promotion[type]=coupon&promotion[coupon]={coupon}{rest}");
    let once =
        person.bench.post("/v1/promotion_codes", &make("&code=ONCE&max_redemptions=1")).await;
    let (status, _) = person.bench.call("POST", "/v1/promotion_codes", &make("&code=once")).await;
    assert_eq!(status, 400, "the code is taken");
    let other = id(&person.bench.post("/v1/customers", "email=b@example.com").await);
    let theirs = make(&format!("&code=THEIRS&customer={other}"));
    let theirs = person.bench.post("/v1/promotion_codes", &theirs).await;
    let first = make("&code=FIRST&restrictions[first_time_transaction]=true");
    let first = person.bench.post("/v1/promotion_codes", &first).await;
    let form =
        |code: &Value| format!("items[0][price]={price}&discounts[0][promotion_code]={}", id(code));
    let sub = person.subscribe(&form(&once)).await;
    assert_eq!(person.newest().await["total"], 1600);
    let used = person.bench.get(&format!("/v1/promotion_codes/{}", id(&once))).await;
    assert_eq!((&used["active"], &used["times_redeemed"]), (&json!(false), &json!(1)));
    for code in [&once, &theirs, &first] {
        let form = format!("customer={}&{}", person.customer, form(code));
        let (status, error) = person.bench.call("POST", "/v1/subscriptions", &form).await;
        assert_eq!(status, 400, "{code}: {error}");
    }
    let found = person.bench.get("/v1/promotion_codes?code=theirs&active=true").await;
    assert_eq!(found["data"][0]["id"], theirs["id"]);
    let expanded = format!("/v1/subscriptions/{}?expand[]=discounts", id(&sub));
    let discount = person.bench.get(&expanded).await["discounts"][0].clone();
    assert_eq!((&discount["promotion_code"], &discount["end"]), (&once["id"], &Value::Null));
    person.bench.end().await;
}

#[tokio::test]
async fn coupons_that_are_wrong_or_over_are_refused() {
    let person = Person::with_card().await;
    for wrong in [
        "duration=once",
        "percent_off=120",
        "percent_off=10&amount_off=5&currency=usd",
        "amount_off=500",
        "percent_off=10&duration=repeating",
        "percent_off=10&duration=once&duration_in_months=3",
    ] {
        assert_eq!(person.bench.call("POST", "/v1/coupons", wrong).await.0, 400, "{wrong}");
    }
    let price = person.bench.price("Pro", 2000, Some("month")).await;
    person.bench.post("/v1/coupons", "id=ONE&percent_off=10&max_redemptions=1").await;
    person.subscribe(&format!("items[0][price]={price}&discounts[0][coupon]=ONE")).await;
    let form =
        format!("customer={}&items[0][price]={price}&discounts[0][coupon]=ONE", person.customer);
    let (status, error) = person.bench.call("POST", "/v1/subscriptions", &form).await;
    assert_eq!((status, &error["error"]["code"]), (400, &json!("coupon_expired")));
    assert_eq!(person.bench.get("/v1/coupons/ONE").await["valid"], false);
    person.bench.call("DELETE", "/v1/coupons/ONE", "").await;
    assert_eq!(person.bench.call("GET", "/v1/coupons/ONE", "").await.0, 404);
    person.bench.end().await;
}

#[tokio::test]
async fn prorations_give_back_what_was_paid_and_not_more() {
    let mut person = Person::with_card().await;
    let small = person.bench.price("Pro", 1000, Some("month")).await;
    let large = person.bench.price("Team", 3000, Some("month")).await;
    person.bench.post("/v1/coupons", "id=HALF&percent_off=50&duration=once").await;
    person.bench.post("/v1/coupons", "id=FIFTH&percent_off=20&duration=forever").await;
    let form = format!("items[0][price]={small}&discounts[0][coupon]=HALF");
    let sub = id(&person.subscribe(&form).await);
    assert_eq!(person.newest().await["total"], 500);
    person.pass(HALF).await;
    let si = item(&person.sub(&sub).await, 0);
    let form = format!(
        "items[0][id]={si}&items[0][price]={large}&proration_behavior=always_invoice\
         &discounts[0][coupon]=FIFTH"
    );
    let changed = person.change(&sub, &form).await;
    let invoice = person.invoice(&changed["latest_invoice"]).await;
    assert_eq!(amounts(&invoice), [-250, 1200], "half of 500, half of 2400");
    assert_eq!(invoice["total"], 950, "a discount is not taken twice");
    person.pass(31 * DAY - HALF + 2 * HOUR).await;
    assert_eq!(person.newest().await["total"], 2400);
    let event = person.events("customer.discount.created").await.pop().expect("an event");
    let object = &event["data"]["object"];
    assert_eq!((&object["subscription"], &object["object"]), (&json!(sub), &json!("discount")));
    assert_eq!(names(&object["source"]), ["coupon", "type"]);
    person.bench.end().await;
}
