//! How much the plan of a statement depends on the value of a parameter, without any value.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::hexadecimal;
use crate::{QueryKey, QueryText, Text, Timestamp, ValueRef};

/// What is planned for an unknown value of a parameter, for a frequent one and for one that is absent. The server chose the
/// values from its statistics and kept them.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSensitivity {
    /// Which statement.
    pub key: QueryKey,
    /// Its text, once known and allowed to leave.
    pub text: Option<Arc<QueryText>>,
    /// When it was found out, by the server's clock.
    pub at: Timestamp,
    /// The number of the parameter.
    pub parameter: i64,
    /// The table of the column it is compared with, with its schema.
    pub relation: Text,
    /// The column.
    pub column: Text,
    /// How much of the rows have the frequent value, from 0 to 1.
    pub frequency: f64,
    /// The plan for any value.
    pub generic: PlanOutline,
    /// The plan for the most frequent value.
    pub frequent: PlanOutline,
    /// The plan for a value that is not there.
    pub absent: PlanOutline,
}

/// What is told of one of these plans.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PlanOutline {
    /// Its shape fingerprint.
    pub shape: u128,
    /// The planner's cost of the whole plan.
    pub cost: Option<f64>,
    /// Rows the planner expected.
    pub rows: Option<f64>,
}

// === impl PlanSensitivity ===

impl PlanSensitivity {
    /// Calls `visit` with every attribute of the `dbintel.plan.sensitivity` event that is known.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        self.key.for_each_attribute(visit);
        if let Some(text) = &self.text {
            text.for_each_attribute(visit);
        }
        visit("dbintel.plan.time", ValueRef::Text(self.at.to_rfc3339().as_str()));
        visit("dbintel.plan.parameter.number", ValueRef::Int(self.parameter));
        visit("dbintel.plan.parameter.relation", ValueRef::Text(&self.relation));
        visit("dbintel.plan.parameter.column", ValueRef::Text(&self.column));
        visit("dbintel.plan.shapes", ValueRef::Int(self.shapes()));
        visit("dbintel.plan.frequent.frequency", ValueRef::Double(self.frequency));
        let names = [
            [
                "dbintel.plan.generic.shape",
                "dbintel.plan.generic.cost",
                "dbintel.plan.generic.estimated_rows",
            ],
            [
                "dbintel.plan.frequent.shape",
                "dbintel.plan.frequent.cost",
                "dbintel.plan.frequent.estimated_rows",
            ],
            ["dbintel.plan.absent.shape", "dbintel.plan.absent.cost", "dbintel.plan.absent.estimated_rows"],
        ];
        for (outline, names) in self.outlines().iter().zip(names) {
            outline.visit(names, visit);
        }
    }

    /// How many different shapes the three plans have: with 1 the value does not matter.
    #[must_use]
    pub fn shapes(&self) -> i64 {
        let shapes: BTreeSet<u128> = self.outlines().iter().map(|outline| outline.shape).collect();
        i64::try_from(shapes.len()).unwrap_or(i64::MAX)
    }

    /// Bytes this record keeps alive beyond its own size; shared ones are counted in full.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.text.as_ref().map_or(0, |text| text.weight_bytes()) + self.relation.len() + self.column.len()
    }

    const fn outlines(&self) -> [PlanOutline; 3] {
        [self.generic, self.frequent, self.absent]
    }
}

// === impl PlanOutline ===

impl PlanOutline {
    fn visit(&self, [shape, cost, rows]: [&str; 3], visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        visit(shape, ValueRef::Text(hexadecimal(self.shape.to_be_bytes(), &mut [0; 32])));
        for (name, number) in [(cost, self.cost), (rows, self.rows)] {
            if let Some(number) = number {
                visit(name, ValueRef::Double(number));
            }
        }
    }
}
