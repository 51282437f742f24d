//! The card that pays for what nobody is present for: which one it is, and when it runs out.
//!
//! Writes the card's columns of `customers`. The number of a card is never seen here.

use stripe_core::customer::ListPaymentMethodsCustomer;

use crate::autorecharge::{self, Pause};
use crate::clock::{DAY, Millis, date_time};
use crate::db::{Db, Tx, sql};
use crate::engine::Engine;
use crate::error::Result;
use crate::mail::Money;
use crate::notices::{self, News};
use crate::stripe::inbox::Claim;
use crate::stripe::shapes::{Customer, List, PaymentMethod};

use super::{Synced, sync};

/// How long before its end a card is told to run out.
const NOTICE: Millis = 30 * DAY;
/// Customers that are told in one turn; the rest comes with the next.
const TOLD_MAX: i64 = 1_000;

/// What an org's charges without anybody present are paid with.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Card {
    /// `cus_…`
    pub customer_id: String,
    /// `pm_…`
    pub payment_method: String,
    /// visa, mastercard, …; none where it is no card.
    pub card_brand: Option<String>,
    /// The last four digits.
    pub card_last4: Option<String>,
}

impl Card {
    /// `Visa ending in 4242`
    pub fn spoken(&self) -> String {
        spoken(self.card_brand.as_deref(), self.card_last4.as_deref())
    }
}

fn spoken(brand: Option<&str>, last4: Option<&str>) -> String {
    let Some(last4) = last4 else { return "Your saved payment method".to_owned() };
    let brand = match brand.unwrap_or_default() {
        "amex" => "American Express".to_owned(),
        "jcb" => "JCB".to_owned(),
        "unionpay" => "UnionPay".to_owned(),
        "" | "unknown" => "Card".to_owned(),
        other => {
            let (first, rest) = other.split_at(other.chars().next().map_or(0, char::len_utf8));
            first.to_uppercase() + rest
        }
    };
    format!("{brand} ending in {last4}")
}

/// What an org's charges are paid with; none where nothing is known.
pub async fn card_of(db: &Db, org_id: &str) -> Result<Option<Card>> {
    let text = "select customer_id, payment_method, card_brand, card_last4 from customers
         where org_id = $1 and deleted_at is null and payment_method is not null";
    db.optional(sql(text).bind(org_id)).await
}

/// What a customer is charged with when nobody is present: the default of its invoices, else what
/// it saved last.
pub(super) async fn chosen(engine: &Engine, customer: &Customer) -> Result<Option<PaymentMethod>> {
    if customer.deleted {
        return Ok(None);
    }
    if let Some(default) = &customer.invoice_settings.default_payment_method {
        return Ok(Some(default.clone()));
    }
    let request = ListPaymentMethodsCustomer::new(customer.id.clone()).limit(1);
    let saved: Option<List<PaymentMethod>> = engine.stripe.fetch_optional(&request).await?;
    Ok(saved.and_then(|saved| saved.data.into_iter().next()))
}

#[derive(sqlx::FromRow)]
struct Known {
    payment_method: Option<String>,
    card_exp_year: Option<i64>,
    card_exp_month: Option<i64>,
}

/// Writes down what a customer pays with now. Another card, or the same with another end, is told
/// anew when it runs out, and lets auto-recharge go on where the old one stopped it.
pub(super) async fn keep(
    tx: &mut Tx,
    customer_id: &str,
    org_id: &str,
    method: Option<&PaymentMethod>,
    now: Millis,
) -> Result<()> {
    let text = "select payment_method, card_exp_year, card_exp_month from customers
         where customer_id = $1";
    let known: Known = tx.one(sql(text).bind(customer_id)).await?;
    let card = method.and_then(|method| method.card.as_ref());
    let end = (card.map(|card| card.exp_year), card.map(|card| card.exp_month));
    let same = known.payment_method.as_deref() == method.map(|method| method.id.as_str());
    if same && end == (known.card_exp_year, known.card_exp_month) {
        return Ok(());
    }
    let text = "update customers set payment_method = $2, card_brand = $3, card_last4 = $4,
             card_exp_year = $5, card_exp_month = $6, card_told = null
         where customer_id = $1";
    let row = sql(text)
        .bind(customer_id)
        .bind(method.map(|method| method.id.as_str()))
        .bind(card.map(|card| card.brand.as_str()))
        .bind(card.map(|card| card.last4.as_str()))
        .bind(end.0)
        .bind(end.1);
    tx.execute(row).await?;
    if method.is_some() {
        autorecharge::resume(tx, org_id, &Pause::BY_CARD, now).await?;
    }
    Ok(())
}

/// A card came, went or changed: looks at its customer.
pub async fn sync_card(engine: &Engine, claim: &Claim) -> Result<Synced> {
    if let Some(customer_id) = &claim.customer_id {
        return sync(engine, customer_id, claim).await;
    }
    // A card that was taken away names nobody any more; whose it was is what we remember.
    let text = "select customer_id from customers where payment_method = $1";
    let row: Option<(String,)> =
        engine.db.optional(sql(text).bind(claim.object_id.as_deref())).await?;
    match row {
        Some((customer_id,)) => sync(engine, &customer_id, claim).await,
        None => Ok(Synced::Foreign),
    }
}

#[derive(sqlx::FromRow)]
struct Ending {
    customer_id: String,
    org_id: String,
    card_brand: Option<String>,
    card_last4: Option<String>,
    card_exp_year: i64,
    card_exp_month: i64,
}

/// Tells those whose card runs out within 30 days, once a card and month, where something is
/// charged to it: a plan, or auto-recharge. Answers how many.
pub async fn tell_expiring(engine: &Engine) -> Result<usize> {
    let now = engine.clock.now();
    let text = "select c.customer_id, c.org_id, c.card_brand, c.card_last4, c.card_exp_year, \
             c.card_exp_month
         from customers c
         where c.deleted_at is null and c.card_exp_year * 12 + c.card_exp_month between $1 and $2
             and (c.card_told is null or c.card_told <> c.card_exp_year * 12 + c.card_exp_month)
             and (exists (select 1 from subscriptions s where s.customer_id = c.customer_id
                     and s.ended_at is null)
                 or exists (select 1 from recharge_settings r where r.org_id = c.org_id
                     and r.enabled))
         order by c.customer_id limit $3";
    let (from, to) = (month_of(now), last_month(now));
    let rows: Vec<Ending> = engine.db.all(sql(text).bind(from).bind(to).bind(TOLD_MAX)).await?;
    let mut told = 0;
    for ending in &rows {
        let mut tx = engine.db.begin().await?;
        if tell(&mut tx, ending, now).await? {
            told += 1;
        }
        tx.commit().await?;
    }
    if told > 0 {
        engine.wake.notify_one();
    }
    Ok(told)
}

async fn tell(tx: &mut Tx, ending: &Ending, now: Millis) -> Result<bool> {
    let month = ending.card_exp_year * 12 + ending.card_exp_month;
    let text = "update customers set card_told = $2
         where customer_id = $1 and (card_told is null or card_told <> $2)";
    if tx.execute(sql(text).bind(&ending.customer_id).bind(month)).await? == 0 {
        return Ok(false);
    }
    let letter = Money::CardExpiring {
        card: spoken(ending.card_brand.as_deref(), ending.card_last4.as_deref()),
        month: ending.card_exp_month,
        year: ending.card_exp_year,
    };
    notices::tell(tx, &ending.org_id, &News::Money(letter), now).await?;
    Ok(true)
}

/// Year × 12 + month.
fn month_of(at: Millis) -> i64 {
    let at = date_time(at);
    i64::from(at.year()) * 12 + i64::from(u8::from(at.month()))
}

/// The last month whose cards are told about: a card works until its month is over.
fn last_month(now: Millis) -> i64 {
    month_of(now + NOTICE) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::parse_rfc3339;

    #[test]
    fn cards_are_spoken_as_people_know_them() {
        let cases = [
            (Some("visa"), Some("4242"), "Visa ending in 4242"),
            (Some("amex"), Some("0005"), "American Express ending in 0005"),
            (Some("unknown"), Some("1"), "Card ending in 1"),
            (None, None, "Your saved payment method"),
        ];
        for (brand, last4, expected) in cases {
            assert_eq!(spoken(brand, last4), expected);
        }
    }

    #[test]
    fn a_card_is_told_about_thirty_days_before_its_month_is_over() {
        // A card of 4/2027 works until the end of 30 April: 30 days before is 1 April.
        let cases = [
            ("2027-03-31T23:00:00Z", false),
            ("2027-04-01T00:00:00Z", true),
            ("2027-04-30T23:59:59Z", true),
            ("2027-05-01T00:00:00Z", false),
        ];
        for (at, told) in cases {
            let now = parse_rfc3339(at).expect("a time");
            let month = 2027 * 12 + 4;
            let is_told = (month_of(now)..=last_month(now)).contains(&month);
            assert_eq!(is_told, told, "{at}");
        }
    }
}
