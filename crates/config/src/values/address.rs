//! A server that may be written as an endpoint or as a URL.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Endpoint, HttpUrl, ValueError, text_serde};

/// A server as `host:port` or as an `http(s)` URL: OTLP exporters take both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// `host:port` or a Unix socket; whether TLS is spoken is said elsewhere.
    Endpoint(Endpoint),
    /// A URL; its scheme says whether TLS is spoken.
    Url(HttpUrl),
}

// === impl Address ===

impl Address {
    /// Host and port, or the Unix socket.
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Endpoint(endpoint) => endpoint,
            Self::Url(url) => url.authority(),
        }
    }

    /// Whether the scheme asks for TLS; `None` when there is no scheme.
    pub fn is_secure(&self) -> Option<bool> {
        match self {
            Self::Endpoint(_) => None,
            Self::Url(url) => Some(url.is_secure()),
        }
    }
}

impl FromStr for Address {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_path = text.starts_with("unix:") || text.starts_with('/');
        let is_url = text.contains("://") && !is_path;
        if is_url { text.parse().map(Self::Url) } else { text.parse().map(Self::Endpoint) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(endpoint) => endpoint.fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

text_serde!(Address);

impl JsonSchema for Address {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let forms = [generator.subschema_for::<Endpoint>(), generator.subschema_for::<HttpUrl>()];
        json_schema!({ "description": "host:port, or an http(s) URL.", "anyOf": forms })
    }
}
