//! What the sampler counts: its self-metrics, by rule.

use dbintel_model::Text;
use dbintel_pipeline::telemetry::{Counter, Gauge, Registry, SelfMetric, SeriesLabels};

use super::config::DEFAULT_RULE;
use crate::definitions;

/// Why a record is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DropReason {
    /// The draw was above the probability.
    Sampled,
    /// A hard limit was reached. Not covered by the probability of what was kept.
    RateLimited,
    /// An equal one was kept a moment ago.
    Duplicate,
}

/// Counters of one sampler of one lane. Series appear with their first record.
#[derive(Debug)]
pub(super) struct Counts {
    registry: Registry,
    processor: Text,
    receiver: Text,
    processed: Counter,
    hit_rate: Gauge,
    rules: Vec<RuleCounts>,
}

#[derive(Debug)]
struct RuleCounts {
    name: Text,
    matches: Option<Counter>,
    dropped: [Option<Counter>; 3],
}

// === impl DropReason ===

impl DropReason {
    const ALL: [Self; 3] = [Self::Sampled, Self::RateLimited, Self::Duplicate];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Sampled => "sampled",
            Self::RateLimited => "rate_limited",
            Self::Duplicate => "duplicate",
        }
    }
}

// === impl Counts ===

impl Counts {
    pub(super) fn new(
        registry: Registry,
        processor: Text,
        receiver: Text,
        rules: impl Iterator<Item = Text>,
    ) -> Self {
        let labels = || vec![("processor", processor.clone()), ("receiver", receiver.clone())];
        let rules = rules.chain([Text::Static(DEFAULT_RULE)]);
        Self {
            processed: registry.counter(&definitions::ADAPTIVE_SAMPLER_PROCESSED, labels()),
            hit_rate: registry.gauge(&definitions::ADAPTIVE_SAMPLER_CACHE_HIT_RATE, labels()),
            rules: rules
                .map(|name| RuleCounts { name, matches: None, dropped: [None, None, None] })
                .collect(),
            registry,
            processor,
            receiver,
        }
    }

    /// A record came that this rule decides about.
    pub(super) fn matched(&mut self, rule: usize) {
        self.processed.increment();
        self.count(rule, None, &definitions::ADAPTIVE_SAMPLER_RULE_MATCHES);
    }

    /// It is not kept.
    pub(super) fn dropped(&mut self, rule: usize, reason: DropReason) {
        self.count(rule, Some(reason), &definitions::ADAPTIVE_SAMPLER_DROPPED);
    }

    pub(super) fn hit_rate(&self, rate: f64) {
        self.hit_rate.set(rate);
    }

    /// Every rule with its matches and what was dropped, for a page.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Text, Text)> + '_ {
        let number = |counter: &Option<Counter>| counter.as_ref().map_or(0, Counter::get);
        self.rules.iter().map(move |rule| {
            let mut line = format!("{} records", number(&rule.matches));
            for (counter, reason) in rule.dropped.iter().zip(DropReason::ALL) {
                line.push_str(&format!(", {} {}", number(counter), reason.as_str()));
            }
            (format!("rule {}", rule.name).into(), line.into())
        })
    }

    fn count(&mut self, rule: usize, reason: Option<DropReason>, metric: &'static SelfMetric) {
        let Some(rule) = self.rules.get_mut(rule) else { return };
        let counter = match reason {
            None => Some(&mut rule.matches),
            Some(reason) => rule.dropped.get_mut(reason as usize),
        };
        let Some(counter) = counter else { return };
        let make = || {
            let mut labels: SeriesLabels =
                vec![("processor", self.processor.clone()), ("receiver", self.receiver.clone())];
            labels.extend(reason.map(|reason| ("reason", reason.as_str().into())));
            labels.push(("rule", rule.name.clone()));
            self.registry.counter(metric, labels)
        };
        counter.get_or_insert_with(make).increment();
    }
}
