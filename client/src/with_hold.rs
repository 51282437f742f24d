//! Hold, work, capture: the whole life of a hold around one piece of work.

use std::fmt;

use crate::builder::Client;
use crate::error::Error;
use crate::holds::{Captured, Hold, NewHold};
use crate::key::Key;
use crate::usage::Usage;

/// Why a piece of work has no usage to show.
#[derive(Clone, Debug)]
pub enum WithHold<T, E> {
    /// The hold was not made, and the work was not begun.
    NotHeld(Error),
    /// The work failed, and the hold was given back.
    Failed {
        /// How the work failed.
        error: E,
        /// Why the hold could not be given back, if so; it ends when its time is over.
        release: Option<Error>,
    },
    /// The work is done, but was not charged: do not hand it out. Capture again with this key, and
    /// another `over` where it was denied; or release the hold.
    NotCaptured {
        /// Why not.
        error: Error,
        /// What the work made.
        made: T,
        /// What was to be charged.
        captured: Captured,
        /// The hold, still open unless its time is over.
        hold: Box<Hold>,
        /// The key of the capture.
        key: Key,
    },
}

impl<T, E: fmt::Display> fmt::Display for WithHold<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHeld(error) => write!(f, "nothing was held: {error}"),
            Self::Failed { error, release: None } => write!(f, "the work failed: {error}"),
            Self::Failed { error, release: Some(release) } => {
                write!(f, "the work failed: {error}; its hold was not given back: {release}")
            }
            Self::NotCaptured { error, .. } => write!(f, "the work was not charged: {error}"),
        }
    }
}

impl<T: fmt::Debug, E: std::error::Error> std::error::Error for WithHold<T, E> {}

impl Client {
    /// Sets credits aside, does the work, and charges what the work says it used; where the work
    /// fails, what was set aside goes back.
    ///
    /// The keys of the capture and the release are made from `key`, so that the whole may be
    /// repeated after a crash: the work is done again, and charged once. What was given back before
    /// is over, though: then `NotHeld` says `operation_reversed`, and a new key is needed. A key of
    /// your own may have up to 240 characters.
    ///
    /// Where the caller is dropped during the work, as when a client hangs up, nothing is captured
    /// or released: the hold ends when its time is over. What must be charged even then belongs in
    /// a task of its own.
    pub async fn with_hold<T, E, W>(
        &self,
        new: &NewHold,
        key: &Key,
        work: W,
    ) -> Result<(Usage, T), WithHold<T, E>>
    where
        W: AsyncFnOnce(&Hold) -> Result<(Captured, T), E>,
    {
        let capture_key = key.derived("capture").map_err(WithHold::NotHeld)?;
        let release_key = key.derived("release").map_err(WithHold::NotHeld)?;
        let hold = self.hold(new, key).await.map_err(WithHold::NotHeld)?;
        let (captured, made) = match work(&hold).await {
            Ok(done) => done,
            Err(error) => {
                let release = self.release(&hold, &release_key).await.err();
                return Err(WithHold::Failed { error, release });
            }
        };
        match self.capture(&hold, &captured, &capture_key).await {
            Ok(usage) => Ok((usage, made)),
            Err(error) => {
                let (hold, key) = (Box::new(hold), capture_key);
                Err(WithHold::NotCaptured { error, made, captured, hold, key })
            }
        }
    }
}
