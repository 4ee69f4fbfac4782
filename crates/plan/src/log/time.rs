//! Times of the log.

const MICROS: i64 = 1_000_000;

/// `2026-11-21 14:14:21.123 UTC` in microseconds since 1970. `None` for a zone that only its name describes, such as
/// `CET`: the same letters mean different zones.
pub(super) fn micros(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ' ');
    let (date, clock, zone) = (parts.next()?, parts.next()?, parts.next()?);
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.splitn(3, ':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let is_valid = (1_970..=9_999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !is_valid {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
    Some(seconds * MICROS + fraction_micros(fraction)?)
}

/// `1795270461.123` in microseconds.
pub(super) fn epoch_micros(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.')?;
    number(seconds)?.checked_mul(MICROS)?.checked_add(fraction_micros(fraction)?)
}

/// A number of at most ten digits and nothing else.
fn number(digits: &str) -> Option<i64> {
    let well_formed = (1..=10).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    well_formed.then(|| digits.parse().ok())?
}

fn fraction_micros(digits: &str) -> Option<i64> {
    let places = u32::try_from(digits.len()).ok().filter(|places| *places <= 6)?;
    Some(number(digits)? * 10_i64.pow(6 - places))
}

/// Seconds that the zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "UTC" | "GMT" | "UCT" | "Z") {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (digits, "0"),
        4 => digits.split_at_checked(2)?,
        _ => return None,
    };
    Some(sign * (number(hours)? * 3_600 + number(minutes)? * 60))
}

/// Days since 1970-01-01 in the Gregorian calendar, counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_where_the_zone_is_known() {
        let seconds = |text: &str| micros(text).map(|micros| micros as f64 / 1e6);
        assert_eq!(seconds("1970-01-01 00:00:00 UTC"), Some(0.0));
        assert_eq!(seconds("2000-02-29 00:00:00 GMT"), Some(951_782_400.0));
        assert_eq!(seconds("2026-11-21 14:14:21.123 UTC"), Some(1_795_270_461.123));
        assert_eq!(seconds("2026-11-21 17:14:21.123 +03"), Some(1_795_270_461.123));
        assert_eq!(seconds("2026-11-21 10:44:21.123 -0330"), Some(1_795_270_461.123));
        for odd in [
            "2026-11-21 14:14:21 CET",
            "2026-13-21 14:14:21 UTC",
            "2026-11-21 14:14 UTC",
            "2026-11-21 14:14:21.1234567 UTC",
            "99999999999-11-21 14:14:21 UTC",
            "",
        ] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
        assert_eq!(epoch_micros("1795270461.123"), Some(1_795_270_461_123_000));
        assert_eq!(epoch_micros("1795270461"), None);
    }
}
