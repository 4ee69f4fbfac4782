//! The conditions of the rules for plans of SQL Server.

use super::{Findings, MIN_TIME_MS, PlanRule};
use crate::{
    summary::{SqlServerCounts, Summary},
    tree::{ConditionKind, Node, NodeId, Operator, ParameterValues, SqlServerPlan, WarningKind},
};

/// Fewer lookups are cheap.
const MIN_LOOKUPS: f64 = 100.0;

/// Memory that is worth having back.
const MIN_GRANT_KIB: f64 = 65_536.0;

/// The share of its memory that a statement should use.
const MIN_GRANT_SHARE: f64 = 0.1;

/// The server's default for the cost from which a plan may be parallel.
const MIN_PARALLEL_COST: f64 = 5.0;

/// How the server writes a conversion that the statement does not ask for.
const CONVERSION: &str = "CONVERT_IMPLICIT(";

impl Findings<'_, '_> {
    pub(super) fn sql_server_node(&mut self, id: NodeId, node: &Node<'_>, counts: &mut SqlServerCounts) {
        if node.actuals.is_some() {
            self.discarded(id, node);
            self.estimate(id);
        }
        match node.operator {
            Operator::KeyLookup | Operator::RidLookup => {
                counts.key_lookups += 1;
                self.lookup(id, node);
            }
            Operator::NestedLoop => self.sql_server_loop(id),
            _ => {}
        }
        if converts_column(node) {
            counts.implicit_conversions += 1;
            let rows = node.extra_number("EstimatedRowsRead").or(node.estimates.rows).unwrap_or_default();
            self.add(PlanRule::ImplicitConversion, id, &[("estimated_rows", rows)]);
        }
        self.node_warnings(id, node, counts);
    }

    fn lookup(&mut self, id: NodeId, node: &Node<'_>) {
        let times = match node.actuals {
            Some(actuals) => actuals.loops,
            None => {
                let repeated = |name| node.extra_number(name).unwrap_or_default();
                1.0 + repeated("EstimateRebinds") + repeated("EstimateRewinds")
            }
        };
        if times >= MIN_LOOKUPS {
            let cost = node.estimates.total_cost.unwrap_or_default();
            self.add(PlanRule::KeyLookup, id, &[("times", times), ("cost", cost)]);
        }
    }

    fn sql_server_loop(&mut self, id: NodeId) {
        let mut children = self.plan.children(id);
        let outer = children.next().and_then(|id| self.plan.node(id));
        let inner = children.next().and_then(|id| Some((id, self.plan.node(id)?)));
        let (Some(outer), Some((inner_id, inner))) = (outer, inner) else { return };
        let outer_rows =
            outer.actuals.map(|actuals| actuals.rows).or(outer.estimates.rows).unwrap_or_default();
        self.repeated_scan(outer_rows, inner_id, inner);
    }

    fn node_warnings(&mut self, id: NodeId, node: &Node<'_>, counts: &mut SqlServerCounts) {
        let count = |kind| node.warnings.iter().filter(|warning| warning.kind == kind).count() as u32;
        if count(WarningKind::NoJoinPredicate) > 0 {
            let rows = node.estimates.rows.unwrap_or_default();
            self.add(PlanRule::JoinWithoutCondition, id, &[("estimated_rows", rows)]);
        }
        let missing = count(WarningKind::MissingStatistics);
        counts.columns_without_statistics += missing;
        let columns = [
            (PlanRule::MissingStatistics, missing),
            (PlanRule::StaleStatistics, count(WarningKind::StaleStatistics)),
        ];
        for (rule, columns) in columns.into_iter().filter(|(_, columns)| *columns > 0) {
            self.add(rule, id, &[("columns", f64::from(columns))]);
        }
        if count(WarningKind::Spill) > 0 {
            let number = |name| node.extra_number(name).unwrap_or_default();
            let evidence = [
                ("spill_level", number("SpillLevel")),
                ("spilled_threads", number("SpilledThreadCount")),
                ("written_pages", number("WritesToTempDb")),
            ];
            self.add(PlanRule::SpillsToTempdb, id, &evidence);
        }
    }

    pub(super) fn sql_server_plan(&mut self, summary: &mut Summary) {
        let root = NodeId::default();
        self.parameters(root, summary);
        self.proposed_indexes(root, summary);
        let Some(details) = self.plan.sql_server.as_deref() else { return };
        self.plan_warnings(root, details, summary);
        self.grant(root, details);
        let cost = summary.total_cost.unwrap_or_default();
        if details.non_parallel_reason.is_some() && cost >= MIN_PARALLEL_COST {
            self.add(PlanRule::ForcedSerial, root, &[("cost", cost)]);
        }
        let gave_up =
            matches!(details.early_abort_reason.as_deref(), Some("TimeOut" | "MemoryLimitExceeded"));
        if gave_up {
            self.add(PlanRule::OptimizerGaveUp, root, &[("cost", cost)]);
        }
    }

    fn parameters(&mut self, root: NodeId, summary: &mut Summary) {
        let parameters = &self.plan.parameters;
        let differ = |values| values == ParameterValues::Different;
        let different = parameters.iter().filter(|parameter| differ(parameter.values)).count() as u32;
        summary.sql_server.sniffed_parameters = different;
        if different > 0 {
            let factor = summary.widest_error.map_or(1.0, |error| error.factor);
            let evidence = [
                ("parameters", parameters.len() as f64),
                ("different", f64::from(different)),
                ("widest_estimate_factor", factor),
            ];
            self.add(PlanRule::ParameterSniffing, root, &evidence);
        }
    }

    fn proposed_indexes(&mut self, root: NodeId, summary: &mut Summary) {
        let groups = &self.plan.missing_indexes;
        summary.sql_server.missing_indexes = groups.len() as u32;
        let impact = groups.iter().filter_map(|group| group.impact_percent).fold(0.0, f64::max);
        if !groups.is_empty() {
            let evidence = [("indexes", groups.len() as f64), ("impact_percent", impact)];
            self.add(PlanRule::MissingIndex, root, &evidence);
        }
    }

    fn plan_warnings(&mut self, root: NodeId, details: &SqlServerPlan<'_>, summary: &mut Summary) {
        let count = |kind| details.warnings.iter().filter(|warning| warning.kind == kind).count() as u32;
        let conversions = count(WarningKind::ImplicitConversion);
        // The nodes whose conditions show it say more than the warning does.
        if conversions > 0 && summary.sql_server.implicit_conversions == 0 {
            summary.sql_server.implicit_conversions = conversions;
            self.add(PlanRule::ImplicitConversion, root, &[("conversions", f64::from(conversions))]);
        }
        let unmatched = count(WarningKind::UnmatchedIndexes);
        if unmatched > 0 {
            self.add(PlanRule::UnmatchedIndexes, root, &[("warnings", f64::from(unmatched))]);
        }
        let missing = count(WarningKind::MissingStatistics);
        summary.sql_server.columns_without_statistics += missing;
        if missing > 0 {
            self.add(PlanRule::MissingStatistics, root, &[("columns", f64::from(missing))]);
        }
    }

    fn grant(&mut self, root: NodeId, details: &SqlServerPlan<'_>) {
        let warned = |words: [&str; 2]| {
            details.warnings.iter().any(|warning| {
                warning.kind == WarningKind::MemoryGrant
                    && warning.text.as_deref().is_some_and(|text| words.contains(&text))
            })
        };
        let grant = self.plan.memory_grant.unwrap_or_default();
        let granted = grant.granted_kib.unwrap_or_default();
        let used = grant.max_used_kib;
        let evidence = [("granted_kib", granted), ("max_used_kib", used.unwrap_or_default())];
        let unused = used.is_some_and(|used| granted >= MIN_GRANT_KIB && used < MIN_GRANT_SHARE * granted);
        if unused || warned(["Excessive Grant", "ExcessiveGrant"]) {
            self.add(PlanRule::ExcessiveGrant, root, &evidence);
        }
        if warned(["Used More Than Granted", "Grant Increase"]) {
            self.add(PlanRule::GrantTooSmall, root, &evidence);
        }
        if let Some(wait_ms) = details.grant_wait_ms.filter(|ms| *ms >= MIN_TIME_MS) {
            self.add(PlanRule::MemoryGrantWait, root, &[("wait_ms", wait_ms), ("granted_kib", granted)]);
        }
    }
}

/// Whether a condition converts a column. Conversions of values cost nothing.
fn converts_column(node: &Node<'_>) -> bool {
    let conditions = node.conditions.iter().filter(|condition| {
        matches!(
            condition.kind,
            ConditionKind::Filter | ConditionKind::Index | ConditionKind::Join | ConditionKind::Hash
        )
    });
    conditions.flat_map(|condition| condition.text.split(CONVERSION).skip(1)).any(|conversion| {
        // The type, whose length may be in brackets, then what is converted. Columns are qualified.
        let mut depth = 1_i32;
        let inside = conversion.chars().take_while(|char| {
            depth += match char {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth > 0
        });
        inside.into_iter().any(|char| char == '.')
    })
}
