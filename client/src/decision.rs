//! May it run: what is asked, and what is decided.

use serde::{Deserialize, Serialize};

use crate::credits::{Credits, Quantity};
use crate::error::{Denial, Error};
use crate::usage::Warning;
use crate::words::{Code, open_words};

/// A question without consequences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ask {
    /// A feature that must be included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// Which model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What would be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
    /// How much of it; one unit unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
}

impl Ask {
    /// Whether a feature is included.
    pub fn feature(name: impl Into<String>) -> Self {
        Self { feature: Some(name.into()), ..Self::default() }
    }

    /// Whether so much of a meter may be used.
    pub fn meter(name: impl Into<String>, quantity: impl Into<Quantity>) -> Self {
        let (meter, quantity) = (Some(name.into()), Some(quantity.into()));
        Self { meter, quantity, ..Self::default() }
    }

    /// With which model.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.model = Some(name.into());
        self
    }
}

/// What the gate decides, and on what grounds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[must_use = "a decision may be a no"]
pub struct Decision {
    /// `dec_…`; none where nothing was stored.
    pub id: Option<String>,
    /// Whether it may run.
    pub allowed: bool,
    /// Why, for programs.
    pub code: Code,
    /// Why, for people.
    #[serde(default)]
    pub message: String,
    /// What it costs.
    pub credits: Credits,
    /// What the org has.
    pub balance: Remaining,
    /// Where its rights come from.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// The limits and the cap it stands under.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// What should be known although it is allowed: a soft cap that it would pass.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// Where a no can be turned into a yes.
    pub next_step: Option<NextStep>,
}

impl Decision {
    /// The decision, if it is a yes.
    pub fn require(self) -> Result<Self, Error> {
        if self.allowed {
            return Ok(self);
        }
        Err(Error::Denied(Box::new(Denial {
            code: self.code.clone(),
            message: self.message.clone(),
            retry_with_new_key: false,
            retry_after: None,
            replayed: false,
            decision: Some(self),
        })))
    }
}

/// What an org has, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Remaining {
    /// What can be spent.
    pub available: Credits,
    /// What open holds have set aside.
    pub held: Credits,
}

/// One reason for one right.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Source {
    /// feature, model or limit
    pub kind: String,
    /// Which one.
    pub name: String,
    /// tier, addon, …
    pub source: String,
    /// The subscription item, or the tier's version.
    #[serde(default)]
    pub source_id: String,
    /// What people call it.
    #[serde(default)]
    pub source_name: String,
    /// How much; limits only.
    pub amount: Option<i64>,
}

/// A ceiling.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Limit {
    /// Its name, such as `requests_per_day`; `cap` is the one the org set for itself.
    pub name: String,
    /// How high it is.
    pub limit: Amount,
    /// How much of it is used, where that is counted.
    pub used: Option<Amount>,
    /// hard or soft; caps only.
    pub kind: Option<String>,
    /// Who set it: tier or org.
    #[serde(default)]
    pub source: String,
}

/// A number of things, or of credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// Things.
    Count(i64),
    /// Credits.
    Credits(Credits),
}

/// Where a no can be turned into a yes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NextStep {
    /// What is to be done there.
    pub kind: StepKind,
    /// The page.
    pub url: String,
}

open_words! {
    /// What turns a no into a yes.
    StepKind {
        /// A tier that includes it.
        Upgrade = "upgrade",
        /// More credits.
        TopUp = "top_up",
        /// A higher cap.
        RaiseCap = "raise_cap",
        /// A card that works.
        UpdatePayment = "update_payment",
    }
}
