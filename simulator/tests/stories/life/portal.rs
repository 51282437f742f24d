//! The hosted portal: changes that wait, flows with an end of their own, codes, offers, sessions.

use serde_json::{Value, json};

use super::super::support::id;
use super::{DAY, HALF, HOUR, Person, amounts, item};

/// Somebody with a plan of 3000, and a configuration that offers it and one of 1000.
struct Visitor {
    person: Person,
    sub: String,
    small: String,
    large: String,
    configuration: String,
}

impl Visitor {
    async fn new(rest: &str) -> Visitor {
        let person = Person::with_card().await;
        let small = person.bench.price("Pro", 1000, Some("month")).await;
        let large = person.bench.price("Team", 3000, Some("month")).await;
        let mut form = format!(
            "features[subscription_cancel][enabled]=true\
             &features[payment_method_update][enabled]=true\
             &features[invoice_history][enabled]=true\
             &features[customer_update][enabled]=true\
             &features[customer_update][allowed_updates][]=email\
             &features[customer_update][allowed_updates][]=address\
             &features[subscription_update][enabled]=true\
             &features[subscription_update][default_allowed_updates][]=price\
             &features[subscription_update][default_allowed_updates][]=quantity\
             &features[subscription_update][default_allowed_updates][]=promotion_code\
             &features[subscription_update][proration_behavior]=always_invoice{rest}"
        );
        for (place, price) in [&small, &large].into_iter().enumerate() {
            let product = person.bench.get(&format!("/v1/prices/{price}")).await["product"].clone();
            let name = format!("features[subscription_update][products][{place}]");
            let product = product.as_str().expect("an id");
            form.push_str(&format!(
                "&{name}[product]={product}&{name}[prices][]={price}\
                 &{name}[adjustable_quantity][enabled]=true\
                 &{name}[adjustable_quantity][maximum]=9"
            ));
        }
        let made = person.bench.post("/v1/billing_portal/configurations", &form).await;
        let sub = person.monthly(&large).await;
        Visitor { person, sub, small, large, configuration: id(&made) }
    }

    /// Opens a session and answers its address.
    async fn open(&self, rest: &str) -> String {
        let form = format!(
            "customer={}&configuration={}&return_url=http://127.0.0.1:9/account{rest}",
            self.person.customer, self.configuration
        );
        let session = self.person.bench.post("/v1/billing_portal/sessions", &form).await;
        session["url"].as_str().expect("a url").to_owned()
    }

    async fn page(&self, url: &str) -> String {
        let answer = self.person.bench.http.get(url).send().await.expect("a page");
        assert_eq!(answer.status(), 200, "{url}");
        answer.text().await.expect("text")
    }

    /// Sends a form; answers the status and where it leads.
    async fn act(&self, url: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let answer = self.person.bench.http.post(url).form(fields).send().await.expect("an answer");
        let to = answer.headers().get("location").and_then(|to| to.to_str().ok());
        (answer.status().as_u16(), to.unwrap_or("").to_owned())
    }

    async fn sub(&self) -> Value {
        self.person.sub(&self.sub).await
    }
}

const AT_END: &str = "&features[subscription_update][schedule_at_period_end][conditions][0][type]\
                      =decreasing_item_amount";

#[tokio::test]
async fn a_downgrade_in_the_portal_waits_and_can_be_undone() {
    // B9, B10
    let mut visitor = Visitor::new(AT_END).await;
    visitor.person.pass(HALF).await;
    let url = visitor.open("").await;
    let confirm =
        format!("{url}?view=confirm&subscription={}&price={}", visitor.sub, visitor.small);
    let page = visitor.page(&confirm).await;
    assert!(page.contains("Nothing is due today") && page.contains("Due on 1 Feb 2026"), "{page}");
    assert!(page.contains("$10.00") && !page.contains("Unused time"), "{page}");
    let fields = [("subscription", visitor.sub.as_str()), ("price", visitor.small.as_str())];
    let (status, to) = visitor.act(&format!("{url}/switch"), &fields).await;
    assert!(status == 303 && to.ends_with("done=planned"), "{to}");
    let planned = visitor.sub().await;
    assert_eq!(planned["items"]["data"][0]["price"]["id"], json!(visitor.large));
    let schedule = planned["schedule"].as_str().expect("a schedule").to_owned();
    let schedule =
        visitor.person.bench.get(&format!("/v1/subscription_schedules/{schedule}")).await;
    assert_eq!(schedule["phases"].as_array().map(Vec::len), Some(2));
    assert_eq!(schedule["phases"][1]["items"][0]["price"], json!(visitor.small));
    let page = visitor.page(&url).await;
    assert!(page.contains("Changes to 1 × Pro") && page.contains("on 1 Feb 2026"), "{page}");
    assert!(page.contains("Next payment on 1 Feb 2026") && page.contains("$10.00"), "{page}");
    let only = [("subscription", visitor.sub.as_str())];
    let (status, to) = visitor.act(&format!("{url}/undo"), &only).await;
    assert!(status == 303 && to.ends_with("done=unchanged"), "{to}");
    assert!(visitor.sub().await["schedule"].is_null());
    visitor.act(&format!("{url}/switch"), &fields).await;
    visitor.person.pass(31 * DAY - HALF + 2 * HOUR).await;
    assert_eq!(amounts(&visitor.person.newest().await), [1000]);
    assert_eq!(visitor.sub().await["items"]["data"][0]["price"]["id"], json!(visitor.small));
    visitor.person.bench.end().await;
}

#[tokio::test]
async fn a_flow_confirms_a_change_and_leads_back() {
    let mut visitor = Visitor::new("").await;
    visitor.person.pass(HALF).await;
    visitor.person.bench.post("/v1/coupons", "id=HALF&percent_off=50&duration=forever").await;
    let si = item(&visitor.sub().await, 0);
    let flow = format!(
        "&flow_data[type]=subscription_update_confirm\
         &flow_data[subscription_update_confirm][subscription]={}\
         &flow_data[subscription_update_confirm][items][0][id]={si}\
         &flow_data[subscription_update_confirm][items][0][quantity]=2\
         &flow_data[subscription_update_confirm][items][0][price]={}\
         &flow_data[subscription_update_confirm][discounts][0][coupon]=HALF\
         &flow_data[after_completion][type]=redirect\
         &flow_data[after_completion][redirect][return_url]=http://127.0.0.1:9/thanks",
        visitor.sub, visitor.large
    );
    let url = visitor.open(&flow).await;
    let page = visitor.page(&url).await;
    assert!(page.contains("Amount due today") && page.contains("2 × Team"), "{page}");
    assert!(page.contains("-$15.00") && page.contains("$0.00</"), "{page}");
    let (status, to) =
        visitor.act(&format!("{url}/switch"), &[("subscription", &visitor.sub)]).await;
    assert_eq!((status, to.as_str()), (303, "http://127.0.0.1:9/thanks"));
    let changed = visitor.sub().await;
    assert_eq!(changed["items"]["data"][0]["quantity"], 2);
    assert_eq!(amounts(&visitor.person.newest().await), [-1500, 1500]);
    let (status, _) = visitor
        .person
        .bench
        .call(
            "POST",
            "/v1/billing_portal/sessions",
            &format!(
                "customer={}&flow_data[type]=subscription_update_confirm",
                visitor.person.customer
            ),
        )
        .await;
    assert_eq!(status, 400, "a flow names its subscription");
    visitor.person.bench.end().await;
}

#[tokio::test]
async fn leaving_asks_why_offers_a_coupon_and_ends_where_it_was_told() {
    // B11
    let rest = "&features[subscription_cancel][cancellation_reason][enabled]=true\
                &features[subscription_cancel][cancellation_reason][options][]=unused\
                &features[subscription_cancel][cancellation_reason][options][]=too_expensive";
    let visitor = Visitor::new(rest).await;
    visitor.person.bench.post("/v1/coupons", "id=STAY&percent_off=30&duration=forever").await;
    let flow = format!(
        "&flow_data[type]=subscription_cancel&flow_data[subscription_cancel][subscription]={}\
         &flow_data[subscription_cancel][retention][type]=coupon_offer\
         &flow_data[subscription_cancel][retention][coupon_offer][coupon]=STAY\
         &flow_data[after_completion][type]=hosted_confirmation\
         &flow_data[after_completion][hosted_confirmation][custom_message]=So+long",
        visitor.sub
    );
    let url = visitor.open(&flow).await;
    let page = visitor.page(&url).await;
    assert!(page.contains("30% off") && page.contains("I do not use it"), "{page}");
    let only = [("subscription", visitor.sub.as_str())];
    let (_, to) = visitor.act(&format!("{url}/stay"), &only).await;
    assert!(to.ends_with("?view=done"), "{to}");
    assert_eq!(visitor.sub().await["discounts"].as_array().map(Vec::len), Some(1));
    let fields = [only[0], ("feedback", "unused"), ("comment", "Bye")];
    let (_, to) = visitor.act(&format!("{url}/cancel"), &fields).await;
    let done = visitor.page(&format!("{}{to}", visitor.person.bench.url)).await;
    assert!(done.contains("So long") && done.contains("http://127.0.0.1:9/account"), "{done}");
    let leaving = visitor.sub().await;
    assert_eq!(leaving["cancel_at"], leaving["items"]["data"][0]["current_period_end"]);
    let why = json!({"comment": "Bye", "feedback": "unused", "reason": "cancellation_requested"});
    assert_eq!(leaving["cancellation_details"], why);
    visitor.person.bench.end().await;
}

#[tokio::test]
async fn quantities_codes_and_details_are_taken_within_bounds() {
    let mut visitor = Visitor::new("").await;
    let coupon =
        id(&visitor.person.bench.post("/v1/coupons", "percent_off=10&duration=forever").await);
    let code = format!("promotion[type]=coupon&promotion[coupon]={coupon}&code=TEN");
    visitor.person.bench.post("/v1/promotion_codes", &code).await;
    let url = visitor.open("").await;
    let page = visitor.page(&format!("{url}?view=switch")).await;
    assert!(page.contains("max=\"9\"") && page.contains("Promotion code"), "{page}");
    let sub = visitor.sub.clone();
    let large = visitor.large.clone();
    let with = |extra: (&'static str, &'static str)| {
        [("subscription", sub.as_str()), ("price", large.as_str()), extra]
    };
    for wrong in [("quantity", "10"), ("quantity", "x"), ("code", "NOPE")] {
        let (status, _) = visitor.act(&format!("{url}/switch"), &with(wrong)).await;
        assert_eq!(status, 400, "{wrong:?}");
    }
    assert_eq!(visitor.act(&format!("{url}/switch"), &with(("quantity", "3"))).await.0, 303);
    assert_eq!(visitor.sub().await["items"]["data"][0]["quantity"], 3);
    assert_eq!(visitor.act(&format!("{url}/switch"), &with(("code", "ten"))).await.0, 303);
    assert_eq!(visitor.sub().await["discounts"].as_array().map(Vec::len), Some(1));
    let home = visitor.page(&url).await;
    assert!(home.contains("10% off") && home.contains("$81.00"), "{home}");
    let fields =
        [("email", "new@example.com"), ("country", "DE"), ("city", "Köln"), ("name", "No")];
    assert_eq!(visitor.act(&format!("{url}/details"), &fields).await.0, 303);
    let path = format!("/v1/customers/{}", visitor.person.customer);
    let changed = visitor.person.bench.get(&path).await;
    assert_eq!(
        (&changed["email"], &changed["address"]["city"]),
        (&json!("new@example.com"), &json!("Köln"))
    );
    assert!(changed["name"].is_null(), "names are not among what may be changed");
    let card = [("test_card", "4000000000000341")];
    assert_eq!(visitor.act(&format!("{url}/card"), &card).await.0, 303);
    visitor.person.pass(31 * DAY + 2 * HOUR).await;
    let home = visitor.page(&url).await;
    assert!(home.contains("Your last payment failed") && home.contains("Pay now"), "{home}");
    visitor.person.bench.end().await;
}

#[tokio::test]
async fn a_session_dies_unopened_or_unused() {
    let visitor = Visitor::new("").await;
    let (unopened, opened) = (visitor.open("").await, visitor.open("").await);
    visitor.page(&opened).await;
    let bench = &visitor.person.bench;
    bench.control("/_sim/clock", json!({"advance_seconds": 400})).await;
    assert_eq!(bench.http.get(&unopened).send().await.expect("a page").status(), 410);
    visitor.page(&opened).await;
    bench.control("/_sim/clock", json!({"advance_seconds": 3700})).await;
    assert_eq!(bench.http.get(&opened).send().await.expect("a page").status(), 410);
    visitor.person.bench.end().await;
}
