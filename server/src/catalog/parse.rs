//! Metadata into types: what a Stripe product says it sells, with every mistake named. Pure.
//!
//! One mistake hides the whole product, because half a tier is worse than none.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::stripe::shapes::{Metadata, Product, TAG};
use crate::units::{Credits, parse_decimal};

/// The keys that are understood, apart from `limit.<name>`.
pub const KEYS: &[&str] = &[
    TAG,
    "kind",
    "tier",
    "included_credits",
    "included_spus",
    "credits",
    "expires_days",
    "rollover_max",
    "features",
    "models",
    "overage",
    "overage_price",
    "trial_days",
    "trial_credits",
    "grace_days",
    "per_seat",
    "rank",
    "highlight",
];
/// How long a missed payment is forgiven unless the metadata says otherwise.
const GRACE_DAYS: i64 = 3;
/// A number of credits that fits the ledger with room to spare.
const CREDITS_MAX: i64 = 1_000_000_000_000;
const LIST_MAX: usize = 100;

/// What a tier or an add-on allows. Stored as JSON, and never changed once stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// Credits each month.
    pub included: Credits,
    /// Features by name.
    pub features: BTreeSet<String>,
    /// Models by name or `prefix*`.
    pub models: BTreeSet<String>,
    /// Ceilings by name.
    pub limits: BTreeMap<String, i64>,
    /// What happens past the allowance.
    pub overage: Overage,
    /// Days to try it for free.
    pub trial_days: Option<i64>,
    /// Credits for the trial.
    pub trial_credits: Credits,
    /// How long a missed payment is forgiven.
    pub grace_days: i64,
    /// How much of an allowance may be carried over.
    pub rollover_max: Credits,
    /// Paid by the seat: the quantity is how many, and everything that counts by it is for each.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub per_seat: bool,
}

/// What happens past the allowance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overage {
    /// Nothing more is sold.
    #[default]
    Deny,
    /// Billed with the next invoice.
    Allow {
        /// Millionths of a minor unit for one credit.
        price: i64,
    },
}

/// A product without a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// What it sells.
    pub kind: Kind,
    /// Upgrade order, lowest first.
    pub rank: i64,
    /// Shown as the recommended one.
    pub highlight: bool,
}

/// What a product sells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A tier to subscribe to, or the free one.
    Plan {
        /// Its word.
        tier: String,
        /// What it allows.
        terms: Terms,
    },
    /// A recurring extra to a tier.
    Addon {
        /// Its word.
        tier: String,
        /// What it adds.
        terms: Terms,
    },
    /// Credits, once.
    Pack {
        /// How many.
        credits: Credits,
        /// For how many days; `None` is for good.
        expires_days: Option<i64>,
    },
}

/// Something wrong with a product or price in Stripe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::FromRow, Serialize)]
pub struct Problem {
    /// `prod_…` or `price_…`
    pub object_id: String,
    /// The metadata key, or the field.
    pub name: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Reads a product's metadata, or says everything that is wrong with it.
pub fn product(product: &Product) -> Result<Definition, Vec<Problem>> {
    let mut reader = Reader { metadata: &product.metadata, problems: Vec::new() };
    let definition = reader.definition();
    if reader.problems.is_empty() {
        return Ok(definition);
    }
    let problem = |(name, message): (String, String)| Problem {
        object_id: product.id.clone(),
        name,
        message,
    };
    Err(reader.problems.into_iter().map(problem).collect())
}

struct Reader<'a> {
    metadata: &'a Metadata,
    problems: Vec<(String, String)>,
}

impl Reader<'_> {
    fn definition(&mut self) -> Definition {
        let kind = match self.text("kind").unwrap_or_default() {
            "plan" => Kind::Plan { tier: self.tier(), terms: self.terms(true) },
            "addon" => Kind::Addon { tier: self.tier(), terms: self.terms(false) },
            "pack" => self.pack(),
            "" => self.wrong_kind("is missing"),
            other => self.wrong_kind(&format!("is “{other}”")),
        };
        let rank = self.whole("rank", 10_000).unwrap_or(0);
        Definition { kind, rank, highlight: self.switch("highlight") }
    }

    fn wrong_kind(&mut self, how: &str) -> Kind {
        self.problem("kind", format!("{how}; it must be plan, pack or addon"));
        Kind::Pack { credits: Credits::ZERO, expires_days: None }
    }

    fn pack(&mut self) -> Kind {
        let credits = self.credits("credits");
        if !credits.is_some_and(Credits::is_positive) && !self.has_problem("credits") {
            self.problem("credits", "a pack must say how many credits it gives".to_owned());
        }
        let expires_days = self.whole("expires_days", 36_500);
        if expires_days == Some(0) {
            self.problem("expires_days", "must be at least 1; leave it out for never".to_owned());
        }
        Kind::Pack { credits: credits.unwrap_or_default(), expires_days }
    }

    fn terms(&mut self, included_required: bool) -> Terms {
        let included = self.included();
        let known = self.has_problem("included_credits") || self.has_problem("included_spus");
        if included.is_none() && included_required && !known {
            let message = "is missing; a plan must say how many credits it includes, 0 for none";
            self.problem("included_credits", message.to_owned());
        }
        Terms {
            included: included.unwrap_or_default(),
            features: self.list("features", false),
            models: self.list("models", true),
            limits: self.limits(),
            overage: self.overage(),
            trial_days: self.whole("trial_days", 730).filter(|days| *days > 0),
            trial_credits: self.credits("trial_credits").unwrap_or_default(),
            grace_days: self.whole("grace_days", 60).unwrap_or(GRACE_DAYS),
            rollover_max: self.credits("rollover_max").unwrap_or_default(),
            per_seat: self.switch("per_seat"),
        }
    }

    fn included(&mut self) -> Option<Credits> {
        let (ours, alias) = (self.credits("included_credits"), self.credits("included_spus"));
        if ours.is_some() && alias.is_some() && ours != alias {
            let message = "differs from included_credits; they mean the same, keep one";
            self.problem("included_spus", message.to_owned());
        }
        ours.or(alias)
    }

    fn tier(&mut self) -> String {
        let tier = self.text("tier").unwrap_or_default().to_owned();
        if !is_name(&tier, false) {
            let message = format!("“{tier}” must be 1 to 64 of a-z, 0-9, _, - and .");
            self.problem("tier", message);
        }
        tier
    }

    fn overage(&mut self) -> Overage {
        match self.text("overage") {
            None | Some("deny") => Overage::Deny,
            Some("allow") => match self.text("overage_price").map(parse_decimal) {
                Some(Ok(price)) if price > 0 => Overage::Allow { price },
                _ => {
                    let message = "must be the price of one credit in minor units, such as 0.5, \
                         where overage is allow";
                    self.problem("overage_price", message.to_owned());
                    Overage::Deny
                }
            },
            Some(other) => {
                self.problem("overage", format!("“{other}” must be deny or allow"));
                Overage::Deny
            }
        }
    }

    fn limits(&mut self) -> BTreeMap<String, i64> {
        let metadata = self.metadata;
        let mut limits = BTreeMap::new();
        for key in metadata.keys() {
            let Some(name) = key.strip_prefix("limit.") else { continue };
            if !is_name(name, false) {
                self.problem(key, "a limit's name is 1 to 64 of a-z, 0-9, _, - and .".to_owned());
            } else if let Some(amount) = self.whole(key, CREDITS_MAX) {
                limits.insert(name.to_owned(), amount);
            }
        }
        limits
    }

    fn list(&mut self, key: &str, models: bool) -> BTreeSet<String> {
        let text = self.text(key).unwrap_or_default();
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: BTreeSet<String> = names.map(str::to_owned).collect();
        if let Some(bad) = names.iter().find(|name| !is_name(name, models)) {
            self.problem(key, format!("“{bad}” is not a name of letters, digits, _, -, . and :"));
        }
        if names.len() > LIST_MAX {
            self.problem(key, format!("has more than {LIST_MAX} entries"));
        }
        names
    }

    fn credits(&mut self, key: &str) -> Option<Credits> {
        self.whole(key, CREDITS_MAX).and_then(Credits::from_whole)
    }

    /// Digits only: neither `1e9` nor `10.5` nor `-1` is a number anybody meant. (C3)
    fn whole(&mut self, key: &str, max: i64) -> Option<i64> {
        let text = self.text(key)?;
        let digits = text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && number <= max => Some(number),
            _ => {
                self.problem(key, format!("“{text}” must be a whole number from 0 to {max}"));
                None
            }
        }
    }

    fn switch(&mut self, key: &str) -> bool {
        match self.text(key) {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                self.problem(key, format!("“{other}” must be true or false"));
                false
            }
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn problem(&mut self, name: &str, message: String) {
        self.problems.push((name.to_owned(), message));
    }

    fn has_problem(&self, name: &str) -> bool {
        self.problems.iter().any(|(key, _)| key == name)
    }
}

fn is_name(text: &str, model: bool) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-.".contains(c);
    let wider = |c: char| plain(c) || c.is_ascii_uppercase() || ":/".contains(c);
    let stem = if model { text.strip_suffix('*').unwrap_or(text) } else { text };
    let fits = !text.is_empty() && text.len() <= 64;
    fits && stem.chars().all(|c| if model { wider(c) } else { plain(c) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Definition, Vec<Problem>> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        product(&Product { id: "prod_1".into(), metadata: pairs.collect(), ..Product::default() })
    }

    fn plan(extra: &[(&str, &str)]) -> Result<Definition, Vec<Problem>> {
        let mut all = vec![("kind", "plan"), ("tier", "pro")];
        all.extend(extra);
        read(&all)
    }

    #[test]
    fn a_plan_is_read_whole() {
        let definition = plan(&[
            ("included_credits", "2000"),
            ("features", "text, image ,voice"),
            ("models", "small-*,large-2"),
            ("limit.seats", "5"),
            ("overage", "allow"),
            ("overage_price", "1.5"),
            ("trial_days", "14"),
            ("rank", "2"),
            ("highlight", "true"),
            ("per_seat", "true"),
            ("colour", "blue"),
        ]);
        let definition = definition.expect("a good plan");
        let Kind::Plan { tier, terms } = definition.kind else { panic!("a plan") };
        assert_eq!((tier.as_str(), definition.rank, definition.highlight), ("pro", 2, true));
        assert_eq!(terms.included.to_string(), "2000");
        assert_eq!(terms.features.len(), 3);
        assert!(terms.models.contains("small-*"));
        assert_eq!(terms.limits.get("seats"), Some(&5));
        assert_eq!(terms.overage, Overage::Allow { price: 1_500_000 });
        assert_eq!((terms.trial_days, terms.grace_days, terms.per_seat), (Some(14), 3, true));
    }

    #[test]
    fn every_mistake_is_named_by_its_key() {
        // C3
        let included = |value| plan(&[("included_credits", value)]);
        for bad in ["1e9", "-1", "10.5", "1000000000001", "ten", "+5", "9999999999999999999"] {
            let problems = included(bad).expect_err(bad);
            assert_eq!(problems.len(), 1, "{bad}");
            assert_eq!(problems[0].name, "included_credits", "{bad}");
        }
        let ok = ("included_credits", "1");
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
        let cases: &[Case] = &[
            (&[], &["included_credits"]),
            (&[("included_spus", "5")], &[]),
            (&[("included_spus", "2"), ok], &["included_spus"]),
            (&[ok, ("limit.seats", "many")], &["limit.seats"]),
            (&[ok, ("limit.", "1")], &["limit."]),
            (&[ok, ("features", "text,a b")], &["features"]),
            (&[ok, ("models", "a*b")], &["models"]),
            (&[ok, ("overage", "maybe")], &["overage"]),
            (&[ok, ("overage", "allow")], &["overage_price"]),
            (&[ok, ("overage", "allow"), ("overage_price", "0")], &["overage_price"]),
            (&[ok, ("highlight", "yes"), ("rank", "first")], &["rank", "highlight"]),
        ];
        for (extra, expected) in cases {
            let problems = plan(extra).err().unwrap_or_default();
            let names: Vec<&str> = problems.iter().map(|p| p.name.as_str()).collect();
            assert_eq!(&names, expected, "{extra:?}");
        }
        for (pairs, name) in [
            (&[("kind", "pack")][..], "credits"),
            (&[("kind", "pack"), ("credits", "0")], "credits"),
            (&[("kind", "pack"), ("credits", "5"), ("expires_days", "0")], "expires_days"),
            (&[("kind", "plan"), ("included_credits", "1")], "tier"),
            (&[("kind", "bundle")], "kind"),
            (&[], "kind"),
        ] {
            assert_eq!(read(pairs).expect_err("bad")[0].name, name, "{pairs:?}");
        }
    }
}
