use ::http::{HeaderMap, HeaderValue, StatusCode};
use dbintel_model::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use proptest::prelude::*;
use prost::Message as _;

use super::*;

const NO_SECRETS: &[String] = &[];

/// `google.rpc.Status` with a `RetryInfo` of so many seconds.
fn retry_info(seconds: u8) -> Vec<u8> {
    let url = b"type.googleapis.com/google.rpc.RetryInfo";
    let info = [0x0a, 2, 0x08, seconds];
    let mut any = vec![0x0a, u8::try_from(url.len()).unwrap()];
    any.extend_from_slice(url);
    any.extend_from_slice(&[0x12, u8::try_from(info.len()).unwrap()]);
    any.extend_from_slice(&info);
    let mut status = vec![0x08, 8, 0x1a, u8::try_from(any.len()).unwrap()];
    status.extend_from_slice(&any);
    status
}

fn verdict(outcome: &Outcome) -> (&'static str, Option<Duration>) {
    match outcome {
        Outcome::Delivered { .. } => ("delivered", None),
        Outcome::Retry { after, .. } => ("retry", *after),
        Outcome::Permanent { .. } => ("permanent", None),
    }
}

/// Every code, without a hint, with a hint of three seconds, with a hint that gives no time.
#[test]
fn grpc_codes() {
    let three = Some(Duration::from_secs(3));
    for code in 0..=20 {
        let outcome = |details| verdict(&of_grpc(&GrpcStatus::new(code, "text", details), &[], NO_SECRETS));
        let found = [outcome(vec![]), outcome(retry_info(3)), outcome(retry_info(0))];
        let expected = match code {
            0 => [("delivered", None); 3],
            1 | 4 | 10 | 11 | 14 | 15 => [("retry", None), ("retry", three), ("retry", None)],
            8 => [("permanent", None), ("retry", three), ("retry", None)],
            _ => [("permanent", None); 3],
        };
        assert_eq!(found, expected, "code {code}");
    }
}

/// Every status, without and with `Retry-After`.
#[test]
fn http_statuses() {
    let mut hint = HeaderMap::new();
    hint.insert("retry-after", HeaderValue::from_static("7"));
    for status in 200..600 {
        let outcome = |headers: &HeaderMap| {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = HttpAnswer { status, headers, body: b"" };
            verdict(&of_http(answer, Timestamp::default(), NO_SECRETS))
        };
        let expected = match status {
            200..=299 => [("delivered", None); 2],
            429 | 502 | 503 | 504 => [("retry", None), ("retry", Some(Duration::from_secs(7)))],
            _ => [("permanent", None); 2],
        };
        assert_eq!([outcome(&HeaderMap::new()), outcome(&hint)], expected, "status {status}");
    }
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now = Timestamp::from_nanos(784_111_777 * 1_000_000_000);
    let check = |value: &'static str, expected: Option<u64>| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static(value));
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let outcome = of_http(HttpAnswer { status, headers: &headers, body: b"" }, now, NO_SECRETS);
        assert_eq!(verdict(&outcome), ("retry", expected.map(Duration::from_secs)), "{value}");
    };
    check("120", Some(120));
    check(" 1 ", Some(1));
    check("0", None);
    check("99999999999", Some(3_600));
    check("99999999999999999999999", None);
    check("Sun, 06 Nov 1994 08:49:47 GMT", Some(10));
    check("Sunday, 06-Nov-94 08:49:47 GMT", Some(10));
    check("Sun Nov  6 08:49:47 1994", Some(10));
    check("Sun, 06 Nov 1994 08:49:37 GMT", None);
    check("Sun, 06 Nov 1993 08:49:37 GMT", None);
    check("Fri, 31 Dec 9999 23:59:59 GMT", Some(3_600));
    check("soon", None);
    check("-5", None);
    check("", None);
}

fn http(content_type: &'static str, body: &[u8]) -> Outcome {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static(content_type));
    let answer = HttpAnswer { status: StatusCode::OK, headers: &headers, body };
    of_http(answer, Timestamp::default(), NO_SECRETS)
}

#[test]
fn a_partial_success_is_delivered_and_says_what_is_lost() {
    let response = |rejected, message: &str| {
        let partial =
            ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message: message.to_owned() };
        ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    };
    let delivered = |rejected, message: Option<&str>| Outcome::Delivered {
        rejected,
        message: message.map(str::to_owned),
    };
    let ok = GrpcStatus::new(0, "", vec![]);
    let protobuf = "application/x-protobuf";
    assert_eq!(of_grpc(&ok, &response(3, "old"), NO_SECRETS), delivered(3, Some("old")));
    assert_eq!(http(protobuf, &response(3, "old")), delivered(3, Some("old")));
    assert_eq!(http(protobuf, &response(0, "slow down")), delivered(0, Some("slow down")));
    assert_eq!(http(protobuf, &response(-1, "")), delivered(0, None));
    assert_eq!(http(protobuf, b""), delivered(0, None));

    let json = "application/json; charset=utf-8";
    for field in ["rejectedDataPoints", "rejectedLogRecords", "rejectedSpans"] {
        let body = format!(r#"{{"partialSuccess":{{"{field}":"5","errorMessage":"no"}},"other":1}}"#);
        assert_eq!(http(json, body.as_bytes()), delivered(5, Some("no")));
    }
    assert_eq!(http(json, br#"{"partialSuccess":{"rejectedDataPoints":5}}"#), delivered(5, None));
    assert_eq!(http(json, br#"{"partialSuccess":null}"#), delivered(0, None));
    assert_eq!(http(json, b"{}"), delivered(0, None));
}

#[test]
fn success_with_an_unreadable_answer_stays_success_and_warns() {
    for outcome in [
        of_grpc(&GrpcStatus::new(0, "", vec![]), b"\xff\xff", NO_SECRETS),
        http("application/x-protobuf", b"\xff\xff"),
        http("application/json", b"<html>"),
        http("text/html", b"<html>"),
    ] {
        assert!(matches!(outcome, Outcome::Delivered { rejected: 0, message: Some(_) }), "{outcome:?}");
    }
}

#[test]
fn errors_carry_the_servers_text_in_one_short_line_without_secrets() {
    let secrets = ["topsecret".to_owned(), "abc".to_owned()];
    let status = StatusCode::BAD_REQUEST;
    let text = |content_type: &'static str, body: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        match of_http(HttpAnswer { status, headers: &headers, body }, Timestamp::default(), &secrets) {
            Outcome::Permanent { reason } => reason.text,
            other => panic!("{other:?}"),
        }
    };
    let start = "HTTP status 400 Bad Request";
    assert_eq!(
        text("application/json", br#"{"code":3,"message":"bad\nkey topsecret abc"}"#),
        format!("{start}: bad key *** abc")
    );
    assert_eq!(text("application/x-protobuf", &[0x12, 2, b'n', b'o']), format!("{start}: no"));
    assert_eq!(text("text/plain", b" plain "), format!("{start}: plain"));
    assert_eq!(text("text/html", b"<html>"), start);
    assert_eq!(text("text/plain", &[b'x'; 10_000]).len(), start.len() + 2 + TEXT_CHARS_MAX);
}

/// A secret that would be written in another form by quoting it, and one that the end of what is read cuts in two.
#[test]
fn a_secret_is_found_before_it_is_quoted_and_where_it_is_cut() {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/s3cr\"et\\t"));
    let answer = HttpAnswer { status: StatusCode::OK, headers: &headers, body: b"x" };
    let outcome = of_http(answer, Timestamp::default(), &["s3cr\"et\\t".to_owned()]);
    let Outcome::Delivered { rejected: 0, message: Some(message) } = outcome else { panic!("{outcome:?}") };
    assert!(message.contains("\"text/***\"") && !message.contains("s3cr"), "{message}");

    let long = "0123456789".repeat(100);
    assert_eq!(clean(&long.repeat(20), std::slice::from_ref(&long)), "***".repeat(16));
    assert_eq!(clean(&format!("{long}{}", "0123456789 "), &[long]), "***0123456789");
}

#[test]
fn grpc_status_is_read_from_headers_whatever_they_hold() {
    let status = |pairs: &[(&'static str, &str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        GrpcStatus::of_headers(&headers)
    };
    assert_eq!(status(&[("grpc-message", "x")]), None);
    assert_eq!(status(&[("grpc-status", "14")]), Some(GrpcStatus::new(14, "", vec![])));
    assert_eq!(status(&[("grpc-status", "many")]), Some(GrpcStatus::new(2, "", vec![])));
    assert_eq!(status(&[("grpc-status", "99")]), Some(GrpcStatus::new(2, "", vec![])));
    let found = status(&[
        ("grpc-status", "3"),
        ("grpc-message", "f%C3%BCr 100%"),
        ("grpc-status-details-bin", "AQI"),
    ]);
    assert_eq!(found, Some(GrpcStatus::new(3, "für 100%", vec![1, 2])));
    let found = status(&[("grpc-status", "3"), ("grpc-status-details-bin", "not base64!")]);
    assert_eq!(found, Some(GrpcStatus::new(3, "", vec![])));
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(status in 100u16..1000, kind in 0usize..4, body: Vec<u8>, hint in "\\PC{0,40}", code: u8) {
        let mut headers = HeaderMap::new();
        let content_type = ["application/json", "application/x-protobuf", "text/plain", "nonsense"][kind];
        headers.insert("content-type", HeaderValue::from_static(content_type));
        if let Ok(hint) = HeaderValue::from_str(&hint) {
            headers.insert("retry-after", hint.clone());
            headers.insert("grpc-status-details-bin", hint.clone());
            headers.insert("grpc-message", hint);
            headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
        }
        let status = StatusCode::from_u16(status).unwrap();
        let outcome = of_http(HttpAnswer { status, headers: &headers, body: &body }, Timestamp::default(), NO_SECRETS);
        if let Outcome::Retry { after: Some(after), .. } = outcome {
            prop_assert!(after <= THROTTLE_MAX);
        }
        if let Some(status) = GrpcStatus::of_headers(&headers) {
            let _ = of_grpc(&status, &body, NO_SECRETS);
        }
    }
}
