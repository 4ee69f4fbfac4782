//! Plans: an observation of the plan of one statement.

use std::sync::Arc;

use crate::{QueryKey, QueryText, Timestamp, ValueRef};

/// A plan as it was obtained. Raw bytes hold literals and never leave: `plan_extractor` makes of them what does.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanObservation {
    /// Which statement.
    pub key: QueryKey,
    /// Its text, once known and allowed to leave.
    pub text: Option<Arc<QueryText>>,
    /// How the plan was obtained, which says how close it is to the one that runs.
    pub rung: PlanRung,
    /// Whether the server vouches that the plan is of this statement.
    pub identity: PlanIdentity,
    /// How the bytes are to be read.
    pub format: PlanFormat,
    /// The plan as the server gave it.
    pub raw: Arc<[u8]>,
    /// When it was obtained, by the server's clock.
    pub obtained_at: Timestamp,
}

/// How a plan was obtained, from the closest to what runs to the furthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PlanRung {
    /// Logged by the server with an execution of the statement.
    Actual,
    /// Planned for a sample of its parameter values.
    Custom,
    /// Planned for unknown parameter values, by `EXPLAIN (GENERIC_PLAN)` or of a statement without parameters.
    Generic,
    /// Planned for unknown parameter values by way of `PREPARE` with nulls.
    GenericNulls,
}

/// Whether a plan is of the statement it is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanIdentity {
    /// The server gave the statement's own identifier with the plan.
    Proven,
    /// The server gives no identifier, or another one for the text as it is normalised.
    Unproven,
}

/// The language of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanFormat {
    /// `EXPLAIN (FORMAT JSON)`.
    PostgresqlJson,
}

// === impl PlanObservation ===

impl PlanObservation {
    /// Calls `visit` with every attribute that is known, by its standard name. The plan itself is none.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.key.for_each_attribute(visit);
        if let Some(text) = &self.text {
            text.for_each_attribute(visit);
        }
        visit("dbintel.plan.rung", ValueRef::Text(self.rung.as_str()));
        visit("dbintel.plan.identity", ValueRef::Text(self.identity.as_str()));
    }

    /// Bytes this record keeps alive beyond its own size; shared ones are counted in full.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.raw.len() + self.text.as_ref().map_or(0, |text| text.weight_bytes())
    }
}

// === impl PlanRung ===

impl PlanRung {
    /// As an attribute value: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Actual => "actual",
            Self::Custom => "custom",
            Self::Generic => "generic",
            Self::GenericNulls => "generic_nulls",
        }
    }
}

// === impl PlanIdentity ===

impl PlanIdentity {
    /// As an attribute value: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Unproven => "unproven",
        }
    }
}
