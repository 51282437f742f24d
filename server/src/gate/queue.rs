//! Where requests wait for their turn and are taken together: group commit.
//!
//! One committer on SQLite, which has one writer; a few on Postgres, where an org always goes to
//! the same one. A committer takes what has gathered while the last transaction was flushed, so
//! nobody waits for company. A full queue is refused at once with nothing done.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Db, Dialect};
use crate::error::{Error, Result};
use crate::rates::RateCard;

use super::answer::{self, Answer};
use super::consume::{Setting, run_batch};
use super::request::ConsumeRequest;

/// How many requests may wait for one committer.
const WAITING_MAX: usize = 4096;
/// How many requests share a transaction.
const BATCH_MAX: usize = 256;
/// Committers on Postgres.
const LANES: usize = 4;
/// How long a caller waits for an answer before it is told that its key is in progress.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a batch that lost against another transaction runs again.
const TRIES: usize = 3;

/// The gate, shared by cloning.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    lanes: Mutex<Vec<mpsc::Sender<Work>>>,
    committers: Mutex<Vec<JoinHandle<()>>>,
}

struct Work {
    request: ConsumeRequest,
    reply: oneshot::Sender<Result<Answer>>,
}

struct Committer {
    db: Db,
    clock: Clock,
    rates: Arc<RateCard>,
    wake: Arc<Notify>,
    base_url: String,
}

impl Gate {
    /// Starts the committers on the current runtime.
    #[expect(clippy::disallowed_methods, reason = "the gate's own tasks, ended by drain")]
    pub fn start(
        config: &Config,
        db: &Db,
        clock: &Clock,
        rates: &Arc<RateCard>,
        wake: &Arc<Notify>,
    ) -> Self {
        let count = if db.dialect() == Dialect::Sqlite { 1 } else { LANES };
        let (mut lanes, mut committers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let committer = Committer {
                db: db.clone(),
                clock: clock.clone(),
                rates: rates.clone(),
                wake: wake.clone(),
                base_url: config.base_url.clone(),
            };
            lanes.push(sender);
            committers.push(tokio::spawn(committer.run(receiver)));
        }
        Self(Arc::new(Inner { lanes: Mutex::new(lanes), committers: Mutex::new(committers) }))
    }

    /// Charges a use, once however often the same key asks. The answer is durable before it is
    /// given. (D1–D5)
    pub async fn consume(&self, request: ConsumeRequest) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let lane = self.lane(&request.org_id).ok_or(Error::Unavailable)?;
        lane.try_send(Work { request, reply }).map_err(|_| Error::Unavailable)?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::Unavailable),
            Err(_) => {
                let message = "This request is still being worked on. Send it again with its key.";
                answer::refused_key(409, "idempotency_in_progress", message)
            }
        }
    }

    /// Takes no more requests and finishes those that were taken.
    pub async fn drain(&self) {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let committers =
            std::mem::take(&mut *self.0.committers.lock().unwrap_or_else(PoisonError::into_inner));
        for committer in committers {
            if let Err(error) = committer.await {
                tracing::error!(%error, "a committer of the gate ended badly");
            }
        }
    }

    fn lane(&self, org_id: &str) -> Option<mpsc::Sender<Work>> {
        let lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hasher = DefaultHasher::new();
        org_id.hash(&mut hasher);
        let count = u64::try_from(lanes.len()).ok().filter(|count| *count > 0)?;
        let index = usize::try_from(hasher.finish() % count).ok()?;
        lanes.get(index).cloned()
    }
}

impl Committer {
    async fn run(self, mut queue: mpsc::Receiver<Work>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.commit(std::mem::take(&mut batch)).await;
        }
    }

    /// One transaction for all of them; if it fails, one for each, so that a bad operation never
    /// fails its neighbours.
    async fn commit(&self, batch: Vec<Work>) {
        let requests: Vec<&ConsumeRequest> = batch.iter().map(|work| &work.request).collect();
        match self.attempt(&requests).await {
            Ok(answers) => {
                for (work, answer) in batch.into_iter().zip(answers) {
                    // Whoever gave up waiting finds the answer under the key.
                    drop(work.reply.send(Ok(answer)));
                }
            }
            Err(error) => {
                if error.is_fault() {
                    let size = batch.len();
                    tracing::error!(%error, size, "a batch failed; its operations run singly");
                }
                for work in batch {
                    let answer = self.attempt(&[&work.request]).await;
                    drop(work.reply.send(answer.map(|mut answers| answers.remove(0))));
                }
            }
        }
    }

    /// Runs a batch, again when another transaction won. (D24)
    async fn attempt(&self, requests: &[&ConsumeRequest]) -> Result<Vec<Answer>> {
        let mut tries = 1;
        loop {
            let setting = Setting { rates: &self.rates, base_url: &self.base_url };
            match run_batch(&self.db, setting, requests, self.clock.now()).await {
                Ok((answers, told)) => {
                    if told {
                        self.wake.notify_one();
                    }
                    return Ok(answers);
                }
                Err(error) if error.is_serialization() && tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}
