//! Attributes of a record: their values, and what is written as text although it is none.

use std::borrow::Cow;

use dbintel_model::{Timestamp, Value};

use crate::fields::{Field, Fields};
use crate::json::{Json, Malformed, Raw};

/// An attribute of the line that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    pub(crate) field: Field,
    pub(crate) key: &'a [u8],
    pub(crate) value: Read<'a>,
}

/// A value of an attribute as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Read<'a> {
    Text(Raw<'a>),
    Int(i64),
    Double(f64),
    Bool(bool),
    /// A list, a map, bytes, or nothing: no attribute of ours is one.
    Other,
}

/// Appends all attributes of an array of `KeyValue`.
pub(crate) fn read_all<'a>(
    json: &mut Json<'a>,
    fields: &mut Fields,
    out: &mut Vec<Attribute<'a>>,
) -> Result<(), Malformed> {
    fields.begin();
    json.array(|json| {
        let (key, value) = match compact(json) {
            Some(pair) => pair,
            None => key_value(json)?,
        };
        out.push(Attribute { field: fields.of(key), key, value });
        Ok(())
    })
}

/// A `KeyValue` as encoders write it: no white space, the key first. `None` takes nothing.
fn compact<'a>(json: &mut Json<'a>) -> Option<(&'a [u8], Read<'a>)> {
    let mut ahead = *json;
    if !ahead.literal(b"{\"key\":\"") {
        return None;
    }
    let key = ahead.string_rest().ok()?;
    if !ahead.literal(b",\"value\":{\"") {
        return None;
    }
    let value = if ahead.literal(b"stringValue\":\"") {
        Read::Text(ahead.string_rest().ok()?)
    } else if ahead.literal(b"intValue\":") {
        Read::int(ahead.number().ok()?)
    } else if ahead.literal(b"doubleValue\":") {
        Read::double(ahead.number().ok()?)
    } else if ahead.literal(b"boolValue\":") {
        Read::Bool(ahead.truth().ok()?)
    } else {
        return None;
    };
    if !ahead.literal(b"}}") {
        return None;
    }
    *json = ahead;
    Some((key.bytes, value))
}

/// A `KeyValue` as anybody may write it.
fn key_value<'a>(json: &mut Json<'a>) -> Result<(&'a [u8], Read<'a>), Malformed> {
    let (mut key, mut value): (&[u8], _) = (&[], Read::Other);
    json.object(|json, name| {
        match name {
            b"key" => key = json.string()?.bytes,
            b"value" => value = any_value(json)?,
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok((key, value))
}

fn any_value<'a>(json: &mut Json<'a>) -> Result<Read<'a>, Malformed> {
    let mut value = Read::Other;
    json.object(|json, name| {
        match name {
            b"stringValue" => value = Read::Text(json.string()?),
            b"intValue" => value = Read::int(json.number()?),
            b"doubleValue" => value = Read::double(json.number()?),
            b"boolValue" => value = Read::Bool(json.truth()?),
            _ => json.skip()?,
        }
        Ok(())
    })?;
    Ok(value)
}

// === impl Read ===

impl<'a> Read<'a> {
    fn int(digits: &[u8]) -> Self {
        signed(digits).map_or(Self::Other, Self::Int)
    }

    fn double(digits: &[u8]) -> Self {
        double(digits).map_or(Self::Other, Self::Double)
    }

    /// The text, if it is one.
    pub(crate) fn raw(self) -> Option<Raw<'a>> {
        if let Self::Text(raw) = self { Some(raw) } else { None }
    }

    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        self.raw().map(Raw::text)
    }

    /// A whole number, also one that is written as text.
    pub(crate) fn whole(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::Text(raw) => signed(raw.bytes),
            #[allow(clippy::cast_possible_truncation, reason = "whole and within the range of doubles")]
            Self::Double(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(number as i64),
            _ => None,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "counters are doubles, exact up to 2^53")]
    pub(crate) fn number(self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(number),
            Self::Int(number) => Some(number as f64),
            Self::Text(raw) => double(raw.bytes),
            _ => None,
        }
    }

    pub(crate) fn truth(self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(truth) } else { None }
    }

    pub(crate) fn time(self) -> Option<Timestamp> {
        time(self.raw()?.bytes)
    }

    pub(crate) fn hash64(self) -> Option<u64> {
        let digits = self.raw()?.bytes;
        (digits.len() == 16).then(|| hexadecimal(digits))?.and_then(|hash| u64::try_from(hash).ok())
    }

    pub(crate) fn hash128(self) -> Option<u128> {
        let digits = self.raw()?.bytes;
        (digits.len() == 32).then(|| hexadecimal(digits))?
    }

    /// As an attribute of a record; `None` for what records cannot hold.
    pub(crate) fn owned(self) -> Option<Value> {
        match self {
            Self::Text(raw) => Some(Value::Text(raw.text().into_owned().into())),
            Self::Int(number) => Some(Value::Int(number)),
            Self::Double(number) => Some(Value::Double(number)),
            Self::Bool(truth) => Some(Value::Bool(truth)),
            Self::Other => None,
        }
    }
}

/// A whole number; `None` where the bytes are none or where it does not fit.
pub(crate) fn unsigned(digits: &[u8]) -> Option<u64> {
    let digit = |number: u64, digit: &u8| {
        let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(value)
    };
    if digits.is_empty() { None } else { digits.iter().try_fold(0, digit) }
}

fn signed(digits: &[u8]) -> Option<i64> {
    match digits {
        [b'-', digits @ ..] => 0_i64.checked_sub_unsigned(unsigned(digits)?),
        _ => i64::try_from(unsigned(digits)?).ok(),
    }
}

fn double(digits: &[u8]) -> Option<f64> {
    match digits {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        [b'0'..=b'9' | b'-', ..] => {
            short_double(digits).or_else(|| std::str::from_utf8(digits).ok()?.parse().ok())
        }
        _ => None,
    }
}

/// A number of few digits: both of its parts are exact as doubles, and so is their quotient but for one rounding.
fn short_double(digits: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    if digits.len() >= POWERS.len() {
        return None;
    }
    let (mut number, mut decimals): (u64, Option<usize>) = (0, None);
    for digit in digits {
        match digit {
            b'0'..=b'9' => {
                number = number * 10 + u64::from(digit - b'0');
                decimals = decimals.map(|decimals| decimals + 1);
            }
            b'.' if decimals.is_none() => decimals = Some(0),
            _ => return None,
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "fewer than sixteen digits")]
    Some(number as f64 / POWERS.get(decimals.unwrap_or(0))?)
}

fn hexadecimal(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |hash: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(hash << 4 | u128::from(value))
    })
}

/// A time of RFC 3339 in UTC, with up to nine digits of a second; later ones are cut.
pub(crate) fn time(text: &[u8]) -> Option<Timestamp> {
    let (seconds, rest) = text.split_at_checked(19)?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', n1, n2, b':', s1, s2] =
        seconds
    else {
        return None;
    };
    let year = number(&[*y1, *y2, *y3, *y4])?;
    let [month, day] = [number(&[*m1, *m2])?, number(&[*d1, *d2])?];
    let [hour, minute, second] = [number(&[*h1, *h2])?, number(&[*n1, *n2])?, number(&[*s1, *s2])?];
    let is_sound = year >= 1970
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    let of_day = hour * 3_600 + minute * 60 + second;
    let seconds = is_sound.then(|| days_from_civil(year, month, day) * 86_400 + of_day)?;
    let nanos = nanoseconds(rest)?;
    Some(Timestamp::from_nanos(seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?))
}

/// `.000001Z`, or `Z` alone.
fn nanoseconds(text: &[u8]) -> Option<u64> {
    let digits = match text {
        [b'Z' | b'z'] => return Some(0),
        [b'.', digits @ .., b'Z' | b'z'] => digits,
        _ => return None,
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |place: usize| digits.get(place).map_or(0, |digit| u64::from(digit - b'0'));
    Some((0..9).fold(0, |nanos, place| nanos * 10 + digit(place)))
}

fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// Days since 1970-01-01 of a date from then on: the inverse of what `model::time` writes.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
const fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_come_in_several_lengths() {
        let nanos = |text: &str| time(text.as_bytes()).map(Timestamp::as_nanos);
        assert_eq!(nanos("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(nanos("2026-11-21T04:43:25.000001Z"), Some(1_795_236_205_000_001_000));
        assert_eq!(nanos("2026-11-21T04:43:25.5Z"), Some(1_795_236_205_500_000_000));
        for wrong in
            ["", "2026-11-21", "2026-13-21T04:43:25Z", "2026-11-21T04:43:25+01:00", "1969-12-31T23:59:59Z"]
        {
            assert_eq!(nanos(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_value_may_be_written_in_any_way() {
        let read = |line: &'static str| key_value(&mut Json::new(line.as_bytes())).unwrap().1;
        assert_eq!(read(r#"{"value": {"intValue": "-5"}, "key": "a"}"#).whole(), Some(-5));
        assert_eq!(read(r#"{ "key": "a", "value": { "intValue": 7 } }"#).whole(), Some(7));
        assert_eq!(read(r#"{"key":"a","value":{"doubleValue":2}}"#).number(), Some(2.0));
        assert_eq!(read(r#"{"key":"a","value":{"doubleValue":"Infinity"}}"#).number(), Some(f64::INFINITY));
        assert_eq!(read(r#"{"key":"a","value":{"boolValue":true}}"#).truth(), Some(true));
        assert!(matches!(read(r#"{"key":"a","value":{"arrayValue":{"values":[]}}}"#), Read::Other));
        assert!(matches!(read(r#"{"key":"a","value":{"intValue":"five"}}"#), Read::Other));
        assert!(matches!(read(r#"{"key":"a"}"#), Read::Other));
    }

    #[test]
    fn numbers_are_numbers() {
        let signed = |text: &str| signed(text.as_bytes());
        assert_eq!(signed("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(signed("9223372036854775807"), Some(i64::MAX));
        for wrong in ["", "-", "9223372036854775808", "+1", "1.0", "inf"] {
            assert_eq!(signed(wrong), None, "{wrong}");
        }
        for wrong in ["", "-", ".", "inf", "nan", "1e", "1.2.3", "0x10"] {
            assert_eq!(double(wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_time_that_was_written_is_read(micros in 0..9_000_000_000_000_000_u64) {
            let written = Timestamp::from_nanos(micros * 1_000);
            prop_assert_eq!(time(written.to_rfc3339().as_str().as_bytes()), Some(written));
        }

        #[test]
        fn a_double_is_read_as_the_standard_library_reads_it(text in "-?[0-9]{1,12}([.][0-9]{1,12})?(e-?[0-9]{1,3})?") {
            prop_assert_eq!(double(text.as_bytes()), text.parse().ok());
        }

        #[test]
        fn no_text_makes_a_time_of_itself_panic(text in "[0-9TZ:. -]{15,32}") {
            let _ = time(text.as_bytes());
        }
    }
}
