//! What the process itself has to say: it gives up work when it runs short, and has one rate for all servers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dbintel_admission::{ProcessLoad, ProcessVerdict, Rate, RateLimiter, ShedConfig, ShedLevel, Shedder};
use dbintel_model::{Clock, Monotonic};
use parking_lot::Mutex;

/// Statements a second of the whole process: those of five servers at the limit of a server. It is there for a mistake in what
/// goes before it, so it is no setting.
pub const STATEMENTS_PER_SECOND: u32 = 1_000;
/// Statements of the whole process at once.
pub const STATEMENT_BURST: u32 = 2_000;
/// How often the load is read at most.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Reads the load of the process.
pub type ReadLoad = Arc<dyn Fn() -> ProcessLoad + Send + Sync>;

/// The gate of the process; all guards share it.
#[derive(Clone)]
pub struct ProcessGate(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    read: ReadLoad,
    state: Mutex<State>,
}

struct State {
    shedder: Shedder,
    level: ShedLevel,
    limiter: RateLimiter,
    read_at: Option<Monotonic>,
}

impl ProcessGate {
    /// A gate that reads the load by `read`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, read: ReadLoad) -> Self {
        let now = clock.monotonic();
        let state = State {
            shedder: Shedder::new(ShedConfig::default(), now),
            level: ShedLevel::Nothing,
            limiter: RateLimiter::new(
                now,
                Rate::per_second(f64::from(STATEMENTS_PER_SECOND)),
                STATEMENT_BURST,
            ),
            read_at: None,
        };
        Self(Arc::new(Inner { clock, read, state: Mutex::new(state) }))
    }

    /// What it says now.
    pub(super) fn verdict(&self, now: Monotonic) -> ProcessVerdict {
        let mut state = self.0.state.lock();
        if state.read_at.is_none_or(|at| now.since(at) >= READ_EVERY) {
            state.read_at = Some(now);
            state.level = state.shedder.update(now, (self.0.read)());
        }
        ProcessVerdict { level: state.level, rate_exhausted: state.limiter.check(now).err() }
    }

    /// Takes one statement from the rate, after everybody else has agreed.
    pub(super) fn take(&self, now: Monotonic) {
        // Checked a moment before; what another lane took in between is one statement too many.
        let _ = self.0.state.lock().limiter.try_acquire(now);
    }

    /// What has been given up.
    #[must_use]
    pub fn level(&self) -> ShedLevel {
        self.verdict(self.0.clock.monotonic()).level
    }
}

impl fmt::Debug for ProcessGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessGate").field("level", &self.0.state.lock().level).finish_non_exhaustive()
    }
}
