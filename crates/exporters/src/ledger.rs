//! Which records an exporter has in its hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dbintel_model::Signal;
use dbintel_pipeline::{Delivery, ExporterContext, ExporterInput, ExporterTelemetry, LossReason, Payload};

/// Counts records between being taken from a queue and being settled: sent, lost, or put into the next queue.
///
/// What is still in hand when the ledger is dropped is lost, and is counted: by a panic, or because the process ends
/// and the exporter was cancelled.
#[derive(Debug)]
pub(crate) struct Ledger {
    telemetry: ExporterTelemetry,
    metric_points: AtomicU64,
    log_records: AtomicU64,
}

/// Counts what is left in the input when a run ends early. After a panic it leaves it: the next run goes on.
#[derive(Debug)]
pub(crate) struct LeftInInput {
    input: ExporterInput,
    telemetry: ExporterTelemetry,
}

// === impl Ledger ===

impl Ledger {
    pub(crate) const fn new(telemetry: ExporterTelemetry) -> Self {
        Self { telemetry, metric_points: AtomicU64::new(0), log_records: AtomicU64::new(0) }
    }

    /// All records of the delivery are in hand now.
    pub(crate) fn take_delivery(&self, delivery: &Delivery) {
        let (points, logs) = delivery.items();
        self.take(Signal::Metrics, points);
        self.take(Signal::Logs, logs);
    }

    /// All records of the payload are in hand now.
    pub(crate) fn take_payload(&self, payload: &Payload) {
        self.take(payload.signal, payload.items.into());
    }

    /// So many records are in hand now.
    pub(crate) fn take(&self, signal: Signal, items: u64) {
        self.of(signal).fetch_add(items, Ordering::Relaxed);
    }

    /// So many records were put where something else answers for them.
    pub(crate) fn hand_over(&self, signal: Signal, items: u64) {
        // What was never taken cannot be handed over; a bug there must not wrap around.
        let subtract = |held: u64| Some(held.saturating_sub(items));
        let _ = self.of(signal).fetch_update(Ordering::Relaxed, Ordering::Relaxed, subtract);
    }

    /// So many records were delivered.
    pub(crate) fn sent(&self, signal: Signal, items: u64) {
        self.hand_over(signal, items);
        self.telemetry.sent(signal, items);
    }

    /// So many records are lost.
    pub(crate) fn lost(&self, signal: Signal, items: u64, reason: LossReason) {
        self.hand_over(signal, items);
        self.telemetry.lost(signal, items, reason);
    }

    const fn of(&self, signal: Signal) -> &AtomicU64 {
        match signal {
            Signal::Metrics => &self.metric_points,
            Signal::Logs | Signal::Traces => &self.log_records,
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        let reason = if std::thread::panicking() { LossReason::Panic } else { LossReason::Shutdown };
        for signal in [Signal::Metrics, Signal::Logs] {
            self.telemetry.lost(signal, self.of(signal).load(Ordering::Relaxed), reason);
        }
    }
}

// === impl LeftInInput ===

impl LeftInInput {
    pub(crate) fn new(cx: &ExporterContext) -> Self {
        Self { input: Arc::clone(&cx.input), telemetry: cx.telemetry.clone() }
    }
}

impl Drop for LeftInInput {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        while let Some(delivery) = self.input.try_pop() {
            self.telemetry.lost_delivery(&delivery, LossReason::Shutdown);
        }
    }
}

#[cfg(test)]
mod tests {
    use dbintel_pipeline::telemetry::Registry;

    use super::*;

    #[test]
    fn what_is_in_hand_at_the_end_is_counted() {
        let registry = Registry::default();
        let telemetry = || ExporterTelemetry::new(registry.clone(), "otlp".into());
        let lost = |reason| {
            let labels = [("exporter", "otlp"), ("reason", reason)];
            registry.value("otelcol_exporter_send_failed_log_records", &labels)
        };
        let payload = Payload {
            signal: Signal::Logs,
            body: bytes::Bytes::new(),
            items: 10,
            uncompressed_bytes: 0,
            precious: false,
        };
        let ledger = Ledger::new(telemetry());
        ledger.take_payload(&payload);
        ledger.sent(Signal::Logs, 7);
        ledger.lost(Signal::Logs, 1, LossReason::PartialSuccess);
        drop(ledger);
        assert_eq!((lost("partial_success"), lost("shutdown"), lost("panic")), (Some(1.0), Some(2.0), None));

        let panicking = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let ledger = Ledger::new(telemetry());
            ledger.take_payload(&payload);
            panic!("on purpose");
        }));
        assert!(panicking.is_err());
        assert_eq!(lost("panic"), Some(10.0));
    }
}
