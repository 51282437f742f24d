//! What the tables of bad bodies share: a small rate card, and which field was refused.

use super::body::Wrong;
use crate::rates::{self, RateCard};

/// A meter that is cheap, one that is so dear that its price may not fit, and one whose holds have
/// a default.
pub fn rates() -> RateCard {
    let card = "version = \"test\"
         [meters.text]\nlabel = \"Text\"\nunit = \"text\"\nrate = \"1\"
         [meters.video]\nlabel = \"Video\"\nunit = \"video\"\nrate = \"1000000\"
         [meters.tokens]\nlabel = \"Tokens\"\nunit = \"token\"\nrate = \"0.002\"
         default_hold = \"200\"";
    rates::parse(card).expect("a card")
}

/// One character longer than a name may be.
pub fn long_name() -> String {
    "x".repeat(101)
}

/// The field that was refused; `None` where nothing was.
pub fn wrong_param<T>(read: &Result<T, Wrong>) -> Option<&str> {
    read.as_ref().err().map(|wrong| wrong.param.as_str())
}
