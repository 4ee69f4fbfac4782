//! Counts what the store does.

use dbintel_model::Text;
use dbintel_model::finding::{Category, FindingKind, FindingState};
use dbintel_pipeline::StateRefused;
use dbintel_pipeline::telemetry::{Counter, Gauge, Registry};

use crate::definitions;
use crate::findings::OpenCount;

#[derive(Debug)]
pub(crate) struct Telemetry {
    registry: Registry,
    pub(crate) written: Counter,
    pub(crate) set_aside: Counter,
    pub(crate) begun_anew: Counter,
    pub(crate) bytes: Gauge,
    pub(crate) others: Gauge,
    pub(crate) pending: Gauge,
    pub(crate) pending_bytes: Gauge,
}

impl Telemetry {
    pub(crate) fn new(registry: Registry) -> Self {
        let gauge = |metric| registry.gauge(metric, Vec::new());
        Self {
            written: registry.counter(&definitions::WRITTEN, Vec::new()),
            set_aside: registry.counter(&definitions::SET_ASIDE, Vec::new()),
            begun_anew: registry.counter(&definitions::BEGUN_ANEW, Vec::new()),
            bytes: gauge(&definitions::BYTES),
            others: gauge(&definitions::OTHER_INSTANCES),
            pending: gauge(&definitions::PENDING),
            pending_bytes: gauge(&definitions::PENDING_BYTES),
            registry,
        }
    }

    pub(crate) fn refused(&self, reason: StateRefused) {
        self.count(&definitions::REFUSED, "reason", reason.as_str(), 1);
    }

    pub(crate) fn lost_at_shutdown(&self, entries: usize) {
        self.count(&definitions::REFUSED, "reason", "shutdown", entries as u64);
    }

    pub(crate) fn failed(&self, reason: &'static str) {
        self.count(&definitions::ERRORS, "reason", reason, 1);
    }

    pub(crate) fn unreadable(&self, table: &'static str, rows: usize) {
        self.count(&definitions::UNREADABLE, "table", table, rows as u64);
    }

    pub(crate) fn deleted(&self, table: &'static str, rows: u64) {
        self.count(&definitions::DELETED, "table", table, rows);
    }

    pub(crate) fn finding(&self, kind: FindingKind, state: FindingState) {
        let labels = vec![("kind", Text::Static(kind.as_str())), ("state", Text::Static(state.as_str()))];
        self.registry.counter(&definitions::FINDINGS, labels).increment();
    }

    /// Shows how many findings are open; kinds and categories without any show 0 once they had some.
    #[allow(clippy::cast_precision_loss, reason = "for display; exact up to 2^53")]
    pub(crate) fn open(&self, counts: &[OpenCount]) {
        for kind in FindingKind::ALL {
            for category in Category::ALL {
                let same = |count: &&OpenCount| (count.kind, count.category) == (*kind, *category);
                let count = counts.iter().find(same).map_or(0, |count| count.count);
                let names = [("kind", kind.as_str()), ("category", category.as_str())];
                if count > 0 || self.registry.value(definitions::FINDINGS_OPEN.name, &names).is_some() {
                    let labels = names.map(|(name, value)| (name, Text::Static(value))).to_vec();
                    self.registry.gauge(&definitions::FINDINGS_OPEN, labels).set(count as f64);
                }
            }
        }
    }

    fn count(
        &self,
        metric: &'static dbintel_pipeline::telemetry::SelfMetric,
        label: &'static str,
        value: &'static str,
        amount: u64,
    ) {
        if amount > 0 {
            self.registry.counter(metric, vec![(label, Text::Static(value))]).add(amount);
        }
    }
}
