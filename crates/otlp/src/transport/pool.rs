//! Connections, and one exchange on one of them.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::body::Parts;
use super::failure;
use crate::outcome::{FailureKind, Outcome, RESPONSE_BYTES_MAX};

/// How long an unused connection is kept: less than servers and load balancers keep theirs, so that a request rarely
/// meets a connection that is being closed.
pub const IDLE_MAX: Duration = Duration::from_secs(30);
/// Unused connections that are kept. Senders are few.
const IDLE_CONNECTIONS_MAX: usize = 8;
/// Silence after which the kernel asks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

type HyperClient = Client<HttpsConnector<HttpConnector>, Parts>;

/// The connections to one backend.
pub(super) struct Pool {
    connector: HttpsConnector<HttpConnector>,
    only_http2: bool,
    current: Mutex<Current>,
}

struct Current {
    generation: u64,
    client: HyperClient,
}

/// An answer, as far as it could be read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: ReadBody,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum ReadBody {
    /// All of it.
    Whole { bytes: Bytes, trailers: HeaderMap },
    /// It is longer than [`RESPONSE_BYTES_MAX`].
    TooLong,
    /// The connection ended before it did.
    CutOff,
}

impl Pool {
    pub(super) fn new(tls: ClientConfig, server_name: Option<ServerName<'static>>, only_http2: bool) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(KEEPALIVE));
        let mut builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        if let Some(name) = server_name {
            builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
        }
        let connector = if only_http2 {
            builder.enable_http2().wrap_connector(http)
        } else {
            builder.enable_all_versions().wrap_connector(http)
        };
        let current = Mutex::new(Current { generation: 0, client: client(&connector, only_http2) });
        Self { connector, only_http2, current }
    }

    /// One request and its answer, within the timeout.
    ///
    /// # Errors
    /// What the failure means.
    pub(super) async fn exchange(
        &self,
        request: Request<Parts>,
        timeout: Duration,
    ) -> Result<Answer, Outcome> {
        let (generation, client) = {
            let current = self.current.lock();
            (current.generation, current.client.clone())
        };
        match tokio::time::timeout(timeout, exchange(&client, request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(failure::outcome(&error)),
            Err(_elapsed) => {
                self.abandon(generation);
                let text = format!("no answer within {timeout:?}");
                Err(Outcome::retry(FailureKind::Timeout, text))
            }
        }
    }

    /// Makes later requests use new connections. Requests that are under way keep theirs.
    fn abandon(&self, generation: u64) {
        let mut current = self.current.lock();
        if current.generation == generation {
            current.generation += 1;
            current.client = client(&self.connector, self.only_http2);
        }
    }

    #[cfg(test)]
    pub(super) fn generation(&self) -> u64 {
        self.current.lock().generation
    }
}

fn client(connector: &HttpsConnector<HttpConnector>, only_http2: bool) -> HyperClient {
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .http2_only(only_http2)
        .build(connector.clone())
}

async fn exchange(
    client: &HyperClient,
    request: Request<Parts>,
) -> Result<Answer, hyper_util::client::legacy::Error> {
    let (head, body) = client.request(request).await?.into_parts();
    let body = match Limited::new(body, RESPONSE_BYTES_MAX).collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().cloned().unwrap_or_default();
            let bytes = collected.to_bytes();
            ReadBody::Whole { bytes, trailers }
        }
        Err(error) if is_too_long(&*error) => ReadBody::TooLong,
        Err(_) => ReadBody::CutOff,
    };
    Ok(Answer { status: head.status, headers: head.headers, body })
}

fn is_too_long(error: &(dyn Error + 'static)) -> bool {
    error.is::<LengthLimitError>()
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("only_http2", &self.only_http2).finish_non_exhaustive()
    }
}
