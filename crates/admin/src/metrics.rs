//! `/metrics`: self-metrics as Prometheus text.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use dbintel_pipeline::telemetry::Registry;
use http::{StatusCode, header};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn router(registry: Registry) -> Router {
    Router::new().route("/metrics", get(metrics)).fallback(elsewhere).with_state(registry)
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], registry.prometheus_text())
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn elsewhere() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "dbintel's own metrics are under /metrics\n")
}
