//! The rate card: what one unit of a meter costs, in credits. Owns `rate_cards`.
//!
//! A card is a file with a version. Every version that was ever in force is kept, so that a charge
//! can be explained years later; the same version with other content refuses to start.

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::clock::Millis;
use crate::config::Config;
use crate::db::{Db, Reads, sql};
use crate::error::{Error, Result};
use crate::units::{Credits, Quantity};

/// The card that is built into the program.
const BUILT_IN: &str = include_str!("../../rates.toml");

/// A rate card in force.
#[derive(Clone, Debug)]
pub struct RateCard {
    /// Its name, written into every usage it priced.
    pub version: String,
    /// The meters by name.
    pub meters: BTreeMap<String, Meter>,
}

/// Something that is counted and costs credits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// What people call it: "Image".
    pub label: String,
    /// One unit: "image", "second", "token".
    pub unit: String,
    /// The feature that a plan must include; `None` is open to every plan.
    pub feature: Option<String>,
    /// Credits per unit whatever the model; `None` where only the models have rates.
    pub rate: Option<Credits>,
    /// Credits per unit by model or by `prefix*`.
    pub models: BTreeMap<String, Credits>,
    /// What happens to a hold whose time is over.
    pub on_expiry: OnExpiry,
    /// What a hold takes when the caller does not say how much. (D12)
    pub default_hold: Option<Quantity>,
    /// Whether only a contract gives it a price, in money: everybody else is refused.
    pub by_contract: bool,
}

/// What happens to a hold that nobody captured in time. (D11)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// It returns.
    #[default]
    Release,
    /// It is charged.
    Charge,
}

impl OnExpiry {
    /// The word stored and shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Charge => "charge",
        }
    }
}

impl Meter {
    /// Credits per unit for this model: the exact name first, then the longest matching prefix,
    /// then the meter's own rate. `None` is an unknown price, which is a refusal, never free. (D14)
    pub fn rate_for(&self, model: Option<&str>) -> Option<Credits> {
        let Some(model) = model else { return self.rate };
        if let Some(rate) = self.models.get(model) {
            return Some(*rate);
        }
        let prefixes = self.models.iter().filter_map(|(pattern, rate)| {
            let prefix = pattern.strip_suffix('*')?;
            model.starts_with(prefix).then_some((prefix.len(), *rate))
        });
        prefixes.max_by_key(|(length, _)| *length).map(|(_, rate)| rate).or(self.rate)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardFile {
    version: String,
    meters: BTreeMap<String, MeterFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeterFile {
    label: String,
    unit: String,
    feature: Option<String>,
    rate: Option<String>,
    #[serde(default)]
    models: BTreeMap<String, String>,
    #[serde(default)]
    on_expiry: OnExpiry,
    default_hold: Option<String>,
    #[serde(default)]
    by_contract: bool,
}

/// Reads a card's text. Every mistake names the meter and the key.
pub fn parse(text: &str) -> Result<RateCard> {
    let file: CardFile = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if file.version.is_empty() || file.version.len() > 64 {
        return Err(wrong("version must be 1 to 64 characters".to_owned()));
    }
    let mut meters = BTreeMap::new();
    for (name, meter) in file.meters {
        meters.insert(name.clone(), parse_meter(&name, meter)?);
    }
    Ok(RateCard { version: file.version, meters })
}

fn parse_meter(name: &str, file: MeterFile) -> Result<Meter> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(wrong(format!("meters.{name}: a name is 1 to 64 of a-z, 0-9 and _")));
    }
    let by_contract = file.by_contract;
    match file.rate.is_none() && file.models.is_empty() {
        true if !by_contract => {
            let message = format!(
                "meters.{name}: needs a rate, or models with rates, or by_contract = true where \
                 only contracts price it"
            );
            return Err(wrong(message));
        }
        false if by_contract => {
            let message = format!("meters.{name}: by_contract = true leaves no room for a rate");
            return Err(wrong(message));
        }
        _ => {}
    }
    let rate = file.rate.map(|text| parse_rate(name, "rate", &text)).transpose()?;
    let mut models = BTreeMap::new();
    for (model, text) in file.models {
        let rate = parse_rate(name, &model, &text)?;
        models.insert(model, rate);
    }
    let default_hold = file.default_hold.map(|text| parse_quantity(name, &text)).transpose()?;
    let (label, unit, feature, on_expiry) = (file.label, file.unit, file.feature, file.on_expiry);
    Ok(Meter { label, unit, feature, rate, models, on_expiry, default_hold, by_contract })
}

fn parse_rate(meter: &str, key: &str, text: &str) -> Result<Credits> {
    let rate: Credits =
        text.parse().map_err(|error| wrong(format!("meters.{meter}.{key}: “{text}” {error}")))?;
    if rate < Credits::ZERO {
        return Err(wrong(format!("meters.{meter}.{key}: must not be negative")));
    }
    Ok(rate)
}

fn parse_quantity(meter: &str, text: &str) -> Result<Quantity> {
    let quantity = Quantity::parse(text)
        .map_err(|error| wrong(format!("meters.{meter}.default_hold: “{text}” {error}")))?;
    if quantity.micros() == 0 {
        return Err(wrong(format!("meters.{meter}.default_hold: must be more than 0")));
    }
    Ok(quantity)
}

fn wrong(message: String) -> Error {
    Error::invalid("RATES_FILE", format!("rate card: {message}"))
}

/// Loads the card that the configuration names and records its version.
pub async fn load(db: &Db, config: &Config, now: Millis) -> Result<RateCard> {
    let text = match &config.rates_file {
        None => BUILT_IN.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?,
    };
    let card = parse(&text)?;
    record(db, &card, &text, now).await?;
    Ok(card)
}

async fn record(db: &Db, card: &RateCard, text: &str, now: Millis) -> Result<()> {
    let fingerprint = fingerprint(card);
    let mut tx = db.begin().await?;
    let insert = "insert into rate_cards (version, fingerprint, content, created_at)
         values ($1, $2, $3, $4) on conflict (version) do nothing";
    let row = sql(insert).bind(&card.version).bind(&fingerprint).bind(text).bind(now);
    tx.execute(row).await?;
    let select = sql("select fingerprint from rate_cards where version = $1").bind(&card.version);
    let (recorded,): (String,) = tx.one(select).await?;
    tx.commit().await?;
    if recorded == fingerprint {
        return Ok(());
    }
    let version = &card.version;
    Err(wrong(format!(
        "version {version} is already in force with other prices; give the changed card a new \
         version"
    )))
}

/// A card that was in force once, for what was priced by it then.
pub async fn version(reads: &mut impl Reads, version: &str) -> Result<Option<RateCard>> {
    let text = "select content from rate_cards where version = $1";
    let row: Option<(String,)> = reads.optional(sql(text).bind(version)).await?;
    row.map(|(content,)| parse(&content)).transpose()
}

/// What the card charges, whatever its spelling: comments and order do not count.
fn fingerprint(card: &RateCard) -> String {
    let mut told = String::from("{");
    for (index, (name, meter)) in card.meters.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let Meter { label, unit, feature, rate, models, on_expiry, .. } = meter;
        told.push_str(&format!(
            "{comma}{name:?}: Meter {{ label: {label:?}, unit: {unit:?}, feature: {feature:?}, \
             rate: {rate:?}, models: {models:?} }}"
        ));
        if *on_expiry == OnExpiry::Charge {
            told.push_str(" charged when its hold runs out");
        }
        if meter.by_contract {
            told.push_str(" priced by contracts");
        }
    }
    hex::encode(Sha256::digest(told + "}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_card_prices_what_the_product_sells() {
        let card = parse(BUILT_IN).expect("the built-in card");
        let rate = |meter: &str, model| card.meters[meter].rate_for(model).map(|r| r.to_string());
        assert_eq!(rate("text", None).as_deref(), Some("1"));
        assert_eq!(rate("image", Some("any")).as_deref(), Some("20"));
        assert_eq!(rate("video", None).as_deref(), Some("100"));
        assert_eq!(rate("voice", None).as_deref(), Some("0.25"));
        assert_eq!(rate("input_tokens", Some("small-3")).as_deref(), Some("0.0005"));
        assert_eq!(rate("input_tokens", Some("gigantic")), None);
        assert_eq!(rate("input_tokens", None), None);
    }

    #[test]
    fn the_longest_matching_model_wins() {
        let card = "version = \"1\"\n[meters.x]\nlabel = \"X\"\nunit = \"x\"\n[meters.x.models]
            \"a*\" = \"1\"\n\"ab*\" = \"2\"\n\"abc\" = \"3\"";
        let meter = &parse(card).expect("valid").meters["x"];
        for (model, rate) in [("a", "1"), ("abx", "2"), ("abc", "3"), ("abcd", "2")] {
            assert_eq!(meter.rate_for(Some(model)).map(|r| r.to_string()).as_deref(), Some(rate));
        }
        assert_eq!(meter.rate_for(Some("b")), None);
    }

    #[test]
    fn mistakes_name_the_meter_and_the_key() {
        let cases = [
            ("[meters.x]\nlabel = \"X\"\nunit = \"x\"\nrate = \"1.0000001\"", "meters.x.rate"),
            ("[meters.x]\nlabel = \"X\"\nunit = \"x\"\nrate = \"-1\"", "meters.x.rate"),
            ("[meters.x]\nlabel = \"X\"\nunit = \"x\"", "needs a rate"),
            (
                "[meters.x]\nlabel = \"X\"\nunit = \"x\"\nrate = \"1\"\nby_contract = true",
                "by_contract",
            ),
            ("[meters.x]\nlabel = \"X\"\nunit = \"x\"\nrate = \"1\"\nprice = 1", "price"),
        ];
        for (body, expected) in cases {
            let error = parse(&format!("version = \"1\"\n{body}")).expect_err("a mistake");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
