//! OTLP/gRPC: what a request must look like; answers come from the tonic servers that opentelemetry-proto generates.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use super::behaviour::{Malformed, RetryHint};
use super::body::{MESSAGE_BYTES_MAX, frame, unframe};
use super::exchange::{Call, Rejection, Reply, encoding, note_message};
use super::http1::{broken_body, html_page};
use super::received::Format;
use super::shared::{OpenAttempt, Shared};
use super::signal::{Export, PartialSuccess, Signal, logs_response, metrics_response, trace_response};
use super::status::RpcStatus;

/// Header that names the compression of the message.
const GRPC_ENCODING: &str = "grpc-encoding";
const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Signal and content of a request; the content is absent where only counts are kept.
pub(crate) fn inspect(
    shared: &Shared,
    open: &mut OpenAttempt,
    parts: &Parts,
    body: &Bytes,
) -> Result<(Signal, Option<Export>), Rejection> {
    check_headers(open, parts)?;
    let Some(signal) = Signal::of_grpc_path(parts.uri.path()) else {
        return Err(Rejection::violation(StatusCode::NOT_FOUND, Code::Unimplemented, "no such service"));
    };
    open.attempt.signal = Some(signal);
    open.attempt.format = Format::Protobuf;
    let encoding = encoding(shared, open, parts, GRPC_ENCODING)?;
    if !shared.keeps_content() {
        return Ok((signal, None));
    }
    let (message, _compressed) = unframe(encoding, body).map_err(Rejection::undecodable)?;
    note_message(open, &message);
    Ok((signal, Some(signal.decode_protobuf(&message).map_err(Rejection::undecodable)?)))
}

/// Success goes through the generated server, so that tonic judges the request too.
pub(crate) async fn render(open: &OpenAttempt, reply: Reply, call: Call) -> Response<Body> {
    match reply {
        Reply::Success(partial) => {
            let response = generated_server(call, partial).await;
            if let Some(status) = Status::from_header_map(response.headers())
                && status.code() != Code::Ok
            {
                open.violation(&format!("tonic refused the request: {status}"));
            }
            response
        }
        Reply::Error { .. } => render_error(&reply),
        Reply::Malformed(kind) => malformed(kind, call).await,
    }
}

/// A status without a message, in the headers.
pub(crate) fn render_error(reply: &Reply) -> Response<Body> {
    let Reply::Error { refusal, message, hint } = reply else {
        return html_page(StatusCode::OK);
    };
    let Some(hint) = hint else {
        return Status::new(refusal.grpc, message).into_http();
    };
    let delay = match hint {
        RetryHint::After(delay) | RetryHint::AtDate(delay) => Some(*delay),
        RetryHint::Nonsense(_) => None,
    };
    let details = RpcStatus::new(refusal.grpc, message).with_retry_info(delay).encode_to_vec();
    Status::with_details(refusal.grpc, message, details.into()).into_http()
}

/// The generated services: they only have to answer, the sink has recorded the request already.
struct Answer {
    partial: Option<PartialSuccess>,
}

#[async_trait::async_trait]
impl MetricsService for Answer {
    async fn export(
        &self,
        _request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        Ok(tonic::Response::new(metrics_response(self.partial.clone())))
    }
}

#[async_trait::async_trait]
impl LogsService for Answer {
    async fn export(
        &self,
        _request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, Status> {
        Ok(tonic::Response::new(logs_response(self.partial.clone())))
    }
}

#[async_trait::async_trait]
impl TraceService for Answer {
    async fn export(
        &self,
        _request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        Ok(tonic::Response::new(trace_response(self.partial.clone())))
    }
}

async fn generated_server(call: Call, partial: Option<PartialSuccess>) -> Response<Body> {
    const GZIP: CompressionEncoding = CompressionEncoding::Gzip;
    const ZSTD: CompressionEncoding = CompressionEncoding::Zstd;
    let request = Request::from_parts(call.parts, Full::new(call.body));
    let answer = Answer { partial };
    let answered = match call.signal {
        Signal::Metrics => {
            let server = MetricsServiceServer::new(answer).accept_compressed(GZIP).accept_compressed(ZSTD);
            server.max_decoding_message_size(MESSAGE_BYTES_MAX).oneshot(request).await
        }
        Signal::Logs => {
            let server = LogsServiceServer::new(answer).accept_compressed(GZIP).accept_compressed(ZSTD);
            server.max_decoding_message_size(MESSAGE_BYTES_MAX).oneshot(request).await
        }
        Signal::Traces => {
            let server = TraceServiceServer::new(answer).accept_compressed(GZIP).accept_compressed(ZSTD);
            server.max_decoding_message_size(MESSAGE_BYTES_MAX).oneshot(request).await
        }
    };
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn malformed(kind: Malformed, call: Call) -> Response<Body> {
    match kind {
        Malformed::GarbageBody => grpc_response(with_ok_trailer(frame(b"\x0a\xff\xff\xff\x0f{"))),
        Malformed::HtmlPage => html_page(StatusCode::OK),
        Malformed::ProxyPage(status) => html_page(status),
        // A frame that announces 100 bytes.
        Malformed::TruncatedBody => grpc_response(broken_body(Bytes::from_static(b"\0\0\0\0\x64\x0a"))),
        Malformed::OversizedBody(bytes) => {
            let partial = PartialSuccess { rejected: 0, message: "x".repeat(bytes) };
            generated_server(call, Some(partial)).await
        }
        Malformed::MissingStatus => grpc_response(Body::new(Full::new(frame(b"")))),
    }
}

fn with_ok_trailer(data: Bytes) -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    Body::new(Full::new(data).with_trailers(async move { Some(Ok(trailers)) }))
}

fn grpc_response(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn check_headers(open: &OpenAttempt, parts: &Parts) -> Result<(), Rejection> {
    if parts.version != Version::HTTP_2 || parts.method != Method::POST {
        let text = format!("{} over {:?}", parts.method, parts.version);
        return Err(Rejection::violation(StatusCode::BAD_REQUEST, Code::Internal, text));
    }
    let content_type = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !matches!(content_type, b"application/grpc" | b"application/grpc+proto") {
        let text = format!("content-type {:?}", parts.headers.get(CONTENT_TYPE));
        return Err(Rejection::violation(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::Internal, text));
    }
    if parts.headers.get(TE).map(HeaderValue::as_bytes) != Some(b"trailers") {
        open.violation("no te: trailers");
    }
    if let Some(timeout) = parts.headers.get(GRPC_TIMEOUT)
        && parse_timeout(timeout.as_bytes()).is_none()
    {
        open.violation(&format!("{GRPC_TIMEOUT} {timeout:?}"));
    }
    Ok(())
}

/// At most 8 digits and a unit.
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    const DIGITS_MAX: usize = 8;
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_follow_the_grammar() {
        assert_eq!(parse_timeout(b"5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse_timeout(b"10000000u"), Some(Duration::from_secs(10)));
        for wrong in [&b""[..], b"S", b"5", b"5s", b"123456789S", b"-5S", b"1.5S"] {
            assert_eq!(parse_timeout(wrong), None, "{wrong:?}");
        }
    }
}
