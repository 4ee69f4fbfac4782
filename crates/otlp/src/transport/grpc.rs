//! OTLP over gRPC: one unary call per request, with the frame put before a body that is ready.

use std::time::Duration;

use bytes::Bytes;
use dbintel_model::Signal;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, TE};
use http::{Method, Request, StatusCode};

use super::body::Parts;
use super::pool::{Answer, ReadBody};
use super::{Client, GrpcEndpoint};
use crate::outcome::{FailureKind, GrpcStatus, Outcome, of_grpc};

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// `grpc-timeout` has at most eight digits.
const GRPC_TIMEOUT_MAX: Duration = Duration::from_millis(99_999_999);
/// Flag and length before a message.
const FRAME_HEADER_BYTES: usize = 5;

impl Client {
    pub(super) async fn send_grpc(&self, endpoint: &GrpcEndpoint, signal: Signal, body: Bytes) -> Outcome {
        let request = self.grpc_request(endpoint, signal, body);
        match self.pool.exchange(request, self.settings.timeout).await {
            Ok(answer) => self.grpc_outcome(&answer),
            Err(outcome) => outcome,
        }
    }

    fn grpc_request(&self, endpoint: &GrpcEndpoint, signal: Signal, body: Bytes) -> Request<Parts> {
        let encoding = self.settings.compression.encoding();
        let header = frame_header(encoding.is_some(), body.len());
        let mut request = Request::new(Parts([Bytes::copy_from_slice(&header), body]));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.uri(path(signal));
        let headers = request.headers_mut();
        *headers = self.headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if let Some(encoding) = encoding {
            headers.insert(GRPC_ENCODING, HeaderValue::from_static(encoding));
        }
        let timeout = self.settings.timeout.min(GRPC_TIMEOUT_MAX).as_millis();
        if let Ok(value) = HeaderValue::from_str(&format!("{timeout}m")) {
            headers.insert(GRPC_TIMEOUT, value);
        }
        request
    }

    /// The status is in the trailers, or in the headers of an answer without a body.
    fn grpc_outcome(&self, answer: &Answer) -> Outcome {
        if answer.status != StatusCode::OK || !is_grpc(answer) {
            let status = GrpcStatus::of_headers(&answer.headers);
            let status = status.unwrap_or_else(|| GrpcStatus::of_http(answer.status));
            return of_grpc(&status, &[], &self.secrets);
        }
        let (bytes, trailers) = match &answer.body {
            ReadBody::Whole { bytes, trailers } => (bytes, trailers),
            // Servers send a message with success alone.
            ReadBody::TooLong => {
                return Outcome::warning("the backend's answer is too long to be read".to_owned());
            }
            ReadBody::CutOff => return no_status(),
        };
        match GrpcStatus::of_headers(trailers).or_else(|| GrpcStatus::of_headers(&answer.headers)) {
            Some(status) => of_grpc(&status, message(bytes), &self.secrets),
            None => no_status(),
        }
    }
}

/// Without a status nobody knows what became of the request.
fn no_status() -> Outcome {
    let text = "the backend's answer ended without a status".to_owned();
    Outcome::retry(FailureKind::Protocol, text)
}

fn is_grpc(answer: &Answer) -> bool {
    let content_type = answer.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    content_type.is_some_and(|value| value.starts_with(b"application/grpc"))
}

const fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    }
}

fn frame_header(compressed: bool, length: usize) -> [u8; FRAME_HEADER_BYTES] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [u8::from(compressed), a, b, c, d]
}

/// The message in the frame. We accept no compression, so one that is compressed, or a broken frame, cannot be read;
/// the outcome says so.
fn message(body: &[u8]) -> &[u8] {
    const UNREADABLE: &[u8] = &[0xff];
    match body.split_first_chunk::<FRAME_HEADER_BYTES>() {
        None if body.is_empty() => &[],
        Some(([0, length @ ..], message)) => {
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            message.get(..length).unwrap_or(UNREADABLE)
        }
        _ => UNREADABLE,
    }
}
