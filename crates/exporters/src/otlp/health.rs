//! What an exporter says about its backend: status, counters, and few log lines.
//!
//! The exporter is degraded as long as the last attempt of one signal failed. A backend that takes metrics and refuses
//! logs is degraded, and does not change its mind with every request.

use std::sync::Arc;

use dbintel_model::{Clock, Signal, Text};
use dbintel_otlp::outcome::Reason;
use dbintel_pipeline::status::{State, StatusHandle};
use dbintel_pipeline::telemetry::{Counter, Registry, definitions};
use dbintel_pipeline::{ExporterContext, LossReason};
use parking_lot::Mutex;

use crate::quiet::Quiet;

/// The backend as this exporter has met it.
#[derive(Debug)]
pub(super) struct Health {
    id: Text,
    clock: Arc<dyn Clock>,
    status: StatusHandle,
    registry: Registry,
    sent_bytes: Counter,
    delivered: Counter,
    failing: Mutex<Failing>,
    failed: Quiet,
    recovered: Quiet,
    losing: Quiet,
    warned: Quiet,
}

/// Per signal: failed attempts since the last success.
#[derive(Debug, Default)]
struct Failing {
    metrics: Option<u64>,
    logs: Option<u64>,
}

impl Health {
    pub(super) fn new(cx: &ExporterContext) -> Self {
        let labels = vec![("exporter", cx.id.clone())];
        Self {
            id: cx.id.clone(),
            clock: Arc::clone(&cx.clock),
            status: cx.status.clone(),
            sent_bytes: cx.registry.counter(&definitions::EXPORTER_SENT_BYTES, labels),
            delivered: outcome_counter(&cx.registry, &cx.id, "delivered"),
            registry: cx.registry.clone(),
            failing: Mutex::default(),
            failed: Quiet::default(),
            recovered: Quiet::default(),
            losing: Quiet::default(),
            warned: Quiet::default(),
        }
    }

    /// A request of so many bytes was accepted.
    pub(super) fn succeeded(&self, signal: Signal, bytes: usize) {
        self.sent_bytes.add(bytes as u64);
        self.delivered.increment();
        let (ended, other) = {
            let mut failing = self.failing.lock();
            (failing.of(signal).take(), failing.any())
        };
        let now = self.clock.now();
        if other {
            // Notes the success and leaves the state as it is.
            self.status.idle(now);
        } else {
            self.status.succeeded(now);
        }
        let Some(failures) = ended else { return };
        if let Some(left_out) = self.recovered.permit(self.clock.monotonic()) {
            let signal = signal.as_str();
            tracing::info!(exporter = %self.id, signal, failures, left_out, "backend accepts requests again");
        }
    }

    /// An attempt failed.
    pub(super) fn failed(&self, signal: Signal, reason: &Reason) {
        outcome_counter(&self.registry, &self.id, reason.kind.as_str()).increment();
        let text = Text::from(format!("{}: {reason}", signal.as_str()));
        {
            let mut failing = self.failing.lock();
            let of_signal = failing.of(signal);
            *of_signal = Some(of_signal.unwrap_or(0) + 1);
        }
        self.status.set(State::Degraded(text), self.clock.now());
        if let Some(left_out) = self.failed.permit(self.clock.monotonic()) {
            let signal = signal.as_str();
            tracing::warn!(exporter = %self.id, signal, %reason, left_out, "backend does not accept requests");
        }
    }

    /// Records are lost. They are counted elsewhere.
    pub(super) fn lost(&self, signal: Signal, items: u64, reason: LossReason, detail: &str) {
        if let Some(left_out) = self.losing.permit(self.clock.monotonic()) {
            let (signal, reason) = (signal.as_str(), reason.as_str());
            tracing::error!(exporter = %self.id, signal, items, reason, detail, left_out, "records lost");
        }
    }

    /// The backend accepted the request and has something to say.
    pub(super) fn warned(&self, message: &str) {
        if let Some(left_out) = self.warned.permit(self.clock.monotonic()) {
            tracing::warn!(exporter = %self.id, message, left_out, "message from the backend");
        }
    }
}

// === impl Failing ===

impl Failing {
    const fn of(&mut self, signal: Signal) -> &mut Option<u64> {
        match signal {
            Signal::Metrics => &mut self.metrics,
            Signal::Logs | Signal::Traces => &mut self.logs,
        }
    }

    const fn any(&self) -> bool {
        self.metrics.is_some() || self.logs.is_some()
    }
}

fn outcome_counter(registry: &Registry, exporter: &Text, outcome: &'static str) -> Counter {
    let labels = vec![("exporter", exporter.clone()), ("outcome", outcome.into())];
    registry.counter(&definitions::EXPORTER_REQUESTS, labels)
}
