//! What one connection asks, over and over: each turn is one unit of a row. Requests are put
//! together from ready bytes in one buffer.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::connection::{Connection, find};
use crate::product::Wallet;

/// What is asked.
#[derive(Clone, Copy)]
pub enum Script<'a> {
    /// A page.
    Pricing,
    /// Preflight, for each of these wallets in turn.
    Authorize(&'a [Wallet]),
    /// A use, of each of these wallets in turn.
    Consume(&'a [Wallet]),
    /// A hold of twice what is then captured, of each of these wallets in turn.
    Capture(&'a [Wallet]),
    /// News about each of these customers in turn, signed as Stripe does.
    Webhook(&'a [String]),
}

const USE: &str = r#"{"meter":"text","quantity":1}"#;
const HOLD: &str = r#"{"meter":"text","quantity":2}"#;
const CAPTURED: &str = r#"{"quantity":1}"#;

/// One connection at its work.
pub struct Visitor<'a> {
    /// What it asks.
    pub script: Script<'a>,
    /// `host:port`
    pub host: &'a str,
    /// What makes its row's idempotency keys its own.
    pub keys: &'a str,
    /// Which of the row's connections it is.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    connection: Connection,
    round: usize,
    text: Vec<u8>,
}

impl<'a> Visitor<'a> {
    /// Connects.
    pub async fn come(
        script: Script<'a>,
        host: &'a str,
        keys: &'a str,
        number: usize,
        of: usize,
    ) -> Result<Self> {
        let connection = Connection::open(host).await?;
        let text = Vec::with_capacity(1024);
        Ok(Self { script, host, keys, number, of, connection, round: 0, text })
    }

    /// Asks once and reads the answer to its end.
    pub async fn turn(&mut self) -> Result<()> {
        self.round += 1;
        match self.script {
            Script::Pricing => {
                self.text.clear();
                let host = self.host;
                write!(self.text, "GET /pricing HTTP/1.1\r\nhost: {host}\r\n")?;
                self.text.extend_from_slice(b"accept: text/html\r\n\r\n");
                self.connection.ask(&self.text).await?;
            }
            Script::Authorize(wallets) => {
                let wallet = self.wallet(wallets);
                self.post("/v1/authorize", wallet, None, USE).await?;
            }
            Script::Consume(wallets) => {
                let wallet = self.wallet(wallets);
                self.post("/v1/consume", wallet, Some("c"), USE).await?;
            }
            Script::Capture(wallets) => {
                let wallet = self.wallet(wallets);
                let hold = self.post("/v1/holds", wallet, Some("h"), HOLD).await?;
                let path = format!("/v1/holds/{}/capture", hold_id(hold)?);
                self.post(&path, wallet, Some("c"), CAPTURED).await?;
            }
            Script::Webhook(customers) => {
                let customer = &customers[(self.number + self.round * self.of) % customers.len()];
                let (keys, number, round) = (self.keys, self.number, self.round);
                let event = format!("evt_{keys}_{number}_{round}");
                self.deliver(&event, customer).await?;
            }
        }
        Ok(())
    }

    /// Whose turn it is, so that all wallets are used alike.
    fn wallet(&self, wallets: &'a [Wallet]) -> &'a Wallet {
        &wallets[(self.number + self.round * self.of) % wallets.len()]
    }

    async fn post(
        &mut self,
        path: &str,
        wallet: &Wallet,
        key: Option<&str>,
        body: &str,
    ) -> Result<&[u8]> {
        let text = &mut self.text;
        text.clear();
        write!(text, "POST {path} HTTP/1.1\r\nhost: {}\r\n", self.host)?;
        text.extend_from_slice(wallet.headers.as_bytes());
        if let Some(key) = key {
            let (keys, number, round) = (self.keys, self.number, self.round);
            write!(text, "idempotency-key: {keys}-{number}-{round}-{key}\r\n")?;
        }
        write!(text, "content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())?;
        text.extend_from_slice(body.as_bytes());
        self.connection.ask(text).await
    }

    async fn deliver(&mut self, event: &str, customer: &str) -> Result<()> {
        let object = format!(r#"{{"id":"{customer}","object":"customer"}}"#);
        let body =
            format!(r#"{{"id":"{event}","type":"customer.updated","data":{{"object":{object}}}}}"#);
        let (host, length, signature) = (self.host, body.len(), signature(&body)?);
        let text = &mut self.text;
        text.clear();
        write!(text, "POST /webhooks/stripe HTTP/1.1\r\nhost: {host}\r\n")?;
        write!(text, "stripe-signature: {signature}\r\n")?;
        write!(text, "content-type: application/json\r\ncontent-length: {length}\r\n\r\n")?;
        text.extend_from_slice(body.as_bytes());
        self.connection.ask(text).await?;
        Ok(())
    }
}

/// The signature that Stripe would make now.
fn signature(body: &str) -> Result<String> {
    let at = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let secret = server::config::SIMULATOR_WEBHOOK_SECRET;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(format!("{at}.{body}").as_bytes());
    Ok(format!("t={at},v1={}", hex::encode(mac.finalize().into_bytes())))
}

/// The id in a hold's body.
fn hold_id(body: &[u8]) -> Result<&str> {
    let mark = br#""id":"hold_"#;
    let start = find(body, mark).context("the answer names no hold")? + br#""id":""#.len();
    let length = find(&body[start..], b"\"").context("the hold's id does not end")?;
    Ok(std::str::from_utf8(&body[start..start + length])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hold_is_read_from_the_answer() {
        let body = br#"{"object":"hold","id":"hold_12ab","seq":3}"#;
        assert_eq!(hold_id(body).expect("a hold"), "hold_12ab");
        assert!(hold_id(br#"{"object":"usage","id":"usage_1"}"#).is_err());
    }
}
