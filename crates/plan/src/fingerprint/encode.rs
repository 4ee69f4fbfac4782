//! Turns each node into bytes, children before parents, and hashes them.

use xxhash_rust::xxh3::xxh3_128;

use super::{Canonical, Names, names::Source, partition};
use crate::tree::{ConditionKind, Node, NodeId, Operator, OperatorClass, Plan, Relationship, ScanDirection};

/// The conditions that are part of a plan's exact identity.
const EXACT: [ConditionKind; 11] = [
    ConditionKind::Index,
    ConditionKind::Hash,
    ConditionKind::Merge,
    ConditionKind::Join,
    ConditionKind::Tid,
    ConditionKind::SortKey,
    ConditionKind::PresortedKey,
    ConditionKind::GroupKey,
    ConditionKind::GroupingSet,
    ConditionKind::OrderBy,
    ConditionKind::CacheKey,
];

/// What is known of a node whose children are done.
#[derive(Clone, Copy, Default)]
struct Hashes {
    shape: u128,
    exact: u128,
}

/// The hashes of the root at both levels: 0 for a plan without nodes.
pub(super) fn hashes(plan: &Plan<'_>, names: &Names<'_>) -> (u128, u128) {
    let mut encoder = Encoder {
        plan,
        names,
        done: vec![Hashes::default(); plan.nodes().len()],
        bytes: Vec::with_capacity(512),
        canonical: Canonical::default(),
        children: Vec::with_capacity(8),
        hashes: Vec::with_capacity(8),
    };
    // Children stand after their parents, so this meets children first.
    for id in plan.ids().rev() {
        encoder.node(id);
    }
    encoder.done.first().map_or((0, 0), |root| (root.shape, root.exact))
}

struct Encoder<'p, 'a, 'n> {
    plan: &'p Plan<'a>,
    names: &'n Names<'p>,
    done: Vec<Hashes>,

    // Working memory of one node.
    bytes: Vec<u8>,
    canonical: Canonical<'p>,
    children: Vec<(Slot, NodeId)>,
    hashes: Vec<u128>,
}

/// What a child is for its parent, as far as that is the same in all versions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Input = 1,
    Inner = 2,
    InitPlan = 3,
    SubPlan = 4,
}

impl<'p> Encoder<'p, '_, '_> {
    fn node(&mut self, id: NodeId) {
        let plan = self.plan;
        let Some(node) = plan.node(id) else { return };
        self.children.clear();
        for child in plan.children(id) {
            let slot = plan.node(child).map_or(Slot::Input, |child| slot(child.relationship));
            self.children.push((slot, child));
        }
        self.children.sort_by_key(|(slot, _)| *slot);

        self.bytes.clear();
        self.write_shape(id, node);
        let own = self.bytes.len();
        let shape = self.with_children(node, |hashes| hashes.shape);
        self.bytes.truncate(own);
        self.write_exact(id, node);
        let exact = self.with_children(node, |hashes| hashes.exact);
        if let Some(done) = self.done.get_mut(id.index()) {
            *done = Hashes { shape, exact };
        }
    }

    // --- the node itself --------------------------------------------------------------------------------

    fn write_shape(&mut self, id: NodeId, node: &'p Node<'_>) {
        match node.operator {
            Operator::Other => self.field(b'?', node.operator_name.as_bytes()),
            operator => self.field(b'o', operator.as_str().as_bytes()),
        }
        if let Some(join_type) = node.join_type {
            self.field(b'j', join_type.as_str().as_bytes());
        }
        for (tag, text) in [(b's', &node.strategy), (b'p', &node.partial_mode), (b'c', &node.operation)] {
            if let Some(text) = text {
                self.field(tag, text.as_bytes());
            }
        }
        if node.operator == Operator::CustomScan
            && let Some(provider) = node.extra_text("Custom Plan Provider")
        {
            self.field(b'x', provider.as_bytes());
        }
        // Of other operators the gather above says it all.
        if node.parallel_aware && matches!(node.operator, Operator::HashJoin | Operator::Hash) {
            self.field(b'a', &[]);
        }
        let names = self.names;
        if let Some((name, ordinal)) = names.source(id).map(|source| names.name(source)) {
            self.field(b'r', name.as_bytes());
            self.field(b'#', &ordinal.to_le_bytes());
        }
        if node.operator == Operator::ForeignScan && node.relation.name.is_none() {
            self.write_foreign_relations(node);
        }
    }

    /// The relations that a foreign server joins, without schemas, which only `VERBOSE` shows, and aliases.
    fn write_foreign_relations(&mut self, node: &'p Node<'_>) {
        use crate::sql::PieceKind::{Dot, Name};
        for text in node.conditions_of(ConditionKind::Other) {
            let pieces: Vec<_> = crate::sql::pieces(text).collect();
            for (at, piece) in pieces.iter().enumerate() {
                let is_schema = pieces.get(at + 1).is_some_and(|next| next.kind == Dot);
                let is_alias =
                    at.checked_sub(1).and_then(|at| pieces.get(at)).is_some_and(|last| last.kind == Name);
                if piece.kind == Name && !is_schema && !is_alias {
                    self.field(b'f', piece.text.as_bytes());
                }
            }
        }
    }

    fn write_exact(&mut self, id: NodeId, node: &'p Node<'_>) {
        let (read_by, own) = self.reader(id);
        if let Some(index) = &node.index {
            let relation = read_by.and_then(|node| node.relation.name.as_deref()).unwrap_or_default();
            let canonical = own.map_or("", |source| self.names.name(source).0);
            let index = partition::index_name(index, relation, canonical);
            self.field(b'i', index.as_bytes());
        }
        if node.scan_direction == Some(ScanDirection::Backward) {
            self.field(b'b', &[]);
        }
        if node.inner_unique == Some(true) {
            self.field(b'u', &[]);
        }
        // By kind, so that the order of the members has no part in it.
        for (tag, kind) in EXACT.iter().enumerate() {
            for condition in node.conditions.iter().filter(|condition| condition.kind == *kind) {
                let start = self.begin_field(b'A' + tag as u8);
                self.canonical.write(&condition.text, self.names, own, &mut self.bytes);
                self.end_field(start);
            }
        }
    }

    /// The node that reads rows for this one, itself or above it, and what is read: a node that collects places from an
    /// index does not name the table, but the node that reads them does.
    fn reader(&self, id: NodeId) -> (Option<&'p Node<'p>>, Option<Source>) {
        let collects = |node: &Node<'_>| {
            matches!(node.operator, Operator::BitmapIndexScan | Operator::BitmapAnd | Operator::BitmapOr)
        };
        let mut at = id;
        while let Some(node) = self.plan.node(at) {
            match node.parent {
                Some(parent) if collects(node) => at = parent,
                _ => return (Some(node), self.names.source(at)),
            }
        }
        (None, None)
    }

    // --- children ---------------------------------------------------------------------------------------

    /// The hash of the bytes written for a node and of its children at one level.
    fn with_children(&mut self, node: &Node<'_>, level: fn(&Hashes) -> u128) -> u128 {
        if node.operator.is_append()
            && let Some(only) = self.sort_members(node, level)
        {
            return only;
        }
        if !node.operator.is_append() {
            self.hashes.clear();
            for (_, child) in &self.children {
                self.hashes.push(self.done.get(child.index()).map_or(0, level));
            }
            // The order of subplans is that of their numbers, which differ between versions.
            let inputs = self.children.partition_point(|(slot, _)| *slot < Slot::InitPlan);
            let before = self.children.partition_point(|(slot, _)| *slot < Slot::SubPlan);
            if let Some((init, sub)) =
                self.hashes.get_mut(inputs..).and_then(|rest| rest.split_at_mut_checked(before - inputs))
            {
                init.sort_unstable();
                sub.sort_unstable();
            }
        }
        self.field(b'n', &(self.hashes.len() as u32).to_le_bytes());
        for (at, hash) in self.hashes.iter().enumerate() {
            let slot = match self.children.get(at) {
                Some((slot, _)) if !node.operator.is_append() => *slot,
                _ => Slot::Input,
            };
            self.bytes.push(slot as u8);
            self.bytes.extend_from_slice(&hash.to_le_bytes());
        }
        xxh3_128(&self.bytes)
    }

    /// The hashes of the inputs of an append, in an order that costs have no part in, and equal partitions once. If
    /// that leaves one way of reading a partition, its hash is the hash of the append: how many partitions there are
    /// does not count, and the planner leaves the append out for a single one.
    fn sort_members(&mut self, node: &Node<'_>, level: fn(&Hashes) -> u128) -> Option<u128> {
        let pruned = node.extra("Subplans Removed").is_some();
        let (mut partitions, mut others) = (Vec::new(), Vec::new());
        for (slot, child) in &self.children {
            let hash = self.done.get(child.index()).map_or(0, level);
            match slot {
                Slot::Input if pruned || self.names.reads_partitions(*child) => partitions.push(hash),
                _ => others.push(hash),
            }
        }
        partitions.sort_unstable();
        partitions.dedup();
        let reads_only = |(_, child): &(Slot, NodeId)| {
            self.plan.node(*child).is_some_and(|child| child.operator.class() == OperatorClass::Scan)
        };
        if let ([only], []) = (partitions.as_slice(), others.as_slice())
            && self.children.iter().all(reads_only)
        {
            return Some(*only);
        }
        others.append(&mut partitions);
        others.sort_unstable();
        self.hashes = others;
        None
    }

    // --- bytes ------------------------------------------------------------------------------------------

    /// A tag, the length and the bytes, so that no two sequences of fields give the same bytes.
    #[inline]
    fn field(&mut self, tag: u8, bytes: &[u8]) {
        let start = self.begin_field(tag);
        self.bytes.extend_from_slice(bytes);
        self.end_field(start);
    }

    #[inline]
    fn begin_field(&mut self, tag: u8) -> usize {
        self.bytes.extend_from_slice(&[tag, 0, 0, 0, 0]);
        self.bytes.len()
    }

    #[inline]
    fn end_field(&mut self, start: usize) {
        let length = (self.bytes.len() - start) as u32;
        if let Some(slot) = self.bytes.get_mut(start - 4..start) {
            slot.copy_from_slice(&length.to_le_bytes());
        }
    }
}

const fn slot(relationship: Relationship) -> Slot {
    match relationship {
        Relationship::Inner => Slot::Inner,
        Relationship::InitPlan => Slot::InitPlan,
        Relationship::SubPlan => Slot::SubPlan,
        Relationship::Root
        | Relationship::Outer
        | Relationship::Member
        | Relationship::Subquery
        | Relationship::Other => Slot::Input,
    }
}
