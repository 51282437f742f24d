//! Finding things: search, list filters, test clocks with their limits, the simulator's own page.

use serde_json::{Value, json};

use super::support::{Bench, id};

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().expect("a list").iter().map(id).collect()
}

#[tokio::test]
async fn search_finds_by_field_and_metadata_in_pages() {
    let bench = Bench::new().await;
    let mut made = Vec::new();
    for number in 0..5 {
        let form = format!("email=s{number}@example.com&name=Ada&metadata[org_id]=org_{number}");
        made.push(id(&bench.post("/v1/customers", &form).await));
    }
    let search = async |query: &str, more: &str| {
        let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        bench.call("GET", &format!("/v1/customers/search?query={query}{more}"), "").await
    };
    let (_, one) = search("metadata['org_id']:'org_3'", "").await;
    assert_eq!((ids(&one), &one["object"]), (vec![made[3].clone()], &json!("search_result")));
    let (_, both) = search("email:'s1@example.com' OR email:'s2@example.com'", "").await;
    assert_eq!(ids(&both), [made[2].clone(), made[1].clone()]);
    let (_, first) = search("name:'ada' AND -metadata['org_id']:'org_0'", "&limit=3").await;
    assert_eq!((ids(&first).len(), &first["has_more"]), (3, &json!(true)));
    let page = first["next_page"].as_str().expect("a page");
    let (_, rest) =
        search("name:'ada' AND -metadata['org_id']:'org_0'", &format!("&page={page}")).await;
    assert_eq!((ids(&rest), &rest["next_page"]), (vec![made[1].clone()], &Value::Null));
    assert_eq!(search("nickname:'x'", "").await.0, 400);
    bench.control("/_sim/settings", json!({"search_delay": 60})).await;
    assert_eq!(ids(&search("name:'ada'", "").await.1), [""; 0], "not visible yet");
    bench.control("/_sim/clock", json!({"advance_seconds": 61})).await;
    assert_eq!(ids(&search("name:'ada'", "").await.1).len(), 5);
    bench.end().await;
}

#[tokio::test]
async fn events_are_filtered_by_type_time_and_delivery() {
    let bench = Bench::new().await;
    let customer = id(&bench.post("/v1/customers", "email=e@example.com").await);
    bench.post(&format!("/v1/customers/{customer}"), "name=E").await;
    bench.price("Pro", 100, None).await;
    let types = async |query: &str| -> Vec<String> {
        let list = bench.get(&format!("/v1/events?{query}")).await;
        let all = list["data"].as_array().expect("a list").iter();
        all.map(|event| event["type"].as_str().unwrap_or("").to_owned()).collect()
    };
    assert_eq!(types("type=customer.updated").await, ["customer.updated"]);
    assert_eq!(types("type=customer.*").await, ["customer.updated", "customer.created"]);
    let two = types("types[]=price.created&types[]=customer.created").await;
    assert_eq!(two, ["price.created", "customer.created"]);
    assert_eq!(types("created[gt]=4000000000").await, [""; 0]);
    assert_eq!(types("delivery_success=false").await, [""; 0]);
    let both = bench.call("GET", "/v1/events?type=a&types[]=b", "").await;
    assert_eq!(both.0, 400);
    bench.control("/_sim/clock", json!({"advance_seconds": 31 * 86_400})).await;
    assert_eq!(types("limit=100").await, [""; 0], "events are kept for thirty days");
    bench.end().await;
}

#[tokio::test]
async fn test_clocks_have_their_limits() {
    let bench = Bench::new().await;
    let price = bench.price("Pro", 2900, Some("month")).await;
    let clock = id(&bench.post("/v1/test_helpers/test_clocks", "frozen_time=1800000000").await);
    let make = format!("test_clock={clock}&payment_method=pm_card_visa");
    let customer = id(&bench.post("/v1/customers", &make).await);
    for _ in 0..2 {
        bench.post("/v1/customers", &make).await;
    }
    assert_eq!(bench.call("POST", "/v1/customers", &make).await.0, 400, "three customers");
    let methods = bench.get(&format!("/v1/customers/{customer}/payment_methods")).await;
    let method = id(&methods["data"][0]);
    let buy =
        format!("customer={customer}&items[0][price]={price}&default_payment_method={method}");
    for _ in 0..3 {
        bench.post("/v1/subscriptions", &buy).await;
    }
    assert_eq!(bench.call("POST", "/v1/subscriptions", &buy).await.0, 400, "three subscriptions");
    let advance = format!("/v1/test_helpers/test_clocks/{clock}/advance");
    let refused = ["frozen_time=1799999999", "frozen_time=1806000000"];
    for wrong in refused {
        assert_eq!(bench.call("POST", &advance, wrong).await.0, 400, "{wrong}");
    }
    let going = bench.post(&advance, "frozen_time=1805000000").await;
    assert_eq!(going["status"], "advancing");
    let there = bench.get(&format!("/v1/test_helpers/test_clocks/{clock}")).await;
    assert_eq!((&there["status"], &there["frozen_time"]), (&json!("ready"), &json!(1_805_000_000)));
    let invoices = bench.get(&format!("/v1/invoices?customer={customer}&limit=100")).await;
    assert_eq!(ids(&invoices).len(), 6, "three subscriptions, each twice");
    let gone = bench.call("DELETE", &format!("/v1/test_helpers/test_clocks/{clock}"), "").await;
    assert_eq!((gone.0, &gone.1["deleted"]), (200, &json!(true)));
    assert_eq!(bench.call("GET", &format!("/v1/customers/{customer}"), "").await.0, 404);
    bench.end().await;
}

#[tokio::test]
async fn the_simulators_own_page_shows_and_does() {
    let bench = Bench::new().await;
    let form = "amount=500&currency=usd&confirm=true&payment_method=pm_card_visa";
    let intent = bench.post("/v1/payment_intents", form).await;
    let charge = intent["latest_charge"].as_str().expect("a charge").to_owned();
    let page = async |path: &str| {
        let answer = bench.http.get(format!("{}{path}", bench.url)).send().await.expect("a page");
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.expect("text")
    };
    let press = async |action: &str, fields: &[(&str, &str)]| {
        let url = format!("{}/_sim/actions/{action}", bench.url);
        bench.http.post(url).form(fields).send().await.expect("an answer").status().as_u16()
    };
    let home = page("/").await;
    assert!(home.contains("charge.succeeded") && home.contains("$5.00"), "{home}");
    assert!(page("/_sim/objects/charge").await.contains(&charge));
    assert!(page(&format!("/_sim/objects/charge/{charge}")).await.contains("payment_intent"));
    assert_eq!(press(&format!("dispute/{charge}"), &[("kind", "dispute")]).await, 303);
    let dispute = id(&bench.get("/v1/disputes").await["data"][0]);
    assert!(page("/").await.contains(&dispute));
    assert_eq!(press(&format!("decide/{dispute}"), &[("outcome", "won")]).await, 303);
    assert_eq!(bench.get(&format!("/v1/disputes/{dispute}")).await["status"], "won");
    let fault = [("kind", "rate_limit"), ("count", "1"), ("path", "/v1/refunds")];
    assert_eq!(press("api_fault", &fault).await, 303);
    assert!(page("/").await.contains("429, too many requests, /v1/refunds"));
    assert_eq!(bench.call("GET", "/v1/refunds", "").await.0, 429);
    assert_eq!(press("webhook_faults", &[("duplicate", "on"), ("share", "50")]).await, 303);
    let faults = bench.http.get(format!("{}/_sim/faults", bench.url)).send().await;
    let faults: Value = faults.expect("an answer").json().await.expect("JSON");
    assert_eq!(faults["webhooks"]["duplicate"], 500);
    assert_eq!(press("hold", &[("hold", "yes")]).await, 303);
    assert!(page("/").await.contains("held back"));
    assert_eq!(press("advance", &[("seconds", "86400")]).await, 303);
    assert!(page("/").await.contains("1 day and 0 hours ahead"));
    assert_eq!(press(&format!("refund/{charge}"), &[]).await, 303);
    assert_eq!(bench.get(&format!("/v1/charges/{charge}")).await["refunded"], true);
    assert_eq!(press("reset", &[]).await, 400, "nobody said they were sure");
    let sure = [("sure", "yes")];
    assert_eq!(press("reset", &sure).await, 303);
    assert_eq!(bench.get("/v1/charges").await["data"], json!([]));
    let foreign = bench.http.post(format!("{}/_sim/actions/reset", bench.url)).form(&sure);
    let foreign = foreign.header("sec-fetch-site", "cross-site").send().await.expect("an answer");
    assert_eq!(foreign.status(), 403);
    bench.end().await;
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let settings =
        simulator::Settings { addr: "0.0.0.0:0".parse().expect("an address"), data: None };
    let refused = simulator::start(settings).await.err().expect("a refusal");
    assert!(refused.to_string().contains("loopback only"), "{refused}");
}
