//! What the extractor counts.

use std::time::Duration;

use dbintel_model::{Monotonic, Text};
use dbintel_pipeline::telemetry::{
    Counter, Gauge, Registry, SelfMetric, SeriesLabels, definitions as common,
};
use dbintel_plan::PlanProblems;

use super::cache::{Look, Reading};
use super::stored::StoredPlan;
use crate::definitions;

/// Look-ups, and readings, over which the hit rate and the 99th percentile are taken.
const RECENT: usize = 1_024;
/// How often the percentile is computed, which sorts the readings.
const SHOW_EVERY: Duration = Duration::from_secs(10);

/// Counters of one extractor of one lane.
#[derive(Debug)]
pub(super) struct Telemetry {
    registry: Registry,
    labels: SeriesLabels,
    /// The two that are counted most, kept at hand.
    parsed: Counter,
    cached: Counter,
    evicted: Counter,
    statements: Gauge,
    hits: Recent,
    millis: Recent,
    shown: Monotonic,
    compressed: (usize, usize),
}

/// The last values of something.
#[derive(Debug, Default)]
struct Recent {
    values: Vec<f64>,
    next: usize,
    is_new: bool,
}

// === impl Telemetry ===

impl Telemetry {
    pub(super) fn new(registry: Registry, processor: Text, receiver: Text) -> Self {
        let labels = vec![("processor", processor), ("receiver", receiver)];
        let plans = |reason: &'static str| {
            let labels = [labels.as_slice(), &[("reason", reason.into())]].concat();
            registry.counter(&definitions::PLAN_PARSER_PLANS, labels)
        };
        Self {
            parsed: plans("parsed"),
            cached: plans("cached"),
            evicted: registry.counter(&definitions::PLAN_PARSER_CACHE_EVICTED, labels.clone()),
            statements: registry.gauge(&definitions::PLAN_EXTRACTOR_STATEMENTS, labels.clone()),
            registry,
            labels,
            hits: Recent::default(),
            millis: Recent::default(),
            shown: Monotonic::default(),
            compressed: (0, 0),
        }
    }

    /// A plan was looked at.
    pub(super) fn looked(&mut self, look: &Look) {
        match (&look.outcome, &look.read) {
            (Err(unusable), _) => {
                self.count(&definitions::PLAN_PARSER_PLANS, "reason", unusable.as_str(), 1);
            }
            (Ok(_), Some(_)) => self.parsed.increment(),
            (Ok(_), None) => self.cached.increment(),
        }
        let Some(Reading { millis, problems, evicted }) = &look.read else {
            self.hits.push(1.0);
            return;
        };
        self.hits.push(0.0);
        self.millis.push(*millis);
        self.evicted.add(*evicted);
        self.problems(problems);
        if let Ok(extracted) = &look.outcome {
            self.stored(&extracted.plan);
        }
    }

    /// A plan needed no reading, since the statement has it already.
    pub(super) fn recognised(&mut self) {
        self.cached.increment();
        self.hits.push(1.0);
    }

    /// A statement went to another one of its plans.
    pub(super) fn alternated(&self) {
        self.registry.counter(&definitions::PLAN_EXTRACTOR_ALTERNATIONS, self.labels.clone()).increment();
    }

    /// An event leaves.
    pub(super) fn event(&self, reason: &'static str) {
        self.count(&definitions::PLAN_EXTRACTOR_EVENTS, "reason", reason, 1);
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

    /// Shows how many statements are tracked, and from time to time what was measured lately.
    #[allow(clippy::cast_precision_loss, reason = "for display")]
    pub(super) fn show(&mut self, statements: usize, now: Monotonic) {
        self.statements.set(statements as f64);
        if now.since(self.shown) < SHOW_EVERY {
            return;
        }
        self.shown = now;
        if let Some(mean) = self.hits.take_mean() {
            self.gauge(&definitions::PLAN_PARSER_CACHE_HIT_RATE).set(mean);
        }
        if let Some(millis) = self.millis.take_p99() {
            self.gauge(&definitions::PLAN_PARSER_P99_LATENCY).set(millis);
        }
        let (before, after) = self.compressed;
        if after > 0 {
            self.gauge(&definitions::PLAN_STORE_COMPRESSION_RATIO).set(before as f64 / after as f64);
        }
    }

    fn stored(&mut self, plan: &StoredPlan) {
        if let Some((before, after)) = plan.compression() {
            self.compressed = (self.compressed.0 + before, self.compressed.1 + after);
        }
    }

    fn problems(&self, problems: &PlanProblems) {
        for problem in problems.list() {
            self.count(&definitions::PLAN_PARSER_PROBLEMS, "problem", problem.kind.as_str(), 1);
        }
        if problems.not_listed() > 0 {
            let further = u64::from(problems.not_listed());
            self.count(&definitions::PLAN_PARSER_PROBLEMS, "problem", "not_listed", further);
        }
    }

    /// A series appears with the first measurement: before it nothing is known.
    fn gauge(&self, metric: &'static SelfMetric) -> Gauge {
        self.registry.gauge(metric, self.labels.clone())
    }

    fn count(&self, metric: &'static SelfMetric, name: &'static str, value: &'static str, times: u64) {
        let mut labels = self.labels.clone();
        labels.push((name, value.into()));
        self.registry.counter(metric, labels).add(times);
    }
}

// === impl Recent ===

impl Recent {
    fn push(&mut self, value: f64) {
        self.is_new = true;
        match self.values.get_mut(self.next) {
            Some(oldest) => *oldest = value,
            None => self.values.push(value),
        }
        self.next = (self.next + 1) % RECENT;
    }

    /// The mean; `None` where nothing came since it was last asked for.
    #[allow(clippy::cast_precision_loss, reason = "at most 1,024")]
    fn take_mean(&mut self) -> Option<f64> {
        let is_new = std::mem::take(&mut self.is_new);
        is_new.then(|| self.values.iter().sum::<f64>() / self.values.len() as f64)
    }

    /// The value that 99 of 100 are not above; `None` where nothing came since it was last asked for.
    fn take_p99(&mut self) -> Option<f64> {
        if !std::mem::take(&mut self.is_new) {
            return None;
        }
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * 99).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_is_that_of_the_last_values() {
        let mut recent = Recent::default();
        assert_eq!((recent.take_mean(), recent.take_p99()), (None, None));
        for value in 1..=100 {
            recent.push(f64::from(value));
        }
        assert_eq!(recent.take_p99(), Some(99.0));
        assert_eq!(recent.take_p99(), None);
        for _ in 0..RECENT {
            recent.push(7.0);
        }
        assert_eq!(recent.take_mean(), Some(7.0));
        assert_eq!(recent.values.len(), RECENT);
    }
}
