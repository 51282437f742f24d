//! Lives with packs, and with money that comes back.

use super::{Act, DAY, Life};
use Act::{Does, Waits};

const PACK: &str = "turnpike_pack_500";
const PRO: &str = "turnpike_pro_month";
const GOOD: &str = "4242424242424242";
/// Bank accounts whose payments take some days, and then succeed or fail.
const SLOW: &str = "AT611904300234573201";

/// Lives with packs, and with money that comes back.
pub fn all() -> Vec<Life> {
    vec![
        Life { name: "buys a pack", acts: vec![buys(), Waits(DAY)] },
        Life {
            name: "has a pack refunded in parts",
            acts: vec![buys(), refunds(300), refunds(200), Waits(DAY), refunds(500)],
        },
        failed_refund(),
        invoice_refund(),
        disputed("wins a dispute", "won"),
        disputed("loses a dispute", "lost"),
        refund_and_dispute(),
        slow("pays a pack by bank", "succeeded"),
        slow("does not pay a pack by bank", "failed"),
    ]
}

fn buys() -> Act {
    Does(|scene| Box::pin(async move { scene.buy(PACK, GOOD).await }))
}

/// A part of the pack's price.
fn refunds(amount: i64) -> Act {
    match amount {
        200 => Does(|scene| Box::pin(async move { drop(scene.refund(200).await) })),
        300 => Does(|scene| Box::pin(async move { drop(scene.refund(300).await) })),
        _ => Does(|scene| Box::pin(async move { drop(scene.refund(500).await) })),
    }
}

fn failed_refund() -> Life {
    let refunds = Does(|scene| {
        Box::pin(async move {
            let refund = scene.refund(400).await;
            scene.keep("refund", &refund);
        })
    });
    let fails = Does(|scene| {
        Box::pin(async move {
            let path = format!("refunds/{}/fail", scene.id("refund"));
            scene.stripe.control(&path, serde_json::json!({})).await;
        })
    });
    Life {
        name: "has a refund that fails",
        acts: vec![buys(), refunds, Waits(DAY), fails, Waits(DAY)],
    }
}

fn invoice_refund() -> Life {
    let subscribes = Does(|scene| Box::pin(async move { scene.subscribe(PRO, &[]).await }));
    let refunds = Does(|scene| {
        Box::pin(async move {
            let first = scene.id("first").to_owned();
            scene.payment_of(&first).await;
            scene.refund(1_450).await;
        })
    });
    Life {
        name: "has half a month refunded",
        acts: vec![subscribes, Waits(DAY), refunds, Waits(DAY)],
    }
}

fn disputed(name: &'static str, outcome: &'static str) -> Life {
    let disputes = Does(|scene| Box::pin(async move { scene.dispute().await }));
    let decides = match outcome {
        "won" => Does(|scene| Box::pin(async move { scene.decide("won").await })),
        _ => Does(|scene| Box::pin(async move { scene.decide("lost").await })),
    };
    Life { name, acts: vec![buys(), Waits(DAY), disputes, Waits(DAY), decides, Waits(DAY)] }
}

fn refund_and_dispute() -> Life {
    let disputes = Does(|scene| Box::pin(async move { scene.dispute().await }));
    let decides = Does(|scene| Box::pin(async move { scene.decide("lost").await }));
    let acts = vec![buys(), refunds(300), disputes, decides, Waits(DAY)];
    Life { name: "has a part refunded and the rest disputed", acts }
}

fn slow(name: &'static str, outcome: &'static str) -> Life {
    let buys = Does(|scene| Box::pin(async move { scene.buy(PACK, SLOW).await }));
    let settles = match outcome {
        "succeeded" => Does(|scene| Box::pin(async move { scene.settle("succeeded").await })),
        _ => Does(|scene| Box::pin(async move { scene.settle("failed").await })),
    };
    Life { name, acts: vec![buys, Waits(2 * DAY), settles, Waits(DAY)] }
}
