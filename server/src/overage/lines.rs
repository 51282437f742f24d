//! From what uses add up to, to lines: each brings its sum up to what it is now, so that what comes
//! late, or is taken back, makes another line. Never speaks to Stripe.

use crate::clock::{self, Clock, Millis};
use crate::credits;
use crate::db::{Db, Tx, sql};
use crate::error::Result;
use crate::ids;
use crate::rates::RateCard;
use crate::units::{Quantity, minor_units, spoken};
use crate::usage::{self, Behind, BilledKey, BilledSum};

/// How long a worker has a line in hand: longer than its calls can take.
const LEASE: Millis = 5 * clock::MINUTE;

/// A line that is on no invoice yet.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct OpenLine {
    /// `bline_…`
    pub id: String,
    /// Whose.
    pub org_id: String,
    /// To what it is billed: `sub_…` or `contract_…`.
    pub subject: String,
    /// The beginning of the period.
    pub period_start: Millis,
    /// Its end.
    pub period_end: Millis,
    /// Minor units; below zero for what is given back.
    pub amount: i64,
    /// Three lowercase letters.
    pub currency: String,
    /// What the invoice says.
    pub description: String,
    /// The invoice that was made for it, where one was.
    pub invoice_id: Option<String>,
    /// When Stripe was first asked.
    pub tried_at: Option<Millis>,
}

/// Which sums are to be billed now: their period is over, or what they are billed to.
const DUE: &str = "s.billed <> s.lined and (
         s.period_start <> w.period_start or w.period_end <= $1
         or exists (select 1 from contracts c where c.id = s.subject
             and (c.ended_at is not null or c.ends_at <= $1))
         or exists (select 1 from subscriptions x where x.subscription_id = s.subject
             and x.status in ('canceled', 'incomplete_expired')))";

/// The orgs that have something to be put on lines.
pub async fn due(db: &Db, now: Millis, limit: i64) -> Result<Vec<String>> {
    let text = format!(
        "select distinct s.org_id from billed_sums s join wallets w on w.org_id = s.org_id
         where {DUE} order by s.org_id limit $2"
    );
    let rows: Vec<(String,)> = db.all(sql(text).bind(now).bind(limit)).await?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// Writes the lines that an org's periods lack. Its wallet is locked, so nothing is used or taken
/// back meanwhile.
pub async fn write(tx: &mut Tx, clock: &Clock, rates: &RateCard, org_id: &str) -> Result<()> {
    credits::lock_wallet(tx, org_id, clock.now()).await?;
    // Whoever had the lock before may have used something until now.
    let now = clock.now();
    let text = format!(
        "select s.subject, s.kind, s.meter, s.period_start from billed_sums s
         join wallets w on w.org_id = s.org_id where s.org_id = $2 and {DUE}"
    );
    let due: Vec<(String, String, String, Millis)> =
        tx.all(sql(text).bind(now).bind(org_id)).await?;
    for sum in usage::unlined(tx, org_id).await? {
        let BilledKey { subject, kind, meter, period_start, .. } = &sum.key;
        let is = |one: &(String, String, String, Millis)| {
            (&one.0, &one.1, &one.2, &one.3) == (subject, kind, meter, period_start)
        };
        if due.iter().any(is) {
            let behind = usage::behind(tx, &sum.key).await?;
            write_line(tx, &sum, &behind, rates, now).await?;
            usage::set_lined(tx, &sum.key, sum.billed).await?;
        }
    }
    Ok(())
}

async fn write_line(
    tx: &mut Tx,
    sum: &BilledSum,
    behind: &Behind,
    rates: &RateCard,
    now: Millis,
) -> Result<()> {
    let key = &sum.key;
    let before = "select count(*), cast(coalesce(sum(amount), 0) as bigint) from billed_lines
         where subject = $1 and kind = $2 and meter = $3 and period_start = $4";
    let before = sql(before).bind(&key.subject).bind(&key.kind).bind(&key.meter);
    let (number, amounts): (i64, i64) = tx.one(before.bind(key.period_start)).await?;
    let amount = next_amount(sum.billed, amounts);
    // A period that was cut short ends where it was cut.
    let period_end = sum.period_end.min(now).max(key.period_start);
    let text = "insert into billed_lines (id, org_id, subject, kind, meter, period_start, \
             period_end, number, billed, amount, currency, description, created_at, posted_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
    let row = sql(text)
        .bind(ids::new("bline", now))
        .bind(&key.org_id)
        .bind(&key.subject)
        .bind(&key.kind)
        .bind(&key.meter)
        .bind(key.period_start)
        .bind(period_end)
        .bind(number)
        .bind(sum.billed.saturating_sub(sum.lined))
        .bind(amount)
        .bind(&sum.currency)
        .bind(describe(sum, behind, rates, (key.period_start, period_end), number))
        .bind(now)
        // Less than half a minor unit is on no invoice.
        .bind((amount == 0).then_some(now));
    tx.execute(row).await?;
    Ok(())
}

/// What the next line of a sum says, in minor units: the sum is rounded once, half up, and
/// its lines add up to that.
fn next_amount(billed: i64, amounts: i64) -> i64 {
    minor_units(billed).saturating_sub(amounts)
}

/// `Image beyond the included credits: 1,200 credits, 1 Oct 2026 – 1 Nov 2026`
fn describe(
    sum: &BilledSum,
    behind: &Behind,
    rates: &RateCard,
    period: (Millis, Millis),
    number: i64,
) -> String {
    let meter = &sum.key.meter;
    let label = rates.meters.get(meter).map_or(meter, |known| &known.label);
    let what = match sum.key.kind.as_str() {
        "overage" => {
            format!("{label} beyond the included credits: {} credits", spoken(behind.overage))
        }
        _ => {
            let rest = Quantity::from_micros(behind.rest % crate::units::MICRO).to_string();
            let whole = behind.units.saturating_add(behind.rest / crate::units::MICRO);
            format!("{label}: {whole}{}", rest.trim_start_matches('0'))
        }
    };
    let days = format!("{} – {}", clock::day(period.0), clock::day(period.1));
    let late = match (number, behind.occurred_at) {
        (1.., _) => " (the whole period, less what was invoiced before)",
        (_, Some(at)) if at < period.0 => " (some of it earlier, and told late)",
        _ => "",
    };
    format!("{what}, {days}{late}")
}

const LINE: &str = "id, org_id, subject, period_start, period_end, amount, currency, \
     description, invoice_id, tried_at";

/// The lines that are on no invoice yet, oldest first.
pub async fn open(db: &Db, limit: i64) -> Result<Vec<OpenLine>> {
    let text = format!(
        "select {LINE} from billed_lines where posted_at is null order by created_at, id limit $1"
    );
    db.all(sql(text).bind(limit)).await
}

/// Takes a line in hand, as it stands now; none while somebody else has it, or it is posted.
pub async fn claim(tx: &mut Tx, id: &str, now: Millis) -> Result<Option<OpenLine>> {
    let text = format!(
        "update billed_lines set lease_until = $2
         where id = $1 and posted_at is null and lease_until <= $3 returning {LINE}"
    );
    tx.optional(sql(text).bind(id).bind(now + LEASE).bind(now)).await
}

/// Puts a line back that could not be posted.
pub async fn give_up(tx: &mut Tx, id: &str) -> Result<()> {
    tx.execute(sql("update billed_lines set lease_until = 0 where id = $1").bind(id)).await?;
    Ok(())
}

/// Remembers that Stripe is asked now: from here on the item may be there.
pub async fn tried(tx: &mut Tx, id: &str, now: Millis) -> Result<()> {
    let text = "update billed_lines set tried_at = coalesce(tried_at, $2) where id = $1";
    tx.execute(sql(text).bind(id).bind(now)).await?;
    Ok(())
}

/// Remembers the invoice that was made for a line.
pub async fn on_invoice(tx: &mut Tx, id: &str, invoice_id: &str) -> Result<()> {
    let text = "update billed_lines set invoice_id = $2 where id = $1 and posted_at is null";
    tx.execute(sql(text).bind(id).bind(invoice_id)).await?;
    Ok(())
}

/// The line is at Stripe as this item.
pub async fn posted(
    tx: &mut Tx,
    id: &str,
    item_id: &str,
    invoice_id: Option<&str>,
    now: Millis,
) -> Result<()> {
    let text = "update billed_lines set item_id = $2, invoice_id = $3, posted_at = $4
         where id = $1 and posted_at is null";
    tx.execute(sql(text).bind(id).bind(item_id).bind(invoice_id).bind(now)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::MICRO;
    use proptest::prelude::*;

    #[test]
    fn a_sum_is_rounded_once_half_up() {
        // E5, E6
        assert_eq!(next_amount(2_500_000, 0), 3);
        assert_eq!(next_amount(2_999_999, 3), 0, "half a unit more is no unit more");
        assert_eq!(next_amount(3_500_000, 3), 1);
        assert_eq!(next_amount(0, 4), -4, "all was taken back");
        assert_eq!(next_amount(499_999, 0), 0);
    }

    proptest! {
        #[test]
        fn however_late_uses_come_the_lines_add_up_to_the_rounded_sum(
            changes in prop::collection::vec(-3 * MICRO..5 * MICRO, 1..20),
        ) {
            let (mut billed, mut amounts) = (0_i64, 0_i64);
            for change in changes {
                billed = (billed + change).max(0);
                amounts += next_amount(billed, amounts);
                prop_assert_eq!(amounts, minor_units(billed));
            }
        }
    }
}
