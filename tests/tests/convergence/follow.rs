//! Tells a life to Stripe, and what Stripe tells of it to every copy.

use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;
use tests::lives::{Act, Life, Scene};

use crate::copy::Copy;
use crate::delivery::Mailbag;
use crate::ground::Ground;

/// A copy and what is on its way to it.
pub struct Follower {
    /// The copy.
    pub copy: Copy,
    /// Whether its customers use nothing by chance.
    pub is_quiet: bool,
    bag: Mailbag,
    random: StdRng,
}

/// Lives the life once and follows it with so many copies besides the first; answers what differs.
pub async fn follow(life: &Life, copies: usize, seed: u64) -> Vec<String> {
    let mut ground = Ground::make(copies + 1).await;
    let mut scene = Scene::new(&ground.stripe, "turnpike", &ground.org_id);
    let mut followers: Vec<Follower> = ground
        .copies
        .drain(..)
        .map(|copy| {
            let random = StdRng::seed_from_u64(seed ^ ((copy.number as u64) << 32));
            Follower::new(copy, random)
        })
        .collect();
    for follower in &mut followers {
        follower.copy.uses(1).await;
    }
    let mut known = ground.stripe.events().await.len();
    let mut wrong = Vec::new();
    for act in &life.acts {
        match *act {
            Act::Does(does) => does(&mut scene).await,
            Act::Waits(seconds) => {
                wrong.extend(rest(life, &mut followers, seed).await);
                ground.stripe.wait(seconds).await;
                for follower in &followers {
                    follower.copy.passes(seconds).await;
                }
            }
        }
        let events = ground.stripe.events().await;
        let new = events.get(known..).unwrap_or_default();
        known = events.len();
        join_all(followers.iter_mut().map(|follower| follower.hears(new))).await;
    }
    wrong.extend(rest(life, &mut followers, seed).await);
    for follower in &followers {
        let books = follower.copy.wrong().await;
        let name = format!("{}, copy {}, seed {seed}", life.name, follower.copy.number);
        wrong.extend(books.iter().map(|line| format!("{name}: {line}")));
    }
    ground.copies = followers.into_iter().map(|follower| follower.copy).collect();
    ground.end().await;
    wrong
}

/// Everything arrives or is found, and everybody has come to the same.
async fn rest(life: &Life, followers: &mut [Follower], seed: u64) -> Vec<String> {
    join_all(followers.iter_mut().map(Follower::rests)).await;
    let expected = followers[0].copy.outcome().await;
    let mut wrong = Vec::new();
    for follower in &followers[1..] {
        let found = follower.copy.outcome().await;
        if found != expected {
            let (name, number) = (life.name, follower.copy.number);
            wrong.push(format!(
                "{name}, copy {number}, seed {seed}: in order it is\n{expected}\nbut here\n{found}"
            ));
        }
    }
    wrong
}

impl Follower {
    /// Nothing is on its way yet.
    pub fn new(copy: Copy, random: StdRng) -> Self {
        Self { copy, is_quiet: false, bag: Mailbag::default(), random }
    }

    fn in_order(&self) -> bool {
        self.copy.number == 0
    }

    /// Is told what happened: at once and in order, or as it comes.
    pub async fn hears(&mut self, events: &[Value]) {
        if self.in_order() {
            for event in events {
                self.copy.hears(event).await;
            }
            self.copy.settles().await;
            return;
        }
        self.bag.take(events, &mut self.random);
        self.arrives(false).await;
    }

    async fn arrives(&mut self, all: bool) {
        for event in self.bag.arrives(all, &mut self.random) {
            self.copy.hears(&event).await;
            if self.random.random_bool(0.4) {
                self.copy.works().await;
            }
            if !self.is_quiet && self.random.random_bool(0.1) {
                self.copy.uses(1).await;
            }
        }
    }

    /// Whatever is on its way arrives; whatever was lost is found.
    pub async fn rests(&mut self) {
        if !self.in_order() {
            self.arrives(true).await;
            self.copy.settles().await;
            self.copy.repairs(self.copy.number.is_multiple_of(2)).await;
        }
        self.copy.settles().await;
        // A free month is opened by the first who comes: somebody comes everywhere.
        if !self.is_quiet {
            self.copy.uses(1).await;
        }
    }
}
