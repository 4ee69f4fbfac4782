//! What the rooms of dbintel say to each other: records, targets, time, and the telemetry catalogue.
//!
//! Promises:
//! * no I/O and no async runtime; everything here is plain data and pure functions;
//! * a value that is not known is absent (`None`), never zero and never a constant;
//! * texts are shared (`Arc<str>`), so that cloning a record does not copy them.

mod attribute;
pub mod catalogue;
mod change;
pub mod finding;
mod gap;
mod plan;
mod plan_times;
mod query;
mod record;
mod sampling;
mod session;
mod target;
mod text;
mod time;
mod visit;

pub use attribute::{Attribute, Labels, Value, ValueRef};
pub use catalogue::{
    CounterDefinition, EventDefinition, Instrument, MetricDefinition, NumberType, PointSource,
};
pub use change::{ACTION_FACT, Change, ChangeKind, DdlAction, DdlObject, OBJECT_FACT, ROLE_FACT, TABLE_FACT};
pub use finding::{Finding, FindingEvent, FindingId};
pub use gap::{Gap, GapReason};
pub use plan::{
    MAX_PLAN_CAUSES, NoPlan, PlanCause, PlanChange, PlanFingerprint, PlanFormat, PlanIdentity, PlanMissing,
    PlanNews, PlanNumbers, PlanObservation, PlanOutline, PlanReference, PlanRung, PlanSensitivity, PlanSpan,
    PlanTable, QueryPlan,
};
pub use plan_times::{MAX_TIMED_PLANS, PlanTimes, PlanTimesSource};
pub use query::{Columns, Counters, Exactness, Interval, Moments, Query, QueryErrors, QueryKey, QueryText};
pub use record::{Batch, MetricPoint, Number, Record, Signal};
pub use sampling::Sampling;
pub use session::{Blocking, Session};
pub use target::{Node, ResourceLayout, Server, Target};
pub use text::Text;
pub use time::{Clock, ManualClock, Monotonic, Rfc3339, SystemClock, Timestamp};
pub use visit::AttributeSizes;
