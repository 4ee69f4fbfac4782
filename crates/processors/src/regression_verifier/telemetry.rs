//! What the verifier counts.

use std::collections::BTreeMap;
use std::time::Duration;

use dbintel_evidence::Verdict;
use dbintel_model::finding::DecisionAction;
use dbintel_model::{Finding, Monotonic, Text};
use dbintel_pipeline::telemetry::{
    Counter, Gauge, Registry, SelfMetric, SeriesLabels, definitions as common,
};

use crate::definitions;

/// How often sizes are added up.
const SHOW_EVERY: Duration = Duration::from_secs(10);

/// Why an interval is no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ignored {
    /// It may mix two incarnations of an entry.
    Incarnation,
    /// It is longer than a block.
    TooLong,
    /// A number in it is none, or counters for work are missing.
    Numbers,
    /// Its block is not kept any more.
    TooLate,
    /// The server's clock went another way than ours.
    Clock,
}

/// Counters of one verifier of one lane.
#[derive(Debug)]
pub(super) struct Telemetry {
    registry: Registry,
    labels: SeriesLabels,
    used: Counter,
    statements: Gauge,
    trials: Gauge,
    bytes: Gauge,
    shown: Option<Monotonic>,
    /// Kinds and categories that have had an open finding, so that they go back to 0.
    open: BTreeMap<(&'static str, &'static str), Gauge>,
}

// === impl Telemetry ===

impl Telemetry {
    pub(super) fn new(registry: Registry, processor: Text, receiver: Text) -> Self {
        let labels = vec![("processor", processor), ("receiver", receiver)];
        Self {
            used: registry.counter(&definitions::VERIFIER_INTERVALS, labels.clone()),
            statements: registry.gauge(&definitions::VERIFIER_STATEMENTS, labels.clone()),
            trials: registry.gauge(&definitions::VERIFIER_TRIALS, labels.clone()),
            bytes: registry.gauge(&definitions::VERIFIER_STATE_BYTES, labels.clone()),
            shown: None,
            open: BTreeMap::new(),
            registry,
            labels,
        }
    }

    pub(super) fn used(&self, intervals: u64) {
        self.used.add(intervals);
    }

    pub(super) fn ignored(&self, why: Ignored) {
        self.count(&definitions::VERIFIER_INTERVALS_IGNORED, &[("reason", why.as_str())], 1);
    }

    pub(super) fn judged(&self, verdict: &Verdict) {
        let labels = [("conclusion", verdict.conclusion.as_str()), ("category", verdict.category.as_str())];
        self.count(&definitions::VERIFIER_VERDICTS, &labels, 1);
    }

    /// A trial came to its end.
    pub(super) fn ended(&self, how: &'static str) {
        self.count(&definitions::VERIFIER_TRIALS_ENDED, &[("reason", how)], 1);
    }

    pub(super) fn opened(&self, finding: &Finding) {
        let labels = [("kind", finding.kind.as_str()), ("category", finding.category.as_str())];
        self.count(&definitions::VERIFIER_FINDINGS, &labels, 1);
    }

    /// A finding was not opened although it could have been.
    pub(super) fn suppressed(&self, why: &'static str) {
        self.count(&definitions::VERIFIER_SUPPRESSED, &[("reason", why)], 1);
    }

    /// A person decided, and that did this.
    pub(super) fn decided(&self, action: DecisionAction, result: &'static str) {
        let labels = [("action", action.as_str()), ("result", result)];
        self.count(&definitions::VERIFIER_DECISIONS, &labels, 1);
    }

    /// A bound cut something off.
    pub(super) fn limit(&self, limit: &'static str, times: u64) {
        if times > 0 {
            let mut labels = self.labels.clone();
            labels.retain(|(name, _)| *name == "receiver");
            labels.push(("limit", limit.into()));
            self.registry.counter(&common::LIMIT_REACHED, labels).add(times);
        }
    }

    /// Whether sizes are to be shown again.
    pub(super) fn is_due(&mut self, now: Monotonic) -> bool {
        let is_due = self.shown.is_none_or(|shown| now.since(shown) >= SHOW_EVERY);
        if is_due {
            self.shown = Some(now);
        }
        is_due
    }

    pub(super) fn show<'a>(
        &mut self,
        (statements, trials, bytes): (usize, usize, usize),
        open: impl Iterator<Item = &'a Finding>,
    ) {
        self.statements.set(statements as f64);
        self.trials.set(trials as f64);
        self.bytes.set(bytes as f64);
        let mut counts: BTreeMap<(&'static str, &'static str), f64> =
            self.open.keys().map(|labels| (*labels, 0.0)).collect();
        for finding in open {
            *counts.entry((finding.kind.as_str(), finding.category.as_str())).or_default() += 1.0;
        }
        for ((kind, category), count) in counts {
            let new = || {
                let more = [("kind", kind.into()), ("category", category.into())];
                let labels = [self.labels.as_slice(), &more].concat();
                self.registry.gauge(&definitions::VERIFIER_FINDINGS_OPEN, labels)
            };
            self.open.entry((kind, category)).or_insert_with(new).set(count);
        }
    }

    fn count(&self, metric: &'static SelfMetric, more: &[(&'static str, &'static str)], times: u64) {
        let more = more.iter().map(|(name, value)| (*name, Text::Static(value)));
        let labels = self.labels.iter().cloned().chain(more).collect();
        self.registry.counter(metric, labels).add(times);
    }
}

// === impl Ignored ===

impl Ignored {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Incarnation => "incarnation",
            Self::TooLong => "too_long",
            Self::Numbers => "numbers",
            Self::TooLate => "too_late",
            Self::Clock => "clock",
        }
    }
}
