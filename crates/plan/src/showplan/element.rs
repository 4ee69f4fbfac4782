//! The elements of the published showplan schema.

use super::vocabulary::vocabulary;

/// What an element is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Holds statements or plans.
    Structure,
    /// A statement of a batch.
    Statement,
    /// What a node does, with the nodes it reads inside.
    Operation,
    /// A property of a statement, plan or node.
    Part,
    /// Internals of the server without a published form. They are never shown.
    Internal,
}

vocabulary! {
    /// An element of a showplan.
    Element: Role;
    Structure {
        ShowPlanXml "ShowPlanXML" BatchSequence "BatchSequence" Batch "Batch" Statements "Statements" Condition "Condition"
        Then "Then" Else "Else" CursorPlan "CursorPlan" CursorOperation "Operation" ReceivePlan "ReceivePlan"
        StoredProc "StoredProc" Udf "UDF" QueryPlan "QueryPlan" RelOp "RelOp"
    }
    Statement {
        StmtSimple "StmtSimple" StmtCond "StmtCond" StmtCursor "StmtCursor" StmtReceive "StmtReceive" StmtUseDb "StmtUseDb"
        ExternalDistributedComputation "ExternalDistributedComputation"
    }
    Operation {
        AdaptiveJoin "AdaptiveJoin" Apply "Apply" Assert "Assert" BatchHashTableBuild "BatchHashTableBuild" Bitmap "Bitmap"
        Collapse "Collapse" ComputeScalar "ComputeScalar" Concat "Concat" ConstantScan "ConstantScan"
        ConstTableGet "ConstTableGet" CreateIndex "CreateIndex" Delete "Delete" DeletedScan "DeletedScan" Extension "Extension"
        Filter "Filter" ForeignKeyReferencesCheck "ForeignKeyReferencesCheck" GbAgg "GbAgg" GbApply "GbApply" Generic "Generic"
        Get "Get" Hash "Hash" IndexScan "IndexScan" Insert "Insert" InsertedScan "InsertedScan" Join "Join"
        LocalCube "LocalCube" LogRowScan "LogRowScan" Merge "Merge" MergeInterval "MergeInterval" Move "Move"
        NestedLoops "NestedLoops" OnlineIndex "OnlineIndex" Parallelism "Parallelism" ParameterTableScan "ParameterTableScan"
        PrintDataflow "PrintDataflow" Project "Project" Put "Put" RemoteFetch "RemoteFetch" RemoteModify "RemoteModify"
        RemoteQuery "RemoteQuery" RemoteRange "RemoteRange" RemoteScan "RemoteScan" RowCountSpool "RowCountSpool"
        ScalarInsert "ScalarInsert" Segment "Segment" Sequence "Sequence" SequenceProject "SequenceProject"
        SimpleUpdate "SimpleUpdate" Sort "Sort" Split "Split" Spool "Spool" StreamAggregate "StreamAggregate" Switch "Switch"
        TableScan "TableScan" TableValuedFunction "TableValuedFunction" Top "Top" TopSort "TopSort" Union "Union"
        UnionAll "UnionAll" Update "Update" WindowAggregate "WindowAggregate" WindowSpool "WindowSpool" XcsScan "XcsScan"
    }
    Part {
        // Of a statement.
        StatementSetOptions "StatementSetOptions" Dispatcher "Dispatcher"
        ParameterSensitivePredicate "ParameterSensitivePredicate" OptionalParameterPredicate "OptionalParameterPredicate"
        // Of a plan.
        ThreadStat "ThreadStat" ThreadReservation "ThreadReservation" MissingIndexes "MissingIndexes"
        MissingIndexGroup "MissingIndexGroup" MissingIndex "MissingIndex" ColumnGroup "ColumnGroup" Column "Column"
        GuessedSelectivity "GuessedSelectivity" Spatial "Spatial" UnmatchedIndexes "UnmatchedIndexes"
        Parameterization "Parameterization" MemoryGrantInfo "MemoryGrantInfo"
        OptimizerHardwareDependentProperties "OptimizerHardwareDependentProperties"
        OptimizerStatsUsage "OptimizerStatsUsage" StatisticsInfo "StatisticsInfo" TraceFlags "TraceFlags"
        TraceFlag "TraceFlag" WaitStats "WaitStats" QueryTimeStats "QueryTimeStats" ParameterList "ParameterList"
        CardinalityFeedback "CardinalityFeedback" Entry "Entry"
        // Warnings.
        Warnings "Warnings" SpillToTempDb "SpillToTempDb" SortSpillDetails "SortSpillDetails"
        HashSpillDetails "HashSpillDetails" ExchangeSpillDetails "ExchangeSpillDetails" SpillOccurred "SpillOccurred"
        Wait "Wait" PlanAffectingConvert "PlanAffectingConvert" MemoryGrantWarning "MemoryGrantWarning"
        ColumnsWithNoStatistics "ColumnsWithNoStatistics" ColumnsWithStaleStatistics "ColumnsWithStaleStatistics"
        // Of a node.
        OutputList "OutputList" MemoryFractions "MemoryFractions" RunTimeInformation "RunTimeInformation"
        RunTimeCountersPerThread "RunTimeCountersPerThread" RunTimePartitionSummary "RunTimePartitionSummary"
        PartitionsAccessed "PartitionsAccessed" PartitionRange "PartitionRange" Object "Object"
        IndexedViewInfo "IndexedViewInfo" StarJoinInfo "StarJoinInfo" ForeignKeyReferenceCheck "ForeignKeyReferenceCheck"
        // Conditions, keys and expressions.
        DefinedValues "DefinedValues" DefinedValue "DefinedValue" ValueVector "ValueVector" Predicate "Predicate"
        Residual "Residual" ProbeResidual "ProbeResidual" BuildResidual "BuildResidual" SetPredicate "SetPredicate"
        PassThru "PassThru" SeekPredicates "SeekPredicates" SeekPredicate "SeekPredicate"
        SeekPredicateNew "SeekPredicateNew" SeekPredicatePart "SeekPredicatePart" SeekKeys "SeekKeys" Prefix "Prefix"
        StartRange "StartRange" EndRange "EndRange" IsNotNull "IsNotNull" RangeColumns "RangeColumns"
        RangeExpressions "RangeExpressions" OrderBy "OrderBy" OrderByColumn "OrderByColumn" GroupBy "GroupBy"
        RollupInfo "RollupInfo" RollupLevel "RollupLevel" HashKeysBuild "HashKeysBuild" HashKeysProbe "HashKeysProbe"
        InnerSideJoinColumns "InnerSideJoinColumns" OuterSideJoinColumns "OuterSideJoinColumns"
        OuterReferences "OuterReferences" ProbeColumn "ProbeColumn" PartitionColumns "PartitionColumns"
        PartitionId "PartitionId" Values "Values" Row "Row" SegmentColumn "SegmentColumn" TieColumns "TieColumns"
        TopExpression "TopExpression" OffsetExpression "OffsetExpression" ActionColumn "ActionColumn"
        RankColumns "RankColumns" Activation "Activation" BrickRouting "BrickRouting"
        ColumnReference "ColumnReference" ScalarOperator "ScalarOperator" Const "Const" Identifier "Identifier"
        Compare "Compare" Convert "Convert" Arithmetic "Arithmetic" Logical "Logical" Intrinsic "Intrinsic"
        Aggregate "Aggregate" If "IF" Assign "Assign" MultipleAssign "MultipleAssign" Subquery "Subquery"
        UserDefinedFunction "UserDefinedFunction" UserDefinedAggregate "UserDefinedAggregate" UdtMethod "UDTMethod"
        ClrFunction "CLRFunction" ScalarExpressionList "ScalarExpressionList"
    }
    Internal { InternalInfo "InternalInfo" }
}
