//! Named rules: what in a plan is worth a look, with the numbers that say so.
//!
//! A rule names what the plan shows and never what to do; that takes more than a plan. Thresholds are named here, each
//! with its reason.

mod check;

use crate::tree::NodeId;

pub(super) use self::check::apply;

/// The most findings of one plan. Further ones are only counted.
pub const MAX_FINDINGS: usize = 32;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident $text:literal, $check:literal;)+) => {
        /// What in a plan may be worth a look.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum PlanRule {
            $($(#[$doc])* $name,)+
        }

        impl PlanRule {
            /// Every rule, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name for metrics and events, in lower snake case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// What to look at next, in words.
            #[must_use]
            pub const fn check_next(self) -> &'static str {
                match self {
                    $(Self::$name => $check,)+
                }
            }
        }
    };
}

rules! {
    /// A whole table is read and most of its rows are dropped.
    SeqScanDiscardsRows "seq_scan_discards_rows",
        "whether an index on the filtered columns exists and fits the condition, and whether the share of rows kept is small for most values";
    /// An index finds many rows that a filter then drops.
    IndexScanDiscardsRows "index_scan_discards_rows",
        "whether the columns of the filter could be part of the index";
    /// A join makes many pairs that its filter then drops.
    JoinFilterDiscardsRows "join_filter_discards_rows",
        "whether the join has an equality that a hash or an index could use";
    /// The planner expected many times more or fewer rows than there were.
    EstimateFarOff "estimate_far_off",
        "when the tables were last analyzed, the statistics targets of the filtered columns, and extended statistics for columns that depend on each other";
    /// A sort did not fit into memory.
    SortSpills "sort_spills",
        "work_mem for this role, and whether an index gives the order";
    /// A hash table did not fit into memory.
    HashSpills "hash_spills",
        "work_mem and hash_mem_multiplier for this role, and whether the number of rows was underestimated";
    /// The inner side of a nested loop reads a whole table each time.
    NestedLoopOverSeqScan "nested_loop_over_seq_scan",
        "whether the inner table has an index on the join column, and whether the outer rows were underestimated";
    /// Two inputs are joined without any condition.
    JoinWithoutCondition "join_without_condition",
        "whether a join condition is missing from the statement";
    /// A bitmap was too large for memory and became lossy.
    LossyBitmap "lossy_bitmap",
        "work_mem for this role";
    /// An index-only scan had to read the table for many rows.
    IndexOnlyScanReadsTable "index_only_scan_reads_table",
        "when the table was last vacuumed; the visibility map says which pages need no look";
    /// Fewer workers came than were planned for.
    WorkersMissing "workers_missing",
        "max_parallel_workers and max_worker_processes against the workers in use at that time";
    /// Compiling took a large part of the time.
    JitDominates "jit_dominates",
        "jit_above_cost, and whether the cost was overestimated";
    /// Planning took longer than execution.
    PlanningDominates "planning_dominates",
        "the number of partitions and joins, and whether the statement is prepared";
    /// Triggers took a large part of the time.
    TriggersDominate "triggers_dominate",
        "indexes on the referencing columns of foreign keys, and what the named triggers do";
    /// Many partitions are read.
    ManyPartitions "many_partitions",
        "whether the statement restricts the partition key in a way that pruning can use";
    /// A subplan is computed again for each of many rows.
    SubplanPerRow "subplan_per_row",
        "whether the subquery can be written as a join";
    /// A cache of inner rows evicted more than it found.
    MemoizeThrashes "memoize_thrashes",
        "work_mem, and the number of different join values against the estimate";
    /// A common table expression is computed as a whole and then filtered.
    FilterAboveCte "filter_above_cte",
        "whether NOT MATERIALIZED lets the filter reach its tables";
    /// Settings forbid an operator, and the planner used it for lack of another.
    DisabledOperator "disabled_operator",
        "which enable_ setting is off for this role or database, and why";
    /// The plan reads nothing, because a condition is false for the values it was made for.
    EmptyPlan "empty_plan",
        "how the plan was obtained: a plan made with NULL for each parameter may be empty where that of a real value is not";
    /// A condition converts a column to another type (SQL Server).
    ImplicitConversion "implicit_conversion",
        "the type of the column against the type of the parameter or the other column; a driver that sends text as nvarchar is a common cause";
    /// For each of many rows that an index found, the rest is read from the table (SQL Server).
    KeyLookup "key_lookup",
        "whether the columns that are read could be included in the index, and whether the number of rows was underestimated";
    /// The plan was made for other values than it was run with (SQL Server).
    ParameterSniffing "parameter_sniffing",
        "how the plan and its cost differ between frequent and rare values of these parameters, and in Query Store whether the statement has had faster plans";
    /// Columns were estimated without statistics (SQL Server).
    MissingStatistics "missing_statistics",
        "whether statistics are created automatically in this database, and statistics for the named columns";
    /// Columns were estimated from statistics that are out of date (SQL Server).
    StaleStatistics "stale_statistics",
        "when the statistics were last updated and how many rows have changed since";
    /// Filtered indexes could not be used, because a value was not known when the plan was made (SQL Server).
    UnmatchedIndexes "unmatched_indexes",
        "whether the filter of the index compares with a value that the statement gives as a parameter";
    /// The server itself proposes an index (SQL Server).
    MissingIndex "missing_index",
        "whether an existing index could be extended instead, and what the index would cost the writes of this table";
    /// An operator wrote to tempdb for lack of memory (SQL Server).
    SpillsToTempdb "spills_to_tempdb",
        "the estimated against the actual rows below this node, and the memory grant";
    /// The statement got much more memory than it used (SQL Server).
    ExcessiveGrant "excessive_grant",
        "the estimated rows and widths below sorts and hashes; while the statement runs, others may wait for this memory";
    /// The statement needed more memory than it got (SQL Server).
    GrantTooSmall "grant_too_small",
        "the estimated against the actual rows below sorts and hashes, and limits of the resource group";
    /// The statement waited for its memory (SQL Server).
    MemoryGrantWait "memory_grant_wait",
        "which statements held memory grants at that time, and how much of them they used";
    /// The optimizer could not make the plan parallel (SQL Server).
    ForcedSerial "forced_serial",
        "the named reason: functions, table variables and options that keep a statement from running in parallel";
    /// The optimizer stopped before it had looked at all plans it wanted to (SQL Server).
    OptimizerGaveUp "optimizer_gave_up",
        "the number of joins and views in the statement, and whether parts of it could be computed first";
}

/// A number that a finding rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// What it is, in lower snake case with the unit last.
    pub name: &'static str,
    /// How much.
    pub value: f64,
}

/// A rule that applies to a node, or to the plan as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule.
    pub rule: PlanRule,
    /// The node; the root where the rule is about the whole plan.
    pub node: NodeId,
    /// The numbers that made it apply.
    pub evidence: Vec<Evidence>,
}
