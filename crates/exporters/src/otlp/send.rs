//! From the queue to the backend.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::Clock;
use dbintel_otlp::outcome::Outcome;
use dbintel_otlp::transport::Client;
use dbintel_pipeline::{ExportQueue, ExporterContext, LossReason, Payload};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::config::OtlpConfig;
use super::health::Health;
use super::retry::{Retry, RetryPolicy};
use crate::ledger::Ledger;

/// What the senders share.
pub(super) struct Sender<'a> {
    client: &'a Client,
    policy: Option<RetryPolicy>,
    ledger: &'a Ledger,
    health: &'a Health,
    clock: Arc<dyn Clock>,
    /// Cancelled once nothing more will be put into the queues.
    draining: CancellationToken,
}

/// Longest back-off once the exporter is to end: the deadline may be near, and the backend may be back.
const DRAINING_WAIT_MAX: Duration = Duration::from_secs(1);

impl<'a> Sender<'a> {
    pub(super) fn new(
        config: &OtlpConfig,
        cx: &ExporterContext,
        client: &'a Client,
        ledger: &'a Ledger,
        health: &'a Health,
    ) -> Self {
        Self {
            client,
            policy: config.retry.clone(),
            ledger,
            health,
            clock: Arc::clone(&cx.clock),
            draining: CancellationToken::new(),
        }
    }

    /// Says that the queues are closed: waits get short from now on.
    pub(super) fn drain(&self) {
        self.draining.cancel();
    }

    /// One sender: a request at a time, until the queue is closed and empty.
    pub(super) async fn run(&self, queue: &dyn ExportQueue) {
        let mut random = fastrand::Rng::new();
        while let Some(payload) = queue.pop().await {
            self.ledger.take_payload(&payload);
            self.deliver(&payload, &mut random).await;
            queue.finished(&payload);
        }
    }

    async fn deliver(&self, payload: &Payload, random: &mut fastrand::Rng) {
        let start = self.clock.monotonic();
        let mut retry = self.policy.clone().map(|policy| Retry::new(policy, start));
        loop {
            let (after, reason) = match self.client.send(payload.signal, payload.body.clone()).await {
                Outcome::Delivered { rejected, message } => {
                    return self.delivered(payload, rejected, message.as_deref());
                }
                Outcome::Permanent { reason } => {
                    self.health.failed(payload.signal, &reason);
                    return self.lost(payload, LossReason::PermanentError, &reason.to_string());
                }
                Outcome::Retry { after, reason } => (after, reason),
            };
            self.health.failed(payload.signal, &reason);
            let now = self.clock.monotonic();
            match retry.as_mut().and_then(|retry| retry.next_wait(now, after, random)) {
                Some(wait) => self.pause(wait, after).await,
                None => {
                    self.lost(payload, LossReason::RetryExhausted, &reason.to_string());
                    // The backend meant all requests: the next one would only be lost as well.
                    if let Some(hint) = after {
                        self.pause(hint, None).await;
                    }
                    return;
                }
            }
        }
    }

    /// Waits; once draining, no longer than the backend's hint or [`DRAINING_WAIT_MAX`].
    async fn pause(&self, wait: Duration, hint: Option<Duration>) {
        let start = Instant::now();
        tokio::select! {
            () = sleep_until(start + wait) => {}
            () = self.draining.cancelled() => {
                let shorter = hint.unwrap_or_default().max(DRAINING_WAIT_MAX).min(wait);
                sleep_until(start + shorter).await;
            }
        }
    }

    fn delivered(&self, payload: &Payload, rejected: u64, message: Option<&str>) {
        let items = u64::from(payload.items);
        let rejected = rejected.min(items);
        self.health.succeeded(payload.signal, payload.body.len());
        self.ledger.sent(payload.signal, items - rejected);
        if rejected > 0 {
            let (signal, reason) = (payload.signal, LossReason::PartialSuccess);
            self.ledger.lost(signal, rejected, reason);
            self.health.lost(signal, rejected, reason, message.unwrap_or("the backend does not say why"));
        } else if let Some(message) = message {
            self.health.warned(message);
        }
    }

    fn lost(&self, payload: &Payload, reason: LossReason, detail: &str) {
        let items = u64::from(payload.items);
        self.ledger.lost(payload.signal, items, reason);
        self.health.lost(payload.signal, items, reason, detail);
    }
}
