//! Conditions on attributes, and which rule a record matches.
//!
//! How values are compared:
//! * `eq` and `ne` compare text with text byte by byte, numbers with numbers by their value, and true and false with
//!   `true` and `false`; a text attribute equals a number if it is written the same way, and a number attribute equals
//!   a text that is a number of the same value;
//! * `gt`, `gte`, `lt` and `lte` compare numbers with numbers; a text attribute fulfils none of them;
//! * `contains` and `regex` look into text; an attribute of another type fulfils neither. A pattern matches anywhere
//!   unless it has anchors, in time linear in the text, of which the first [`HAYSTACK_BYTES_MAX`] bytes are looked at;
//! * an attribute that is absent fulfils nothing but `exists: false`, not even `ne`.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use dbintel_model::{Number, Record, Server, ValueRef};
use regex::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::config::Rule;

/// Bytes of a pattern at most.
pub const PATTERN_BYTES_MAX: usize = 512;
/// Bytes of a compiled pattern at most.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 256 << 10;
/// Bytes of a text that a pattern looks at.
pub const HAYSTACK_BYTES_MAX: usize = 4 << 10;

/// How an attribute is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Operator {
    /// Equal.
    Eq,
    /// Present and not equal.
    Ne,
    /// A number above the value.
    Gt,
    /// A number not below the value.
    Gte,
    /// A number below the value.
    Lt,
    /// A number not above the value.
    Lte,
    /// A text in which the value occurs.
    Contains,
    /// Present, or absent with the value false.
    Exists,
    /// A text that the pattern matches.
    Regex,
}

/// A value to compare with, as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    text: Box<str>,
    number: Option<Number>,
}

/// A condition's operator with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Equals(Literal),
    Differs(Literal),
    Above(Number),
    AtLeast(Number),
    Below(Number),
    AtMost(Number),
    Contains(Box<str>),
    Exists(bool),
    Matches(Pattern),
}

/// A compiled pattern. Equal patterns are those written the same.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

/// A value that does not go with its operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TestError {
    /// Nothing to compare with.
    #[error("is missing: the operator compares with it")]
    Missing,
    /// Order needs a number.
    #[error("must be a number: gt, gte, lt and lte compare numbers")]
    NoNumber,
    /// `exists` knows two values.
    #[error("must be true or false; without it, exists means true")]
    NoBool,
    /// Everything contains nothing.
    #[error("must not be empty: every text contains it")]
    Empty,
    /// A pattern beyond the bound.
    #[error("must be a pattern of at most {PATTERN_BYTES_MAX} bytes")]
    PatternTooLong,
    /// A small pattern that is large when compiled.
    #[error("the pattern is too large when compiled; use smaller repetitions, or [a-z] instead of \\w")]
    PatternTooLarge,
    /// Not a pattern.
    #[error("is not a pattern: {0}")]
    Pattern(String),
}

/// Finds the first rule that a record matches. Every attribute is looked at once, whatever the number of rules.
#[derive(Debug)]
pub(super) struct Matcher {
    /// Sorted by attribute.
    tests: Vec<(Box<str>, Test)>,
    /// Positions in `tests`, by rule.
    rules: Vec<Vec<usize>>,
    /// What holds for every record of the server.
    base: Vec<bool>,
    held: Vec<bool>,
}

// === impl Operator ===

impl Operator {
    /// The operator as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Contains => "contains",
            Self::Exists => "exists",
            Self::Regex => "regex",
        }
    }
}

// === impl Literal ===

impl Literal {
    /// The value as text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn of_text(text: &str) -> Self {
        let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
        let number = Some(text).filter(|text| is_number(text)).and_then(|text| {
            let int = text.parse().ok().map(Number::Int);
            int.or_else(|| text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Double))
        });
        Self { text: text.into(), number }
    }

    pub(super) fn of_int(int: i64) -> Self {
        Self { text: int.to_string().into(), number: Some(Number::Int(int)) }
    }

    fn equals(&self, value: ValueRef<'_>) -> bool {
        let same =
            |number: Number| self.number.is_some_and(|own| compare(number, own) == Some(Ordering::Equal));
        match value {
            ValueRef::Text(text) => *self.text == *text,
            ValueRef::Int(int) => same(Number::Int(int)),
            ValueRef::Double(double) => same(Number::Double(double)),
            ValueRef::Bool(bool) => *self.text == *if bool { "true" } else { "false" },
        }
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LiteralVisitor;

        impl Visitor<'_> for LiteralVisitor {
            type Value = Literal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number, true or false")
            }

            fn visit_bool<E: Error>(self, bool: bool) -> Result<Literal, E> {
                Ok(Literal { text: if bool { "true" } else { "false" }.into(), number: None })
            }

            fn visit_i64<E: Error>(self, int: i64) -> Result<Literal, E> {
                Ok(Literal::of_int(int))
            }

            fn visit_u64<E: Error>(self, int: u64) -> Result<Literal, E> {
                Ok(Literal::of_text(&int.to_string()))
            }

            fn visit_f64<E: Error>(self, double: f64) -> Result<Literal, E> {
                let number = Some(double).filter(|double| double.is_finite()).map(Number::Double);
                Ok(Literal { text: double.to_string().into(), number })
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Literal, E> {
                Ok(Literal::of_text(text))
            }
        }

        deserializer.deserialize_any(LiteralVisitor)
    }
}

impl JsonSchema for Literal {
    fn schema_name() -> Cow<'static, str> {
        "Literal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}

// === impl Test ===

impl Test {
    pub(super) fn try_new(operator: Operator, value: Option<&Literal>) -> Result<Self, TestError> {
        if operator == Operator::Exists {
            return match value.map(Literal::text) {
                None | Some("true") => Ok(Self::Exists(true)),
                Some("false") => Ok(Self::Exists(false)),
                Some(_) => Err(TestError::NoBool),
            };
        }
        let value = value.ok_or(TestError::Missing)?;
        let number = || value.number.ok_or(TestError::NoNumber);
        Ok(match operator {
            Operator::Eq => Self::Equals(value.clone()),
            Operator::Ne => Self::Differs(value.clone()),
            Operator::Gt => Self::Above(number()?),
            Operator::Gte => Self::AtLeast(number()?),
            Operator::Lt => Self::Below(number()?),
            Operator::Lte => Self::AtMost(number()?),
            Operator::Contains if value.text.is_empty() => return Err(TestError::Empty),
            Operator::Contains | Operator::Exists => Self::Contains(value.text.clone()),
            Operator::Regex => Self::Matches(Pattern::try_new(&value.text)?),
        })
    }

    fn holds_if_absent(&self) -> bool {
        matches!(self, Self::Exists(false))
    }

    fn holds(&self, value: ValueRef<'_>) -> bool {
        let ordering = |number: &Number| order(value, *number);
        match self {
            Self::Equals(literal) => literal.equals(value),
            Self::Differs(literal) => !literal.equals(value),
            Self::Above(number) => ordering(number).is_some_and(Ordering::is_gt),
            Self::AtLeast(number) => ordering(number).is_some_and(Ordering::is_ge),
            Self::Below(number) => ordering(number).is_some_and(Ordering::is_lt),
            Self::AtMost(number) => ordering(number).is_some_and(Ordering::is_le),
            Self::Contains(part) => matches!(value, ValueRef::Text(text) if text.contains(&**part)),
            Self::Exists(wanted) => *wanted,
            Self::Matches(pattern) => matches!(value, ValueRef::Text(text) if pattern.matches(text)),
        }
    }
}

fn order(value: ValueRef<'_>, number: Number) -> Option<Ordering> {
    match value {
        ValueRef::Int(int) => compare(Number::Int(int), number),
        ValueRef::Double(double) => compare(Number::Double(double), number),
        ValueRef::Text(_) | ValueRef::Bool(_) => None,
    }
}

/// Whole numbers are compared exactly, others as doubles.
fn compare(a: Number, b: Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
        _ => a.as_f64().partial_cmp(&b.as_f64()),
    }
}

// === impl Pattern ===

impl Pattern {
    fn try_new(pattern: &str) -> Result<Self, TestError> {
        if pattern.is_empty() || pattern.len() > PATTERN_BYTES_MAX {
            return Err(TestError::PatternTooLong);
        }
        let built = RegexBuilder::new(pattern)
            .size_limit(PATTERN_COMPILED_BYTES_MAX)
            .dfa_size_limit(PATTERN_COMPILED_BYTES_MAX)
            .build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => TestError::PatternTooLarge,
            // The message shows the pattern on lines of its own; the last line says what is wrong with it.
            other => {
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default();
                TestError::Pattern(last.trim_start_matches("error: ").to_owned())
            }
        })
    }

    fn matches(&self, text: &str) -> bool {
        let end = text.floor_char_boundary(HAYSTACK_BYTES_MAX);
        text.get(..end).is_some_and(|start| self.0.is_match(start))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

// === impl Matcher ===

impl Matcher {
    /// For these rules, the first one asked first.
    pub(super) fn new(rules: &[Rule]) -> Self {
        let mut tests: Vec<(Box<str>, Test)> = Vec::new();
        for condition in rules.iter().flat_map(|rule| &rule.conditions) {
            let is_held =
                tests.iter().any(|(name, test)| **name == *condition.attribute && *test == condition.test);
            if !is_held {
                tests.push((condition.attribute.as_str().into(), condition.test.clone()));
            }
        }
        tests.sort_by(|(a, _), (b, _)| a.cmp(b));
        let place = |attribute: &str, wanted: &Test| {
            tests.iter().position(|(name, test)| **name == *attribute && test == wanted)
        };
        let of_rule = |rule: &Rule| {
            let conditions = rule.conditions.iter();
            conditions.filter_map(|condition| place(&condition.attribute, &condition.test)).collect()
        };
        let rules = rules.iter().map(of_rule).collect();
        let base = vec![false; tests.len()];
        Self { held: base.clone(), tests, rules, base }
    }

    /// Says whose records come next.
    pub(super) fn begin(&mut self, server: &Server) {
        self.base.clear();
        self.base.extend(self.tests.iter().map(|(_, test)| test.holds_if_absent()));
        for attribute in &server.resource {
            note(&self.tests, &mut self.base, &attribute.key, attribute.value.as_ref());
        }
    }

    /// The position of the first rule that the record matches; the number of rules if there is none.
    pub(super) fn first_match(&mut self, record: &Record) -> usize {
        if !self.tests.is_empty() {
            self.held.clone_from(&self.base);
            let (tests, held) = (&self.tests, &mut self.held);
            record.for_each_attribute(&mut |key, value| note(tests, held, key, value));
        }
        let holds = |place: &usize| self.held.get(*place).copied().unwrap_or(false);
        let matching = self.rules.iter().position(|places| places.iter().all(holds));
        matching.unwrap_or(self.rules.len())
    }
}

/// Notes which tests of this attribute hold.
fn note(tests: &[(Box<str>, Test)], held: &mut [bool], key: &str, value: ValueRef<'_>) {
    let first = tests.partition_point(|(name, _)| **name < *key);
    for ((name, test), held) in tests.iter().zip(held).skip(first) {
        if **name != *key {
            break;
        }
        *held = test.holds(value);
    }
}

#[cfg(test)]
mod tests;
