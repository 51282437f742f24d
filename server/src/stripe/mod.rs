//! The way to Stripe: async-stripe's client with our own patience, and what comes back from it.
//!
//! Every call has a timeout, a place in the queue (Stripe takes so many a second) and, when it
//! writes, an idempotency key made from a row of ours. Owns `stripe_events` (in [`inbox`]). Never
//! knows whether Stripe or something that speaks like it is on the other side, and is never called
//! while a transaction is open.

pub mod envelope;
pub mod inbox;
mod pace;
pub mod shapes;
pub mod signature;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::stripe::{RequestStrategy, StripeError, StripeRequest};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use stripe_client_core::{CustomizedStripeRequest, StripeClient};

use crate::config::Config;
use crate::error::{Error, Result};
use pace::Pace;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long to wait before the second and the third attempt.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(600)];

/// The code of every error that says that the key may not do this: nothing is wrong with what was
/// asked, and somebody will mend the key.
pub const KEY_REFUSED: &str = "key_refused";

/// The code of every answer that lacks what is needed of it: nobody was away, and waiting alone
/// does not mend it.
pub const INCOMPLETE: &str = "incomplete";

/// The client, shared by cloning.
#[derive(Clone, Debug)]
pub struct Client {
    inner: ::stripe::Client,
    pace: Arc<Pace>,
}

impl Client {
    /// A client for the key and the base address of the configuration.
    pub fn new(config: &Config) -> Result<Self> {
        let key = config.stripe_secret_key.expose();
        let mut builder = ::stripe::ClientBuilder::new(key).timeout(TIMEOUT);
        if let Some(base) = &config.stripe_api_base {
            builder = builder.url(format!("{}/", base.trim_end_matches('/')));
        }
        let inner = builder.build().map_err(|error| {
            Error::invalid("STRIPE_SECRET_KEY", format!("cannot be used for Stripe: {error}"))
        })?;
        Ok(Self { inner, pace: Arc::new(Pace::new(config.stripe_calls_per_second)) })
    }

    /// Reads an object into one of our [`shapes`].
    pub async fn fetch<R, S>(&self, request: &R) -> Result<S>
    where
        R: StripeRequest + Sync,
        R::Output: miniserde::Deserialize + Send,
        S: DeserializeOwned,
    {
        self.send(request, &RequestStrategy::Once).await
    }

    /// Reads an object; `None` where Stripe has none of that id.
    pub async fn fetch_optional<R, S>(&self, request: &R) -> Result<Option<S>>
    where
        R: StripeRequest + Sync,
        R::Output: miniserde::Deserialize + Send,
        S: DeserializeOwned,
    {
        match self.fetch(request).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::Stripe { code, .. }) if code == "resource_missing" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every object of a list, page after page. `page` is the request for what follows an id.
    pub async fn every<R, T>(&self, page: impl Fn(Option<String>) -> R + Send) -> Result<Vec<T>>
    where
        R: StripeRequest + Send + Sync,
        R::Output: miniserde::Deserialize + Send,
        T: shapes::Identified + DeserializeOwned + Send,
    {
        let mut all: Vec<T> = Vec::new();
        loop {
            let request = page(all.last().map(|last| last.id().to_owned()));
            let list: shapes::List<T> = self.fetch(&request).await?;
            let more = list.has_more && !list.data.is_empty();
            all.extend(list.data);
            if !more {
                return Ok(all);
            }
        }
    }

    /// Writes once: the same key with the same content again answers what the first call did.
    pub async fn write<R, S>(&self, request: &R, key: &str) -> Result<S>
    where
        R: StripeRequest + Sync,
        R::Output: miniserde::Deserialize + Send,
        S: DeserializeOwned,
    {
        let key = ::stripe::IdempotencyKey::new(key)
            .map_err(|error| Error::internal(format!("idempotency key: {error}")))?;
        self.send(request, &RequestStrategy::Idempotent(key)).await
    }

    async fn send<R, S>(&self, request: &R, strategy: &RequestStrategy) -> Result<S>
    where
        R: StripeRequest + Sync,
        R::Output: miniserde::Deserialize + Send,
        S: DeserializeOwned,
    {
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.attempt(request, strategy).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let lacks = matches!(&error, Error::Stripe { code, .. } if code == INCOMPLETE);
            let again = error.is_retryable() && !lacks;
            let Some(pause) = pauses.next().filter(|_| again) else {
                return Err(error);
            };
            tracing::debug!(%error, "Stripe is asked again");
            tokio::time::sleep(*pause).await;
        }
    }

    /// One attempt. async-stripe's types judge the answer, our shapes read it: an answer that only
    /// its types refuse is an alarm, not an outage.
    async fn attempt<R, S>(&self, request: &R, strategy: &RequestStrategy) -> Result<S>
    where
        R: StripeRequest + Sync,
        R::Output: miniserde::Deserialize + Send,
        S: DeserializeOwned,
    {
        let _place = self.pace.take().await?;
        let ear = Ear { client: &self.inner, heard: Mutex::new(None) };
        let call = request.customize().request_strategy(strategy.clone()).timeout(TIMEOUT);
        let typed = call.send(&ear).await;
        match &typed {
            Err(error) if is_too_fast(error) => self.pace.refused(),
            _ => self.pace.accepted(),
        }
        let heard = ear.heard.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (typed, heard) {
            (Ok(_), Some(bytes)) => read(&bytes),
            (Err(error), Some(bytes)) => {
                let path = request.build().path;
                tracing::error!(path, %error, "Stripe's answer has a shape its library refuses");
                read(&bytes)
            }
            (Err(error), None) => Err(translate(&error)),
            (Ok(_), None) => Err(Error::internal("an answer from Stripe without content")),
        }
    }
}

/// Passes a call on and keeps the bytes of a successful answer.
struct Ear<'a> {
    client: &'a ::stripe::Client,
    heard: Mutex<Option<Bytes>>,
}

impl StripeClient for Ear<'_> {
    type Err = StripeError;

    async fn execute(&self, request: CustomizedStripeRequest) -> Result<Bytes, StripeError> {
        let bytes = self.client.execute(request).await?;
        if let Ok(mut heard) = self.heard.lock() {
            *heard = Some(bytes.clone());
        }
        Ok(bytes)
    }
}

/// Whether Stripe asks for fewer calls. That another call works on the same object just now says
/// nothing about how fast we are.
fn is_too_fast(error: &StripeError) -> bool {
    let StripeError::Stripe(said, 429) = error else { return false };
    said.code.as_ref().is_none_or(|code| code.as_str() != "lock_timeout")
}

fn read<S: DeserializeOwned>(bytes: &[u8]) -> Result<S> {
    let reader = &mut serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(reader).map_err(|error| {
        // JSON of another shape is Stripe's; anything else comes from a machine in between.
        let code = if error.inner().is_data() { INCOMPLETE } else { "unreadable" };
        let message = format!("an answer without what is needed: {error}");
        Error::Stripe { code: code.to_owned(), message, retryable: true }
    })
}

/// What the library's error means for the caller.
fn translate(error: &StripeError) -> Error {
    let (code, message, retryable) = match error {
        StripeError::Stripe(said, status) => {
            let code = said.code.as_ref().map(|code| code.as_str().to_owned());
            let fallback = if *status == 404 { "resource_missing" } else { said.type_.as_str() };
            let message = said.message.clone().unwrap_or_else(|| format!("status {status}"));
            let code = match status {
                401 | 403 => KEY_REFUSED.to_owned(),
                _ => code.unwrap_or_else(|| fallback.to_owned()),
            };
            (code, message, matches!(status, 409 | 424 | 429 | 500..=599))
        }
        StripeError::Timeout => {
            ("timeout".to_owned(), format!("no answer in {} s", TIMEOUT.as_secs()), true)
        }
        StripeError::ClientError(said) => ("network".to_owned(), said.clone(), true),
        // An error page that is not JSON: a proxy's 502, most often.
        StripeError::JSONDeserialize(said) => ("unreadable".to_owned(), said.clone(), true),
        StripeError::ConfigError(said) => ("configuration".to_owned(), said.clone(), false),
    };
    Error::Stripe { code, message, retryable }
}
