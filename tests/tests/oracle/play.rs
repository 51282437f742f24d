//! Plays stories on the real engine: every round of every wallet at once, from many tasks, and then
//! the comparison with the oracle.

use std::collections::BTreeMap;
use std::sync::Arc;

use server::engine::Engine;
use server::gate::{self, AuthorizeRequest, Over};
use server::units::{Credits, Quantity};
use tokio::task::JoinHandle;

use super::ground::Ground;
use super::player::{Player, Reply};
use super::rules::METERS;
use super::story::Story;
use super::wallet::{Hold, Wallet};
use super::words::{Ask, Tick, use_of};

/// Where the engine and the oracle differ.
#[derive(Debug)]
pub struct Difference {
    /// Which of the stories.
    pub story: usize,
    /// What was expected, what came, and everything before.
    pub text: String,
}

/// How many answers of each kind were compared.
pub type Tally = BTreeMap<&'static str, usize>;

/// Plays these stories side by side. Answers what was compared.
pub async fn play(
    ground: &mut Ground,
    waits: &[Tick],
    stories: &[Arc<Story>],
) -> Result<Tally, Difference> {
    ground.wait(1).await;
    let mut players = Vec::new();
    for story in stories {
        let org_id = ground.make_org(&story.terms).await;
        players.push(Player::new(org_id, story.clone(), ground.now, ground.stranger.clone()));
    }
    let openings = players.iter_mut().map(Player::opening).collect();
    round(ground, &mut players, openings, false).await?;
    for (number, wait) in waits.iter().enumerate() {
        let before = ground.now;
        ground.wait(*wait).await;
        if ground.now != before {
            for player in &mut players {
                player.wallet.now = ground.now;
            }
            look(ground, &players).await?;
        }
        let asks = players.iter_mut().map(|player| player.asks(number)).collect();
        // The sweeper comes now and then, and races with everybody.
        round(ground, &mut players, asks, wait % 4 == 1).await?;
    }
    look(ground, &players).await?;
    let parted = part(ground, &players).await;
    assert!(ground.is_in_time(), "the last look took longer than a minute");
    parted?;
    let mut tally = Tally::new();
    for outcome in players.iter().flat_map(Player::outcomes) {
        *tally.entry(outcome.kind()).or_default() += 1;
    }
    Ok(tally)
}

/// Asks everything of a round at once, and compares every answer and every row.
async fn round(
    ground: &Ground,
    players: &mut [Player],
    asks: Vec<Vec<Ask>>,
    swept: bool,
) -> Result<(), Difference> {
    let sweepers = ground.engines.iter().filter(|_| swept).flat_map(|engine| [engine, engine]);
    let sweepers: Vec<_> = sweepers.map(|engine| tokio::spawn(sweep(engine.clone()))).collect();
    let mut waiting: Vec<Vec<(Ask, JoinHandle<Reply>)>> = Vec::new();
    let mut count = 0;
    for (player, asks) in players.iter().zip(asks) {
        let mut of_player = Vec::new();
        for ask in asks {
            let engine = ground.engines[count % ground.engines.len()].clone();
            let (org_id, asked) = (player.org_id.clone(), ask.clone());
            of_player.push((ask, tokio::spawn(async move { send(&engine, &org_id, asked).await })));
            count += 1;
        }
        waiting.push(of_player);
    }
    let mut replies = Vec::new();
    for of_player in waiting {
        let mut came = Vec::new();
        for (ask, reply) in of_player {
            came.push((ask, reply.await.expect("the engine answers")));
        }
        replies.push(came);
    }
    for sweeper in sweepers {
        sweeper.await.expect("the sweeper comes to an end");
    }
    assert!(ground.is_in_time(), "a round took longer than a minute");
    let orgs: Vec<String> = players.iter().map(|player| player.org_id.clone()).collect();
    let (mut rows, mut returned) = (ground.rows(&orgs).await, ground.returned(&orgs).await);
    for (story, (player, replies)) in players.iter_mut().zip(replies).enumerate() {
        let rows = rows.remove(&player.org_id).unwrap_or_default();
        let returned = returned.remove(&player.org_id).unwrap_or_default();
        if swept {
            player.wallet.settle();
        }
        let compared = player.hear(replies, &rows, &returned);
        compared.map_err(|text| difference(story, player, &text))?;
    }
    Ok(())
}

async fn send(engine: &Engine, org_id: &str, ask: Ask) -> Reply {
    match ask {
        Ask::Write(request) => Reply::Answer(engine.gate.submit(request).await.expect("answered")),
        Ask::Give(gift) => Reply::Grant(Ground::give(engine, org_id, &gift).await),
        Ask::Cap(cap) => {
            Ground::cap(engine, org_id, cap).await;
            Reply::Capped
        }
    }
}

/// Books what is due for everybody, as the worker does. Several may do it at once. (F9)
async fn sweep(engine: Engine) {
    while gate::sweep(&engine).await.expect("swept") > 0 {}
}

/// Looks at every balance without booking anything: what is due is subtracted already. (D17)
async fn look(ground: &Ground, players: &[Player]) -> Result<(), Difference> {
    for (story, player) in players.iter().enumerate() {
        let seen = gate::standing(ground.engine(), &player.org_id).await.expect("a balance");
        player.look(&seen).map_err(|text| difference(story, player, &text))?;
    }
    Ok(())
}

/// The last look: at every hold, and at what would be decided next.
async fn part(ground: &Ground, players: &[Player]) -> Result<(), Difference> {
    for (story, player) in players.iter().enumerate() {
        let mut wrong = Vec::new();
        let wallet = player.seen();
        for hold in &wallet.holds {
            wrong.extend(look_at_hold(ground.engine(), player, hold).await);
        }
        for meter in &METERS {
            wrong.extend(ask_before(ground.engine(), player, &wallet, meter.name).await);
        }
        if !wrong.is_empty() {
            return Err(difference(story, player, &wrong.join("\n")));
        }
    }
    Ok(())
}

/// Compares a hold that is only looked at.
async fn look_at_hold(engine: &Engine, player: &Player, hold: &Hold) -> Option<String> {
    let seen = gate::find_hold(engine, &player.org_id, &hold.id).await.expect("a hold");
    let captured = seen["captured"].as_str().and_then(|text| text.parse::<Credits>().ok());
    let got = (seen["status"].as_str(), captured.map(Credits::micros));
    let expected = (Some(hold.status), Some(hold.captured));
    (expected != got).then(|| format!("{}: expected {expected:?}, got {got:?}", hold.id))
}

/// Compares what is decided about a use that nobody asks for yet.
async fn ask_before(
    engine: &Engine,
    player: &Player,
    wallet: &Wallet,
    meter: &str,
) -> Option<String> {
    let (model, quantity) = (Some("small-2".to_owned()), Quantity::from_micros(7_000_000));
    let request = AuthorizeRequest {
        org_id: player.org_id.clone(),
        model: model.clone(),
        meter: Some(meter.to_owned()),
        quantity: Some(quantity),
        ..AuthorizeRequest::default()
    };
    let seen = gate::authorize(engine, &request).await.expect("a decision");
    let got = (seen.code, seen.credits.micros());
    let what = gate::Use { model, ..use_of(meter, quantity) };
    let expected = match wallet.judge(&what, Over::Overage) {
        Ok(price) => ("allowed".to_owned(), price.credits),
        Err(refused) => (refused.code, refused.decision.map_or(0, |(cost, _)| cost)),
    };
    let same = (expected.0.as_str(), expected.1) == got;
    (!same).then(|| format!("authorize {meter}: expected {expected:?}, got {got:?}"))
}

fn difference(story: usize, player: &Player, text: &str) -> Difference {
    let text = format!("{text}\n\nThe whole story: {}", player.transcript());
    Difference { story, text }
}
