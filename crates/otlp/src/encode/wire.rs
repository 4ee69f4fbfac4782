//! What the two formats have in common: the order of the parts of a request.

use dbintel_model::{
    Attribute, Batch, EventDefinition, MetricDefinition, MetricPoint, Record, Signal, Timestamp,
};

/// Version of the instrumentation scope.
pub(super) const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A format of OTLP. The functions append to `out`; what they open is closed in the reverse order.
///
/// Nothing that is closed may be needed to undo an opening: the builder takes a record back by cutting `out`.
pub(super) trait Wire {
    /// Bytes that closing all that can be open adds at most.
    const CLOSING_BYTES: usize;

    /// Starts a request.
    fn open_request(out: &mut Vec<u8>, signal: Signal);
    /// Ends a request.
    fn close_request(out: &mut Vec<u8>);

    /// Opens a resource and its only scope. `server` and `scope` are what [`Self::attributes`] and [`Self::scope`]
    /// wrote; `more` are further attributes of the resource.
    fn open_resource(out: &mut Vec<u8>, signal: Signal, cached: Cached<'_>, more: &[Attribute]) -> Open;
    /// Closes a resource and its scope.
    fn close_resource(out: &mut Vec<u8>, open: Open);

    /// Opens a metric.
    fn open_metric(out: &mut Vec<u8>, metric: &MetricDefinition) -> Open;
    /// Closes a metric.
    fn close_metric(out: &mut Vec<u8>, open: Open);

    /// Writes a data point.
    fn point(out: &mut Vec<u8>, point: &MetricPoint);
    /// Writes a log record.
    fn log_record(out: &mut Vec<u8>, fields: &LogFields, record: &Record);

    /// Writes attributes of a resource.
    fn attributes(out: &mut Vec<u8>, attributes: &[Attribute]);
    /// Writes a scope.
    fn scope(out: &mut Vec<u8>, name: &str);
}

/// Positions of what was opened together, the outer first. JSON has no use for them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Open {
    pub(super) outer: usize,
    pub(super) inner: usize,
}

/// The encoded parts that are the same for everything read from one server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cached<'a> {
    pub(super) resource: &'a [u8],
    pub(super) scope: &'a [u8],
}

/// The fields of a log record beside its attributes.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogFields {
    pub(super) event: &'static EventDefinition,
    pub(super) severity: u8,
    pub(super) time: Timestamp,
    pub(super) observed: Timestamp,
}

// === impl LogFields ===

impl LogFields {
    /// The fields of this record; `None` if it is not an event.
    pub(super) fn of(batch: &Batch, record: &Record) -> Option<Self> {
        let time = match record {
            Record::Query(query) => query.interval.end,
            Record::QueryPlan(plan) => plan.obtained_at,
            Record::PlanChange(change) => change.at,
            Record::PlanSensitivity(sensitivity) => sensitivity.at,
            Record::Finding(event) => event.finding.updated_at,
            Record::Metric(_)
            | Record::Session(_)
            | Record::Change(_)
            | Record::Gap(_)
            | Record::Plan(_)
            | Record::NoPlan(_) => batch.server_clock.unwrap_or(batch.observed_at),
        };
        let (event, severity) = (record.event()?, record.severity()?);
        Some(Self { event, severity, time, observed: batch.observed_at })
    }
}
