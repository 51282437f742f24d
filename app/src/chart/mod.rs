//! Charts as SVG text, made on the server: no script, no inline style. Pure.
//!
//! Positions across are hundredths of a percent, positions down are tenths of a pixel, both whole
//! numbers, so that a chart fills any width and its text never stretches.

mod days;
mod meter;

pub use days::{Day, DayChart, Series};
pub use meter::Meter;

/// `63.43%` of hundredths of a percent.
fn percent(hundredths: i64) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// A part of a whole in hundredths of a percent, at most the whole.
fn share(part: i64, whole: i64) -> i64 {
    if whole <= 0 {
        return 0;
    }
    let share = i128::from(part.max(0)) * 10_000 / i128::from(whole);
    i64::try_from(share.min(10_000)).unwrap_or(10_000)
}

/// Text that may stand between tags and in attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            letter => safe.push(letter),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_parts_of_a_hundred() {
        let cases =
            [(7_612, 12_000, "63.43%"), (0, 5, "0.00%"), (9, 3, "100.00%"), (1, 0, "0.00%")];
        for (part, whole, text) in cases {
            assert_eq!(percent(share(part, whole)), text);
        }
    }

    #[test]
    fn text_cannot_close_a_tag() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
