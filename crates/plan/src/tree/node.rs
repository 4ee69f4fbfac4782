//! One node of a plan.

use std::borrow::Cow;

use super::Operator;

/// The place of a node in its plan: 0 is the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// The index in [`Plan::nodes`](super::Plan::nodes).
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One node of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node<'a> {
    /// What the node does.
    pub operator: Operator,
    /// The operator as the engine spells it.
    pub operator_name: Cow<'a, str>,
    /// The node that reads this one; `None` for the root.
    pub parent: Option<NodeId>,
    /// How many nodes are above this one.
    pub depth: u32,
    /// The number of nodes below this one.
    pub(crate) below: u32,
    /// What this node is to its parent.
    pub relationship: Relationship,
    /// The engine's name of a subplan, such as `CTE totals`.
    pub subplan_name: Option<Cow<'a, str>>,
    /// The relation that is read or changed.
    pub relation: RelationRef<'a>,
    /// The index that is used.
    pub index: Option<Cow<'a, str>>,
    /// The function, common table expression or named store that rows are read from.
    pub source: Option<Cow<'a, str>>,
    /// Which rows a join passes on.
    pub join_type: Option<JoinType>,
    /// How an aggregate or set operation works, for instance `Hashed`.
    pub strategy: Option<Cow<'a, str>>,
    /// Which part of a split aggregate this is, for instance `Partial`. `Simple` is left out.
    pub partial_mode: Option<Cow<'a, str>>,
    /// The command of a node that changes rows, of a foreign scan or of a set operation.
    pub operation: Option<Cow<'a, str>>,
    /// The direction in which an index is read, where it matters.
    pub scan_direction: Option<ScanDirection>,
    /// Whether parallel workers share the work of this node.
    pub parallel_aware: bool,
    /// Whether at most one row of the inner input matches each row of the outer one.
    pub inner_unique: Option<bool>,
    /// What the planner expected.
    pub estimates: Estimates,
    /// What happened, where the statement was run and measured.
    pub actuals: Option<Actuals>,
    /// Rows dropped by the filter, mean of one loop.
    pub rows_removed_by_filter: Option<f64>,
    /// Rows dropped by the join filter, mean of one loop.
    pub rows_removed_by_join_filter: Option<f64>,
    /// Rows dropped because a lossy index answer had to be checked again, mean of one loop.
    pub rows_removed_by_recheck: Option<f64>,
    /// Workers that were planned for.
    pub workers_planned: Option<u32>,
    /// Workers that were there.
    pub workers_launched: Option<u32>,
    /// What each worker did.
    pub workers: Vec<Worker<'a>>,
    /// Conditions, keys and expressions, with the literals of the statement. They are masked by
    /// [`Plan::render`](super::Plan::render) and by redaction, not here.
    pub conditions: Vec<Condition<'a>>,
    /// Blocks and input/output times.
    pub buffers: Option<Box<Buffers>>,
    /// Write-ahead log written.
    pub wal: Option<Box<Wal>>,
    /// What the engine itself warns of at this node.
    pub warnings: Vec<Warning<'a>>,
    /// Everything else, under the engine's own names.
    pub extras: Vec<Extra<'a>>,
}

impl<'a> Node<'a> {
    /// The conditions of one kind, in order.
    pub fn conditions_of(&self, kind: ConditionKind) -> impl Iterator<Item = &str> {
        self.conditions
            .iter()
            .filter(move |condition| condition.kind == kind)
            .map(|condition| &*condition.text)
    }

    /// Whether the node has a condition of this kind.
    #[must_use]
    pub fn has_condition(&self, kind: ConditionKind) -> bool {
        self.conditions.iter().any(|condition| condition.kind == kind)
    }

    /// The extra value with the engine's name for it.
    #[must_use]
    pub fn extra(&self, name: &str) -> Option<&Scalar<'a>> {
        self.extras.iter().find(|extra| extra.name == name).map(|extra| &extra.value)
    }

    /// The extra number with the engine's name for it.
    #[must_use]
    pub fn extra_number(&self, name: &str) -> Option<f64> {
        match self.extra(name)? {
            Scalar::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The extra text with the engine's name for it.
    #[must_use]
    pub fn extra_text(&self, name: &str) -> Option<&str> {
        match self.extra(name)? {
            Scalar::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Default for Operator {
    fn default() -> Self {
        Self::Other
    }
}

/// What a node is to its parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relationship {
    /// The node has no parent.
    #[default]
    Root,
    /// The first or only input.
    Outer,
    /// The second input of a join.
    Inner,
    /// One of any number of inputs.
    Member,
    /// Computed before its parent, at most once for each set of parameters.
    InitPlan,
    /// Computed for an expression of its parent.
    SubPlan,
    /// The plan of a subquery scan.
    Subquery,
    /// A relationship this version does not know.
    Other,
}

/// The relation a node reads or changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelationRef<'a> {
    /// The database; only SQL Server's plans name it.
    pub database: Option<Cow<'a, str>>,
    /// The schema; PostgreSQL gives it only with `VERBOSE`.
    pub schema: Option<Cow<'a, str>>,
    /// The name of the relation. Nodes that read something else have an alias only.
    pub name: Option<Cow<'a, str>>,
    /// The name that conditions use for it.
    pub alias: Option<Cow<'a, str>>,
}

/// Which rows a join passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JoinType {
    /// Pairs that match.
    Inner,
    /// Also rows of the outer input without a match.
    Left,
    /// Also rows of both inputs without a match.
    Full,
    /// Also rows of the inner input without a match.
    Right,
    /// Rows of the outer input that have a match.
    Semi,
    /// Rows of the outer input without a match.
    Anti,
    /// Rows of the inner input that have a match.
    RightSemi,
    /// Rows of the inner input without a match.
    RightAnti,
    /// A type this version does not know.
    Other,
}

impl JoinType {
    /// The name as PostgreSQL prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inner => "Inner",
            Self::Left => "Left",
            Self::Full => "Full",
            Self::Right => "Right",
            Self::Semi => "Semi",
            Self::Anti => "Anti",
            Self::RightSemi => "Right Semi",
            Self::RightAnti => "Right Anti",
            Self::Other => "Other",
        }
    }
}

/// The direction in which an index is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScanDirection {
    /// From its start, or in whatever order suits.
    Forward,
    /// From its end.
    Backward,
}

/// What the planner expected of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimates {
    /// The cost before the first row.
    pub startup_cost: Option<f64>,
    /// The cost of all rows, with all nodes below.
    pub total_cost: Option<f64>,
    /// Rows passed on in one loop.
    pub rows: Option<f64>,
    /// The mean width of a row in bytes.
    pub width_bytes: Option<f64>,
}

/// What happened at a node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Actuals {
    /// Rows passed on, mean of one loop.
    pub rows: f64,
    /// How often the node was started; 0 if never.
    pub loops: f64,
    /// Milliseconds until the first row, mean of one loop. `None` without timing.
    pub startup_ms: Option<f64>,
    /// Milliseconds until the last row, mean of one loop, with all nodes below. `None` without timing.
    pub total_ms: Option<f64>,
}

/// What one parallel worker did at a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Worker<'a> {
    /// The number of the worker.
    pub number: u32,
    /// What happened in it.
    pub actuals: Option<Actuals>,
    /// Its blocks.
    pub buffers: Option<Box<Buffers>>,
    /// Its write-ahead log.
    pub wal: Option<Box<Wal>>,
    /// Everything else.
    pub extras: Vec<Extra<'a>>,
}

/// A condition, key or expression of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition<'a> {
    /// What it is for.
    pub kind: ConditionKind,
    /// Its text, with the literals of the statement.
    pub text: Cow<'a, str>,
}

/// What a condition, key or expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionKind {
    /// Rows it is false for are dropped.
    Filter,
    /// Rows are looked up by it in an index.
    Index,
    /// Checked again on rows an index found.
    Recheck,
    /// Rows are looked up by it by their physical place.
    Tid,
    /// Equality that a hash join looks rows up by.
    Hash,
    /// Equality that a merge join merges by.
    Merge,
    /// Pairs it is false for are dropped by a join.
    Join,
    /// Computed once; nothing is read if it is false.
    OneTime,
    /// A window function stops where it becomes false.
    Run,
    /// Conflicting rows it is false for are left alone.
    Conflict,
    /// What is sorted by.
    SortKey,
    /// The part of the sort key the input is sorted by already.
    PresortedKey,
    /// What is grouped by.
    GroupKey,
    /// One grouping set; its keys are joined by commas.
    GroupingSet,
    /// The order an index gives rows in by itself (nearest neighbours).
    OrderBy,
    /// What rows are kept by in a cache.
    CacheKey,
    /// An expression that is passed on.
    Output,
    /// A function that is called.
    Call,
    /// The definition of a window.
    Window,
    /// The statement sent to a foreign server.
    Remote,
    /// Any other expression.
    Other,
}

impl ConditionKind {
    /// The word that introduces it in a rendered plan.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Index => "index condition",
            Self::Recheck => "recheck",
            Self::Tid => "tid condition",
            Self::Hash => "hash condition",
            Self::Merge => "merge condition",
            Self::Join => "join filter",
            Self::OneTime => "one-time filter",
            Self::Run => "run condition",
            Self::Conflict => "conflict filter",
            Self::SortKey => "sort key",
            Self::PresortedKey => "presorted key",
            Self::GroupKey => "group key",
            Self::GroupingSet => "grouping set",
            Self::OrderBy => "order by",
            Self::CacheKey => "cache key",
            Self::Output => "output",
            Self::Call => "call",
            Self::Window => "window",
            Self::Remote => "remote",
            Self::Other => "expression",
        }
    }
}

/// Blocks touched and the time spent on them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Buffers {
    /// Blocks of tables and indexes found in shared memory.
    pub shared_hit: f64,
    /// Blocks of tables and indexes read.
    pub shared_read: f64,
    /// Blocks of tables and indexes that became dirty.
    pub shared_dirtied: f64,
    /// Blocks of tables and indexes written.
    pub shared_written: f64,
    /// Blocks of temporary tables found in memory.
    pub local_hit: f64,
    /// Blocks of temporary tables read.
    pub local_read: f64,
    /// Blocks of temporary tables that became dirty.
    pub local_dirtied: f64,
    /// Blocks of temporary tables written.
    pub local_written: f64,
    /// Blocks of spill files read.
    pub temp_read: f64,
    /// Blocks of spill files written.
    pub temp_written: f64,
    /// Milliseconds spent reading blocks of tables and indexes; up to PostgreSQL 16 temporary tables included.
    pub shared_read_ms: Option<f64>,
    /// Milliseconds spent writing blocks of tables and indexes; up to PostgreSQL 16 temporary tables included.
    pub shared_write_ms: Option<f64>,
    /// Milliseconds spent reading blocks of temporary tables.
    pub local_read_ms: Option<f64>,
    /// Milliseconds spent writing blocks of temporary tables.
    pub local_write_ms: Option<f64>,
    /// Milliseconds spent reading spill files.
    pub temp_read_ms: Option<f64>,
    /// Milliseconds spent writing spill files.
    pub temp_write_ms: Option<f64>,
}

/// Write-ahead log written.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wal {
    /// Records.
    pub records: f64,
    /// Images of whole blocks.
    pub full_page_images: f64,
    /// Bytes.
    pub bytes: f64,
    /// How often the buffers were full.
    pub buffers_full: f64,
}

/// Something the engine itself warns of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning<'a> {
    /// What it is.
    pub kind: WarningKind,
    /// The engine's words, with the literals of the statement.
    pub text: Option<Cow<'a, str>>,
}

/// What the engine warns of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WarningKind {
    /// The settings forbid this operator, and the planner found no other (PostgreSQL 18).
    Disabled,
    /// The operator wrote to tempdb for lack of memory (SQL Server).
    Spill,
    /// The conversion of a column to another type keeps the optimizer from an index or an estimate (SQL Server).
    ImplicitConversion,
    /// Two inputs are joined without a condition (SQL Server).
    NoJoinPredicate,
    /// There are no statistics of columns that were estimated (SQL Server).
    MissingStatistics,
    /// There are no recent statistics of columns that were estimated (SQL Server).
    StaleStatistics,
    /// Filtered indexes could not be used because a value was not known when the plan was made (SQL Server).
    UnmatchedIndexes,
    /// The statement got far more or far less memory than it used (SQL Server).
    MemoryGrant,
    /// The statement had to wait while it ran (SQL Server).
    Wait,
    /// Any other warning.
    Other,
}

/// A value under the engine's own name.
#[derive(Clone, Debug, PartialEq)]
pub struct Extra<'a> {
    /// The engine's name for it.
    pub name: &'static str,
    /// The engine's name of the object within the node that it is in, if it is in one.
    pub group: Option<&'static str>,
    /// The value.
    pub value: Scalar<'a>,
}

/// A single value.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// A finite number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// A word or a name.
    Text(Cow<'a, str>),
}
