//! The letters: every template, as text and as HTML. Pure.
//!
//! A letter is a subject, paragraphs and at most one link. The two bodies are made from the same
//! words, so they cannot differ.

use serde::{Deserialize, Serialize};

use super::money::Money;
use crate::clock::{Millis, date_time};
use crate::units::{Credits, counted, spoken};

/// Which ceiling an alert speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// The credits that the tier includes.
    Allowance,
    /// The ceiling that the org set for itself.
    Cap,
}

/// A letter, as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "template", rename_all = "snake_case")]
pub enum Template {
    /// To who signed up.
    Welcome {
        /// The person's name.
        name: String,
    },
    /// A threshold of the allowance or of the cap was crossed.
    UsageAlert {
        /// The threshold.
        percent: i64,
        /// Credits used in the period.
        used: Credits,
        /// Credits of the allowance, or of the cap.
        allowance: Credits,
        /// When the period ends; `None` where nothing resets.
        resets_on: Option<Millis>,
        /// Which ceiling.
        kind: AlertKind,
    },
    /// Nothing is left to spend.
    CreditsExhausted,
    /// Something about money.
    Money(Money),
    /// The org moved to another tier.
    PlanChanged {
        /// The tier's name before.
        from: String,
        /// The tier's name now.
        to: String,
        /// When a cancelled plan ends.
        ends_on: Option<Millis>,
    },
    /// A pack was paid.
    PackBought {
        /// The pack's name.
        name: String,
        /// What it added.
        credits: Credits,
        /// Until when they can be used.
        expires_on: Option<Millis>,
    },
}

/// A letter, written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The subject line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// The words of a letter, before they become text or HTML.
pub(super) struct Words {
    pub(super) subject: String,
    pub(super) paragraphs: Vec<String>,
    pub(super) link: Option<(&'static str, String)>,
}

impl Template {
    /// The name that is stored and shown.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::UsageAlert { .. } => "usage_alert",
            Self::CreditsExhausted => "credits_exhausted",
            Self::Money(money) => money.name(),
            Self::PlanChanged { .. } => "plan_changed",
            Self::PackBought { .. } => "pack_bought",
        }
    }

    /// Writes the letter, in the name of `product` whose pages are at `base_url`.
    pub fn write(&self, product: &str, base_url: &str) -> Letter {
        let words = self.words(product, base_url);
        Letter {
            text: text(&words, product, base_url),
            html: html(&words, product, base_url),
            subject: one_line(&words.subject),
        }
    }

    fn words(&self, product: &str, base_url: &str) -> Words {
        match self {
            Self::Welcome { name } => Words {
                subject: format!("Welcome to {product}"),
                paragraphs: vec![
                    format!("Hello {name},"),
                    format!(
                        "your account is ready. The dashboard shows your plan, your credits and \
                         what they were used for; the playground lets you spend the first ones on \
                         {product} right away."
                    ),
                ],
                link: Some(("Open the dashboard", format!("{base_url}/dashboard"))),
            },
            Self::UsageAlert { percent, used, allowance, resets_on, kind } => {
                alert(*percent, *used, *allowance, *resets_on, *kind, base_url)
            }
            Self::CreditsExhausted => Words {
                subject: "Your credits are used up".to_owned(),
                paragraphs: vec![
                    "The last credit of your org was spent. Requests that cost credits are now \
                     refused; nothing else changes, and nothing was charged."
                        .to_owned(),
                    "Buy a pack or change the plan to go on.".to_owned(),
                ],
                link: Some(("Add credits", format!("{base_url}/billing"))),
            },
            Self::Money(money) => money.words(base_url),
            Self::PlanChanged { from, to, ends_on } => plan_changed(from, to, *ends_on, base_url),
            Self::PackBought { name, credits, expires_on } => {
                let until = expires_on.map_or("They do not expire.".to_owned(), |at| {
                    format!("They can be used until {}.", date(at))
                });
                let added = counted(*credits);
                Words {
                    subject: format!("{added} added"),
                    paragraphs: vec![
                        format!("Thank you. {name} is paid, and your org has {added} more."),
                        until,
                    ],
                    link: Some(("See your credits", format!("{base_url}/credits"))),
                }
            }
        }
    }
}

fn alert(
    percent: i64,
    used: Credits,
    ceiling: Credits,
    resets_on: Option<Millis>,
    kind: AlertKind,
    base_url: &str,
) -> Words {
    let (what, consequence) = match kind {
        AlertKind::Allowance => (
            "the credits your plan includes",
            "When they are used up, other credits of your org are spent, if there are any; after \
             that, requests are refused or billed as your plan says.",
        ),
        AlertKind::Cap => (
            "the cap your org has set",
            "A hard cap refuses requests once it is reached; a soft one only tells you. You can \
             change it in the dashboard.",
        ),
    };
    let reset = resets_on.map_or(String::new(), |at| format!(" It resets on {}.", date(at)));
    let (used, ceiling) = (spoken(used), counted(ceiling));
    Words {
        subject: format!("{percent}% of {what} used"),
        paragraphs: vec![
            format!("Your org has used {used} of {ceiling}, {percent}% of {what}.{reset}"),
            consequence.to_owned(),
        ],
        link: Some(("Open the dashboard", format!("{base_url}/dashboard"))),
    }
}

fn plan_changed(from: &str, to: &str, ends_on: Option<Millis>, base_url: &str) -> Words {
    let (subject, sentence) = match ends_on {
        Some(at) => (
            format!("Your {from} plan ends on {}", date(at)),
            format!(
                "The {from} plan was cancelled. It stays as it is until {}; then your org moves \
                 to {to}. Until then you can undo this in the portal.",
                date(at)
            ),
        ),
        None => (
            format!("Your plan is now {to}"),
            format!("Your org moved from {from} to {to}. The change counts at once."),
        ),
    };
    Words {
        subject,
        paragraphs: vec![sentence],
        link: Some(("See your plan", format!("{base_url}/billing"))),
    }
}

/// `3 November 2026`
fn date(at: Millis) -> String {
    let at = date_time(at);
    format!("{} {} {}", at.day(), at.month(), at.year())
}

fn text(words: &Words, product: &str, base_url: &str) -> String {
    let mut parts = words.paragraphs.clone();
    if let Some((label, url)) = &words.link {
        parts.push(format!("{label}: {url}"));
    }
    parts.push(format!("{product}\n{base_url}"));
    parts.join("\n\n") + "\n"
}

fn html(words: &Words, product: &str, base_url: &str) -> String {
    let mut body = String::new();
    for paragraph in &words.paragraphs {
        body.push_str(&format!("<p style=\"margin:0 0 16px\">{}</p>\n", escape(paragraph)));
    }
    if let Some((label, url)) = &words.link {
        let style = "display:inline-block;padding:10px 18px;border-radius:6px;\
             background:#1f2937;color:#ffffff;text-decoration:none";
        let url = escape(url);
        body.push_str(&format!(
            "<p style=\"margin:0 0 24px\"><a href=\"{url}\" style=\"{style}\">{label}</a></p>\n"
        ));
    }
    let (title, product, base) = (escape(&words.subject), escape(product), escape(base_url));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <title>{title}</title></head>\n\
         <body style=\"margin:0;padding:24px;background:#f5f6f8;color:#1c1e21;\
         font:16px/1.5 system-ui,sans-serif\">\n\
         <div style=\"max-width:560px;margin:0 auto;padding:32px;background:#ffffff;\
         border-radius:8px\">\n{body}\
         <p style=\"margin:0;color:#5f6670;font-size:14px\">\
         <a href=\"{base}\" style=\"color:#5f6670\">{product}</a></p>\n</div>\n</body>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A subject is a header: it has one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_template() -> Vec<Template> {
        let credits = |whole| Credits::from_whole(whole).expect("fits");
        let used = credits(700);
        let allowance = credits(1_000);
        let alert = |kind, resets_on| Template::UsageAlert {
            percent: 70,
            used,
            allowance,
            resets_on,
            kind,
        };
        vec![
            Template::Welcome { name: "<Ada>\r\nBcc: all@example.com".to_owned() },
            alert(AlertKind::Allowance, Some(1_793_664_000_000)),
            alert(AlertKind::Cap, None),
            Template::CreditsExhausted,
            Template::Money(Money::PaymentFailed { plan: "Pro & more".into(), grace_until: None }),
            Template::Money(Money::RechargePaused { reason: "It was declined.".into() }),
            Template::PlanChanged { from: "Pro".into(), to: "Free".into(), ends_on: Some(0) },
            Template::PlanChanged { from: "Free".into(), to: "Pro".into(), ends_on: None },
            Template::PackBought { name: "Small".into(), credits: used, expires_on: None },
        ]
    }

    #[test]
    fn every_letter_has_a_subject_and_two_bodies_that_say_the_same() {
        for template in every_template() {
            let letter = template.write("Turnpike & Sons", "https://app.example.com");
            let name = template.name();
            assert!(!letter.subject.is_empty() && !letter.subject.contains('\n'), "{name}");
            assert!(letter.text.contains("https://app.example.com"), "{name}");
            assert!(letter.html.contains("Turnpike &amp; Sons"), "{name}");
            assert!(!letter.html.contains("<Ada>"), "{name}");
            for paragraph in letter.text.split("\n\n").filter(|part| !part.contains("://")) {
                let escaped = escape(paragraph);
                assert!(letter.html.contains(escaped.trim_end()), "{name}: {paragraph}");
            }
        }
    }

    #[test]
    fn a_letter_survives_its_storage() {
        for template in every_template() {
            let stored = serde_json::to_string(&template).expect("stores");
            let read: Template = serde_json::from_str(&stored).expect("reads");
            assert_eq!(read, template, "{stored}");
        }
    }

    #[test]
    fn an_alert_names_the_numbers_and_the_day() {
        let letter = every_template()[1].write("Turnpike", "https://app.example.com");
        assert_eq!(letter.subject, "70% of the credits your plan includes used");
        assert!(letter.text.contains("used 700 of 1,000 credits"), "{}", letter.text);
        assert!(letter.text.contains("resets on 3 November 2026"), "{}", letter.text);
    }

    /// What is written in digits, without what stands around it.
    fn numbers(text: &str) -> Vec<String> {
        let words = text.split_whitespace().filter(|word| !word.contains("://"));
        let numbers = words.map(|word| word.trim_matches(|c: char| !c.is_ascii_digit()));
        numbers.filter(|number| !number.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn large_numbers_are_grouped_in_every_letter_and_one_credit_is_one() {
        let whole = |whole| Credits::from_whole(whole).expect("fits");
        let usd = || "usd".to_owned();
        let (amount, much) = (123_456_789, whole(1_234_567));
        let letters = [
            Template::PackBought { name: "Large".into(), credits: much, expires_on: None },
            Template::UsageAlert {
                percent: 100,
                used: whole(7_654_321),
                allowance: much,
                resets_on: None,
                kind: AlertKind::Cap,
            },
            Template::Money(Money::Recharged { credits: much, amount, currency: usd() }),
            Template::Money(Money::Refunded { amount, currency: usd(), taken: much, owed: much }),
            Template::Money(Money::RefundFailed { amount, currency: usd() }),
            Template::Money(Money::DisputeOpened { amount, currency: usd() }),
            Template::Money(Money::CustomerDeleted { credits: much }),
            Template::Money(Money::CreditsReleased { credits: much }),
            Template::Money(Money::DisputeClosed {
                won: false,
                withheld: false,
                amount,
                currency: usd(),
            }),
            Template::Money(Money::InvoiceVoided {
                amount,
                currency: usd(),
                taken: much,
                owed: Credits::ZERO,
            }),
        ];
        for template in letters {
            let letter = template.write("Turnpike", "https://app.example.com");
            let said = format!("{}\n{}", letter.subject, letter.text);
            let numbers = numbers(&said);
            assert!(numbers.iter().any(|number| number.contains(',')), "{said}");
            for number in numbers {
                let digits = number.split(['.', ',']).map(str::len);
                assert!(digits.max().unwrap_or(0) <= 3, "{number} in {said}");
            }
        }
        let one = Template::PackBought { name: "One".into(), credits: whole(1), expires_on: None };
        let letter = one.write("Turnpike", "https://app.example.com");
        assert_eq!(letter.subject, "1 credit added");
        assert!(letter.text.contains("your org has 1 credit more"), "{}", letter.text);
    }
}
