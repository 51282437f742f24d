//! Lists, page by page.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::builder::Client;
use crate::error::Error;
use crate::ledger::Movement;
use crate::usage::{Usage, UsageGroup};

/// A page of things, newest first.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct List<T> {
    /// The things.
    pub data: Vec<T>,
    /// Whether there are more after them.
    pub has_more: bool,
}

/// What can be listed.
pub trait Listed: DeserializeOwned {
    /// What the next page is asked for with: `starting_after`.
    fn cursor(&self) -> &str;
}

impl Listed for Movement {
    fn cursor(&self) -> &str {
        &self.id
    }
}

impl Listed for Usage {
    fn cursor(&self) -> &str {
        &self.id
    }
}

impl Listed for UsageGroup {
    fn cursor(&self) -> &str {
        &self.value
    }
}

/// A list that is fetched as one goes.
///
/// ```no_run
/// # async fn example(gate: client::Client) -> client::Result<()> {
/// let mut pages = gate.ledger().limit(100);
/// while let Some(page) = pages.next_page().await? {
///     for movement in page.data {
///         println!("{} {} {}", movement.at, movement.credits, movement.cause);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is fetched before a page is asked for"]
pub struct Pages<T> {
    client: Client,
    path: &'static str,
    query: Vec<(&'static str, String)>,
    limit: Option<u32>,
    after: Option<String>,
    over: bool,
    kind: std::marker::PhantomData<fn() -> T>,
}

impl<T: Listed> Pages<T> {
    pub(crate) fn new(
        client: Client,
        path: &'static str,
        query: Vec<(&'static str, String)>,
    ) -> Self {
        let kind = std::marker::PhantomData;
        Self { client, path, query, limit: None, after: None, over: false, kind }
    }

    /// How many things a page has: 1 to 100, 10 unless given.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Begins after this one, where an earlier walk stopped.
    pub fn starting_after(mut self, cursor: impl Into<String>) -> Self {
        self.after = Some(cursor.into());
        self
    }

    /// The next page; none when the last one was answered. After an error it can be asked for
    /// again.
    pub async fn next_page(&mut self) -> Result<Option<List<T>>, Error> {
        if self.over {
            return Ok(None);
        }
        let mut query = self.query.clone();
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        query.extend(self.after.clone().map(|after| ("starting_after", after)));
        let page: List<T> = self.client.read(&[self.path], &query).await?;
        let last = page.data.last().map(|last| last.cursor().to_owned());
        // A page without a last thing leads nowhere, whatever it says.
        self.over = !page.has_more || last.is_none();
        self.after = last.or(self.after.take());
        Ok(Some(page))
    }
}
