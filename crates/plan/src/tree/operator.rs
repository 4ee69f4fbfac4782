//! What a node does.

use std::fmt;

use crate::lookup::Lookup;

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $class:ident;)+) => {
        /// What a node does, as one closed set for all engines.
        ///
        /// [`Node::operator_name`](super::Node::operator_name) holds the engine's own spelling.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operator {
            $($(#[$doc])* $name,)+
            /// A node of a type this version does not know.
            Other,
        }

        impl Operator {
            /// Every operator but [`Other`](Self::Other).
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The operator with this name.
            #[inline]
            pub(crate) fn named(name: &str) -> Option<Self> {
                const NAMES: &[&str] = &[$($text,)+];
                static LOOKUP: Lookup = Lookup::of(NAMES);
                Self::ALL.get(LOOKUP.find(NAMES, name)?).copied()
            }

            /// The name for people, metrics and fingerprints. It never changes for a released operator.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                    Self::Other => "Other",
                }
            }

            /// Which group of operators this one belongs to.
            #[must_use]
            pub const fn class(self) -> OperatorClass {
                match self {
                    $(Self::$name => OperatorClass::$class,)+
                    Self::Other => OperatorClass::Other,
                }
            }
        }
    };
}

/// A group of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperatorClass {
    /// Reads rows from a relation or another source of rows.
    Scan,
    /// Joins two inputs.
    Join,
    /// Sorts its input.
    Sort,
    /// Groups or aggregates its input.
    Aggregate,
    /// Changes rows of a table.
    Modify,
    /// Collects the rows of parallel workers.
    Gather,
    /// Anything else.
    Other,
}

operators! {
    /// Reads a whole table.
    SeqScan = "Seq Scan", Scan;
    /// Reads a random part of a table (`TABLESAMPLE`).
    SampleScan = "Sample Scan", Scan;
    /// Finds rows through an index and reads them from the table.
    IndexScan = "Index Scan", Scan;
    /// Reads rows from an index alone.
    IndexOnlyScan = "Index Only Scan", Scan;
    /// Collects the places of rows from an index.
    BitmapIndexScan = "Bitmap Index Scan", Scan;
    /// Reads the rows whose places were collected.
    BitmapHeapScan = "Bitmap Heap Scan", Scan;
    /// Intersects collected places.
    BitmapAnd = "BitmapAnd", Other;
    /// Unites collected places.
    BitmapOr = "BitmapOr", Other;
    /// Reads rows by their physical place.
    TidScan = "Tid Scan", Scan;
    /// Reads rows within a range of physical places.
    TidRangeScan = "Tid Range Scan", Scan;
    /// Passes on the rows of a subquery.
    SubqueryScan = "Subquery Scan", Scan;
    /// Reads the rows of a function.
    FunctionScan = "Function Scan", Scan;
    /// Reads the rows of `XMLTABLE` or `JSON_TABLE`.
    TableFunctionScan = "Table Function Scan", Scan;
    /// Reads rows given in the statement.
    ValuesScan = "Values Scan", Scan;
    /// Reads the rows of a common table expression.
    CteScan = "CTE Scan", Scan;
    /// Reads a transition table or another named store.
    NamedTuplestoreScan = "Named Tuplestore Scan", Scan;
    /// Reads what the last round of a recursion added.
    WorkTableScan = "WorkTable Scan", Scan;
    /// Reads rows through a foreign data wrapper.
    ForeignScan = "Foreign Scan", Scan;
    /// A scan that an extension provides.
    CustomScan = "Custom Scan", Scan;
    /// For each row of one input, looks for matches in the other.
    NestedLoop = "Nested Loop", Join;
    /// Joins two inputs that have the same order.
    MergeJoin = "Merge Join", Join;
    /// Looks the rows of one input up in a hash table of the other.
    HashJoin = "Hash Join", Join;
    /// Builds the hash table of a hash join.
    Hash = "Hash", Other;
    /// Sorts.
    Sort = "Sort", Sort;
    /// Sorts within groups that are in order already.
    IncrementalSort = "Incremental Sort", Sort;
    /// Makes groups of rows that come in order.
    Group = "Group", Aggregate;
    /// Computes aggregates.
    Aggregate = "Aggregate", Aggregate;
    /// Computes window functions.
    WindowAggregate = "WindowAgg", Other;
    /// Drops equal neighbours.
    Unique = "Unique", Aggregate;
    /// `INTERSECT` or `EXCEPT`.
    SetOperation = "SetOp", Aggregate;
    /// Keeps rows for being read again.
    Materialize = "Materialize", Other;
    /// Keeps rows by the parameters they were read with.
    Memoize = "Memoize", Other;
    /// Passes on the first rows.
    Limit = "Limit", Other;
    /// Locks the rows it passes on.
    LockRows = "LockRows", Other;
    /// Computes rows without a table, or checks a condition once.
    Result = "Result", Other;
    /// Computes functions that return sets.
    ProjectSet = "ProjectSet", Other;
    /// Reads one input after the other.
    Append = "Append", Other;
    /// Merges inputs that have the same order.
    MergeAppend = "Merge Append", Other;
    /// Unites the rounds of a recursion.
    RecursiveUnion = "Recursive Union", Other;
    /// Inserts, updates, deletes or merges.
    ModifyTable = "ModifyTable", Modify;
    /// Collects the rows of parallel workers.
    Gather = "Gather", Gather;
    /// Collects the rows of parallel workers and keeps their order.
    GatherMerge = "Gather Merge", Gather;
    /// Reads all of an index that is not the table itself (SQL Server).
    IndexFullScan = "Index Full Scan", Scan;
    /// Reads an index that stores columns apart (SQL Server).
    ColumnStoreScan = "Columnstore Scan", Scan;
    /// Reads the rest of a row that an index found, by the key of the table (SQL Server).
    KeyLookup = "Key Lookup", Scan;
    /// Reads the rest of a row that an index found, by its physical place (SQL Server).
    RidLookup = "RID Lookup", Scan;
    /// Joins by a hash table or by a nested loop, as the number of rows turns out (SQL Server).
    AdaptiveJoin = "Adaptive Join", Join;
    /// Drops rows by a condition (SQL Server).
    Filter = "Filter", Other;
    /// Computes expressions (SQL Server).
    ComputeScalar = "Compute Scalar", Other;
    /// Passes rows from threads to threads (SQL Server).
    Exchange = "Exchange", Other;
    /// Keeps rows in an index that is made for one statement (SQL Server).
    IndexSpool = "Index Spool", Other;
    /// Makes a bitmap that drops rows without a match early (SQL Server).
    BitmapFilter = "Bitmap Filter", Other;
    /// Marks where groups begin in rows that come in order (SQL Server).
    Segment = "Segment", Other;
    /// Raises an error if a condition is not met (SQL Server).
    Assert = "Assert", Other;
    /// Splits updates into deletions and insertions (SQL Server).
    Split = "Split", Other;
    /// Puts a deletion and an insertion of one key together again (SQL Server).
    Collapse = "Collapse", Other;
    /// Does one thing after the other (SQL Server).
    Sequence = "Sequence", Other;
    /// Chooses an input (SQL Server).
    Switch = "Switch", Other;
    /// Unites ranges of keys that overlap (SQL Server).
    MergeInterval = "Merge Interval", Other;
    /// Looks for rows that refer to deleted ones (SQL Server).
    ForeignKeyCheck = "Foreign Key Check", Other;
}

impl Operator {
    /// Whether this operator reads several inputs that may be the partitions of one table.
    #[must_use]
    pub const fn is_append(self) -> bool {
        matches!(self, Self::Append | Self::MergeAppend)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
