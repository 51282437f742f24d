//! The whole chain as a newcomer lives it, from sign-up to cancel, in a real browser; and the same
//! purchase with scripts switched off.

use tests::Program as Api;

use crate::browser::Browser;
use crate::money::until_says;
use crate::program::Program;

/// Signs up as a newcomer does; ends on the overview.
pub async fn sign_up(browser: &Browser, program: &Program, name: &str) {
    browser.go(&format!("{}/sign-up", program.url)).await;
    browser.fill("name", name).await;
    browser.fill("email", &format!("{name}@example.com")).await;
    browser.fill("password", "a good long passphrase").await;
    browser.click_at("//main//form//button[@type='submit' or not(@type)]").await;
    browser.must_be_at("/dashboard").await;
}

/// Pays on the payment page with this card.
pub async fn pay(browser: &Browser, number: &str) {
    browser.must_be_at("/c/pay/").await;
    browser.fill("number", number).await;
    browser.fill("expiry", "12 / 34").await;
    browser.fill("cvc", "123").await;
    browser.fill("name", "Ada Lovelace").await;
    browser.click_at("//button[@id='pay']").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_signs_up_pays_uses_is_warned_tops_up_calls_the_api_and_cancels() {
    let program = Program::start().await;
    let browser = Browser::open(true).await;
    browser.go(&program.url).await;
    browser.click("Pricing").await;
    browser.must_say("$29").await;
    sign_up(&browser, &program, "ada").await;
    browser.must_say("100").await;
    subscribe(&browser, &program).await;
    be_warned(&browser, &program).await;
    top_up(&browser, &program).await;
    call_the_api(&browser, &program).await;
    cancel(&browser, &program).await;
    browser.close().await;
    let verified = program.command(&["ledger", "verify", "--json"]);
    assert!(verified.replace(' ', "").contains("\"ok\":true"), "{verified}");
    program.end().await;
}

/// A card that is declined says so; the next one pays, and the credits are there.
async fn subscribe(browser: &Browser, program: &Program) {
    browser.go(&format!("{}/pricing", program.url)).await;
    browser.click("Choose Pro").await;
    pay(browser, "4000000000000002").await;
    browser.must_say("Your card was declined.").await;
    pay(browser, "4242424242424242").await;
    browser.must_be_at(&program.url).await;
    browser.must_say("Pro").await;
    browser.go(&format!("{}/dashboard", program.url)).await;
    browser.must_say("2,000").await;
}

/// Fifteen videos are 1,500 of 2,000 credits: past 70 %, in the app and by mail.
async fn be_warned(browser: &Browser, program: &Program) {
    for _ in 0..15 {
        browser.go(&format!("{}/playground", program.url)).await;
        browser.click_at("//input[@name='work' and @value='video']").await;
        browser.fill("prompt", "a toll gate at dawn").await;
        browser.click_at("//main//form[contains(@action, '/api/play')]//button").await;
        browser.must_say("Made offline from your words.").await;
    }
    browser.go(&format!("{}/dashboard", program.url)).await;
    browser.must_say("1,500").await;
    browser.must_say("70%").await;
    until_says(browser, &format!("{}/dev/mail", program.url), "70%").await;
}

async fn top_up(browser: &Browser, program: &Program) {
    browser.go(&format!("{}/billing", program.url)).await;
    browser.click_at("(//form[contains(@action, '/api/buy_pack')]//button)[1]").await;
    pay(browser, "4242424242424242").await;
    browser.must_be_at(&program.url).await;
    browser.go(&format!("{}/dashboard", program.url)).await;
    browser.must_say("500 bought").await;
}

/// A key is made, shown once, used, and refused once it is revoked.
async fn call_the_api(browser: &Browser, program: &Program) {
    browser.go(&format!("{}/keys", program.url)).await;
    browser.fill("name", "backend").await;
    browser.click_at("//form[contains(@action, '/api/create_key')]//button").await;
    browser.must_say("tp_test_").await;
    let text = browser.text().await;
    let begin = text.find("tp_test_").expect("a secret");
    let secret: String =
        text[begin..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let api = Api::new(&program.url, &secret, "");
    let used = api.consume("from-the-browser", "image", 1).await;
    assert_eq!(used.status, 200, "{:?}", used.body);
    assert_eq!(used.body["credits"], "20");
    assert_eq!(api.available().await, "980");
    browser.go(&format!("{}/credits", program.url)).await;
    browser.must_say("−20").await;
    browser.go(&format!("{}/keys", program.url)).await;
    assert!(!browser.text().await.contains(&secret), "the secret is shown once");
}

async fn cancel(browser: &Browser, program: &Program) {
    browser.go(&format!("{}/billing", program.url)).await;
    browser.click("Open the customer portal").await;
    browser.must_be_at("/p/session/").await;
    browser.click_at("//a[@id='cancel']").await;
    browser.click_at("//button[@id='confirm']").await;
    browser.must_be_at("done=canceled").await;
    until_says(browser, &format!("{}/billing", program.url), "Ends").await;
    // The month is over: the paid plan ends, the pack stays.
    program.command(&["clock", "advance", "2764800"]);
    for _ in 0..100 {
        browser.go(&format!("{}/dashboard", program.url)).await;
        if browser.text().await.contains("Free") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    browser.must_say("Free").await;
    browser.must_say("500 bought").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_purchase_works_without_javascript() {
    let program = Program::start().await;
    let browser = Browser::open(false).await;
    sign_up(&browser, &program, "bob").await;
    browser.go(&format!("{}/pricing", program.url)).await;
    browser.click("Choose Pro").await;
    pay(&browser, "4242424242424242").await;
    browser.must_be_at(&program.url).await;
    browser.go(&format!("{}/dashboard", program.url)).await;
    browser.must_say("2,000").await;
    browser.close().await;
    program.end().await;
}
