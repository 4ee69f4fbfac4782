//! Takes a plan apart into what it does (subjects) and how (ways), so that two plans can be compared part by part.

use crate::{
    fingerprint::{Canonical, Names},
    render::Plain,
    tree::{ConditionKind, Node, NodeId, Operator, OperatorClass, Plan},
};

/// The most relations that name a join; a longer list ends in dots.
const MAX_NAMED_RELATIONS: usize = 6;

/// The most bytes of one way.
const MAX_WAY_BYTES: usize = 160;

/// One thing a plan does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    /// Which lines come first.
    rank: u8,
    subject: String,
    /// How it is done.
    pub(super) way: String,
}

impl Part {
    pub(super) fn subject(&self) -> (u8, &str) {
        (self.rank, &self.subject)
    }
}

/// The parts of a plan, sorted by subject and way.
pub(super) fn parts(plan: &Plan<'_>) -> Vec<Part> {
    let names = Names::of(plan);
    let mut taking = Taking { plan, names: &names, canonical: Canonical::default(), parts: Vec::new() };
    let relations = taking.relations_below();
    for (id, node) in plan.ids().zip(plan.nodes()) {
        taking.node(id, node, &relations);
    }
    let mut parts = taking.parts;
    parts.sort_unstable();
    parts
}

struct Taking<'p, 'a, 'n> {
    plan: &'p Plan<'a>,
    names: &'n Names<'p>,
    canonical: Canonical<'p>,
    parts: Vec<Part>,
}

impl<'p> Taking<'p, '_, '_> {
    fn add(&mut self, rank: u8, subject: impl Into<String>, mut way: String) {
        if way.len() > MAX_WAY_BYTES {
            way.truncate(way.floor_char_boundary(MAX_WAY_BYTES));
            way.push_str("...");
        }
        self.parts.push(Part { rank, subject: subject.into(), way });
    }

    /// The names of what each node reads, itself and below, sorted, each once; at most one more than are named.
    fn relations_below(&self) -> Vec<Vec<String>> {
        let mut below: Vec<Vec<String>> = vec![Vec::new(); self.plan.nodes().len()];
        for id in self.plan.ids().rev() {
            let own = self.source_name(id);
            let mut relations = below.get_mut(id.index()).map(std::mem::take).unwrap_or_default();
            relations.extend(own);
            relations.sort_unstable();
            relations.dedup();
            relations.truncate(MAX_NAMED_RELATIONS + 1);
            let parent = self.plan.node(id).and_then(|node| node.parent);
            if let Some(above) = parent.and_then(|parent| below.get_mut(parent.index())) {
                above.extend(relations.iter().cloned());
            }
            if let Some(slot) = below.get_mut(id.index()) {
                *slot = relations;
            }
        }
        below
    }

    fn source_name(&self, id: NodeId) -> Option<String> {
        let (name, ordinal) = self.names.name(self.names.source(id)?);
        Some(if ordinal > 1 { format!("{} #{ordinal}", Plain(name)) } else { Plain(name).to_string() })
    }

    fn node(&mut self, id: NodeId, node: &'p Node<'_>, relations: &[Vec<String>]) {
        match node.operator.class() {
            OperatorClass::Scan => self.scan(id, node),
            OperatorClass::Join => self.join(id, node, relations),
            OperatorClass::Sort | OperatorClass::Aggregate => self.ordering(node),
            _ if node.operator.is_append() => self.append(id, node),
            _ if node.operator == Operator::Hash => {}
            _ => {
                let mut way = node.operator.as_str().to_owned();
                if let Some(operation) = &node.operation {
                    way.push(' ');
                    way.push_str(&Plain(operation).to_string());
                }
                self.add(3, "other steps", way);
            }
        }
    }

    fn scan(&mut self, id: NodeId, node: &'p Node<'_>) {
        // The node that reads the rows stands for the one that collects their places.
        let reader = self.reader(id);
        let Some(subject) = self.source_name(reader) else { return };
        let mut way = node.operator.as_str().to_owned();
        if node.scan_direction == Some(crate::tree::ScanDirection::Backward) {
            way.push_str(" Backward");
        }
        if let Some(index) = &node.index {
            let relation =
                self.plan.node(reader).and_then(|node| node.relation.name.as_deref()).unwrap_or_default();
            let canonical = self.names.source(reader).map_or("", |source| self.names.name(source).0);
            let index = crate::fingerprint::index_name(index, relation, canonical);
            way.push_str(" using ");
            way.push_str(&Plain(&index).to_string());
        }
        for kind in [ConditionKind::Index, ConditionKind::Tid, ConditionKind::OrderBy] {
            self.conditions(reader, node, kind, " by ", &mut way);
        }
        self.add(0, subject, way);
    }

    fn reader(&self, id: NodeId) -> NodeId {
        let mut at = id;
        while self.names.source(at).is_none()
            && let Some(parent) = self.plan.node(at).and_then(|node| node.parent)
            && self.plan.node(at).is_some_and(|node| {
                matches!(node.operator, Operator::BitmapIndexScan | Operator::BitmapAnd | Operator::BitmapOr)
            })
        {
            at = parent;
        }
        at
    }

    fn join(&mut self, id: NodeId, node: &'p Node<'_>, relations: &[Vec<String>]) {
        let named = |id: NodeId| relations.get(id.index()).map(|list| joined(list)).unwrap_or_default();
        let mut children = self.plan.children(id).map(named);
        let (outer, inner) = (children.next().unwrap_or_default(), children.next().unwrap_or_default());
        let mut way = node.operator.as_str().to_owned();
        if let Some(join_type) = node.join_type {
            way.push(' ');
            way.push_str(join_type.as_str());
        }
        way.push_str(&format!(" of ({outer}) with ({inner})"));
        for kind in [ConditionKind::Hash, ConditionKind::Merge, ConditionKind::Join] {
            self.conditions(id, node, kind, " on ", &mut way);
        }
        self.add(1, format!("join of {}", named(id)), way);
    }

    /// What an append does above plain scans is seen from the scans.
    fn append(&mut self, id: NodeId, node: &Node<'_>) {
        let member = |child| self.plan.node(child).map(|child| child.operator);
        let above: Option<Operator> = self
            .plan
            .children(id)
            .filter_map(member)
            .find(|operator| operator.class() != OperatorClass::Scan);
        if let Some(above) = above {
            self.add(3, "other steps", format!("{} above {above}", node.operator));
        }
    }

    fn ordering(&mut self, node: &'p Node<'_>) {
        let mut way = node.operator.as_str().to_owned();
        for word in [&node.strategy, &node.partial_mode].into_iter().flatten() {
            way.push(' ');
            way.push_str(&Plain(word).to_string());
        }
        for kind in [ConditionKind::SortKey, ConditionKind::GroupKey, ConditionKind::GroupingSet] {
            self.conditions(NodeId::default(), node, kind, " by ", &mut way);
        }
        self.add(2, "sorting and grouping", way);
    }

    /// Appends the conditions of one kind in their canonical form.
    fn conditions(
        &mut self,
        reader: NodeId,
        node: &'p Node<'_>,
        kind: ConditionKind,
        before: &str,
        out: &mut String,
    ) {
        let mut bytes = Vec::new();
        let mut separator = before;
        for condition in node.conditions.iter().filter(|condition| condition.kind == kind) {
            bytes.clear();
            self.canonical.write(&condition.text, self.names, self.names.source(reader), &mut bytes);
            out.push_str(separator);
            out.push_str(&Plain(&String::from_utf8_lossy(&bytes)).to_string());
            separator = ", ";
        }
    }
}

fn joined(relations: &[String]) -> String {
    match relations.get(..MAX_NAMED_RELATIONS) {
        Some(first) if relations.len() > MAX_NAMED_RELATIONS => format!("{}, ...", first.join(", ")),
        _ => relations.join(", "),
    }
}
