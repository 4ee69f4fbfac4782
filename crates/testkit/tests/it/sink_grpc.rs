//! The sink over gRPC, with the tonic clients of opentelemetry-proto and a plain HTTP/2 client.

use std::time::Duration;

use bytes::Bytes;
use dbintel_testkit::otlp_sink::{
    Behaviour, Encoding, Malformed, Options, OtlpSink, Outcome, RetryHint, RetryInfo, RpcStatus, Transport,
};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::sink_client::{logs, metrics, post, traces};

const SOON: Duration = Duration::from_secs(5);
const METRICS_PATH: &str = "opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

async fn channel(sink: &OtlpSink) -> Channel {
    Endpoint::from_shared(sink.grpc_endpoint()).unwrap().connect().await.unwrap()
}

async fn client(sink: &OtlpSink) -> MetricsServiceClient<Channel> {
    MetricsServiceClient::new(channel(sink).await)
}

/// A request that tonic would not send.
async fn send_raw(sink: &OtlpSink, headers: &[(&str, &str)], body: &'static [u8]) -> Response<Bytes> {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let request = post(&format!("{}/{METRICS_PATH}", sink.grpc_endpoint()), headers, body);
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

#[tokio::test]
async fn takes_every_signal_and_encoding() {
    let sink = OtlpSink::start().await;
    let channel = channel(&sink).await;
    for encoding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut to_metrics = MetricsServiceClient::new(channel.clone());
        let mut to_logs = LogsServiceClient::new(channel.clone());
        let mut to_traces = TraceServiceClient::new(channel.clone());
        if let Some(encoding) = encoding {
            to_metrics = to_metrics.send_compressed(encoding);
            to_logs = to_logs.send_compressed(encoding);
            to_traces = to_traces.send_compressed(encoding);
        }
        assert_eq!(to_metrics.export(metrics(1)).await.unwrap().into_inner().partial_success, None);
        to_logs.export(logs()).await.unwrap();
        to_traces.export(traces()).await.unwrap();
    }
    let received = sink.received();
    received.assert_no_violations();
    assert_eq!((received.metrics.len(), received.logs.len(), received.traces.len()), (3, 3, 3));
    assert_eq!(*received.metrics[2], metrics(1));
    assert_eq!(received.duplicates(), 6);
    let encodings: Vec<_> = received.attempts.iter().step_by(3).map(|attempt| attempt.encoding).collect();
    assert_eq!(encodings, [Encoding::Identity, Encoding::Gzip, Encoding::Zstd]);
    assert!(received.attempts.iter().all(|attempt| attempt.transport == Transport::Grpc));
}

#[tokio::test]
async fn refusals_have_their_code_and_throttling_its_delay() {
    let sink = OtlpSink::start().await;
    let mut client = client(&sink).await;
    sink.next(Behaviour::refuse_grpc(Code::DataLoss));
    assert_eq!(client.export(metrics(1)).await.unwrap_err().code(), Code::DataLoss);
    sink.next(Behaviour::exhausted(RetryHint::After(Duration::from_millis(1500))));
    let status = client.export(metrics(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let details = RpcStatus::decode(status.details()).unwrap();
    let info = RetryInfo::decode(details.details[0].value.as_slice()).unwrap();
    let delay = info.retry_delay.unwrap();
    assert_eq!((delay.seconds, delay.nanos), (1, 500_000_000));
    sink.next(Behaviour::refuse_grpc(Code::ResourceExhausted));
    assert!(client.export(metrics(1)).await.unwrap_err().details().is_empty());
    client.export(metrics(1)).await.unwrap();
    assert_eq!(sink.received().accepted(), 1);
}

#[tokio::test]
async fn partial_success_is_said() {
    let sink = OtlpSink::start().await;
    sink.next(Behaviour::partial(2, "too old"));
    let answer = client(&sink).await.export(metrics(1)).await.unwrap().into_inner();
    let partial = answer.partial_success.unwrap();
    assert_eq!((partial.rejected_data_points, partial.error_message.as_str()), (2, "too old"));
}

#[tokio::test]
async fn a_dropped_connection_leaves_the_client_without_an_answer() {
    let sink = OtlpSink::start().await;
    let mut client = client(&sink).await;
    sink.next(Behaviour::DropConnection);
    sink.next(Behaviour::AcceptThenDrop);
    assert!(client.export(metrics(1)).await.is_err());
    assert!(client.export(metrics(1)).await.is_err());
    client.export(metrics(1)).await.unwrap();
    let received = sink.received();
    assert_eq!((received.accepted(), received.duplicates()), (2, 1));
    assert_eq!(received.attempts[0].outcome, Outcome::Dropped);
}

#[tokio::test]
async fn a_client_whose_deadline_passes_is_recorded() {
    let sink = OtlpSink::start().await;
    let mut client = client(&sink).await;
    sink.next(Behaviour::Accept.after(Duration::from_secs(60)));
    let mut request = tonic::Request::new(metrics(1));
    request.set_timeout(Duration::from_millis(200));
    let answer = tokio::time::timeout(Duration::from_millis(400), client.export(request)).await;
    assert!(!matches!(answer, Ok(Ok(_))));
    let received = sink.wait_for(SOON, |received| received.attempts[0].outcome == Outcome::Abandoned).await;
    received.assert_no_violations();
}

#[tokio::test]
async fn malformed_answers_are_errors_to_a_client() {
    let sink = OtlpSink::start().await;
    let mut client = client(&sink).await;
    for (kind, code) in [
        (Malformed::GarbageBody, Some(Code::Internal)),
        (Malformed::HtmlPage, None),
        // gRPC's mapping of HTTP statuses wants UNAVAILABLE here; tonic looks at the body first.
        (Malformed::ProxyPage(StatusCode::BAD_GATEWAY), Some(Code::Internal)),
        (Malformed::TruncatedBody, None),
        (Malformed::OversizedBody(5 << 20), Some(Code::OutOfRange)),
        (Malformed::MissingStatus, None),
    ] {
        sink.next(Behaviour::Malformed(kind));
        match client.export(metrics(1)).await {
            Ok(_) => assert_eq!(kind, Malformed::MissingStatus, "tonic is lenient about this one only"),
            Err(status) => assert!(code.is_none_or(|code| code == status.code()), "{kind:?}: {status}"),
        }
    }
    client.export(metrics(1)).await.unwrap();
    assert_eq!(sink.received().accepted(), 1);
}

#[tokio::test]
async fn breaches_of_the_protocol_are_refused_and_listed() {
    let sink = OtlpSink::start().await;
    let grpc = ("content-type", "application/grpc");
    let te = ("te", "trailers");
    let empty = b"\0\0\0\0\0";
    for (headers, body, code, says) in [
        (vec![("content-type", "application/x-protobuf"), te], &empty[..], "13", "content-type"),
        (vec![grpc, te, ("grpc-encoding", "snappy")], &empty[..], "12", "snappy"),
        (vec![grpc, te], &b"\x01\0\0\0\0"[..], "3", "without grpc-encoding"),
        (vec![grpc, te], &b"\0\0\0\0\x09"[..], "3", "announces 9 bytes"),
        (vec![grpc, te], &b"\0\0\0\0\x02\x0a\xff"[..], "3", "not a metrics request"),
        (vec![grpc], &empty[..], "", "no te: trailers"),
        (vec![grpc, te, ("grpc-timeout", "5 seconds")], &empty[..], "", "grpc-timeout"),
    ] {
        let answer = send_raw(&sink, &headers, body).await;
        let status = answer.headers().get("grpc-status").map_or("", |value| value.to_str().unwrap());
        assert_eq!(status, code, "{says}");
        let last = sink.received().violations.last().cloned().unwrap();
        assert!(last.contains(says), "{last}");
    }
    assert_eq!(sink.received().violations.len(), 7);
    assert_eq!(sink.received().accepted(), 2);
}

#[tokio::test]
async fn http_requests_to_the_grpc_port_fail() {
    let sink = OtlpSink::start().await;
    let url = format!("{}/v1/metrics", sink.grpc_endpoint());
    assert!(crate::sink_client::send(post(&url, &[], "")).await.is_err());
}

#[tokio::test]
async fn a_channel_reconnects_after_the_backend_was_down() {
    let sink = OtlpSink::start().await;
    let mut client = client(&sink).await;
    client.export(metrics(1)).await.unwrap();
    sink.stop().await;
    let status = client.export(metrics(2)).await.unwrap_err();
    assert!(matches!(status.code(), Code::Unavailable | Code::Cancelled), "{status}");
    sink.start_again().await;
    client.export(metrics(2)).await.unwrap();
    assert_eq!(sink.received().accepted(), 2);
}

#[tokio::test]
async fn mutual_tls_needs_a_certificate() {
    let sink = OtlpSink::start_with(Options::new().mutual_tls()).await;
    let trust =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(sink.authority().certificate_pem()));
    let identity = sink.authority().client("dbintel");
    let identity = Identity::from_pem(identity.certificate_pem, identity.key_pem);
    for (tls, expect_success) in [(trust.clone().identity(identity), true), (trust, false)] {
        let endpoint = Endpoint::from_shared(sink.grpc_endpoint()).unwrap().tls_config(tls).unwrap();
        let mut client = MetricsServiceClient::new(endpoint.connect_lazy());
        assert_eq!(client.export(metrics(1)).await.is_ok(), expect_success);
    }
}
