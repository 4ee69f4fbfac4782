//! OTLP/HTTP: what a request must look like, and how answers look.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Version};
use http_body_util::{Full, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use prost::Message as _;
use serde_json::Value;
use tonic::Code;
use tonic::body::Body;

use super::behaviour::{Malformed, RetryHint};
use super::body::decompress;
use super::exchange::{Rejection, Reply, encoding, note_message};
use super::received::Format;
use super::shared::{OpenAttempt, Shared};
use super::signal::{Export, Signal};
use super::status::RpcStatus;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const HTML: &str = "<html><body><h1>This is not the page you are looking for</h1></body></html>";
/// Length that a truncated body announces.
const TRUNCATED_LENGTH: u64 = 100;

/// Signal and content of a request; the content is absent where only counts are kept.
pub(crate) fn inspect(
    shared: &Shared,
    open: &mut OpenAttempt,
    parts: &Parts,
    body: &Bytes,
) -> Result<(Signal, Option<Export>), Rejection> {
    let path = parts.uri.path();
    let Some(signal) = Signal::of_http_path(path) else {
        return Err(Rejection::violation(StatusCode::NOT_FOUND, Code::Unimplemented, "no such path"));
    };
    open.attempt.signal = Some(signal);
    if parts.method != Method::POST {
        let text = format!("method {}", parts.method);
        return Err(Rejection::violation(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, text));
    }
    if parts.version == Version::HTTP_11 && !parts.headers.contains_key(HOST) {
        open.violation("no host header");
    }
    check_length(open, parts, body);
    let format = format(parts)?;
    open.attempt.format = format;
    let encoding = encoding(shared, open, parts, CONTENT_ENCODING.as_str())?;
    if !shared.keeps_content() {
        return Ok((signal, None));
    }
    let message = decompress(encoding, body).map_err(Rejection::undecodable)?;
    note_message(open, &message);
    let content = if format == Format::Json {
        for key in misspelled_keys(&message) {
            open.violation(&format!("JSON key {key:?} is not lowerCamelCase"));
        }
        signal.decode_json(&message)
    } else {
        signal.decode_protobuf(&message)
    }
    .map_err(Rejection::undecodable)?;
    Ok((signal, Some(content)))
}

/// The answer in the format of the request.
pub(crate) fn render(reply: Reply, signal: Signal, format: Format) -> Response<Body> {
    match reply {
        Reply::Success(partial) if format == Format::Json => {
            respond(StatusCode::OK, JSON, signal.response_json(partial))
        }
        Reply::Success(partial) => respond(StatusCode::OK, PROTOBUF, signal.response_protobuf(partial)),
        Reply::Error { refusal, message, hint } => {
            let status = RpcStatus::new(refusal.grpc, &message);
            let mut response = if format == Format::Json {
                respond(refusal.http, JSON, status.to_json())
            } else {
                respond(refusal.http, PROTOBUF, status.encode_to_vec())
            };
            if let Some(hint) = hint {
                response.headers_mut().insert(RETRY_AFTER, retry_after(&hint));
            }
            if refusal.http == StatusCode::METHOD_NOT_ALLOWED {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            }
            response
        }
        Reply::Malformed(kind) => malformed(kind, signal, format),
    }
}

/// An HTML page with any status, for both transports.
pub(crate) fn html_page(status: StatusCode) -> Response<Body> {
    respond(status, "text/html; charset=utf-8", HTML)
}

/// A body that breaks off before its announced length, for both transports.
pub(crate) fn broken_body(begin: Bytes) -> Body {
    let frames = [Ok(Frame::data(begin)), Err(io::Error::other("broken off by the script of the test"))];
    Body::new(StreamBody::new(stream::iter(frames)))
}

fn malformed(kind: Malformed, signal: Signal, format: Format) -> Response<Body> {
    let content_type = if format == Format::Json { JSON } else { PROTOBUF };
    match kind {
        // Field 1 announces more bytes than there are, and it is no JSON either.
        Malformed::GarbageBody => respond(StatusCode::OK, content_type, &b"\x0a\xff\xff\xff\x0f{"[..]),
        Malformed::HtmlPage => html_page(StatusCode::OK),
        Malformed::ProxyPage(status) => html_page(status),
        Malformed::TruncatedBody => {
            let mut response = respond(StatusCode::OK, content_type, "");
            response.headers_mut().insert(CONTENT_LENGTH, TRUNCATED_LENGTH.into());
            *response.body_mut() = broken_body(Bytes::from_static(b"\x0a"));
            response
        }
        Malformed::OversizedBody(bytes) => {
            let partial = super::signal::PartialSuccess { rejected: 0, message: "x".repeat(bytes) };
            render(Reply::Success(Some(partial)), signal, format)
        }
        Malformed::MissingStatus => {
            let mut response = respond(StatusCode::OK, content_type, "");
            response.headers_mut().remove(CONTENT_TYPE);
            response
        }
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn retry_after(hint: &RetryHint) -> HeaderValue {
    let text = match hint {
        RetryHint::After(delay) => delay.as_secs_f64().ceil().to_string(),
        RetryHint::AtDate(delay) => http_date(*delay),
        RetryHint::Nonsense(text) => text.clone(),
    };
    HeaderValue::from_str(&text).expect("a header value")
}

/// Rounded up, so that a client that obeys never comes early.
fn http_date(delay: Duration) -> String {
    let at = Timestamp::now() + delay + Duration::from_millis(999);
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    printer.timestamp_to_rfc9110_string(&at).expect("a date of this century")
}

fn format(parts: &Parts) -> Result<Format, Rejection> {
    let value = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    match value.split(';').next().map(str::trim) {
        Some(PROTOBUF) => Ok(Format::Protobuf),
        Some(JSON) => Ok(Format::Json),
        _ => {
            let text = format!("content-type {value:?}");
            Err(Rejection::violation(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, text))
        }
    }
}

/// hyper reads exactly as many bytes as HTTP/1.1 announces; what it does not look at is checked here.
fn check_length(open: &OpenAttempt, parts: &Parts, body: &Bytes) {
    let mut problem = String::new();
    let announced: Vec<_> = parts.headers.get_all(CONTENT_LENGTH).iter().collect();
    if announced.len() > 1 {
        let _ = write!(problem, "{} content-length headers", announced.len());
    } else if let Some(length) = announced.first()
        && length.as_bytes() != body.len().to_string().as_bytes()
    {
        let _ = write!(problem, "content-length {length:?} for {} bytes", body.len());
    }
    if !problem.is_empty() {
        open.violation(&problem);
    }
}

/// Field names are never spelled with `_` in OTLP/JSON; attribute keys are values there, so they do not count.
fn misspelled_keys(message: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![serde_json::from_slice::<Value>(message).unwrap_or_default()];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(fields) => {
                found.extend(fields.keys().filter(|key| key.contains('_')).cloned());
                rest.extend(fields.into_iter().map(|(_, value)| value));
            }
            Value::Array(values) => rest.extend(values),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_whole_seconds_or_a_date() {
        assert_eq!(retry_after(&RetryHint::After(Duration::from_millis(1500))), "2");
        let date = retry_after(&RetryHint::AtDate(Duration::ZERO));
        assert!(date.to_str().unwrap().ends_with(" GMT"), "{date:?}");
    }

    #[test]
    fn snake_case_is_found_in_field_names_only() {
        let message = br#"{"resourceMetrics":[{"schema_url":"","a":{"key":"b_c"}}]}"#;
        assert_eq!(misspelled_keys(message), ["schema_url"]);
    }
}
