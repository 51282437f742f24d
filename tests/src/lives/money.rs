//! Lives with packs, and with money that comes back.

use super::{Act, DAY, Life, Scene};
use Act::{Does, Waits};

const PACK: &str = "turnpike_pack_500";
const PRO: &str = "turnpike_pro_month";
/// A card's number.
const GOOD: &str = "4242424242424242";
/// Bank accounts whose payments take some days, and then succeed or fail.
const SLOW: &str = "AT611904300234573201";

/// Lives with packs, and with money that comes back.
pub fn all() -> Vec<Life> {
    let mut all = vec![
        Life { name: "buys a pack", acts: vec![buys(), Waits(DAY)] },
        Life {
            name: "has a pack refunded in parts",
            acts: vec![buys(), refunds(300), refunds(200), Waits(DAY), refunds(500)],
        },
        Life {
            name: "has a pack and is deleted as a customer",
            acts: vec![buys(), Waits(DAY), leaves(), Waits(DAY)],
        },
        failed_refund(),
        disputed("wins a dispute", "won"),
        disputed("loses a dispute", "lost"),
        refund_and_dispute(),
        slow("pays a pack by bank", "succeeded"),
        slow("does not pay a pack by bank", "failed"),
    ];
    all.extend(by_api());
    all
}

/// Those of them in which the money is a plan's, and the card knows what its bank does.
pub fn by_api() -> Vec<Life> {
    vec![
        invoice_refund(),
        failed_plan_refund(),
        disputed_plan("wins a dispute about a plan", "won"),
        disputed_plan("loses a dispute about a plan", "lost"),
    ]
}

fn buys() -> Act {
    Does(|scene| Box::pin(async move { scene.buy(PACK, GOOD).await }))
}

fn leaves() -> Act {
    Does(|scene| Box::pin(async move { scene.delete_customer().await }))
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
    let subscribes = Does(|scene| Box::pin(async move { subscribe(scene, "pm_card_visa").await }));
    let refunds = Does(|scene| Box::pin(async move { drop(scene.refund(1_450).await) }));
    Life {
        name: "has half a month refunded",
        acts: vec![subscribes, Waits(DAY), refunds, Waits(DAY)],
    }
}

/// Subscribes with this card; what the first invoice was paid by is `payment`.
async fn subscribe(scene: &mut Scene, card: &str) {
    scene.subscribe_with(card, PRO, &[]).await;
    let first = scene.id("first").to_owned();
    scene.payment_of(&first).await;
}

fn failed_plan_refund() -> Life {
    let subscribes =
        Does(|scene| Box::pin(async move { subscribe(scene, "pm_card_refundFail").await }));
    let refunds = Does(|scene| {
        Box::pin(async move {
            let refund = scene.refund(400).await;
            scene.keep("refund", &refund);
        })
    });
    let fails = Does(|scene| {
        Box::pin(async move {
            let path = format!("refunds/{}", scene.id("refund"));
            scene.until(&path, |refund| refund["status"] == "failed").await;
        })
    });
    let acts = vec![subscribes, Waits(DAY), refunds, Waits(DAY), fails, Waits(DAY)];
    Life { name: "has a refund of a month that fails", acts }
}

fn disputed_plan(name: &'static str, outcome: &'static str) -> Life {
    let disputes = Does(|scene| {
        Box::pin(async move {
            subscribe(scene, "pm_card_createDispute").await;
            scene.disputed().await;
        })
    });
    let decides = match outcome {
        "won" => Does(|scene| Box::pin(async move { scene.decide("won").await })),
        _ => Does(|scene| Box::pin(async move { scene.decide("lost").await })),
    };
    Life { name, acts: vec![disputes, Waits(DAY), decides, Waits(DAY)] }
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
