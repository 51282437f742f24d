//! What must stay true, looked up in the rows after every story, independently of the code that
//! wrote them. What only a story can show (I14) is not asked here.

mod backs;
mod billed;
mod books;
mod burn;

use serde_json::Value;
use server::db::{Db, sql};

/// Every invariant that does not hold, by its number, with the row at fault.
pub async fn invariants(db: &Db) -> Vec<String> {
    let mut broken = books::check(db).await;
    for (rule, text) in RULES {
        let rows: Vec<(String,)> = db.all(sql(text)).await.expect("the rows are read");
        broken.extend(rows.into_iter().map(|(subject,)| format!("{rule}: {subject}")));
    }
    broken.extend(backs::check(db).await);
    broken.extend(billed::check(db).await);
    broken.extend(decisions(db).await);
    broken
}

/// Each is one statement that answers what breaks it.
const RULES: [(&str, &str); 17] = [
    (
        "I4 the parts of open holds make up what a wallet holds",
        "select wallets.org_id from wallets
         left join holds on holds.org_id = wallets.org_id and holds.status = 'open'
         group by wallets.org_id, wallets.held
         having coalesce(sum(holds.credits), 0) <> wallets.held",
    ),
    (
        "I5 a hold is open, or has ended in one way",
        "select id from holds
         where status not in ('open', 'captured', 'released', 'expired')
             or (status = 'open' and ended_at is not null)
             or (status <> 'open' and ended_at is null)
             or (status in ('open', 'released') and (usage_id is not null or captured <> 0))
             or (status = 'captured' and usage_id is null)",
    ),
    (
        "I5 a hold is charged once",
        "select hold_id from usages where hold_id is not null
         group by hold_id having count(distinct seq) > 1",
    ),
    (
        "I5 a hold and its usage know each other",
        "select holds.id from holds left join usages on usages.id = holds.usage_id
         where holds.usage_id is not null
             and (usages.hold_id is null or usages.hold_id <> holds.id)",
    ),
    (
        "I6 a source grants once",
        "select min(id) from grants group by source_kind, source_ref having count(*) > 1",
    ),
    (
        "I7 a key has one effect",
        "select org_id || ' ' || key from usages
         group by org_id, key having count(distinct seq) > 1",
    ),
    (
        "I7 a key made one hold",
        "select org_id || ' ' || key from holds group by org_id, key having count(*) > 1",
    ),
    (
        "I7 a use has the stored answer of its key",
        "select usages.id from usages
         left join decisions on decisions.org_id = usages.org_id and decisions.key = usages.key
             and decisions.status = 200
         where decisions.id is null",
    ),
    (
        "I7 a hold has the stored answer of its key",
        "select holds.id from holds
         left join decisions on decisions.org_id = holds.org_id and decisions.key = holds.key
             and decisions.status = 200
         where decisions.id is null",
    ),
    (
        "I10 no more is taken back than was granted, nor more than was to be taken back",
        "select id from grants
         where clawed_back > amount or claw_target > amount or claw_debt < 0
             or clawed_back + claw_debt > claw_target",
    ),
    (
        "B20 what was paid through a deleted customer waits",
        "select g.id from grants g join customers c
             on c.customer_id in (select customer_id from payments where payment_id = g.source_ref)
             or c.customer_id in (select customer_id from invoices where invoice_id = g.payment)
         where c.deleted_at is not null and c.released_at is null
             and g.frozen_at is null and g.remaining + g.held > 0",
    ),
    (
        "I11 an alert is told once",
        "select org_id from alerts
         group by org_id, kind, period_start, threshold, arming having count(*) > 1",
    ),
    (
        "E1 one recharge of an org is under way",
        "select org_id from recharge_attempts
         where status in ('open', 'processing', 'requires_action')
         group by org_id having count(*) > 1",
    ),
    (
        "E4 a recharge grants when it is paid, once, and never before",
        "select recharge_attempts.id from recharge_attempts
         left join payments on payments.payment_id = recharge_attempts.payment_intent_id
         left join grants on grants.source_kind = 'pack'
             and grants.source_ref = recharge_attempts.payment_intent_id
         where (recharge_attempts.status = 'succeeded') <>
             (payments.payment_id is not null and grants.id is not null)",
    ),
    (
        "I13 only decisions and successes are stored",
        "select id from decisions
         where status not in (200, 402, 403) or (status = 200) <> (code = 'allowed')",
    ),
    (
        "I13 a decision names what there is",
        "select decisions.id from decisions
         left join usages on usages.id = decisions.subject
         left join holds on holds.id = decisions.subject
         where decisions.subject is not null and usages.id is null and holds.id is null",
    ),
    (
        "I15 a row of the other mode never enters",
        "select stripe_events.id from stripe_events
         join settings on settings.name = 'stripe_mode'
         where stripe_events.livemode <> (settings.value = 'live')
             and stripe_events.status not in ('mode_mismatch', 'foreign', 'ignored')",
    ),
];

/// Which status goes with which code of a denial.
const DENIALS: [(i64, &[&str]); 2] = [
    (402, &["insufficient_credits", "cap_reached", "payment_past_due"]),
    (
        403,
        &[
            "feature_not_included",
            "model_not_included",
            "price_unknown",
            "limit_reached",
            "blocked",
            "wallet_parked",
        ],
    ),
];

/// I13: a stored answer is whole, and a denial says why in the row and in the body alike.
async fn decisions(db: &Db) -> Vec<String> {
    let text = "select id, status, code, body from decisions";
    let rows: Vec<(String, i64, String, String)> = db.all(sql(text)).await.expect("read");
    let broken = |(id, status, code, body): (String, i64, String, String)| {
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let whole = match status {
            200 => body["object"].is_string(),
            _ => {
                let known = DENIALS.iter().find(|(denied, _)| *denied == status);
                let known = known.is_some_and(|(_, codes)| codes.contains(&code.as_str()));
                let error = &body["error"];
                known && error["code"] == code && error["retry_with_new_key"] == true
            }
        };
        (!whole).then(|| format!("I13 a stored answer is whole: {id} {status} {code} {body}"))
    };
    rows.into_iter().filter_map(broken).collect()
}
