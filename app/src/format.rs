//! How numbers and times are written for people. Pure; times are UTC and say so where it matters.

use server::clock::{DAY, HOUR, MINUTE, Millis, date_time};
use server::units::{Credits, MICRO, currency_exponent, group_thousands, money};

/// `7,612`, `0.25`, `−281`
pub fn credits(credits: Credits) -> String {
    let micros = credits.micros();
    let sign = if micros < 0 { "−" } else { "" };
    format!("{sign}{}", unsigned(micros.unsigned_abs()))
}

/// `+10,000`, `−281`: a movement.
pub fn movement(credits: Credits) -> String {
    let micros = credits.micros();
    let sign = match micros {
        0 => "",
        ..0 => "−",
        _ => "+",
    };
    format!("{sign}{}", unsigned(micros.unsigned_abs()))
}

/// A forecast, rounded to whole credits: `10,500`
pub fn rounded(credits: Credits) -> String {
    let half = MICRO / 2;
    let whole = credits.micros().saturating_add(half).div_euclid(MICRO).max(0);
    group_thousands(whole.unsigned_abs())
}

fn unsigned(micros: u64) -> String {
    let scale = MICRO.unsigned_abs();
    let (whole, fraction) = (group_thousands(micros / scale), micros % scale);
    if fraction == 0 {
        return whole;
    }
    format!("{whole}.{}", format!("{fraction:06}").trim_end_matches('0'))
}

/// `1 credit`, `20 credits`
pub fn with_unit(amount: Credits) -> String {
    let unit = if amount.micros() == MICRO { "credit" } else { "credits" };
    format!("{} {unit}", credits(amount))
}

/// With a capital letter in front, as a cell of a table begins.
pub fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// The price of one credit, from millionths of a minor unit: `$0.012`. At least the currency's own
/// decimals, at most six.
pub fn unit_price(micros_of_minor: i64, currency: &str) -> String {
    let exponent = currency_exponent(currency);
    let scale = 10_i64.pow(exponent).saturating_mul(MICRO);
    let (whole, rest) = (micros_of_minor.max(0) / scale, micros_of_minor.max(0) % scale);
    let digits = usize::try_from(exponent).unwrap_or(2);
    let mut fraction = format!("{rest:0width$}", width = digits + 6);
    fraction.truncate(6.max(digits));
    while fraction.len() > digits && fraction.ends_with('0') {
        fraction.pop();
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let number = format!("{}{point}{fraction}", group_thousands(whole.unsigned_abs()));
    match money(0, currency).chars().next().filter(|sign| !sign.is_ascii_digit()) {
        Some(sign) => format!("{sign}{number}"),
        None => format!("{number} {}", currency.to_ascii_uppercase()),
    }
}

/// The price of one credit of a pack.
pub fn price_each(amount: i64, credits: Credits, currency: &str) -> String {
    let scale = i128::from(MICRO) * i128::from(MICRO);
    let each = i128::from(amount) * scale / i128::from(credits.micros().max(1));
    unit_price(i64::try_from(each).unwrap_or(0), currency)
}

/// `1 text`, `3 texts`
pub fn count(counted: i64, one: &str, many: &str) -> String {
    let unit = if counted == 1 { one } else { many };
    format!("{} {unit}", number(counted))
}

/// `1,024`: a whole number of anything, never below nothing.
pub fn number(counted: i64) -> String {
    group_thousands(counted.max(0).unsigned_abs())
}

/// `1 Nov 2026`
pub fn day(at: Millis) -> String {
    format!("{} {}", short_day(at), date_time(at).year())
}

/// `1 Nov`
pub fn short_day(at: Millis) -> String {
    let at = date_time(at);
    let month: String = at.month().to_string().chars().take(3).collect();
    format!("{} {month}", at.day())
}

/// `Thu 22 Oct`
pub fn week_day(at: Millis) -> String {
    let name: String = date_time(at).weekday().to_string().chars().take(3).collect();
    format!("{name} {}", short_day(at))
}

/// `14:02`
pub fn time(at: Millis) -> String {
    let at = date_time(at);
    format!("{:02}:{:02}", at.hour(), at.minute())
}

/// `22 Oct 2026, 14:02 UTC`
pub fn stamp(at: Millis) -> String {
    format!("{}, {} UTC", day(at), time(at))
}

/// `1–31 October 2026`, or with both months where they differ. The end is not part of it.
pub fn period(start: Millis, end: Millis) -> String {
    let (from, to) = (date_time(start), date_time(end - 1));
    if (from.year(), from.month()) == (to.year(), to.month()) {
        return format!("{}–{} {} {}", from.day(), to.day(), from.month(), from.year());
    }
    format!("{} – {}", day(start), day(end - 1))
}

/// `in 9 days`, `in 5 hours`, `now`
pub fn until(now: Millis, at: Millis) -> String {
    let left = at - now;
    match left {
        ..0 => "now".to_owned(),
        left if left >= 2 * DAY => format!("in {} days", left / DAY),
        left if left >= 2 * HOUR => format!("in {} hours", left / HOUR),
        left => format!("in {} minutes", left / MINUTE),
    }
}

/// `/admin/inbox/evt_1`: the address of one thing of a list, whatever its id is made of.
pub fn path_to(list: &str, id: &str) -> String {
    let encoded: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("{list}/{}", encoded.replace('+', "%20"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use server::clock::parse_rfc3339;

    fn at(text: &str) -> Millis {
        parse_rfc3339(text).expect("a time")
    }

    #[test]
    fn credits_are_grouped_and_signed() {
        let cases = [
            (7_612 * MICRO, "7,612", "+7,612"),
            (-281 * MICRO, "−281", "−281"),
            (250_000, "0.25", "+0.25"),
            (1_234_500_000, "1,234.5", "+1,234.5"),
            (0, "0", "0"),
        ];
        for (micros, plain, moved) in cases {
            let amount = Credits::from_micros(micros);
            assert_eq!(credits(amount), plain);
            assert_eq!(movement(amount), moved);
        }
        assert_eq!(rounded(Credits::from_micros(1_499_999)), "1");
        assert_eq!(rounded(Credits::from_micros(1_500_000)), "2");
        assert_eq!(with_unit(Credits::from_micros(MICRO)), "1 credit");
    }

    #[test]
    fn one_credit_has_a_price() {
        let cases = [
            (1_200_000, "usd", "$0.012"),
            (1_000_000, "usd", "$0.01"),
            (150_000_000, "usd", "$1.50"),
            (12_345, "eur", "€0.000123"),
            (5_000_000, "jpy", "¥5"),
            (1_000_000, "chf", "0.01 CHF"),
        ];
        for (micros, currency, text) in cases {
            assert_eq!(unit_price(micros, currency), text);
        }
        let pack = Credits::from_micros(500 * MICRO);
        assert_eq!(price_each(1_000, pack, "usd"), "$0.02");
    }

    #[test]
    fn times_name_their_day() {
        let noon = at("2026-10-22T14:02:11Z");
        assert_eq!(stamp(noon), "22 Oct 2026, 14:02 UTC");
        assert_eq!(week_day(noon), "Thu 22 Oct");
    }

    #[test]
    fn periods_are_written_without_their_end() {
        let cases = [
            ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "1–31 October 2026"),
            ("2026-10-22T00:00:00Z", "2026-11-22T00:00:00Z", "22 Oct 2026 – 21 Nov 2026"),
        ];
        for (start, end, text) in cases {
            assert_eq!(period(at(start), at(end)), text);
        }
    }

    #[test]
    fn an_id_cannot_leave_its_place_in_an_address() {
        let cases = [
            ("evt_1A.b-c", "/inbox/evt_1A.b-c"),
            ("a/../b?c=d#e f+g", "/inbox/a%2F..%2Fb%3Fc%3Dd%23e%20f%2Bg"),
        ];
        for (id, path) in cases {
            assert_eq!(path_to("/inbox", id), path);
        }
    }

    #[test]
    fn waiting_is_told_in_days_or_hours() {
        let cases = [(9 * DAY + HOUR, "in 9 days"), (DAY, "in 24 hours"), (-1, "now")];
        for (left, text) in cases {
            assert_eq!(until(0, left), text);
        }
    }
}
