//! A share of something.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

use super::{ValueError, text_serialize};

/// A whole percentage from 1 to 100: `80%` or `80`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percentage(u8);

const EXPECTED: ValueError = ValueError::new("a percentage from 1% to 100%");

// === impl Percentage ===

impl Percentage {
    /// A percentage.
    ///
    /// # Errors
    /// When it is not from 1 to 100.
    pub const fn try_new(percent: u8) -> Result<Self, ValueError> {
        match percent {
            1..=100 => Ok(Self(percent)),
            _ => Err(EXPECTED),
        }
    }

    /// The number, from 1 to 100.
    pub const fn percent(self) -> u8 {
        self.0
    }

    /// The share of 1, above 0 and at most 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// That share of an amount, rounded down.
    pub fn of(self, amount: u64) -> u64 {
        u64::try_from(u128::from(amount) * u128::from(self.0) / 100).unwrap_or(amount)
    }
}

impl FromStr for Percentage {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = text.strip_suffix('%').unwrap_or(text);
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(EXPECTED);
        }
        number.parse::<u8>().map_err(|_| EXPECTED).and_then(Self::try_new)
    }
}

impl fmt::Display for Percentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

text_serialize!(Percentage);

impl<'de> Deserialize<'de> for Percentage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PercentageVisitor)
    }
}

struct PercentageVisitor;

impl Visitor<'_> for PercentageVisitor {
    type Value = Percentage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED.expected())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Percentage, E> {
        text.parse().map_err(|error: ValueError| error.of_text(text))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Percentage, E> {
        let percent = u8::try_from(number).map_err(|_| EXPECTED).and_then(Percentage::try_new);
        percent.map_err(|error| E::invalid_value(Unexpected::Unsigned(number), &error.expected()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Percentage, E> {
        let negative = || E::invalid_value(Unexpected::Signed(number), &EXPECTED.expected());
        u64::try_from(number).map_err(|_| negative()).and_then(|number| self.visit_u64(number))
    }
}

impl JsonSchema for Percentage {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Percentage".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "description": "A whole percentage from 1% to 100%.",
            "pattern": r"^0*([1-9]\d?|100)%?$",
            "minimum": 1,
            "maximum": 100,
            "examples": ["80%", 80],
        })
    }
}
