//! One exporter, which can be stopped and started again while everything else goes on.
//!
//! Promises:
//! * its input is the same from start to start, so lanes need not know;
//! * stopping it ships what it has, or, past the time it is given, counts that as lost (`shutdown`);
//! * what lanes bring while it is stopped is counted as lost (`stopped`), and no lane waits for it.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::Text;
use dbintel_pipeline::memory::MemoryAccount;
use dbintel_pipeline::status::ComponentKind;
use dbintel_pipeline::{
    Delivery, EXPORTER_INPUT_MAX_BATCHES, EXPORTER_INPUT_MAX_BYTES, ExporterContext, ExporterInput,
    ExporterTelemetry, LossReason, QueueLimits, Signals, Sink, Supervised, WeightedQueue,
};
use tokio_util::sync::CancellationToken;

use super::Commons;
use crate::components::ExporterPlan;

/// How long an exporter may take to count what it could not flush.
pub(super) const ABORT_GRACE: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct RunningExporter {
    id: Text,
    plan: ExporterPlan,
    commons: Commons,
    input: ExporterInput,
    telemetry: ExporterTelemetry,
    /// `None` while it is stopped.
    running: Option<Running>,
    /// Shows the bytes of the input.
    _account: MemoryAccount,
}

struct Running {
    abort: CancellationToken,
    task: Supervised,
}

impl RunningExporter {
    /// An exporter, started.
    pub(super) fn new(id: Text, plan: ExporterPlan, commons: &Commons) -> Self {
        let limits =
            QueueLimits { max_bytes: EXPORTER_INPUT_MAX_BYTES, max_items: EXPORTER_INPUT_MAX_BATCHES };
        let input: ExporterInput = Arc::new(WeightedQueue::<Delivery>::new(limits));
        let queue = Arc::clone(&input);
        let account = commons.accounts.open(format!("exporter {id} input").into(), move || queue.len_bytes());
        let mut exporter = Self {
            telemetry: ExporterTelemetry::new(commons.registry.clone(), id.clone()),
            commons: commons.clone(),
            running: None,
            _account: account,
            id,
            plan,
            input,
        };
        exporter.start();
        exporter
    }

    /// Starts it if it is stopped.
    pub(super) fn start(&mut self) {
        if self.running.is_some() {
            return;
        }
        self.input.reopen();
        let Commons { clock, registry, board, supervisor, accounts, .. } = &self.commons;
        let status = board.register(ComponentKind::Exporter, self.id.clone(), clock.now());
        let abort = CancellationToken::new();
        let cx = ExporterContext {
            id: self.id.clone(),
            input: Arc::clone(&self.input),
            clock: Arc::clone(clock),
            registry: registry.clone(),
            telemetry: self.telemetry.clone(),
            accounts: accounts.clone(),
            status: status.clone(),
            abort: abort.clone(),
        };
        let mut build = self.plan.clone().builder();
        let run = move || build().run(cx.clone());
        let task = supervisor.start(format!("exporter/{}", self.id).into(), status, abort.clone(), run);
        self.running = Some(Running { abort, task });
    }

    /// Closes the input and lets the exporter ship what it has; past the time it must count the rest as lost.
    pub(super) async fn stop(&mut self, within: Duration) {
        self.input.close();
        let Some(Running { abort, task }) = self.running.take() else { return };
        let cut_off = async {
            tokio::time::sleep(within).await;
            tracing::warn!(exporter = %self.id, "exporter did not flush before the deadline; what is left is lost");
            abort.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            _ = task.join(within + ABORT_GRACE) => {}
            () = cut_off => {}
        }
        while let Some(delivery) = self.input.try_pop() {
            self.telemetry.lost_delivery(&delivery, LossReason::Shutdown);
        }
    }

    /// The exporter as a lane sees it.
    pub(super) fn sink(&self, signals: Signals) -> Sink {
        Sink { input: Arc::clone(&self.input), signals, telemetry: self.telemetry.clone() }
    }
}
