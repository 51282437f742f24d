//! Deliveries that arrive together are kept together: one transaction for all of them, so that a
//! burst of webhooks costs as many flushes of the disk as a few do.

use std::sync::Arc;

use crate::clock::Millis;
use crate::db::{Db, Gather};
use crate::error::Result;

use super::super::envelope::Envelope;
use super::{Status, store};

/// An event at the door, with what it is to be kept as.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// What was read of it.
    pub event: Envelope,
    /// As received; `None` where it is not to be kept.
    pub payload: Option<String>,
    /// What it is kept as.
    pub status: Status,
    /// webhook or poll
    pub source: &'static str,
    /// When.
    pub at: Millis,
}

/// The way into the inbox, shared by cloning.
#[derive(Clone, Debug)]
pub struct Intake(Gather<Arc<Arrived>, bool>);

impl Intake {
    /// Starts on the current runtime; ends with the last clone.
    pub fn start(db: &Db) -> Self {
        let db = db.clone();
        Self(Gather::start(move |arrived| keep(db.clone(), arrived)))
    }

    /// Keeps an event; `false` when it was there already. It is on the disk when this answers.
    pub async fn keep(&self, arrived: Arrived) -> Result<bool> {
        self.0.ask(Arc::new(arrived)).await
    }
}

async fn keep(db: Db, arrived: Arc<[Arc<Arrived>]>) -> Result<Vec<Result<bool>>> {
    // In the order of their ids, so that two replicas that are sent the same burst do not wait for
    // each other in a ring.
    let mut order: Vec<usize> = (0..arrived.len()).collect();
    order.sort_by(|a, b| arrived[*a].event.id.cmp(&arrived[*b].event.id));
    let mut new = vec![false; arrived.len()];
    let mut tx = db.begin().await?;
    for index in order {
        let Arrived { event, payload, status, source, at } = &*arrived[index];
        new[index] = store(&mut tx, event, payload.as_deref(), *status, source, *at).await?;
    }
    tx.commit().await?;
    Ok(new.into_iter().map(Ok).collect())
}
