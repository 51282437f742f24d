//! From what uses add up to, to lines: each brings its sum up to what it is now, so that what comes
//! late, or is taken back, makes another line. Never speaks to Stripe.

use crate::clock::{self, Clock, Millis};
use crate::credits;
use crate::db::{Db, Tx, sql};
use crate::error::Result;
use crate::ids;
use crate::rates::RateCard;
use crate::units::{Quantity, spoken};
use crate::usage::{self, Behind, BilledKey, BilledSum};

use super::rounding;

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
    let amount = rounding::next(sum.billed, amounts, &sum.currency);
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
        // Less than half of the least amount is on no invoice.
        .bind((amount == 0).then_some(now));
    tx.execute(row).await?;
    Ok(())
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

/// The lines that are on no invoice yet: the oldest first of those that were never given up, then
/// the others, the longest ago first, so that what cannot be posted keeps nothing else waiting.
pub async fn open(db: &Db, limit: i64) -> Result<Vec<OpenLine>> {
    let text = format!(
        "select {LINE} from billed_lines where posted_at is null
         order by lease_until, created_at, id limit $1"
    );
    db.all(sql(text).bind(limit)).await
}

/// When a line was posted or settled, where it was; `None` where there is no such line.
pub async fn posted_at(db: &Db, id: &str) -> Result<Option<Option<Millis>>> {
    let text = "select posted_at from billed_lines where id = $1";
    let row: Option<(Option<Millis>,)> = db.optional(sql(text).bind(id)).await?;
    Ok(row.map(|row| row.0))
}

/// Takes a line in hand, as it stands now; none while somebody else has it, or it is posted.
pub async fn claim(tx: &mut Tx, id: &str, now: Millis) -> Result<Option<OpenLine>> {
    let text = format!(
        "update billed_lines set lease_until = $2
         where id = $1 and posted_at is null and lease_until <= $3 returning {LINE}"
    );
    tx.optional(sql(text).bind(id).bind(now + LEASE).bind(now)).await
}

/// Puts a line back that could not be posted. It may be taken again at once, after the others.
pub async fn give_up(tx: &mut Tx, id: &str, now: Millis) -> Result<()> {
    let text = "update billed_lines set lease_until = $2 where id = $1";
    tx.execute(sql(text).bind(id).bind(now)).await?;
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

/// Somebody saw to the line without us: it is asked for at Stripe no more. Whether it was open is
/// the answer.
pub async fn settled(tx: &mut Tx, id: &str, by: &str, now: Millis) -> Result<bool> {
    let text = "update billed_lines set settled_by = $2, posted_at = $3, invoice_id = null
         where id = $1 and posted_at is null";
    Ok(tx.execute(sql(text).bind(id).bind(by).bind(now)).await? == 1)
}
