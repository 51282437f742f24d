//! I12: what is on invoices is what was billed, once. Looked up from the uses up to the lines; that
//! each line is at Stripe once is for stories to show.

use server::db::{Db, sql};

/// Everything that is broken.
pub(super) async fn check(db: &Db) -> Vec<String> {
    let mut broken = Vec::new();
    for (rule, text) in RULES {
        let rows: Vec<(String,)> = db.all(sql(text)).await.expect("the rows are read");
        broken.extend(rows.into_iter().map(|(subject,)| format!("I12 {rule}: {subject}")));
    }
    broken
}

/// Each is one statement that answers what breaks it.
const RULES: [(&str, &str); 8] = [
    (
        "what goes past every credit is billed to somebody",
        "select id from usages where overage > 0 and billed_to is null",
    ),
    (
        "nothing else is billed but what is billed to somebody, in a currency and a period",
        "select id from usages where billed < 0
             or (billed_to is null and (billed <> 0 or billed_from is not null))
             or (billed_to is not null and (billed_from is null or billed_currency is null))
             or (billed_to is not null and credits > 0 and overage = 0)",
    ),
    (
        "a sum is what its uses add up to",
        "select s.org_id || ' ' || s.subject || ' ' || s.meter from billed_sums s
         left join (
             select org_id, billed_to, meter, billed_from, sum(billed) as total,
                 case when overage > 0 then 'overage' else 'outcome' end as kind
             from usages where billed_to is not null and reversed_at is null
             group by 1, 2, 3, 4, 6) u
         on u.org_id = s.org_id and u.billed_to = s.subject and u.meter = s.meter
             and u.billed_from = s.period_start and u.kind = s.kind
         where s.billed <> coalesce(u.total, 0)",
    ),
    (
        "every use that is billed is in a sum",
        "select u.id from usages u left join billed_sums s
         on u.org_id = s.org_id and u.billed_to = s.subject and u.meter = s.meter
             and u.billed_from = s.period_start and u.billed_currency = s.currency
         where u.billed_to is not null and s.org_id is null",
    ),
    (
        "the lines of a sum stand for what is said to be on lines",
        "select s.org_id || ' ' || s.subject || ' ' || s.meter from billed_sums s
         left join (
             select org_id, subject, kind, meter, period_start, sum(billed) as total
             from billed_lines group by 1, 2, 3, 4, 5) l
         on l.org_id = s.org_id and l.subject = s.subject and l.kind = s.kind
             and l.meter = s.meter and l.period_start = s.period_start
         where s.lined <> coalesce(l.total, 0)",
    ),
    (
        "the lines of a sum say what it is, rounded once, half up, to what its currency allows",
        "select min(id) from (
             select b.*, case when currency in ('bhd', 'jod', 'kwd', 'omr', 'tnd') then 10
                 when currency in ('isk', 'ugx') then 100 else 1 end as step
             from billed_lines b) lines
         group by org_id, subject, kind, meter, period_start, step
         having sum(amount) * 1000000 > sum(billed) + 500000 * step
             or sum(amount) * 1000000 <= sum(billed) - 500000 * step
             or sum(amount % step) <> 0",
    ),
    (
        "an item stands for one line",
        "select item_id from billed_lines where item_id is not null
         group by item_id having count(*) > 1",
    ),
    (
        "a line is posted as an item, unless it says nothing or somebody invoiced it by hand",
        "select id from billed_lines
         where (posted_at is null and (item_id is not null or settled_by is not null))
             or (posted_at is not null and amount <> 0 and item_id is null and settled_by is null)
             or (item_id is not null and settled_by is not null)
             or (amount = 0 and (posted_at is null or item_id is not null))",
    ),
];
