//! The contract of the health endpoints: paths, codes and JSON shapes.

use std::time::Duration;

use axum::body::Body;
use dbintel_model::{Clock as _, ManualClock, Text};
use dbintel_pipeline::status::{ComponentKind, State as ComponentState};
use dbintel_pipeline::telemetry::{SelfMetric, SelfMetricKind};
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::config::ResponseBodySettings;
use crate::fixture::{context, empty_context, fleet, fleet_wiring, pass, start_time};

async fn get(cx: &AdminContext, path: &str) -> (u16, String) {
    get_with(&HealthCheckConfig::default(), cx, path).await
}

async fn get_with(config: &HealthCheckConfig, cx: &AdminContext, path: &str) -> (u16, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(config, cx.clone()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get_json(cx: &AdminContext, path: &str) -> (u16, Value) {
    let (status, body) = get(cx, path).await;
    (status, serde_json::from_str(&body).unwrap())
}

/// Names and types of a JSON value, without the values.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Bool(_) => json!("bool"),
        Value::Number(number) if number.is_u64() => json!("integer"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Null => json!("null"),
        Value::Array(_) => json!("array"),
    }
}

#[tokio::test]
async fn the_report_has_the_shape_that_was_promised() {
    let (cx, clock) = empty_context();
    fleet(&cx);
    pass(&cx, &clock, Duration::from_secs(90));
    let (status, body) = get_json(&cx, "/health").await;
    assert_eq!(status, 200);

    let mut top: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    top.sort_unstable();
    let promised = ["components", "healthy", "resource_usage", "timestamp", "uptime", "version"];
    assert_eq!(top, promised);
    assert_eq!(body["timestamp"], "2026-11-21T04:44:55.000000Z");
    assert_eq!((&body["version"], &body["uptime"]), (&json!("0.1.0"), &json!(90)));
    let usage = shape(&body["resource_usage"]);
    let expected =
        json!({"memory_usage_mb": "number", "memory_limit_mb": "number", "cpu_usage_percent": "number"});
    assert_eq!(usage, expected);

    let receiver = &body["components"]["receiver:postgresql/orders"];
    assert_eq!(
        receiver,
        &json!({
            "healthy": true,
            "status": "ok",
            "since": "2026-11-21T04:43:25.000000Z",
            "last_success": "2026-11-21T04:43:25.000000Z",
            "reason": null,
            "missing": {"statements": {
                "reason": "insufficient_privilege",
                "detail": "permission denied for view pg_stat_statements; GRANT pg_monitor TO dbintel",
                "since": "2026-11-21T04:43:25.000000Z",
            }},
            "metrics": {
                "accepted_metric_points": 1_234_567,
                "refused_records": 40,
                "database_time_seconds": 1.6,
                "error_ratio": 0.25,
            },
        })
    );
    let exporter = &body["components"]["exporter:otlp"];
    assert_eq!(exporter["healthy"], false);
    assert_eq!((&exporter["status"], &exporter["last_success"]), (&json!("degraded"), &Value::Null));
    assert_eq!(exporter["reason"], "connection refused, 3 attempts");
    let metrics = json!({
        "queue_size": 7, "queue_capacity": 1_000, "sent_records": 900, "failed_records": 100, "error_ratio": 0.1,
    });
    assert_eq!(exporter["metrics"], metrics);
    assert_eq!(body["components"].as_object().unwrap().len(), 5);
}

#[tokio::test]
async fn a_backend_that_is_down_shows_in_the_body_and_not_in_the_code() {
    let (cx, _) = empty_context();
    fleet(&cx);
    let (status, body) = get_json(&cx, "/health").await;
    assert_eq!((status, &body["healthy"]), (200, &json!(false)));
    let (status, body) = get_json(&cx, "/health/ready").await;
    let reasons = json!(["exporter:otlp degraded: connection refused, 3 attempts"]);
    assert_eq!((status, &body), (200, &json!({"status": "ready, degraded", "reasons": reasons})));
    assert_eq!(get(&cx, "/health/live").await.0, 200);
    assert_eq!(get(&cx, "/").await.0, 200);

    let exporter = cx.board.register(ComponentKind::Exporter, "otlp".into(), cx.clock.now());
    exporter.succeeded(cx.clock.now());
    let (status, body) = get_json(&cx, "/health").await;
    assert_eq!((status, &body["healthy"]), (200, &json!(true)));
}

#[tokio::test]
async fn ready_is_from_the_last_start_to_the_begin_of_shutdown() {
    let (cx, _) = empty_context();
    let (status, body) = get_json(&cx, "/health/ready").await;
    let nothing = json!({"status": "not ready", "reasons": ["no lane or exporter has been started yet"]});
    assert_eq!((status, body), (503, nothing));
    // Endpoints of our own are no reason to be ready.
    let own = cx.board.register(ComponentKind::Extension, "zpages".into(), cx.clock.now());
    own.set(ComponentState::Ok, cx.clock.now());
    assert_eq!(get(&cx, "/health/ready").await.0, 503);

    let lane = cx.board.register(ComponentKind::Lane, "postgresql".into(), cx.clock.now());
    let (status, body) = get_json(&cx, "/health/ready").await;
    let starting = json!({"status": "not ready", "reasons": ["lane:postgresql is starting"]});
    assert_eq!((status, body), (503, starting));
    lane.set(ComponentState::Ok, cx.clock.now());
    let ready = json!({"status": "ready", "reasons": []});
    assert_eq!(get_json(&cx, "/health/ready").await, (200, ready));

    cx.board.begin_shutdown();
    let (status, body) = get_json(&cx, "/health/ready").await;
    assert_eq!((status, &body["reasons"]), (503, &json!(["shutting down"])));
    assert_eq!((get(&cx, "/").await.0, get(&cx, "/health").await.0), (503, 503));
    assert_eq!(get(&cx, "/health/live").await.0, 200);
}

#[tokio::test]
async fn live_fails_when_the_process_makes_no_progress_and_only_then() {
    let (cx, clock) = empty_context();
    assert_eq!(get_json(&cx, "/health/live").await, (200, json!({"status": "alive", "reasons": []})));
    clock.advance(Duration::from_secs(31));
    let (status, body) = get_json(&cx, "/health/live").await;
    assert_eq!((status, &body["reasons"]), (503, &json!(["the main runtime has not run for 31 s"])));
    assert_eq!(get(&cx, "/health").await.0, 503);
    pass(&cx, &clock, Duration::ZERO);
    assert_eq!(get(&cx, "/health/live").await.0, 200);

    let lane = cx.board.register(ComponentKind::Lane, "postgresql".into(), cx.clock.now());
    lane.working(clock.monotonic());
    pass(&cx, &clock, Duration::from_secs(61));
    assert_eq!(get(&cx, "/health/live").await.0, 503);
}

#[tokio::test]
async fn the_collectors_answer_is_the_collectors() {
    let (cx, clock) = empty_context();
    let unavailable = r#"{"status":"Server not available","upSince":"0001-01-01T00:00:00Z","uptime":""}"#;
    assert_eq!(get(&cx, "/").await, (503, unavailable.to_owned()));
    fleet(&cx);
    pass(&cx, &clock, Duration::from_millis(62_500));
    let available =
        r#"{"status":"Server available","upSince":"2026-11-21T04:43:25.000000Z","uptime":"1m2.5s"}"#;
    assert_eq!(get(&cx, "/").await, (200, available.to_owned()));
    assert_eq!(get(&cx, "/healthz").await, (200, available.to_owned()));
}

#[tokio::test]
async fn the_collectors_path_and_answers_can_be_configured() {
    let (cx, _) = empty_context();
    let config = HealthCheckConfig {
        path: "/status".to_owned(),
        response_body: Some(ResponseBodySettings { healthy: "yes".to_owned(), unhealthy: "no".to_owned() }),
        ..HealthCheckConfig::default()
    };
    assert_eq!(get_with(&config, &cx, "/status").await, (503, "no".to_owned()));
    fleet(&cx);
    assert_eq!(get_with(&config, &cx, "/status").await, (200, "yes".to_owned()));
    assert_eq!(get_with(&config, &cx, "/").await.0, 404);
    assert_eq!(get_with(&config, &cx, "/health/live").await.0, 200);
}

#[tokio::test]
async fn an_accelerated_run_is_marked_in_every_answer() {
    for (factor, said) in [(None, 0), (Some(60.0), 4)] {
        let clock = ManualClock::at(start_time());
        let mut wiring = fleet_wiring(None);
        wiring.pipelines[1].acceleration = factor;
        let cx = context(&clock, wiring);
        fleet(&cx);
        let mut marked = 0;
        for path in ["/health", "/health/live", "/health/ready", "/"] {
            let (status, body) = get_json(&cx, path).await;
            assert_eq!((status, body["acceleration"].as_f64()), (200, factor), "{path}");
            marked += usize::from(body.get("acceleration").is_some());
        }
        assert_eq!(marked, said);
    }
}

#[tokio::test]
async fn a_probe_lists_a_bounded_number_of_reasons() {
    let (cx, _) = empty_context();
    for n in 0..PROBE_REASONS_MAX + 3 {
        let id = format!("postgresql/{n}").into();
        let receiver = cx.board.register(ComponentKind::Receiver, id, cx.clock.now());
        receiver.set(ComponentState::Degraded("connection refused".into()), cx.clock.now());
    }
    let (_, body) = get_json(&cx, "/health/ready").await;
    let reasons = body["reasons"].as_array().unwrap();
    assert_eq!(reasons.len(), PROBE_REASONS_MAX + 1);
    assert_eq!(reasons.last().unwrap(), "and 3 more, see /health");
}

#[tokio::test]
async fn what_stands_before_a_server_is_a_component_of_each_lane() {
    // The names that the processors use are asserted end to end.
    static STATE: SelfMetric = SelfMetric {
        name: "circuit_breaker_state",
        help: "",
        kind: SelfMetricKind::Gauge,
        labels: &["receiver", "database", "state"],
    };
    static STRETCH: SelfMetric = SelfMetric {
        name: "collector_cadence_stretch_ratio",
        help: "",
        kind: SelfMetricKind::Gauge,
        labels: &["receiver"],
    };
    static DROPPED: SelfMetric = SelfMetric {
        name: "adaptive_sampler_records_dropped_total",
        help: "",
        kind: SelfMetricKind::Counter,
        labels: &["receiver"],
    };
    let clock = ManualClock::at(start_time());
    let mut wiring = fleet_wiring(None);
    wiring.pipelines[0].processors.push("adaptive_sampler/nights".into());
    let receiver = wiring.pipelines[0].receiver.clone();
    let cx = context(&clock, wiring);
    fleet(&cx);
    let of_receiver = || vec![("receiver", receiver.clone())];
    let state = |database: &'static str, state: &'static str, is: f64| {
        let mut labels = of_receiver();
        labels.extend([("database", Text::Static(database)), ("state", Text::Static(state))]);
        cx.registry.gauge(&STATE, labels).set(is);
    };
    state("", "closed", 1.0);
    state("app", "closed", 0.0);
    state("app", "open", 1.0);
    cx.registry.gauge(&STRETCH, of_receiver()).set(2.0);
    cx.registry.counter(&DROPPED, of_receiver()).add(7);
    let (status, body) = get_json(&cx, "/health").await;
    assert_eq!(status, 200);
    let of = |name: &str| body["components"][format!("{name}:{receiver}")].clone();
    let breaker = of("circuit_breaker");
    assert_eq!((&breaker["healthy"], &breaker["reason"]), (&json!(false), &json!("not closed: app")));
    assert_eq!(breaker["metrics"], json!({"open": 1, "half_open": 0, "closed": 1, "trips": 0}));
    let limiter = of("rate_limiter");
    assert_eq!((&limiter["healthy"], &limiter["metrics"]), (&json!(false), &json!({"cadence_stretch": 2})));
    assert_eq!(of("adaptive_sampler")["metrics"], json!({"records_dropped": 7}));
    assert!(body["components"].get("adaptive_sampler:postgresql/orders").is_none());

    state("app", "closed", 1.0);
    state("app", "open", 0.0);
    let (_, body) = get_json(&cx, "/health").await;
    assert_eq!(body["components"][format!("circuit_breaker:{receiver}")]["healthy"], true);
}
