//! The names of the members PostgreSQL writes, what each holds, and so what redaction may let through.

use crate::lookup::Lookup;

/// What a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A number or a boolean.
    Plain,
    /// A word from a closed set of the server's.
    Word,
    /// An identifier, or a list of them.
    Name,
    /// An expression, or lists of them.
    Expression,
    /// The text of the statement.
    Statement,
    /// Text that is never shown: values, paths, programs.
    Secret,
    /// An object, or a list of objects, whose members have rules of their own.
    Container,
    /// Either a number or an object, depending on the version.
    PlainOrContainer,
    /// The object of settings, whose members are names of settings.
    Settings,
}

macro_rules! keys {
    ($($name:ident $text:literal $rule:ident $since:literal;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::enum_variant_names, reason = "the server's names, some of which end in `Key`")]
        pub(super) enum Key {
            $($name,)+
        }

        const ALL: &[Key] = &[$(Key::$name,)+];

        const NAMES: &[&str] = &[$($text,)+];

        impl Key {
            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            pub(super) const fn rule(self) -> Rule {
                match self {
                    $(Self::$name => Rule::$rule,)+
                }
            }

            /// The first major version that writes it, 12 or later.
            pub(super) const fn since(self) -> u16 {
                match self {
                    $(Self::$name => $since,)+
                }
            }
        }
    };
}

impl Key {
    /// The key with this name.
    #[inline]
    pub(super) fn lookup(name: &str) -> Option<Self> {
        ALL.get(LOOKUP.find(NAMES, name)?).copied()
    }
}

static LOOKUP: Lookup = Lookup::of(NAMES);

keys! {
    // The statement.
    Plan "Plan" Container 12;
    QueryText "Query Text" Statement 12;
    QueryParameters "Query Parameters" Secret 16;
    QueryIdentifier "Query Identifier" Plain 14;
    Settings "Settings" Settings 12;
    Planning "Planning" Container 13;
    PlanningTime "Planning Time" Plain 12;
    ExecutionTime "Execution Time" Plain 12;
    MemoryUsed "Memory Used" Plain 17;
    MemoryAllocated "Memory Allocated" Plain 17;
    Serialization "Serialization" Container 17;
    OutputVolume "Output Volume" Plain 17;
    Format "Format" Word 17;
    Triggers "Triggers" Container 12;
    TriggerName "Trigger Name" Name 12;
    ConstraintName "Constraint Name" Name 12;
    Relation "Relation" Name 12;
    Time "Time" Plain 12;
    Calls "Calls" Plain 12;
    Jit "JIT" Container 12;
    Functions "Functions" Plain 12;
    Options "Options" Container 12;
    Timing "Timing" Container 12;
    Generation "Generation" PlainOrContainer 12;
    Deform "Deform" Plain 17;
    Inlining "Inlining" Plain 12;
    Optimization "Optimization" Plain 12;
    Expressions "Expressions" Plain 12;
    Deforming "Deforming" Plain 12;
    Emission "Emission" Plain 12;
    Total "Total" Plain 12;

    // Every node.
    Plans "Plans" Container 12;
    NodeType "Node Type" Word 12;
    ParentRelationship "Parent Relationship" Word 12;
    SubplanName "Subplan Name" Name 12;
    ParallelAware "Parallel Aware" Plain 12;
    AsyncCapable "Async Capable" Plain 14;
    Disabled "Disabled" Plain 18;
    StartupCost "Startup Cost" Plain 12;
    TotalCost "Total Cost" Plain 12;
    PlanRows "Plan Rows" Plain 12;
    PlanWidth "Plan Width" Plain 12;
    ActualStartupTime "Actual Startup Time" Plain 12;
    ActualTotalTime "Actual Total Time" Plain 12;
    ActualRows "Actual Rows" Plain 12;
    ActualLoops "Actual Loops" Plain 12;
    Output "Output" Expression 12;
    Workers "Workers" Container 12;
    WorkerNumber "Worker Number" Plain 12;
    WorkersPlanned "Workers Planned" Plain 12;
    WorkersLaunched "Workers Launched" Plain 12;
    SingleCopy "Single Copy" Plain 12;
    ParamsEvaluated "Params Evaluated" Expression 12;

    // Blocks and write-ahead log.
    SharedHit "Shared Hit Blocks" Plain 12;
    SharedRead "Shared Read Blocks" Plain 12;
    SharedDirtied "Shared Dirtied Blocks" Plain 12;
    SharedWritten "Shared Written Blocks" Plain 12;
    LocalHit "Local Hit Blocks" Plain 12;
    LocalRead "Local Read Blocks" Plain 12;
    LocalDirtied "Local Dirtied Blocks" Plain 12;
    LocalWritten "Local Written Blocks" Plain 12;
    TempRead "Temp Read Blocks" Plain 12;
    TempWritten "Temp Written Blocks" Plain 12;
    IoReadTime "I/O Read Time" Plain 12;
    IoWriteTime "I/O Write Time" Plain 12;
    SharedReadTime "Shared I/O Read Time" Plain 17;
    SharedWriteTime "Shared I/O Write Time" Plain 17;
    LocalReadTime "Local I/O Read Time" Plain 17;
    LocalWriteTime "Local I/O Write Time" Plain 17;
    TempReadTime "Temp I/O Read Time" Plain 15;
    TempWriteTime "Temp I/O Write Time" Plain 15;
    WalRecords "WAL Records" Plain 13;
    WalFpi "WAL FPI" Plain 13;
    WalBytes "WAL Bytes" Plain 13;
    WalBuffersFull "WAL Buffers Full" Plain 18;

    // What rows come from.
    Schema "Schema" Name 12;
    RelationName "Relation Name" Name 12;
    Alias "Alias" Name 12;
    IndexName "Index Name" Name 12;
    FunctionName "Function Name" Name 12;
    TableFunctionName "Table Function Name" Name 12;
    CteName "CTE Name" Name 12;
    TuplestoreName "Tuplestore Name" Name 12;
    CustomPlanProvider "Custom Plan Provider" Name 12;
    ScanDirection "Scan Direction" Word 12;
    FunctionCall "Function Call" Expression 12;
    TableFunctionCall "Table Function Call" Expression 12;
    SamplingMethod "Sampling Method" Name 12;
    SamplingParameters "Sampling Parameters" Expression 12;
    RepeatableSeed "Repeatable Seed" Expression 12;
    HeapFetches "Heap Fetches" Plain 12;
    IndexSearches "Index Searches" Plain 18;
    ExactHeapBlocks "Exact Heap Blocks" Plain 12;
    LossyHeapBlocks "Lossy Heap Blocks" Plain 12;

    // Conditions.
    Filter "Filter" Expression 12;
    IndexCond "Index Cond" Expression 12;
    RecheckCond "Recheck Cond" Expression 12;
    TidCond "TID Cond" Expression 12;
    HashCond "Hash Cond" Expression 12;
    MergeCond "Merge Cond" Expression 12;
    JoinFilter "Join Filter" Expression 12;
    OneTimeFilter "One-Time Filter" Expression 12;
    RunCondition "Run Condition" Expression 15;
    OrderBy "Order By" Expression 12;
    RemovedByFilter "Rows Removed by Filter" Plain 12;
    RemovedByJoinFilter "Rows Removed by Join Filter" Plain 12;
    RemovedByRecheck "Rows Removed by Index Recheck" Plain 12;
    RemovedByConflictFilter "Rows Removed by Conflict Filter" Plain 12;

    // Joins, sorts, groups.
    JoinType "Join Type" Word 12;
    InnerUnique "Inner Unique" Plain 12;
    HashBuckets "Hash Buckets" Plain 12;
    OriginalHashBuckets "Original Hash Buckets" Plain 12;
    HashBatches "Hash Batches" Plain 12;
    OriginalHashBatches "Original Hash Batches" Plain 12;
    PeakMemoryUsage "Peak Memory Usage" Plain 12;
    SortKey "Sort Key" Expression 12;
    PresortedKey "Presorted Key" Expression 13;
    SortMethod "Sort Method" Word 12;
    SortSpaceUsed "Sort Space Used" Plain 12;
    SortSpaceType "Sort Space Type" Word 12;
    FullSortGroups "Full-sort Groups" Container 13;
    PreSortedGroups "Pre-sorted Groups" Container 13;
    GroupCount "Group Count" Plain 13;
    SortMethodsUsed "Sort Methods Used" Word 13;
    SortSpaceMemory "Sort Space Memory" Container 13;
    SortSpaceDisk "Sort Space Disk" Container 13;
    AverageSortSpaceUsed "Average Sort Space Used" Plain 13;
    PeakSortSpaceUsed "Peak Sort Space Used" Plain 13;
    Strategy "Strategy" Word 12;
    PartialMode "Partial Mode" Word 12;
    Command "Command" Word 12;
    GroupKey "Group Key" Expression 12;
    GroupingSets "Grouping Sets" Container 12;
    GroupKeys "Group Keys" Expression 12;
    HashKeys "Hash Keys" Expression 12;
    HashKey "Hash Key" Expression 12;
    PlannedPartitions "Planned Partitions" Plain 13;
    HashAggBatches "HashAgg Batches" Plain 13;
    DiskUsage "Disk Usage" Plain 13;
    Window "Window" Expression 18;
    Storage "Storage" Word 18;
    MaximumStorage "Maximum Storage" Plain 18;
    CacheKey "Cache Key" Expression 14;
    CacheMode "Cache Mode" Word 14;
    CacheHits "Cache Hits" Plain 14;
    CacheMisses "Cache Misses" Plain 14;
    CacheEvictions "Cache Evictions" Plain 14;
    CacheOverflows "Cache Overflows" Plain 14;
    SubplansRemoved "Subplans Removed" Plain 12;

    // Changes of rows.
    Operation "Operation" Word 12;
    TargetTables "Target Tables" Container 12;
    ConflictResolution "Conflict Resolution" Word 12;
    ConflictArbiterIndexes "Conflict Arbiter Indexes" Name 12;
    ConflictFilter "Conflict Filter" Expression 12;
    TuplesInserted "Tuples Inserted" Plain 12;
    TuplesUpdated "Tuples Updated" Plain 15;
    TuplesDeleted "Tuples Deleted" Plain 15;
    TuplesSkipped "Tuples Skipped" Plain 15;
    ConflictingTuples "Conflicting Tuples" Plain 12;

    // Foreign tables.
    Relations "Relations" Expression 12;
    RemoteSql "Remote SQL" Expression 12;
    BatchSize "Batch Size" Plain 14;
    ForeignFile "Foreign File" Secret 12;
    ForeignFileSize "Foreign File Size" Plain 12;
    ForeignProgram "Foreign Program" Secret 12;
}

#[cfg(test)]
mod tests {
    use super::{ALL, Key};

    #[test]
    fn every_key_is_found_by_its_name_and_nothing_else_is() {
        for key in ALL {
            assert_eq!(Key::lookup(key.as_str()), Some(*key));
            assert_eq!(Key::lookup(&key.as_str().to_lowercase()), None, "{key:?}");
            assert_eq!(Key::lookup(&format!("{} ", key.as_str())), None, "{key:?}");
        }
        assert_eq!(Key::lookup(""), None);
    }
}
