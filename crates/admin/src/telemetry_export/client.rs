//! Carries requests from the SDK's threads, which have no runtime, to one that has.
//!
//! The SDK's exporters block a thread of their own on [`Jobs`]; [`Courier`] sends from the export's own runtime. So
//! neither needs the other's kind of thread, and headers, time and TLS are ours.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dbintel_model::{Clock, Text};
use dbintel_pipeline::status::{State, StatusHandle};
use dbintel_pipeline::telemetry::Registry;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use tokio::sync::{mpsc, oneshot};

use super::{TelemetryExportContext, TelemetryExportError};
use crate::config::{OtlpConfig, TelemetryConfig};
use crate::definitions;

/// Bytes read of a backend's answer.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Requests that wait or are under way: one for each signal.
const JOBS_MAX: usize = 2;

/// The SDK's side.
#[derive(Clone, Debug)]
pub(super) struct Jobs {
    jobs: mpsc::Sender<Job>,
    registry: Registry,
    clock: Arc<dyn Clock>,
    status: StatusHandle,
}

/// Sends requests of one signal.
#[derive(Debug)]
pub(super) struct SignalClient {
    jobs: Jobs,
    signal: &'static str,
    headers: HeaderMap,
    timeout: Duration,
}

struct Job {
    request: Request<Bytes>,
    timeout: Duration,
    answer: oneshot::Sender<Result<Response<Bytes>, HttpError>>,
}

/// The runtime's side.
pub(super) struct Courier {
    jobs: mpsc::Receiver<Job>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

// === impl Jobs ===

impl Jobs {
    pub(super) fn new(cx: &TelemetryExportContext, status: StatusHandle) -> (Self, Waiting) {
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        let jobs = Self { jobs, registry: cx.registry.clone(), clock: Arc::clone(&cx.clock), status };
        (jobs, Waiting(waiting))
    }

    /// A client for one signal.
    pub(super) fn of_signal(
        self,
        signal: &'static str,
        config: &OtlpConfig,
    ) -> Result<SignalClient, TelemetryExportError> {
        Ok(SignalClient { jobs: self, signal, headers: headers(config)?, timeout: config.timeout })
    }

    async fn carry(&self, request: Request<Bytes>, timeout: Duration) -> Result<Response<Bytes>, HttpError> {
        let (answer, answered) = oneshot::channel();
        let job = Job { request, timeout, answer };
        self.jobs.send(job).await.map_err(|_| "the export has ended")?;
        answered.await.map_err(|_| "the export has ended")?
    }
}

/// The receiving end of [`Jobs`].
pub(super) struct Waiting(mpsc::Receiver<Job>);

fn headers(config: &OtlpConfig) -> Result<HeaderMap, TelemetryExportError> {
    let mut headers = HeaderMap::new();
    for (name, secret) in config.headers.iter() {
        let invalid = || TelemetryExportError::Header(name.to_owned());
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| invalid())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

// === impl SignalClient ===

#[async_trait]
impl HttpClient for SignalClient {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        request.headers_mut().extend(self.headers.clone());
        let result = self.jobs.carry(request, self.timeout).await;
        let failure = match &result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the backend answered {}", response.status())),
            Err(error) => Some(chain(error.as_ref())),
        };
        self.note(failure);
        result
    }
}

impl SignalClient {
    /// Counts the request, and says once when things change.
    fn note(&self, failure: Option<String>) {
        let outcome = if failure.is_none() { "success" } else { "failure" };
        let labels = vec![("signal", Text::Static(self.signal)), ("outcome", Text::Static(outcome))];
        self.jobs.registry.counter(&definitions::TELEMETRY_EXPORTS, labels).increment();
        let (now, signal) = (self.jobs.clock.now(), self.signal);
        match failure {
            None => {
                if self.jobs.status.succeeded(now) {
                    tracing::info!(signal, "own telemetry is sent");
                }
            }
            Some(reason) => {
                let state = State::Degraded(format!("own {signal} are not sent: {reason}").into());
                if self.jobs.status.set(state, now) {
                    tracing::warn!(signal, %reason, "own telemetry is not sent");
                }
            }
        }
    }
}

/// The error and what caused it, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

// === impl Courier ===

impl Courier {
    pub(super) fn try_new(config: &TelemetryConfig, waiting: Waiting) -> Result<Self, TelemetryExportError> {
        let metrics = config.metrics_push.as_ref().map(|push| &push.otlp);
        let spans = config.spans_push.as_ref().map(|push| &push.otlp);
        let is_secure = metrics.into_iter().chain(spans).any(|otlp| otlp.url.is_secure());
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(is_secure)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self { jobs: waiting.0, client: Client::builder(TokioExecutor::new()).build(connector) })
    }

    /// Sends until nobody can ask any more.
    pub(super) async fn run(mut self) {
        let client = &self.client;
        futures_util::stream::poll_fn(|cx| self.jobs.poll_recv(cx))
            .for_each_concurrent(JOBS_MAX, |job| async move {
                let sent = tokio::time::timeout(job.timeout, send(client, job.request)).await;
                let result = sent.unwrap_or_else(|_| {
                    Err(format!("no answer within {} ms", job.timeout.as_millis()).into())
                });
                // The SDK may have given up waiting.
                drop(job.answer.send(result));
            })
            .await;
    }
}

async fn send(
    client: &Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let response = client.request(request.map(Full::new)).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// The system's certificate authorities, where TLS is needed at all.
fn tls(is_secure: bool) -> Result<rustls::ClientConfig, TelemetryExportError> {
    let mut roots = rustls::RootCertStore::empty();
    if is_secure {
        let found = rustls_native_certs::load_native_certs();
        let (added, _ignored) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err(TelemetryExportError::NoCertificates);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TelemetryExportError::Tls)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
