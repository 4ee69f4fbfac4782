//! What is known of a plan as a whole.

use std::borrow::Cow;

use super::{Buffers, Node, NodeId, Warning};

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
    /// The statement, with its literals. It must be masked before it goes anywhere. SQL Server's is masked already.
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
    /// What else only SQL Server says of a plan.
    pub sql_server: Option<Box<SqlServerPlan<'a>>>,
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

/// A parameter of the statement, without its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its type.
    pub data_type: Option<Cow<'a, str>>,
    /// Which of its values the plan names, and whether they are the same.
    pub values: ParameterValues,
}

/// Which values of a parameter a plan names. The values themselves are compared and dropped while it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ParameterValues {
    /// None.
    #[default]
    None,
    /// The one the plan was made for.
    Compiled,
    /// The one the plan was run with.
    Runtime,
    /// Both, and they are the same.
    Same,
    /// Both, and they differ.
    Different,
}

/// What only SQL Server says of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SqlServerPlan<'a> {
    /// The kind of the statement, for instance `SELECT`.
    pub statement_type: Option<Cow<'a, str>>,
    /// How thorough the optimizer was: `TRIVIAL` or `FULL`.
    pub optimization_level: Option<Cow<'a, str>>,
    /// Why the optimizer stopped before it was done, for instance `TimeOut`.
    pub early_abort_reason: Option<Cow<'a, str>>,
    /// How many threads each branch may use; 1 for a serial plan.
    pub degree_of_parallelism: Option<u32>,
    /// Why the plan could not be parallel.
    pub non_parallel_reason: Option<Cow<'a, str>>,
    /// Kilobytes of the plan in the cache.
    pub cached_plan_size_kib: Option<f64>,
    /// Milliseconds of processor time for compiling.
    pub compile_cpu_ms: Option<f64>,
    /// Kilobytes of memory for compiling.
    pub compile_memory_kib: Option<f64>,
    /// Milliseconds of processor time for executing.
    pub cpu_time_ms: Option<f64>,
    /// Milliseconds the statement waited for its memory.
    pub grant_wait_ms: Option<f64>,
    /// Whether feedback changed the memory grant, in the server's words.
    pub grant_feedback: Option<Cow<'a, str>>,
    /// What the server warns of that belongs to no node. Texts are masked.
    pub warnings: Vec<Warning<'a>>,
    /// The statistics that the optimizer looked at.
    pub statistics: Vec<StatisticsUse<'a>>,
    /// What the statement waited for.
    pub waits: Vec<PlanWait<'a>>,
}

/// Statistics that SQL Server's optimizer looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatisticsUse<'a> {
    /// The schema of the table.
    pub schema: Option<Cow<'a, str>>,
    /// The table.
    pub table: Cow<'a, str>,
    /// The name of the statistics.
    pub name: Cow<'a, str>,
    /// When they were made, as the server prints it.
    pub last_update: Option<Cow<'a, str>>,
    /// Rows changed since then.
    pub modifications: Option<f64>,
    /// The share of rows they were made from, in percent.
    pub sampling_percent: Option<f64>,
}

/// What a statement waited for while it ran.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanWait<'a> {
    /// The kind of wait.
    pub kind: Cow<'a, str>,
    /// How often.
    pub count: f64,
    /// Milliseconds altogether.
    pub time_ms: f64,
}
