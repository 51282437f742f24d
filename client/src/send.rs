//! Sending: the same bytes with the same key, as often as the bounds allow, until there is an
//! answer that counts.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::builder::Client;
use crate::error::{Came, Envelope, Error, Failure};
use crate::key::Key;
use crate::words::Code;

/// A request, written once.
struct Outgoing {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

/// An answer, whatever it says.
struct Reply {
    status: u16,
    came: Came,
    text: String,
}

impl Client {
    /// Asks for something; the segments of the path are escaped here.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&'static str, String)],
    ) -> Result<T, Error> {
        let outgoing = self.outgoing(Method::GET, path, query, None)?;
        Ok(self.send(outgoing).await?.read()?.0)
    }

    /// Asks with a body, about something that is not changed by it, or whose parts have keys.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let mut outgoing = self.outgoing(Method::POST, path, &[], None)?;
        outgoing.carry(body)?;
        Ok(self.send(outgoing).await?.read()?.0)
    }

    /// Writes something, once per key. Answers as well whether it was answered before.
    pub(crate) async fn write<T: DeserializeOwned>(
        &self,
        path: &[&str],
        key: &Key,
        body: &impl Serialize,
    ) -> Result<(T, bool), Error> {
        let mut outgoing = self.outgoing(Method::POST, path, &[], Some(key))?;
        outgoing.carry(body)?;
        self.send(outgoing).await?.read()
    }

    fn outgoing(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&'static str, String)],
        key: Option<&Key>,
    ) -> Result<Outgoing, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, self.shared.authorization.clone());
        if let Some(org) = &self.org {
            headers.insert("turnpike-org", header("org", org)?);
        }
        if let Some(key) = key {
            headers.insert("idempotency-key", header("key", key.as_str())?);
        }
        let mut url = address(&self.shared.base, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(Outgoing { method, url, headers, body: None })
    }

    async fn send(&self, outgoing: Outgoing) -> Result<Reply, Error> {
        let retry = &self.shared.retry;
        let until = Instant::now() + retry.deadline();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let left = until.saturating_duration_since(Instant::now());
            let once = timeout(left.min(retry.attempt_timeout), self.attempt(&outgoing));
            let outcome = once.await.unwrap_or(Err(Failure::Timeout));
            let asked = match &outcome {
                Ok(reply) if reply.counts() => return outcome.map_err(|last| gone(attempts, last)),
                Ok(reply) => reply.came.retry_after,
                Err(_) => None,
            };
            let pause = retry.pause(attempts, asked, chance());
            if attempts >= retry.attempts || Instant::now() + pause >= until {
                return give_up(attempts, outcome);
            }
            sleep(pause).await;
        }
    }

    async fn attempt(&self, outgoing: &Outgoing) -> Result<Reply, Failure> {
        let request = self.shared.http.request(outgoing.method.clone(), outgoing.url.clone());
        let request = request.headers(outgoing.headers.clone());
        let request = match &outgoing.body {
            Some(body) => request.body(body.clone()),
            None => request,
        };
        let response = request.send().await.map_err(broken)?;
        let (status, came) = (response.status().as_u16(), came(response.headers()));
        let text = response.text().await.map_err(broken)?;
        Ok(Reply { status, came, text })
    }
}

impl Outgoing {
    fn carry(&mut self, body: &impl Serialize) -> Result<(), Error> {
        let bytes = serde_json::to_vec(body).map_err(|error| {
            let message = format!("cannot be written as JSON: {error}");
            Error::Invalid { field: "body", message }
        })?;
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Some(bytes);
        Ok(())
    }
}

impl Reply {
    /// Whether this is the end of it, or the same request may be answered otherwise in a moment.
    fn counts(&self) -> bool {
        match self.status {
            500.. => false,
            409 => self.code() != Some(Code::IdempotencyInProgress),
            429 => self.came.retry_after.is_none(),
            _ => true,
        }
    }

    fn code(&self) -> Option<Code> {
        Some(serde_json::from_str::<Envelope>(&self.text).ok()?.error.code)
    }

    fn read<T: DeserializeOwned>(self) -> Result<(T, bool), Error> {
        let status = self.status;
        let unreadable =
            |error: serde_json::Error| Error::Unreadable { status, message: error.to_string() };
        if status == 200 {
            let value = serde_json::from_str(&self.text).map_err(unreadable)?;
            return Ok((value, self.came.replayed));
        }
        let envelope: Envelope = serde_json::from_str(&self.text).map_err(unreadable)?;
        Err(Error::answered(status, envelope.error, self.came))
    }
}

/// A no for want of time is an answer all the same; what was not done, or whose fate is not known,
/// is none.
fn give_up(attempts: u32, outcome: Result<Reply, Failure>) -> Result<Reply, Error> {
    match outcome {
        Ok(reply) if reply.status == 429 => Ok(reply),
        Ok(reply) => {
            let last = Failure::Status { status: reply.status, code: reply.code() };
            Err(gone(attempts, last))
        }
        Err(last) => Err(gone(attempts, last)),
    }
}

fn gone(attempts: u32, last: Failure) -> Error {
    Error::Unreachable { attempts, last }
}

/// The whole chain of causes, without the address, which the caller knows.
fn broken(error: reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Timeout;
    }
    let error = error.without_url();
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        told = format!("{told}: {deeper}");
        cause = deeper.source();
    }
    Failure::Connection(told)
}

fn came(headers: &HeaderMap) -> Came {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let seconds = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok());
    Came {
        replayed: text("idempotent-replayed") == Some("true"),
        retry_after: seconds.map(Duration::from_secs),
    }
}

fn header(field: &'static str, text: &str) -> Result<HeaderValue, Error> {
    let printable = !text.is_empty() && text.is_ascii();
    let value = HeaderValue::try_from(text).ok().filter(|_| printable);
    let message = || "has printable ASCII characters only".to_owned();
    value.ok_or_else(|| Error::Invalid { field, message: message() })
}

/// The address of something under `/v1`. A segment that addresses would leave out is refused.
fn address(base: &Url, path: &[&str]) -> Result<Url, Error> {
    let wrong = |message: String| Error::Invalid { field: "path", message };
    if let Some(lost) = path.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
        return Err(wrong(format!("cannot name “{lost}”")));
    }
    let mut url = base.clone();
    let mut segments = url
        .path_segments_mut()
        .map_err(|()| wrong("cannot be put after the address".to_owned()))?;
    segments.pop_if_empty().push("v1").extend(path);
    drop(segments);
    Ok(url)
}

fn chance() -> u64 {
    Uuid::new_v4().as_u64_pair().1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_escaped_and_none_is_lost() {
        let base = |text: &str| Url::parse(text).expect("an address");
        let cases = [
            ("http://a.example", "http://a.example/v1/runs/a%2Fb%20c%3Fd%23e/release"),
            ("http://a.example/", "http://a.example/v1/runs/a%2Fb%20c%3Fd%23e/release"),
            ("http://a.example/x/", "http://a.example/x/v1/runs/a%2Fb%20c%3Fd%23e/release"),
        ];
        for (url, expected) in cases {
            let made = address(&base(url), &["runs", "a/b c?d#e", "release"]).expect("made");
            assert_eq!(made.as_str(), expected);
        }
        for lost in ["", ".", ".."] {
            assert!(address(&base("http://a.example"), &["runs", lost]).is_err(), "{lost:?}");
        }
    }
}
