//! Where a copy has come to: what was granted and taken back, what may be used, what refuses, and
//! what all that was granted has become. Times are marked by an @.

use std::fmt;

use server::db::{Db, sql};

/// One line for each fact, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome(Vec<String>);

impl Outcome {
    /// The facts.
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.0 {
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

impl Outcome {
    /// The facts without ids of Stripe's and ours and without times, so that those of two lives can
    /// be compared.
    pub fn without_names(&self) -> Vec<String> {
        let plain = |word: &str| match word.split_once('_') {
            Some((kind, rest)) if rest.len() > 10 => format!("{kind}_…"),
            _ if word.starts_with('@') => "@…".to_owned(),
            _ => word.to_owned(),
        };
        let line = |line: &String| line.split(' ').map(plain).collect::<Vec<_>>().join(" ");
        self.0.iter().map(line).collect()
    }
}

/// Reads it from the rows.
pub async fn outcome(db: &Db, org_id: &str) -> Outcome {
    let mut lines = Vec::new();
    for (what, text) in FACTS {
        let rows: Vec<(String,)> = db.all(sql(text).bind(org_id)).await.expect("read");
        lines.extend(rows.into_iter().map(|(row,)| format!("{what}: {row}")));
    }
    Outcome(lines)
}

/// Each is one statement that tells facts of one kind as text.
const FACTS: [(&str, &str); 6] = [
    (
        "granted",
        "select source_kind || ' ' || coalesce(payment, source_ref) || ' @'
             || cast(coalesce(period_start, 0) as text) || ' ' || cast(sum(amount) as text)
             || ', to take back ' || cast(sum(claw_target) as text)
             || case when min(coalesce(frozen_at, 0)) > 0 then ', frozen' else '' end
             || case when min(coalesce(voided_at, 0)) > 0 then ', void' else '' end
         from grants where org_id = $1
         group by source_kind, coalesce(payment, source_ref), coalesce(period_start, 0)
         order by source_kind, coalesce(period_start, 0), coalesce(payment, source_ref)",
    ),
    (
        "all of it",
        "select cast(coalesce(
                 sum(remaining + held + consumed + expired + clawed_back + debt_paid), 0) as text)
         from grants where org_id = $1",
    ),
    (
        "taken back, or owed",
        "select payment || ' ' || cast(sum(clawed_back + claw_debt) as text)
         from grants where org_id = $1 and claw_target > 0 group by payment order by payment",
    ),
    (
        "plan",
        "select tier || ' ' || status || ' @' || cast(period_start as text) || ' @'
             || cast(period_end as text) || ' @' || cast(coalesce(ends_at, 0) as text)
         from org_plans where org_id = $1",
    ),
    (
        "may use",
        "select kind || ' ' || name || ' ' || source_kind || ' ' || source_id || ' '
             || cast(coalesce(amount, 0) as text)
         from entitlements where org_id = $1 order by kind, name, source_id",
    ),
    (
        "refused",
        "select kind || ' ' || subject from blocks where org_id = $1 and lifted_at is null
         order by kind, subject",
    ),
];
