//! The client itself: where the gate is, who asks, and for which org.

use std::fmt;
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::error::Error;
use crate::retry::Retry;

/// A client of the gate. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    pub(crate) org: Option<String>,
}

pub(crate) struct Shared {
    pub http: reqwest::Client,
    pub base: Url,
    pub authorization: HeaderValue,
    pub retry: Retry,
}

impl Client {
    /// A client of the gate at this address, such as `https://billing.example.com`.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder { url: url.into(), secret: String::new(), retry: Retry::default(), proxy: true }
    }

    /// The same client acting for this org, `org_…`: what a service key needs with every request.
    #[must_use]
    pub fn for_org(&self, org: impl Into<String>) -> Self {
        Self { shared: self.shared.clone(), org: Some(org.into()) }
    }
}

/// Never the secret.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.shared.base.as_str())
            .field("org", &self.org)
            .field("retry", &self.shared.retry)
            .finish_non_exhaustive()
    }
}

/// What a client is made from.
#[derive(Clone)]
#[must_use = "nothing is made before build()"]
pub struct Builder {
    url: String,
    secret: String,
    retry: Retry,
    proxy: bool,
}

impl Builder {
    /// The secret of an API key, `tp_…`.
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = secret.into();
        self
    }

    /// How often and how long a request is tried.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Goes straight to the gate, whatever proxy the environment names: for one on the same
    /// machine or in the same network.
    pub fn direct(mut self) -> Self {
        self.proxy = false;
        self
    }

    /// The client, unless the address or the secret cannot be right.
    pub fn build(self) -> Result<Client, Error> {
        let base = address(&self.url)?;
        let authorization = authorization(&self.secret)?;
        // A redirect would repeat a write elsewhere, or as something else: it is no answer.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("turnpike-client/", env!("CARGO_PKG_VERSION")));
        let http = if self.proxy { http } else { http.no_proxy() };
        let http = http.build().map_err(|error| {
            let message = format!("could not be set up: {error}");
            Error::Invalid { field: "client", message }
        })?;
        let shared = Shared { http, base, authorization, retry: self.retry };
        Ok(Client { shared: Arc::new(shared), org: None })
    }
}

/// Never the secret.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("url", &self.url)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

fn address(text: &str) -> Result<Url, Error> {
    let wrong = || {
        let message = "is a web address without a name or password in it, such as \
             https://billing.example.com"
            .to_owned();
        Error::Invalid { field: "url", message }
    };
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.password().is_none();
    if !plain || !url.has_host() || !matches!(url.scheme(), "http" | "https") {
        return Err(wrong());
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

fn authorization(secret: &str) -> Result<HeaderValue, Error> {
    let printable = !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic());
    let value = HeaderValue::try_from(format!("Bearer {secret}")).ok().filter(|_| printable);
    let mut value = value.ok_or_else(|| {
        let message = "is the whole secret of an API key, such as tp_test_…".to_owned();
        Error::Invalid { field: "secret", message }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "tp_test_0123456789abcdef";

    #[test]
    fn the_secret_is_never_shown() {
        let builder = Client::builder("http://127.0.0.1:3000").secret(SECRET);
        assert!(!format!("{builder:?}").contains("0123456789"));
        let client = builder.build().expect("a client").for_org("org_1");
        for shown in [format!("{client:?}"), format!("{:#?}", client.shared.authorization)] {
            assert!(!shown.contains("0123456789"), "{shown}");
        }
        assert!(format!("{client:?}").contains("org_1"));
        let pages = client.ledger();
        assert!(!format!("{pages:?}").contains("0123456789"));
    }

    #[test]
    fn an_address_or_a_secret_that_cannot_be_right_is_refused() {
        for url in ["", "billing", "ftp://a.example", "http://name:word@a.example", "http://"] {
            let error = Client::builder(url).secret(SECRET).build().expect_err(url);
            assert!(matches!(error, Error::Invalid { field: "url", .. }), "{url}: {error}");
        }
        for secret in ["", "tp_a b", "tp_x\n", "tp_ü"] {
            let made = Client::builder("http://a.example").secret(secret).build();
            let error = made.expect_err(secret);
            assert!(matches!(error, Error::Invalid { field: "secret", .. }), "{secret}: {error}");
            assert!(secret.is_empty() || !error.to_string().contains(secret));
        }
    }
}
