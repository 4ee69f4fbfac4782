//! Milliseconds as OpenTelemetry's configuration of SDKs writes them.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};

/// A time: a plain number of milliseconds, as the field `interval` of a reader has it in the Collector, or a duration
/// with a unit (`60s`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Millis(Duration);

const EXPECTED: &str = "a number of milliseconds such as 60000, or a duration such as 60s";

// === impl Millis ===

impl Millis {
    /// The time.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MillisVisitor)
    }
}

struct MillisVisitor;

impl Visitor<'_> for MillisVisitor {
    type Value = Millis;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Millis, E> {
        Ok(Millis(Duration::from_millis(millis)))
    }

    fn visit_i64<E: de::Error>(self, millis: i64) -> Result<Millis, E> {
        u64::try_from(millis)
            .map(|millis| Millis(Duration::from_millis(millis)))
            .map_err(|_| E::invalid_value(Unexpected::Signed(millis), &EXPECTED))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Millis, E> {
        text.parse::<dbintel_config::values::Duration>()
            .map(|duration| Millis(duration.get()))
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &EXPECTED))
    }
}

impl JsonSchema for Millis {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Millis".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "description": "A number of milliseconds, or a duration with units.",
            "minimum": 0,
            "examples": [60000, "60s"],
        })
    }
}
