//! The Python receiver decodes what independent clients send.

use std::time::Duration;

use dbintel_testkit::oracle::Oracle;
use http::StatusCode;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use prost::Message as _;
use tonic::codec::CompressionEncoding;

use crate::sink_client::{JSON, PROTOBUF, gzip, logs, metrics, post, send, traces};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn decodes_every_transport_format_and_encoding() {
    let oracle = Oracle::start().await;
    let mut client = MetricsServiceClient::connect(oracle.grpc_endpoint()).await.unwrap();
    client = client.send_compressed(CompressionEncoding::Gzip);
    client.export(metrics(41)).await.unwrap();
    let mut client = LogsServiceClient::connect(oracle.grpc_endpoint()).await.unwrap();
    client.export(logs()).await.unwrap();
    let url = |signal: &str| format!("{}/v1/{signal}", oracle.http_endpoint());
    let message = metrics(42).encode_to_vec();
    let zstd = zstd::encode_all(message.as_slice(), 1).unwrap();
    for request in [
        post(&url("metrics"), &[("content-type", PROTOBUF)], message.clone()),
        post(&url("metrics"), &[("content-type", PROTOBUF), ("content-encoding", "gzip")], gzip(&message)),
        post(&url("metrics"), &[("content-type", PROTOBUF), ("content-encoding", "zstd")], zstd),
        post(&url("metrics"), &[("content-type", JSON)], serde_json::to_vec(&metrics(42)).unwrap()),
        post(&url("traces"), &[("content-type", PROTOBUF)], traces().encode_to_vec()),
    ] {
        assert_eq!(send(request).await.unwrap().status(), StatusCode::OK);
    }
    let requests = oracle.wait_for(SOON, |requests| requests.len() == 7).await;
    let value = |index: usize| {
        let metric = &requests[index]["request"]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0];
        assert_eq!(metric["name"], "postgresql.backends", "{}", requests[index]);
        metric["gauge"]["dataPoints"][0]["asInt"].clone()
    };
    assert_eq!(value(0), "41");
    assert_eq!((2..6).map(value).collect::<Vec<_>>(), ["42", "42", "42", "42"]);
    assert_eq!((&requests[0]["transport"], &requests[3]["encoding"]), (&"grpc".into(), &"gzip".into()));
    let record = &requests[1]["request"]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["eventName"], "db.server.query_sample");
}

#[tokio::test]
async fn ids_are_hex_in_json_both_ways() {
    let oracle = Oracle::start().await;
    let id = "0102030405060708090a0b0c0d0e0f10";
    let body =
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{id}","unknown":1}}]}}]}}]}}"#);
    let url = format!("{}/v1/traces", oracle.http_endpoint());
    assert_eq!(send(post(&url, &[("content-type", JSON)], body)).await.unwrap().status(), StatusCode::OK);
    let span = &oracle.requests()[0]["request"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], id);
}

#[tokio::test]
async fn what_does_not_decode_is_an_error_with_a_reason() {
    let oracle = Oracle::start().await;
    let url = format!("{}/v1/metrics", oracle.http_endpoint());
    let answer = send(post(&url, &[("content-type", PROTOBUF)], &b"\x0a\xff"[..])).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(oracle.requests()[0]["error"].as_str().unwrap().contains("DecodeError"));
}
