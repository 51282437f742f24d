//! The daily chart: credits a day, stacked by meter, three series at most. Pure.

use std::fmt::Write as _;

use server::clock::{DAY, Millis};
use server::units::Credits;
use server::usage::DayMeter;

use super::{escaped, percent};
use crate::format;

/// The plot's height and its lower edge, in tenths of a pixel.
const HEIGHT: i64 = 1_800;
const FLOOR: i64 = 1_880;
/// More series than this are shown as Other.
const SERIES_MAX: usize = 3;

/// One colour of the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// What people call it.
    pub label: String,
    /// Over all days.
    pub total: Credits,
}

/// One column of the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Midnight, UTC.
    pub start: Millis,
    /// For each series, in order.
    pub parts: Vec<Credits>,
    /// Of the whole day.
    pub total: Credits,
}

/// Days in a row, stacked by series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayChart {
    /// Largest first.
    pub series: Vec<Series>,
    /// The days that have come, oldest first.
    pub days: Vec<Day>,
    /// How many days the axis has room for.
    pub room: i64,
}

impl DayChart {
    /// Orders what was used into days and series. `labels` names a meter for people.
    pub fn new(
        usage: &[DayMeter],
        period: (Millis, Millis),
        now: Millis,
        label: impl Fn(&str) -> String,
    ) -> Self {
        let first = period.0 - period.0.rem_euclid(DAY);
        let last = now.min(period.1 - 1).max(first);
        let names = ranked(usage);
        let series = names.iter().enumerate().map(|(index, _)| {
            let sum = |row: &&DayMeter| slot(&names, &row.meter) == index;
            let label = match names[index].as_str() {
                OTHER => "Other".to_owned(),
                name => label(name),
            };
            Series { label, total: total(usage.iter().filter(sum)) }
        });
        let starts = (0..=(last - first) / DAY).map(|index| first + index * DAY);
        let days = starts.map(|start| {
            let of_day: Vec<&DayMeter> =
                usage.iter().filter(|row| row.day_start == start).collect();
            let part = |index| {
                let same = |row: &&&DayMeter| slot(&names, &row.meter) == index;
                total(of_day.iter().filter(same).copied())
            };
            let parts = (0..names.len()).map(part).collect();
            Day { start, parts, total: total(of_day.iter().copied()) }
        });
        let room = (period.1 - 1 - first) / DAY + 1;
        Self { series: series.collect(), days: days.collect(), room: room.max(1) }
    }

    /// The chart.
    pub fn svg(&self) -> String {
        let most = self.days.iter().map(|day| day.total.micros()).max().unwrap_or(0);
        let (step, top) = axis(most);
        let spoken = self.spoken();
        let mut svg = format!(
            "<svg class=\"chart\" height=\"208\" role=\"img\" aria-label=\"{}\">",
            escaped(&spoken)
        );
        gridlines(&mut svg, step, top);
        for (index, day) in self.days.iter().enumerate() {
            self.column(&mut svg, i64::try_from(index).unwrap_or(0), day, top);
        }
        self.axis_days(&mut svg);
        svg.push_str("</svg>");
        svg
    }

    fn spoken(&self) -> String {
        let highest = self.days.iter().max_by_key(|day| day.total);
        match highest.filter(|day| day.total.is_positive()) {
            None => "Credits per day. Nothing was used.".to_owned(),
            Some(day) => format!(
                "Credits per day, stacked by meter. Highest: {}, {}.",
                format::week_day(day.start),
                format::credits(day.total)
            ),
        }
    }

    fn column(&self, svg: &mut String, index: i64, day: &Day, top: i64) {
        let (slot, next) = (index * 10_000 / self.room, (index + 1) * 10_000 / self.room);
        let width = next - slot;
        let (x, bar) = (percent(slot + width * 15 / 100), percent(width * 70 / 100));
        let parts = self.series.iter().zip(&day.parts);
        let used = parts.clone().filter(|(_, part)| part.is_positive());
        let named =
            used.map(|(series, part)| format!("{} {}", series.label, format::credits(*part)));
        let named: Vec<String> = named.collect();
        let title = match named.is_empty() {
            true => format!("{}: nothing used", format::week_day(day.start)),
            false => format!(
                "{}: {}. {}",
                format::week_day(day.start),
                format::with_unit(day.total),
                named.join(", ")
            ),
        };
        svg.push_str(&format!("<g><title>{}</title>", escaped(&title)));
        let mut below = 0;
        for (number, (_, part)) in parts.enumerate() {
            let height = height(part.micros(), top);
            below += height;
            if height > 0 {
                // One pixel between two parts, unless the part is no taller than that.
                let gap = if number > 0 && height > 20 { 10 } else { 0 };
                let (y, tall) = (pixels(FLOOR - below), pixels(height - gap));
                let class = number + 1;
                // Writing into a String cannot fail.
                let _ = write!(
                    svg,
                    "<rect class=\"c{class}\" x=\"{x}\" y=\"{y}\" width=\"{bar}\" \
                     height=\"{tall}\"/>"
                );
            }
        }
        let (x, width) = (percent(slot), percent(width));
        // Writing into a String cannot fail.
        let _ = write!(
            svg,
            "<rect class=\"hit\" x=\"{x}\" y=\"8\" width=\"{width}\" height=\"180\"/></g>"
        );
    }

    /// Names the first day, every fifth, and today.
    fn axis_days(&self, svg: &mut String) {
        let today = self.days.len().saturating_sub(1);
        for (index, day) in self.days.iter().enumerate() {
            let near_today = today.saturating_sub(index) < 3;
            let named = index == today || (index.is_multiple_of(5) && !near_today);
            if !named {
                continue;
            }
            let position = i64::try_from(index).unwrap_or(0);
            let x = percent((position * 2 + 1) * 10_000 / (self.room * 2));
            let text = format::short_day(day.start);
            let (number, month) = text.split_once(' ').unwrap_or((&text, ""));
            let class = if index == today { " class=\"passed\"" } else { "" };
            // Writing into a String cannot fail.
            let _ = write!(
                svg,
                "<text{class} x=\"{x}\" y=\"206\" text-anchor=\"middle\">{number}\
                 <tspan class=\"wide\"> {month}</tspan></text>"
            );
        }
    }
}

const OTHER: &str = "";

/// The meters by what they cost, the rest as one.
fn ranked(usage: &[DayMeter]) -> Vec<String> {
    let mut names: Vec<&str> = usage.iter().map(|row| row.meter.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |name: &str| total(usage.iter().filter(|row| row.meter == name));
    names.sort_by_key(|name| std::cmp::Reverse(of(name)));
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    if names.len() > SERIES_MAX {
        names.truncate(SERIES_MAX - 1);
        names.push(OTHER.to_owned());
    }
    names
}

fn slot(names: &[String], meter: &str) -> usize {
    names.iter().position(|name| name == meter).unwrap_or(names.len().saturating_sub(1))
}

fn total<'a>(rows: impl Iterator<Item = &'a DayMeter>) -> Credits {
    rows.map(|row| row.credits).sum()
}

/// A round step and the axis' top, in millionths: at most five steps of 1, 2 or 5.
fn axis(most: i64) -> (i64, i64) {
    let most = most.max(1_000_000);
    let mut unit: i64 = 100_000;
    loop {
        for factor in [1, 2, 5] {
            let step = unit.saturating_mul(factor);
            if most <= step.saturating_mul(5) {
                let steps = most / step + i64::from(most % step != 0);
                return (step, step.saturating_mul(steps));
            }
        }
        unit = unit.saturating_mul(10);
    }
}

fn gridlines(svg: &mut String, step: i64, top: i64) {
    let mut value = 0;
    while value <= top {
        let y = FLOOR - height(value, top);
        let class = if value == 0 { "zero" } else { "gridline" };
        let label = format::credits(Credits::from_micros(value));
        let (line, text) = (pixels(y), pixels(y + 40));
        // Writing into a String cannot fail.
        let _ = write!(
            svg,
            "<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{line}\" y2=\"{line}\"/>\
             <text x=\"0\" dx=\"-8\" y=\"{text}\" text-anchor=\"end\">{label}</text>"
        );
        value += step;
    }
}

/// Tenths of a pixel for this value.
fn height(value: i64, top: i64) -> i64 {
    let height = i128::from(value) * i128::from(HEIGHT) / i128::from(top.max(1));
    i64::try_from(height).unwrap_or(HEIGHT)
}

fn pixels(tenths: i64) -> String {
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(day: i64, meter: &str, credits: i64) -> DayMeter {
        DayMeter {
            day_start: day * DAY,
            meter: meter.to_owned(),
            credits: Credits::from_whole(credits).expect("fits"),
            count: 1,
        }
    }

    #[test]
    fn axes_end_at_round_numbers() {
        let cases = [
            (0, 200_000, 1_000_000),
            (1, 200_000, 1_000_000),
            (7, 2_000_000, 8_000_000),
            (493, 100_000_000, 500_000_000),
            (1_200, 500_000_000, 1_500_000_000),
        ];
        for (most, step, top) in cases {
            assert_eq!(axis(most * 1_000_000), (step, top), "{most}");
        }
    }

    #[test]
    fn small_meters_are_shown_as_one() {
        let usage = [used(0, "a", 1), used(0, "b", 9), used(1, "c", 5), used(1, "d", 2)];
        let chart = DayChart::new(&usage, (0, 30 * DAY), 2 * DAY, str::to_uppercase);
        let labels: Vec<&str> = chart.series.iter().map(|series| series.label.as_str()).collect();
        assert_eq!(labels, ["B", "C", "Other"]);
        assert_eq!(chart.series[2].total, Credits::from_whole(3).expect("fits"));
        assert_eq!(chart.days.len(), 3);
        assert_eq!(chart.room, 30);
    }

    #[test]
    fn columns_stand_on_the_floor_and_say_their_figures() {
        let chart = DayChart::new(&[used(0, "text", 5)], (0, 10 * DAY), 0, str::to_owned);
        let svg = chart.svg();
        assert!(svg.contains("<title>Thu 1 Jan: 5 credits. text 5</title>"), "{svg}");
        assert!(
            svg.contains("class=\"c1\" x=\"1.50%\" y=\"8.0\" width=\"7.00%\" height=\"180.0\"")
        );
    }

    #[test]
    fn labels_are_escaped() {
        let chart = DayChart::new(&[used(0, "x", 1)], (0, DAY), 0, |_| "<b>".to_owned());
        assert!(!chart.svg().contains("<b>"));
    }
}
