//! I10: what came back of a payment was taken from what it granted, to the millionth and once,
//! reckoned from the refunds, credit notes and disputes themselves.

use server::db::{Db, sql};

#[derive(sqlx::FromRow)]
struct Back {
    payment: String,
    paid: i64,
    void: bool,
    frozen: bool,
}

#[derive(sqlx::FromRow)]
struct Grant {
    id: String,
    amount: i64,
    remaining: i64,
    held: i64,
    clawed_back: i64,
    claw_debt: i64,
    claw_target: i64,
    is_frozen: bool,
}

/// Every payment of which too much or too little was taken back.
pub async fn check(db: &Db) -> Vec<String> {
    let text = "select payment, paid, void, frozen from money_backs order by payment";
    let backs: Vec<Back> = db.all(sql(text)).await.expect("read");
    let mut broken = Vec::new();
    for back in backs {
        check_one(db, &back, &mut broken).await;
    }
    broken
}

async fn check_one(db: &Db, back: &Back, broken: &mut Vec<String>) {
    let payment = &back.payment;
    let given = sum(db, GIVEN, payment).await;
    let lost = sum(db, LOST, payment).await;
    let withheld = sum(db, WITHHELD, payment).await > 0;
    let text = "select id, amount, remaining, held, clawed_back, claw_debt, claw_target,
             frozen_at is not null as is_frozen
         from grants where payment = $1";
    let grants: Vec<Grant> = db.all(sql(text).bind(payment)).await.expect("read");
    let granted: i128 = grants.iter().map(|grant| i128::from(grant.amount)).sum();
    let came_back = i128::from(given.max(lost).min(back.paid));
    let expected = match (back.void, back.paid) {
        (true, _) => granted,
        (false, ..=0) => 0,
        (false, paid) => granted * came_back / i128::from(paid),
    };
    let target: i128 = grants.iter().map(|grant| i128::from(grant.claw_target)).sum();
    if target != expected {
        broken.push(format!("I10: {target} is taken of {payment} where {expected} came back"));
    }
    for grant in &grants {
        let taken = grant.clawed_back + grant.claw_debt;
        if grant.held == 0 && taken != grant.claw_target {
            let (id, target) = (&grant.id, grant.claw_target);
            broken.push(format!("I10: {taken} was taken of {id}, to be taken is {target}"));
        }
        // What is over needs no keeping.
        let waits = back.frozen || (withheld && grant.remaining + grant.held > 0);
        if grant.is_frozen != waits && !(withheld && grant.is_frozen) {
            broken.push(format!("E11: {} is frozen or not as its payment", grant.id));
        }
    }
    let open = sum(db, OPEN, payment).await > 0;
    if open != back.frozen {
        broken.push(format!("E11: {payment} waits or not as its disputes"));
    }
}

const GIVEN: &str = "select cast(coalesce(sum(amount), 0) as bigint) from
     (select amount from refunds where payment = $1 and status not in ('failed', 'canceled')
      union all
      select beyond_refunds as amount from credit_notes
          where payment = $1 and status = 'issued') parts";

const LOST: &str = "select cast(coalesce(sum(amount), 0) as bigint) from disputes
     where payment = $1 and status = 'lost'";

const OPEN: &str = "select count(*) from disputes
     where payment = $1 and status in ('needs_response', 'under_review')";

const WITHHELD: &str = "select count(*) from money_backs b
     join customers c on c.customer_id = b.customer_id
     where b.payment = $1 and c.deleted_at is not null and c.released_at is null";

async fn sum(db: &Db, text: &'static str, payment: &str) -> i64 {
    db.one::<(i64,)>(sql(text).bind(payment)).await.expect("read").0
}
