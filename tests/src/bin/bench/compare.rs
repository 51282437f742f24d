//! Group commit against one commit for each operation: the same engine, the same wallets, the same
//! number of operations at once, without HTTP around them.

use std::time::{Duration, Instant};

use anyhow::Result;
use server::engine::Engine;
use server::error::Result as Answered;
use server::gate::{self, Caller, ConsumeRequest};
use server::units::Quantity;

use crate::load::Outcome;
use crate::product::Product;
use crate::settings::Settings;

/// How operations reach the disk.
#[derive(Clone, Copy)]
enum Way {
    /// Those that arrive together share a transaction.
    Together,
    /// Each has a transaction of its own.
    Alone,
}

/// Both ways, over many wallets and over one.
pub async fn both_ways(settings: &Settings, product: &Product) -> Result<Vec<Outcome>> {
    let many = product.wallets.len();
    let cases = [
        (format!("gate, group commit, {many} wallets"), Way::Together, many),
        (format!("gate, one commit each, {many} wallets"), Way::Alone, many),
        ("gate, group commit, one wallet".to_owned(), Way::Together, 1),
        ("gate, one commit each, one wallet".to_owned(), Way::Alone, 1),
    ];
    let mut outcomes = Vec::new();
    for (index, (name, way, wallets)) in cases.into_iter().enumerate() {
        outcomes.push(measure(settings, product, &name, index, way, wallets).await?);
    }
    Ok(outcomes)
}

async fn measure(
    settings: &Settings,
    product: &Product,
    name: &str,
    case: usize,
    way: Way,
    wallets: usize,
) -> Result<Outcome> {
    let length = Duration::from_secs(settings.seconds);
    let end = Instant::now() + length;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..settings.connections {
        let engine = product.engine().clone();
        let orgs = product.wallets[..wallets].iter().map(|wallet| wallet.org_id.clone());
        let orgs: Vec<String> = orgs.skip(number % wallets).step_by(settings.connections).collect();
        let orgs = if orgs.is_empty() { vec![product.wallets[0].org_id.clone()] } else { orgs };
        let prefix = format!("{}-{case}-{number}", product.run);
        tasks.spawn(keep_consuming(engine, way, orgs, prefix, end));
    }
    let (mut latencies, mut failed) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (own, own_failed) = done?;
        latencies.extend(own);
        failed += own_failed;
    }
    Ok(Outcome::new(name, length, latencies, failed))
}

async fn keep_consuming(
    engine: Engine,
    way: Way,
    orgs: Vec<String>,
    prefix: String,
    end: Instant,
) -> (Vec<Duration>, usize) {
    let (mut latencies, mut failed) = (Vec::new(), 0);
    for (round, org_id) in orgs.iter().cycle().enumerate() {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        let status = consume(&engine, way, request(org_id, format!("{prefix}-{round}"))).await;
        let done = Instant::now();
        match status {
            _ if done > end => {}
            Ok(200) => latencies.push(done - begun),
            Ok(_) | Err(_) => failed += 1,
        }
    }
    (latencies, failed)
}

async fn consume(engine: &Engine, way: Way, request: ConsumeRequest) -> Answered<u16> {
    match way {
        Way::Together => Ok(engine.gate.consume(request).await?.status),
        Way::Alone => {
            let setting = gate::Setting { rates: &engine.rates, base_url: &engine.config.base_url };
            let now = engine.clock.now();
            let (answers, _) = gate::run_batch(&engine.db, setting, &[&request], now).await?;
            Ok(answers.first().map_or(0, |answer| answer.status))
        }
    }
}

fn request(org_id: &str, key: String) -> ConsumeRequest {
    ConsumeRequest {
        org_id: org_id.to_owned(),
        caller: Caller::System,
        fingerprint: key.clone(),
        key,
        meter: "text".to_owned(),
        quantity: Quantity::from_micros(1_000_000),
        model: None,
        feature: None,
        run: None,
        member: None,
        cost: None,
        metadata: None,
    }
}
