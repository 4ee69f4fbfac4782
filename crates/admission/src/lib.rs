//! What stands between a receiver and its database: breakers, limits, budgets and time-outs, and the tree of them.
//!
//! Promises:
//! * pure: no I/O, no clock, no runtime; time is passed in ([`dbintel_model::Monotonic`] for durations,
//!   [`dbintel_model::Timestamp`] for schedules only), and so is seeded randomness: a failure replays;
//! * every gate must agree before anything is taken from any of them: a denied request consumes nothing;
//! * what cannot be accounted for is denied: there is no way past a full table;
//! * a report that comes late, twice, or for something that is gone changes nothing;
//! * nothing stays open for ever: every wait has a cap, every override an end, every probe a lifetime.
//!
//! Who does what: [`ServerTree`] decides for one server; [`Shedder`] and the process-wide [`RateLimiter`] belong to the
//! process, and their verdict is passed in; the caller emits metrics from the [`NodeTransition`]s that come back.

#![forbid(unsafe_code)]

mod aimd;
mod backoff;
mod breaker;
mod class;
mod config;
mod ledger;
mod limiter;
mod schedule;
mod shed;
mod timeout;
mod tree;
mod vocabulary;

pub use aimd::{Aimd, AimdConfig, Baseline, Signal};
pub use backoff::{bounds as backoff_bounds, wait as backoff_wait};
pub use breaker::{
    Admit, Breaker, BreakerConfig, BreakerView, Forced, Probe, Refusal, State, Ticket, Transition, Verdict,
};
pub use class::{CLASSES, ClassRule, FailureClass, Level};
pub use config::{HeavyWork, LimitSchedule, Limits, TreeConfig};
pub use ledger::{Budget, CostSource, Ledger, LedgerConfig, OverBudget, Pressure};
pub use limiter::{Rate, RateLimiter};
pub use schedule::{Days, MAX_WINDOWS, Schedule, ScheduleError, TimeOfDay, Window};
pub use shed::{MemoryPressure, ProcessLoad, ProcessVerdict, ShedConfig, ShedLevel, Shedder};
pub use timeout::{AdaptiveTimeout, TimeoutConfig};
pub use tree::{
    Denial, DistressSignals, FeatureView, Gate, Grant, GrantId, NodeTransition, NodeView, Override, Request,
    Scope, ServerTree, TreeView,
};
pub use vocabulary::{CostClass, Outcome, Purpose, StatementError};
