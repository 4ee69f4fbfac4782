//! What every request must pass before it is answered.
//!
//! * `GET` and `HEAD` only.
//! * The host a request names is one of ours ([`Hosts`]).
//! * Answers carry headers that forbid a browser to guess types, run scripts, embed or keep them.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use dbintel_config::hosts::Hosts;
use dbintel_model::Text;
use dbintel_pipeline::telemetry::Registry;
use http::header::{self, HeaderName};
use http::{HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::Incoming;
use tower::ServiceExt as _;

use super::REQUEST_TIME_MAX;
use crate::config::Listen;
use crate::definitions;

const ANSWER_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// Stands before one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    endpoint: &'static str,
    hosts: Hosts,
    registry: Registry,
}

/// Why a request was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Method,
    Host,
    Time,
}

// === impl Guard ===

impl Guard {
    /// A guard for an endpoint that listens at `address`; `listen` says how that was written.
    pub(super) fn new(
        endpoint: &'static str,
        listen: &Listen,
        address: SocketAddr,
        registry: &Registry,
    ) -> Self {
        let hosts = Hosts::of(address, listen.host());
        Self { endpoint, hosts, registry: registry.clone() }
    }

    pub(super) const fn endpoint(&self) -> &'static str {
        self.endpoint
    }

    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Answers a request, or turns it away.
    pub(super) async fn answer(
        &self,
        router: Router,
        request: Request<Incoming>,
    ) -> Result<Response, Infallible> {
        let request = request.map(Body::new);
        let mut response = match self.refusal(&request) {
            Some(refusal) => self.refuse(refusal),
            None => match tokio::time::timeout(REQUEST_TIME_MAX, router.oneshot(request)).await {
                Ok(Ok(response)) => response,
                Err(_elapsed) => self.refuse(Refusal::Time),
            },
        };
        for (name, value) in ANSWER_HEADERS {
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }

    fn refusal<B>(&self, request: &Request<B>) -> Option<Refusal> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Some(Refusal::Method);
        }
        let is_admitted = self.hosts.admit(authorities(request), request.version() == Version::HTTP_10);
        (!is_admitted).then_some(Refusal::Host)
    }

    fn refuse(&self, refusal: Refusal) -> Response {
        let labels =
            vec![("endpoint", Text::Static(self.endpoint)), ("reason", Text::Static(refusal.as_str()))];
        self.registry.counter(&definitions::ADMIN_REFUSED, labels).increment();
        refusal.response()
    }
}

/// What the request names as its host: in its target, and in each header.
fn authorities<B>(request: &Request<B>) -> impl Iterator<Item = Option<&str>> {
    let of_target = request.uri().authority().map(|authority| Some(authority.as_str()));
    let of_headers = request.headers().get_all(header::HOST);
    of_target.into_iter().chain(of_headers.iter().map(|value| value.to_str().ok()))
}

// === impl Refusal ===

impl Refusal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Host => "host",
            Self::Time => "time",
        }
    }

    fn response(self) -> Response {
        match self {
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                [(header::ALLOW, "GET, HEAD")],
                "only GET and HEAD\n",
            )
                .into_response(),
            Self::Host => (
                StatusCode::FORBIDDEN,
                "this endpoint is bound to loopback and answers only requests that name localhost, 127.0.0.1, [::1] \
                 or the configured host\n",
            )
                .into_response(),
            Self::Time => (StatusCode::SERVICE_UNAVAILABLE, "no answer in time\n").into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(listen: &str, address: &str) -> Guard {
        let address = format!("{address}:1").parse().unwrap();
        Guard::new("test", &Listen::new(listen, 1), address, &Registry::default())
    }

    fn request(host: Option<&str>) -> Request<()> {
        let mut request = Request::get("/").body(()).unwrap();
        if let Some(host) = host {
            request.headers_mut().insert(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        request
    }

    #[test]
    fn a_host_that_is_not_ours_is_turned_away() {
        let guard = guard("metrics.local", "127.0.0.1");
        assert_eq!(guard.refusal(&request(Some("metrics.local:1"))), None);
        assert_eq!(guard.refusal(&request(Some("evil.example"))), Some(Refusal::Host));
    }

    #[test]
    fn two_hosts_must_both_be_ours_and_the_target_counts_too() {
        let guard = guard("127.0.0.1", "127.0.0.1");
        let mut two = request(Some("localhost"));
        two.headers_mut().append(header::HOST, HeaderValue::from_static("evil.example"));
        assert_eq!(guard.refusal(&two), Some(Refusal::Host));
        let mut absolute = request(Some("localhost"));
        *absolute.uri_mut() = "http://evil.example/".parse().unwrap();
        assert_eq!(guard.refusal(&absolute), Some(Refusal::Host));
    }

    #[test]
    fn no_host_is_for_http_1_0_alone() {
        let guard = guard("127.0.0.1", "127.0.0.1");
        let mut nameless = request(None);
        assert_eq!(guard.refusal(&nameless), Some(Refusal::Host));
        *nameless.version_mut() = Version::HTTP_10;
        assert_eq!(guard.refusal(&nameless), None);
    }

    #[test]
    fn beyond_loopback_any_host_is_answered_but_no_other_method() {
        let guard = guard("0.0.0.0", "0.0.0.0");
        let mut request = request(Some("dbintel.monitoring.svc"));
        assert_eq!(guard.refusal(&request), None);
        *request.method_mut() = Method::POST;
        assert_eq!(guard.refusal(&request), Some(Refusal::Method));
    }
}
