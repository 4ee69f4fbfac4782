use dbintel_model::{Attribute, Labels, Monotonic, Record};
use serde_json::json;

use super::super::config::{Settings, validate};
use super::*;
use crate::harness::{batch, point, server};

#[allow(clippy::needless_pass_by_value, reason = "callers write json!() in place")]
/// A page of one counter, one sum that can fall, and three gauges with odd values.
pub(in crate::prometheus) fn page(settings: serde_json::Value, format: Format) -> String {
    let mut all = json!({"endpoint": "localhost:0"});
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let settings: Settings = serde_json::from_value(all).unwrap();
    let config = validate(&settings).unwrap().config;
    let store = Arc::new(Mutex::new(Store::new(config.store.clone())));
    store.lock().update(&batch(&server(), records()), Monotonic::default());
    Pages::new(store, &config).write(format)
}

fn records() -> Vec<Record> {
    let database = |name: &'static str| Labels {
        resource: Vec::new(),
        point: vec![Attribute::new("db.namespace", name)],
    };
    vec![
        point("postgresql.commits", database("a\"b"), Number::Int(i64::MAX)),
        point("postgresql.db_size", database("a"), Number::Int(-1)),
        point("postgresql.uptime", database("a"), Number::Double(1e300)),
        point("postgresql.uptime", database("b"), Number::Double(f64::NAN)),
        point("postgresql.uptime", database("c"), Number::Double(f64::NEG_INFINITY)),
    ]
}

const TARGET: &str = "server_address=\"db.example\",server_port=\"5432\"";

#[test]
fn text() {
    let expected = [
        "# HELP target_info Attributes of the server.",
        "# TYPE target_info gauge",
        "target_info{TARGET,service_name=\"orders\"} 1",
        "# HELP postgresql_commits_total Transactions committed.",
        "# TYPE postgresql_commits_total counter",
        "postgresql_commits_total{db_namespace=\"a\\\"b\",TARGET} 9223372036854775807",
        "# HELP postgresql_db_size_bytes DB_SIZE",
        "# TYPE postgresql_db_size_bytes gauge",
        "postgresql_db_size_bytes{db_namespace=\"a\",TARGET} -1",
        "# HELP postgresql_uptime_seconds UPTIME",
        "# TYPE postgresql_uptime_seconds gauge",
        "postgresql_uptime_seconds{db_namespace=\"a\",TARGET} 1e300",
        "postgresql_uptime_seconds{db_namespace=\"b\",TARGET} NaN",
        "postgresql_uptime_seconds{db_namespace=\"c\",TARGET} -Inf",
        "",
    ];
    let description = |name| dbintel_model::catalogue::metric(name).unwrap().description;
    let expected = expected
        .join("\n")
        .replace("TARGET", TARGET)
        .replace("DB_SIZE", description("postgresql.db_size"))
        .replace("UPTIME", description("postgresql.uptime"));
    assert_eq!(page(json!({}), Format::Text), expected);
}

#[test]
fn open_metrics() {
    let open = page(json!({"send_timestamps": true}), Format::OpenMetrics);
    let lines: Vec<&str> = open.lines().collect();
    assert_eq!(lines[..2], ["# HELP target Attributes of the server.", "# TYPE target info"]);
    assert_eq!(lines[4], "# TYPE postgresql_commits counter");
    assert!(
        lines[5].starts_with("postgresql_commits_total{") && lines[5].ends_with(" 9223372036854775807 1.500")
    );
    assert_eq!(lines.last(), Some(&"# EOF"));
    let text = page(json!({"send_timestamps": true}), Format::Text);
    assert!(text.contains(" 9223372036854775807 1500\n"));
}

#[test]
fn a_counter_without_its_suffix_is_unknown_to_open_metrics() {
    let without = json!({"add_metric_suffixes": false, "namespace": "db"});
    assert!(page(without.clone(), Format::OpenMetrics).contains("# TYPE db_postgresql_commits unknown\n"));
    assert!(page(without, Format::Text).contains("# TYPE db_postgresql_commits counter\n"));
}

#[test]
fn an_empty_store_gives_an_empty_page() {
    let settings: Settings = serde_json::from_value(json!({"endpoint": "localhost:0"})).unwrap();
    let config = validate(&settings).unwrap().config;
    let pages = Pages::new(Arc::new(Mutex::new(Store::new(config.store.clone()))), &config);
    assert_eq!(
        (pages.write(Format::Text), pages.write(Format::OpenMetrics)),
        (String::new(), "# EOF\n".to_owned())
    );
}

#[test]
fn the_format_follows_the_accept_header() {
    let check = |accept, expected| assert_eq!(Format::accepted(accept), expected, "{accept}");
    check("", Format::Text);
    check("*/*", Format::Text);
    check("text/plain;version=0.0.4", Format::Text);
    check("application/openmetrics-text; version=1.0.0", Format::OpenMetrics);
    check("application/openmetrics-text; version=2.0.0", Format::Text);
    check("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.9", Format::Text);
    check("application/openmetrics-text;q=0, */*", Format::Text);
    check("application/openmetrics-text;q=NaN", Format::Text);
    check(
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;\
         version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        Format::OpenMetrics,
    );
}
