//! What an org may use, and why.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::decision::Source;

/// What an org may use, and what keeps it from using it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entitlements {
    /// Features by name.
    pub features: Vec<String>,
    /// Models by name or `prefix*`.
    pub models: Vec<String>,
    /// Ceilings by name.
    pub limits: BTreeMap<String, i64>,
    /// Why.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// What refuses, now or from a date on.
    #[serde(default)]
    pub blocks: Vec<Block>,
}

impl Entitlements {
    /// Whether a feature is included. Good for showing a button; whether something may run is asked
    /// of the gate.
    pub fn has_feature(&self, name: &str) -> bool {
        self.features.iter().any(|feature| feature == name)
    }

    /// Whether a model is included, by its name or by a `prefix*`.
    pub fn has_model(&self, name: &str) -> bool {
        self.models.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => pattern == name,
        })
    }
}

/// A dated reason to refuse.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Block {
    /// past_due, unpaid, paused, dispute, fraud or admin
    pub kind: String,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_included_by_name_or_prefix() {
        let json = r#"{"object":"entitlements","features":["text"],"models":["small-*","large-1"],
            "limits":{"keys":2},"sources":[],"blocks":[]}"#;
        let entitlements: Entitlements = serde_json::from_str(json).expect("entitlements");
        assert!(entitlements.has_model("small-3") && entitlements.has_model("large-1"));
        assert!(!entitlements.has_model("large-10") && !entitlements.has_model("small"));
        assert!(entitlements.has_feature("text") && !entitlements.has_feature("tex"));
        assert_eq!(entitlements.limits["keys"], 2);
    }
}
