//! Ways through a plan.

use super::{Node, NodeId, Plan};

impl<'a> Plan<'a> {
    /// The ids of all nodes, parents before children.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// The ids of the nodes that `id` reads, in the engine's order.
    #[must_use]
    pub fn children(&self, id: NodeId) -> Children<'_> {
        let below = self.node(id).map_or(0, |node| node.below);
        Children { nodes: &self.nodes, next: id.0 + 1, end: id.0 + 1 + below }
    }

    /// The ids of `id` and all nodes below it.
    #[must_use]
    pub fn subtree(&self, id: NodeId) -> Subtree {
        let below = self.node(id).map_or(0, |node| node.below);
        Subtree { next: id.0, end: id.0 + 1 + below }
    }
}

/// The children of a node.
#[derive(Clone, Debug)]
pub struct Children<'p> {
    nodes: &'p [Node<'p>],
    next: u32,
    end: u32,
}

impl Iterator for Children<'_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        if self.next >= self.end {
            return None;
        }
        let id = NodeId(self.next);
        self.next += 1 + self.nodes.get(id.index())?.below;
        Some(id)
    }
}

/// A node and all nodes below it.
#[derive(Clone, Debug)]
pub struct Subtree {
    next: u32,
    end: u32,
}

impl Iterator for Subtree {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        let id = NodeId(self.next);
        self.next += 1;
        (id.0 < self.end).then_some(id)
    }
}
