//! One pass over the nodes of a plan.

use super::{MAX_SUMMARY_FILTERS, MAX_SUMMARY_SCANS, ScanSummary, Summary, WastefulFilter, estimate, rules};
use crate::tree::{JoinType, Node, NodeId, Operator, OperatorClass, Plan, WarningKind};

/// SQL Server counts what it writes to tempdb in pages of this size.
const KIB_PER_PAGE: f64 = 8.0;

pub(super) fn summary(plan: &Plan<'_>) -> Summary {
    let mut summary = Summary {
        planning_time_ms: plan.planning_time_ms,
        execution_time_ms: plan.execution_time_ms,
        nodes: plan.nodes().len() as u32,
        jit_functions: plan.jit.map(|jit| jit.functions),
        jit_ms: plan.jit.and_then(|jit| jit.total_ms),
        ..Summary::default()
    };
    if let Some(root) = plan.root() {
        summary.total_cost = root.estimates.total_cost;
        summary.startup_cost = root.estimates.startup_cost;
        summary.estimated_rows = root.estimates.rows;
        summary.actual_rows = root.actuals.map(|actuals| actuals.rows * actuals.loops);
    }
    for (id, node) in plan.ids().zip(plan.nodes()) {
        summary.depth = summary.depth.max(node.depth + 1);
        add_node(&mut summary, plan, id, node);
    }
    finish_filters(&mut summary);
    rules::apply(plan, &mut summary);
    summary
}

fn add_node(summary: &mut Summary, plan: &Plan<'_>, id: NodeId, node: &Node<'_>) {
    match node.operator.class() {
        OperatorClass::Scan => add_scan(summary, id, node),
        OperatorClass::Join => add_join(summary, node),
        OperatorClass::Gather => add_gather(summary, node),
        _ => {}
    }
    match node.operator {
        Operator::Sort => summary.sorts.full += 1,
        Operator::IncrementalSort => summary.sorts.incremental += 1,
        operator if operator.is_append() => add_append(summary, plan, id, node),
        _ => {}
    }
    if let Some(kib) = spilled_kib(node) {
        summary.sorts.spilled += 1;
        summary.sorts.spilled_kib += kib;
    }
    add_filter(summary, id, node);
    if let Some(error) = estimate::error_at(plan, id)
        && summary.widest_error.is_none_or(|widest| error.factor > widest.factor)
    {
        summary.widest_error = Some(error);
    }
}

fn add_scan(summary: &mut Summary, id: NodeId, node: &Node<'_>) {
    summary.scan_nodes += 1;
    let relation = node.relation.name.as_deref().or(node.source.as_deref());
    let index = node.index.as_deref();
    let rows = node.estimates.rows.unwrap_or(0.0);
    let actual = node.actuals.map(|actuals| actuals.rows * actuals.loops);
    let same = |scan: &&mut ScanSummary| {
        scan.operator == node.operator
            && scan.relation.as_deref() == relation
            && scan.index.as_deref() == index
    };
    if let Some(scan) = summary.scans.iter_mut().find(same) {
        scan.nodes += 1;
        scan.estimated_rows += rows;
        scan.actual_rows = scan.actual_rows.zip(actual).map(|(sum, rows)| sum + rows);
    } else if summary.scans.len() < MAX_SUMMARY_SCANS {
        summary.scans.push(ScanSummary {
            node: id,
            operator: node.operator,
            schema: node.relation.schema.as_deref().map(Box::from),
            relation: relation.map(Box::from),
            index: index.map(Box::from),
            estimated_rows: rows,
            actual_rows: actual,
            nodes: 1,
            table_rows: node.extra_number("TableCardinality"),
        });
    }
}

fn add_join(summary: &mut Summary, node: &Node<'_>) {
    let joins = &mut summary.joins;
    match node.operator {
        Operator::NestedLoop => joins.nested_loop += 1,
        Operator::HashJoin => joins.hash += 1,
        Operator::MergeJoin => joins.merge += 1,
        _ => {}
    }
    match node.join_type {
        Some(JoinType::Left | JoinType::Right | JoinType::Full) => joins.outer += 1,
        Some(JoinType::Semi | JoinType::Anti | JoinType::RightSemi | JoinType::RightAnti) => {
            joins.semi_or_anti += 1;
        }
        _ => {}
    }
}

fn add_gather(summary: &mut Summary, node: &Node<'_>) {
    let parallel = &mut summary.parallel;
    parallel.gathers += 1;
    parallel.planned = parallel.planned.saturating_add(node.workers_planned.unwrap_or(0));
    if let Some(launched) = node.workers_launched {
        parallel.launched = Some(parallel.launched.unwrap_or(0).saturating_add(launched));
    }
}

fn add_append(summary: &mut Summary, plan: &Plan<'_>, id: NodeId, node: &Node<'_>) {
    let partitions = &mut summary.partitions;
    partitions.appends += 1;
    partitions.inputs += plan.children(id).count() as u32;
    let removed = node.extra_number("Subplans Removed").unwrap_or(0.0);
    partitions.removed = partitions.removed.saturating_add(removed as u32);
}

fn add_filter(summary: &mut Summary, id: NodeId, node: &Node<'_>) {
    let Some(actuals) = node.actuals else { return };
    let dropped =
        node.rows_removed_by_filter.unwrap_or(0.0) + node.rows_removed_by_join_filter.unwrap_or(0.0);
    if dropped > actuals.rows {
        let filter =
            WastefulFilter { node: id, dropped: dropped * actuals.loops, kept: actuals.rows * actuals.loops };
        summary.wasteful_filter_nodes += 1;
        summary.wasteful_filters.push(filter);
        if summary.wasteful_filters.len() >= 2 * MAX_SUMMARY_FILTERS {
            finish_filters(summary);
        }
    }
}

fn finish_filters(summary: &mut Summary) {
    summary.wasteful_filters.sort_by(|a, b| b.dropped.total_cmp(&a.dropped));
    summary.wasteful_filters.truncate(MAX_SUMMARY_FILTERS);
}

/// Kilobytes a node wrote to disk because its memory was full, if it did. Zero where the plan does not say how much.
pub(super) fn spilled_kib(node: &Node<'_>) -> Option<f64> {
    let mut spilled = None;
    let mut add = |kib: f64| spilled = Some(spilled.unwrap_or(0.0) + kib);
    if node.extra_text("Sort Space Type") == Some("Disk") {
        add(node.extra_number("Sort Space Used").unwrap_or(0.0));
    }
    for worker in &node.workers {
        let text =
            |name: &str| worker.extras.iter().find(|extra| extra.name == name).map(|extra| &extra.value);
        if text("Sort Space Type") == Some(&crate::tree::Scalar::Text("Disk".into())) {
            add(match text("Sort Space Used") {
                Some(crate::tree::Scalar::Number(kib)) => *kib,
                _ => 0.0,
            });
        }
    }
    let disk_groups = node.extras.iter().filter(|extra| extra.group == Some("Sort Space Disk"));
    for extra in disk_groups.filter(|extra| extra.name == "Peak Sort Space Used") {
        if let crate::tree::Scalar::Number(kib) = extra.value {
            add(kib);
        }
    }
    if let Some(kib) = node.extra_number("Disk Usage").filter(|kib| *kib > 0.0) {
        add(kib);
    }
    if node.extra_number("Hash Batches").is_some_and(|batches| batches > 1.0) {
        add(0.0);
    }
    if node.warnings.iter().any(|warning| warning.kind == WarningKind::Spill) {
        add(KIB_PER_PAGE * node.extra_number("WritesToTempDb").unwrap_or(0.0));
    }
    if node.extra_text("Storage") == Some("Disk") {
        add(node.extra_number("Maximum Storage").unwrap_or(0.0));
    }
    spilled
}
