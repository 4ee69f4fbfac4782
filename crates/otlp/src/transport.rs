//! Sends requests over gRPC and HTTP.
//!
//! Promises:
//! * a body goes out as it was encoded and compressed; gRPC's frame is put before it, nothing is copied or encoded
//!   again;
//! * certificates and host names are verified unless the settings say otherwise; system roots are read only where a
//!   TLS endpoint uses them; redirects are not followed, since they would send headers elsewhere;
//! * a request ends within its timeout, and every end is an [`Outcome`]; transport failures are retried, since nobody
//!   can know whether the backend took the request;
//! * connections are made when needed, kept for [`IDLE_MAX`], and abandoned after a timeout: an HTTP/2 connection to a
//!   machine that is gone would otherwise swallow every request until the kernel gives up.
//!
//! gRPC runs on the same HTTP client as HTTP, so that there is one TLS stack and one connection pool; `tonic` is only
//! what the tests compare with. Its status reader panics on a malformed `grpc-status-details-bin`.

mod body;
mod endpoint;
mod failure;
mod grpc;
mod http;
mod pool;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use dbintel_model::{Clock, Signal};

pub use self::endpoint::{EndpointError, GrpcEndpoint, HttpEndpoint};
pub use self::pool::IDLE_MAX;
use self::pool::Pool;
pub use self::tls::{ClientCertificate, PEM_BYTES_MAX, TlsError, TlsSettings};
use crate::compress::Compression;
use crate::encode::Format;
use crate::outcome::Outcome;

/// What we call ourselves.
pub const USER_AGENT: &str = concat!("dbintel/", env!("CARGO_PKG_VERSION"));

/// How to reach a backend. Two equal settings need no new client.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Where, and by which protocol.
    pub protocol: Protocol,
    /// Whom to trust, and who we are.
    pub tls: TlsSettings,
    /// Sent with every request. Values are marked as sensitive by [`secret_header`].
    pub headers: HeaderMap,
    /// How bodies are compressed before they are given to [`Client::send`].
    pub compression: Compression,
    /// A request that has no answer after this time has failed.
    pub timeout: Duration,
}

/// One of the two protocols of OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc(GrpcEndpoint),
    /// OTLP/HTTP.
    Http {
        /// Where metrics go.
        metrics: HttpEndpoint,
        /// Where logs go.
        logs: HttpEndpoint,
        /// How bodies are written.
        format: Format,
    },
}

/// A backend.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    /// Texts that must not come back in messages.
    secrets: Vec<String>,
    pool: Pool,
    clock: Arc<dyn Clock>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Headers that the protocol sets itself.
const RESERVED_HEADERS: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-encoding",
    "grpc-timeout",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header of the user would break the protocol.
#[must_use]
pub fn is_reserved_header(name: &HeaderName) -> bool {
    RESERVED_HEADERS.contains(&name.as_str())
}

/// A header value that no `Debug` output shows; `None` for text that is not a header value.
#[must_use]
pub fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

// === impl Protocol ===

impl Protocol {
    /// How bodies are written.
    #[must_use]
    pub const fn format(&self) -> Format {
        match self {
            Self::Grpc(_) => Format::Protobuf,
            Self::Http { format, .. } => *format,
        }
    }

    fn is_secure(&self) -> bool {
        match self {
            Self::Grpc(endpoint) => endpoint.is_secure(),
            Self::Http { metrics, logs, .. } => metrics.is_secure() || logs.is_secure(),
        }
    }
}

// === impl Client ===

impl Client {
    /// A client. Reads certificates; connects with the first request.
    ///
    /// # Errors
    /// [`ClientError`] where a certificate or key cannot be used.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let tls =
            if settings.protocol.is_secure() { settings.tls.load()? } else { TlsSettings::trust_nobody()? };
        let only_http2 = matches!(settings.protocol, Protocol::Grpc(_));
        let pool = Pool::new(tls, settings.tls.server_name()?, only_http2);
        let values = settings.headers.values().filter_map(|value| value.to_str().ok());
        let secrets = values.flat_map(secret_parts).map(str::to_owned).collect();
        Ok(Self { settings, secrets, pool, clock })
    }

    /// Sends one request, whose body was written and compressed as the settings say.
    pub async fn send(&self, signal: Signal, body: Bytes) -> Outcome {
        match &self.settings.protocol {
            Protocol::Grpc(endpoint) => self.send_grpc(endpoint, signal, body).await,
            Protocol::Http { metrics, logs, format } => {
                let endpoint = match signal {
                    Signal::Metrics => metrics,
                    Signal::Logs | Signal::Traces => logs,
                };
                self.send_http(endpoint, *format, body).await
            }
        }
    }

    /// The user's headers, and who we are unless the user says who.
    fn headers(&self) -> HeaderMap {
        let mut headers = self.settings.headers.clone();
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        headers
    }
}

/// `Bearer abc` is a secret, and so is `abc`.
fn secret_parts(value: &str) -> impl Iterator<Item = &str> {
    let credentials = value.split_once(' ').map(|(_, credentials)| credentials);
    std::iter::once(value).chain(credentials)
}

#[cfg(test)]
mod tests;
