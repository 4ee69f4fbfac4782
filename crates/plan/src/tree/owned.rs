//! Turns a plan that borrows its texts into one that does not.

use std::borrow::Cow;

use super::{
    Condition, Extra, MissingIndexGroup, Node, Parameter, Plan, PlanWait, RelationRef, Scalar, SqlServerPlan,
    StatisticsUse, Trigger, Warning, Worker,
};

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

fn maybe(text: Option<Cow<'_, str>>) -> Option<Cow<'static, str>> {
    text.map(owned)
}

fn all<T, U>(list: Vec<T>, each: impl FnMut(T) -> U) -> Vec<U> {
    list.into_iter().map(each).collect()
}

impl Plan<'_> {
    /// The same plan with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Plan<'static> {
        Plan {
            engine: self.engine,
            oldest_version: self.oldest_version,
            server_version: maybe(self.server_version),
            nodes: all(self.nodes, Node::into_owned),
            query_text: maybe(self.query_text),
            query_identifier: self.query_identifier,
            query_hash: self.query_hash,
            query_plan_hash: self.query_plan_hash,
            settings: all(self.settings, |(name, value)| (owned(name), owned(value))),
            jit: self.jit,
            planning_time_ms: self.planning_time_ms,
            execution_time_ms: self.execution_time_ms,
            planning_buffers: self.planning_buffers,
            planning_memory_used_kib: self.planning_memory_used_kib,
            planning_memory_allocated_kib: self.planning_memory_allocated_kib,
            serialization: self.serialization,
            triggers: all(self.triggers, |trigger| Trigger {
                name: owned(trigger.name),
                constraint: maybe(trigger.constraint),
                relation: maybe(trigger.relation),
                time_ms: trigger.time_ms,
                calls: trigger.calls,
            }),
            memory_grant: self.memory_grant,
            missing_indexes: all(self.missing_indexes, MissingIndexGroup::into_owned),
            parameters: all(self.parameters, |parameter| Parameter {
                name: owned(parameter.name),
                data_type: maybe(parameter.data_type),
                values: parameter.values,
            }),
            cardinality_model: self.cardinality_model,
            sql_server: self.sql_server.map(|details| Box::new(details.into_owned())),
        }
    }
}

impl Node<'_> {
    fn into_owned(self) -> Node<'static> {
        Node {
            operator: self.operator,
            operator_name: owned(self.operator_name),
            parent: self.parent,
            depth: self.depth,
            below: self.below,
            relationship: self.relationship,
            subplan_name: maybe(self.subplan_name),
            relation: RelationRef {
                database: maybe(self.relation.database),
                schema: maybe(self.relation.schema),
                name: maybe(self.relation.name),
                alias: maybe(self.relation.alias),
            },
            index: maybe(self.index),
            source: maybe(self.source),
            join_type: self.join_type,
            strategy: maybe(self.strategy),
            partial_mode: maybe(self.partial_mode),
            operation: maybe(self.operation),
            scan_direction: self.scan_direction,
            parallel_aware: self.parallel_aware,
            inner_unique: self.inner_unique,
            estimates: self.estimates,
            actuals: self.actuals,
            rows_removed_by_filter: self.rows_removed_by_filter,
            rows_removed_by_join_filter: self.rows_removed_by_join_filter,
            rows_removed_by_recheck: self.rows_removed_by_recheck,
            workers_planned: self.workers_planned,
            workers_launched: self.workers_launched,
            workers: all(self.workers, Worker::into_owned),
            conditions: all(self.conditions, |condition| Condition {
                text: owned(condition.text),
                kind: condition.kind,
            }),
            warnings: all(self.warnings, Warning::into_owned),
            buffers: self.buffers,
            wal: self.wal,
            extras: all(self.extras, Extra::into_owned),
        }
    }
}

impl Warning<'_> {
    fn into_owned(self) -> Warning<'static> {
        Warning { text: maybe(self.text), kind: self.kind }
    }
}

impl SqlServerPlan<'_> {
    fn into_owned(self) -> SqlServerPlan<'static> {
        SqlServerPlan {
            statement_type: maybe(self.statement_type),
            optimization_level: maybe(self.optimization_level),
            early_abort_reason: maybe(self.early_abort_reason),
            degree_of_parallelism: self.degree_of_parallelism,
            non_parallel_reason: maybe(self.non_parallel_reason),
            cached_plan_size_kib: self.cached_plan_size_kib,
            compile_cpu_ms: self.compile_cpu_ms,
            compile_memory_kib: self.compile_memory_kib,
            cpu_time_ms: self.cpu_time_ms,
            grant_wait_ms: self.grant_wait_ms,
            grant_feedback: maybe(self.grant_feedback),
            warnings: all(self.warnings, Warning::into_owned),
            statistics: all(self.statistics, |statistics| StatisticsUse {
                schema: maybe(statistics.schema),
                table: owned(statistics.table),
                name: owned(statistics.name),
                last_update: maybe(statistics.last_update),
                modifications: statistics.modifications,
                sampling_percent: statistics.sampling_percent,
            }),
            waits: all(self.waits, |wait| PlanWait {
                kind: owned(wait.kind),
                count: wait.count,
                time_ms: wait.time_ms,
            }),
        }
    }
}

impl Worker<'_> {
    fn into_owned(self) -> Worker<'static> {
        Worker {
            number: self.number,
            actuals: self.actuals,
            buffers: self.buffers,
            wal: self.wal,
            extras: all(self.extras, Extra::into_owned),
        }
    }
}

impl Extra<'_> {
    fn into_owned(self) -> Extra<'static> {
        let value = match self.value {
            Scalar::Number(number) => Scalar::Number(number),
            Scalar::Bool(flag) => Scalar::Bool(flag),
            Scalar::Text(text) => Scalar::Text(owned(text)),
        };
        Extra { name: self.name, group: self.group, value }
    }
}

impl MissingIndexGroup<'_> {
    fn into_owned(self) -> MissingIndexGroup<'static> {
        MissingIndexGroup {
            impact_percent: self.impact_percent,
            schema: maybe(self.schema),
            table: owned(self.table),
            equality_columns: all(self.equality_columns, owned),
            inequality_columns: all(self.inequality_columns, owned),
            included_columns: all(self.included_columns, owned),
        }
    }
}
