//! Auto-recharge acts at Stripe by itself, so that no two copies can follow one life: each copy has
//! a Stripe of its own, and what they come to is compared without ids and times.

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tests::lives::{DAY, Scene};

use crate::copy::Copy;
use crate::follow::Follower;
use crate::ground::Ground;

/// The pack that is wanted, below so many credits.
const WANTED: (&str, i64) = ("turnpike_pack_500", 80);
/// Images that bring the free hundred credits below that.
const IMAGES: i64 = 2;

/// Lives it once in order and so many times as it comes; answers what differs.
pub async fn recharge(copies: usize, seed: u64) -> Vec<String> {
    let expected = live(0, seed).await;
    let mut wrong = expected.1.clone();
    let said = |what: &str| expected.0.iter().filter(|line| line.contains(what)).count();
    assert_eq!((said("granted: pack"), said("attempt: ")), (1, 2), "{:?}", expected.0);
    assert_eq!((said("attempt: failed"), said("attempt: succeeded")), (1, 1));
    for number in 1..=copies {
        let (found, broken) = live(number, seed).await;
        wrong.extend(broken);
        if found != expected.0 {
            wrong.push(format!(
                "auto-recharge, copy {number}, seed {seed}: in order it is\n{}\nbut here it is\n{}",
                expected.0.join("\n"),
                found.join("\n")
            ));
        }
    }
    wrong
}

/// A card that is declined, a threshold that is crossed, another card, and the pack comes.
async fn live(number: usize, seed: u64) -> (Vec<String>, Vec<String>) {
    let mut ground = Ground::make(1).await;
    let mut scene = Scene::new(&ground.stripe, "turnpike", &ground.org_id);
    let mut copy = ground.copies.remove(0);
    copy.number = number;
    let random = StdRng::seed_from_u64(seed ^ ((number as u64) << 32));
    let mut told = Told { follower: Follower::new(copy, random), known: 0 };
    told.follower.is_quiet = true;

    scene.use_card("pm_card_chargeCustomerFail").await;
    told.hears(&ground).await;
    told.follower.rests().await;
    let price = scene.price(WANTED.0).await;
    told.copy().wants(&price, WANTED.1).await;
    told.copy().uses(IMAGES).await;
    told.follower.rests().await;
    told.hears(&ground).await;
    told.follower.rests().await;
    scene.use_card("pm_card_visa").await;
    told.hears(&ground).await;
    for seconds in [2 * 3_600, DAY] {
        told.follower.rests().await;
        ground.stripe.wait(seconds).await;
        told.copy().passes(seconds).await;
        told.follower.rests().await;
        told.hears(&ground).await;
    }
    told.follower.rests().await;
    let name = format!("auto-recharge, copy {number}, seed {seed}");
    let broken = told.copy().wrong().await;
    let broken = broken.into_iter().map(|line| format!("{name}: {line}")).collect();
    let outcome = told.copy().outcome().await.without_names();
    let attempts = told.copy().attempts().await;
    ground.copies.push(told.follower.copy);
    ground.end().await;
    (outcome.into_iter().chain(attempts).collect(), broken)
}

/// A copy, and how many of the events it was told about.
struct Told {
    follower: Follower,
    known: usize,
}

impl Told {
    fn copy(&mut self) -> &mut Copy {
        &mut self.follower.copy
    }

    async fn hears(&mut self, ground: &Ground) {
        let events = ground.stripe.events().await;
        let new = events.get(self.known..).unwrap_or_default();
        self.known = events.len();
        self.follower.hears(new).await;
    }
}
