//! What an org may use, because of what, and what keeps it from using it: the answer to "why can't
//! I access this?".

use leptos::prelude::*;
use server::caps::{Cap, MemberCaps};
use server::clock::Millis;
use server::credits::Balance;
use server::entitlements::{Block, Entitled, SourceLine};
use server::units::money;

use crate::format;
use crate::layout;
use crate::layout::Column::{Number, Text};

/// Everything that decides about use.
pub struct Access {
    /// What it is entitled to.
    pub entitled: Entitled,
    /// What it has to spend.
    pub balance: Balance,
    /// The ceilings it set for itself.
    pub cap: Option<Cap>,
    /// Those it set for its members.
    pub members: MemberCaps,
    /// Whether its wallet is parked.
    pub parked: bool,
    /// Since when it is closed.
    pub closed: Option<Millis>,
}

impl Access {
    /// The colour and the word for what would become of a use now.
    pub fn badge(&self, now: Millis) -> (&'static str, &'static str) {
        let pays = self.entitled.overage_allowed || !self.entitled.in_money.is_empty();
        let empty = !self.balance.available.is_positive() && !pays;
        match self {
            Self { closed: Some(_), .. } => ("badge bad", "Closed"),
            Self { parked: true, .. } => ("badge bad", "Parked"),
            _ if self.entitled.blocks.iter().any(|block| in_force(block, now)) => {
                ("badge bad", "Blocked")
            }
            _ if self.is_capped() => ("badge warn", "At its cap"),
            _ if empty => ("badge warn", "No credits left"),
            _ => ("badge ok", "Not blocked"),
        }
    }

    /// Whether the org's own hard ceiling leaves nothing of this period.
    fn is_capped(&self) -> bool {
        let Some(cap) = self.cap.as_ref().filter(|cap| cap.hard) else { return false };
        let used = self.balance.allowance.period_used;
        let taken = used.plus(self.balance.held).unwrap_or(used);
        cap.in_credits().is_some_and(|ceiling| taken >= ceiling)
    }

    /// What stops use, or will.
    pub fn notices(&self, now: Millis) -> Vec<AnyView> {
        let closed = self.closed.map(|at| {
            let at = format::stamp(at);
            let told = format!(
                "This organisation was closed on {at}. Nobody acts in it any more; its books and \
                 its customer at Stripe stay."
            );
            layout::notice("bad", told, None)
        });
        let parked = self.parked.then(|| {
            let told = "The wallet is parked, because its books disagree: nothing is debited. \
                 What disagrees is in the audit trail; `ledger repair` at the command line \
                 rebuilds it.";
            layout::notice("bad", told.to_owned(), None)
        });
        let blocks = self.entitled.blocks.iter().map(|block| told_block(block, now));
        closed.into_iter().chain(parked).chain(blocks).collect()
    }

    /// What it may use and because of what; its prices and its ceilings.
    pub fn card(&self) -> AnyView {
        let rows: Vec<AnyView> = self.entitled.sources.iter().map(source).collect();
        let sources = match rows.is_empty() {
            true => {
                let none = "Nothing allows this organisation a feature, a model or a limit.";
                view! { <p class="mute">{none}</p> }.into_any()
            }
            false => {
                layout::table("Access", &[Text("May use"), Number("At most"), Text("Why")], rows)
            }
        };
        let lines: Vec<AnyView> = self.lines().into_iter().map(line).collect();
        view! {
            <section class="card stack tight" aria-labelledby="access">
                <h2 id="access">"What it may use, and why"</h2>
                {sources}
                <dl class="lines">{lines}</dl>
            </section>
        }
        .into_any()
    }

    /// What is billed in money, and where use ends.
    fn lines(&self) -> Vec<(String, String)> {
        let entitled = &self.entitled;
        let overage = match (&entitled.overage, entitled.overage_allowed) {
            (Some(tariff), true) => {
                format!("billed at {} a credit", format::unit_price(tariff.price, &tariff.currency))
            }
            (None, true) => "allowed".to_owned(),
            (_, false) => "refused".to_owned(),
        };
        let mut lines = vec![("Use past all credits".to_owned(), overage)];
        for (meter, tariff) in &entitled.in_money {
            let price = format::unit_price(tariff.price, &tariff.currency);
            lines.push((format!("Meter {meter}"), format!("billed at {price} each")));
        }
        for (limit, amount) in &entitled.limits {
            let gives = |line: &&SourceLine| line.kind == "limit" && line.name == *limit;
            if entitled.sources.iter().filter(gives).count() < 2 {
                continue;
            }
            lines.push((format!("Limit {limit}, in all"), amount.to_string()));
        }
        lines.push(("Cap of a period".to_owned(), self.told_cap()));
        if let Some(most) = self.cap.as_ref().and_then(|cap| cap.overage_money) {
            let told = match &entitled.overage {
                Some(tariff) => money(most, &tariff.currency),
                None => format!("{most} minor units"),
            };
            lines.push(("Cap on overage".to_owned(), told));
        }
        for (member, most) in &self.members {
            lines.push((format!("Cap of {member}"), format::with_unit(*most)));
        }
        lines
    }

    fn told_cap(&self) -> String {
        let set = self.cap.as_ref().and_then(|cap| Some((cap.in_credits()?, cap.hard)));
        match set {
            Some((most, true)) => format!("{}, then refused", format::with_unit(most)),
            Some((most, false)) => format!("{}, then warned", format::with_unit(most)),
            None => "none".to_owned(),
        }
    }
}

fn line((name, value): (String, String)) -> AnyView {
    view! { <div><dt>{name}</dt><dd class="num">{value}</dd></div> }.into_any()
}

fn source(line: &SourceLine) -> AnyView {
    let amount = line.amount.map_or_else(|| "–".to_owned(), |amount| amount.to_string());
    let until = line.expires_at.map(|at| format!(", until {}", format::day(at)));
    let why = format!("{}, {}{}", line.source_name, line.source, until.unwrap_or_default());
    view! {
        <tr>
            <th scope="row">{format::sentence(&line.kind)} " " <code>{line.name.clone()}</code></th>
            <td class="num">{amount}</td>
            <td>{why} <br/> <small><code>{line.source_id.clone()}</code></small></td>
        </tr>
    }
    .into_any()
}

fn in_force(block: &Block, now: Millis) -> bool {
    block.since <= now && block.until.is_none_or(|until| now < until)
}

fn told_block(block: &Block, now: Millis) -> AnyView {
    let (kind, reason) = (&block.kind, &block.reason);
    match in_force(block, now) {
        true => {
            let since = format::stamp(block.since);
            let message = format!("Use is stopped since {since} ({kind}): {reason}");
            layout::notice("bad", message, None)
        }
        false => {
            let from = format::stamp(block.since);
            let message = format!("Use will be stopped from {from} on ({kind}): {reason}");
            layout::notice("warn", message, None)
        }
    }
}
