//! Numbers and times for people.

use std::time::Duration;

use dbintel_model::Timestamp;

/// What stands for a number nobody has.
pub(crate) const UNKNOWN: &str = "–";

/// A count with its thousands apart: `1,234,567`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, for display")]
pub(crate) fn count(value: f64) -> String {
    let digits = (value.max(0.0).round() as u64).to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count, or the sign for an unknown one.
pub(crate) fn count_or_unknown(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), count)
}

/// Bytes with the unit that fits.
pub(crate) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = value.max(0.0);
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// A time span in the two units that matter: `4 d 3 h`, `2 min 5 s`, `1.50 s`, `12.3 ms`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        86_400.. => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
        3_600.. => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        60.. => format!("{} min {} s", seconds / 60, seconds % 60),
        1.. => format!("{:.2} s", duration.as_secs_f64()),
        0 => below_a_second(duration),
    }
}

fn below_a_second(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros >= 1_000.0 { format!("{:.1} ms", micros / 1_000.0) } else { format!("{micros:.0} µs") }
}

/// The same from a number of seconds.
pub(crate) fn seconds(value: f64) -> String {
    Duration::try_from_secs_f64(value.max(0.0)).map_or_else(|_| UNKNOWN.to_owned(), span)
}

/// A moment and how long ago it was: `2026-11-21 04:43:25 UTC (2 min 5 s ago)`.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({} ago)", clock_time(at), ago(at, now))
}

/// A moment to the second, in UTC.
pub(crate) fn clock_time(at: Timestamp) -> String {
    let text = at.to_string();
    let to_second = text.split('.').next().unwrap_or(&text);
    format!("{} UTC", to_second.replace('T', " "))
}

/// How long ago a moment was, in whole seconds.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    match now.since(at).as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => span(Duration::from_secs(seconds)),
    }
}

/// A share in percent.
pub(crate) fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.1} %", part / whole * 100.0) } else { UNKNOWN.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0.0, 999.0, 1_000.0, 1_234_567.4].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 1_023.0, 1_024.0, 1_572_864.0].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.5 MiB"]);
        assert_eq!(
            [0.000_012, 0.012_34, 1.5, 125.0, 3_725.0, 360_000.0].map(seconds),
            ["12 µs", "12.3 ms", "1.50 s", "2 min 5 s", "1 h 2 min", "4 d 4 h"]
        );
        assert_eq!(seconds(f64::NAN), "0 µs");
        assert_eq!(percent(1.0, 0.0), UNKNOWN);
    }

    #[test]
    fn moments_tell_how_long_ago() {
        let at = Timestamp::from_nanos(1_795_236_205_123_456_789);
        let now = at.plus(Duration::from_secs(125));
        assert_eq!(moment(at, now), "2026-11-21 04:43:25 UTC (2 min 5 s ago)");
        assert_eq!(ago(now, at), "0 s");
    }
}
