mod arbitrary;
mod oracle;

use std::collections::HashSet;
use std::sync::Arc;

use dbintel_model::catalogue::METRICS;
use dbintel_model::{
    Attribute, Gap, GapReason, Labels, MetricPoint, Number, Server, Target, Text, Timestamp,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use proptest::prelude::*;
use prost::Message;
use serde::de::DeserializeOwned;

use self::arbitrary::{Doubles, batches};
use self::oracle::{decoded_logs, decoded_points, expected_logs, expected_points};
use super::*;

const ALL: fn(&Record) -> bool = |_| true;

fn encode_points(format: Format, limit: RequestBytes, batches: &[Batch]) -> (Vec<Encoded>, Pushed) {
    let (mut encoder, mut full, mut sum) =
        (MetricsEncoder::new(format, limit), Vec::new(), Pushed::default());
    for batch in batches {
        let pushed = encoder.push_batch(batch, ALL, &mut full);
        sum.items += pushed.items;
        sum.too_large += pushed.too_large;
        let length = encoder.len_bytes();
        assert!(length <= limit.get());
    }
    let length = encoder.len_bytes();
    if let Some(last) = encoder.finish() {
        assert!(last.body.len() <= length);
        full.push(last);
    }
    (full, sum)
}

fn encode_logs(format: Format, limit: RequestBytes, batches: &[Batch]) -> (Vec<Encoded>, Pushed) {
    let (mut encoder, mut full, mut sum) = (LogsEncoder::new(format, limit), Vec::new(), Pushed::default());
    for batch in batches {
        let pushed = encoder.push_batch(batch, ALL, &mut full);
        sum.items += pushed.items;
        sum.too_large += pushed.too_large;
        // As an exporter does that compresses: the buffer comes back.
        for done in &full {
            encoder.recycle(done.body.clone());
        }
    }
    full.extend(encoder.finish());
    (full, sum)
}

fn from_protobuf<T: Message + Default>(requests: &[Encoded]) -> Vec<T> {
    requests.iter().map(|request| T::decode(&request.body[..]).unwrap()).collect()
}

fn from_json<T: DeserializeOwned>(requests: &[Encoded]) -> Vec<T> {
    let parse = |request: &Encoded| {
        serde_json::from_slice(&request.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&request.body)))
    };
    requests.iter().map(parse).collect()
}

fn check_requests(requests: &[Encoded], pushed: Pushed, limit: RequestBytes) {
    assert_eq!(pushed.too_large, 0);
    assert_eq!(pushed.items, requests.iter().map(|request| request.items).sum::<usize>());
    for request in requests {
        assert!(request.items > 0);
        assert!(request.body.len() <= limit.get() || request.items == 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn protobuf_is_what_prost_decodes(batches in batches(Doubles::All)) {
        for limit in [RequestBytes::MIN, RequestBytes::default()] {
            let (requests, pushed) = encode_points(Format::Protobuf, limit, &batches);
            check_requests(&requests, pushed, limit);
            prop_assert_eq!(decoded_points(&from_protobuf(&requests)), expected_points(&batches));
            let (requests, pushed) = encode_logs(Format::Protobuf, limit, &batches);
            check_requests(&requests, pushed, limit);
            prop_assert_eq!(decoded_logs(&from_protobuf(&requests)), expected_logs(&batches));
        }
    }

    #[test]
    fn json_is_what_serde_decodes(batches in batches(Doubles::Finite)) {
        for limit in [RequestBytes::MIN, RequestBytes::default()] {
            let (requests, pushed) = encode_points(Format::Json, limit, &batches);
            check_requests(&requests, pushed, limit);
            prop_assert_eq!(decoded_points(&from_json(&requests)), expected_points(&batches));
            let (requests, pushed) = encode_logs(Format::Json, limit, &batches);
            check_requests(&requests, pushed, limit);
            prop_assert_eq!(decoded_logs(&from_json(&requests)), expected_logs(&batches));
        }
    }

    /// A queue keeps these requests longest.
    #[test]
    fn a_request_with_a_finding_in_it_is_precious_and_no_other(batches in batches(Doubles::Finite)) {
        let (requests, _) = encode_logs(Format::Protobuf, RequestBytes::MIN, &batches);
        for request in requests {
            let is_precious = request.precious;
            let decoded: Vec<ExportLogsServiceRequest> = from_protobuf(&[request]);
            let scopes = decoded.iter().flat_map(|logs| &logs.resource_logs).flat_map(|logs| &logs.scope_logs);
            let mut records = scopes.flat_map(|logs| &logs.log_records);
            prop_assert_eq!(records.any(|record| record.event_name.starts_with("dbintel.finding.")), is_precious);
        }
    }

    /// Doubles that JSON has no numbers for do not break the document.
    #[test]
    fn json_is_a_document_whatever_the_numbers(batches in batches(Doubles::All)) {
        let (requests, _) = encode_points(Format::Json, RequestBytes::default(), &batches);
        from_json::<serde_json::Value>(&requests);
        let (requests, _) = encode_logs(Format::Json, RequestBytes::default(), &batches);
        from_json::<serde_json::Value>(&requests);
    }

    #[test]
    fn points_of_a_batch_are_grouped_by_resource_and_metric(mut batches in batches(Doubles::Finite)) {
        batches.truncate(1);
        let (requests, _) = encode_points(Format::Protobuf, RequestBytes::MAX, &batches);
        let requests: Vec<ExportMetricsServiceRequest> = from_protobuf(&requests);
        for request in requests {
            let mut resources = HashSet::new();
            for group in request.resource_metrics {
                prop_assert!(resources.insert(group.resource.unwrap().encode_to_vec()));
                prop_assert_eq!(group.scope_metrics.len(), 1);
                let mut names = HashSet::new();
                for metric in &group.scope_metrics[0].metrics {
                    prop_assert!(names.insert(metric.name.clone()));
                }
            }
        }
    }
}

fn server(name: &'static str) -> Arc<Server> {
    Arc::new(Server {
        receiver: Text::Static("postgresql/test"),
        system: Text::Static("postgresql"),
        address: Text::Static(name),
        port: 5432,
        resource: vec![Attribute::new("server.address", name)],
    })
}

fn batch(server: &Arc<Server>, records: Vec<Record>) -> Batch {
    Batch {
        target: Arc::new(Target::server(Arc::clone(server))),
        node: None,
        observed_at: Timestamp::from_nanos(2),
        server_clock: None,
        records,
    }
}

fn gap_with(detail: String) -> Record {
    Record::Gap(Box::new(Gap {
        what: Text::Static("statements"),
        database: None,
        from: None,
        to: Timestamp::from_nanos(1),
        reason: GapReason::LockTimeout,
        detail: detail.into(),
    }))
}

#[test]
fn nothing_gives_no_request() {
    let mut full = Vec::new();
    for format in [Format::Protobuf, Format::Json] {
        let mut logs = LogsEncoder::new(format, RequestBytes::default());
        let empty = batch(&server("a"), Vec::new());
        assert_eq!(logs.push_batch(&empty, ALL, &mut full), Pushed::default());
        assert_eq!((logs.len_bytes(), logs.items(), logs.finish()), (0, 0, None));
        let refused = batch(&server("a"), vec![gap_with(String::new())]);
        assert_eq!(logs.push_batch(&refused, |_| false, &mut full), Pushed::default());
        assert_eq!((logs.len_bytes(), logs.finish()), (0, None));
    }
    assert!(full.is_empty());
}

#[test]
fn a_large_record_goes_alone_and_a_larger_one_is_counted() {
    let limit = RequestBytes::MIN;
    for format in [Format::Protobuf, Format::Json] {
        let (mut logs, mut full) = (LogsEncoder::new(format, limit), Vec::new());
        let of = |lengths: &[usize]| {
            let records = lengths.iter().map(|length| gap_with("x".repeat(*length)));
            batch(&server("a"), records.collect())
        };
        let lengths = [10, 20_000, 10, RECORD_BYTES_MAX, 10, RECORD_BYTES_MAX * 5, 10];
        let pushed = logs.push_batch(&of(&lengths), ALL, &mut full);
        assert_eq!(pushed, Pushed { items: 5, too_large: 2 });
        full.extend(logs.finish());
        let items: Vec<usize> = full.iter().map(|request| request.items).collect();
        assert_eq!(items, [1, 1, 1, 2]);
        let decoded = match format {
            Format::Protobuf => decoded_logs(&from_protobuf(&full)),
            Format::Json => decoded_logs(&from_json(&full)),
        };
        assert_eq!(decoded, expected_logs(&[of(&[10, 20_000, 10, 10, 10])]));
        assert!(full[1].body.len() > limit.get() && full[1].body.len() < 21_000);
    }
}

#[test]
fn records_of_one_server_share_a_resource_across_batches() {
    let (a, b) = (server("a"), server("b"));
    let (mut logs, mut full) = (LogsEncoder::new(Format::Protobuf, RequestBytes::default()), Vec::new());
    for server in [&a, &a, &b, &a] {
        logs.push_batch(&batch(server, vec![gap_with(String::new()); 2]), ALL, &mut full);
    }
    let requests: Vec<ExportLogsServiceRequest> = from_protobuf(&[logs.finish().unwrap()]);
    let lengths = requests[0].resource_logs.iter().map(|group| group.scope_logs[0].log_records.len());
    assert_eq!(lengths.collect::<Vec<_>>(), [4, 2, 2]);
}

#[test]
fn more_servers_than_the_cache_holds_keep_their_own_resources() {
    let (mut logs, mut full) = (LogsEncoder::new(Format::Protobuf, RequestBytes::MAX), Vec::new());
    let servers: Vec<_> = (0..resource::SERVERS_MAX + 10)
        .map(|n| {
            let resource = vec![Attribute::new("n", i64::try_from(n).unwrap())];
            Arc::new(Server { resource, receiver: Text::Static("postgresql"), ..copy(&server("a")) })
        })
        .collect();
    let batches: Vec<Batch> =
        servers.iter().map(|server| batch(server, vec![gap_with(String::new())])).collect();
    for batch in &batches {
        logs.push_batch(batch, ALL, &mut full);
    }
    full.extend(logs.finish());
    assert_eq!(decoded_logs(&from_protobuf(&full)), expected_logs(&batches));
}

fn copy(server: &Server) -> Server {
    Server {
        receiver: server.receiver.clone(),
        system: server.system.clone(),
        address: server.address.clone(),
        port: server.port,
        resource: Vec::new(),
    }
}

#[test]
fn json_reads_as_the_protocol_says() {
    let point = |value| {
        Record::Metric(MetricPoint {
            metric: METRICS.iter().find(|metric| metric.name == "postgresql.uptime").unwrap(),
            labels: Arc::new(Labels::default()),
            fixed: &[("operation", "a\"\u{1}é")],
            value: Number::Double(value),
            start: None,
            time: Timestamp::from_nanos(7),
        })
    };
    let batch = batch(&server("a"), vec![point(0.5), point(f64::NAN), point(f64::NEG_INFINITY)]);
    let (requests, _) = encode_points(Format::Json, RequestBytes::default(), &[batch]);
    let text = String::from_utf8(requests[0].body.clone()).unwrap();
    let expected = concat!(
        r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"server.address","value":{"stringValue":"a"}}]},"#,
        r#""scopeMetrics":[{"scope":{"name":"dbintel.receiver.postgresql","version":"VERSION"},"metrics":["#,
        r#"{"name":"postgresql.uptime","description":"DESCRIPTION","unit":"s","gauge":{"dataPoints":["#,
        r#"{"attributes":[{"key":"operation","value":{"stringValue":"a\"\u0001é"}}],"timeUnixNano":"7","asDouble":0.5},"#,
        r#"{"attributes":[{"key":"operation","value":{"stringValue":"a\"\u0001é"}}],"timeUnixNano":"7","asDouble":"NaN"},"#,
        r#"{"attributes":[{"key":"operation","value":{"stringValue":"a\"\u0001é"}}],"timeUnixNano":"7","asDouble":"-Infinity"}"#,
        r#"]}}]}]}]}"#,
    );
    let description = dbintel_model::catalogue::metric("postgresql.uptime").unwrap().description;
    let expected = expected.replace("VERSION", env!("CARGO_PKG_VERSION")).replace("DESCRIPTION", description);
    assert_eq!(text, expected);
}
