//! The task that writes what waits, says that we are here, and deletes what is over.

use std::time::Duration;

use dbintel_pipeline::{Backoff, ComponentError};
use futures_util::FutureExt as _;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::pending::Batch;
use crate::{Store, StoreError, StoreTrouble, bulk, instances, retention};

/// How long a value waits at most, when the store works: what killing the process can lose.
pub const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How often we say that we are here and look for others.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often what is over is looked for.
const RETENTION_EVERY: Duration = Duration::from_secs(600);
/// Transactions of one such look, for each table.
const RETENTION_TURNS: usize = 20;
/// How long the last values may take to be written at the end.
const FINAL_FLUSH: Duration = Duration::from_secs(10);
/// The longest wait after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Writes what waits. One for each store.
#[derive(Clone, Debug)]
pub struct Writer {
    store: Store,
}

/// When what is done next.
struct Schedule {
    heartbeat: Instant,
    retention: Instant,
    /// After a failure nothing is written before.
    retry: Instant,
    backoff: Backoff,
    random: fastrand::Rng,
}

// === impl Writer ===

impl Writer {
    pub(crate) const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Runs until `shutdown`, then writes what still waits, if that is possible in time. What it has not written when it is
    /// started again after a panic is still there.
    ///
    /// # Errors
    /// None today: whatever fails is counted and tried again.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ComponentError> {
        let mut ticks = tokio::time::interval(FLUSH_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut schedule = Schedule::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = ticks.tick() => {}
                () = self.store.inner().full_batch.notified() => {}
            }
            self.turn(&mut schedule).await;
        }
        self.finish().await;
        Ok(())
    }

    async fn turn(&self, schedule: &mut Schedule) {
        self.show();
        let now = Instant::now();
        if now >= schedule.retry {
            match self.flush().await {
                Ok(()) => {
                    schedule.backoff.reset();
                    self.store.written(None);
                    self.store.show_open().await;
                }
                Err(error) => {
                    self.store.written(Some(StoreTrouble::of(&error)));
                    let wait = schedule.backoff.next_wait(&mut schedule.random).min(RETRY_MAX);
                    schedule.retry = now + wait;
                    tracing::warn!(%error, retry_ms = wait.as_millis(), "the store was not written");
                }
            }
        }
        if now >= schedule.heartbeat {
            schedule.heartbeat = now + HEARTBEAT;
            self.beat().await;
        }
        if now >= schedule.retention {
            schedule.retention = now + RETENTION_EVERY;
            self.delete().await;
        }
    }

    /// Writes all that waits now.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        self.store.record_waiting().await?;
        let inner = self.store.inner();
        // What comes in meanwhile waits for the next turn.
        let mut left = inner.pending.lock().len();
        while left > 0
            && let Some(batch) = InHand::take(&self.store)
        {
            left = left.saturating_sub(batch.batch.len());
            let now = inner.cx.clock.now();
            self.store.on(|database| bulk::write(database, &batch.batch, now).boxed()).await?;
            batch.written();
        }
        self.show();
        Ok(())
    }

    pub(crate) async fn beat(&self) {
        let inner = self.store.inner();
        let (servers, times) = (inner.instances.lock().servers(), (inner.started_at, inner.cx.clock.now()));
        if servers.is_empty() {
            return;
        }
        let own = &inner.cx.instance;
        let found = self.store.on(|database| instances::beat(database, own, &servers, times).boxed()).await;
        let Ok(found) = found else { return };
        let news = inner.instances.lock().look(found);
        for other in news {
            tracing::warn!(
                server = %other.server, host = %other.host, instance = %other.id,
                "another dbintel watches the same server: it is asked everything twice; stop one of them or split the \
                 servers between them"
            );
        }
        let alive = u32::try_from(self.store.others().len()).unwrap_or(u32::MAX);
        inner.telemetry.others.set(f64::from(alive));
    }

    pub(crate) async fn delete(&self) {
        let inner = self.store.inner();
        for rule in &retention::RULES {
            for _ in 0..RETENTION_TURNS {
                let (kept, now) = (&inner.config.retention, inner.cx.clock.now());
                let done = self.store.on(|database| retention::turn(database, rule, kept, now).boxed()).await;
                let Ok(turn) = done else { return };
                inner.telemetry.deleted(rule.table, turn.rows);
                if !turn.more {
                    break;
                }
            }
        }
        // Both are tried again the next time.
        let _ = self.store.on(|database| retention::shrink(database).boxed()).await;
        let size = self.store.on(|database| async move { database.size_bytes().await }.boxed()).await;
        #[allow(clippy::cast_precision_loss, reason = "for display; exact up to 2^53")]
        if let Ok(size) = size {
            inner.telemetry.bytes.set(size as f64);
        }
    }

    pub(crate) async fn finish(&self) {
        self.store.inner().pending.lock().close();
        let last = async {
            if let Err(error) = self.flush().await {
                tracing::warn!(%error, "the last values were not written to the store");
            }
            let own = &self.store.inner().cx.instance;
            self.store.on(|database| instances::leave(database, own).boxed()).await
        };
        // Past the deadline the others see that we are gone by our silence.
        let _ = tokio::time::timeout(FINAL_FLUSH, last).await;
        let lost = self.store.inner().pending.lock().len() + self.store.inner().events.lock().len();
        self.store.inner().telemetry.lost_at_shutdown(lost);
        self.store.close().await;
    }

    fn show(&self) {
        let inner = self.store.inner();
        let (entries, bytes) = {
            let pending = inner.pending.lock();
            (pending.len(), pending.bytes())
        };
        let display = |amount| f64::from(u32::try_from(amount).unwrap_or(u32::MAX));
        inner.telemetry.pending.set(display(entries));
        inner.telemetry.pending_bytes.set(display(bytes));
    }
}

// === impl Schedule ===

impl Schedule {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            heartbeat: now,
            retention: now,
            retry: now,
            backoff: Backoff::for_restarts(),
            random: fastrand::Rng::new(),
        }
    }
}

/// A batch that goes back to what waits unless it was written, also when writing it is cancelled or panics.
struct InHand<'a> {
    store: &'a Store,
    batch: Batch,
}

// === impl InHand ===

impl<'a> InHand<'a> {
    fn take(store: &'a Store) -> Option<Self> {
        let batch = store.inner().pending.lock().take()?;
        Some(Self { store, batch })
    }

    fn written(mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.store.inner().telemetry.written.add(batch.len() as u64);
        self.store.inner().pending.lock().written();
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.store.inner().pending.lock().put_back(batch);
        }
    }
}
