//! An amount of bytes.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

use super::{ValueError, text_serialize};

/// An amount of bytes: `64MiB`, `512KiB`, `1GB`, or a plain number of bytes.
///
/// `KiB`, `MiB`, `GiB`, `TiB` (and Kubernetes' `Ki`, `Mi`, `Gi`, `Ti`) count in 1024, `kB`, `MB`, `GB`,
/// `TB` in 1000. Capitals do not matter, a space before the unit is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

const EXPECTED: ValueError = ValueError::new("a size such as 64MiB");
const EXPECTED_SMALLER: ValueError = ValueError::new("a size below 16 EiB");
const EXPECTED_POSITIVE: ValueError = ValueError::new("a size of 0 or more, such as 64MiB");

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Units to read, and in this order to print in.
const UNITS: [(&str, u64); 9] = [
    ("TiB", TIB),
    ("GiB", GIB),
    ("MiB", MIB),
    ("KiB", KIB),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];
const KUBERNETES_UNITS: [(&str, u64); 4] = [("Ti", TIB), ("Gi", GIB), ("Mi", MIB), ("Ki", KIB)];

// === impl ByteSize ===

impl ByteSize {
    /// A number of bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A number of kibibytes; the largest possible size if that is too much.
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib.saturating_mul(KIB))
    }

    /// A number of mebibytes; the largest possible size if that is too much.
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib.saturating_mul(MIB))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let bytes_per_unit = if unit.is_empty() { 1 } else { unit_bytes(unit).ok_or(EXPECTED)? };
        scaled(number, bytes_per_unit).map(Self)
    }
}

fn unit_bytes(unit: &str) -> Option<u64> {
    let mut known = UNITS.iter().chain(&KUBERNETES_UNITS);
    known.find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, bytes)| *bytes)
}

/// `number × unit` for a decimal number; the part below one byte is cut off.
fn scaled(number: &str, bytes_per_unit: u64) -> Result<u64, ValueError> {
    const FRACTION_DIGITS_MAX: usize = 15;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return Err(EXPECTED);
    }
    let fraction = fraction.get(..FRACTION_DIGITS_MAX).unwrap_or(fraction);
    let divisor = (0..fraction.len()).fold(1_u128, |divisor, _| divisor * 10);
    let whole: u64 = whole.parse().map_err(|_| EXPECTED_SMALLER)?;
    let fraction: u64 = fraction.parse().map_err(|_| EXPECTED)?;
    let bytes = u128::from(whole) * u128::from(bytes_per_unit)
        + u128::from(fraction) * u128::from(bytes_per_unit) / divisor;
    u64::try_from(bytes).map_err(|_| EXPECTED_SMALLER)
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes));
        match exact {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => write!(f, "{}B", self.0),
        }
    }
}

text_serialize!(ByteSize);

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ByteSizeVisitor)
    }
}

pub(super) struct ByteSizeVisitor;

impl Visitor<'_> for ByteSizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED.expected())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(|error: ValueError| error.of_text(text))
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
        Ok(ByteSize(bytes))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
        let negative = || E::invalid_value(Unexpected::Signed(bytes), &EXPECTED_POSITIVE.expected());
        u64::try_from(bytes).map(ByteSize).map_err(|_| negative())
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "description": "An amount of bytes: a number with a unit (KiB, MiB, GiB, TiB, kB, MB, GB, TB), or of bytes.",
            "pattern": r"^\d+(\.\d+)? ?([kKmMgGtT]([iI][bB]?|[bB])|[bB])?$",
            "minimum": 0,
            "examples": ["64MiB", "512KiB", "1GB", 1048576],
        })
    }
}
