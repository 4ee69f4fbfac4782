//! What is known of a plan as a whole.

use std::borrow::Cow;

use super::{Buffers, Node, NodeId};

/// Which engine made a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Engine {
    /// PostgreSQL.
    #[default]
    PostgreSql,
    /// Microsoft SQL Server.
    SqlServer,
}

/// A query plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan<'a> {
    /// Which engine made it.
    pub engine: Engine,
    /// The earliest version of the engine that writes every field met. It says nothing about later ones.
    pub oldest_version: Option<u16>,
    /// The version of the server, where the plan names it.
    pub server_version: Option<Cow<'a, str>>,
    pub(crate) nodes: Vec<Node<'a>>,
    /// The statement, with its literals. It must be masked before it goes anywhere.
    pub query_text: Option<Cow<'a, str>>,
    /// PostgreSQL's identifier of the statement.
    pub query_identifier: Option<i64>,
    /// SQL Server's hash of the statement.
    pub query_hash: Option<u64>,
    /// SQL Server's own hash of the plan.
    pub query_plan_hash: Option<u64>,
    /// Settings that differ from their defaults and have a part in planning.
    pub settings: PlanSettings<'a>,
    /// Just-in-time compilation.
    pub jit: Option<Jit>,
    /// Milliseconds spent planning.
    pub planning_time_ms: Option<f64>,
    /// Milliseconds spent executing, triggers included.
    pub execution_time_ms: Option<f64>,
    /// Blocks touched while planning.
    pub planning_buffers: Option<Box<Buffers>>,
    /// Kilobytes of memory used for planning.
    pub planning_memory_used_kib: Option<f64>,
    /// Kilobytes of memory allocated for planning.
    pub planning_memory_allocated_kib: Option<f64>,
    /// What it took to turn the result into what is sent.
    pub serialization: Option<Serialization>,
    /// Triggers that were run.
    pub triggers: Vec<Trigger<'a>>,
    /// Memory that was granted to the statement.
    pub memory_grant: Option<MemoryGrant>,
    /// Indexes the engine itself proposes.
    pub missing_indexes: Vec<MissingIndexGroup<'a>>,
    /// Parameters and what the plan was made for.
    pub parameters: Vec<Parameter<'a>>,
    /// The version of SQL Server's cardinality estimator.
    pub cardinality_model: Option<u32>,
}

impl<'a> Plan<'a> {
    /// All nodes, parents before children, in the engine's order. Never empty for a parsed plan.
    #[must_use]
    pub fn nodes(&self) -> &[Node<'a>] {
        &self.nodes
    }

    /// The node with this id, which came from this plan.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node<'a>> {
        self.nodes.get(id.index())
    }

    /// The node that gives the result.
    #[must_use]
    pub fn root(&self) -> Option<&Node<'a>> {
        self.nodes.first()
    }

    /// Whether the plan says what happened, and not only what was expected.
    #[must_use]
    pub fn has_actuals(&self) -> bool {
        self.root().is_some_and(|root| root.actuals.is_some())
    }
}

/// Names and values of settings.
pub type PlanSettings<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Just-in-time compilation of expressions, the leader and all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Jit {
    /// Functions compiled.
    pub functions: f64,
    /// Milliseconds making code.
    pub generation_ms: Option<f64>,
    /// Milliseconds of that for reading columns from rows (17 and later).
    pub deform_ms: Option<f64>,
    /// Milliseconds inlining.
    pub inlining_ms: Option<f64>,
    /// Milliseconds optimising.
    pub optimization_ms: Option<f64>,
    /// Milliseconds emitting.
    pub emission_ms: Option<f64>,
    /// Milliseconds altogether.
    pub total_ms: Option<f64>,
    /// Whether inlining was done.
    pub inlining: bool,
    /// Whether the costly optimisation was done.
    pub optimization: bool,
}

/// What it took to turn the result into what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Serialization {
    /// Milliseconds.
    pub time_ms: Option<f64>,
    /// Kilobytes.
    pub output_kib: Option<f64>,
}

/// A trigger that was run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trigger<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// The constraint it serves.
    pub constraint: Option<Cow<'a, str>>,
    /// Its table.
    pub relation: Option<Cow<'a, str>>,
    /// Milliseconds of all calls.
    pub time_ms: Option<f64>,
    /// How often it was called.
    pub calls: Option<f64>,
}

/// Memory that SQL Server granted to a statement, in kilobytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemoryGrant {
    /// What the statement asked for.
    pub requested_kib: Option<f64>,
    /// What it got.
    pub granted_kib: Option<f64>,
    /// The most it used.
    pub max_used_kib: Option<f64>,
    /// What it needs at least.
    pub required_kib: Option<f64>,
    /// What it would need in order not to spill.
    pub desired_kib: Option<f64>,
}

/// An index that SQL Server proposes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MissingIndexGroup<'a> {
    /// The estimated improvement in percent.
    pub impact_percent: Option<f64>,
    /// The schema of the table.
    pub schema: Option<Cow<'a, str>>,
    /// The table.
    pub table: Cow<'a, str>,
    /// Columns compared for equality.
    pub equality_columns: Vec<Cow<'a, str>>,
    /// Columns compared otherwise.
    pub inequality_columns: Vec<Cow<'a, str>>,
    /// Further columns that are read.
    pub included_columns: Vec<Cow<'a, str>>,
}

/// A parameter of the statement. Its values stay inside the server and this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its type.
    pub data_type: Option<Cow<'a, str>>,
    /// The value the plan was made for.
    pub compiled_value: Option<Cow<'a, str>>,
    /// The value the plan was run with.
    pub runtime_value: Option<Cow<'a, str>>,
}
