//! The watch: compares readings of memory use with the limits.
//!
//! [`MemoryWatch`] is a pure state machine; [`MemoryWatchContext::run`] feeds it every `check_interval`.
//!
//! Bounds: relief (the allocator gives memory back, caches are emptied) is asked for at most every [`RELIEF_PAUSE`]
//! while the pressure stays the same; changes are logged at most every [`LOG_PAUSE`]. What emptying caches gave is
//! counted each time and logged once per episode: from the first reading above the hard limit to the first one at or
//! below the soft limit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{Clock, Monotonic, Timestamp};
use dbintel_pipeline::ComponentError;
use dbintel_pipeline::memory::{Freed, MemoryAccounts, MemoryLimits, MemoryState, Pressure};
use dbintel_pipeline::telemetry::{Counter, Registry, definitions as shared};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::MemoryView;
use crate::definitions;

/// Least time between two requests for relief at the same pressure. Emptying a cache costs the work of filling it.
pub const RELIEF_PAUSE: Duration = Duration::from_secs(10);
/// Least time between two log lines about changes of pressure, so that a process at its limit does not fill the log.
pub const LOG_PAUSE: Duration = Duration::from_secs(10);
/// Checks in a row without a reading after which doors open.
pub const UNREAD_CHECKS_MAX: u32 = 10;

/// Reads the memory used by the process, in bytes; `None` where it cannot be read.
pub type ReadUsedBytes = Arc<dyn Fn() -> Option<u64> + Send + Sync>;

/// What the watch runs on.
#[derive(Clone)]
pub struct MemoryWatchContext {
    /// The limits.
    pub limits: MemoryLimits,
    /// How often they are checked.
    pub check_interval: Duration,
    /// The pressure, shared by all doors.
    pub state: MemoryState,
    /// Where pages see how the process stands.
    pub view: MemoryView,
    /// Caches to be emptied.
    pub accounts: MemoryAccounts,
    /// Asks the allocator to give unused memory back to the system.
    pub purge: Arc<dyn Fn() + Send + Sync>,
    /// Reads the memory used.
    pub read: ReadUsedBytes,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Self-metrics.
    pub registry: Registry,
}

/// The state machine.
pub struct MemoryWatch {
    cx: MemoryWatchContext,
    pressure: Pressure,
    checked_at: Option<Monotonic>,
    relieved_at: Option<Monotonic>,
    logged: Pressure,
    logged_at: Option<Monotonic>,
    /// What caches gave since that was last logged.
    untold: Freed,
    /// Whether it was logged in this episode.
    is_told: bool,
    told_at: Option<Monotonic>,
    shrinks: Counter,
    freed: Counter,
    unread: Counter,
}

/// What one check found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// The pressure before.
    pub before: Pressure,
    /// The pressure now.
    pub now: Pressure,
    /// Whether the allocator was asked to give memory back.
    pub purged: bool,
    /// What caches gave, if they were asked to empty themselves.
    pub freed: Option<Freed>,
    /// Whether that was logged.
    pub told: bool,
}

// === impl MemoryWatchContext ===

impl MemoryWatchContext {
    /// Checks until `shutdown` is cancelled.
    ///
    /// # Errors
    /// None; the type is that of a supervised component.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ComponentError> {
        let (clock, read) = (Arc::clone(&self.clock), Arc::clone(&self.read));
        let mut tick = tokio::time::interval(self.check_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut watch = MemoryWatch::new(self);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                _ = tick.tick() => watch.check(clock.now(), clock.monotonic(), read()),
            };
        }
    }
}

impl fmt::Debug for MemoryWatchContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryWatchContext")
            .field("limits", &self.limits)
            .field("check_interval", &self.check_interval)
            .finish_non_exhaustive()
    }
}

// === impl MemoryWatch ===

impl MemoryWatch {
    /// A watch that has seen no reading yet. It takes over the pressure its predecessor left.
    #[must_use]
    pub fn new(cx: MemoryWatchContext) -> Self {
        cx.view.change(|standing| standing.limits = Some(cx.limits));
        observe(&cx);
        Self {
            pressure: cx.state.pressure(),
            checked_at: None,
            relieved_at: None,
            logged: cx.state.pressure(),
            logged_at: None,
            untold: Freed::default(),
            is_told: false,
            told_at: None,
            freed: cx.registry.counter(&definitions::MEMORY_LIMITER_FREED, Vec::new()),
            shrinks: cx.registry.counter(&definitions::MEMORY_LIMITER_SHRINKS, Vec::new()),
            unread: cx.registry.counter(&definitions::MEMORY_LIMITER_UNREAD, Vec::new()),
            cx,
        }
    }

    /// Takes one reading.
    pub fn check(&mut self, now: Timestamp, monotonic: Monotonic, used_bytes: Option<u64>) -> Check {
        self.book_time(monotonic);
        let before = self.pressure;
        let Some(used_bytes) = used_bytes else {
            return self.without_reading();
        };
        (_, self.pressure) = self.cx.state.update(&self.cx.limits, used_bytes);
        self.show(now, used_bytes);
        let relief = self.relieve(before, monotonic);
        self.log(monotonic, used_bytes);
        relief
    }

    /// Keeps the pressure as it is for a while, then opens the doors.
    fn without_reading(&mut self) -> Check {
        let before = self.pressure;
        self.unread.increment();
        let mut unread = 0;
        self.cx.view.change(|standing| {
            standing.unread = standing.unread.saturating_add(1);
            unread = standing.unread;
        });
        if unread == UNREAD_CHECKS_MAX {
            (_, self.pressure) = self.cx.state.update(&self.cx.limits, 0);
            self.cx.view.change(|standing| {
                standing.used_bytes = None;
                standing.refusing_since = None;
                standing.above_hard = false;
            });
            tracing::warn!(
                checks = unread,
                "memory use cannot be read, so the memory limits are not enforced; \
                 /proc/self/statm must be readable for the process"
            );
        }
        Check { before, now: self.pressure, purged: false, freed: None, told: false }
    }

    /// Adds the time since the last check to the time refused, where doors refused during it.
    fn book_time(&mut self, monotonic: Monotonic) {
        let elapsed = self.checked_at.map(|at| monotonic.since(at));
        self.checked_at = Some(monotonic);
        if let Some(elapsed) = elapsed.filter(|_| self.pressure != Pressure::None) {
            self.cx.view.change(|standing| standing.refusing_for += elapsed);
        }
    }

    fn show(&self, now: Timestamp, used_bytes: u64) {
        let pressure = self.pressure;
        self.cx.view.change(|standing| {
            standing.used_bytes = Some(used_bytes);
            standing.unread = 0;
            standing.above_hard = pressure == Pressure::Hard;
            if pressure == Pressure::None {
                standing.refusing_since = None;
            } else if standing.refusing_since.is_none() {
                standing.refusing_since = Some(now);
                standing.spells += 1;
            }
        });
    }

    fn relieve(&mut self, before: Pressure, monotonic: Monotonic) -> Check {
        let has_grown = (self.pressure as u8) > (before as u8);
        let is_due = self.relieved_at.is_none_or(|at| monotonic.since(at) >= RELIEF_PAUSE);
        let purged = self.pressure != Pressure::None && (has_grown || is_due);
        let freed = (purged && self.pressure == Pressure::Hard).then(|| self.shrink());
        if purged {
            // After the caches, so that what they let go is given back too.
            (self.cx.purge)();
            self.relieved_at = Some(monotonic);
        }
        let told = freed.is_some() && self.tell(monotonic);
        if self.pressure == Pressure::None {
            self.is_told = false;
        }
        Check { before, now: self.pressure, purged, freed, told }
    }

    fn shrink(&mut self) -> Freed {
        let freed = self.cx.accounts.shrink();
        self.shrinks.increment();
        self.freed.add(u64::try_from(freed.bytes).unwrap_or(u64::MAX));
        self.cx.view.change(|standing| {
            standing.shrinks += 1;
            standing.freed_bytes = standing.freed_bytes.saturating_add(freed.bytes);
        });
        self.untold = self.untold.and(freed);
        freed
    }

    /// Logs what caches gave, once per episode. What falls into the pause is in a later line.
    fn tell(&mut self, monotonic: Monotonic) -> bool {
        let is_quiet = self.told_at.is_some_and(|at| monotonic.since(at) < LOG_PAUSE);
        if self.is_told || is_quiet {
            return false;
        }
        (self.is_told, self.told_at) = (true, Some(monotonic));
        let Freed { caches, bytes: freed_bytes } = std::mem::take(&mut self.untold);
        tracing::warn!(
            caches,
            freed_bytes,
            hard_bytes = self.cx.limits.hard_bytes,
            "memory use is above the hard limit, caches were emptied; what they held is read again once there is room"
        );
        true
    }

    /// Logs a pressure that is another than the one logged last, at once or after the pause.
    fn log(&mut self, monotonic: Monotonic, used_bytes: u64) {
        let is_quiet = self.logged_at.is_some_and(|at| monotonic.since(at) < LOG_PAUSE);
        if self.logged == self.pressure || is_quiet {
            return;
        }
        (self.logged, self.logged_at) = (self.pressure, Some(monotonic));
        let MemoryLimits { soft_bytes, hard_bytes } = self.cx.limits;
        match self.pressure {
            Pressure::None => tracing::info!(
                used_bytes,
                soft_bytes,
                "memory use is back below the soft limit, lanes take records again"
            ),
            Pressure::Soft => tracing::warn!(
                used_bytes,
                soft_bytes,
                hard_bytes,
                "memory use is above the soft limit, lanes refuse records; the next polls cover the longer interval"
            ),
            Pressure::Hard => tracing::error!(
                used_bytes,
                soft_bytes,
                hard_bytes,
                "memory use is above the hard limit, lanes refuse records; raise the limit, or \
                 watch fewer databases with this process"
            ),
        }
    }
}

impl fmt::Debug for MemoryWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryWatch")
            .field("limits", &self.cx.limits)
            .field("pressure", &self.pressure)
            .finish_non_exhaustive()
    }
}

fn observe(cx: &MemoryWatchContext) {
    let (limits, registry) = (cx.limits, &cx.registry);
    let (state, view) = (cx.state.clone(), cx.view.clone());
    registry.observe(&shared::MEMORY_LIMITER_REFUSING, Vec::new(), move || {
        Some(f64::from(u8::from(state.pressure() != Pressure::None)))
    });
    registry.observe(&definitions::MEMORY_LIMITER_REFUSING_SECONDS, Vec::new(), move || {
        Some(view.standing().refusing_for.as_secs_f64())
    });
    registry.gauge(&shared::MEMORY_LIMITER_SOFT, Vec::new()).set(as_f64(limits.soft_bytes));
    registry.gauge(&shared::MEMORY_LIMITER_HARD, Vec::new()).set(as_f64(limits.hard_bytes));
}

#[allow(clippy::cast_precision_loss, reason = "a size, for display")]
const fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests;
