//! What happened to books, as rows for the database. Holds no SQL of its own but the tables' names.

use crate::db::{Arg, Bulk, Change};
use crate::error::{Error, Result};
use crate::units::Credits;
use crate::usage::{BilledChanges, MemberUses, Usage};

use super::book::Book;
use super::rows::{Grant, Hold, Wallet};

pub(super) const WALLETS: Change = Change {
    table: "wallets",
    columns: &[
        "org_id",
        "seq",
        "revision",
        "available",
        "held",
        "debt",
        "overage",
        "period_start",
        "period_end",
        "period_used",
        "counts_since",
        "free_opened",
        "last_at",
    ],
};

pub(super) const NEW_GRANTS: Bulk = Bulk {
    table: "grants",
    columns: &[
        "id",
        "org_id",
        "source_kind",
        "source_ref",
        "priority",
        "amount",
        "remaining",
        "held",
        "consumed",
        "expired",
        "clawed_back",
        "debt_paid",
        "effective_at",
        "expires_at",
        "period_start",
        "period_end",
        "payment",
        "claw_target",
        "claw_debt",
        "frozen_at",
        "voided_at",
        "reason",
        "created_at",
        "ended_at",
    ],
    conflict: "",
};

pub(super) const GRANTS: Change = Change {
    table: "grants",
    columns: &[
        "id",
        "remaining",
        "held",
        "consumed",
        "expired",
        "clawed_back",
        "debt_paid",
        "expires_at",
        "claw_target",
        "claw_debt",
        "frozen_at",
        "voided_at",
        "ended_at",
    ],
};

/// What every use changes of a grant. No index is about these columns; SQLite writes the indexes of
/// every column that a statement names.
pub(super) const GRANT_AMOUNTS: Change =
    Change { table: "grants", columns: &["id", "remaining", "held", "consumed"] };

pub(super) const OPERATIONS: Bulk = Bulk {
    table: "operations",
    columns: &[
        "id",
        "org_id",
        "seq",
        "kind",
        "at",
        "actor_kind",
        "actor_id",
        "reason",
        "available_change",
        "available_after",
        "held_after",
    ],
    conflict: "",
};

pub(super) const ENTRIES: Bulk = Bulk {
    table: "ledger_entries",
    columns: &["operation_id", "line", "grant_id", "from_account", "to_account", "amount"],
    conflict: "",
};

pub(super) const NEW_HOLDS: Bulk = Bulk {
    table: "holds",
    columns: &[
        "id",
        "org_id",
        "seq",
        "operation_id",
        "key",
        "meter",
        "model",
        "feature",
        "quantity",
        "rate",
        "rate_card",
        "price",
        "billed_to",
        "billed_currency",
        "credits",
        "overage",
        "run",
        "member",
        "api_key_id",
        "metadata",
        "on_expiry",
        "status",
        "captured",
        "usage_id",
        "created_at",
        "expires_at",
        "ended_at",
    ],
    conflict: "",
};

pub(super) const HOLDS: Change = Change {
    table: "holds",
    columns: &["id", "status", "captured", "usage_id", "expires_at", "ended_at"],
};

/// The rows of a transaction, table by table.
#[derive(Default)]
pub(super) struct Written {
    pub wallets: Vec<Vec<Arg>>,
    pub new_grants: Vec<Vec<Arg>>,
    pub grants: Vec<Vec<Arg>>,
    pub grant_amounts: Vec<Vec<Arg>>,
    pub operations: Vec<Vec<Arg>>,
    pub entries: Vec<Vec<Arg>>,
    pub new_holds: Vec<Vec<Arg>>,
    pub holds: Vec<Vec<Arg>>,
    pub usages: Vec<Usage>,
    pub by_member: MemberUses,
    pub billed: BilledChanges,
}

impl Written {
    /// Takes everything that is to be written out of a book. The book goes on as what it will be
    /// in the database then: what has ended is no longer in it.
    pub fn take(&mut self, book: &mut Book) -> Result<()> {
        if book.wallet.available < Credits::ZERO {
            return Err(Error::internal("a wallet would fall below zero"));
        }
        let changed = std::mem::take(&mut book.changed);
        let grants = book.grants.iter().any(|grant| grant.changed || grant.moved);
        let holds = book.holds.iter().any(|hold| hold.changed);
        if changed || grants || holds {
            book.wallet.revision += 1;
            self.wallets.push(wallet_values(&book.wallet));
        }
        for grant in &mut book.grants {
            if grant.new {
                self.new_grants.push(new_grant_values(grant));
            } else if grant.changed {
                self.grants.push(grant_values(grant));
            } else if grant.moved {
                self.grant_amounts.push(grant_amounts(grant));
            }
            (grant.new, grant.moved, grant.changed) = (false, false, false);
        }
        book.grants.retain(|grant| grant.ended_at.is_none());
        for hold in book.holds.iter_mut().filter(|hold| hold.changed) {
            match std::mem::take(&mut hold.new) {
                true => self.new_holds.push(new_hold_values(hold)),
                false => self.holds.push(hold_values(hold)),
            }
            hold.changed = false;
        }
        book.holds.retain(Hold::is_open);
        self.take_operations(book);
        for usage in &book.usages {
            self.billed.count(usage, book.wallet.period_end, false);
        }
        self.usages.append(&mut book.usages);
        for usage in std::mem::take(&mut book.taken_back) {
            self.billed.count(&usage, book.wallet.period_end, true);
        }
        for (member, credits) in std::mem::take(&mut book.by_member) {
            let period = (book.wallet.org_id.clone(), member, book.wallet.period_start);
            self.by_member.insert(period, credits);
        }
        Ok(())
    }

    fn take_operations(&mut self, book: &mut Book) {
        for row in book.operations.drain(..) {
            self.operations.push(vec![
                row.id.into(),
                (&book.wallet.org_id).into(),
                row.seq.into(),
                row.kind.into(),
                row.at.into(),
                row.actor_kind.into(),
                row.actor_id.into(),
                row.reason.into(),
                row.available_change.into(),
                row.available_after.into(),
                row.held_after.into(),
            ]);
        }
        for row in book.entries.drain(..) {
            self.entries.push(vec![
                row.operation_id.into(),
                row.line.into(),
                row.grant_id.into(),
                row.from.into(),
                row.to.into(),
                row.amount.into(),
            ]);
        }
    }
}

fn wallet_values(wallet: &Wallet) -> Vec<Arg> {
    vec![
        (&wallet.org_id).into(),
        wallet.seq.into(),
        wallet.revision.into(),
        wallet.available.into(),
        wallet.held.into(),
        wallet.debt.into(),
        wallet.overage.into(),
        wallet.period_start.into(),
        wallet.period_end.into(),
        wallet.period_used.into(),
        wallet.counts_since.into(),
        wallet.free_opened.into(),
        wallet.last_at.into(),
    ]
}

fn new_grant_values(grant: &Grant) -> Vec<Arg> {
    vec![
        (&grant.id).into(),
        (&grant.org_id).into(),
        (&grant.source_kind).into(),
        (&grant.source_ref).into(),
        grant.priority.into(),
        grant.amount.into(),
        grant.remaining.into(),
        grant.held.into(),
        grant.consumed.into(),
        grant.expired.into(),
        grant.clawed_back.into(),
        grant.debt_paid.into(),
        grant.effective_at.into(),
        grant.expires_at.into(),
        grant.period_start.into(),
        grant.period_end.into(),
        grant.payment.clone().into(),
        grant.claw_target.into(),
        grant.claw_debt.into(),
        grant.frozen_at.into(),
        grant.voided_at.into(),
        (&grant.reason).into(),
        grant.created_at.into(),
        grant.ended_at.into(),
    ]
}

fn grant_values(grant: &Grant) -> Vec<Arg> {
    vec![
        (&grant.id).into(),
        grant.remaining.into(),
        grant.held.into(),
        grant.consumed.into(),
        grant.expired.into(),
        grant.clawed_back.into(),
        grant.debt_paid.into(),
        grant.expires_at.into(),
        grant.claw_target.into(),
        grant.claw_debt.into(),
        grant.frozen_at.into(),
        grant.voided_at.into(),
        grant.ended_at.into(),
    ]
}

fn grant_amounts(grant: &Grant) -> Vec<Arg> {
    vec![(&grant.id).into(), grant.remaining.into(), grant.held.into(), grant.consumed.into()]
}

fn new_hold_values(hold: &Hold) -> Vec<Arg> {
    vec![
        (&hold.id).into(),
        (&hold.org_id).into(),
        hold.seq.into(),
        (&hold.operation_id).into(),
        (&hold.key).into(),
        (&hold.meter).into(),
        hold.model.clone().into(),
        hold.feature.clone().into(),
        hold.quantity.into(),
        hold.rate.into(),
        (&hold.rate_card).into(),
        hold.price.into(),
        hold.billed_to.clone().into(),
        hold.billed_currency.clone().into(),
        hold.credits.into(),
        hold.overage.into(),
        hold.run.clone().into(),
        hold.member.clone().into(),
        hold.api_key_id.clone().into(),
        hold.metadata.clone().into(),
        (&hold.on_expiry).into(),
        (&hold.status).into(),
        hold.captured.into(),
        hold.usage_id.clone().into(),
        hold.created_at.into(),
        hold.expires_at.into(),
        hold.ended_at.into(),
    ]
}

fn hold_values(hold: &Hold) -> Vec<Arg> {
    vec![
        (&hold.id).into(),
        (&hold.status).into(),
        hold.captured.into(),
        hold.usage_id.clone().into(),
        hold.expires_at.into(),
        hold.ended_at.into(),
    ]
}
