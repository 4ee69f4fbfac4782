//! One name for each source of rows in a plan that depends neither on aliases nor on which partitions there are.

use std::borrow::Cow;

use super::partition;
use crate::tree::{Engine, Node, NodeId, Operator, Plan};

/// The names of the sources of rows in one plan.
pub(crate) struct Names<'p> {
    /// For each node, the source it reads or changes.
    by_node: Vec<Option<Source>>,
    /// For each node, whether a partition with siblings is read at it or below it.
    reads_partitions: Vec<bool>,
    sources: Vec<Named<'p>>,
    /// Sorted by alias.
    aliases: Vec<(&'p str, Source)>,
}

/// A source of rows: an index into [`Names::sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source(u32);

struct Named<'p> {
    name: Cow<'p, str>,
    /// 1 for the first source of that name, 2 for the second.
    ordinal: u32,
}

/// A node that reads a relation below an append.
struct Candidate<'p> {
    node: usize,
    base: &'p str,
    relation: &'p str,
}

impl<'p> Names<'p> {
    pub(crate) fn of(plan: &'p Plan<'_>) -> Self {
        let count = plan.nodes().len();
        let mut names = Self {
            by_node: vec![None; count],
            reads_partitions: vec![false; count],
            sources: Vec::with_capacity(8),
            aliases: Vec::with_capacity(8),
        };
        // SQL Server reads all partitions of a table at one node.
        if plan.engine == Engine::PostgreSql {
            names.find_partitions(plan);
        }
        names.find_others(plan);
        names.spread_upwards(plan);
        names.number();
        names
    }

    /// The source that a node reads or changes.
    pub(crate) fn source(&self, node: NodeId) -> Option<Source> {
        self.by_node.get(node.index()).copied().flatten()
    }

    /// The source that an alias stands for.
    pub(crate) fn alias(&self, alias: &str) -> Option<Source> {
        let at = self.aliases.binary_search_by(|(known, _)| (*known).cmp(alias)).ok()?;
        self.aliases.get(at).map(|(_, source)| *source)
    }

    /// The name of a source, and its number among those of that name.
    pub(crate) fn name(&self, source: Source) -> (&str, u32) {
        self.sources.get(source.0 as usize).map_or(("", 0), |named| (&named.name, named.ordinal))
    }

    /// Whether all columns belong to the same source, so that naming it adds nothing. Without `VERBOSE` PostgreSQL does
    /// not name it in most of these plans.
    pub(crate) fn is_single(&self) -> bool {
        self.sources.len() < 2
    }

    /// Whether a partition with siblings is read at `node` or below it.
    pub(crate) fn reads_partitions(&self, node: NodeId) -> bool {
        self.reads_partitions.get(node.index()).copied().unwrap_or(false)
    }

    /// Finds the partitions below each outermost append. They are the relations whose aliases PostgreSQL made from the
    /// same alias by appending numbers.
    fn find_partitions(&mut self, plan: &'p Plan<'_>) {
        let mut next = 0;
        while let Some(node) = plan.nodes().get(next) {
            next += 1;
            if node.operator.is_append() {
                let end = next + node.below as usize;
                self.find_partitions_within(plan, next, end);
                next = end;
            }
        }
    }

    fn find_partitions_within(&mut self, plan: &'p Plan<'_>, from: usize, to: usize) {
        let mut candidates: Vec<Candidate<'p>> = Vec::new();
        for (offset, node) in plan.nodes().get(from..to).unwrap_or_default().iter().enumerate() {
            if let (Some(relation), Some(alias)) = (&node.relation.name, &node.relation.alias) {
                let base = partition::alias_base(alias);
                candidates.push(Candidate { node: from + offset, base, relation });
            }
        }
        candidates.sort_by_key(|candidate| candidate.base);
        for group in candidates.chunk_by(|a, b| a.base == b.base) {
            let mut relations: Vec<&str> = group.iter().map(|candidate| candidate.relation).collect();
            relations.sort_unstable();
            relations.dedup();
            if relations.len() > 1 {
                self.add_partitions(plan, group, &relations);
            }
        }
    }

    fn add_partitions(&mut self, plan: &'p Plan<'_>, group: &[Candidate<'p>], relations: &[&'p str]) {
        let source = self.add(Cow::Borrowed(partition::common_name(relations)));
        for candidate in group {
            if let Some(slot) = self.by_node.get_mut(candidate.node) {
                *slot = Some(source);
            }
            if let Some(slot) = self.reads_partitions.get_mut(candidate.node) {
                *slot = true;
            }
            if let Some(alias) =
                plan.nodes().get(candidate.node).and_then(|node| node.relation.alias.as_deref())
            {
                self.aliases.push((alias, source));
            }
        }
        // Nodes above the append name the columns by the alias of the table itself.
        if let Some(first) = group.first() {
            self.aliases.push((first.base, source));
        }
    }

    fn find_others(&mut self, plan: &'p Plan<'_>) {
        self.aliases.sort_unstable();
        self.aliases.dedup_by_key(|(alias, _)| *alias);
        let partitions = self.aliases.len();
        let definition = |node: &'p Node<'_>| node.subplan_name.as_deref()?.strip_prefix("CTE ");
        let ctes: Vec<&str> = plan.nodes().iter().filter_map(definition).take(MAX_CTES).collect();
        for (at, node) in plan.nodes().iter().enumerate() {
            if self.by_node.get(at).is_none_or(Option::is_some) {
                continue;
            }
            let Some(name) = own_name(plan, node, &ctes) else { continue };
            let alias = node.relation.alias.as_deref().or(node.relation.name.as_deref()).unwrap_or_default();
            let source = self.source_of(alias, name, partitions);
            if let Some(slot) = self.by_node.get_mut(at) {
                *slot = Some(source);
            }
        }
        // The first to be named keeps the alias; PostgreSQL gives no alias twice.
        self.aliases.sort_by_key(|(alias, _)| *alias);
        self.aliases.dedup_by_key(|(alias, _)| *alias);
    }

    /// The source with this alias: a node that changes a table and the one that finds its rows share one.
    fn source_of(&mut self, alias: &'p str, name: Cow<'p, str>, partitions: usize) -> Source {
        let sorted = self.aliases.get(..partitions).unwrap_or_default();
        if let Ok(at) = sorted.binary_search_by(|(known, _)| (*known).cmp(alias))
            && let Some((_, source)) = self.aliases.get(at)
        {
            return *source;
        }
        let unsorted = self.aliases.get(partitions..).unwrap_or_default();
        let recent = unsorted.get(unsorted.len().saturating_sub(MAX_LOOKED_BACK)..).unwrap_or_default();
        if let Some((_, source)) = recent.iter().find(|(known, _)| *known == alias) {
            return *source;
        }
        let source = self.add(name);
        self.aliases.push((alias, source));
        source
    }

    fn add(&mut self, name: Cow<'p, str>) -> Source {
        self.sources.push(Named { name, ordinal: 1 });
        Source(self.sources.len() as u32 - 1)
    }

    fn spread_upwards(&mut self, plan: &Plan<'_>) {
        for (at, node) in plan.nodes().iter().enumerate().rev() {
            let reads = self.reads_partitions.get(at).copied().unwrap_or(false);
            if let Some(above) = node.parent.and_then(|parent| self.reads_partitions.get_mut(parent.index()))
            {
                *above |= reads;
            }
        }
    }

    /// Numbers sources of the same name in the order in which the plan names them.
    fn number(&mut self) {
        let mut order = vec![u32::MAX; self.sources.len()];
        let mut position = 0;
        for source in self.by_node.iter().flatten() {
            if let Some(slot) = order.get_mut(source.0 as usize)
                && *slot == u32::MAX
            {
                *slot = position;
                position += 1;
            }
        }
        let mut sorted: Vec<usize> = (0..self.sources.len()).collect();
        let key = |at: &usize| {
            let name = self.sources.get(*at).map(|named| named.name.clone()).unwrap_or_default();
            (name, order.get(*at).copied().unwrap_or(u32::MAX))
        };
        sorted.sort_by_cached_key(key);
        let mut ordinal = 1;
        let mut before: Option<usize> = None;
        for at in sorted {
            let name = |at: usize| self.sources.get(at).map(|named| &named.name);
            ordinal = if before.is_some_and(|before| name(before) == name(at)) { ordinal + 1 } else { 1 };
            if let Some(named) = self.sources.get_mut(at) {
                named.ordinal = ordinal;
            }
            before = Some(at);
        }
    }
}

/// The most common table expressions that are told apart.
const MAX_CTES: usize = 256;

/// How many sources are looked through for one with the same alias. A node and the node that changes what it finds are
/// never far apart.
const MAX_LOOKED_BACK: usize = 64;

/// The name of what a node reads or changes by itself, without regard to siblings.
fn own_name<'p>(plan: &'p Plan<'_>, node: &'p Node<'_>, ctes: &[&str]) -> Option<Cow<'p, str>> {
    if let Some(relation) = node.relation.name.as_deref() {
        return Some(Cow::Borrowed(relation_name(plan, node, relation)));
    }
    let name = match node.operator {
        Operator::CteScan => {
            let place = node.source.as_deref().and_then(|cte| ctes.iter().position(|known| *known == cte));
            return Some(Cow::Owned(format!("cte {}", place.map_or(0, |place| place + 1))));
        }
        Operator::WorkTableScan => "work table",
        Operator::SubqueryScan => "subquery",
        Operator::ValuesScan => "values",
        Operator::FunctionScan | Operator::TableFunctionScan | Operator::NamedTuplestoreScan => {
            node.source.as_deref().unwrap_or("function")
        }
        _ => return None,
    };
    Some(Cow::Borrowed(name))
}

/// The table that a relation without siblings in the plan is taken to be a partition of, or the relation itself.
fn relation_name<'p>(plan: &Plan<'_>, node: &'p Node<'_>, relation: &'p str) -> &'p str {
    if plan.engine != Engine::PostgreSql {
        return relation;
    }
    let pruned = node
        .parent
        .and_then(|parent| plan.node(parent))
        .is_some_and(|parent| parent.operator.is_append() && parent.extra("Subplans Removed").is_some());
    let stem = partition::stem(relation);
    if pruned {
        return stem;
    }
    if stem != relation && node.relation.alias.as_deref() == Some(stem) {
        return stem;
    }
    partition::stem_of_dated(relation).unwrap_or(relation)
}
