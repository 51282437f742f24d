//! The engine: everything a workflow needs, made once at start and shared by cloning.
//!
//! Owns no tables. Doors hold an [`Engine`]; rooms below take only what they need of it.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::api_keys::Doorkeeper;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::mail::Mailer;
use crate::rates::RateCard;
use crate::stripe::inbox::Intake;
use crate::{rates, settings, stripe};

/// The running product. Cloning is cheap: every clone is the same one.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

impl Deref for Engine {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What the product consists of.
#[derive(Clone)]
pub struct Parts {
    /// What was set from outside.
    pub config: Arc<Config>,
    /// The database.
    pub db: Db,
    /// The one clock.
    pub clock: Clock,
    /// The way to Stripe, or to what stands in for it.
    pub stripe: stripe::Client,
    /// The way into the inbox.
    pub inbox: Intake,
    /// What each meter costs.
    pub rates: Arc<RateCard>,
    /// Finds out who calls.
    pub doorkeeper: Doorkeeper,
    /// Decides whether a request may run, and books what it costs.
    pub gate: Gate,
    /// The way mail leaves.
    pub mailer: Mailer,
    /// Wakes the worker after a commit that left it something to do.
    pub wake: Arc<Notify>,
}

impl Engine {
    /// Opens the database, migrates it where that is wanted, checks that it belongs to the Stripe
    /// mode of the key, and starts the gate's queue.
    pub async fn start(config: Config) -> Result<Self> {
        let db = Db::connect(&config.database_url).await?;
        if config.migrate_on_start {
            db.migrate().await?;
        } else if db.pending_migrations().await? > 0 {
            let message = "migrations are missing: run the migrate command, or set \
                 MIGRATE_ON_START=true";
            return Err(Error::Conflict(message.to_owned()));
        }
        let clock = Clock::default();
        clock.refresh(&db).await?;
        let rates = rates::load(&db, &config, clock.now()).await?;
        check_mode(&db, &config, &clock).await?;
        let wake = Arc::new(Notify::new());
        let rates = Arc::new(rates);
        let gate = Gate::start(&config, &db, &clock, &rates, &wake);
        let parts = Parts {
            stripe: stripe::Client::new(&config)?,
            inbox: Intake::start(&db),
            mailer: Mailer::new(&config)?,
            config: Arc::new(config),
            doorkeeper: Doorkeeper::start(&db),
            db,
            clock,
            rates,
            gate,
            wake,
        };
        Ok(Self(Arc::new(parts)))
    }

    /// The same product seen at another time, for making a past to look at.
    pub fn with_clock(&self, clock: Clock) -> Self {
        Self(Arc::new(Parts { clock, ..Parts::clone(&self.0) }))
    }

    /// Takes no more work, finishes what was taken, and closes the database.
    pub async fn stop(&self) {
        self.gate.drain().await;
        self.db.close().await;
    }
}

/// One database serves one Stripe mode, recorded at its first boot. (I15)
async fn check_mode(db: &Db, config: &Config, clock: &Clock) -> Result<()> {
    let mut tx = db.begin().await?;
    let mode = config.stripe_mode();
    let recorded = settings::write_once(&mut tx, "stripe_mode", mode, clock.now()).await?;
    tx.commit().await?;
    if recorded == mode {
        return Ok(());
    }
    Err(Error::invalid(
        "STRIPE_SECRET_KEY",
        format!("this database serves Stripe's {recorded} mode, but the key is of {mode} mode"),
    ))
}
