//! A length of time in Go's syntax, as the Collector writes it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration as StdDuration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

use super::{ValueError, text_serialize};

/// A length of time: `10s`, `500ms`, `1m30s`, `1.5h`. Never negative; at most 584 years.
///
/// The units are `ns`, `us` (`µs`), `ms`, `s`, `m` and `h`. A number without a unit is an error, except 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(StdDuration);

const EXPECTED: ValueError = ValueError::new("a duration such as 10s");
const EXPECTED_UNIT: ValueError = ValueError::new("a duration (write a unit: 10s)");
const EXPECTED_NO_DAYS: ValueError = ValueError::new("a duration such as 168h (the largest unit is h)");
const EXPECTED_SMALLER: ValueError = ValueError::new("a duration below 584 years");

const NANOS_PER_UNIT: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000), // U+00B5, micro sign
    ("μs", 1_000), // U+03BC, Greek mu
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

// === impl Duration ===

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(StdDuration::ZERO);

    /// A number of seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(StdDuration::from_secs(secs))
    }

    /// A number of milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(StdDuration::from_millis(millis))
    }

    /// The standard library's type.
    pub const fn get(self) -> StdDuration {
        self.0
    }

    /// Whether it is 0.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<Duration> for StdDuration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<StdDuration> for Duration {
    fn from(duration: StdDuration) -> Self {
        Self(duration)
    }
}

impl FromStr for Duration {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "0" {
            return Ok(Self::ZERO);
        }
        if text.is_empty() {
            return Err(EXPECTED);
        }
        let mut rest = text;
        let mut nanos = 0_u64;
        while !rest.is_empty() {
            let (part, tail) = leading_part(rest)?;
            nanos = nanos.checked_add(part).ok_or(EXPECTED_SMALLER)?;
            rest = tail;
        }
        Ok(Self(StdDuration::from_nanos(nanos)))
    }
}

/// The nanoseconds of the first number and unit of `text`, and what follows them.
fn leading_part(text: &str) -> Result<(u64, &str), ValueError> {
    let is_digit = |c: char| c.is_ascii_digit();
    let (whole, rest) = split_while(text, is_digit);
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => split_while(after, is_digit),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(EXPECTED);
    }
    let (unit, rest) = split_while(rest, |c| !c.is_ascii_digit() && c != '.');
    let nanos_per_unit = unit_nanos(unit)?;
    Ok((scaled(whole, fraction, nanos_per_unit)?, rest))
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !keep(c)).unwrap_or(text.len()))
}

fn unit_nanos(unit: &str) -> Result<u64, ValueError> {
    match NANOS_PER_UNIT.iter().find(|(name, _)| *name == unit) {
        Some((_, nanos)) => Ok(*nanos),
        None if unit.is_empty() => Err(EXPECTED_UNIT),
        None if matches!(unit, "d" | "w" | "day" | "days") => Err(EXPECTED_NO_DAYS),
        None => Err(EXPECTED),
    }
}

/// `whole.fraction × unit`, the part below a nanosecond cut off as Go does.
fn scaled(whole: &str, fraction: &str, nanos_per_unit: u64) -> Result<u64, ValueError> {
    /// More digits than a nanosecond of an hour has are not significant.
    const FRACTION_DIGITS_MAX: usize = 15;
    let digits = |text: &str| {
        if text.is_empty() { Ok(0) } else { text.parse::<u64>() }
    };
    let whole = digits(whole).map_err(|_| EXPECTED_SMALLER)?;
    let fraction = fraction.get(..FRACTION_DIGITS_MAX).unwrap_or(fraction);
    let divisor = (0..fraction.len()).fold(1_u128, |divisor, _| divisor * 10);
    let fraction = u128::from(digits(fraction).map_err(|_| EXPECTED)?) * u128::from(nanos_per_unit) / divisor;
    let whole = u128::from(whole) * u128::from(nanos_per_unit);
    u64::try_from(whole + fraction).map_err(|_| EXPECTED_SMALLER)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.0.as_secs(), self.0.subsec_nanos());
        if secs == 0 {
            return fmt_below_second(f, nanos);
        }
        let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if secs > 0 || nanos > 0 {
            fmt_decimal(f, secs, nanos, 9)?;
            f.write_str("s")?;
        }
        Ok(())
    }
}

fn fmt_below_second(f: &mut fmt::Formatter<'_>, nanos: u32) -> fmt::Result {
    match nanos {
        0 => f.write_str("0s"),
        1..1_000 => write!(f, "{nanos}ns"),
        1_000..1_000_000 => {
            fmt_decimal(f, (nanos / 1_000).into(), nanos % 1_000, 3)?;
            f.write_str("us")
        }
        _ => {
            fmt_decimal(f, (nanos / 1_000_000).into(), nanos % 1_000_000, 6)?;
            f.write_str("ms")
        }
    }
}

/// `whole.fraction` without trailing zeros; `fraction` has `digits` decimal digits.
fn fmt_decimal(f: &mut fmt::Formatter<'_>, whole: u64, fraction: u32, digits: usize) -> fmt::Result {
    write!(f, "{whole}")?;
    if fraction > 0 {
        let fraction = format!("{fraction:0digits$}");
        write!(f, ".{}", fraction.trim_end_matches('0'))?;
    }
    Ok(())
}

text_serialize!(Duration);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED.expected())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        text.parse().map_err(|error: ValueError| error.of_text(text))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Duration, E> {
        match number {
            0 => Ok(Duration::ZERO),
            _ => Err(E::invalid_type(Unexpected::Unsigned(number), &EXPECTED_UNIT.expected())),
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Duration, E> {
        match number {
            0 => Ok(Duration::ZERO),
            ..0 => Err(E::invalid_type(Unexpected::Signed(number), &EXPECTED.expected())),
            1.. => Err(E::invalid_type(Unexpected::Signed(number), &EXPECTED_UNIT.expected())),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Duration, E> {
        Err(E::invalid_type(Unexpected::Float(number), &EXPECTED_UNIT.expected()))
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "description": "A duration with units: ns, us, ms, s, m, h.",
            "pattern": r"^(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$",
            "maximum": 0,
            "minimum": 0,
            "examples": ["10s", "500ms", "1m30s", "1h"],
        })
    }
}
