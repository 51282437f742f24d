//! The allowance bar: used, what comes next, marks at 70, 90 and 100 percent, the cap, and the
//! range in which the period is expected to end. Pure.

use std::fmt::Write as _;

use server::units::Credits;

use super::{percent, share};
use crate::format;

/// What the bar shows, all of one period.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    /// The allowance; more than nothing.
    pub allowance: Credits,
    /// Used, whatever paid for it.
    pub used: Credits,
    /// What can be spent besides the allowance: packs, and what was given or agreed.
    pub besides: Credits,
    /// Whether use goes on past every credit and is billed.
    pub overage: bool,
    /// The org's own ceiling.
    pub cap: Option<Credits>,
    /// The lower end, the middle and the upper end of the projection.
    pub projected: Option<(Credits, Credits, Credits)>,
}

impl Meter {
    /// The value at the bar's right end: the cap, else a fifth more than what matters.
    fn end(&self) -> i64 {
        let top = self.projected.map_or(0, |(_, _, high)| high.micros());
        let natural = self.allowance.micros().max(top).max(self.used.micros());
        let natural = natural.saturating_add(natural / 5);
        self.cap.map_or(natural, Credits::micros).max(1)
    }

    /// How far the allowance is used, in whole percent.
    pub fn percent(&self) -> i64 {
        let whole = i128::from(self.allowance.micros());
        let share = (i128::from(self.used.micros()) * 100).checked_div(whole).unwrap_or(0);
        i64::try_from(share).unwrap_or(i64::MAX)
    }

    /// Nothing below 90 percent, then `high`, then `over`.
    fn level(&self) -> &'static str {
        match self.percent() {
            ..90 => "",
            90..100 => "high",
            _ => "over",
        }
    }

    /// What is read aloud.
    pub fn spoken(&self) -> String {
        let (used, whole) = (format::credits(self.used), format::credits(self.allowance));
        let cap = match self.cap {
            Some(cap) => format!(" Cap at {}.", format::credits(cap)),
            None => String::new(),
        };
        format!("{used} of {whole} credits, {} percent.{cap}", self.percent())
    }

    /// The whole element, with its role and values.
    pub fn html(&self) -> String {
        let end = self.end();
        let (now, most) = (self.used.micros() / 1_000_000, end / 1_000_000);
        format!(
            "<div role=\"meter\" aria-label=\"Allowance used this period\" aria-valuemin=\"0\" \
             aria-valuemax=\"{most}\" aria-valuenow=\"{now}\" aria-valuetext=\"{}\">{}</div>",
            self.spoken(),
            self.svg(end)
        )
    }

    fn svg(&self, end: i64) -> String {
        let level = self.level();
        let mut svg = format!(
            "<svg class=\"meter\" data-level=\"{level}\" height=\"52\" aria-hidden=\"true\"><defs>\
             <pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
             patternTransform=\"rotate(45)\"><path class=\"hatch\" d=\"M0 0V6\" \
             stroke-width=\"2\"/></pattern></defs>"
        );
        self.zones(&mut svg, end);
        self.range(&mut svg, end);
        for mark in [70, 90, 100] {
            self.mark(&mut svg, end, mark);
        }
        if let Some(cap) = self.cap {
            let cap = format::credits(cap);
            svg.push_str("<line class=\"cap\" x1=\"100%\" x2=\"100%\" y1=\"7\" y2=\"30\"/>");
            svg.push_str("<text x=\"100%\" y=\"44\" text-anchor=\"end\">Cap<tspan class=\"wide\">");
            svg.push_str(&format!(" {cap}</tspan></text>"));
        }
        svg.push_str("<text x=\"0\" y=\"44\">0</text></svg>");
        svg
    }

    /// The allowance, what comes besides it and overage, one after the other, and what is used.
    fn zones(&self, svg: &mut String, end: i64) {
        let allowance = share(self.allowance.micros(), end);
        let besides_until = self.allowance.micros().saturating_add(self.besides.micros());
        let besides = share(besides_until, end);
        zone(svg, "track", 0, allowance);
        zone(svg, "pack", allowance, besides);
        if self.overage {
            zone(svg, "over", besides, 10_000);
        }
        zone(svg, "fill", 0, share(self.used.micros(), end));
    }

    fn range(&self, svg: &mut String, end: i64) {
        let Some((low, expected, high)) = self.projected else { return };
        let at = |value: Credits| percent(share(value.micros(), end));
        // Writing into a String cannot fail.
        let _ = write!(
            svg,
            "<line class=\"range\" x1=\"{}\" x2=\"{}\" y1=\"4\" y2=\"4\"/>\
             <circle class=\"mid\" cx=\"{}\" cy=\"4\" r=\"3.5\"/>",
            at(low),
            at(high),
            at(expected)
        );
    }

    fn mark(&self, svg: &mut String, end: i64, mark: i64) {
        let at = i128::from(self.allowance.micros()) * i128::from(mark) / 100;
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        // A cap below the mark leaves no room for it, and the cap has its own label at the end.
        if at > end {
            return;
        }
        let x = share(at, end);
        if self.cap.is_some() && x > 9_300 && mark != 100 {
            return;
        }
        let passed = if self.percent() >= mark { " class=\"passed\"" } else { "" };
        let x = percent(x);
        let label = format!("<text{passed} x=\"{x}\" y=\"44\" text-anchor=\"middle\">{mark}");
        // Writing into a String cannot fail.
        let _ = write!(
            svg,
            "<line class=\"mark\" x1=\"{x}\" x2=\"{x}\" y1=\"10\" y2=\"22\"/>\
             <line class=\"tick\" x1=\"{x}\" x2=\"{x}\" y1=\"25\" y2=\"30\"/>\
             {label}<tspan class=\"wide\">%</tspan></text>"
        );
    }
}

fn zone(svg: &mut String, class: &str, from: i64, to: i64) {
    if to <= from {
        return;
    }
    let (x, width) = (percent(from), percent(to - from));
    let round = if from == 0 { " rx=\"2\"" } else { "" };
    // Writing into a String cannot fail.
    let _ = write!(
        svg,
        "<rect class=\"{class}\" x=\"{x}\" y=\"10\" width=\"{width}\" height=\"12\"{round}/>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(credits: i64) -> Credits {
        Credits::from_whole(credits).expect("fits")
    }

    fn meter(used: i64, cap: Option<i64>) -> Meter {
        Meter {
            allowance: whole(10_000),
            used: whole(used),
            besides: whole(640),
            overage: true,
            cap: cap.map(whole),
            projected: Some((whole(10_500), whole(11_000), whole(11_600))),
        }
    }

    #[test]
    fn the_bar_ends_at_the_cap_and_marks_the_allowance() {
        let html = meter(7_612, Some(12_000)).html();
        let expected = [
            "width=\"63.43%\"",
            "class=\"pack\" x=\"83.33%\" y=\"10\" width=\"5.33%\"",
            "class=\"over\" x=\"88.66%\"",
            "class=\"passed\" x=\"58.33%\"",
            "x1=\"75.00%\"",
            "Cap<tspan class=\"wide\"> 12,000",
            "7,612 of 10,000 credits, 76 percent. Cap at 12,000.",
            "cx=\"91.66%\"",
        ];
        for part in expected {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn without_a_cap_the_bar_leaves_a_fifth_of_room() {
        let meter = meter(7_612, None);
        assert_eq!(meter.end(), whole(13_920).micros());
        assert!(!meter.html().contains("class=\"cap\""));
    }

    #[test]
    fn the_level_follows_the_percentage() {
        for (used, level) in [(8_999, ""), (9_000, "high"), (9_999, "high"), (10_000, "over")] {
            assert_eq!(meter(used, None).level(), level);
        }
        assert_eq!(Meter::default().percent(), 0);
    }
}
