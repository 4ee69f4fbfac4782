//! Records and batches: what flows through a lane.

use std::sync::Arc;

use crate::catalogue::{self, EventDefinition, MetricDefinition};
use crate::visit::Visitor as _;
use crate::{
    AttributeSizes, Change, FindingEvent, Gap, Labels, NoPlan, Node, PlanChange, PlanObservation,
    PlanSensitivity, Query, QueryPlan, Session, Target, Timestamp, ValueRef,
};

/// What a receiver read from one target in one poll.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What it is about.
    pub target: Arc<Target>,
    /// Which node really answered; `None` where nobody did.
    pub node: Option<Arc<Node>>,
    /// When we read it, by our clock.
    pub observed_at: Timestamp,
    /// When we read it, by the server's clock; `None` where the server did not answer.
    pub server_clock: Option<Timestamp>,
    /// The records.
    pub records: Vec<Record>,
}

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// One point of a catalogue metric.
    Metric(MetricPoint),
    /// What one statement did in one interval.
    Query(Box<Query>),
    /// One sampled session.
    Session(Box<Session>),
    /// Something that happened to the server.
    Change(Box<Change>),
    /// Something that was not read.
    Gap(Box<Gap>),
    /// The plan of a statement, as it was obtained; it never leaves.
    Plan(Box<PlanObservation>),
    /// A statement of which no plan could be obtained; it never leaves.
    NoPlan(Box<NoPlan>),
    /// A plan that is new for its statement, redacted.
    QueryPlan(Box<QueryPlan>),
    /// A change of a statement's plan.
    PlanChange(Box<PlanChange>),
    /// How much a statement's plan depends on a parameter.
    PlanSensitivity(Box<PlanSensitivity>),
    /// A finding that was opened or changed.
    Finding(Box<FindingEvent>),
}

/// One point of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint {
    /// Which metric, from the catalogue.
    pub metric: &'static MetricDefinition,
    /// Attributes of the object the point is about.
    pub labels: Arc<Labels>,
    /// Attributes that the catalogue fixes for this point, for instance `operation = ins`.
    pub fixed: &'static [(&'static str, &'static str)],
    /// The value.
    pub value: Number,
    /// When the sum began; `None` for gauges.
    pub start: Option<Timestamp>,
    /// When the value held.
    pub time: Timestamp,
}

/// A number as OTLP and the databases know it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A double.
    Double(f64),
}

/// An OTLP signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Metrics.
    Metrics,
    /// Logs, events included.
    Logs,
    /// Traces.
    Traces,
}

// === impl Batch ===

impl Batch {
    /// Bytes this batch keeps alive, for memory accounting. Shared texts are counted in full in every record that
    /// holds them, so the figure is an upper bound.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.records.iter().map(Record::weight_bytes).sum::<usize>()
    }
}

// === impl Record ===

impl Record {
    /// The signal by which the record leaves.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        match self {
            Self::Metric(_) => Signal::Metrics,
            Self::Query(_)
            | Self::Session(_)
            | Self::Change(_)
            | Self::Gap(_)
            | Self::Plan(_)
            | Self::NoPlan(_)
            | Self::QueryPlan(_)
            | Self::PlanChange(_)
            | Self::PlanSensitivity(_)
            | Self::Finding(_) => Signal::Logs,
        }
    }

    /// Whether the record leaves the process at all. A statement outside the top is for the processors only, and so is
    /// what a sampler has left out.
    #[must_use]
    pub fn leaves(&self) -> bool {
        match self {
            Self::Query(query) => query.rank.is_some(),
            Self::Session(_) => !self.is_sampled_out(),
            Self::Metric(_)
            | Self::Change(_)
            | Self::Gap(_)
            | Self::QueryPlan(_)
            | Self::PlanChange(_)
            | Self::PlanSensitivity(_)
            | Self::Finding(_) => true,
            Self::Plan(_) | Self::NoPlan(_) => false,
        }
    }

    /// Whether a sampler has decided that the record does not leave.
    #[must_use]
    pub fn is_sampled_out(&self) -> bool {
        match self {
            Self::Session(session) => session.sampling.is_some_and(|sampling| !sampling.keep),
            Self::Metric(_)
            | Self::Query(_)
            | Self::Change(_)
            | Self::Gap(_)
            | Self::Plan(_)
            | Self::NoPlan(_)
            | Self::QueryPlan(_)
            | Self::PlanChange(_)
            | Self::PlanSensitivity(_)
            | Self::Finding(_) => false,
        }
    }

    /// The event as which the record leaves; `None` for metrics and for what never leaves.
    #[must_use]
    pub fn event(&self) -> Option<&'static EventDefinition> {
        match self {
            Self::Metric(_) | Self::Plan(_) | Self::NoPlan(_) => None,
            Self::Query(_) => Some(&catalogue::TOP_QUERY),
            Self::Session(_) => Some(&catalogue::QUERY_SAMPLE),
            Self::Change(_) => Some(&catalogue::CHANGE),
            Self::Gap(_) => Some(&catalogue::GAP),
            Self::QueryPlan(_) => Some(&catalogue::QUERY_PLAN),
            Self::PlanChange(_) => Some(&catalogue::PLAN_CHANGE),
            Self::PlanSensitivity(_) => Some(&catalogue::PLAN_SENSITIVITY),
            Self::Finding(finding) => Some(finding.event()),
        }
    }

    /// Severity number of OTLP logs with which the record leaves: the event's, but for findings, which have their own.
    #[must_use]
    pub fn severity(&self) -> Option<u8> {
        match self {
            Self::Finding(finding) => Some(finding.severity()),
            _ => self.event().map(|event| event.severity),
        }
    }

    /// Whether the record is lost last where there is no room for all.
    #[must_use]
    pub const fn is_precious(&self) -> bool {
        matches!(self, Self::Finding(_))
    }

    /// Calls `visit` with every attribute of the record that is known, by its standard name.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        match self {
            Self::Metric(point) => point.for_each_attribute(visit),
            Self::Query(query) => query.for_each_attribute(visit),
            Self::Session(session) => session.for_each_attribute(visit),
            Self::Change(change) => change.for_each_attribute(visit),
            Self::Gap(gap) => gap.for_each_attribute(visit),
            Self::Plan(plan) => plan.for_each_attribute(visit),
            Self::NoPlan(plan) => plan.for_each_attribute(visit),
            Self::QueryPlan(plan) => plan.for_each_attribute(visit),
            Self::PlanChange(change) => change.for_each_attribute(visit),
            Self::PlanSensitivity(sensitivity) => sensitivity.for_each_attribute(visit),
            Self::Finding(finding) => finding.for_each_attribute(visit),
        }
    }

    /// How large the attributes of the log record are.
    #[must_use]
    pub fn attribute_sizes(&self) -> AttributeSizes {
        if let Self::Query(query) = self {
            return query.attribute_sizes();
        }
        let mut sizes = AttributeSizes::default();
        self.for_each_attribute(&mut |key, value| sizes.value(key, value));
        sizes
    }

    /// Bytes this record keeps alive, its own size included.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let beyond = match self {
            Self::Metric(_) => 0,
            Self::Query(query) => size_of::<Query>() + query.weight_bytes(),
            Self::Session(session) => size_of::<Session>() + session.weight_bytes(),
            Self::Change(change) => size_of::<Change>() + change.weight_bytes(),
            Self::Gap(gap) => size_of::<Gap>() + gap.weight_bytes(),
            Self::Plan(plan) => size_of::<PlanObservation>() + plan.weight_bytes(),
            Self::NoPlan(plan) => size_of::<NoPlan>() + plan.weight_bytes(),
            Self::QueryPlan(plan) => size_of::<QueryPlan>() + plan.weight_bytes(),
            Self::PlanChange(change) => size_of::<PlanChange>() + change.weight_bytes(),
            Self::PlanSensitivity(sensitivity) => size_of::<PlanSensitivity>() + sensitivity.weight_bytes(),
            Self::Finding(event) => size_of::<FindingEvent>() + event.finding.weight_bytes(),
        };
        size_of::<Self>() + beyond
    }
}

// === impl MetricPoint ===

impl MetricPoint {
    /// Calls `visit` with every attribute of the data point; those of the resource are left out.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        for attribute in &self.labels.point {
            visit(&attribute.key, attribute.value.as_ref());
        }
        for (key, value) in self.fixed {
            visit(key, ValueRef::Text(value));
        }
    }
}

// === impl Number ===

impl Number {
    /// The number as a double.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "for ordering and display; exact up to 2^53")]
    pub const fn as_f64(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Double(double) => double,
        }
    }
}

// === impl Signal ===

impl Signal {
    /// The name as pipelines use it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
        }
    }
}
