//! Where requests wait for their turn and are taken together: group commit.
//!
//! One committer on SQLite, which has one writer; a few on Postgres, where an org always goes to
//! the same one. A committer takes what has gathered while the last transaction was flushed, so
//! nobody waits for company. A full queue is refused at once with nothing done.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::clock::{Clock, Millis};
use crate::config::Config;
use crate::db::{Db, Dialect, Gather};
use crate::error::{Error, Result};
use crate::rates::RateCard;

use super::account::{self, Account};
use super::answer::{self, Answer};
use super::batch::{self, Desk, Done};
use super::memory::Memory;
use super::request::Request;

/// How many requests may wait for one committer.
const WAITING_MAX: usize = 4096;
/// How many requests share a transaction.
const BATCH_MAX: usize = 256;
/// The most committers on Postgres; one a processor is enough, since each takes all that waits.
const LANES_MAX: usize = 4;
/// How long a caller waits for an answer before it is told that its key is in progress.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a batch that lost against another transaction, or lost its connection, runs again.
const TRIES: usize = 5;

/// The gate, shared by cloning.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    db: Db,
    desk: Desk,
    lanes: Mutex<Vec<mpsc::Sender<Work>>>,
    committers: Mutex<Vec<JoinHandle<()>>>,
    glances: Gather<String, Arc<Account>>,
    counted: Arc<Counted>,
    count: usize,
}

/// How many batches there were, and how many operations in them.
#[derive(Default)]
struct Counted {
    batches: AtomicU64,
    operations: AtomicU64,
}

struct Work {
    request: Request,
    reply: oneshot::Sender<Result<Answer>>,
}

struct Committer {
    db: Db,
    clock: Clock,
    desk: Desk,
    wake: Arc<Notify>,
    counted: Arc<Counted>,
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
        let memory = Memory::default();
        let desk = Desk { rates: rates.clone(), base_url: config.base_url.as_str().into(), memory };
        let counted = Arc::new(Counted::default());
        let count = match db.dialect() {
            Dialect::Sqlite => 1,
            Dialect::Postgres => {
                let processors = std::thread::available_parallelism().map_or(1, usize::from);
                processors.clamp(1, LANES_MAX)
            }
        };
        let (mut lanes, mut committers) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (sender, receiver) = mpsc::channel(WAITING_MAX);
            let committer = Committer {
                db: db.clone(),
                clock: clock.clone(),
                desk: desk.clone(),
                wake: wake.clone(),
                counted: counted.clone(),
            };
            lanes.push(sender);
            committers.push(tokio::spawn(committer.run(receiver)));
        }
        Self(Arc::new(Inner {
            glances: glances(db, clock, &desk.memory),
            db: db.clone(),
            desk,
            lanes: Mutex::new(lanes),
            committers: Mutex::new(committers),
            counted,
            count,
        }))
    }

    /// Does what is asked, once however often the same key asks. The answer is durable before it
    /// is given. (D1–D5)
    pub async fn submit(&self, request: Request) -> Result<Answer> {
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

    /// Runs these requests in one transaction right now, as of `now`, beside the queue.
    pub async fn run_now(&self, requests: &[&Request], now: Millis) -> Result<Vec<Answer>> {
        Ok(batch::run(&self.0.db, &self.0.desk, requests, now).await?.answers)
    }

    /// How many batches were committed since the start, and how many operations in them.
    pub fn stats(&self) -> (u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.0.counted.batches), read(&self.0.counted.operations))
    }

    /// How many commit beside each other.
    pub fn committers(&self) -> usize {
        self.0.count
    }

    /// One account without a lock; those that are asked for together are read together.
    pub(super) async fn glance(&self, org_id: &str) -> Result<Arc<Account>> {
        self.0.glances.ask(org_id.to_owned()).await
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.0.desk.memory
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

/// Reads accounts for those who only ask.
fn glances(db: &Db, clock: &Clock, memory: &Memory) -> Gather<String, Arc<Account>> {
    let (db, clock, memory) = (db.clone(), clock.clone(), memory.clone());
    Gather::start(move |asked: Arc<[String]>| {
        let (db, memory, now) = (db.clone(), memory.clone(), clock.now());
        async move {
            let mut orgs = asked.to_vec();
            orgs.sort_unstable();
            orgs.dedup();
            let accounts = account::peek(&db, &memory, &orgs, now).await?;
            let accounts: std::collections::BTreeMap<String, Arc<Account>> =
                accounts.into_iter().map(|(org_id, one)| (org_id, Arc::new(one))).collect();
            let found = asked.iter().map(|org_id| {
                accounts.get(org_id).cloned().ok_or(Error::NotFound("The organisation"))
            });
            Ok(found.collect())
        }
    })
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
        let requests: Vec<&Request> = batch.iter().map(|work| &work.request).collect();
        let size = batch.len();
        self.counted.batches.fetch_add(1, Ordering::Relaxed);
        self.counted.operations.fetch_add(size.try_into().unwrap_or(0), Ordering::Relaxed);
        match self.attempt(&requests).await {
            Ok(answers) => {
                for (work, answer) in batch.into_iter().zip(answers) {
                    // Whoever gave up waiting finds the answer under the key.
                    drop(work.reply.send(Ok(answer)));
                }
            }
            Err(error) if size == 1 => {
                if let Some(work) = batch.into_iter().next() {
                    drop(work.reply.send(Err(error)));
                }
            }
            Err(error) => {
                if error.is_fault() {
                    tracing::error!(%error, size, "a batch failed; its operations run singly");
                }
                for work in batch {
                    let answer = self.attempt(&[&work.request]).await;
                    drop(work.reply.send(answer.map(|mut answers| answers.remove(0))));
                }
            }
        }
    }

    /// Runs a batch, again when another transaction won or the connection was lost: the keys tell
    /// what was done already, even where nobody knows whether the commit arrived. (D24)
    async fn attempt(&self, requests: &[&Request]) -> Result<Vec<Answer>> {
        let mut tries = 1;
        loop {
            match batch::run(&self.db, &self.desk, requests, self.clock.now()).await {
                Ok(Done { answers, told }) => {
                    if told {
                        self.wake.notify_one();
                    }
                    return Ok(answers);
                }
                Err(error) if error.may_run_again() && tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }
}
