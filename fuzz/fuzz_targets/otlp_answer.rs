//! Any bytes as a backend's answer over HTTP and gRPC: status, content type, `Retry-After`, `grpc-status`,
//! `grpc-message`, `grpc-status-details-bin` and body, separated by line feeds (the body is the rest). What is checked:
//! no panic, texts of one line within their bound and without our secret, and no pause longer than the longest.
#![no_main]

use std::time::Duration;

use dbintel_model::Timestamp;
use dbintel_otlp::outcome::{
    GrpcStatus, HttpAnswer, Outcome, TEXT_CHARS_MAX, THROTTLE_MAX, of_grpc, of_http,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;

/// A header we send, which a backend could echo.
const SECRET: &str = "s3cr\"et\\t";
/// What we say ourselves before a server's text, at most.
const OWN_CHARS_MAX: usize = 128;
/// Saturday, 21 November 2026.
const NOW: Timestamp = Timestamp::from_nanos(1_795_219_200_000_000_000);

const HEADERS: [&str; 5] =
    ["content-type", "retry-after", "grpc-status", "grpc-message", "grpc-status-details-bin"];
const MEDIA_TYPES: [&str; 2] = ["application/x-protobuf", "application/json"];

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(HEADERS.len() + 2, |byte| *byte == b'\n');
    let status = parts.next().and_then(|part| std::str::from_utf8(part).ok());
    let status = status.and_then(|text| text.parse().ok()).unwrap_or(200);
    let mut headers = HeaderMap::new();
    for name in HEADERS {
        if let Ok(value) = HeaderValue::from_bytes(parts.next().unwrap_or_default()) {
            headers.insert(name, value);
        }
    }
    let body = parts.next().unwrap_or_default();
    let secrets = [SECRET.to_owned()];
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    check(&of_http(HttpAnswer { status, headers: &headers, body }, NOW, &secrets));
    for media_type in MEDIA_TYPES {
        headers.insert("content-type", HeaderValue::from_static(media_type));
        check(&of_http(HttpAnswer { status, headers: &headers, body }, NOW, &secrets));
    }
    for status in [GrpcStatus::of_headers(&headers), Some(GrpcStatus::of_http(status))].into_iter().flatten()
    {
        check(&of_grpc(&status, body, &secrets));
    }
    // The details as they are, since few inputs are valid base64.
    for code in [0, 8, 14] {
        check(&of_grpc(&GrpcStatus::new(code, "", body.to_vec()), body, &secrets));
    }
});

fn check(outcome: &Outcome) {
    match outcome {
        Outcome::Delivered { rejected, message } => {
            assert!(*rejected <= i64::MAX as u64);
            message.iter().for_each(|text| fit_for_a_log(text));
        }
        Outcome::Retry { after, reason } => {
            assert!(after.is_none_or(|after| after > Duration::ZERO && after <= THROTTLE_MAX), "{after:?}");
            fit_for_a_log(&reason.to_string());
        }
        Outcome::Permanent { reason } => fit_for_a_log(&reason.to_string()),
    }
}

fn fit_for_a_log(text: &str) {
    assert!(text.chars().count() <= TEXT_CHARS_MAX + OWN_CHARS_MAX, "{text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    // As it is, and as Rust would quote it.
    assert!(!text.contains(SECRET) && !text.contains(&SECRET.escape_debug().to_string()), "{text}");
}
