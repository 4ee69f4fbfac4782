//! Which node answers. Plans of two nodes are not compared: other data, other statistics, other settings.

use std::collections::VecDeque;

use dbintel_model::{Node, PlanNews, Text};

/// Nodes behind one endpoint that are told apart. Beyond it the one that answered least recently is forgotten.
pub const MAX_NODES: usize = 16;
/// What a version number is divided by to give the major version.
const PER_MAJOR: u32 = 10_000;

/// The nodes that have answered, the one that answered last at the end.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    known: VecDeque<Known>,
    next: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) number: u32,
    pub(super) identity: Identity,
    /// Why the first plan of a statement leaves that had one on another node.
    pub(super) news: PlanNews,
}

/// What makes a node another one. A restart does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) system_identifier: Option<u64>,
    pub(super) timeline: Option<u32>,
    pub(super) in_recovery: bool,
    pub(super) address: Option<Text>,
    pub(super) major: u32,
}

// === impl Nodes ===

impl Nodes {
    /// The number of the node that answers now. Where none did, it is the one before.
    pub(super) fn enter(&mut self, node: Option<&Node>) -> u32 {
        let Some(node) = node else {
            return self.known.back().map_or(u32::MAX, |known| known.number);
        };
        if self.known.back().is_some_and(|known| known.identity.is(node)) {
            return self.known.back().map_or(u32::MAX, |known| known.number);
        }
        let known = match self.known.iter().position(|known| known.identity.is(node)) {
            Some(place) => self.known.remove(place),
            None => None,
        };
        let known = known.unwrap_or_else(|| self.meet(Identity::of(node)));
        let number = known.number;
        self.known.push_back(known);
        if self.known.len() > MAX_NODES {
            self.known.pop_front();
        }
        number
    }

    /// Every node but this one, and why a baseline begins anew on this one.
    pub(super) fn others(&self, number: u32) -> (impl Iterator<Item = u32> + '_, PlanNews) {
        let news = self.known.iter().find(|known| known.number == number);
        let others = self.known.iter().map(|known| known.number).filter(move |other| *other != number);
        (others, news.map_or(PlanNews::FirstSeen, |known| known.news))
    }

    pub(super) fn known(&self) -> impl ExactSizeIterator<Item = &Known> {
        self.known.iter()
    }

    /// The nodes a predecessor knew, in their order.
    pub(super) fn restored(known: Vec<Known>) -> Self {
        let next = known.iter().map(|known| known.number.wrapping_add(1)).max().unwrap_or(0);
        Self { known: known.into(), next }
    }

    fn meet(&mut self, identity: Identity) -> Known {
        let before = self.known.back().map(|known| &known.identity);
        let news = before.map_or(PlanNews::FirstSeen, |before| identity.news(before));
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        Known { number, identity, news }
    }
}

// === impl Identity ===

impl Identity {
    fn of(node: &Node) -> Self {
        Self {
            system_identifier: node.system_identifier,
            timeline: node.timeline,
            in_recovery: node.in_recovery,
            address: node.address.clone(),
            major: node.version_number / PER_MAJOR,
        }
    }

    fn is(&self, node: &Node) -> bool {
        self.system_identifier == node.system_identifier
            && self.timeline == node.timeline
            && self.in_recovery == node.in_recovery
            && self.address == node.address
            && self.major == node.version_number / PER_MAJOR
    }

    /// What is other than before, the most telling first.
    fn news(&self, before: &Self) -> PlanNews {
        if self.system_identifier != before.system_identifier && self.major == before.major {
            PlanNews::OtherServer
        } else if self.major != before.major {
            // A new cluster is made for a new major version, so its identifier is another one as well.
            PlanNews::OtherVersion
        } else if self.timeline != before.timeline {
            PlanNews::OtherTimeline
        } else {
            PlanNews::OtherNode
        }
    }
}
