//! The exporter `debug`: readable text in the log, to see what passes.
//!
//! Promises:
//! * at most `lines_per_second` lines; what is left out is counted and said in one line, and does not slow anything
//!   down;
//! * a line is at most [`LINE_CHARS_MAX`] characters long;
//! * it writes through the log, so the log's level and format apply: target `dbintel::debug`, level info.

mod config;
mod format;

use std::time::Duration;

use async_trait::async_trait;
use dbintel_model::{Monotonic, Signal};
use dbintel_pipeline::status::State;
use dbintel_pipeline::telemetry::{Counter, definitions};
use dbintel_pipeline::{ComponentError, Delivery, Exporter, ExporterContext, Signals};

pub use self::config::{Config, Settings, Verbosity, validate};
pub use self::format::LINE_CHARS_MAX;
use crate::ledger::LeftInInput;

/// The signals this exporter takes.
pub const SIGNALS: Signals = Signals { metrics: true, logs: true, traces: false };

/// Shows records in the log.
#[derive(Debug)]
pub struct DebugExporter {
    config: Config,
}

/// Lines that may still be written in this second.
#[derive(Debug)]
struct Budget {
    per_second: u32,
    second: Monotonic,
    written: u32,
    left_out: u64,
}

impl DebugExporter {
    /// An exporter.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config }
    }
}

#[async_trait]
impl Exporter for DebugExporter {
    async fn run(self: Box<Self>, cx: ExporterContext) -> Result<(), ComponentError> {
        let _input = LeftInInput::new(&cx);
        let labels = vec![("exporter", cx.id.clone()), ("limit", "debug_lines".into())];
        let left_out = cx.registry.counter(&definitions::LIMIT_REACHED, labels);
        let mut budget = Budget::new(self.config.lines_per_second, cx.clock.monotonic());
        cx.status.set(State::Ok, cx.clock.now());
        loop {
            let delivery = tokio::select! {
                delivery = cx.input.pop() => delivery,
                () = cx.abort.cancelled() => None,
            };
            let Some(delivery) = delivery else { break };
            self.show(&delivery, &cx, &mut budget, &left_out);
            // A queue that is never empty never waits.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl DebugExporter {
    fn show(&self, delivery: &Delivery, cx: &ExporterContext, budget: &mut Budget, left_out: &Counter) {
        format::lines(self.config.verbosity, delivery, &mut |write| {
            let now = cx.clock.monotonic();
            if let Some(lines) = budget.begin_second(now) {
                left_out.add(lines);
                tracing::info!(target: "dbintel::debug", exporter = %cx.id, lines, "lines left out: lines_per_second is reached");
            }
            // Text that nobody will see is not made.
            if budget.permit() {
                tracing::info!(target: "dbintel::debug", exporter = %cx.id, "{}", write());
            }
        });
        let (points, logs) = delivery.items();
        cx.telemetry.sent(Signal::Metrics, points);
        cx.telemetry.sent(Signal::Logs, logs);
        cx.status.succeeded(cx.clock.now());
    }
}

// === impl Budget ===

impl Budget {
    const fn new(per_second: u32, now: Monotonic) -> Self {
        Self { per_second, second: now, written: 0, left_out: 0 }
    }

    /// Begins a new second if it is time; says how many lines were left out in those before, if any.
    fn begin_second(&mut self, now: Monotonic) -> Option<u64> {
        if now.since(self.second) < Duration::from_secs(1) {
            return None;
        }
        self.second = now;
        self.written = 0;
        Some(std::mem::take(&mut self.left_out)).filter(|lines| *lines > 0)
    }

    const fn permit(&mut self) -> bool {
        if self.written < self.per_second {
            self.written += 1;
            true
        } else {
            self.left_out += 1;
            false
        }
    }
}

#[cfg(test)]
mod tests;
