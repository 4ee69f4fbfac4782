//! The health report: one JSON object with every component in it.

use std::collections::BTreeMap;

use dbintel_pipeline::status::{ComponentStatus, Missing, State};
use serde::Serialize;

use super::{figures, protection};
use crate::AdminContext;
use crate::pages::SeriesIndex;

/// What `/health` answers.
#[derive(Debug, Serialize)]
pub(super) struct HealthReport {
    /// Whether everything works: alive, ready, and no component with anything to complain about. The status code of the
    /// answer is milder: it asks only whether dbintel itself is up.
    healthy: bool,
    timestamp: String,
    version: String,
    /// Seconds.
    uptime: u64,
    components: BTreeMap<String, ComponentHealth>,
    resource_usage: ResourceUsage,
    /// Absent where time is real.
    #[serde(skip_serializing_if = "Option::is_none")]
    acceleration: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct ComponentHealth {
    healthy: bool,
    status: &'static str,
    /// `null` where it is made of figures, which do not say.
    since: Option<String>,
    last_success: Option<String>,
    reason: Option<String>,
    missing: BTreeMap<String, MissingPart>,
    metrics: BTreeMap<&'static str, serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct MissingPart {
    reason: &'static str,
    detail: String,
    since: String,
}

/// `null` is unknown.
#[derive(Debug, Serialize)]
struct ResourceUsage {
    /// Resident set size in mebibytes.
    memory_usage_mb: Option<f64>,
    /// What the container, or else the machine, has, in mebibytes.
    memory_limit_mb: Option<f64>,
    /// 100 is one CPU.
    cpu_usage_percent: Option<f64>,
}

/// A name for a component that no other has: a receiver and its lane share an id.
pub(super) fn component_name(component: &ComponentStatus) -> String {
    format!("{}:{}", component.kind.as_str(), component.id)
}

/// How many times faster than life time runs in some `regression_verifier`, for tests and demonstrations; the most, where several are.
pub(super) fn acceleration(cx: &AdminContext) -> Option<f64> {
    cx.pages.pipelines().iter().filter_map(|lane| lane.acceleration).reduce(f64::max)
}

// === impl HealthReport ===

impl HealthReport {
    pub(super) fn of(cx: &AdminContext, is_up: bool) -> Self {
        let series = SeriesIndex::of(&cx.registry);
        let board = cx.board.components();
        let components = board
            .iter()
            .map(|component| (component_name(component), ComponentHealth::of(component, &series)));
        let lanes = cx.pages.pipelines();
        let protecting = lanes.iter().flat_map(|lane| protection::components(lane, &series));
        let components: BTreeMap<_, _> = components.chain(protecting).collect();
        Self {
            healthy: is_up && components.values().all(|component| component.healthy),
            timestamp: cx.clock.now().to_string(),
            version: cx.version.to_string(),
            uptime: cx.monitor.sample().uptime.as_secs(),
            components,
            resource_usage: ResourceUsage::of(cx),
            acceleration: acceleration(cx),
        }
    }
}

impl ComponentHealth {
    /// A component that is degraded as long as there is a reason.
    pub(super) fn of_figures(
        metrics: BTreeMap<&'static str, serde_json::Value>,
        reason: Option<String>,
    ) -> Self {
        let status = if reason.is_some() { "degraded" } else { "ok" };
        let missing = BTreeMap::new();
        Self { healthy: reason.is_none(), status, since: None, last_success: None, reason, missing, metrics }
    }

    fn of(component: &ComponentStatus, series: &SeriesIndex) -> Self {
        Self {
            healthy: component.state == State::Ok,
            status: component.state.as_str(),
            since: Some(component.since.to_string()),
            last_success: component.last_success.map(|at| at.to_string()),
            reason: component.state.reason().map(ToString::to_string),
            missing: component
                .missing
                .iter()
                .map(|(part, missing)| (part.to_string(), MissingPart::of(missing)))
                .collect(),
            metrics: figures::of(component, series),
        }
    }
}

impl MissingPart {
    fn of(missing: &Missing) -> Self {
        Self { reason: missing.reason, detail: missing.detail.to_string(), since: missing.since.to_string() }
    }
}

impl ResourceUsage {
    fn of(cx: &AdminContext) -> Self {
        let (usage, limits) = (cx.monitor.sample(), cx.monitor.limits());
        Self {
            memory_usage_mb: usage.rss_bytes.map(mebibytes),
            memory_limit_mb: limits.memory.map(|bound| mebibytes(bound.bytes)),
            cpu_usage_percent: usage.cpu_percent.map(to_tenth),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a size, for display")]
fn mebibytes(bytes: u64) -> f64 {
    to_tenth(bytes as f64 / f64::from(1 << 20))
}

fn to_tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
