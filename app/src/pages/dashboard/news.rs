//! The notices of the overview: the one that matters most above everything, and all below.

use leptos::prelude::*;
use leptos::server_fn::ServerFn as _;
use server::notices::Notice;

use crate::acts::notices::DismissNotice;
use crate::format;
use crate::islands::Enhance;
use crate::layout::icons;

/// Where one can do something about use that comes near its end.
const CAPS: (&str, &str) = ("Cap and packs", "/billing#caps");

/// The newest that asks for something, else the newest.
pub fn foremost(notices: &[Notice]) -> Option<&Notice> {
    notices.iter().find(|notice| notice.level != "info").or(notices.first())
}

/// Where one can do something about it.
fn remedy(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "payment_failed" | "card_expiring" => ("Update the card", "/billing/card"),
        "recharged" | "recharge_failed" | "recharge_paused" | "recharge_capped"
        | "recharge_needs_you" => ("Auto-recharge", "/billing#recharge"),
        "refunded" | "refund_failed" | "dispute_opened" | "dispute_closed" => {
            ("Refunds and disputes", "/billing#refunds")
        }
        "customer_deleted" | "credits_released" => ("Credits", "/credits"),
        "trial_ending" | "canceled" | "plan_scheduled" | "invoice_voided" => {
            ("Billing", "/billing")
        }
        _ => CAPS,
    }
}

/// One notice above everything, with the way to do something about it.
pub fn newest(notice: &Notice) -> AnyView {
    let class = format!("notice {}", notice.level);
    let title = format!("{}.", notice.title.trim_end_matches('.'));
    let detail = format!(" {}", notice.detail);
    let (label, href) = remedy(&notice.kind);
    view! {
        <div class=class role="status">
            {icons::icon(level_icon(&notice.level))}
            <div>
                <p>
                    <b>{title}</b>
                    {detail}
                </p>
            </div>
            <a href=href class="nowrap">{label}</a>
        </div>
    }
    .into_any()
}

fn level_icon(level: &str) -> &'static str {
    match level {
        "bad" => icons::STOP,
        "warn" => icons::WARN,
        _ => icons::INFO,
    }
}

/// Every notice, each with its button.
pub fn all_notices(notices: &[Notice]) -> AnyView {
    if notices.is_empty() {
        return ().into_any();
    }
    let items: Vec<AnyView> = notices.iter().map(one_notice).collect();
    view! {
        <section class="card stack tight" aria-labelledby="notices">
            <h2 id="notices">"Notices"</h2>
            <ol class="steps">{items}</ol>
        </section>
    }
    .into_any()
}

fn one_notice(notice: &Notice) -> AnyView {
    let Notice { id, level, title, detail, at, .. } = notice.clone();
    let class = match level.as_str() {
        "bad" => "refused",
        "warn" => "late",
        _ => "",
    };
    let label = format!("Dismiss: {title}");
    view! {
        <li class=class>
            {icons::icon(level_icon(&level))}
            <span>
                {title}
                <br/>
                <small class="mute">{detail} " " {format::stamp(at)}</small>
            </span>
            <Enhance>
                <form method="post" action=DismissNotice::url()>
                    <input type="hidden" name="notice_id" value=id/>
                    <button type="submit" class="btn small quiet" aria-label=label>
                        "Dismiss"
                    </button>
                </form>
            </Enhance>
        </li>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use server::mail::Money;
    use server::units::Credits;

    use super::*;

    /// One of each kind of news about money.
    fn all() -> Vec<Money> {
        let usd = || "usd".to_owned();
        let text = || "text".to_owned();
        let none = Credits::ZERO;
        vec![
            Money::TrialEnding {
                plan: text(),
                ends_on: 0,
                amount: 1,
                currency: usd(),
                has_card: true,
            },
            Money::PaymentFailed { plan: text(), grace_until: None },
            Money::CardExpiring { card: text(), month: 1, year: 2030 },
            Money::Recharged { credits: none, amount: 1, currency: usd() },
            Money::RechargeFailed { reason: text(), next_at: 0 },
            Money::RechargePaused { reason: text() },
            Money::RechargeNeedsYou { pack: text() },
            Money::RechargeCapped { most: 1, currency: usd(), next_at: 0 },
            Money::PlanScheduled { from: text(), to: text(), on: 0 },
            Money::Canceled { plan: text(), to: text() },
            Money::Refunded { amount: 1, currency: usd(), taken: none, owed: none },
            Money::RefundFailed { amount: 1, currency: usd() },
            Money::InvoiceVoided { amount: 1, currency: usd(), taken: none, owed: none },
            Money::DisputeOpened { amount: 1, currency: usd() },
            Money::DisputeClosed { won: true, withheld: false, amount: 1, currency: usd() },
            Money::CustomerDeleted { credits: none },
            Money::CreditsReleased { credits: none },
        ]
    }

    /// Its place among them; whoever adds a kind of news must add it here, too.
    fn place(money: &Money) -> usize {
        match money {
            Money::TrialEnding { .. } => 0,
            Money::PaymentFailed { .. } => 1,
            Money::CardExpiring { .. } => 2,
            Money::Recharged { .. } => 3,
            Money::RechargeFailed { .. } => 4,
            Money::RechargePaused { .. } => 5,
            Money::RechargeNeedsYou { .. } => 6,
            Money::RechargeCapped { .. } => 7,
            Money::PlanScheduled { .. } => 8,
            Money::Canceled { .. } => 9,
            Money::Refunded { .. } => 10,
            Money::RefundFailed { .. } => 11,
            Money::InvoiceVoided { .. } => 12,
            Money::DisputeOpened { .. } => 13,
            Money::DisputeClosed { .. } => 14,
            Money::CustomerDeleted { .. } => 15,
            Money::CreditsReleased { .. } => 16,
        }
    }

    #[test]
    fn news_about_money_never_leads_to_the_caps() {
        let all = all();
        assert_eq!(all.iter().map(place).collect::<Vec<_>>(), (0..17).collect::<Vec<_>>());
        for money in all {
            let kind = money.said().kind;
            assert_ne!(remedy(kind), CAPS, "{kind}");
        }
        for kind in ["allowance", "cap", "exhausted"] {
            assert_eq!(remedy(kind), CAPS, "{kind}");
        }
    }

    #[test]
    fn frozen_credits_lead_to_the_credits() {
        for kind in ["customer_deleted", "credits_released"] {
            assert_eq!(remedy(kind).1, "/credits", "{kind}");
        }
    }
}
