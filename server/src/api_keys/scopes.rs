//! What a key may be used for. Pure.

use serde::Serialize;

use crate::error::{Error, Result};

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Ask: balances, entitlements, use, whether something would be allowed.
    Read,
    /// Spend credits. Includes reading.
    Use,
}

impl Scope {
    /// The word that is stored, typed and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Use => "use",
        }
    }
}

/// Reads `read, use`. Empty, unknown and repeated words are refused.
pub fn parse_scopes(text: &str) -> Result<Vec<Scope>> {
    let mut scopes = Vec::new();
    for word in text.split(',').map(str::trim) {
        let scope = match word {
            "read" => Scope::Read,
            "use" => Scope::Use,
            _ => {
                let message = "Choose read, use or both, such as read,use.";
                return Err(Error::invalid("scopes", message));
            }
        };
        if scopes.contains(&scope) {
            return Err(Error::invalid("scopes", format!("{word} is named twice.")));
        }
        scopes.push(scope);
    }
    scopes.sort();
    Ok(scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_and_use() {
        use Scope::*;
        let good = [
            ("read", vec![Read]),
            ("use", vec![Use]),
            ("use, read", vec![Read, Use]),
            ("read,use", vec![Read, Use]),
        ];
        for (text, scopes) in good {
            assert_eq!(parse_scopes(text).expect("scopes"), scopes, "{text}");
        }
        for bad in ["", "write", "read,", "read,read", "READ", "read use"] {
            let error = parse_scopes(bad).expect_err("refused");
            assert!(
                matches!(error, Error::Invalid { ref field, .. } if field == "scopes"),
                "{bad}"
            );
        }
    }
}
