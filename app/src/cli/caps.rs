//! `caps set|show`.

use clap::Subcommand;
use serde_json::json;
use server::engine::Engine;
use server::error::{Error, Result};
use server::{caps, orgs};

use super::Report;
use super::commands::operator;
use super::credits::{as_option, parse};

/// The longest name of a member, in characters.
const MEMBER_CHARS_MAX: usize = 255;

/// What can be done with ceilings.
#[derive(Debug, Subcommand)]
pub enum Caps {
    /// Set the most that may be used per period, or take the ceiling away.
    Set {
        /// `org_…`
        #[arg(long)]
        org: String,
        /// Only this member's use, by the name the product's requests give.
        #[arg(long)]
        member: Option<String>,
        /// Credits per period, such as 500; `none` takes the ceiling away.
        #[arg(long, allow_hyphen_values = true, required_unless_present = "overage_money")]
        credits: Option<String>,
        /// Minor units of overage per period, such as 5000 for 50.00; `none` takes it away.
        #[arg(long, conflicts_with_all = ["member", "credits"])]
        overage_money: Option<String>,
    },
    /// Print them.
    Show {
        /// `org_…`
        #[arg(long)]
        org: String,
    },
}

/// Runs one of them.
pub async fn run(engine: &Engine, command: Caps) -> Result<Report> {
    match command {
        Caps::Set { org, overage_money: Some(money), .. } => {
            set_overage(engine, &org, &money).await
        }
        Caps::Set { org, member, credits, .. } => {
            set(engine, &org, member.as_deref(), credits.as_deref().unwrap_or("none")).await
        }
        Caps::Show { org } => show(engine, &org).await,
    }
}

async fn set(engine: &Engine, org: &str, member: Option<&str>, text: &str) -> Result<Report> {
    orgs::find(&engine.db, org).await?;
    let credits = match text {
        "none" => None,
        text => Some(parse(text)?),
    };
    if member.is_some_and(|member| !(1..=MEMBER_CHARS_MAX).contains(&member.chars().count())) {
        return Err(Error::invalid("--member", "must be 1 to 255 characters"));
    }
    // Whether use past it is refused or only told is the org's own choice: it stays.
    let hard = caps::current(&engine.db, org).await?.is_none_or(|cap| cap.hard);
    let now = engine.clock.now();
    let mut tx = engine.db.begin().await?;
    match member {
        Some(member) => caps::set_member(&mut tx, org, member, credits, operator(), now).await,
        None => {
            let cap = credits.map(|credits| (credits, hard));
            caps::set(&mut tx, org, cap, operator(), now).await
        }
    }
    .map_err(as_option)?;
    tx.commit().await?;
    engine.wake.notify_one();
    let whose = member.unwrap_or(org);
    let line = match credits {
        Some(credits) => format!("{whose}: at most {credits} credits per period"),
        None => format!("{whose}: no ceiling"),
    };
    Ok(Report::done(line, json!({ "org": org, "member": member, "credits": credits })))
}

async fn set_overage(engine: &Engine, org: &str, text: &str) -> Result<Report> {
    orgs::find(&engine.db, org).await?;
    let overage_money = match text {
        "none" => None,
        text => Some(text.parse().map_err(|_| {
            Error::invalid("--overage-money", "must be a whole number of minor units, or none")
        })?),
    };
    let mut reads = &engine.db;
    let cap = caps::load(&mut reads, &[org.to_owned()]).await?.remove(org);
    let credits = cap.as_ref().and_then(caps::Cap::in_credits);
    let hard = cap.is_none_or(|cap| cap.hard);
    let ceiling = caps::Ceiling { credits, overage_money, hard };
    let mut tx = engine.db.begin().await?;
    let now = engine.clock.now();
    caps::set_ceiling(&mut tx, org, ceiling, operator(), now).await.map_err(as_option)?;
    tx.commit().await?;
    let line = match overage_money {
        Some(money) => format!("{org}: at most {money} minor units of overage per period"),
        None => format!("{org}: no ceiling on overage"),
    };
    Ok(Report::done(line, json!({ "org": org, "overage_money": overage_money })))
}

async fn show(engine: &Engine, org: &str) -> Result<Report> {
    orgs::find(&engine.db, org).await?;
    let mut reads = &engine.db;
    let orgs = [org.to_owned()];
    let cap = caps::load(&mut reads, &orgs).await?.remove(org);
    let members = caps::of_members(&mut reads, &orgs).await?.remove(org).unwrap_or_default();
    let credits = cap.as_ref().and_then(caps::Cap::in_credits);
    let hard = cap.as_ref().is_none_or(|cap| cap.hard);
    let overage_money = cap.as_ref().and_then(|cap| cap.overage_money);
    let mut lines = vec![match (credits, hard) {
        (None, _) => format!("{org}: no ceiling in credits"),
        (Some(credits), true) => format!("{org}: at most {credits} credits per period"),
        (Some(credits), false) => format!("{org}: told when {credits} credits are used"),
    }];
    if let Some(money) = overage_money {
        lines.push(format!("{org}: at most {money} minor units of overage per period"));
    }
    let told = members.iter().map(|(member, credits)| format!("{member}: at most {credits}"));
    lines.extend(told);
    let members: Vec<_> = members
        .iter()
        .map(|(member, credits)| json!({ "member": member, "credits": credits }))
        .collect();
    let json = json!({
        "org": org, "credits": credits, "hard": hard, "overage_money": overage_money,
        "members": members,
    });
    Ok(Report { lines, json, ok: true })
}
