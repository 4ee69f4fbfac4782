//! A limit on memory, absolute or relative.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::byte_size::ByteSizeVisitor;
use super::{ByteSize, Percentage, ValueError, text_serialize};

/// A limit on memory: `512MiB`, a plain number of bytes, or `80%` of what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemoryLimit {
    /// So many bytes.
    Bytes(ByteSize),
    /// A share of the memory of the container, or of the machine.
    Share(Percentage),
}

const EXPECTED: ValueError = ValueError::new("a size such as 512MiB or a percentage such as 80%");

// === impl MemoryLimit ===

impl MemoryLimit {
    /// The limit in bytes where `total_bytes` are available.
    pub fn resolve(self, total_bytes: u64) -> ByteSize {
        match self {
            Self::Bytes(size) => size,
            Self::Share(share) => ByteSize::from_bytes(share.of(total_bytes)),
        }
    }
}

impl FromStr for MemoryLimit {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.ends_with('%') {
            return text.parse().map(Self::Share);
        }
        text.parse().map(Self::Bytes).map_err(|_| EXPECTED)
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(size) => size.fmt(f),
            Self::Share(share) => share.fmt(f),
        }
    }
}

text_serialize!(MemoryLimit);

impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemoryLimitVisitor)
    }
}

struct MemoryLimitVisitor;

impl Visitor<'_> for MemoryLimitVisitor {
    type Value = MemoryLimit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED.expected())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<MemoryLimit, E> {
        text.parse().map_err(|error: ValueError| error.of_text(text))
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<MemoryLimit, E> {
        ByteSizeVisitor.visit_u64(bytes).map(MemoryLimit::Bytes)
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<MemoryLimit, E> {
        ByteSizeVisitor.visit_i64(bytes).map(MemoryLimit::Bytes)
    }
}

impl JsonSchema for MemoryLimit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MemoryLimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "description": "An amount of bytes, or a percentage of the memory available.",
            "pattern": r"^(0*([1-9]\d?|100)%|\d+(\.\d+)? ?([kKmMgGtT]([iI][bB]?|[bB])|[bB])?)$",
            "minimum": 0,
            "examples": ["512MiB", "80%"],
        })
    }
}
