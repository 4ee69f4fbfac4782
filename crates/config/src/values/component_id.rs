//! The name of a component.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{ValueError, text_serde};
use crate::limits::{COMPONENT_NAME_CHARS_MAX, COMPONENT_TYPE_CHARS_MAX};

/// The id of a component, `type` or `type/name`: `postgresql`, `otlphttp/backup`.
///
/// The type starts with a letter and has letters, digits and `_`; the name is any text without spaces,
/// symbols that YAML or `--set` would take for their own, and control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    kind: String,
    name: Option<String>,
}

const EXPECTED: ValueError = ValueError::new("a component id such as otlphttp or otlphttp/backup");
const EXPECTED_TYPE: ValueError =
    ValueError::new("a component id whose type has letters, digits and `_`, such as otlphttp/backup");
const EXPECTED_NAME: ValueError = ValueError::new(
    "a component id whose name has letters, digits and any of `-_.:/@+`, such as otlphttp/backup",
);

// === impl ComponentId ===

impl ComponentId {
    /// An id from its parts.
    ///
    /// # Errors
    /// When a part has characters that it may not have, or too many.
    pub fn try_new(kind: &str, name: Option<&str>) -> Result<Self, ValueError> {
        check_kind(kind)?;
        name.map_or(Ok(()), check_name)?;
        Ok(Self { kind: kind.to_owned(), name: name.map(str::to_owned) })
    }

    /// The type: what is before the first `/`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The name: what is after the first `/`.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl FromStr for ComponentId {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.split_once('/') {
            Some((kind, name)) => Self::try_new(kind, Some(name)),
            None => Self::try_new(text, None),
        }
    }
}

fn check_kind(kind: &str) -> Result<(), ValueError> {
    let Some(first) = kind.bytes().next() else {
        return Err(EXPECTED);
    };
    let is_word = kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_kind = first.is_ascii_alphabetic() && is_word && kind.len() <= COMPONENT_TYPE_CHARS_MAX;
    if is_kind { Ok(()) } else { Err(EXPECTED_TYPE) }
}

fn check_name(name: &str) -> Result<(), ValueError> {
    let is_name_char = |c: char| c.is_alphanumeric() || "-_.:/@+".contains(c);
    let is_name = !name.is_empty()
        && name.chars().all(is_name_char)
        && name.chars().count() <= COMPONENT_NAME_CHARS_MAX;
    if is_name { Ok(()) } else { Err(EXPECTED_NAME) }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        match &self.name {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

text_serde!(ComponentId);

impl JsonSchema for ComponentId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ComponentId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The id of a component: its type, or type/name.",
            "pattern": r"^[A-Za-z][A-Za-z0-9_]*(/.+)?$",
            "examples": ["otlphttp", "otlphttp/backup"],
        })
    }
}
