use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::page::Format;
use super::page::tests::page;
use super::*;
use crate::harness::{Running, counts, numbered, server, start, until};
use dbintel_config::{Complaint, Validated};

fn config(more: &Value) -> Result<Validated<Config>, Vec<Complaint>> {
    let mut settings = json!({"endpoint": "127.0.0.1:1"});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    validate(&serde_json::from_value(settings).unwrap())
}

/// An exporter on a port of its own.
fn run(more: &Value) -> (Running, dbintel_testkit::ports::ReservedPort) {
    let port = dbintel_testkit::ports::ReservedPort::reserve();
    let mut config = config(more).unwrap().config;
    config.port = port.get();
    (start(PrometheusExporter::new(config)), port)
}

/// Status line, header fields in lower case, and body.
async fn request(port: u16, request: &str) -> (String, Vec<u8>) {
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase();
    (head, answer[end + 4..].to_vec())
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")
}

#[tokio::test]
async fn is_scraped() {
    let (exporter, port) = run(&json!({}));
    exporter.push(numbered(&server(), 0, 3, 2));
    until("stored", || counts(&exporter.cx).sent() == 3).await;
    let (head, body) = request(port.get(), &get("/metrics", "")).await;
    assert!(head.starts_with("http/1.1 200") && head.contains("content-type: text/plain; version=0.0.4"));
    let text = String::from_utf8(body).unwrap();
    assert_eq!(text.matches("\npostgresql_commits_total{").count(), 3);

    let gzip = get("/metrics", "Accept: application/openmetrics-text\r\nAccept-Encoding: gzip\r\n");
    let (head, body) = request(port.get(), &gzip).await;
    assert!(
        head.contains("content-type: application/openmetrics-text")
            && head.contains("content-encoding: gzip")
    );
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut unpacked).unwrap();
    assert!(unpacked.ends_with("# EOF\n"));

    let (head, body) = request(port.get(), &get("/metrics", "").replace("GET", "HEAD")).await;
    assert!(head.starts_with("http/1.1 200") && body.is_empty());
    assert!(request(port.get(), &get("/", "")).await.0.starts_with("http/1.1 200"));
    assert!(request(port.get(), &get("/other", "")).await.0.starts_with("http/1.1 404"));
    assert!(
        request(port.get(), &get("/metrics", "").replace("GET", "POST")).await.0.starts_with("http/1.1 405")
    );
    let rebound = get("/metrics", "").replace("localhost", "evil.example");
    let (head, body) = request(port.get(), &rebound).await;
    assert!(head.starts_with("http/1.1 403") && !String::from_utf8(body).unwrap().contains("postgresql"));
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).sent(), counts(&cx).lost()), (3, 0));
}

#[tokio::test]
async fn points_beyond_the_bound_are_counted() {
    let (exporter, _port) = run(&json!({"max_series": 5}));
    exporter.push(numbered(&server(), 0, 8, 0));
    let cx = exporter.finish().await;
    assert_eq!((counts(&cx).sent(), counts(&cx).lost()), (5, 3));
    let labels = [("exporter", "test"), ("limit", "prometheus_series")];
    assert_eq!(cx.registry.value("dbintel_limit_reached_total", &labels), Some(3.0));
}

#[tokio::test]
async fn more_connections_than_allowed_wait_for_a_place() {
    let (exporter, port) = run(&json!({}));
    let mut held = Vec::new();
    request(port.get(), &get("/", "")).await;
    for _ in 0..CONNECTIONS_MAX {
        held.push(TcpStream::connect(("127.0.0.1", port.get())).await.unwrap());
    }
    let get = get("/", "");
    let waiting = request(port.get(), &get);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut waiting).await.is_err());
    held.pop();
    let (head, _) = tokio::time::timeout(crate::harness::PATIENCE, waiting).await.unwrap();
    assert!(head.starts_with("http/1.1 200"));
    exporter.finish().await;
}

#[tokio::test]
async fn a_port_in_use_fails_the_component_by_name() {
    let port = dbintel_testkit::ports::ReservedPort::reserve();
    let _listener = TcpListener::bind(port.address()).await.unwrap();
    let mut config = config(&json!({})).unwrap().config;
    config.port = port.get();
    let error = start(PrometheusExporter::new(config)).task.await.unwrap().unwrap_err();
    assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"), "{error}");
}

#[test]
fn settings_are_bounded_and_the_rest_is_answered_by_name() {
    assert!(config(&json!({})).unwrap().notices.is_empty());
    let wrong = json!({
        "endpoint": "/run/x.sock", "namespace": "a-b", "const_labels": {"__name__": "x"}, "metric_expiration": "0s",
        "max_series": 0, "tls": {}, "auth": {}, "translation_strategy": "x",
    });
    let mut fields: Vec<String> = config(&wrong).unwrap_err().into_iter().map(|error| error.field).collect();
    fields.sort();
    let expected = [
        "auth",
        "const_labels.__name__",
        "endpoint",
        "max_series",
        "metric_expiration",
        "namespace",
        "tls",
        "translation_strategy",
    ];
    assert_eq!(fields, expected);
    assert!(serde_json::from_value::<Settings>(json!({"endpoint": "a:1", "endpiont": 1})).is_err());
}

/// Every line of every page is one that the formats allow. This is our own reading of the two specifications;
/// `the_parser_of_prometheus_takes_the_page` is Prometheus'.
#[test]
fn every_line_is_well_formed() {
    for settings in [json!({}), json!({"send_timestamps": true}), json!({"add_metric_suffixes": false})] {
        for format in [Format::Text, Format::OpenMetrics] {
            for line in page(settings.clone(), format).lines() {
                check_line(line);
            }
        }
    }
}

#[track_caller]
fn check_line(line: &str) {
    if line == "# EOF" {
        return;
    }
    if let Some(comment) = line.strip_prefix("# ") {
        let (keyword, rest) = comment.split_once(' ').unwrap();
        let (name, text) = rest.split_once(' ').unwrap();
        assert!(names::is_metric_name(name), "{line}");
        assert!(keyword == "HELP" || matches!(text, "counter" | "gauge" | "info" | "unknown"), "{line}");
        return;
    }
    let (name, rest) = line.split_once('{').unwrap();
    let (labels, values) = rest.rsplit_once("} ").unwrap();
    assert!(names::is_metric_name(name), "{line}");
    // Label values hold no quote that is not escaped, so quotes separate names from values.
    for pair in labels.replace("\\\"", "").split_inclusive("\",") {
        let (name, value) = pair.split_once("=\"").unwrap();
        assert!(names::is_label_name(name) && !value.trim_end_matches("\",").contains('\n'), "{line}");
    }
    for value in values.split(' ') {
        assert!(value.parse::<f64>().is_ok() || matches!(value, "+Inf" | "-Inf" | "NaN"), "{line}");
    }
}

/// Prometheus' own Python client reads both formats; its OpenMetrics parser is the strict one.
#[test]
fn the_parser_of_prometheus_takes_the_page() {
    let check = |module: &str, format: Format| {
        let program = format!(
            "import sys\nfrom {module} import text_string_to_metric_families\n\
             print(len(list(text_string_to_metric_families(sys.stdin.read()))))"
        );
        let mut parser = Command::new(dbintel_testkit::cache::oracle_python())
            .args(["-c", &program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the Python that `make setup` has set up");
        let page = page(json!({}), format);
        std::io::Write::write_all(&mut parser.stdin.take().unwrap(), page.as_bytes()).unwrap();
        let output = parser.wait_with_output().unwrap();
        let families = String::from_utf8_lossy(&output.stdout).trim().parse::<usize>();
        assert!(families.is_ok_and(|count| count > 3), "{}", String::from_utf8_lossy(&output.stderr));
    };
    check("prometheus_client.parser", Format::Text);
    check("prometheus_client.openmetrics.parser", Format::OpenMetrics);
}
