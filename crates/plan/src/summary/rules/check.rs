//! The conditions of the rules.

mod sql_server;

use super::{Evidence, Finding, MAX_FINDINGS, PlanRule};
use crate::{
    summary::{Summary, collect::spilled_kib, estimate::error_at},
    tree::{ConditionKind, Engine, Node, NodeId, Operator, Plan, Relationship, WarningKind},
};

/// A filter is worth a look from this many dropped rows on; below, reading them costs next to nothing.
const MIN_DROPPED_ROWS: f64 = 10_000.0;

/// ... and if it drops at least this many rows for each one it keeps.
const MIN_DROPPED_PER_KEPT: f64 = 9.0;

/// An estimate that is off by less seldom changes a plan.
const MIN_ESTIMATE_FACTOR: f64 = 10.0;

/// Estimates of fewer rows than this do not matter, whatever their factor.
const MIN_ESTIMATE_ROWS: f64 = 1_000.0;

/// Inner scans below this many rows in total are cheap, however often they are repeated.
const MIN_REPEATED_ROWS: f64 = 100_000.0;

/// Pairs that a join without a condition may make before it is worth a look.
const MIN_CROSS_ROWS: f64 = 10_000.0;

/// The share of rows for which an index-only scan may read the table.
const MAX_HEAP_FETCH_SHARE: f64 = 0.1;

/// The share of the time of execution that compiling or triggers may take.
const MAX_TIME_SHARE: f64 = 0.25;

/// Times below this are noise.
const MIN_TIME_MS: f64 = 10.0;

/// This many inputs of an append are many partitions: each has to be locked and opened.
const MIN_MANY_PARTITIONS: u32 = 100;

/// A subplan that is repeated less often is cheap in most cases.
const MIN_SUBPLAN_LOOPS: f64 = 1_000.0;

/// Rows of a common table expression that are worth not computing.
const MIN_CTE_ROWS: f64 = 10_000.0;

/// The most common table expressions whose scans are looked at.
const MAX_CTES: usize = 64;

/// What versions before 18 add to the cost of a node that the settings forbid.
const DISABLE_COST: f64 = 1e10;

/// Applies all rules.
pub(in crate::summary) fn apply(plan: &Plan<'_>, summary: &mut Summary) {
    let mut findings = Findings { plan, ctes: ctes(plan), list: Vec::new(), not_listed: 0 };
    for (id, node) in plan.ids().zip(plan.nodes()) {
        match plan.engine {
            Engine::PostgreSql => findings.node(id, node),
            Engine::SqlServer => findings.sql_server_node(id, node, &mut summary.sql_server),
        }
    }
    match plan.engine {
        Engine::PostgreSql => findings.whole(summary),
        Engine::SqlServer => findings.sql_server_plan(summary),
    }
    (summary.findings, summary.findings_not_listed) = (findings.list, findings.not_listed);
}

struct Findings<'p, 'a> {
    plan: &'p Plan<'a>,
    /// The names of common table expressions and the nodes that compute them, in the order of the plan.
    ctes: Vec<(&'p str, NodeId)>,
    list: Vec<Finding>,
    not_listed: u32,
}

impl Findings<'_, '_> {
    fn add(&mut self, rule: PlanRule, node: NodeId, evidence: &[(&'static str, f64)]) {
        if self.list.len() >= MAX_FINDINGS {
            self.not_listed = self.not_listed.saturating_add(1);
            return;
        }
        let evidence = evidence.iter().map(|(name, value)| Evidence { name, value: *value }).collect();
        self.list.push(Finding { rule, node, evidence });
    }

    fn node(&mut self, id: NodeId, node: &Node<'_>) {
        if node.actuals.is_some() {
            self.measured(id, node);
        }
        match node.operator {
            Operator::NestedLoop => self.nested_loop(id, node),
            Operator::Append | Operator::MergeAppend => self.append(id),
            Operator::CteScan => self.cte_scan(id, node),
            _ => {}
        }
        if node.relationship == Relationship::SubPlan {
            self.subplan(id, node);
        }
        self.disabled(id, node);
    }

    // --- what only measured plans show ------------------------------------------------------------------

    fn measured(&mut self, id: NodeId, node: &Node<'_>) {
        self.discarded(id, node);
        self.estimate(id);
        self.spill(id, node);
        self.storage(id, node);
        if node.operator == Operator::Memoize {
            self.memoize(id, node);
        }
        if let (Some(planned), Some(launched)) = (node.workers_planned, node.workers_launched)
            && launched < planned
        {
            let evidence =
                [("workers_planned", f64::from(planned)), ("workers_launched", f64::from(launched))];
            self.add(PlanRule::WorkersMissing, id, &evidence);
        }
    }

    fn discarded(&mut self, id: NodeId, node: &Node<'_>) {
        let Some(actuals) = node.actuals else { return };
        let by_filter = match node.operator {
            Operator::SeqScan => PlanRule::SeqScanDiscardsRows,
            Operator::IndexScan | Operator::IndexOnlyScan | Operator::BitmapHeapScan => {
                PlanRule::IndexScanDiscardsRows
            }
            _ => PlanRule::JoinFilterDiscardsRows,
        };
        let removed = match by_filter {
            PlanRule::JoinFilterDiscardsRows => node.rows_removed_by_join_filter,
            _ => node.rows_removed_by_filter,
        };
        let dropped = removed.unwrap_or(0.0) * actuals.loops;
        let kept = actuals.rows * actuals.loops;
        if dropped >= MIN_DROPPED_ROWS && dropped >= MIN_DROPPED_PER_KEPT * kept {
            self.add(by_filter, id, &[("dropped_rows", dropped), ("kept_rows", kept)]);
        }
    }

    fn estimate(&mut self, id: NodeId) {
        let Some(error) = error_at(self.plan, id) else { return };
        let matters = error.estimated_rows.max(error.actual_rows) >= MIN_ESTIMATE_ROWS;
        if error.factor >= MIN_ESTIMATE_FACTOR && matters {
            let evidence = [
                ("estimated_rows", error.estimated_rows),
                ("actual_rows", error.actual_rows),
                ("factor", error.factor),
            ];
            self.add(PlanRule::EstimateFarOff, id, &evidence);
        }
    }

    fn spill(&mut self, id: NodeId, node: &Node<'_>) {
        let Some(kib) = spilled_kib(node) else { return };
        match node.operator {
            Operator::Sort | Operator::IncrementalSort => {
                self.add(PlanRule::SortSpills, id, &[("spilled_kib", kib)]);
            }
            Operator::Hash | Operator::HashJoin | Operator::Aggregate => {
                let batches = node
                    .extra_number("Hash Batches")
                    .or(node.extra_number("HashAgg Batches"))
                    .unwrap_or_default();
                self.add(PlanRule::HashSpills, id, &[("batches", batches), ("spilled_kib", kib)]);
            }
            _ => {}
        }
    }

    fn storage(&mut self, id: NodeId, node: &Node<'_>) {
        if let Some(lossy) = node.extra_number("Lossy Heap Blocks").filter(|lossy| *lossy > 0.0) {
            let exact = node.extra_number("Exact Heap Blocks").unwrap_or_default();
            self.add(PlanRule::LossyBitmap, id, &[("lossy_blocks", lossy), ("exact_blocks", exact)]);
        }
        let (Some(fetches), Some(actuals)) = (node.extra_number("Heap Fetches"), node.actuals) else {
            return;
        };
        let rows = actuals.rows * actuals.loops;
        if fetches >= MIN_ESTIMATE_ROWS && fetches > MAX_HEAP_FETCH_SHARE * rows {
            self.add(PlanRule::IndexOnlyScanReadsTable, id, &[("heap_fetches", fetches), ("rows", rows)]);
        }
    }

    fn memoize(&mut self, id: NodeId, node: &Node<'_>) {
        let hits = node.extra_number("Cache Hits").unwrap_or_default();
        let evictions = node.extra_number("Cache Evictions").unwrap_or_default();
        if evictions > hits {
            self.add(PlanRule::MemoizeThrashes, id, &[("cache_evictions", evictions), ("cache_hits", hits)]);
        }
    }

    // --- what every plan shows --------------------------------------------------------------------------

    fn nested_loop(&mut self, id: NodeId, node: &Node<'_>) {
        let mut children = self.plan.children(id);
        let outer = children.next().and_then(|id| self.plan.node(id));
        let inner = children.next().and_then(|id| Some((id, self.plan.node(id)?)));
        let (Some(outer), Some((inner_id, inner))) = (outer, inner) else { return };
        let outer_rows =
            outer.actuals.map(|actuals| actuals.rows).or(outer.estimates.rows).unwrap_or_default();
        let inner_rows = inner.estimates.rows.unwrap_or_default();
        self.repeated_scan(outer_rows, inner_id, inner);
        let joined_rows = node.estimates.rows.unwrap_or_default();
        let unconditional = !node.has_condition(ConditionKind::Join) && self.has_no_condition(inner_id);
        if unconditional && outer_rows > 1.0 && inner_rows > 1.0 && joined_rows >= MIN_CROSS_ROWS {
            let evidence = [("outer_rows", outer_rows), ("inner_rows", inner_rows)];
            self.add(PlanRule::JoinWithoutCondition, id, &evidence);
        }
    }

    fn repeated_scan(&mut self, outer_rows: f64, inner_id: NodeId, inner: &Node<'_>) {
        let inner_rows = inner.estimates.rows.unwrap_or_default();
        if inner.operator == Operator::SeqScan {
            let read = inner.rows_removed_by_filter.unwrap_or_default() + inner_rows;
            if outer_rows > 1.0 && outer_rows * read >= MIN_REPEATED_ROWS {
                let evidence = [("outer_rows", outer_rows), ("inner_rows_each", read)];
                self.add(PlanRule::NestedLoopOverSeqScan, inner_id, &evidence);
            }
        }
    }

    /// Whether a node reads a whole relation, which may have been kept for being read again.
    fn has_no_condition(&self, id: NodeId) -> bool {
        let below = |id| {
            let node = self.plan.node(id)?;
            if node.operator == Operator::Materialize { self.plan.children(id).next() } else { Some(id) }
        };
        below(id).and_then(|id| self.plan.node(id)).is_some_and(|node| {
            matches!(node.operator, Operator::SeqScan | Operator::IndexOnlyScan)
                && node.conditions.iter().all(|c| c.kind == ConditionKind::Output)
        })
    }

    fn append(&mut self, id: NodeId) {
        let inputs = self.plan.children(id).count() as u32;
        if inputs >= MIN_MANY_PARTITIONS {
            self.add(PlanRule::ManyPartitions, id, &[("partitions", f64::from(inputs))]);
        }
    }

    fn cte_scan(&mut self, id: NodeId, node: &Node<'_>) {
        let name = node.source.as_deref().unwrap_or_default();
        let Some((_, definition)) = self.ctes.iter().find(|(cte, _)| *cte == name) else { return };
        let Some(definition) = self.plan.node(*definition) else { return };
        let (computed, kept) =
            (definition.estimates.rows.unwrap_or_default(), node.estimates.rows.unwrap_or_default());
        let wasteful = computed >= MIN_CTE_ROWS && computed >= MIN_DROPPED_PER_KEPT * kept;
        if wasteful && node.has_condition(ConditionKind::Filter) {
            self.add(PlanRule::FilterAboveCte, id, &[("computed_rows", computed), ("kept_rows", kept)]);
        }
    }

    fn subplan(&mut self, id: NodeId, node: &Node<'_>) {
        let above = node.parent.and_then(|parent| self.plan.node(parent));
        let loops = match node.actuals {
            Some(actuals) => actuals.loops,
            // A hashed subplan is computed once, and the plan says so only in the condition that uses it.
            None if above.is_some_and(uses_hashed_subplan) => return,
            None => above.and_then(|above| above.estimates.rows).unwrap_or_default(),
        };
        if loops >= MIN_SUBPLAN_LOOPS {
            let cost = node.estimates.total_cost.unwrap_or_default();
            self.add(PlanRule::SubplanPerRow, id, &[("times", loops), ("cost_each", cost)]);
        }
    }

    fn disabled(&mut self, id: NodeId, node: &Node<'_>) {
        let told = node.warnings.iter().any(|warning| warning.kind == WarningKind::Disabled);
        let own_startup = node.estimates.startup_cost.unwrap_or_default();
        let own_total = node.estimates.total_cost.unwrap_or_default();
        let below = |cost: fn(&Node<'_>) -> f64| -> f64 {
            self.plan.children(id).filter_map(|child| self.plan.node(child)).map(cost).sum()
        };
        let total_below = below(|node| node.estimates.total_cost.unwrap_or_default());
        let priced = own_total >= DISABLE_COST && own_total - total_below >= DISABLE_COST;
        if told || priced {
            self.add(
                PlanRule::DisabledOperator,
                id,
                &[("startup_cost", own_startup), ("total_cost", own_total)],
            );
        }
    }

    // --- the whole plan ---------------------------------------------------------------------------------

    fn whole(&mut self, summary: &Summary) {
        let root = NodeId::default();
        if self.is_empty_plan() {
            self.add(PlanRule::EmptyPlan, root, &[]);
        }
        let Some(execution_ms) = self.plan.execution_time_ms else { return };
        if let Some(jit_ms) = summary.jit_ms
            && jit_ms >= MIN_TIME_MS
            && jit_ms >= MAX_TIME_SHARE * execution_ms
        {
            self.add(PlanRule::JitDominates, root, &[("jit_ms", jit_ms), ("execution_ms", execution_ms)]);
        }
        if let Some(planning_ms) = self.plan.planning_time_ms
            && planning_ms >= MIN_TIME_MS
            && planning_ms > execution_ms
        {
            let evidence = [("planning_ms", planning_ms), ("execution_ms", execution_ms)];
            self.add(PlanRule::PlanningDominates, root, &evidence);
        }
        let trigger_ms: f64 = self.plan.triggers.iter().filter_map(|trigger| trigger.time_ms).sum();
        if trigger_ms >= MIN_TIME_MS && trigger_ms >= MAX_TIME_SHARE * execution_ms {
            let evidence = [("trigger_ms", trigger_ms), ("execution_ms", execution_ms)];
            self.add(PlanRule::TriggersDominate, root, &evidence);
        }
    }

    /// Whether nothing can come out: every way down from the root ends at a condition that is false, or at an append
    /// whose inputs were all removed.
    fn is_empty_plan(&self) -> bool {
        let nodes = self.plan.nodes();
        !nodes.is_empty()
            && nodes.iter().filter(|node| node.below == 0).all(|node| match node.operator {
                Operator::Result => {
                    node.conditions_of(ConditionKind::OneTime).any(|condition| condition == "false")
                }
                Operator::Append | Operator::MergeAppend => node.extra("Subplans Removed").is_some(),
                _ => false,
            })
    }
}

/// Where common table expressions are computed. A scan may stand before or after the node that computes what it reads.
fn ctes<'p>(plan: &'p Plan<'_>) -> Vec<(&'p str, NodeId)> {
    let named = |(id, node): (NodeId, &'p Node<'_>)| {
        let name = node.subplan_name.as_deref()?.strip_prefix("CTE ")?;
        Some((name, id))
    };
    plan.ids().zip(plan.nodes()).filter_map(named).take(MAX_CTES).collect()
}

fn uses_hashed_subplan(node: &Node<'_>) -> bool {
    node.conditions.iter().any(|condition| condition.text.contains("hashed SubPlan"))
}
