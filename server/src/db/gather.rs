//! Reads that arrive together share one statement.
//!
//! Whoever asks alone is answered at once; what arrives while a read is under way is taken together
//! by the next one. Nothing is remembered: every answer was read after it was asked for.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Result};

/// How many may wait.
const WAITING_MAX: usize = 4096;
/// How many share a statement.
const TOGETHER_MAX: usize = 256;

type Asked<Q, A> = (Q, oneshot::Sender<Result<A>>);

/// A way to ask one thing that is read with others, shared by cloning.
#[derive(Debug)]
pub struct Gather<Q, A>(mpsc::Sender<Asked<Q, A>>);

impl<Q, A> Clone for Gather<Q, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Q: Clone + Send + Sync + 'static, A: Send + 'static> Gather<Q, A> {
    /// Starts on the current runtime; ends with the last clone. `read` answers every question, in
    /// their order.
    #[expect(clippy::disallowed_methods, reason = "a task of its own, ended with its askers")]
    pub fn start<F, R>(read: F) -> Self
    where
        F: Fn(Arc<[Q]>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Result<A>>>> + Send,
    {
        let (sender, mut waiting) = mpsc::channel::<Asked<Q, A>>(WAITING_MAX);
        tokio::spawn(async move {
            let mut asked = Vec::new();
            while waiting.recv_many(&mut asked, TOGETHER_MAX).await > 0 {
                answer(&read, std::mem::take(&mut asked)).await;
            }
        });
        Self(sender)
    }

    /// Asks; refused at once where too many wait already.
    pub async fn ask(&self, question: Q) -> Result<A> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send((question, reply)).map_err(|_| Error::Unavailable)?;
        answer.await.map_err(|_| Error::Unavailable)?
    }
}

/// One read for all of them; if it fails, one for each, so that nobody fails for another.
async fn answer<Q: Clone, A, F, R>(read: &F, asked: Vec<Asked<Q, A>>)
where
    F: Fn(Arc<[Q]>) -> R,
    R: Future<Output = Result<Vec<Result<A>>>>,
{
    let questions: Arc<[Q]> = asked.iter().map(|(question, _)| question.clone()).collect();
    let alone = asked.len() == 1;
    match read(questions).await {
        Ok(answers) => {
            for ((_, reply), answer) in asked.into_iter().zip(answers) {
                // Whoever asked may have gone away.
                drop(reply.send(answer));
            }
        }
        Err(error) if alone => {
            if let Some((_, reply)) = asked.into_iter().next() {
                drop(reply.send(Err(error)));
            }
        }
        Err(_) => {
            for (question, reply) in asked {
                let answers = read(Arc::from(vec![question])).await;
                let answer = answers.and_then(|mut answers| {
                    answers.pop().unwrap_or_else(|| Err(Error::internal("no answer was read")))
                });
                drop(reply.send(answer));
            }
        }
    }
}
