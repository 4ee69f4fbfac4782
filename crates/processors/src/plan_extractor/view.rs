//! Plans as pages show them.

use dbintel_model::{PlanFingerprint, PlanRung, PlanTable, Text};
use dbintel_pipeline::{PlanDetails, PlanView};
use dbintel_plan::tree::{Node, OperatorClass};
use dbintel_plan::{Budget, diff, parse_postgresql};

use super::sizes::size;
use super::statements::{Statement, StatementKey, Statements, Track};
use super::stored::StoredPlan;

/// Plans in a list, those that changed last first.
pub const PLANS_SHOWN_MAX: usize = 200;

/// Statements that are shown in full where a query identifier names several: those of several databases, roles or nodes.
pub const STATEMENTS_IN_FULL_MAX: usize = 8;

/// The plans of all statements in short, or of one in full: by its handle, or by its query identifier.
pub(super) fn plans(statements: &Statements, wanted: Option<&str>) -> Vec<PlanView> {
    if let Some(wanted) = wanted {
        // A handle has points in it, an identifier has none.
        let query_id: Option<i64> = wanted.parse().ok();
        let is_wanted = |(key, _): &(&StatementKey, &Statement)| {
            query_id.map_or_else(|| handle(key) == wanted, |query_id| key.query_id == query_id)
        };
        let found = statements.iter().filter(is_wanted).take(STATEMENTS_IN_FULL_MAX);
        return found.flat_map(|(key, statement)| views(key, statement, true)).collect();
    }
    let mut views: Vec<_> =
        statements.iter().flat_map(|(key, statement)| views(key, statement, false)).collect();
    views.sort_by_key(|view| std::cmp::Reverse((view.changed_at, view.last_seen)));
    views.truncate(PLANS_SHOWN_MAX);
    views
}

/// By what a statement is asked for.
fn handle(key: &StatementKey) -> String {
    let StatementKey { node, database_id, user_id, query_id, names } = key;
    format!("{node}.{database_id}.{user_id}.{query_id}.{names:x}")
}

fn views(key: &StatementKey, statement: &Statement, in_full: bool) -> impl Iterator<Item = PlanView> {
    let tracks = PlanRung::ALL.into_iter().filter_map(|rung| Some((rung, statement.track(rung)?)));
    tracks.map(move |(rung, track)| PlanView {
        statement: handle(key).into(),
        database: statement.key.database.clone(),
        user: statement.key.user.clone(),
        query_id: statement.key.query_id.to_string().into(),
        summary: statement.text.as_ref().and_then(|text| text.summary.clone()).map(Text::from),
        rung: rung.as_str(),
        fingerprint: track.fingerprint.to_string().into(),
        cost: track.cost,
        first_seen: track.span.first,
        last_seen: track.span.last,
        changed_at: track.changed_at,
        changes: track.changes,
        details: in_full.then(|| details(track)),
    })
}

fn details(track: &Track) -> PlanDetails {
    let difference = track.previous.as_ref().map(|previous| difference(previous, &track.plan));
    let earlier = track.earlier.iter().map(|earlier| {
        let PlanFingerprint { exact, .. } = earlier.fingerprint;
        let times = format!(
            "{} to {}",
            earlier.span.first.to_rfc3339().as_str(),
            earlier.span.last.to_rfc3339().as_str()
        );
        (format!("{exact:032x}").into(), times.into())
    });
    PlanDetails {
        tree: tree(&track.plan, &track.tables),
        previous: track.previous.as_ref().map(|plan| tree(plan, &[])),
        difference: difference.unwrap_or_default().into_iter().map(Text::from).collect(),
        earlier: earlier.collect(),
    }
}

/// The plan, with the sizes of the tables it scans.
fn tree(plan: &StoredPlan, tables: &[PlanTable]) -> Text {
    let json = plan.json();
    let size_of_table = |node: &Node<'_>| {
        let is_scan = node.operator.class() == OperatorClass::Scan;
        let relation = &node.relation;
        let size = size(tables, relation.schema.as_deref(), relation.name.as_deref()).filter(|_| is_scan)?;
        Some(format!("table of {size}"))
    };
    let plan = parse_postgresql(json.as_bytes(), &mut Budget::unlimited()).plan;
    plan.render_with(&size_of_table).into()
}

fn difference(old: &StoredPlan, new: &StoredPlan) -> Vec<String> {
    let (old, new) = (old.json(), new.json());
    let old = parse_postgresql(old.as_bytes(), &mut Budget::unlimited()).plan;
    let new = parse_postgresql(new.as_bytes(), &mut Budget::unlimited()).plan;
    diff(&old, &new)
}
