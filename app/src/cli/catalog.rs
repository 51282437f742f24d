//! `catalog push|check|show`.

use clap::Subcommand;
use serde_json::json;
use server::catalog::{self, Catalog, CatalogFile, PushOptions};
use server::engine::Engine;
use server::error::Result;
use server::units::money;

use super::Report;

/// What can be done with the catalog.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the catalog file into Stripe.
    Push {
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Allow a live key.
        #[arg(long)]
        live: bool,
    },
    /// Say where Stripe differs from the file.
    Check,
    /// Print what is on sale.
    Show,
}

/// Runs one of them.
pub async fn run(engine: &Engine, command: Command) -> Result<Report> {
    match command {
        Command::Push { dry_run, live } => push(engine, PushOptions { dry_run, live }).await,
        Command::Check => check(engine).await,
        Command::Show => {
            let catalog = catalog::current(&engine.db).await?;
            let ok = catalog.problems.is_empty();
            Ok(Report { lines: lines(&catalog), json: serde_json::to_value(&catalog)?, ok })
        }
    }
}

async fn push(engine: &Engine, options: PushOptions) -> Result<Report> {
    let file = CatalogFile::load(&engine.config)?;
    let changes = catalog::push(engine, &file, options).await?.changes;
    let mut lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let json = json!({ "changes": lines, "dry_run": options.dry_run });
    lines.push(match (lines.len(), options.dry_run) {
        (0, _) => "Stripe is as the file says.".to_owned(),
        (count, true) => format!("{count} changes would be made. Nothing was done."),
        (count, false) => format!("{count} changes made."),
    });
    Ok(Report { lines, json, ok: true })
}

async fn check(engine: &Engine) -> Result<Report> {
    let file = CatalogFile::load(&engine.config)?;
    let found = catalog::check(engine, &file).await?;
    let mut lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    let ok = lines.is_empty();
    let json = json!({ "ok": ok, "drift": lines });
    if ok {
        lines.push("Stripe is as the file says.".to_owned());
    }
    Ok(Report { lines, json, ok })
}

fn lines(catalog: &Catalog) -> Vec<String> {
    let mut lines = Vec::new();
    for tier in catalog.tiers.iter().chain(&catalog.addons) {
        let prices: Vec<String> = tier
            .prices
            .iter()
            .map(|price| {
                let per = price.interval.map_or("once", catalog::Interval::word);
                format!("{} / {per} ({})", money(price.amount, &price.currency), price.id)
            })
            .collect();
        let prices = if prices.is_empty() { "free".to_owned() } else { prices.join(", ") };
        let included = tier.terms.included;
        lines.push(format!("{} ({}): {included} credits, {prices}", tier.name, tier.tier));
    }
    for pack in &catalog.packs {
        let price = money(pack.price.amount, &pack.price.currency);
        lines.push(format!("{}: {} credits, {price} ({})", pack.name, pack.credits, pack.price.id));
    }
    for problem in &catalog.problems {
        let (id, name, message) = (&problem.object_id, &problem.name, &problem.message);
        lines.push(format!("not on sale: {id}, {name}: {message}"));
    }
    if lines.is_empty() {
        lines.push("Nothing is on sale. Run `catalog push`.".to_owned());
    }
    lines
}
