//! The benchmark: the whole product in one process, as it runs in production, under the load of
//! many connections. `cargo xtask bench` builds it for release and runs it on both engines.
//!
//! Durability is as in production: an answer is given when its transaction is on the disk. The load
//! comes from a thread of its own in the same process, so on a small machine it takes its share.

mod client;
mod compare;
mod load;
mod memory;
mod product;
mod report;
mod settings;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use client::Request;
use load::{Outcome, Plan};
use product::{Product, Wallet};
use report::Report;
use settings::Settings;

fn main() -> ExitCode {
    let settings = match Settings::read(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(message) => {
            eprintln!("error: {message}\n\n{}", settings::USAGE);
            return ExitCode::from(2);
        }
    };
    match measure(&settings) {
        Ok(report) => {
            println!("{}", if settings.json { report.json() } else { report.table() });
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(settings: &Settings) -> Result<Report> {
    let alone = memory::of_the_program_alone()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let product = runtime.block_on(Product::start(settings))?;
    let idle = memory::resident()?;
    let watched = memory::Watch::start();
    let mut outcomes = over_http(settings, &product)?;
    let peak = watched.end();
    outcomes.extend(runtime.block_on(compare::both_ways(settings, &product))?);
    let engine = product.engine_name();
    runtime.block_on(product.end());
    Ok(Report { settings: settings.clone(), engine, alone, idle, peak, outcomes })
}

/// What programs and visitors do, over real connections.
fn over_http(settings: &Settings, product: &Product) -> Result<Vec<Outcome>> {
    let wallets = &product.wallets;
    let (address, run) = (product.address.as_str(), product.run.as_str());
    let pricing = |_: usize, _: usize| Request::get(address, "/pricing");
    let authorize = |connection: usize, round: usize| {
        let wallet = spread(wallets, settings.connections, connection, round);
        Request::post(address, "/v1/authorize", &wallet.secret, None, BODY)
    };
    let many = |connection: usize, round: usize| {
        let wallet = spread(wallets, settings.connections, connection, round);
        let key = format!("{run}-many-{connection}-{round}");
        Request::post(address, "/v1/consume", &wallet.secret, Some(&key), BODY)
    };
    let hot = |connection: usize, round: usize| {
        let key = format!("{run}-hot-{connection}-{round}");
        Request::post(address, "/v1/consume", &wallets[0].secret, Some(&key), BODY)
    };
    let spread_name = format!("POST /v1/consume, {} wallets", wallets.len());
    let plan = |name: &str| Plan {
        name: name.to_owned(),
        address: product.address.clone(),
        connections: settings.connections,
        warm_up: Duration::from_secs(1),
        length: Duration::from_secs(settings.seconds),
    };
    Ok(vec![
        load::run(&plan("GET /pricing"), &pricing)?,
        load::run(&plan("POST /v1/authorize"), &authorize)?,
        load::run(&plan(&spread_name), &many)?,
        load::run(&plan("POST /v1/consume, one wallet"), &hot)?,
    ])
}

const BODY: &str = r#"{"meter":"text","quantity":1}"#;

/// A wallet for this request, so that all are used alike.
fn spread(wallets: &[Wallet], connections: usize, connection: usize, round: usize) -> &Wallet {
    &wallets[(connection + round * connections) % wallets.len()]
}
