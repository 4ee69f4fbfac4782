//! Answers over HTTP.

use std::time::{Duration, UNIX_EPOCH};

use ::http::{HeaderMap, StatusCode, header};
use dbintel_model::Timestamp;
use serde::Deserialize;

use super::grpc::delivered;
use super::message::RpcStatus;
use super::text::with_text;
use super::{FailureKind, Outcome, Reason, THROTTLE_MAX, clean};

/// An answer, read to its end or to the limit.
#[derive(Clone, Copy, Debug)]
pub struct HttpAnswer<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonResponse {
    partial_success: Option<JsonPartialSuccess>,
}

/// The three signals name the count differently.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonPartialSuccess {
    #[serde(alias = "rejectedLogRecords", alias = "rejectedSpans")]
    rejected_data_points: Option<JsonCount>,
    error_message: Option<String>,
}

/// 64-bit integers are strings in OTLP/JSON; numbers are accepted too.
#[derive(Deserialize)]
#[serde(untagged)]
enum JsonCount {
    Number(i64),
    Text(String),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JsonStatus {
    message: Option<String>,
}

/// What this answer means. `now` is for `Retry-After` with a date.
#[must_use]
pub fn of_http(answer: HttpAnswer<'_>, now: Timestamp, secrets: &[String]) -> Outcome {
    let status = answer.status;
    if status.is_success() {
        return success(answer, secrets);
    }
    let text = with_text(format_args!("HTTP status {status}"), &error_text(answer), secrets);
    let reason = Reason { kind: kind(status), text };
    match status.as_u16() {
        429 | 502 | 503 | 504 => Outcome::Retry { after: retry_after(answer.headers, now), reason },
        _ => Outcome::Permanent { reason },
    }
}

fn success(answer: HttpAnswer<'_>, secrets: &[String]) -> Outcome {
    if answer.body.is_empty() {
        return Outcome::DELIVERED;
    }
    match media_type(answer.headers) {
        "application/x-protobuf" => delivered(answer.body, secrets),
        "application/json" => delivered_json(answer.body, secrets),
        other => {
            // Before it is quoted, which may change what a secret looks like.
            let other = clean(other, secrets);
            Outcome::warning(format!(
                "the backend answered with content type {other:?}: is this an OTLP endpoint?"
            ))
        }
    }
}

fn delivered_json(body: &[u8], secrets: &[String]) -> Outcome {
    let Ok(response) = serde_json::from_slice::<JsonResponse>(body) else {
        return Outcome::warning("the backend's answer could not be read".to_owned());
    };
    let Some(partial) = response.partial_success else {
        return Outcome::DELIVERED;
    };
    let rejected = match partial.rejected_data_points {
        Some(JsonCount::Number(count)) => count,
        Some(JsonCount::Text(count)) => count.parse().unwrap_or(0),
        None => 0,
    };
    let message = clean(&partial.error_message.unwrap_or_default(), secrets);
    Outcome::Delivered {
        rejected: u64::try_from(rejected).unwrap_or(0),
        message: (!message.is_empty()).then_some(message),
    }
}

/// `google.rpc.Status.message`, or the body itself where it is text.
fn error_text(answer: HttpAnswer<'_>) -> String {
    match media_type(answer.headers) {
        "application/x-protobuf" => RpcStatus::parse(answer.body).unwrap_or_default().message,
        "application/json" => {
            let status: JsonStatus = serde_json::from_slice(answer.body).unwrap_or_default();
            status.message.unwrap_or_else(|| String::from_utf8_lossy(answer.body).into_owned())
        }
        // A page of a proxy says nothing that the status does not say.
        "text/html" => String::new(),
        _ => String::from_utf8_lossy(answer.body).into_owned(),
    }
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let value = value.unwrap_or_default();
    value.split_once(';').map_or(value, |(media_type, _)| media_type).trim()
}

fn kind(status: StatusCode) -> FailureKind {
    match status.as_u16() {
        429 => FailureKind::Throttled,
        401 | 403 | 407 => FailureKind::Unauthorized,
        404 | 405 | 410 => FailureKind::NotFound,
        408 | 504 => FailureKind::Timeout,
        413 => FailureKind::TooLarge,
        300..=399 => FailureKind::Protocol,
        500..=599 => FailureKind::Unavailable,
        _ => FailureKind::Rejected,
    }
}

/// Seconds, or a date in one of HTTP's three forms. What is neither, or past, is no hint.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = if value.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(value.parse().ok()?)
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
        since_epoch.checked_sub(Duration::from_nanos(now.as_nanos()))?
    };
    Some(delay.min(THROTTLE_MAX)).filter(|delay| *delay > Duration::ZERO)
}
