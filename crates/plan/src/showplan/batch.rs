//! What a showplan document holds.

use std::borrow::Cow;

use crate::{PlanProblems, tree::Plan};

/// The most statements of a document that are listed.
pub const MAX_STATEMENTS: usize = 1024;

/// The most parameters, statistics, waits, missing indexes, warnings and conditions that are kept, each for itself.
pub const MAX_LISTED: usize = 256;

/// The first plan of a document, and what else it holds.
#[derive(Clone, Debug, Default)]
pub struct ParsedShowplan<'a> {
    /// The first plan with nodes; without nodes if there is none.
    pub plan: Plan<'a>,
    /// All statements in the order of the document, at most [`MAX_STATEMENTS`].
    pub statements: Vec<ShowplanStatement<'a>>,
    /// The place in [`statements`](Self::statements) of the one that [`plan`](Self::plan) belongs to.
    pub statement: Option<usize>,
    /// Why it may not be all of it.
    pub problems: PlanProblems,
}

/// One statement of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShowplanStatement<'a> {
    /// Its kind, for instance `SELECT`.
    pub kind: Option<Cow<'a, str>>,
    /// The server's hash of its text.
    pub query_hash: Option<u64>,
    /// The server's hash of its plan.
    pub query_plan_hash: Option<u64>,
    /// The estimated cost.
    pub cost: Option<f64>,
    /// The estimated rows.
    pub rows: Option<f64>,
    /// Whether a plan with nodes stands with it.
    pub has_plan: bool,
}

impl ParsedShowplan<'_> {
    /// The same with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> ParsedShowplan<'static> {
        let statements = self.statements.into_iter().map(|statement| ShowplanStatement {
            kind: statement.kind.map(|kind| Cow::Owned(kind.into_owned())),
            query_hash: statement.query_hash,
            query_plan_hash: statement.query_plan_hash,
            cost: statement.cost,
            rows: statement.rows,
            has_plan: statement.has_plan,
        });
        ParsedShowplan {
            plan: self.plan.into_owned(),
            statements: statements.collect(),
            statement: self.statement,
            problems: self.problems,
        }
    }
}
