//! The telemetry catalogue: every metric, event and statement counter that dbintel can send.
//!
//! The data files `catalogue/*.toml` are the source; the build turns them into the constants below, `docs/telemetry.md`
//! is generated from them, and tests compare them with OpenTelemetry contrib's names, units and types.

/// A metric: its identity in OTLP, and where its points come from.
#[derive(Debug, PartialEq)]
pub struct MetricDefinition {
    /// Name, for instance `postgresql.commits`.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub description: &'static str,
    /// Unit in UCUM, as OpenTelemetry writes it.
    pub unit: &'static str,
    /// How it behaves.
    pub instrument: Instrument,
    /// Whether its values are whole numbers.
    pub number: NumberType,
    /// Attribute names its points can carry, in order.
    pub attributes: &'static [&'static str],
    /// Whether it is sent unless switched off.
    pub enabled: bool,
    /// Whether OpenTelemetry contrib's receiver has a metric of this name, unit and type.
    pub contrib: bool,
    /// The family of rows it is read from.
    pub family: &'static str,
    /// The columns its points are read from.
    pub sources: &'static [PointSource],
}

/// One column that gives one point per row.
#[derive(Debug, PartialEq)]
pub struct PointSource {
    /// Column of the family, as PostgreSQL or the family's query names it.
    pub column: &'static str,
    /// Attributes that go with this column, for instance `operation = ins`.
    pub fixed: &'static [(&'static str, &'static str)],
}

/// What kind of metric it is, in OpenTelemetry's words. All sums are cumulative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instrument {
    /// A monotonic sum.
    Counter,
    /// A sum that can fall.
    UpDownCounter,
    /// A gauge.
    Gauge,
}

/// The type of a metric's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberType {
    /// Whole numbers.
    Int,
    /// Doubles.
    Double,
}

/// An event: a log record with an event name.
#[derive(Debug, PartialEq)]
pub struct EventDefinition {
    /// Event name, for instance `db.server.top_query`.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub description: &'static str,
    /// Severity number of OTLP logs, fixed per event.
    pub severity: u8,
    /// Attributes: name, and what it means.
    pub attributes: &'static [(&'static str, &'static str)],
}

/// A cumulative counter that the server keeps per statement.
#[derive(Debug, PartialEq)]
pub struct CounterDefinition {
    /// Column, by its newest name.
    pub column: &'static str,
    /// Older names of the same column, newest first.
    pub former: &'static [&'static str],
    /// Attribute of `db.server.top_query` that carries the difference; `None` for what only processors read.
    pub attribute: Option<&'static str>,
    /// Type of the attribute.
    pub number: NumberType,
    /// Factor from the column's unit to the attribute's unit.
    pub scale: f64,
    /// Whether a difference of zero is left out of the event. Contrib's own attributes are always there.
    pub omit_zero: bool,
}

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

impl Instrument {
    /// Whether it is a sum, with a start time.
    #[must_use]
    pub const fn is_sum(self) -> bool {
        matches!(self, Self::Counter | Self::UpDownCounter)
    }
}

impl MetricDefinition {
    /// Whether its sum only grows.
    #[must_use]
    pub const fn is_monotonic(&self) -> bool {
        matches!(self.instrument, Instrument::Counter)
    }
}

/// The metric with this name.
#[must_use]
pub fn metric(name: &str) -> Option<&'static MetricDefinition> {
    METRICS.iter().find(|metric| metric.name == name)
}
