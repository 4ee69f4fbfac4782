//! Where to connect to or listen on.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{ValueError, text_serde};

/// A TCP address `host:port` (`db.example:5432`, `127.0.0.1:5432`, `[::1]:5432`), or the path of a Unix
/// socket (`/run/postgresql/.s.PGSQL.5432`, `unix:///run/dbintel.sock`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A host and a port.
    Tcp {
        /// A name or an address; an IPv6 address without its brackets. Never empty.
        host: String,
        /// The port; 0 only for listening, where it means any.
        port: u16,
    },
    /// A Unix socket. The path is absolute.
    Unix(PathBuf),
}

const HOST_CHARS_MAX: usize = 253;

const EXPECTED: ValueError = ValueError::new("an endpoint such as localhost:5432");
const EXPECTED_HOST: ValueError =
    ValueError::new("an endpoint with a host, such as localhost:5432, or 0.0.0.0:5432 to listen on all");
const EXPECTED_PORT: ValueError =
    ValueError::new("an endpoint with a port from 0 to 65535, such as localhost:5432");
const EXPECTED_NO_SCHEME: ValueError =
    ValueError::new("an endpoint without a scheme or path, such as localhost:5432");
const EXPECTED_BRACKETS: ValueError =
    ValueError::new("an endpoint with an IPv6 address in brackets, such as [::1]:5432");
const EXPECTED_ABSOLUTE: ValueError =
    ValueError::new("the absolute path of a Unix socket, such as unix:///run/dbintel.sock");

// === impl Endpoint ===

impl Endpoint {
    /// A TCP endpoint.
    ///
    /// # Errors
    /// When the host is empty or has characters that no host name or address has.
    pub fn tcp(host: &str, port: u16) -> Result<Self, ValueError> {
        check_host(host)?;
        Ok(Self::Tcp { host: host.to_owned(), port })
    }

    /// The host of a TCP endpoint.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp { host, .. } => Some(host),
            Self::Unix(_) => None,
        }
    }

    /// The port of a TCP endpoint.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } => Some(*port),
            Self::Unix(_) => None,
        }
    }

    /// The path of a Unix socket.
    pub fn unix_path(&self) -> Option<&Path> {
        match self {
            Self::Tcp { .. } => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// Whether only this machine can be meant: `localhost`, a loopback address, a Unix socket.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => {
                let address = host.parse::<std::net::IpAddr>();
                host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
            }
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Endpoint {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path.strip_prefix("//").unwrap_or(path));
        }
        if text.starts_with('/') {
            return unix(text);
        }
        if text.contains('/') {
            return Err(EXPECTED_NO_SCHEME);
        }
        let (host, port) = text.rsplit_once(':').ok_or(EXPECTED_PORT)?;
        let host = unbracketed(host)?;
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_number).ok_or(EXPECTED_PORT)?;
        Self::tcp(host, port)
    }
}

fn unix(path: &str) -> Result<Endpoint, ValueError> {
    let is_socket = path.len() > 1 && path.starts_with('/') && !path.contains('\0');
    is_socket.then(|| Endpoint::Unix(path.into())).ok_or(EXPECTED_ABSOLUTE)
}

fn unbracketed(host: &str) -> Result<&str, ValueError> {
    match host.strip_prefix('[') {
        Some(rest) => {
            let address = rest.strip_suffix(']').ok_or(EXPECTED_BRACKETS)?;
            if address.contains(':') { Ok(address) } else { Err(EXPECTED_BRACKETS) }
        }
        None if host.contains(':') => Err(EXPECTED_BRACKETS),
        None => Ok(host),
    }
}

fn check_host(host: &str) -> Result<(), ValueError> {
    if host.is_empty() {
        return Err(EXPECTED_HOST);
    }
    if host.contains(':') {
        let (address, zone) = host.split_once('%').unwrap_or((host, "0"));
        let is_zone = !zone.is_empty() && zone.bytes().all(is_name_byte);
        return if address.parse::<Ipv6Addr>().is_ok() && is_zone { Ok(()) } else { Err(EXPECTED_BRACKETS) };
    }
    let is_name = host.len() <= HOST_CHARS_MAX && host.bytes().all(is_name_byte);
    if is_name { Ok(()) } else { Err(EXPECTED) }
}

/// Host names in practice have underscores too (Docker Compose, Windows).
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

text_serde!(Endpoint);

impl JsonSchema for Endpoint {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "host:port, or the path of a Unix socket.",
            "pattern": r"^((\[[0-9a-fA-F:.]+(%[A-Za-z0-9._-]+)?\]|[A-Za-z0-9._-]+):\d{1,5}|(unix:(//)?)?/.+)$",
            "examples": ["localhost:5432", "[::1]:5432", "/run/postgresql/.s.PGSQL.5432"],
        })
    }
}
