//! The offline model: what the playground sells. The same words always give the same work, without
//! a network. Replace it with your own product.

use std::fmt::Write as _;

/// What can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A paragraph.
    Text,
    /// A still picture.
    Image,
    /// A moving one.
    Video,
}

impl Work {
    /// Everything, cheapest first.
    pub const ALL: [Self; 3] = [Self::Text, Self::Image, Self::Video];

    /// The meter that counts it, and its word in forms.
    pub fn meter(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
        }
    }

    /// From its word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|work| work.meter() == word)
    }
}

/// The subjects, verbs and ends of which sentences are made.
const OPENINGS: [&str; 5] = [
    "The plain answer is that",
    "Looked at from the side of the customer,",
    "After some thought,",
    "Most people forget that",
    "In the end",
];
const VERBS: [&str; 5] = ["earns", "keeps", "explains", "outlives", "repays"];
const ENDS: [&str; 5] = [
    "the time it was given.",
    "what it promised on the first day.",
    "more than a longer list of features.",
    "every doubt that came before it.",
    "the trust of those who pay for it.",
];

/// A paragraph about the prompt.
pub fn text(prompt: &str) -> String {
    let subject = prompt.trim().trim_end_matches(['.', '?', '!']);
    let mut seed = seed(prompt);
    let mut paragraph = String::new();
    for index in 0..3 {
        let opening = pick(&OPENINGS, &mut seed);
        let subject = if index == 0 { format!("“{subject}”") } else { "it".to_owned() };
        let (verb, end) = (pick(&VERBS, &mut seed), pick(&ENDS, &mut seed));
        let space = if index == 0 { "" } else { " " };
        // Writing into a String cannot fail.
        let _ = write!(paragraph, "{space}{opening} {subject} {verb} {end}");
    }
    paragraph
}

/// A picture of circles in the chart's colours, as SVG; a video is the same with circles that
/// breathe. Holds nothing of the prompt but what it draws from it.
pub fn picture(prompt: &str, moving: bool) -> String {
    let mut seed = seed(prompt);
    let mut svg = "<svg class=\"work\" viewBox=\"0 0 320 180\" role=\"img\" \
         aria-label=\"The picture that was made\"><rect class=\"track\" width=\"320\" \
         height=\"180\"/>"
        .to_owned();
    for index in 0..9 {
        let (x, y) = (next(&mut seed) % 320, next(&mut seed) % 180);
        let (radius, class) = (8 + next(&mut seed) % 40, 1 + next(&mut seed) % 3);
        let grown = radius + 14;
        let seconds = 3 + index % 4;
        let motion = match moving {
            true => format!(
                "<animate attributeName=\"r\" values=\"{radius};{grown};{radius}\" \
                 dur=\"{seconds}s\" repeatCount=\"indefinite\"/>"
            ),
            false => String::new(),
        };
        // Writing into a String cannot fail.
        let _ = write!(
            svg,
            "<circle class=\"c{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" \
             opacity=\"0.7\">{motion}</circle>"
        );
    }
    svg.push_str("</svg>");
    svg
}

fn pick(words: &[&'static str; 5], seed: &mut u64) -> &'static str {
    words[usize::try_from(next(seed) % 5).unwrap_or(0)]
}

/// FNV-1a of the words: far enough apart for pictures.
fn seed(prompt: &str) -> u64 {
    prompt.trim().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed >> 11
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_give_the_same_work() {
        assert_eq!(text("a toll road"), text(" a toll road "));
        assert_ne!(text("a toll road"), text("a railway"));
        assert_eq!(picture("x", false), picture("x", false));
        assert!(picture("x", true).contains("<animate"));
    }

    #[test]
    fn a_picture_holds_nothing_that_was_typed() {
        assert!(!picture("<script>", true).contains("script"));
    }

    #[test]
    fn every_work_has_a_meter() {
        for work in Work::ALL {
            assert_eq!(Work::parse(work.meter()), Some(work));
        }
    }
}
