//! Health endpoints.
//!
//! | path | 200 | 503 |
//! |---|---|---|
//! | `/health/live` | the process makes progress | the main runtime or a component has stood still for too long |
//! | `/health/ready` | every lane and exporter was started | before that, and from the start of shutdown on |
//! | `/health` | alive and ready | otherwise; the body names every component in both cases |
//! | `/` (or `path`) | as `/health/ready` | the same; the body is that of the Collector's health check |
//!
//! Where the time of a `regression_verifier` is accelerated, for tests and demonstrations, every answer says so (`acceleration`).
//!
//! A database or a backend that is down is `degraded`, with its reason in the body, and the answer stays 200: starting
//! the collector anew would not help it.

mod duration;
mod figures;
mod protection;
mod report;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use dbintel_pipeline::status::State as ComponentState;
use http::{StatusCode, Uri, header};
use serde::Serialize;

use crate::AdminContext;
use crate::config::HealthCheckConfig;
use crate::heartbeat::not_alive;
use report::{HealthReport, acceleration, component_name};

/// Reasons listed by a probe; further ones are counted.
const PROBE_REASONS_MAX: usize = 16;
/// What Go writes for a time that is not set.
const GO_ZERO_TIME: &str = "0001-01-01T00:00:00Z";

#[derive(Clone)]
struct Health {
    config: HealthCheckConfig,
    cx: AdminContext,
}

/// The Collector's health check, version 1.
#[derive(Debug, Serialize)]
struct CollectorAnswer {
    status: &'static str,
    #[serde(rename = "upSince")]
    up_since: String,
    uptime: String,
    /// Ours, and only where time is not real.
    #[serde(skip_serializing_if = "Option::is_none")]
    acceleration: Option<f64>,
}

/// The answer of a probe.
#[derive(Debug, Serialize)]
struct ProbeAnswer {
    status: &'static str,
    reasons: Vec<String>,
    /// Absent where time is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    acceleration: Option<f64>,
}

pub(crate) fn router(config: &HealthCheckConfig, cx: AdminContext) -> Router {
    let health = Health { config: config.clone(), cx };
    Router::new()
        .route("/health", get(report))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .fallback(collector)
        .with_state(health)
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn report(State(health): State<Health>) -> Response {
    let is_up = health.not_alive().is_none() && health.cx.board.is_ready();
    json(status(is_up), &HealthReport::of(&health.cx, is_up))
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn live(State(health): State<Health>) -> Response {
    match health.not_alive() {
        None => health.probe(true, "alive", Vec::new()),
        Some(reason) => health.probe(false, "not alive", vec![reason]),
    }
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn ready(State(health): State<Health>) -> Response {
    let board = &health.cx.board;
    if !board.is_ready() {
        return health.probe(false, "not ready", health.obstacles());
    }
    let degraded = health.degraded();
    let status = if degraded.is_empty() { "ready" } else { "ready, degraded" };
    health.probe(true, status, degraded)
}

#[allow(clippy::unused_async, reason = "axum's handlers are async")]
async fn collector(State(health): State<Health>, uri: Uri) -> Response {
    let path = &health.config.path;
    if path != "/" && uri.path() != path {
        let text = format!("health is under {path}, /health, /health/live and /health/ready\n");
        return (StatusCode::NOT_FOUND, text).into_response();
    }
    health.collector_answer()
}

fn status(is_up: bool) -> StatusCode {
    if is_up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "health answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

// === impl Health ===

impl Health {
    fn not_alive(&self) -> Option<String> {
        let now = self.cx.clock.monotonic();
        not_alive(&self.cx.heartbeat, &self.cx.board, now).map(|reason| reason.to_string())
    }

    fn probe(&self, is_ok: bool, status_text: &'static str, mut reasons: Vec<String>) -> Response {
        let further = reasons.len().saturating_sub(PROBE_REASONS_MAX);
        if further > 0 {
            reasons.truncate(PROBE_REASONS_MAX);
            reasons.push(format!("and {further} more, see /health"));
        }
        let answer = ProbeAnswer { status: status_text, reasons, acceleration: acceleration(&self.cx) };
        json(status(is_ok), &answer)
    }

    /// What stands against readiness.
    fn obstacles(&self) -> Vec<String> {
        if self.cx.board.is_shutting_down() {
            return vec!["shutting down".to_owned()];
        }
        let components = self.cx.board.components();
        let starting = components.iter().filter(|component| component.state == ComponentState::Starting);
        let mut obstacles: Vec<_> =
            starting.map(|component| format!("{} is starting", component_name(component))).collect();
        if obstacles.is_empty() {
            obstacles.push("no lane or exporter has been started yet".to_owned());
        }
        obstacles
    }

    fn degraded(&self) -> Vec<String> {
        let components = self.cx.board.components();
        let reasons = components.iter().filter_map(|component| {
            let reason = component.state.reason()?;
            Some(format!("{} {}: {reason}", component_name(component), component.state.as_str()))
        });
        reasons.collect()
    }

    fn collector_answer(&self) -> Response {
        let is_ready = self.cx.board.is_ready();
        if let Some(body) = &self.config.response_body {
            let text = if is_ready { &body.healthy } else { &body.unhealthy };
            return (status(is_ready), text.clone()).into_response();
        }
        let answer = if is_ready {
            CollectorAnswer {
                status: "Server available",
                up_since: self.cx.started_at.to_string(),
                uptime: duration::go(self.cx.monitor.sample().uptime),
                acceleration: acceleration(&self.cx),
            }
        } else {
            CollectorAnswer {
                status: "Server not available",
                up_since: GO_ZERO_TIME.to_owned(),
                uptime: String::new(),
                acceleration: acceleration(&self.cx),
            }
        };
        json(status(is_ready), &answer)
    }
}

#[cfg(test)]
mod tests;
