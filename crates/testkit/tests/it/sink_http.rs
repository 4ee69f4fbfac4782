//! The sink over HTTP, with a plain hyper client.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use dbintel_testkit::otlp_sink::{
    Behaviour, Encoding, Format, Malformed, Options, OtlpSink, Outcome, RetryHint, RpcStatus, Signal,
    Transport,
};
use http::StatusCode;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message as _;

use crate::sink_client::{JSON, PROTOBUF, gzip, logs, metrics, post, send, send_tls, traces};

/// Long enough for anything that happens on loopback.
const SOON: Duration = Duration::from_secs(5);

fn metrics_post(sink: &OtlpSink) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let url = format!("{}/v1/metrics", sink.http_endpoint());
    post(&url, &[("content-type", PROTOBUF)], metrics(1).encode_to_vec())
}

#[tokio::test]
async fn takes_every_signal_format_and_encoding() {
    let sink = OtlpSink::start().await;
    let base = sink.http_endpoint();
    let mut sent = 0;
    for (path, protobuf, json) in [
        ("metrics", metrics(1).encode_to_vec(), serde_json::to_vec(&metrics(1)).unwrap()),
        ("logs", logs().encode_to_vec(), serde_json::to_vec(&logs()).unwrap()),
        ("traces", traces().encode_to_vec(), serde_json::to_vec(&traces()).unwrap()),
    ] {
        for (content_type, message) in [(PROTOBUF, protobuf), (JSON, json)] {
            for encoding in ["identity", "gzip", "zstd"] {
                let body = match encoding {
                    "gzip" => gzip(&message),
                    "zstd" => zstd::encode_all(message.as_slice(), 1).unwrap(),
                    _ => message.clone(),
                };
                let headers = [("content-type", content_type), ("content-encoding", encoding)];
                let answer = send(post(&format!("{base}/v1/{path}"), &headers, body)).await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK, "{path} {content_type} {encoding}");
                assert_eq!(answer.headers()["content-type"], content_type);
                sent += 1;
            }
        }
    }
    let received = sink.wait_for(SOON, |received| received.accepted() == sent).await;
    received.assert_no_violations();
    assert_eq!((received.metrics.len(), received.logs.len(), received.traces.len()), (6, 6, 6));
    assert_eq!(received.metrics.iter().filter(|request| ***request == metrics(1)).count(), 6);
    assert_eq!(received.data_points(), 6);
    assert_eq!(received.totals.accepted_items, 18);
    assert_eq!(received.metric_names().into_iter().collect::<Vec<_>>(), ["postgresql.backends"]);
    assert_eq!(received.log_records().next().unwrap().event_name, "db.server.query_sample");
    // Each message came three times in each format.
    assert_eq!(received.duplicates(), 12);
    let first = &received.attempts[0];
    assert_eq!((first.number, first.transport, first.signal), (1, Transport::Http, Some(Signal::Metrics)));
    assert_eq!((first.format, first.encoding), (Format::Protobuf, Encoding::Identity));
    assert_eq!(first.message_bytes, metrics(1).encoded_len());
}

#[tokio::test]
async fn behaviours_come_in_order_and_then_the_default() {
    let sink = OtlpSink::start().await;
    sink.next(Behaviour::unavailable());
    sink.next_times(2, &Behaviour::refuse_http(502));
    sink.next(Behaviour::invalid());
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(send(metrics_post(&sink)).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [503, 502, 502, 400, 200]);
    let received = sink.received();
    assert_eq!(received.accepted(), 1);
    assert_eq!(received.with_outcome(|outcome| matches!(outcome, Outcome::Refused(_))).count(), 4);
    assert_eq!(received.duplicates(), 0, "a refused request is no delivery");
}

#[tokio::test]
async fn a_refusal_carries_a_status_in_the_format_of_the_request() {
    let sink = OtlpSink::start().await;
    sink.always(Behaviour::unavailable());
    let answer = send(metrics_post(&sink)).await.unwrap();
    assert_eq!(RpcStatus::decode(answer.into_body()).unwrap().code, tonic::Code::Unavailable as i32);
    let url = format!("{}/v1/logs", sink.http_endpoint());
    let answer = send(post(&url, &[("content-type", JSON)], "{}")).await.unwrap();
    let status: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(status["code"], 14);
}

#[tokio::test]
async fn throttling_says_when_to_come_back() {
    let sink = OtlpSink::start().await;
    sink.next(Behaviour::throttle(RetryHint::After(Duration::from_secs(7))));
    sink.next(Behaviour::throttle(RetryHint::AtDate(Duration::from_secs(60))));
    sink.next(Behaviour::throttle(RetryHint::Nonsense("soon".to_owned())));
    let mut hints = Vec::new();
    for _ in 0..3 {
        let answer = send(metrics_post(&sink)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        hints.push(answer.headers()["retry-after"].to_str().unwrap().to_owned());
    }
    assert_eq!((hints[0].as_str(), hints[2].as_str()), ("7", "soon"));
    assert!(hints[1].contains(", ") && hints[1].ends_with(" GMT"), "{hints:?}");
}

#[tokio::test]
async fn partial_success_is_recorded_and_said_in_both_formats() {
    let sink = OtlpSink::start().await;
    sink.next(Behaviour::partial(3, "too old"));
    sink.next(Behaviour::partial(0, "be warned"));
    let answer = send(metrics_post(&sink)).await.unwrap();
    let partial = ExportMetricsServiceResponse::decode(answer.into_body()).unwrap().partial_success.unwrap();
    assert_eq!((partial.rejected_data_points, partial.error_message.as_str()), (3, "too old"));
    let url = format!("{}/v1/logs", sink.http_endpoint());
    let answer = send(post(&url, &[("content-type", JSON)], "{}")).await.unwrap();
    assert_eq!(answer.body(), r#"{"partialSuccess":{"errorMessage":"be warned","rejectedLogRecords":"0"}}"#);
    assert_eq!(sink.received().accepted(), 2);
    assert_eq!(sink.received().attempts[0].outcome, Outcome::Partial(3));
}

#[tokio::test]
async fn a_dropped_connection_leaves_the_client_without_an_answer() {
    let sink = OtlpSink::start().await;
    sink.next(Behaviour::DropConnection);
    sink.next(Behaviour::AcceptThenDrop);
    assert!(send(metrics_post(&sink)).await.is_err());
    assert!(send(metrics_post(&sink)).await.is_err());
    assert!(send(metrics_post(&sink)).await.is_ok());
    let received = sink.received();
    let outcomes: Vec<_> = received.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [Outcome::Dropped, Outcome::AcceptedThenDropped, Outcome::Accepted]);
    assert_eq!((received.accepted(), received.duplicates()), (2, 1));
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_recorded() {
    let sink = OtlpSink::start().await;
    sink.next(Behaviour::Accept.after(Duration::from_secs(60)));
    let answer = tokio::time::timeout(Duration::from_millis(200), send(metrics_post(&sink))).await;
    assert!(answer.is_err());
    let received = sink.wait_for(SOON, |received| received.attempts[0].outcome == Outcome::Abandoned).await;
    assert_eq!(received.accepted(), 0);
    assert!(received.attempts[0].wire_bytes > 0);
}

#[tokio::test]
async fn a_delayed_answer_comes() {
    let sink = OtlpSink::start().await;
    sink.next(Behaviour::invalid().after(Duration::from_millis(50)));
    assert_eq!(send(metrics_post(&sink)).await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert!(sink.received().attempts[0].took.unwrap() >= Duration::from_millis(50));
}

#[tokio::test]
async fn malformed_answers_are_what_they_say() {
    let sink = OtlpSink::start().await;
    for kind in [
        Malformed::GarbageBody,
        Malformed::HtmlPage,
        Malformed::ProxyPage(StatusCode::BAD_GATEWAY),
        Malformed::OversizedBody(5 << 20),
        Malformed::MissingStatus,
        Malformed::TruncatedBody,
    ] {
        sink.next(Behaviour::Malformed(kind));
    }
    let garbage = send(metrics_post(&sink)).await.unwrap();
    assert!(ExportMetricsServiceResponse::decode(garbage.into_body()).is_err());
    let html = send(metrics_post(&sink)).await.unwrap();
    assert_eq!(html.status(), StatusCode::OK);
    assert!(html.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(send(metrics_post(&sink)).await.unwrap().status(), StatusCode::BAD_GATEWAY);
    assert!(send(metrics_post(&sink)).await.unwrap().body().len() > 5 << 20);
    assert!(!send(metrics_post(&sink)).await.unwrap().headers().contains_key("content-type"));
    assert!(send(metrics_post(&sink)).await.is_err());
    assert_eq!(sink.received().accepted(), 0);
}

#[tokio::test]
async fn breaches_of_the_protocol_are_refused_and_listed() {
    let sink = OtlpSink::start().await;
    let url = format!("{}/v1/metrics", sink.http_endpoint());
    let protobuf = ("content-type", PROTOBUF);
    let message = metrics(1).encode_to_vec();
    for (request, status, says) in [
        (post(&format!("{url}/"), &[protobuf], message.clone()), 404, "no such path"),
        (post(&url, &[], message.clone()), 415, "content-type \"\""),
        (post(&url, &[("content-type", "text/plain")], message.clone()), 415, "text/plain"),
        (post(&url, &[protobuf, ("content-encoding", "br")], message.clone()), 415, "\"br\""),
        (post(&url, &[protobuf, ("content-encoding", "gzip")], message.clone()), 400, "decompress"),
        (post(&url, &[protobuf], &b"\x0a\xff"[..]), 400, "not a metrics request"),
        (post(&url, &[("content-type", JSON)], "[}"), 400, "not a metrics request"),
    ] {
        assert_eq!(send(request).await.unwrap().status().as_u16(), status, "{says}");
        let last = sink.received().violations.last().cloned().unwrap();
        assert!(last.contains(says), "{last}");
    }
    let json = r#"{"resource_metrics":[]}"#;
    assert_eq!(send(post(&url, &[("content-type", JSON)], json)).await.unwrap().status(), StatusCode::OK);
    let get = http::Request::get(&url).body(http_body_util::Full::default()).unwrap();
    assert_eq!(send(get).await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    let received = sink.received();
    assert_eq!(received.violations.len(), 9, "{:#?}", received.violations);
    assert_eq!(received.with_outcome(|outcome| matches!(outcome, Outcome::Rejected(_))).count(), 8);
}

#[tokio::test]
async fn what_hyper_would_never_send_is_noticed() {
    let sink = OtlpSink::start().await;
    let address = sink.http_endpoint().replace("http://", "");
    let answer = tokio::task::spawn_blocking(move || {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let head =
            "POST /v1/metrics HTTP/1.1\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n";
        socket.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(sink.received().violations[0].contains("no host header"));
}

#[tokio::test]
async fn an_encoding_that_is_not_offered_is_refused_without_blame() {
    let sink = OtlpSink::start_with(Options::new().refuse_encoding(Encoding::Zstd)).await;
    let url = format!("{}/v1/metrics", sink.http_endpoint());
    let body = zstd::encode_all(metrics(1).encode_to_vec().as_slice(), 1).unwrap();
    let headers = [("content-type", PROTOBUF), ("content-encoding", "zstd")];
    let answer = send(post(&url, &headers, body)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    sink.received().assert_no_violations();
}

#[tokio::test]
async fn one_signal_can_fail_alone() {
    let sink = OtlpSink::start().await;
    sink.always_for(Signal::Metrics, Behaviour::unavailable());
    assert_eq!(send(metrics_post(&sink)).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let url = format!("{}/v1/logs", sink.http_endpoint());
    let answer = send(post(&url, &[("content-type", PROTOBUF)], logs().encode_to_vec())).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_stopped_sink_refuses_connections_and_comes_back_on_its_port() {
    let sink = OtlpSink::start().await;
    let before = sink.http_endpoint();
    sink.always(Behaviour::Accept.after(Duration::from_secs(60)));
    let mut pending = tokio::task::JoinSet::new();
    pending.spawn(send(metrics_post(&sink)));
    sink.wait_for(SOON, |received| received.attempts.len() == 1).await;
    sink.stop().await;
    assert!(pending.join_next().await.unwrap().unwrap().is_err(), "an open request survived the stop");
    assert!(send(metrics_post(&sink)).await.unwrap_err().contains("ConnectionRefused"));
    sink.always(Behaviour::Accept);
    sink.start_again().await;
    assert_eq!(sink.http_endpoint(), before);
    assert!(send(metrics_post(&sink)).await.is_ok());
    assert_eq!(sink.received().accepted(), 1);
}

#[tokio::test]
#[should_panic(expected = "in vain")]
async fn waiting_in_vain_says_what_was_seen() {
    let sink = OtlpSink::start().await;
    sink.wait_for(Duration::from_millis(10), |received| received.accepted() == 1).await;
}

#[tokio::test]
async fn counts_only_keeps_totals_and_nothing_else() {
    let sink = OtlpSink::start_with(Options::new().counts_only()).await;
    for _ in 0..3 {
        send(metrics_post(&sink)).await.unwrap();
    }
    let received = sink.wait_for(SOON, |received| received.accepted() == 3).await;
    assert!(received.attempts.is_empty() && received.metrics.is_empty());
    assert_eq!(received.totals.accepted_wire_bytes, 3 * metrics(1).encoded_len() as u64);
}

#[tokio::test]
async fn tls_needs_the_authority_and_mutual_tls_a_certificate() {
    let sink = OtlpSink::start_with(Options::new().tls()).await;
    assert_eq!(send_tls(metrics_post(&sink), sink.authority(), None).await.unwrap().status(), StatusCode::OK);
    let stranger = dbintel_testkit::tls::Authority::new();
    assert!(send_tls(metrics_post(&sink), &stranger, None).await.is_err());

    let sink = OtlpSink::start_with(Options::new().mutual_tls()).await;
    assert!(send_tls(metrics_post(&sink), sink.authority(), None).await.is_err());
    let identity = sink.authority().client("dbintel");
    assert!(send_tls(metrics_post(&sink), sink.authority(), Some(identity)).await.is_ok());
    assert_eq!(sink.received().attempts.len(), 1);
}
