//! Plans: an observation of the plan of one statement, and what leaves of it.

mod change;
mod event;
mod sensitivity;
mod table;

use std::fmt;
use std::sync::Arc;

pub use self::change::{MAX_PLAN_CAUSES, PlanCause, PlanChange, PlanSpan};
pub use self::event::{PlanNews, PlanNumbers, QueryPlan};
pub use self::sensitivity::{PlanOutline, PlanSensitivity};
pub use self::table::PlanTable;
use serde::{Deserialize, Serialize};

use crate::finding::hex_u128;
use crate::visit::{Rendering, Visitor, hexadecimal};
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
    /// Tables that the statement reaches, with their sizes; empty where they were not looked at.
    pub tables: Arc<[PlanTable]>,
}

/// How a plan was obtained, from the closest to what runs to the furthest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanRung {
    /// Logged by the server with an execution of the statement.
    Actual,
    /// Kept by an extension, of an execution of the statement.
    Extension,
    /// Planned for the values of a session that was running it.
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

/// The identity of a plan at the two levels that `docs/plan-fingerprint.md` defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlanFingerprint {
    /// Operators, relations and how they are joined, without the names of indexes.
    #[serde(with = "hex_u128")]
    pub shape: u128,
    /// The shape with indexes, sort and group keys, and the shapes of conditions.
    #[serde(with = "hex_u128")]
    pub exact: u128,
}

/// Which plan a statement had when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanReference {
    /// The plan.
    pub fingerprint: PlanFingerprint,
    /// How it was obtained.
    pub rung: PlanRung,
}

/// Why there is no plan of a statement, from the closed list of its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanMissing {
    /// As an attribute value: closed set, lower case.
    pub reason: &'static str,
    /// The reason in a sentence.
    pub meaning: &'static str,
}

/// A statement of which no plan could be obtained. It never leaves: `db.server.top_query` says why.
#[derive(Clone, Debug, PartialEq)]
pub struct NoPlan {
    /// Which statement.
    pub key: QueryKey,
    /// Its text, once known and allowed to leave.
    pub text: Option<Arc<QueryText>>,
    /// Why.
    pub missing: PlanMissing,
    /// When it was tried, by the server's clock; `None` where the server was not reached.
    pub at: Option<Timestamp>,
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
        self.raw.len()
            + self.text.as_ref().map_or(0, |text| text.weight_bytes())
            + self.tables.iter().map(PlanTable::weight_bytes).sum::<usize>()
    }
}

// === impl NoPlan ===

impl NoPlan {
    /// Calls `visit` with every attribute that is known, by its standard name.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.key.for_each_attribute(visit);
        if let Some(text) = &self.text {
            text.for_each_attribute(visit);
        }
        visit("dbintel.plan.missing", ValueRef::Text(self.missing.reason));
    }

    /// Bytes this record keeps alive beyond its own size; shared ones are counted in full.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.weight_bytes())
    }
}

// === impl PlanRung ===

impl PlanRung {
    /// Every rung, from the closest to what runs to the furthest.
    pub const ALL: [Self; 5] =
        [Self::Actual, Self::Extension, Self::Custom, Self::Generic, Self::GenericNulls];

    /// Whether a statement can have several plans on this rung at the same time, by the values of its parameters.
    #[must_use]
    pub const fn depends_on_values(self) -> bool {
        matches!(self, Self::Actual | Self::Extension | Self::Custom)
    }

    /// Whether its plans are those of values that were met by chance, so that another plan than before says something about
    /// the values and nothing about time.
    #[must_use]
    pub const fn is_of_sample(self) -> bool {
        matches!(self, Self::Custom)
    }

    /// As an attribute value: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Actual => "actual",
            Self::Extension => "extension",
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

// === impl PlanReference ===

impl PlanReference {
    pub(crate) fn visit(&self, visitor: &mut impl Visitor) {
        visitor.value("dbintel.plan.rung", ValueRef::Text(self.rung.as_str()));
        self.fingerprint.visit_as(["dbintel.plan.fingerprint", "dbintel.plan.shape"], visitor);
    }
}

// === impl PlanFingerprint ===

impl PlanFingerprint {
    /// Gives both levels, each by its name: exact, shape.
    pub(crate) fn visit(&self, names: [&str; 2], visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.visit_as(names, &mut Rendering(visit));
    }

    fn visit_as(&self, names: [&str; 2], visitor: &mut impl Visitor) {
        for (name, hash) in names.into_iter().zip([self.exact, self.shape]) {
            visitor.hash128(name, hash);
        }
    }
}

/// The exact level, as it leaves.
impl fmt::Display for PlanFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hexadecimal(self.exact.to_be_bytes(), &mut [0; 32]))
    }
}
