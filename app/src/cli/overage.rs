//! `overage settle`.

use clap::Subcommand;
use server::engine::Engine;
use server::error::Result;
use server::overage;
use server::units::money;

use super::Report;
use super::commands::operator;

/// What can be done with what is billed after use.
#[derive(Debug, Subcommand)]
pub enum Overage {
    /// Say that a line that is on no invoice was invoiced by hand: it is never posted any more.
    Settle {
        /// `bline_…`, as its finding names it.
        line: String,
        /// Why, such as the invoice's number; it stands in the audit trail.
        #[arg(long)]
        reason: String,
    },
}

/// Runs one of them.
pub async fn run(engine: &Engine, command: Overage) -> Result<Report> {
    let Overage::Settle { line, reason } = command;
    let settled = overage::settle(engine, &line, &operator(), &reason).await?;
    let said = format!(
        "{}: {} is settled and will be on no invoice of ours ({}).",
        settled.id,
        money(settled.amount, &settled.currency),
        settled.description
    );
    Ok(Report::done(said, serde_json::to_value(&settled)?))
}
