//! A plan as text for people, without literals and in bounded length.

use std::fmt::Write as _;

use crate::{
    sql::mask_expression,
    tree::{ConditionKind, JoinType, Node, NodeId, Plan, ScanDirection},
};

/// The most bytes of a rendered plan. Nodes that would go beyond are left out, and a last line says how many.
pub const MAX_RENDERED_BYTES: usize = 64 * 1024;

/// The most bytes of one condition in a rendered plan.
pub const MAX_RENDERED_CONDITION_BYTES: usize = 256;

/// Levels of indentation beyond which nodes are not indented further.
const MAX_INDENTED_DEPTH: u32 = 60;

/// Nodes that make up at least this share of the whole cost are marked.
const MARKED_SHARE: f64 = 0.1;

impl Plan<'_> {
    /// The tree with one line for each node and each condition, literals masked, and the nodes marked that make up a
    /// large part of the cost (of the time, where the plan was measured).
    ///
    /// ```
    /// use dbintel_plan::{Budget, parse_postgresql};
    ///
    /// let json = br#"[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "o",
    ///     "Total Cost": 12.5, "Plan Rows": 3, "Filter": "(id = 7)"}}]"#;
    /// let plan = parse_postgresql(json, &mut Budget::unlimited()).plan;
    /// assert_eq!(plan.render(), "Seq Scan on orders o  cost 12.5  rows 3  << 100 % of cost\n    filter: (id = ?)\n");
    /// ```
    #[must_use]
    pub fn render(&self) -> String {
        self.render_with(&|_| None)
    }

    /// The same with what is to be said of nodes beside what the plan says, at the end of their lines. What is said there
    /// must hold no literal.
    #[must_use]
    pub fn render_with(&self, note: &dyn Fn(&Node<'_>) -> Option<String>) -> String {
        let mut out = String::with_capacity(128 * self.nodes().len().min(64));
        let whole = self.root().and_then(work);
        let mut text = String::new();
        for (id, node) in self.ids().zip(self.nodes()) {
            text.clear();
            line(self, id, node, whole, &mut text);
            if let Some(note) = note(node) {
                let _ = write!(text, "  ({})", Plain(&note));
            }
            text.push('\n');
            conditions(node, &mut text);
            if out.len() + text.len() > MAX_RENDERED_BYTES {
                let left = self.nodes().len() - id.index();
                let _ = writeln!(out, "... and {left} more nodes");
                break;
            }
            out.push_str(&text);
        }
        out
    }
}

/// A measure of the work of a node and all below it: milliseconds if they were measured, else cost.
fn work(node: &Node<'_>) -> Option<(f64, &'static str)> {
    match node.actuals {
        Some(actuals) => actuals.total_ms.map(|ms| (ms * actuals.loops, "time")),
        None => node.estimates.total_cost.map(|cost| (cost, "cost")),
    }
}

/// The share of a node itself in the work of the whole plan.
fn share(
    plan: &Plan<'_>,
    id: NodeId,
    node: &Node<'_>,
    whole: Option<(f64, &'static str)>,
) -> Option<(f64, &'static str)> {
    let (whole, unit) = whole.filter(|(whole, _)| *whole > 0.0)?;
    let below: f64 =
        plan.children(id).filter_map(|child| plan.node(child)).filter_map(work).map(|(work, _)| work).sum();
    let own = (work(node)?.0 - below).max(0.0);
    Some(((own / whole).min(1.0), unit))
}

fn line(plan: &Plan<'_>, id: NodeId, node: &Node<'_>, whole: Option<(f64, &'static str)>, out: &mut String) {
    indent(node.depth, out);
    if node.depth > 0 {
        out.push_str("-> ");
    }
    if let Some(name) = &node.subplan_name {
        let _ = write!(out, "[{}] ", Plain(name));
    }
    title(node, out);
    if let Some(cost) = node.estimates.total_cost {
        let _ = write!(out, "  cost {}", Short(cost));
    }
    if let Some(rows) = node.estimates.rows {
        let _ = write!(out, "  rows {}", Short(rows));
    }
    actuals(node, out);
    if let Some((share, unit)) = share(plan, id, node, whole)
        && share >= MARKED_SHARE
    {
        let _ = write!(out, "  << {:.0} % of {unit}", share * 100.0);
    }
}

/// What a node does, to what and by which index.
fn title(node: &Node<'_>, out: &mut String) {
    for word in [&node.partial_mode, &node.strategy] {
        if let Some(word) = word.as_deref().filter(|word| *word != "Plain") {
            let _ = write!(out, "{} ", Plain(word));
        }
    }
    if node.parallel_aware {
        out.push_str("Parallel ");
    }
    let _ = write!(out, "{}", Plain(&node.operator_name));
    for word in
        [node.join_type.map(JoinType::as_str).filter(|word| *word != "Inner"), node.operation.as_deref()]
            .into_iter()
            .flatten()
    {
        let _ = write!(out, " {}", Plain(word));
    }
    if node.scan_direction == Some(ScanDirection::Backward) {
        out.push_str(" Backward");
    }
    if let Some(index) = &node.index {
        let _ = write!(out, " using {}", Plain(index));
    }
    source(node, out);
}

fn source(node: &Node<'_>, out: &mut String) {
    let relation = &node.relation;
    let Some(name) = relation.name.as_deref().or(node.source.as_deref()) else {
        if let Some(alias) = &relation.alias {
            let _ = write!(out, " on {}", Plain(alias));
        }
        return;
    };
    out.push_str(" on ");
    if let Some(schema) = &relation.schema {
        let _ = write!(out, "{}.", Plain(schema));
    }
    let _ = write!(out, "{}", Plain(name));
    if let Some(alias) = relation.alias.as_deref().filter(|alias| *alias != name) {
        let _ = write!(out, " {}", Plain(alias));
    }
}

fn actuals(node: &Node<'_>, out: &mut String) {
    let Some(actuals) = node.actuals else { return };
    if actuals.loops == 0.0 {
        out.push_str("  never executed");
        return;
    }
    let _ = write!(out, "  actual rows {}", Short(actuals.rows));
    if actuals.loops != 1.0 {
        let _ = write!(out, "  loops {}", Short(actuals.loops));
    }
    if let Some(ms) = actuals.total_ms {
        let _ = write!(out, "  {} ms", Short(ms * actuals.loops));
    }
}

fn conditions(node: &Node<'_>, out: &mut String) {
    let mut last = None;
    for condition in &node.conditions {
        if condition.kind == ConditionKind::Output {
            continue;
        }
        if last == Some(condition.kind) {
            out.pop();
            out.push_str(", ");
        } else {
            indent(node.depth + 2, out);
            out.push_str(condition.kind.as_str());
            out.push_str(": ");
        }
        let start = out.len();
        mask_expression(&condition.text, out);
        if out.len() - start > MAX_RENDERED_CONDITION_BYTES {
            out.truncate(out.floor_char_boundary(start + MAX_RENDERED_CONDITION_BYTES));
            out.push_str("...");
        }
        out.push('\n');
        last = Some(condition.kind);
    }
}

fn indent(depth: u32, out: &mut String) {
    for _ in 0..depth.min(MAX_INDENTED_DEPTH) {
        out.push_str("  ");
    }
}

/// A name on one line.
pub(crate) struct Plain<'t>(pub(crate) &'t str);

/// The most bytes of one name in a rendered plan.
const MAX_RENDERED_NAME_BYTES: usize = 128;

impl std::fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cut = self.0.floor_char_boundary(MAX_RENDERED_NAME_BYTES);
        for char in self.0.get(..cut).unwrap_or_default().chars() {
            f.write_char(if char.is_control() { ' ' } else { char })?;
        }
        Ok(())
    }
}

/// A number with at most two places after the point, none where it is whole.
struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hundredths = (self.0 * 100.0).round();
        if hundredths % 100.0 == 0.0 {
            write!(f, "{:.0}", self.0)
        } else if hundredths % 10.0 == 0.0 {
            write!(f, "{:.1}", self.0)
        } else {
            write!(f, "{:.2}", self.0)
        }
    }
}
