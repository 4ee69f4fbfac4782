//! The address of an HTTP server.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Endpoint, ValueError, text_serde};

/// An `http://` or `https://` URL. It has no user and no password (they belong into headers, as secrets)
/// and no fragment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpUrl {
    secure: bool,
    authority: Endpoint,
    port_written: bool,
    path: String,
}

const URL_CHARS_MAX: usize = 2048;

const EXPECTED: ValueError = ValueError::new("a URL such as https://otlp.example:4318");
const EXPECTED_NO_USER: ValueError = ValueError::new(
    "a URL without user and password (write them as headers), such as https://otlp.example:4318",
);

// === impl HttpUrl ===

impl HttpUrl {
    /// Whether it is `https`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host and port; the port is 80 or 443 when none is written.
    pub fn authority(&self) -> &Endpoint {
        &self.authority
    }

    /// Path and query as written; empty when there is none.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for HttpUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (secure, rest) = split_scheme(text).ok_or(EXPECTED)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(EXPECTED_NO_USER);
        }
        let is_path = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if text.len() > URL_CHARS_MAX || !is_path {
            return Err(EXPECTED);
        }
        let port_written = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let default_port = if secure { 443 } else { 80 };
        let endpoint =
            if port_written { authority.to_owned() } else { format!("{authority}:{default_port}") };
        let authority = endpoint.parse().map_err(|_| EXPECTED)?;
        Ok(Self { secure, authority, port_written, path: path.to_owned() })
    }
}

fn split_scheme(text: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some((false, rest)),
        "https" => Some((true, rest)),
        _ => None,
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "https://" } else { "http://" })?;
        let authority = self.authority.to_string();
        let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
        f.write_str(if self.port_written { &authority } else { host })?;
        f.write_str(&self.path)
    }
}

text_serde!(HttpUrl);

impl JsonSchema for HttpUrl {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HttpUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "An http or https URL without user and password.",
            "pattern": r"^[hH][tT][tT][pP][sS]?://[^\s/?#@]+([/?][^\s#]*)?$",
            "examples": ["http://localhost:4318", "https://otlp.example/v1/metrics"],
        })
    }
}
