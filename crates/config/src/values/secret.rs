//! Text that must not be shown.

use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use crate::node::Origin;

/// A password, token or key. `Debug`, `Display` and `Serialize` give `[redacted]`; only
/// [`expose`](Self::expose) gives the text.
///
/// Two secrets are equal when their texts are, whatever their origins, so that a reload sees a rotated
/// password and nothing else.
#[derive(Clone)]
pub struct Secret {
    text: Arc<str>,
    origin: Origin,
}

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// The newtype name by which the reader of this crate recognises a secret and hands over its origin.
pub(crate) const SECRET_TYPE: &str = "$dbintel_config::Secret";
pub(crate) const ORIGIN_INLINE: &str = "inline";
pub(crate) const ORIGIN_ENVIRONMENT: &str = "environment";
pub(crate) const ORIGIN_FILE: &str = "file";

// === impl Secret ===

impl Secret {
    /// A secret that was not configured: from a test, or from another program. Counts as inline.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self { text: text.into(), origin: Origin::Inline }
    }

    /// A secret with its origin.
    pub fn with_origin(text: impl Into<Arc<str>>, origin: Origin) -> Self {
        Self { text: text.into(), origin }
    }

    /// The text. Do not log it, do not put it in an error or a label.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Where it came from. Inside `#[serde(flatten)]` and untagged enums, where serde keeps only the text,
    /// always `Inline`.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(SECRET_TYPE, SecretVisitor)
    }
}

/// Sees through the newtype that only this crate's reader looks at.
struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret text")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Reads text from any deserializer, and `{origin: text}` from ours: no other answers a request for a
/// string with a map.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        let Some((origin, text)) = map.next_entry::<String, String>()? else {
            return Err(de::Error::invalid_length(0, &self));
        };
        let origin = match origin.as_str() {
            ORIGIN_ENVIRONMENT => Origin::Environment,
            ORIGIN_FILE => Origin::File,
            _ => Origin::Inline,
        };
        Ok(Secret::with_origin(text, origin))
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A secret; write a reference, not the secret itself.",
            "format": "password",
            "writeOnly": true,
            "examples": ["${env:NAME}", "${file:/run/secrets/name}"],
        })
    }
}
