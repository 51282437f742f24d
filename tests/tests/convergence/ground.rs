//! What a life is lived on: Stripe, and many copies of the product that are the same at first.

use std::net::SocketAddr;
use std::sync::Arc;

use tempfile::TempDir;
use tests::{Database, Site, Stripe};

use crate::copy::Copy;

/// Stripe and the copies.
pub struct Ground {
    /// Stripe.
    pub stripe: Stripe,
    /// The copies, the first of which gets everything in order.
    pub copies: Vec<Copy>,
    /// The org that lives.
    pub org_id: String,
    folder: TempDir,
    simulator: Arc<simulator::Running>,
}

impl Ground {
    /// Makes a product with a catalog and an org, and so many copies of it.
    pub async fn make(copies: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = simulator::Settings { addr, data: None };
        let simulator = Arc::new(simulator::start(settings).await.expect("the simulator starts"));
        simulator.judge();
        let stripe = Stripe::at(&simulator.url());
        let original = Database::make(folder.path()).await;
        let (org_id, secret) = prepare(&original, &stripe).await;
        let mut all = Vec::new();
        for number in 0..copies {
            let home = folder.path().join(format!("copy-{number}"));
            std::fs::create_dir(&home).expect("a folder");
            let database = original.copy(&home).await;
            let site = Site::start(vars(&database, &stripe)).await;
            all.push(Copy::new(number, database, site, &secret, &org_id));
        }
        original.remove().await;
        Self { stripe, copies: all, org_id, folder, simulator }
    }

    /// Takes everything down; fails if the simulator spoke otherwise than Stripe does.
    pub async fn end(self) {
        let misfits = self.stripe.misfits().await;
        for copy in self.copies {
            copy.end().await;
        }
        if let Some(simulator) = Arc::into_inner(self.simulator) {
            simulator.stop().await;
        }
        drop(self.folder);
        assert!(misfits.is_empty(), "Stripe does not speak so:\n{}", misfits.join("\n"));
    }
}

fn vars(database: &Database, stripe: &Stripe) -> Vec<(String, String)> {
    let simulator = stripe.url.trim_start_matches("http://").to_owned();
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![set("DATABASE_URL", &database.url), set("SIMULATOR_ADDR", &simulator)]
}

/// The product before anything happened: the catalog, one org, one key.
async fn prepare(database: &Database, stripe: &Stripe) -> (String, String) {
    let site = Site::start(vars(database, stripe)).await;
    let opened = site.open().await;
    site.end().await;
    opened
}
