//! Stories: what happens to one wallet, round by round, made up from a seed and shrunk when they
//! show a difference. What a step is about is said by how long ago it was made.

use std::collections::BTreeMap;
use std::ops::Range;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use server::credits::Source;
use server::gate::Over;

use super::rules::METERS;
use super::wallet::Terms;
use super::words::{TICKS_A_DAY, Tick};

/// How many wallets live through the same time.
pub const WALLETS: usize = 64;
/// How often they are asked.
pub const ROUNDS: usize = 20;
/// How many steps of one wallet are taken at once, at most; some are taken twice.
const STEPS_MAX: usize = 4;

/// What happens to one wallet. The steps of a round are taken at once.
#[derive(Clone, Debug)]
pub struct Story {
    /// What its tier allows.
    pub terms: Terms,
    /// What it begins with.
    pub gifts: Vec<Giving>,
    /// What it lives through.
    pub rounds: Vec<Vec<Step>>,
}

/// One step, and whether it is taken twice at the same time.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub what: What,
    /// The same key at the same time: with the same request, or with another one.
    pub twin: Option<Twin>,
}

/// How the second request differs that comes with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// Not at all.
    Same,
    /// It asks for something else.
    Other,
}

/// What may be done.
#[derive(Clone, Debug)]
pub enum What {
    /// Charge a use.
    Consume(Need),
    /// Charge a use that happened.
    Item(Need, Over),
    /// Set credits aside, for so many ticks.
    Hold(Need, Tick),
    /// Charge the hold made so many holds ago.
    Capture(Back, Share, Over),
    /// Give it back.
    Release(Back),
    /// Give it more time.
    Extend(Back, Tick),
    /// Take back the use charged so many uses ago.
    Reverse(Back),
    /// Give back what a workflow holds.
    ReleaseRun(usize),
    /// Give credits.
    Give(Giving),
    /// Set the org's own ceiling, in whole credits; hard or soft.
    Cap(Option<(i64, bool)>),
    /// Send what was sent so many requests ago once more.
    Repeat(usize, Twin),
}

/// Which one, counted from the newest.
#[derive(Clone, Copy, Debug)]
pub enum Back {
    /// Of those that are not over.
    Open(usize),
    /// Of all.
    Any(usize),
    /// Somebody else's.
    Stranger,
}

/// A use that is asked for.
#[derive(Clone, Debug)]
pub struct Need {
    /// Which of [`METERS`].
    pub meter: usize,
    /// In millionths.
    pub quantity: i64,
    /// Which model.
    pub model: Option<&'static str>,
    /// Which feature.
    pub feature: Option<&'static str>,
    /// Which workflow.
    pub run: Option<usize>,
}

/// What a capture charges.
#[derive(Clone, Debug)]
pub enum Share {
    /// Millionths of a unit.
    Quantity(i64),
    /// Several lines.
    Lines(Vec<(usize, i64, Option<&'static str>)>),
}

/// Credits that are given.
#[derive(Clone, Debug)]
pub struct Giving {
    /// From where.
    pub source: Source,
    /// Millionths of a credit.
    pub credits: i64,
    /// For how many ticks.
    pub lives: Option<Tick>,
    /// In how many ticks it may be spent, where not at once.
    pub starts: Option<Tick>,
    /// Whether the source is the same as last time.
    pub again: bool,
}

/// Everything that a seed makes up, the same each time.
pub fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), rng)
}

/// How many ticks pass before each round: mostly none, sometimes a month.
pub fn waits() -> impl Strategy<Value = Vec<Tick>> {
    let wait = prop_oneof![
        10 => Just(0),
        3 => 1..4_i64,
        4 => 4..40_i64,
        2 => 40..160_i64,
        1 => (10..33_i64).prop_map(|days| days * TICKS_A_DAY),
    ];
    vec(wait, ROUNDS)
}

/// A story.
pub fn story() -> impl Strategy<Value = Story> {
    let rounds = vec(vec(step(), 0..=STEPS_MAX), ROUNDS);
    (terms(), vec(giving(), 1..4), rounds).prop_map(|(terms, gifts, rounds)| Story {
        terms,
        gifts,
        rounds,
    })
}

fn terms() -> impl Strategy<Value = Terms> {
    let names = [
        ("requests_per_minute", 2..6_i64),
        ("text_per_minute", 1..3),
        ("requests_per_day", 3..12),
        ("tokens_per_day", 1..5),
        ("requests_per_period", 8..30),
        ("video_per_period", 1..5),
    ];
    let names = names.map(|(name, most)| (Just(name.to_owned()), most)).to_vec();
    let limits = proptest::sample::subsequence((0..names.len()).collect::<Vec<_>>(), 1..=2)
        .prop_flat_map(move |chosen| {
            chosen.into_iter().map(|index| names[index].clone()).collect::<Vec<_>>()
        })
        .prop_map(|limits| limits.into_iter().collect::<BTreeMap<_, _>>());
    let limits = prop_oneof![3 => Just(BTreeMap::new()), 1 => limits];
    (proptest::bool::weighted(0.3), limits).prop_map(|(overage, limits)| Terms { overage, limits })
}

fn step() -> impl Strategy<Value = Step> {
    let twin = prop_oneof![
        40 => Just(None),
        4 => Just(Some(Twin::Same)),
        1 => Just(Some(Twin::Other)),
    ];
    (what(), twin).prop_map(|(what, twin)| Step { what, twin })
}

fn what() -> impl Strategy<Value = What> {
    let cap = option::of((5..200_i64, proptest::bool::weighted(0.8)));
    let twin = prop_oneof![8 => Just(Twin::Same), 1 => Just(Twin::Other)];
    prop_oneof![
        20 => need().prop_map(What::Consume),
        10 => (need(), over()).prop_map(|(need, over)| What::Item(need, over)),
        22 => (need(), ticks()).prop_map(|(need, ttl)| What::Hold(need, ttl)),
        20 => (back(), share(), over()).prop_map(|(b, share, over)| What::Capture(b, share, over)),
        6 => back().prop_map(What::Release),
        3 => (back(), ticks()).prop_map(|(back, ttl)| What::Extend(back, ttl)),
        8 => back().prop_map(What::Reverse),
        2 => (0..4_usize).prop_map(What::ReleaseRun),
        8 => giving().prop_map(What::Give),
        2 => cap.prop_map(What::Cap),
        10 => (0..12_usize, twin).prop_map(|(back, twin)| What::Repeat(back, twin)),
    ]
}

fn need() -> impl Strategy<Value = Need> {
    let model = prop_oneof![
        10 => Just(None),
        10 => Just(Some("small-1")),
        10 => Just(Some("small-2")),
        1 => Just(Some("rare")),
        1 => Just(Some("large")),
    ];
    let feature = prop_oneof![
        40 => Just(None),
        4 => Just(Some("sound")),
        1 => Just(Some("sight")),
    ];
    let run = option::weighted(0.4, 0..3_usize);
    // Words cost nothing that anybody knows unless a model is told.
    let meter = prop_oneof![3 => 0..METERS.len() - 1, 1 => Just(METERS.len() - 1)];
    (meter, quantity(1..20_000_000), model, feature, run).prop_map(
        |(meter, quantity, model, feature, run)| Need { meter, quantity, model, feature, run },
    )
}

/// Whole units mostly, and any number of millionths.
fn quantity(range: Range<i64>) -> impl Strategy<Value = i64> {
    let whole = (range.end / 1_000_000).max(2);
    prop_oneof![
        5 => (1..whole).prop_map(|units| units * 1_000_000),
        1 => range,
        1 => Just(1_000_000),
    ]
}

fn over() -> impl Strategy<Value = Over> {
    prop_oneof![Just(Over::Deny), Just(Over::UseAvailable), Just(Over::Overage), Just(Over::Debt),]
}

fn ticks() -> impl Strategy<Value = Tick> {
    prop_oneof![3 => 0..6_i64, 2 => 6..TICKS_A_DAY]
}

fn back() -> impl Strategy<Value = Back> {
    prop_oneof![
        16 => (0..3_usize).prop_map(Back::Open),
        6 => (0..8_usize).prop_map(Back::Any),
        1 => Just(Back::Stranger),
    ]
}

fn share() -> impl Strategy<Value = Share> {
    let model = prop_oneof![4 => Just(None), 1 => Just(Some("small-2"))];
    let line = (0..METERS.len(), quantity(1..9_000_000), model);
    prop_oneof![
        1 => Just(Share::Quantity(0)),
        8 => quantity(1..20_000_000).prop_map(Share::Quantity),
        3 => vec(line, 1..4).prop_map(Share::Lines),
    ]
}

fn giving() -> impl Strategy<Value = Giving> {
    let source = prop_oneof![
        Just(Source::Trial),
        Just(Source::Promo),
        Just(Source::Contract),
        Just(Source::Pack),
        Just(Source::Manual),
    ];
    let lives = option::of(prop_oneof![0..40_i64, 40..2_000_i64]);
    let starts = option::weighted(0.1, 0..30_i64);
    (source, quantity(1..40_000_000), lives, starts, proptest::bool::weighted(0.1)).prop_map(
        |(source, credits, lives, starts, again)| Giving { source, credits, lives, starts, again },
    )
}
