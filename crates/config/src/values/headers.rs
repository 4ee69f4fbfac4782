//! Headers of requests.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

use super::Secret;

/// Request headers, names to secret values: `{api-key: "${env:KEY}"}`, or as the Collector also writes
/// them, `[{name: api-key, value: "${env:KEY}"}]`.
///
/// Names are kept as written and differ in more than capitals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(BTreeMap<String, Secret>);

const HEADERS_MAX: usize = 128;

// === impl Headers ===

impl Headers {
    /// The headers in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of a header, whatever the capitals of its name.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn add<E: de::Error>(&mut self, name: String, value: Secret) -> Result<(), E> {
        if !is_header_name(&name) {
            return Err(E::custom("a header name has letters, digits and `-`, such as api-key"));
        }
        if !value.expose().bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f)) {
            return Err(E::custom("a header value is one line without control characters"));
        }
        if self.get(&name).is_some() {
            return Err(E::custom(format_args!("header `{name}` is given twice")));
        }
        if self.len() == HEADERS_MAX {
            return Err(E::custom(format_args!("more than {HEADERS_MAX} headers")));
        }
        self.0.insert(name, value);
        Ok(())
    }
}

/// A token of RFC 9110, section 5.6.2.
fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

impl<N: Into<String>> FromIterator<(N, Secret)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, Secret)>>(headers: I) -> Self {
        Self(headers.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name}: {value}")?;
        }
        Ok(())
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadersVisitor)
    }
}

struct HeadersVisitor;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedHeader {
    name: String,
    value: Secret,
}

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of header names to values")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Headers, E> {
        Ok(Headers::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::default();
        while let Some((name, value)) = map.next_entry()? {
            headers.add(name, value)?;
        }
        Ok(headers)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::default();
        while let Some(NamedHeader { name, value }) = items.next_element()? {
            headers.add(name, value)?;
        }
        Ok(headers)
    }
}

impl JsonSchema for Headers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret = generator.subschema_for::<Secret>();
        json_schema!({
            "description": "Request headers: a map of names to secret values, or a list of name and value.",
            "anyOf": [
                { "type": "object", "additionalProperties": secret },
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name", "value"],
                        "additionalProperties": false,
                        "properties": { "name": { "type": "string" }, "value": secret },
                    },
                },
            ],
            "examples": [{ "api-key": "${env:API_KEY}" }],
        })
    }
}
