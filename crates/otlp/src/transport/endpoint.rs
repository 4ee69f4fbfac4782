//! Addresses, by the Collector's rules.
//!
//! `otlp`: `host:port`, with TLS unless `insecure` is set; a scheme decides instead. `otlphttp`: a base URL to which
//! `/v1/metrics` and `/v1/logs` are added, or a whole URL per signal, used as it is.

use std::fmt;

use dbintel_model::Signal;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// Where a gRPC backend listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcEndpoint {
    authority: Authority,
    secure: bool,
}

/// A URL to which requests of one signal are posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpEndpoint(Uri);

/// Why a text is no endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is nothing.
    #[error("the endpoint is empty; write host:port, such as otlp.example:4317")]
    Empty,
    /// It is not an address.
    #[error("not an address; write host:port, such as otlp.example:4317")]
    NotAnAddress,
    /// It has no port.
    #[error("the endpoint has no port from 1 to 65535; OTLP over gRPC is usually at 4317")]
    NoPort,
    /// It has a path.
    #[error("an endpoint of OTLP over gRPC has no path; for a URL with a path use the otlphttp exporter")]
    Path,
    /// It is a kind of address that is not supported.
    #[error("this scheme is not supported; write host:port, http://host:port or https://host:port")]
    Scheme,
    /// It is no URL.
    #[error("not a URL; write the whole of it, such as https://otlp.example:4318")]
    NotAUrl,
    /// It has a user or password.
    #[error(
        "the endpoint has a user or password; write them as a header, with the value from the environment"
    )]
    User,
}

// === impl GrpcEndpoint ===

impl GrpcEndpoint {
    /// An endpoint as written; `insecure` counts where no scheme is written.
    ///
    /// # Errors
    /// [`EndpointError`] for what is not `host:port` with or without a scheme.
    pub fn parse(text: &str, insecure: bool) -> Result<Self, EndpointError> {
        let (secure, rest) = match text.split_once("://") {
            None => (!insecure, text),
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            // `dns:///host:port` is the name of grpc-go for what everybody means.
            Some(("dns", rest)) => (!insecure, rest.strip_prefix('/').ok_or(EndpointError::Scheme)?),
            Some(_) => return Err(EndpointError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            return Err(EndpointError::Empty);
        }
        if rest.contains('@') {
            return Err(EndpointError::User);
        }
        if rest.contains('/') {
            return Err(if text.starts_with("unix:") { EndpointError::Scheme } else { EndpointError::Path });
        }
        let authority: Authority = rest.parse().map_err(|_| EndpointError::NotAnAddress)?;
        if authority.host().is_empty() {
            return Err(EndpointError::NotAnAddress);
        }
        if authority.port_u16().is_none_or(|port| port == 0) {
            return Err(EndpointError::NoPort);
        }
        Ok(Self { authority, secure })
    }

    /// Whether the connection uses TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    pub(super) fn uri(&self, path: &'static str) -> Uri {
        let scheme = if self.secure { Scheme::HTTPS } else { Scheme::HTTP };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(scheme);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        // Scheme, authority and path are all there, so this cannot fail.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl fmt::Display for GrpcEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

// === impl HttpEndpoint ===

impl HttpEndpoint {
    /// The URL of one signal, used as it is.
    ///
    /// # Errors
    /// [`EndpointError`] for what is not an `http` or `https` URL without user and password.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        if url.is_empty() {
            return Err(EndpointError::Empty);
        }
        let uri: Uri = url.parse().map_err(|_| EndpointError::NotAUrl)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(if url.contains("://") { EndpointError::Scheme } else { EndpointError::NotAUrl });
        }
        let authority = uri.authority().ok_or(EndpointError::NotAUrl)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::User);
        }
        if authority.host().is_empty() {
            return Err(EndpointError::NotAUrl);
        }
        Ok(Self(uri))
    }

    /// The URL of a signal below a base URL.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn below(base: &str, signal: Signal) -> Result<Self, EndpointError> {
        let path = signal.as_str();
        let (base, query) = base.split_once('?').map_or((base, None), |(base, query)| (base, Some(query)));
        let base = base.trim_end_matches('/');
        match query {
            None => Self::parse(&format!("{base}/v1/{path}")),
            Some(query) => Self::parse(&format!("{base}/v1/{path}?{query}")),
        }
    }

    /// Whether the connection uses TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    pub(super) fn uri(&self) -> Uri {
        self.0.clone()
    }
}

impl fmt::Display for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_endpoints() {
        let check = |text: &str, insecure, expected: Result<&str, EndpointError>| {
            let found = GrpcEndpoint::parse(text, insecure).map(|endpoint| endpoint.to_string());
            assert_eq!(found, expected.map(str::to_owned), "{text}");
        };
        check("otlp.example:4317", false, Ok("https://otlp.example:4317"));
        check("localhost:4317", true, Ok("http://localhost:4317"));
        check("[::1]:4317", true, Ok("http://[::1]:4317"));
        check("http://localhost:4317", false, Ok("http://localhost:4317"));
        check("https://localhost:4317/", true, Ok("https://localhost:4317"));
        check("dns:///localhost:4317", true, Ok("http://localhost:4317"));
        check("", false, Err(EndpointError::Empty));
        check("http://", false, Err(EndpointError::Empty));
        check("localhost", false, Err(EndpointError::NoPort));
        check("localhost:x", false, Err(EndpointError::NoPort));
        check("localhost:0", false, Err(EndpointError::NoPort));
        check(":4317", false, Err(EndpointError::NotAnAddress));
        check("a b:4317", false, Err(EndpointError::NotAnAddress));
        check("user:pw@localhost:4317", false, Err(EndpointError::User));
        check("https://localhost:4317/v1/metrics", false, Err(EndpointError::Path));
        check("unix:///run/x.sock", false, Err(EndpointError::Scheme));
        check("dns://1.1.1.1/localhost:4317", false, Err(EndpointError::Scheme));
        let endpoint = GrpcEndpoint::parse("a:1", false).unwrap();
        assert_eq!(endpoint.uri("/a.B/C").to_string(), "https://a:1/a.B/C");
    }

    #[test]
    fn http_endpoints() {
        let check = |base: &str, expected: Result<&str, EndpointError>| {
            let found = HttpEndpoint::below(base, Signal::Metrics).map(|endpoint| endpoint.to_string());
            assert_eq!(found, expected.map(str::to_owned), "{base}");
        };
        check("http://localhost:4318", Ok("http://localhost:4318/v1/metrics"));
        check("https://otlp.example/", Ok("https://otlp.example/v1/metrics"));
        check("https://otlp.example/otlp/", Ok("https://otlp.example/otlp/v1/metrics"));
        check("https://otlp.example/a?b=c", Ok("https://otlp.example/a/v1/metrics?b=c"));
        check("localhost:4318", Err(EndpointError::NotAUrl));
        check("ftp://localhost", Err(EndpointError::Scheme));
        check("https://user:pw@localhost", Err(EndpointError::User));
        check("https://", Err(EndpointError::NotAUrl));
        let exact = HttpEndpoint::parse("https://otlp.example/insert?x=1").unwrap();
        assert_eq!(exact.to_string(), "https://otlp.example/insert?x=1");
        assert!(exact.is_secure());
        assert_eq!(HttpEndpoint::parse(""), Err(EndpointError::Empty));
    }
}
