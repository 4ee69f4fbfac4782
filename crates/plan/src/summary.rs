//! What is in a plan, in a few numbers and short lists, without literals.

mod collect;
mod estimate;
mod rules;

pub use self::{
    estimate::EstimateError,
    rules::{Evidence, Finding, MAX_FINDINGS, PlanRule},
};
use crate::tree::{NodeId, Operator, Plan};

/// The most scans that a summary lists. Further ones are only counted.
pub const MAX_SUMMARY_SCANS: usize = 32;

/// The most filters that a summary lists. Further ones are only counted.
pub const MAX_SUMMARY_FILTERS: usize = 16;

/// What is in a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// The planner's cost of the whole plan.
    pub total_cost: Option<f64>,
    /// The planner's cost before the first row.
    pub startup_cost: Option<f64>,
    /// Rows the planner expected.
    pub estimated_rows: Option<f64>,
    /// Rows there were, where the statement was run and measured.
    pub actual_rows: Option<f64>,
    /// Milliseconds spent planning.
    pub planning_time_ms: Option<f64>,
    /// Milliseconds spent executing.
    pub execution_time_ms: Option<f64>,
    /// The number of nodes.
    pub nodes: u32,
    /// The number of nodes on the longest way from the root down.
    pub depth: u32,
    /// Where expectation and truth were furthest apart.
    pub widest_error: Option<EstimateError>,
    /// The first [`MAX_SUMMARY_SCANS`] different scans, in the order of the plan.
    pub scans: Vec<ScanSummary>,
    /// How many scan nodes there are, those that are not listed included.
    pub scan_nodes: u32,
    /// Joins by kind.
    pub joins: JoinCounts,
    /// Sorts, and what did not fit into memory.
    pub sorts: SortCounts,
    /// Filters that dropped more rows than they let through, the most wasteful first, at most [`MAX_SUMMARY_FILTERS`].
    pub wasteful_filters: Vec<WastefulFilter>,
    /// How many such filters there are, those that are not listed included.
    pub wasteful_filter_nodes: u32,
    /// Partitions.
    pub partitions: PartitionCounts,
    /// Parallel workers.
    pub parallel: ParallelCounts,
    /// What only plans of SQL Server show.
    pub sql_server: SqlServerCounts,
    /// Functions compiled just in time.
    pub jit_functions: Option<f64>,
    /// Milliseconds spent compiling.
    pub jit_ms: Option<f64>,
    /// What the rules found, at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many findings there were beyond [`MAX_FINDINGS`].
    pub findings_not_listed: u32,
}

/// Scans of one kind of one relation, or of one index.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanSummary {
    /// The first node that does it.
    pub node: NodeId,
    /// How it is read.
    pub operator: Operator,
    /// The schema, where the plan says.
    pub schema: Option<Box<str>>,
    /// The relation, function, common table expression or store.
    pub relation: Option<Box<str>>,
    /// The index.
    pub index: Option<Box<str>>,
    /// Rows the planner expected, of all these nodes in one loop each.
    pub estimated_rows: f64,
    /// Rows there were, of all these nodes in all loops.
    pub actual_rows: Option<f64>,
    /// How many nodes do it.
    pub nodes: u32,
    /// How many rows the relation has, where the plan says (SQL Server).
    pub table_rows: Option<f64>,
}

/// Joins by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JoinCounts {
    /// Nested loops.
    pub nested_loop: u32,
    /// Hash joins.
    pub hash: u32,
    /// Merge joins.
    pub merge: u32,
    /// Joins of any kind that pass on rows without a match.
    pub outer: u32,
    /// Joins of any kind that only look whether there is a match.
    pub semi_or_anti: u32,
}

/// Sorts, and what did not fit into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SortCounts {
    /// Sorts from nothing.
    pub full: u32,
    /// Sorts of what is in order in part.
    pub incremental: u32,
    /// Nodes of any kind that wrote to disk for lack of memory, as far as the plan was measured.
    pub spilled: u32,
    /// Kilobytes they wrote, as far as the plan says.
    pub spilled_kib: f64,
}

/// A filter that dropped more rows than it let through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WastefulFilter {
    /// The node.
    pub node: NodeId,
    /// Rows dropped, in all loops.
    pub dropped: f64,
    /// Rows passed on, in all loops.
    pub kept: f64,
}

/// Partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionCounts {
    /// Nodes that read one input after another or merge them.
    pub appends: u32,
    /// Their inputs.
    pub inputs: u32,
    /// Inputs left out before execution began.
    pub removed: u32,
}

/// Parallel workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParallelCounts {
    /// Nodes that collect the rows of workers.
    pub gathers: u32,
    /// Workers planned for.
    pub planned: u32,
    /// Workers that were there.
    pub launched: Option<u32>,
}

/// What only plans of SQL Server show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqlServerCounts {
    /// Nodes that read the rest of rows that an index found.
    pub key_lookups: u32,
    /// Nodes whose conditions convert a column, and warnings of such conversions.
    pub implicit_conversions: u32,
    /// Columns that were estimated without statistics.
    pub columns_without_statistics: u32,
    /// Indexes that the server proposes.
    pub missing_indexes: u32,
    /// Parameters whose value at run time differs from the one the plan was made for.
    pub sniffed_parameters: u32,
}

impl Plan<'_> {
    /// What is in this plan.
    #[must_use]
    pub fn summary(&self) -> Summary {
        collect::summary(self)
    }
}

#[cfg(test)]
mod tests;
