//! Queries: what one statement did in one interval. Never a cumulative total.

use std::sync::Arc;

use crate::visit::{Rendering, Visitor};
use crate::{
    AttributeSizes, CounterDefinition, NumberType, PlanMissing, PlanReference, PlanTimes, Text, Timestamp,
    ValueRef,
};

/// What one statement did between two snapshots of the server's statement statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Which statement.
    pub key: QueryKey,
    /// Its text, once known and allowed to leave.
    pub text: Option<Arc<QueryText>>,
    /// From when to when, by the server's clock.
    pub interval: Interval,
    /// Executions that ended in the interval.
    pub calls: i64,
    /// Sum of their execution times, in milliseconds.
    pub total_time_ms: f64,
    /// Mean and variance of their execution times, where the counters allow them.
    pub moments: Option<Moments>,
    /// Every further counter, as a difference over the interval.
    pub counters: Counters,
    /// How the numbers relate to the true work.
    pub exactness: Exactness,
    /// Place in the ranking by total time of this poll, from 1; `None` outside the top. Only ranked statements leave
    /// as `db.server.top_query`; all of them reach the processors.
    pub rank: Option<u32>,
    /// The plan the statement had when one was last obtained, of the rung closest to what runs; `plan_extractor` fills
    /// it in.
    pub plan: Option<PlanReference>,
    /// Why the receiver has no plan of it, where plans are wanted and there is none.
    pub plan_missing: Option<PlanMissing>,
    /// Executions that ended in an error, as far as the server's log was read and says so; `None` where it named none,
    /// which does not mean that there was none.
    pub errors: Option<QueryErrors>,
    /// Executions by plan, at most [`crate::MAX_TIMED_PLANS`] plans, where somebody times them singly: not those of the interval, but
    /// all since timing began. They do not leave; processors compare plans by them.
    pub plan_times: Option<Arc<[PlanTimes]>>,
}

/// Executions that ended in an error, and are not among the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryErrors {
    /// All of them.
    pub failed: u64,
    /// Those that were cancelled, but not by request: `statement_timeout` and its like.
    pub timed_out: u64,
}

/// Identity of a statement in the server's statistics.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueryKey {
    /// Name of `db.system.name`.
    pub system: &'static str,
    /// Database.
    pub database: Text,
    /// Object id of the database.
    pub database_id: u32,
    /// Role that ran the statement.
    pub user: Text,
    /// Object id of the role.
    pub user_id: u32,
    /// Query identifier: signed 64 bits, as the server prints it.
    pub query_id: i64,
    /// Whether it was sent by a client (`true`) or run inside a function (`false`); unknown before PostgreSQL 14.
    /// The two must never be added up: nested time is contained in the time of its caller.
    pub toplevel: Option<bool>,
}

/// A statement's text as it may leave, masked once and shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueryText {
    /// Masked text; `None` where the statement's kind is not on the list of those whose text may leave.
    pub masked: Option<Arc<str>>,
    /// Own fingerprint of the normalised text, 64 bits; it outlives dumps, restores and upgrades.
    pub fingerprint: u64,
    /// Kind of the statement, for instance `select`.
    pub kind: &'static str,
    /// Value of `db.operation.name`, for instance `SELECT`.
    pub operation: Option<&'static str>,
    /// Value of `db.query.summary`: operations and targets, low cardinality.
    pub summary: Option<Arc<str>>,
    /// Whether the text was cut at a limit of the server or of ours.
    pub truncated: bool,
}

/// A span of time by the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Start.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
}

/// Mean and spread of the execution times of one interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Mean, in milliseconds.
    pub mean_ms: f64,
    /// Sample variance, in square milliseconds; `None` where rounding in the cumulative counters could hide it or
    /// where there was one execution only.
    pub variance_ms2: Option<f64>,
}

/// How a number relates to the true work of the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exactness {
    /// All work of the interval, and nothing else. PostgreSQL vouches for it since 17, which dates every entry of
    /// `pg_stat_statements`, and from the second difference of an entry on.
    Exact,
    /// Part of the work may be missing; nothing is counted twice.
    LowerBound,
    /// Nothing can be said.
    Unknown,
}

/// The counters of one statement in one interval, parallel to a list of definitions from the catalogue.
///
/// Doubles hold whole numbers exactly up to 2^53, which is 9 PB of WAL or 2,900 centuries in milliseconds.
#[derive(Clone, Debug)]
pub struct Counters {
    definitions: &'static [CounterDefinition],
    values: Box<[f64]>,
}

/// Counters of these columns, whose places in the list of definitions are looked up once and not for every statement.
#[derive(Clone, Copy, Debug)]
pub struct Columns<const N: usize> {
    names: [&'static str; N],
    places: Option<(&'static [CounterDefinition], [Option<usize>; N])>,
}

// === impl Query ===

impl Query {
    /// Calls `visit` with every attribute of the `db.server.top_query` event that is known.
    ///
    /// Names and units are those of OpenTelemetry contrib's receiver (total times in seconds); what it lacks is below
    /// `dbintel.`.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.visit(&mut Rendering(visit));
    }

    /// How large these attributes are.
    #[must_use]
    pub fn attribute_sizes(&self) -> AttributeSizes {
        let mut sizes = AttributeSizes::default();
        self.visit(&mut sizes);
        sizes
    }

    fn visit(&self, visitor: &mut impl Visitor) {
        self.key.visit(visitor);
        if let Some(text) = &self.text {
            text.visit(visitor);
        }
        visitor.value("postgresql.calls", ValueRef::Int(self.calls));
        visitor.value("postgresql.total_exec_time", ValueRef::Double(self.total_time_ms / 1e3));
        self.counters.visit(visitor);
        if let Some(moments) = &self.moments {
            visitor.value("dbintel.query.mean_exec_time", ValueRef::Double(moments.mean_ms));
            if let Some(variance) = moments.variance_ms2 {
                visitor.value("dbintel.query.variance_exec_time", ValueRef::Double(variance));
            }
        }
        visitor.value("dbintel.query.exactness", ValueRef::Text(self.exactness.as_str()));
        visitor.time("dbintel.interval.start", self.interval.start);
        visitor.time("dbintel.interval.end", self.interval.end);
        if let Some(rank) = self.rank {
            visitor.value("dbintel.query.rank", ValueRef::Int(i64::from(rank)));
        }
        if let Some(errors) = &self.errors {
            let count = |count: u64| ValueRef::Int(i64::try_from(count).unwrap_or(i64::MAX));
            visitor.value("dbintel.query.failed", count(errors.failed));
            visitor.value("dbintel.query.timed_out", count(errors.timed_out));
        }
        match (&self.plan, &self.plan_missing) {
            (Some(plan), _) => plan.visit(visitor),
            // One that it had before is still the best that is known.
            (None, Some(missing)) => visitor.value("dbintel.plan.missing", ValueRef::Text(missing.reason)),
            (None, None) => {}
        }
    }

    /// Bytes this record keeps alive beyond its own size; the shared text is counted in full.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.counters.values.len() * size_of::<f64>()
            + self.text.as_ref().map_or(0, |text| text.weight_bytes())
            + self.plan_times.as_ref().map_or(0, |plans| size_of_val(&**plans))
    }
}

// === impl QueryKey ===

impl QueryKey {
    pub(crate) fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.visit(&mut Rendering(visit));
    }

    fn visit(&self, visitor: &mut impl Visitor) {
        visitor.value("db.system.name", ValueRef::Text(self.system));
        visitor.value("db.namespace", ValueRef::Text(&self.database));
        visitor.value("postgresql.rolname", ValueRef::Text(&self.user));
        visitor.decimal("userid", self.user_id.into());
        visitor.decimal("postgresql.queryid", self.query_id);
        if let Some(toplevel) = self.toplevel {
            visitor.value("dbintel.query.toplevel", ValueRef::Bool(toplevel));
        }
    }
}

// === impl QueryText ===

impl QueryText {
    /// Calls `visit` with the text's attributes.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.visit(&mut Rendering(visit));
    }

    fn visit(&self, visitor: &mut impl Visitor) {
        if let Some(masked) = &self.masked {
            visitor.value("db.query.text", ValueRef::Text(masked));
        }
        if let Some(summary) = &self.summary {
            visitor.value("db.query.summary", ValueRef::Text(summary));
        }
        if let Some(operation) = self.operation {
            visitor.value("db.operation.name", ValueRef::Text(operation));
        }
        visitor.hash64("dbintel.query.fingerprint", self.fingerprint);
        visitor.value("dbintel.query.kind", ValueRef::Text(self.kind));
        if self.truncated {
            visitor.value("dbintel.query.text.truncated", ValueRef::Bool(true));
        }
    }

    /// Bytes this text keeps alive.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        size_of::<Self>()
            + self.masked.as_ref().map_or(0, |text| text.len())
            + self.summary.as_ref().map_or(0, |text| text.len())
    }
}

// === impl Exactness ===

impl Exactness {
    /// The value as an attribute: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::LowerBound => "lower_bound",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Counters ===

impl Counters {
    /// Counters parallel to `definitions`; a value that is not a number is absent. Missing values are absent, surplus
    /// ones are left out.
    #[must_use]
    pub fn new(definitions: &'static [CounterDefinition], values: &[f64]) -> Self {
        let values =
            (0..definitions.len()).map(|index| values.get(index).copied().unwrap_or(f64::NAN)).collect();
        Self { definitions, values }
    }

    /// The value of the counter with this column name, if the server has it.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<f64> {
        let index = self.definitions.iter().position(|definition| definition.column == column)?;
        self.values.get(index).copied().filter(|value| !value.is_nan())
    }

    /// Reads a value of each 64 bytes, so that all are in the processor's cache. What it says means nothing.
    #[must_use]
    pub fn touch(&self) -> f64 {
        self.values.iter().step_by(64 / size_of::<f64>()).sum()
    }

    /// Takes out the known values for which `wrong` holds; they are then absent. Says how many there were.
    pub fn discard(&mut self, wrong: impl Fn(f64) -> bool) -> u64 {
        let mut discarded = 0;
        for value in self.values.iter_mut().filter(|value| !value.is_nan() && wrong(**value)) {
            *value = f64::NAN;
            discarded += 1;
        }
        discarded
    }

    /// Calls `visit` with every counter that is known, in the unit of its attribute.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.visit(&mut Rendering(visit));
    }

    fn visit(&self, visitor: &mut impl Visitor) {
        for (definition, value) in self.definitions.iter().zip(&self.values) {
            let Some(attribute) = definition.attribute else {
                continue;
            };
            if value.is_nan() || (*value == 0.0 && definition.omit_zero) {
                continue;
            }
            match definition.number {
                #[allow(clippy::cast_possible_truncation, reason = "a counter of whole numbers below 2^53")]
                NumberType::Int => visitor.value(attribute, ValueRef::Int(*value as i64)),
                NumberType::Double => visitor.value(attribute, ValueRef::Double(*value * definition.scale)),
            }
        }
    }
}

// === impl Columns ===

impl<const N: usize> Columns<N> {
    /// Columns by their names.
    #[must_use]
    pub const fn new(names: [&'static str; N]) -> Self {
        Self { names, places: None }
    }

    /// The values of the columns, those that the server has.
    pub fn of(&mut self, counters: &Counters) -> [Option<f64>; N] {
        let places = match self.places {
            Some((definitions, places)) if std::ptr::eq(definitions, counters.definitions) => places,
            _ => {
                let place = |name| counters.definitions.iter().position(|of| of.column == name);
                let places = self.names.map(place);
                self.places = Some((counters.definitions, places));
                places
            }
        };
        places.map(|place| counters.values.get(place?).copied().filter(|value| !value.is_nan()))
    }
}

impl PartialEq for Counters {
    fn eq(&self, other: &Self) -> bool {
        self.values.len() == other.values.len()
            && self.values.iter().zip(&other.values).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
    }
}
