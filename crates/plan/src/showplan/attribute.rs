//! The attributes of the published showplan schema, what each holds, and so what redaction may let through.

use super::vocabulary::vocabulary;

/// What an attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A number or a boolean.
    Plain,
    /// A hexadecimal number, such as the hash of a plan.
    Hash,
    /// A date and time.
    Time,
    /// Numbers with points between, such as a version.
    Version,
    /// A word from a closed set of the server's.
    Word,
    /// A type, such as `decimal(18,2)`.
    Type,
    /// An identifier.
    Name,
    /// An expression.
    Expression,
    /// The text of a statement.
    Statement,
    /// Text that is never shown: values of parameters and constants.
    Secret,
}

vocabulary! {
    /// An attribute of a showplan.
    Attribute: Rule;
    Version { Build "Build" Version "Version" }
    Hash {
        QueryHash "QueryHash" QueryPlanHash "QueryPlanHash" StatementSqlHandle "StatementSqlHandle"
        ParameterizedPlanHandle "ParameterizedPlanHandle" BatchSqlHandle "BatchSqlHandle" PlanHandle "PlanHandle"
        DispatcherPlanHandle "DispatcherPlanHandle"
    }
    Time { LastUpdate "LastUpdate" }
    Statement {
        StatementText "StatementText" ParameterizedText "ParameterizedText" RemoteQuery "RemoteQuery"
        QueryStoreStatementHintText "QueryStoreStatementHintText"
    }
    Expression { ScalarString "ScalarString" Expression "Expression" }
    Secret {
        ParameterCompiledValue "ParameterCompiledValue" ParameterRuntimeValue "ParameterRuntimeValue" ConstValue "ConstValue"
    }
    Type { DataType "DataType" ParameterDataType "ParameterDataType" }
    Name {
        Database "Database" Schema "Schema" Table "Table" Index "Index" Alias "Alias" Column "Column" Name "Name"
        Statistics "Statistics" Server "Server" Assembly "Assembly" Class "Class" Method "Method"
        FunctionName "FunctionName" ProcName "ProcName" RemoteSource "RemoteSource" RemoteObject "RemoteObject"
        PlanGuideDb "PlanGuideDB" PlanGuideName "PlanGuideName" TemplatePlanGuideDb "TemplatePlanGuideDB"
        TemplatePlanGuideName "TemplatePlanGuideName" CursorName "CursorName" UdxName "UDXName" LocalCubeName "CubeName"
        ExtensionName "ExtensionName" IndexName "IndexName"
    }
    Word {
        PhysicalOp "PhysicalOp" LogicalOp "LogicalOp" StatementType "StatementType" StatementOptmLevel "StatementOptmLevel"
        StatementOptmEarlyAbortReason "StatementOptmEarlyAbortReason" NonParallelPlanReason "NonParallelPlanReason"
        IsMemoryGrantFeedbackAdjusted "IsMemoryGrantFeedbackAdjusted" GrantWarningKind "GrantWarningKind"
        ConvertIssue "ConvertIssue" WaitType "WaitType" Scope "Scope" Usage "Usage" IndexKind "IndexKind"
        Storage "Storage" CloneAccessScope "CloneAccessScope" EstimatedExecutionMode "EstimatedExecutionMode"
        ActualExecutionMode "ActualExecutionMode" EstimatedJoinType "EstimatedJoinType" ActualJoinType "ActualJoinType"
        ScanDirection "ScanDirection" ScanType "ScanType" CompareOp "CompareOp" ArithmeticOperation "ArithmeticOperation"
        PartitioningType "PartitioningType" CursorType "CursorType" CursorActualType "CursorActualType"
        CursorRequestedType "CursorRequestedType" CursorConcurrency "CursorConcurrency" OperationType "OperationType"
        AggType "AggType" ActivationType "Type" DmlAction "Action" ExclusiveProfile "ExclusiveProfileTimeActive"
        Topology "Topology" ParallelKind "ParallelKind" QueryStoreStatementHintSource "QueryStoreStatementHintSource"
        CardinalityFeedbackKind "Feedback" ContainsSerialReason "SerialReason"
    }
    Plain {
        // Of a statement.
        StatementCompId "StatementCompId" StatementEstRows "StatementEstRows" StatementId "StatementId"
        QueryCompilationReplay "QueryCompilationReplay" StatementSubTreeCost "StatementSubTreeCost"
        CardinalityEstimationModelVersion "CardinalityEstimationModelVersion" RetrievedFromCache "RetrievedFromCache"
        SecurityPolicyApplied "SecurityPolicyApplied" DatabaseContextSettingsId "DatabaseContextSettingsId"
        ParentObjectId "ParentObjectId" StatementParameterizationType "StatementParameterizationType"
        BatchModeOnRowStoreUsed "BatchModeOnRowStoreUsed" QueryStoreStatementHintId "QueryStoreStatementHintId"
        QueryVariantId "QueryVariantID" UsePlan "UsePlan" ContainsLedgerTables "ContainsLedgerTables"
        AnsiNulls "ANSI_NULLS" AnsiPadding "ANSI_PADDING" AnsiWarnings "ANSI_WARNINGS" ArithAbort "ARITHABORT"
        ConcatNullYieldsNull "CONCAT_NULL_YIELDS_NULL" NumericRoundAbort "NUMERIC_ROUNDABORT"
        QuotedIdentifier "QUOTED_IDENTIFIER" LowBoundary "LowBoundary" HighBoundary "HighBoundary"
        // Of a plan.
        DegreeOfParallelism "DegreeOfParallelism" EffectiveDegreeOfParallelism "EffectiveDegreeOfParallelism"
        DopFeedbackAdjusted "DOPFeedbackAdjusted" MemoryGrant "MemoryGrant" CachedPlanSize "CachedPlanSize"
        CompileTime "CompileTime" CompileCpu "CompileCPU" CompileMemory "CompileMemory"
        ContainsInterleaved "ContainsInterleavedExecutionCandidates" ContainsInlineUdf "ContainsInlineScalarTsqlUdfs"
        QueryVariant "QueryVariant" SerialRequiredMemory "SerialRequiredMemory" SerialDesiredMemory "SerialDesiredMemory"
        RequiredMemory "RequiredMemory" DesiredMemory "DesiredMemory" RequestedMemory "RequestedMemory"
        GrantWaitTime "GrantWaitTime" GrantedMemory "GrantedMemory" MaxUsedMemory "MaxUsedMemory"
        MaxQueryMemory "MaxQueryMemory" LastRequestedMemory "LastRequestedMemory"
        EstimatedAvailableMemoryGrant "EstimatedAvailableMemoryGrant" EstimatedPagesCached "EstimatedPagesCached"
        EstimatedAvailableDop "EstimatedAvailableDegreeOfParallelism" MaxCompileMemory "MaxCompileMemory"
        ModificationCount "ModificationCount" SamplingPercent "SamplingPercent" Impact "Impact" ColumnId "ColumnId"
        CpuTime "CpuTime" ElapsedTime "ElapsedTime" UdfCpuTime "UdfCpuTime" UdfElapsedTime "UdfElapsedTime"
        WaitTimeMs "WaitTimeMs" WaitCount "WaitCount" WaitTime "WaitTime" Branches "Branches" UsedThreads "UsedThreads"
        SchedulerNodeId "NodeId" ReservedThreads "ReservedThreads" IsCompileTime "IsCompileTime" FlagValue "Value"
        TraceFlagNumber "TraceFlag" StatisticsId "StatisticsID"
        // Warnings.
        NoJoinPredicate "NoJoinPredicate" SpatialGuess "SpatialGuess" UnmatchedIndexes "UnmatchedIndexes"
        FullUpdateForOnlineIndexBuild "FullUpdateForOnlineIndexBuild" SpillLevel "SpillLevel"
        SpilledThreadCount "SpilledThreadCount" GrantedMemoryKb "GrantedMemoryKb" UsedMemoryKb "UsedMemoryKb"
        WritesToTempDb "WritesToTempDb" ReadsFromTempDb "ReadsFromTempDb" SpilledDataSize "SpilledDataSize" Detail "Detail"
        // Of a node.
        EstimateRows "EstimateRows" EstimatedRowsRead "EstimatedRowsRead" EstimateIo "EstimateIO"
        EstimateCpu "EstimateCPU" AvgRowSize "AvgRowSize" EstimatedTotalSubtreeCost "EstimatedTotalSubtreeCost"
        TableCardinality "TableCardinality" Parallel "Parallel" EstimateRebinds "EstimateRebinds"
        EstimateRewinds "EstimateRewinds" GroupExecuted "GroupExecuted" IsAdaptive "IsAdaptive"
        AdaptiveThresholdRows "AdaptiveThresholdRows" EstimateRowsWithoutRowGoal "EstimateRowsWithoutRowGoal"
        Partitioned "Partitioned" RemoteDataAccess "RemoteDataAccess" StatsCollectionId "StatsCollectionId"
        Input "Input" Output "Output" PartitionCount "PartitionCount" Start "Start" End "End"
        Ordered "Ordered" Lookup "Lookup" ForcedIndex "ForcedIndex" ForceSeek "ForceSeek" ForceScan "ForceScan"
        NoExpandHint "NoExpandHint" DynamicSeek "DynamicSeek" ForceSeekColumnCount "ForceSeekColumnCount"
        Filtered "Filtered" OnlineInbuildIndex "OnlineInbuildIndex" OnlineIndexBuildMappingIndex "OnlineIndexBuildMappingIndex"
        GraphWorkTableType "GraphWorkTableType" GraphWorkTableIdentifier "GraphWorkTableIdentifier"
        TableReferenceId "TableReferenceId" Optimized "Optimized" WithOrderedPrefetch "WithOrderedPrefetch"
        WithUnorderedPrefetch "WithUnorderedPrefetch" ManyToMany "ManyToMany" BitmapCreator "BitmapCreator"
        BitmapCreated "BitmapCreated" Distinct "Distinct" RowCount "RowCount" IsPercent "IsPercent" WithTies "WithTies" Rows "Rows"
        TopLocation "TopLocation" Stack "Stack" PrimaryNodeId "PrimaryNodeId" Remoting "Remoting"
        LocalParallelism "LocalParallelism" InRow "InRow" StartupExpression "StartupExpression" DmlRequestSort "DMLRequestSort"
        LevelId "Level" HighestLevel "HighestLevel" Ascending "Ascending" ComputedColumn "ComputedColumn"
        ParamIsOutput "ParameterIsOutput" ForeignKeyCount "ForeignKeyReferencesCount" NoMatchingIndexCount "NoMatchingIndexCount"
        PartialMatchingIndexCount "PartialMatchingIndexCount" Implicit "Implicit" Style "Style" Length "Length"
        Precision "Precision" Scale "Scale" IsClrFunction "IsClrFunction" RoundRobin "RoundRobin" RowLimit "RowLimit"
        // What happened at a node.
        Thread "Thread" BrickId "BrickId" ActualRows "ActualRows" ActualRowsRead "ActualRowsRead"
        ActualExecutions "ActualExecutions" ActualEndOfScans "ActualEndOfScans" ActualRebinds "ActualRebinds"
        ActualRewinds "ActualRewinds" ActualElapsedMs "ActualElapsedms" ActualCpuMs "ActualCPUms" ActualScans "ActualScans"
        ActualLogicalReads "ActualLogicalReads" ActualPhysicalReads "ActualPhysicalReads"
        ActualReadAheads "ActualReadAheads" ActualLobLogicalReads "ActualLobLogicalReads"
        ActualLobPhysicalReads "ActualLobPhysicalReads" ActualLobReadAheads "ActualLobReadAheads"
        ActualPageServerReads "ActualPageServerReads" ActualPageServerReadAheads "ActualPageServerReadAheads"
        ActualLobPageServerReads "ActualLobPageServerReads" ActualLobPageServerReadAheads "ActualLobPageServerReadAheads"
        ActualLocallyAggregatedRows "ActualLocallyAggregatedRows" ActualMemoryGrant "ActualMemoryGrant"
        Batches "Batches" FirstActiveTime "FirstActiveTime" LastActiveTime "LastActiveTime" OpenTime "OpenTime"
        FirstRowTime "FirstRowTime" LastRowTime "LastRowTime" CloseTime "CloseTime" SegmentReads "SegmentReads"
        SegmentSkips "SegmentSkips" HpcKernelElapsedUs "HpcKernelElapsedUs" HpcRowCount "HpcRowCount"
        HpcHostToDeviceBytes "HpcHostToDeviceBytes" HpcDeviceToHostBytes "HpcDeviceToHostBytes"
        InputMemoryGrant "InputMemoryGrant" OutputMemoryGrant "OutputMemoryGrant" UsedMemoryGrant "UsedMemoryGrant"
        TaskAddr "TaskAddr" SchedulerId "SchedulerId"
    }
}
