//! Money that moves after the first payment, in a real browser: a plan changed by preview and
//! portal, credits bought by themselves, and a payment given back.

use std::time::Duration;

use crate::browser::Browser;
use crate::chain::{pay, sign_up};
use crate::program::Program;

/// How often a page is asked again until it says what comes by webhook.
const ASKED: u32 = 100;

/// Goes to a page until it says this.
pub async fn until_says(browser: &Browser, url: &str, what: &str) {
    for _ in 0..ASKED {
        browser.go(url).await;
        if browser.text().await.contains(what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    browser.must_say(what).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_upgraded_credits_buy_themselves_and_a_refund_is_on_the_statement() {
    // B8, E1, E7
    let program = Program::start().await;
    let browser = Browser::open(true).await;
    sign_up(&browser, &program, "eve").await;
    subscribe_and_upgrade(&browser, &program).await;
    recharge(&browser, &program).await;
    refund(&browser, &program).await;
    browser.close().await;
    let verified = program.command(&["ledger", "verify", "--json"]);
    assert!(verified.replace(' ', "").contains("\"ok\":true"), "{verified}");
    program.end().await;
}

/// Pro by the month, then Team: the preview says what is charged, the portal asks once more.
async fn subscribe_and_upgrade(browser: &Browser, program: &Program) {
    let billing = format!("{}/billing", program.url);
    browser.go(&billing).await;
    browser.must_say("Choose a plan").await;
    browser.click("Yearly").await;
    browser.click("Monthly").await;
    browser.click("Choose Pro, $29 a month").await;
    pay(browser, "4242424242424242").await;
    browser.must_be_at(&program.url).await;
    until_says(browser, &billing, "Pro, $29.00 a month.").await;
    browser.click("Preview Team, $99 a month").await;
    browser.must_be_at("/billing/change").await;
    browser.must_say("This applies now").await;
    browser.must_say("Charged now").await;
    browser.must_say("10,000, instead of 2,000").await;
    browser.click("Continue to confirm").await;
    browser.must_be_at("/p/session/").await;
    browser.must_say("Amount due today").await;
    browser.click_at("//button[@id='confirm']").await;
    browser.must_be_at(&program.url).await;
    until_says(browser, &billing, "Team, $99.00 a month.").await;
}

/// A mistake is told under its field and what was typed stays; then one use is enough to buy a
/// pack.
async fn recharge(browser: &Browser, program: &Program) {
    let billing = format!("{}/billing", program.url);
    let save = "//form[contains(@action, '/api/save_recharge')]//button";
    browser.go(&billing).await;
    browser.fill("threshold", "-5").await;
    browser.fill("monthly_max", "10").await;
    browser.click_at(save).await;
    browser.click_at("//input[@name='threshold' and @aria-invalid='true']").await;
    browser.fill("threshold", "50000").await;
    browser.click_at(save).await;
    browser.must_say("fewer than 50,000 credits are left").await;
    browser.go(&format!("{}/playground", program.url)).await;
    browser.click_at("//input[@name='work' and @value='video']").await;
    browser.fill("prompt", "a toll gate at dusk").await;
    browser.click_at("//main//form[contains(@action, '/api/play')]//button").await;
    browser.must_say("Made offline from your words.").await;
    until_says(browser, &billing, "You hold 500 bought").await;
    browser.must_say("$10.00 of at most $10.00").await;
}

/// The newest payment is given back on the simulator's page: the credits go, and every page that
/// tells about money says so.
async fn refund(browser: &Browser, program: &Program) {
    browser.go(&format!("{}/_sim", program.stripe)).await;
    browser.click_at("(//form[contains(@action, '/_sim/actions/refund/')]//button)[1]").await;
    browser.must_say("refund.created").await;
    until_says(browser, &format!("{}/credits", program.url), "Credits taken back").await;
    browser.must_say("−500").await;
    browser.go(&format!("{}/billing", program.url)).await;
    browser.must_say("Refunds and disputes").await;
    browser.must_say("$10.00").await;
    browser.must_say("You hold 0 bought").await;
    browser.go(&format!("{}/dashboard", program.url)).await;
    browser.must_say("$10.00 was refunded").await;
    until_says(browser, &format!("{}/dev/mail", program.url), "$10.00 was refunded").await;
}
